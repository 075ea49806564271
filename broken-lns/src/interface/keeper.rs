//! What puts features back when the run is over, however it ends.
//!
//! That is a process of its own, which waits until the end of a pipe is closed that this process
//! alone has: it may be killed, and may have given up the right to change an interface. It was
//! made before the threads and the program, and has nothing of this process but that pipe, and a
//! socket with the requests that are made at the end.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use super::ethtool::{Asker, Request};

/// Puts features back when it is dropped, or when this process ends.
#[derive(Debug)]
pub struct Keeper {
    /// Dropped before the process is waited for.
    pipe: Option<OwnedFd>,
    process: libc::pid_t,
}

impl Keeper {
    /// A keeper that will make these requests, in the network namespace of the calling thread.
    pub(super) fn new(requests: &mut [Request]) -> io::Result<Self> {
        let asker = Asker::new()?;
        let mut ends: [RawFd; 2] = [-1; 2];
        // SAFETY: there is room for both descriptors.
        checked(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
        // SAFETY: the descriptors are new and nobody else's.
        let [reader, pipe] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });

        // A signal to the whole group is for this process, which then ends the other.
        // SAFETY: signal sets are plain data, and the calls write only there.
        let before = unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            before
        };
        // SAFETY: in the child nothing runs but `keep`, which makes system calls only, with memory
        // that was prepared here.
        let process = unsafe { libc::fork() };
        if process == 0 {
            keep(reader.as_raw_fd(), &asker, requests);
        }
        let forked = checked(process);
        // SAFETY: the set is the one that was there before.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        }
        forked?;
        Ok(Self {
            pipe: Some(pipe),
            process,
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.pipe = None;
        // SAFETY: the process is a child of ours, which ends now; nobody else waits for it.
        while unsafe { libc::waitpid(self.process, std::ptr::null_mut(), 0) } < 0
            && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
        {}
    }
}

/// Waits until the pipe ends, makes the requests, and ends the process.
///
/// It is the child of a process that may have had other threads, so that it makes system calls
/// and nothing else.
fn keep(pipe: RawFd, asker: &Asker, requests: &mut [Request]) -> ! {
    let (first, second) = (pipe.min(asker.fd()), pipe.max(asker.fd()));
    for (from, to) in [
        (0, first - 1),
        (first + 1, second - 1),
        (second + 1, RawFd::MAX),
    ] {
        if from <= to {
            // SAFETY: nothing of this process uses these descriptors. Where the kernel cannot close
            // them, before 5.9, the responder does not run.
            unsafe {
                libc::syscall(libc::SYS_close_range, from, to, 0);
            }
        }
    }
    let mut octet = 0_u8;
    // SAFETY: there is room for one octet, and nobody writes any.
    while unsafe { libc::read(pipe, (&raw mut octet).cast(), 1) } != 0 {}
    for request in requests {
        // What is not there any more needs nothing.
        let _ = asker.ask(request);
    }
    // SAFETY: it ends the process at once.
    unsafe { libc::_exit(0) }
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
