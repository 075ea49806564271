//! A guest: a kernel in QEMU with a NIC, a shell and the responder.

use std::{
    fs,
    os::unix::{net::UnixStream, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    image::{self, READY},
    kernel::Kernel,
    nic::Nic,
    qemu::Qemu,
    qmp::Qmp,
    shell::{Output, Shell},
    wire::{self, Wire},
};
use crate::lab::{Mac, Process, Scratch, until};

/// How long a guest may take for anything. A machine that is busy elsewhere takes tens of seconds
/// for what is a second's work, so only what hangs ever takes that long.
pub(super) const LIMIT: Duration = Duration::from_secs(300);

/// The MAC address of the guest's NIC.
pub(super) const MAC: Mac = Mac([0x02, 0, 0, 0, 0, 2]);

/// Octets of a guest's memory, in MiB. Each queue of a worker takes 16 of them, the maps of the
/// kernel half 100.
const MEMORY: u32 = 1024;

/// What every guest is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// What emulates it.
    pub qemu: Qemu,
    /// Its programs.
    pub busybox: PathBuf,
    /// The responder.
    pub responder: PathBuf,
}

/// A guest that runs; it is gone when dropped.
#[derive(Debug)]
pub(super) struct Guest {
    machine: Process,
    shell: Shell,
    qmp: Qmp,
    wire: Wire,
    _scratch: Scratch,
}

impl Guest {
    /// Boots a kernel with this NIC, and returns once its shell is there and the NIC is up.
    pub(super) fn boot(parts: &Parts, kernel: &Kernel, nic: &Nic) -> Result<Self> {
        let scratch = Scratch::new("vm")?;
        let wire = Wire::lay(nic.pairs, &scratch)?;
        let initramfs = scratch.file("initramfs");
        fs::write(&initramfs, image::initramfs(parts, kernel, nic)?)?;
        let (shell, monitor) = (scratch.file("shell"), scratch.file("monitor"));
        let mut command = command(parts, kernel, nic, &wire, &initramfs, "")?;
        command
            // The first serial port shows what the kernel says, the second one is the shell.
            .args(["-serial", "file:/dev/stdout"])
            .args(["-chardev", &socket("shell", &shell)])
            .args(["-serial", "chardev:shell"])
            .args(["-chardev", &socket("monitor", &monitor)])
            .args(["-mon", "chardev=monitor,mode=control"]);
        let mut machine = Process::spawn("QEMU", command)?;
        let shell = Shell::new(connect(&mut machine, &shell)?)?;
        let qmp = Qmp::new(connect(&mut machine, &monitor)?)?;
        machine.wait_for_line(READY, LIMIT)?;
        let mut guest = Self {
            machine,
            shell,
            qmp,
            wire,
            _scratch: scratch,
        };
        guest.wait_for_carrier(true)?;
        Ok(guest)
    }

    /// Runs a command in it.
    pub(super) fn run(&mut self, command: &str) -> Result<Output> {
        let output = self.shell.run(&mut self.machine, command, LIMIT);
        output.with_context(|| format!("the kernel's last words: {}", self.last_words()))
    }

    /// Runs a command in it that has to succeed, and returns what it printed.
    pub(super) fn read(&mut self, command: &str) -> Result<String> {
        let output = self.run(command)?;
        ensure!(
            output.status == 0,
            "`{command}` failed in the guest ({}): {}",
            output.status,
            output.text
        );
        Ok(output.text)
    }

    /// Runs a command in it until it succeeds, and returns what it printed then.
    pub(super) fn wait_for(&mut self, what: &str, command: &str) -> Result<String> {
        until(what, LIMIT, || {
            let output = self.run(command)?;
            Ok((output.status == 0).then_some(output.text))
        })
    }

    /// The wire of its NIC.
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Plugs the wire in or out, and waits until the guest knows.
    pub(super) fn plug(&mut self, up: bool) -> Result<()> {
        self.qmp.set_link(wire::NAME, up)?;
        self.wait_for_carrier(up)
    }

