//! What takes octets and has no contents of its own: pipes, terminals, `/dev/null`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{FromRawFd as _, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};

use super::claim::{Found, kind};
use super::place::Place;

/// Opens one that is at that place; a pipe waits until somebody reads.
pub(super) fn open(place: &Place) -> io::Result<File> {
    open_with(place, OFlag::empty())
}

/// Opens one that is at that place, and waits for nobody; a pipe that nobody reads from is ENXIO.
pub(super) fn open_at_once(place: &Place) -> io::Result<File> {
    open_with(place, OFlag::O_NONBLOCK)
}

fn open_with(place: &Place, more: OFlag) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let flags = flags | more;
    let file = openat(&place.directory, &*place.name, flags, Mode::empty())?;
    // Another file may have taken its place since it was looked at.
    match kind(&fstat(&file)?, place.is_exposed)? {
        Found::Stream => Ok(file.into()),
        Found::Regular | Found::Nothing => Err(Errno::EBUSY.into()),
    }
}

/// A descriptor of this process once more, with the same position in the file. That asks nobody
/// for a right to open it, which another user may not have.
pub(super) fn inherited(number: RawFd) -> io::Result<File> {
    // SAFETY: the call takes numbers only.
    let descriptor = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else owns it.
    checked(unsafe { File::from_raw_fd(descriptor) })
}

/// What such a descriptor leads to, opened anew for writing at its end.
pub(super) fn reopened(number: RawFd) -> io::Result<File> {
    inherited(number)?;
    let path = format!("/proc/self/fd/{number}");
    checked(OpenOptions::new().append(true).open(path)?)
}

/// The file, unless it is one that nothing is written to.
fn checked(file: File) -> io::Result<File> {
    kind(&fstat(&file)?, false)?;
    Ok(file)
}
