//! The file of a control socket: made for its owner alone, and removed with the responder.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket,
    sockopt::PeerCredentials,
};
use nix::unistd::geteuid;

use super::lock::{Lock, LockError};

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The directory cannot be made or used.
    #[error(
        "cannot use the directory {} for a control socket: {cause}; \
         choose another place with --control PATH, or none with --control none",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },

    /// Others could put a socket of their own in the place of ours.
    #[error(
        "the directory {} is not safe for a control socket, since {reason}: put that right with \
         `chown root {} && chmod 755 {}`, or choose another place with --control PATH",
        path.display(), path.display(), path.display()
    )]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// It cannot be made sure that nobody else is about to listen there.
    #[error("cannot make the control socket {}: {cause}", path.display())]
    Lock {
        /// The socket.
        path: PathBuf,
        /// What is in the way.
        cause: LockError,
    },

    /// Somebody listens there.
    #[error(
        "process {pid} listens at {path} already; stop it with \
         `broken-lns stop --control {path}`, or choose another place with --control PATH",
        path = path.display()
    )]
    Live {
        /// The socket.
        path: PathBuf,
        /// Who listens.
        pid: i32,
    },

    /// What is there has nothing to do with us.
    #[error(
        "{} is there already, and is not a socket; \
         remove it, or choose another place with --control PATH",
        .0.display()
    )]
    NotSocket(PathBuf),

    /// The socket cannot be made.
    #[error(
        "cannot make the control socket {}: {cause}; \
         choose another place with --control PATH, or none with --control none",
        path.display()
    )]
    Socket {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },
}

impl ListenError {
    /// Whether the place is one where we may not write.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Directory { cause, .. } | Self::Socket { cause, .. } => matches!(
                cause.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ),
            Self::Unsafe { .. } | Self::Lock { .. } | Self::Live { .. } | Self::NotSocket(_) => {
                false
            }
        }
    }
}

/// The file of a socket that we listen at, removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: what has taken our place is not ours to remove.
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Nothing depends on it: a file that stays is taken for stale.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a directory for sockets, unless it is there and nobody but its owner, who is root or
/// ourselves, can write to it.
pub(super) fn make_directory(path: &Path) -> Result<(), ListenError> {
    let failed = |cause| ListenError::Directory {
        path: path.to_owned(),
        cause,
    };
    match DirBuilder::new().mode(0o755).create(path) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => return Err(failed(cause)),
        _ => {}
    }
    let found = fs::symlink_metadata(path).map_err(failed)?;
    let mode = found.mode() & 0o7777;
    let reason = if !found.is_dir() {
        "it is none".to_owned()
    } else if !is_trusted(found.uid()) {
        format!("it belongs to user {}", found.uid())
    } else if mode & 0o022 != 0 {
        format!("others than its owner may write there (mode {mode:04o})")
    } else {
        return Ok(());
    };
    Err(ListenError::Unsafe {
        path: path.to_owned(),
        reason,
    })
}

/// Whether a user may do what we can do: root, or ourselves.
pub(super) fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// Listens at `path`, where nobody but the owner can connect.
pub(super) fn listen_at(path: &Path) -> Result<(UnixListener, SocketFile), ListenError> {
    let failed = |cause| ListenError::Socket {
        path: path.to_owned(),
        cause,
    };
    let _lock = Lock::of(path).map_err(|cause| match cause {
        LockError::Open(cause) if cause.kind() == io::ErrorKind::NotFound => {
            ListenError::Directory {
                path: directory_of(path).to_owned(),
                cause,
            }
        }
        LockError::Open(cause) => failed(cause),
        cause => ListenError::Lock {
            path: path.to_owned(),
            cause,
        },
    })?;
    remove_stale(path)?;
    let listener = bound(path).map_err(failed)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path).map_err(failed)?,
    };
    Ok((listener, file))
}

/// The directory that a file is in.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Removes the file of a socket at which nobody listens any more.
fn remove_stale(path: &Path) -> Result<(), ListenError> {
    let failed = |cause| ListenError::Socket {
        path: path.to_owned(),
        cause,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(stream) => Err(ListenError::Live {
            path: path.to_owned(),
            pid: pid_of_peer(&stream),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

/// The process at the other end.
pub(super) fn pid_of_peer(stream: &UnixStream) -> i32 {
    getsockopt(stream, PeerCredentials).map_or(0, |peer| peer.pid())
}

/// The user at the other end, as it began to listen.
pub(super) fn uid_of_peer(stream: &UnixStream) -> io::Result<u32> {
    Ok(getsockopt(stream, PeerCredentials)?.uid())
}

/// A listening socket whose file has its mode from the first moment.
fn bound(path: &Path) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // The kernel gives the file the mode that the socket has when it is bound.
    let socket = File::from(socket);
    socket.set_permissions(Permissions::from_mode(0o600))?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::MAXCONN)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

/// What tells a file from one that is at the same path later.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
