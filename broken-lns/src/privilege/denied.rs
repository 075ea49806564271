//! System calls that the filter did not let through: each fails with EPERM, and is counted.
//!
//! The kernel raises SIGSYS in the thread that made such a call. The handler has the call return
//! EPERM and the thread go on. To end the process instead would be safer against an attacker, but
//! a call that nobody thought of, on some rare path, would end a run of weeks. To return EPERM from
//! the filter itself would be simpler, but nobody would ever hear of it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{io, mem, ptr};

/// More than any number of a system call.
const NUMBERS: usize = 1024;

static DENIED: [AtomicU32; NUMBERS] = [const { AtomicU32::new(0) }; NUMBERS];

/// A system call that was denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "system call {number} was denied {times} times, which is a mistake in broken-lns: please \
     report it (`ausyscall {number}` names it), and start with --no-sandbox if it does harm"
)]
pub struct Denied {
    /// Its number.
    pub number: usize,
    /// How often since the last time that somebody asked.
    pub times: u32,
}

/// The calls that were denied since the last time that somebody asked.
pub fn denied() -> impl Iterator<Item = Denied> {
    DENIED.iter().enumerate().filter_map(|(number, counter)| {
        let times = counter.swap(0, Ordering::Relaxed);
        (times > 0).then_some(Denied { number, times })
    })
}

/// Has SIGSYS counted, and the calls that it is about fail, in all threads.
pub(super) fn catch() -> io::Result<()> {
    // SAFETY: a `sigaction` is made of integers and addresses, all of which may be zero.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_denied as *const () as usize;
    // Tokio and the standard library leave this signal alone.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the action is whole, and its handler does nothing that a handler may not do.
    match unsafe { libc::sigaction(libc::SIGSYS, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Handles SIGSYS.
extern "C" fn on_denied(
    _signal: libc::c_int,
    information: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    /// What `si_code` is where the signal comes from a filter.
    const SYS_SECCOMP: libc::c_int = 1;
    // SAFETY: the kernel gives a handler with SA_SIGINFO this structure.
    if unsafe { (*information).si_code } != SYS_SECCOMP {
        // Somebody sent it with kill(2).
        return;
    }
    // SAFETY: the kernel gives it this structure, too, and takes the registers of the thread from
    // it when the handler returns.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    // The kernel has put the number of the call back there, and the next instruction is the one
    // after the call.
    let result = &mut registers[libc::REG_RAX as usize];
    if let Some(counter) = usize::try_from(*result).ok().and_then(|at| DENIED.get(at)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
    *result = -i64::from(libc::EPERM);
}
