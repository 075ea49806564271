//! The filter of system calls that is in force once everything is attached.
//!
//! `calls` lists what is let through, and what fails as if the kernel did not know it, with ENOSYS:
//! C libraries fall back from such calls to what they used before, and start processes while all
//! signals are blocked. All else is denied, see `denied`.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::{calls, denied};

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// Nobody would hear of denied calls.
    #[error("cannot handle SIGSYS: {0}")]
    Handler(#[from] io::Error),
    /// It cannot be built, or the kernel has none.
    #[error("{0}")]
    Filter(#[from] seccompiler::Error),
}

/// Puts the filter in force for every thread of the process, and for those to come.
pub(super) fn apply() -> Result<(), FilterError> {
    denied::catch()?;
    // The first one has to let through what puts the second one in force, and does.
    apply_filter_all_threads(&missing()?)?;
    Ok(apply_filter_all_threads(&allowed()?)?)
}

/// What fails as if the kernel did not know it.
fn missing() -> Result<BpfProgram, seccompiler::Error> {
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let rules = calls::missing()?.into_iter().collect();
    program(rules, SeccompAction::Allow, missing)
}

/// What is let through.
fn allowed() -> Result<BpfProgram, seccompiler::Error> {
    // What the other filter answers is not denied by this one.
    let missing = calls::missing()?.into_iter().map(|(call, _)| call);
    let any = calls::ANY.iter().copied().chain(missing);
    let mut rules: BTreeMap<_, _> = any.map(|call| (call, Vec::new())).collect();
    rules.extend(calls::some()?);
    program(rules, SeccompAction::Trap, SeccompAction::Allow)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let filter = SeccompFilter::new(rules, otherwise, matching, TargetArch::x86_64)?;
    Ok(filter.try_into()?)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Set in the process that a test starts, which alone is filtered.
    const CHILD: &str = "BROKEN_LNS_TEST_FILTER";

    /// Runs this test once more in a process of its own, and that is where it does something.
    fn in_a_process_of_its_own(test: &str, body: fn()) {
        if std::env::var_os(CHILD).is_some() {
            return body();
        }
        let own = std::env::current_exe().expect("every Linux tells");
        let mut child = Command::new(own);
        child.args([
            &format!("privilege::filter::tests::{test}"),
            "--exact",
            "--nocapture",
        ]);
        let output = child.env(CHILD, "1").output().expect("it can be started");
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: {printed}{said}",
            output.status
        );
        assert!(printed.contains("1 passed"), "{printed}");
    }

    fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Option<i32> {
        result.expect_err("it is denied").raw_os_error()
    }

    /// One that maps memory with these rights.
    fn map(rights: libc::c_int) -> io::Result<()> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping that nobody uses changes no memory of ours.
        let mapped = unsafe { libc::mmap(std::ptr::null_mut(), 4096, rights, flags, -1, 0) };
        match mapped {
            libc::MAP_FAILED => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    fn call(number: i64, first: i64) -> io::Result<i64> {
        // SAFETY: none of the calls below comes to touch memory: they are denied, or unknown, or
        // take numbers only.
        match unsafe { libc::syscall(number, first, 0, 0, 0, 0, 0) } {
            -1 => Err(io::Error::last_os_error()),
            result => Ok(result),
        }
    }

    #[test]
    fn a_call_that_is_not_allowed_fails_in_every_thread_and_is_counted() {
        in_a_process_of_its_own(
            "a_call_that_is_not_allowed_fails_in_every_thread_and_is_counted",
            || {
                let (go, told) = std::sync::mpsc::channel::<()>();
                let before = std::thread::spawn(move || {
                    told.recv().expect("it is told");
                    errno(call(libc::SYS_ptrace, 0))
                });
                apply().expect("every kernel of ours filters");
                go.send(()).expect("it waits");
                let denied = Some(libc::EPERM);
                assert_eq!(before.join().expect("it goes on"), denied);
                let after = std::thread::spawn(|| errno(call(libc::SYS_ptrace, 0)));
                assert_eq!(after.join().expect("it goes on"), denied);
                let started = Command::new("/bin/true").status();
                assert_eq!(errno(started), Some(libc::ENOSYS));
                assert_eq!(errno(map(libc::PROT_READ | libc::PROT_EXEC)), denied);
                map(libc::PROT_READ).expect("data is no code");
                // BPF_PROG_LOAD, and a lookup in a map that does not exist.
                assert_eq!(errno(call(libc::SYS_bpf, 5)), denied);
                assert_ne!(errno(call(libc::SYS_bpf, 1)), denied);
                assert_eq!(errno(std::net::TcpStream::connect("127.0.0.1:1")), denied);
                assert_eq!(errno(call(libc::SYS_setuid, 0)), denied);
                for unknown in [libc::SYS_clone3, calls::UNKNOWN.start, libc::SYS_fork] {
                    assert_eq!(errno(call(unknown, 0)), Some(libc::ENOSYS), "{unknown}");
                }
                let counted = |number: i64| {
                    let calls = [libc::SYS_ptrace, libc::SYS_setuid, libc::SYS_bpf];
                    calls.contains(&number)
                };
                let counts: Vec<_> = denied::denied()
                    .filter(|denied| counted(denied.number as i64))
                    .map(|denied| (denied.number as i64, denied.times))
                    .collect();
                let expected = [
                    (libc::SYS_ptrace, 2),
                    (libc::SYS_setuid, 1),
                    (libc::SYS_bpf, 1),
                ];
                assert_eq!(counts, expected);
                assert_eq!(denied::denied().count(), 0);
            },
        );
    }

    #[test]
    fn a_signal_that_somebody_sends_is_no_denied_call() {
        in_a_process_of_its_own("a_signal_that_somebody_sends_is_no_denied_call", || {
            denied::catch().expect("it can be handled");
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGSYS).expect("to oneself");
            assert_eq!(denied::denied().count(), 0);
        });
    }

    #[test]
    fn both_filters_can_be_built() {
        for program in [missing(), allowed()] {
            let len = program.expect("every rule is well formed").len();
            // The kernel takes no more.
            assert!(len <= 4096, "{len}");
        }
    }
}
