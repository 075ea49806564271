//! The capabilities of threads, and how they are given up.
//!
//! Capabilities belong to threads, and a new thread has those of the one that starts it. So the
//! order is what makes it airtight:
//!
//! 1. Before any other thread exists, [`limit`] takes away what no step of the start needs, and
//!    the bounding set.
//! 2. A thread that starts before everything is attached is started by [`spawn`], and has given up
//!    all of them before its first step. Those are the threads that see frames. Where others start
//!    threads, as a runtime does, they do so within [`only_with`].
//! 3. Once everything is attached, the first thread gives up the rest with [`keep_only`]. Threads
//!    that it starts from then on have no more than it has.
//! 4. [`check_threads`] asks the kernel whether that holds for every thread there is.

use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;
use std::thread::{self, Builder, JoinHandle};
use std::{fs, io, panic};

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;

/// Gives up all other capabilities in the calling thread, for good.
///
/// # Errors
///
/// Those of the kernel. What was not there before is no error.
pub fn keep_only(kept: &CapsHashSet) -> Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept = &permitted & kept;
    if caps::runtime::ambient_set_supported().is_ok() {
        caps::clear(None, CapSet::Ambient)?;
    }
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}

/// Empties the bounding set of the calling thread, and so of every thread that it starts, where it
/// has the capability to do that. Nothing brings a capability back then.
///
/// # Errors
///
/// Those of the kernel.
pub fn clear_bounding_set() -> Result<(), CapsError> {
    if !caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
        return Ok(());
    }
    for capability in caps::runtime::thread_all_supported() {
        caps::drop(None, CapSet::Bounding, capability)?;
    }
    Ok(())
}

/// Starts a thread that has given up every capability before it does anything, but for what the
/// kernel asks for at [`map_access`].
///
/// # Errors
///
/// Where the system has no room for a thread, or it could not give them up.
pub fn spawn<T: Send + 'static>(
    name: String,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let kept = map_access();
    let (sender, outcome) = sync_channel(1);
    let thread = Builder::new().name(name).spawn(move || {
        let given_up = keep_only(kept);
        let failed = given_up.is_err();
        // The other end waits for it.
        let _ = sender.send(given_up);
        if failed {
            // Ends the thread without a word: the other end has the error.
            panic::resume_unwind(Box::new(()));
        }
        body()
    })?;
    match outcome.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Does something in a thread of its own that has no other capabilities than these. Neither have
/// the threads that it starts.
///
/// # Errors
///
/// Where the capabilities could not be given up, or `body` panicked.
pub fn only_with<T: Send>(kept: &CapsHashSet, body: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            keep_only(kept).map_err(io::Error::other)?;
            Ok(body())
        });
        let panicked = || io::Error::other("it panicked, which is a mistake in broken-lns");
        thread.join().unwrap_or_else(|_| Err(panicked()))
    })
}

/// What the kernel asks for where the maps of a loaded program are read and written.
///
/// That is nothing since Linux 5.19. Before, it was CAP_BPF wherever
/// `kernel.unprivileged_bpf_disabled` was set. A thread without capabilities tries it.
pub fn map_access() -> &'static CapsHashSet {
    static NEEDED: OnceLock<CapsHashSet> = OnceLock::new();
    NEEDED.get_or_init(|| match only_with(&CapsHashSet::new(), look_up_nothing) {
        Ok(error) if error != Errno::EPERM => CapsHashSet::new(),
        Ok(_) | Err(_) => [Capability::CAP_BPF, Capability::CAP_SYS_ADMIN]
            .into_iter()
            .collect(),
    })
}

/// What the kernel says to a lookup in a map that does not exist: EPERM if it looks at
/// capabilities first, EBADF otherwise.
fn look_up_nothing() -> Errno {
    const BPF_MAP_LOOKUP_ELEM: libc::c_long = 1;
    /// The part of `union bpf_attr` for this command.
    #[repr(C)]
    struct Lookup {
        map: i32,
        padding: u32,
        key: u64,
        value: u64,
        flags: u64,
    }
    let mut lookup = Lookup {
        map: -1,
        padding: 0,
        key: 0,
        value: 0,
        flags: 0,
    };
    let len = size_of::<Lookup>();
    // SAFETY: the attributes are as long as said. No descriptor is -1, so that the kernel comes to
    // neither of the addresses.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_ELEM, &raw mut lookup, len) };
    match result {
        0.. => Errno::UnknownErrno,
        _ => Errno::last(),
    }
}

