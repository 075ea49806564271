//! What is in a guest: its first process, its programs with their libraries, its modules.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{guest::Parts, initramfs::Archive, kernel::Kernel, nic::Nic};
use crate::process;

/// The name of the guest's NIC.
pub(super) const INTERFACE: &str = "eth0";

/// Where the responder is.
pub(super) const RESPONDER: &str = "/bin/broken-lns";

/// What the first process says once the shell listens.
pub(super) const READY: &str = "the guest is ready";

/// The word of the kernel's command line that asks for a shell on the console.
pub(super) const SHELL: &str = "console_shell";

/// What the kernel is told in every guest: to talk on the first serial port, to end the guest when
/// it panics, and to leave out what slows an emulated CPU.
pub(super) const COMMAND_LINE: &str =
    "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on tsc=reliable net.ifnames=0";

/// The first process.
const INIT: &str = include_str!("init.sh");

/// The root file system of a guest with this kernel and this NIC.
pub(super) fn initramfs(parts: &Parts, kernel: &Kernel, nic: &Nic) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["/dev", "/proc", "/run", "/sys", "/tmp"] {
        archive.directory(folder);
    }
    archive.copy("/bin/busybox", &parts.busybox)?;
    archive.link("/bin/sh", "busybox");
    archive.file("/init", INIT.as_bytes());
    program(&mut archive, RESPONDER, &parts.responder)?;
    for name in ["ip", "ethtool", "bpftool"] {
        if let Some(path) = process::find(name) {
            program(&mut archive, &format!("/bin/{name}"), &path)?;
        }
    }
    let mut order = String::new();
    for module in kernel.modules(nic.modules)? {
        order += &format!("{}\n", module.name);
        archive.file(format!("/modules/{}.ko", module.name), &module.content);
    }
    archive.file("/modules/order", order.as_bytes());
    Ok(archive.finish())
}

/// Adds a program of this machine, with the libraries that it needs.
fn program(archive: &mut Archive, path: &str, from: &Path) -> Result<()> {
    archive.copy(path, from)?;
    let listed = process::read(Command::new("ldd").arg(from));
    // What is linked statically has no libraries, which is a failure to that program.
    for library in listed
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(library)
    {
        archive
            .copy(library, Path::new(library))
            .with_context(|| format!("a library of {}", from.display()))?;
    }
    Ok(())
}

/// The path of the library in a line of ldd's.
fn library(line: &str) -> Option<&str> {
    let path = match line.split_once("=>") {
        Some((_, path)) => path,
        None => line,
    };
    let path = path.split_whitespace().next()?;
    path.starts_with('/').then_some(path)
}

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn libraries_are_read_from_what_ldd_says() {
        for (line, path) in [
            ("\tlinux-vdso.so.1 (0x00007f4723c2e000)", None),
            (
                "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f472261e000)",
                Some("/lib/x86_64-linux-gnu/libc.so.6"),
            ),
            (
                "\t/lib64/ld-linux-x86-64.so.2 (0x00007f4723c30000)",
                Some("/lib64/ld-linux-x86-64.so.2"),
            ),
            ("\tlibgone.so => not found", None),
        ] {
            assert_eq!(library(line), path, "{line}");
        }
    }
}
