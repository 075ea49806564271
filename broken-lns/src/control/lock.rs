//! The lock that whoever makes a control socket holds for that time.
//!
//! Of two responders that begin at the same time and find a stale socket, one has to find the
//! other's. The lock is a file beside the socket, which nobody but its owner can open: whoever can
//! open a file can lock it, and keep everybody else waiting.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// How long it is tried. Whoever has it needs it for an instant.
const PATIENCE: Duration = Duration::from_secs(2);

/// From one attempt to the next.
const STEP: Duration = Duration::from_millis(10);

/// Why it cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Its file cannot be opened.
    #[error(transparent)]
    Open(#[from] io::Error),

    /// Somebody else has made its file.
    #[error(
        "{} is not a lock of ours: it belongs to user {uid}, or is no regular file; remove it, or \
         choose another place with --control PATH",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        uid: u32,
    },

    /// Somebody keeps it.
    #[error(
        "another process keeps {} locked, which takes an instant where all is well: a responder \
         that was suspended while it started? End it, or choose another place with --control PATH",
        .0.display()
    )]
    Kept(PathBuf),
}

/// The lock for a socket, and its file, which goes when this is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    /// Open for as long as it is locked.
    _file: File,
}

impl Lock {
    /// Locks what is done about that socket.
    pub(super) fn of(socket: &Path) -> Result<Self, LockError> {
        Self::within(PATIENCE, socket)
    }

    fn within(patience: Duration, socket: &Path) -> Result<Self, LockError> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let start = Instant::now();
        loop {
            let file = open(&path)?;
            match file.try_lock() {
                // Whoever had it until now may have removed the file.
                Ok(()) if is_at(&file, &path)? => return Ok(Self { path, _file: file }),
                Ok(()) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) if start.elapsed() >= patience => {
                    return Err(LockError::Kept(path));
                }
                Err(TryLockError::WouldBlock) => sleep(STEP),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // One that stays is taken again.
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens a file of our own that nobody else can open, or makes it.
fn open(path: &Path) -> Result<File, LockError> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != geteuid().as_raw() {
        return Err(LockError::Foreign {
            path: path.to_owned(),
            uid: found.uid(),
        });
    }
    Ok(file)
}

/// Whether the file is still the one at that path.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use xtask::lab::Scratch;

    use super::*;

    #[test]
    fn nobody_but_its_owner_can_open_it_and_nothing_is_left() {
        let scratch = Scratch::new("lock").expect("a directory");
        let socket = scratch.file("eth1.sock");
        let path = scratch.file("eth1.sock.lock");
        let lock = Lock::of(&socket).expect("it is free");
        let mode = fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        drop(lock);
        assert!(!path.exists());
    }

    #[test]
    fn two_never_have_it_at_once() {
        let scratch = Scratch::new("lock").expect("a directory");
        let socket = scratch.file("eth1.sock");
        let (inside, times) = (AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        let lock = Lock::within(Duration::from_secs(60), &socket);
                        let lock = lock.expect("it is free soon");
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                        times.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(times.into_inner(), 200);
    }

    #[test]
    fn one_that_is_kept_is_not_waited_for() {
        let scratch = Scratch::new("lock").expect("a directory");
        let socket = scratch.file("eth1.sock");
        let kept = Lock::of(&socket).expect("it is free");
        let error = Lock::within(Duration::ZERO, &socket).expect_err("it is kept");
        let said = error.to_string();
        let start = format!("another process keeps {}.lock locked", socket.display());
        assert!(said.starts_with(&start), "{said}");
        drop(kept);
        Lock::of(&socket).expect("it is free");
    }

    #[test]
    fn what_is_no_file_of_ours_is_no_lock() {
        let scratch = Scratch::new("lock").expect("a directory");
        let socket = scratch.file("eth1.sock");
        let path = scratch.file("eth1.sock.lock");
        mkfifo(&path, Mode::S_IRWXU).expect("the name is free");
        assert!(matches!(Lock::of(&socket), Err(LockError::Foreign { .. })));
        fs::remove_file(&path).expect("it is there");
        let target = scratch.file("target");
        fs::write(&target, "precious").expect("it can be written");
        symlink(&target, &path).expect("the name is free");
        assert!(matches!(Lock::of(&socket), Err(LockError::Open(_))));
    }
}