/// A thread that has more than it may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "thread `{thread}` still has the capabilities {capabilities:#x}, which is a mistake in \
     broken-lns; --no-sandbox goes on with all of them"
)]
pub struct StillPrivileged {
    /// Its name.
    thread: String,
    /// A bit for each that it should not have.
    capabilities: u64,
}

/// Sees that no thread of this process has another capability than these.
///
/// # Errors
///
/// [`StillPrivileged`], or where `/proc` does not tell.
pub fn check_threads(kept: &CapsHashSet) -> io::Result<()> {
    let kept = kept.iter().fold(0, |bits, kept| bits | kept.bitmask());
    for task in fs::read_dir("/proc/self/task")? {
        let status = match fs::read_to_string(task?.path().join("status")) {
            Ok(status) => status,
            // It has ended meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => continue,
            Err(error) => return Err(error),
        };
        if let Some(still) = still_privileged(&status, kept) {
            return Err(io::Error::other(still));
        }
    }
    Ok(())
}

/// What a thread has beyond these bits, by its file in `/proc`.
fn still_privileged(status: &str, kept: u64) -> Option<StillPrivileged> {
    let field = |name: &str| {
        let mut lines = status.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::trim)
    };
    let bits = |name| field(name).and_then(|value| u64::from_str_radix(value, 16).ok());
    let all = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|name| bits(name).unwrap_or(0));
    let more = all.into_iter().fold(0, |all, bits| all | bits) & !kept;
    (more != 0).then(|| StillPrivileged {
        thread: field("Name").unwrap_or_default().to_owned(),
        capabilities: more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thread that began with what this one has.
    fn in_a_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        thread::spawn(body).join().expect("it does not panic")
    }

    fn own_status() -> String {
        fs::read_to_string("/proc/thread-self/status").expect("every process has it")
    }

    #[test]
    fn a_thread_keeps_what_it_is_to_keep_and_had() {
        let had = caps::read(None, CapSet::Permitted).expect("the kernel tells");
        let asked: CapsHashSet = [Capability::CAP_NET_RAW, Capability::CAP_BPF]
            .into_iter()
            .collect();
        let expected = &had & &asked;
        let has = in_a_thread(move || {
            keep_only(&asked).expect("one may always give up");
            [CapSet::Permitted, CapSet::Effective, CapSet::Inheritable]
                .map(|set| caps::read(None, set).expect("the kernel tells"))
        });
        assert_eq!(has, [expected.clone(), expected, CapsHashSet::new()]);
        assert_eq!(caps::read(None, CapSet::Permitted).ok(), Some(had));
    }

    #[test]
    fn threads_that_are_started_within_have_no_more() {
        let kept: CapsHashSet = [Capability::CAP_NET_RAW].into_iter().collect();
        let status = only_with(&kept, || in_a_thread(own_status)).expect("one may give up");
        let bits = Capability::CAP_NET_RAW.bitmask();
        assert_eq!(still_privileged(&status, bits), None, "{status}");
    }

    #[test]
    fn a_spawned_thread_has_nothing_but_access_to_maps() {
        let thread = spawn("frames".to_owned(), own_status).expect("there is room");
        let status = thread.join().expect("it does not panic");
        let kept = map_access()
            .iter()
            .fold(0, |bits, kept| bits | kept.bitmask());
        assert_eq!(still_privileged(&status, kept), None, "{status}");
        assert!(status.starts_with("Name:\tframes\n"), "{status}");
    }

    #[test]
    fn the_bounding_set_is_emptied_where_that_is_possible() {
        let may = caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP);
        let left = in_a_thread(|| {
            clear_bounding_set().expect("the kernel tells");
            caps::read(None, CapSet::Bounding).expect("the kernel tells")
        });
        assert_eq!(left.is_empty(), may.expect("the kernel tells"), "{left:?}");
    }

    #[test]
    fn a_thread_that_has_more_is_named() {
        let status = "Name:\tworker\nCapInh:\t0000000000000000\nCapPrm:\t0000000000003000\n\
                      CapEff:\t0000000000001000\nCapBnd:\t000001ffffffffff\n\
                      CapAmb:\t0000000000000000\n";
        let still = |capabilities| {
            Some(StillPrivileged {
                thread: "worker".to_owned(),
                capabilities,
            })
        };
        assert_eq!(still_privileged(status, 0), still(0x3000));
        assert_eq!(still_privileged(status, 0x2000), still(0x1000));
        assert_eq!(still_privileged(status, 0x3000), None);
    }
}
