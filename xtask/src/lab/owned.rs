//! What a run leaves on the machine carries the process id of its owner in its name, so that the
//! next run can tell leftovers from what is in use.

use std::{
    env,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process, str,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::namespace;

const PREFIX: &str = "blns-";

/// A name that nothing else on this machine has: the prefix, our process id, a number, the label.
pub(super) fn unique_name(label: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}-{number}-{label}", process::id())
}

/// Whether `name` was made by [`unique_name`] in a process that is no more.
fn is_stale(name: &str) -> bool {
    owner(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
}

fn owner(name: &str) -> Option<u32> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    pid.parse().ok()
}

/// Removes the namespaces and directories of runs that were killed, and ends the processes that
/// still run in those namespaces. Every lab does this once, before it makes its first namespace.
pub fn sweep() {
    for name in stale_entries(Path::new(namespace::DIRECTORY)) {
        namespace::delete(&name);
    }
    for name in stale_entries(&env::temp_dir()) {
        // Another run may be sweeping at the same time, so it may be gone by now.
        let _ = fs::remove_dir_all(env::temp_dir().join(name));
    }
}

fn stale_entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_stale(name))
        .collect()
}

/// Ends the processes of `pids`, as printed by `ip netns pids`, but never ourselves.
pub(super) fn end_processes(pids: &str) {
    for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
        if pid > 1 && pid != process::id().cast_signed() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// A directory for the files of a lab, removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty directory whose name ends in `label`.
    pub fn new(label: &str) -> Result<Self> {
        let path = env::temp_dir().join(unique_name(label));
        // Whatever the umask is: a group that may write there is not to be trusted.
        DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .with_context(|| format!("cannot make the directory {}", path.display()))?;
        Ok(Self(path))
    }

    /// The path of `name` in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_dead_owners_are_stale() {
        // The largest process id there can be is 2^22, so this one never lives.
        assert!(is_stale("blns-4194305-0-lac"));
        assert!(!is_stale(&unique_name("lac")));
        assert!(!is_stale("blns-lac"));
        assert!(!is_stale("blns-x-0-lac"));
        assert!(!is_stale("someone-4194305-0-lac"));
    }

    #[test]
    fn names_are_never_given_twice() {
        assert_ne!(unique_name("lac"), unique_name("lac"));
    }
}