    pub(super) fn wait_for_carrier(&mut self, up: bool) -> Result<()> {
        let what = if up { "a carrier" } else { "no carrier" };
        let expected = u8::from(up);
        let command = format!(
            "test \"$(cat /sys/class/net/{0}/carrier)\" = {expected}",
            image::INTERFACE
        );
        self.wait_for(what, &command).map(drop)
    }

    /// The last lines that its kernel printed.
    fn last_words(&self) -> String {
        let lines = self.machine.lines();
        let last = lines.iter().rev().take(12).rev();
        last.map(|line| format!("\n  {}", line.text)).collect()
    }
}

/// Boots a kernel with a shell on this terminal. `while_it_runs` has the wire meanwhile, and is
/// called again and again.
pub(super) fn interact(
    parts: &Parts,
    kernel: &Kernel,
    nic: &Nic,
    mut while_it_runs: impl FnMut(&Wire) -> Result<()>,
) -> Result<()> {
    let scratch = Scratch::new("vm")?;
    let wire = Wire::lay(nic.pairs, &scratch)?;
    let initramfs = scratch.file("initramfs");
    fs::write(&initramfs, image::initramfs(parts, kernel, nic)?)?;
    let mut command = command(parts, kernel, nic, &wire, &initramfs, image::SHELL)?;
    // QEMU sets the terminal up, and back when it ends by itself; Ctrl-C goes to the guest.
    command
        .args(["-serial", "mon:stdio"])
        .stdin(Stdio::inherit());
    let mut machine = command.spawn().context("cannot start QEMU")?;
    let outcome = loop {
        match machine.try_wait() {
            Ok(Some(status)) if status.success() => break Ok(()),
            Ok(Some(status)) => break Err(anyhow::anyhow!("QEMU ended with {status}")),
            Ok(None) => {}
            Err(error) => break Err(error.into()),
        }
        if let Err(error) = while_it_runs(&wire) {
            break Err(error);
        }
    };
    // Both are nothing where it ended.
    let _ = machine.kill();
    let _ = machine.wait();
    outcome
}

/// QEMU with a kernel, which gets one `word` more on its command line, and a NIC; yet without a
/// place to talk to it.
fn command(
    parts: &Parts,
    kernel: &Kernel,
    nic: &Nic,
    wire: &Wire,
    initramfs: &Path,
    word: &str,
) -> Result<Command> {
    let (program, first) = parts.qemu.program();
    let mut command = wire.command(&program);
    command
        .args(first)
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .args(["-display", "none"])
        // A virtual machine inside another one may have no KVM, or one that fails.
        .args(["-machine", "q35", "-accel", "tcg,thread=multi"])
        .args(["-cpu", "max", "-smp", &nic.cpus.to_string()])
        .args(["-m", &MEMORY.to_string()])
        .arg("-kernel")
        .arg(kernel.image()?)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", &format!("{} {word}", image::COMMAND_LINE)])
        .args(["-netdev", &wire.option()])
        .args(["-device", &device(nic)]);
    if let Some(modules) = parts.qemu.modules() {
        command.env("QEMU_MODULE_DIR", modules);
    }
    // SAFETY: prctl only sets what happens to this process, allocates nothing, and may be called
    // between fork and exec.
    unsafe {
        command.pre_exec(|| {
            // However we end, it ends with us.
            let result = libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            match result {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    Ok(command)
}

fn device(nic: &Nic) -> String {
    // The firmware has no use for a NIC, and so none for its option ROM.
    format!("{},netdev={},mac={MAC},romfile=", nic.device, wire::NAME)
}

fn socket(name: &str, path: &Path) -> String {
    format!(
        "socket,id={name},path={},server=on,wait=off",
        path.display()
    )
}

/// Connects to a socket of QEMU's, once it is there.
fn connect(machine: &mut Process, path: &Path) -> Result<UnixStream> {
    until("a socket of QEMU's", LIMIT, || {
        match UnixStream::connect(path) {
            Ok(stream) => Ok(Some(stream)),
            Err(_) if machine.is_running() => Ok(None),
            Err(_) => {
                let said: Vec<String> = machine.lines().into_iter().map(|l| l.text).collect();
                bail!("QEMU ended at once: {}", said.join("; "))
            }
        }
    })
}
