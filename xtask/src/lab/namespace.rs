//! Network namespaces: one is one machine of the lab.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::process::CommandExt as _,
    panic,
    path::Path,
    process::Command,
    sync::Once,
    thread,
};

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns};

use super::owned;
use crate::process;

/// Where `ip netns` keeps the names.
pub(super) const DIRECTORY: &str = "/run/netns";

/// A network namespace, deleted with everything in it when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes a namespace whose name ends in `label`, with its loopback up.
    ///
    /// IPv6 addresses are usable at once in it: duplicate address detection is off, and so are
    /// router solicitations, which only clutter captures.
    pub fn new(label: &str) -> Result<Self> {
        if let Some(obstacle) = super::obstacle(&[]) {
            bail!("cannot build a lab here: {obstacle}");
        }
        static SWEPT: Once = Once::new();
        SWEPT.call_once(owned::sweep);

        let name = owned::unique_name(label);
        ip(&["netns", "add", &name])
            .with_context(|| format!("cannot make the network namespace {name}"))?;
        // From here on a failure deletes it again.
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        for scope in ["all", "default"] {
            namespace.set(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
            namespace.set(&format!("net/ipv6/conf/{scope}/router_solicitations"), "0")?;
        }
        Ok(namespace)
    }

    /// Its name, as `ip netns list` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that will run in it, with a /sys that shows its interfaces.
    ///
    /// It has a process group of its own, so that Ctrl-C on the terminal reaches us and not it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let program = program.as_ref();
        // Under sudo the PATH may lack the directories of what only root needs.
        let found = program.to_str().and_then(process::find);
        let mut command = ip_command();
        command
            .args(["netns", "exec", &self.name])
            .arg(found.as_deref().map_or(program, Path::as_os_str));
        command
    }

    /// Runs `ip` in it with `arguments`, which are split at white space, and returns its output.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        let words: Vec<&str> = ["-n", &self.name]
            .into_iter()
            .chain(arguments.split_whitespace())
            .collect();
        ip(&words)
    }

    /// Sets a parameter of its kernel, named by the path under /proc/sys.
    pub fn set(&self, parameter: &str, value: &str) -> Result<()> {
        self.enter(|| fs::write(format!("/proc/sys/{parameter}"), value))?
            .with_context(|| format!("cannot set {parameter} to {value} in {}", self.name))
    }

    /// Runs `inside` on a thread that is in the namespace. Sockets that it makes stay there.
    pub fn enter<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> Result<T> {
        let path = format!("{DIRECTORY}/{}", self.name);
        let file = File::open(&path)
            .with_context(|| format!("cannot open the network namespace {path}"))?;
        let result = thread::scope(|scope| {
            let entered =
                scope.spawn(move || setns(file, CloneFlags::CLONE_NEWNET).map(|()| inside()));
            entered.join()
        });
        match result {
            Ok(value) => {
                value.with_context(|| format!("cannot enter the network namespace {path}"))
            }
            Err(panic) => panic::resume_unwind(panic),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// Deletes a namespace and ends what still runs in it: a process would keep it alive, nameless.
pub(super) fn delete(name: &str) {
    if let Ok(pids) = ip(&["netns", "pids", name]) {
        owned::end_processes(&pids);
    }
    // Nothing can be done about a failure here, and another run may have swept it away already.
    let _ = ip(&["netns", "delete", name]);
}

fn ip(arguments: &[&str]) -> Result<String> {
    process::read(ip_command().args(arguments))
}

/// `ip` in a process group of its own, so that Ctrl-C does not end it halfway.
fn ip_command() -> Command {
    let mut command = Command::new(process::find("ip").unwrap_or_else(|| "ip".into()));
    command.process_group(0);
    command
}
