//! Whether what is at a place already may be written over.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;

use super::place::Place;
use super::{BEGIN, Unsafe, stat};

/// What is at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet.
    Nothing,
    /// A regular file, of whomever it is.
    Regular,
    /// A pipe, a terminal, `/dev/null`: it takes octets and stays what it is.
    Stream,
}

/// Looks at what is there.
pub(super) fn look(place: &Place) -> io::Result<Found> {
    match stat(place) {
        Ok(there) => kind(&there, place.is_exposed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

/// What that is, if anything may be written to it.
pub(super) fn kind(there: &FileStat, is_exposed: bool) -> io::Result<Found> {
    match SFlag::from_bits_truncate(there.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFREG => Ok(Found::Regular),
        SFlag::S_IFDIR => Err(io::ErrorKind::IsADirectory.into()),
        SFlag::S_IFBLK => Err(Unsafe::BlockDevice.into()),
        SFlag::S_IFSOCK => Err(Unsafe::Socket.into()),
        // It has taken the place of what was there when the path was gone along.
        SFlag::S_IFLNK => Err(Errno::ELOOP.into()),
        _ if is_exposed && ![0, geteuid().as_raw()].contains(&there.st_uid) => {
            Err(Unsafe::Stream(there.st_uid).into())
        }
        _ => Ok(Found::Stream),
    }
}

/// Opens a regular file that an earlier run made, with these flags.
pub(super) fn regular(place: &Place, flags: OFlag, is_ours: fn(&[u8]) -> bool) -> io::Result<File> {
    // A pipe that has taken its place must not make this wait.
    let guards = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = openat(
        &place.directory,
        &*place.name,
        flags | guards,
        Mode::empty(),
    );
    let there = match &file {
        // An owner who may not read or write it is still to be told whose it is.
        Err(Errno::EACCES | Errno::EPERM) => stat(place)?,
        Err(error) => return Err((*error).into()),
        Ok(file) => fstat(file)?,
    };
    if kind(&there, place.is_exposed)? != Found::Regular {
        return Err(Errno::EBUSY.into());
    }
    if there.st_uid != geteuid().as_raw() {
        return Err(Unsafe::Owner(there.st_uid).into());
    }
    if there.st_nlink > 1 {
        return Err(Unsafe::HardLinks(there.st_nlink).into());
    }
    let file = File::from(file?);
    let begin = begin_of(&file)?;
    match begin.is_empty() || is_ours(&begin) {
        true => Ok(file),
        false => Err(Unsafe::Contents.into()),
    }
}

/// The first octets of a file, up to [`BEGIN`].
fn begin_of(file: &File) -> io::Result<Vec<u8>> {
    let mut begin = vec![0; BEGIN];
    let mut len = 0;
    while let Some(rest) = begin.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, len as u64)? {
            0 => break,
            read => len += read,
        }
    }
    begin.truncate(len);
    Ok(begin)
}
