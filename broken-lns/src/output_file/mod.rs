//! The files that a run creates: reports and captures.
//!
//! All of them are opened here, by the same rules:
//!
//! - A new file has the mode of `--output-mode`, 0600 by default, whatever the umask is.
//! - A symbolic link is followed only where it stands in a directory that nobody else can change:
//!   `place` walks the path and looks at each directory.
//! - A file that is there already is written over only if an earlier run made it: a regular file
//!   of this user, with one link, that is empty or begins as such a file does. `claim` checks that.
//! - A pipe, a terminal or `/dev/null` takes the contents and stays what it is. Nothing is ever
//!   written to a block device.
//!
//! A file is reached through its directory, which stays open from the first check to the last
//! step, so that nobody exchanges a part of the path in between.

mod claim;
mod mode;
mod place;
mod reader;
mod stream;

use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process;

use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd::{UnlinkatFlags, unlinkat};

pub use mode::{BadMode, OutputMode};

use claim::Found;
use place::{Place, Target};

/// Names that are tried for the new contents, of which others may be left from a process that
/// was killed.
const NAMES: u32 = 64;

/// A file that may be created or written over.
#[derive(Clone, Copy, Debug)]
pub struct OutputFile<'f> {
    /// Where it is.
    pub path: &'f Path,
    /// The mode that it gets.
    pub mode: OutputMode,
    /// Whether a file that begins with these octets was made by an earlier run. They are the first
    /// [`BEGIN`] of it, or all where it is shorter.
    pub is_ours: fn(&[u8]) -> bool,
}

/// Octets by which a file of an earlier run is recognised, at most.
pub const BEGIN: usize = 1024;

/// Why a place is not written to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// The path leads through a link that somebody else may have made.
    #[error(
        "{} is a symbolic link in a directory that other users can change; give the path that it \
         leads to",
        .0.display()
    )]
    Link(PathBuf),
    /// A disk or a part of one.
    #[error("it is a block device")]
    BlockDevice,
    /// A socket takes no file.
    #[error("it is a socket")]
    Socket,
    /// A pipe or a device of another user, in a directory that they can change.
    #[error("it is a pipe or a device of user {0}, in a directory that other users can change")]
    Stream(u32),
    /// There is a file of another user.
    #[error("it is there already and belongs to user {0}; only its removal makes room")]
    Owner(u32),
    /// The file has other names.
    #[error("it is there already and has {0} hard links; only its removal makes room")]
    HardLinks(u64),
    /// The file has contents that no run made.
    #[error("it is there already and was not made by broken-lns; only its removal makes room")]
    Contents,
}

impl From<Unsafe> for io::Error {
    fn from(refused: Unsafe) -> Self {
        Self::other(refused)
    }
}

/// A file that is open for writing at its end.
#[derive(Debug)]
pub struct Opened {
    /// The file.
    pub file: File,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl OutputFile<'_> {
    /// Whether the file can be given contents, as far as one can tell beforehand.
    ///
    /// # Errors
    ///
    /// [`Unsafe`], or what the file system says.
    pub fn check(&self) -> io::Result<()> {
        let place = match place::find(self.path)? {
            Target::Descriptor(_) => return Ok(()),
            Target::Place(place) => place,
        };
        match claim::look(&place)? {
            // To open a pipe might wait, or tell a reader that there is no more.
            Found::Stream => return Ok(()),
            Found::Regular => drop(claim::regular(&place, OFlag::O_RDONLY, self.is_ours)?),
            Found::Nothing => {}
        }
        let (new, _) = self.create_beside(&place)?;
        remove(&place, &new)
    }

    /// Gives the file these contents, which are on the disk before the file has them.
    ///
    /// Its directory must exist. A pipe or a device is given the contents and stays what it is;
    /// nobody waits for a reader that is not there or does not read.
    ///
    /// # Errors
    ///
    /// [`Unsafe`], or what the file system says. The file is then as it was, and there is no other
    /// one.
    pub fn replace(&self, contents: &[u8]) -> io::Result<()> {
        let place = match place::find(self.path)? {
            Target::Descriptor(number) => return stream::inherited(number)?.write_all(contents),
            Target::Place(place) => place,
        };
        match claim::look(&place)? {
            Found::Stream => return reader::write(&place, contents),
            Found::Regular => drop(claim::regular(&place, OFlag::O_RDONLY, self.is_ours)?),
            Found::Nothing => {}
        }
        let (new, mut file) = self.create_beside(&place)?;
        let directory = place.directory.as_fd();
        let written = file
            .write_all(contents)
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(directory, &*new, directory, &*place.name)?));
        if written.is_err() {
            // What made the first step fail is worth reporting, not this one.
            let _ = remove(&place, &new);
            return written;
        }
        // Not every file system can do it, and the contents are whole either way.
        let _ = place::readable(&place.directory).and_then(|directory| directory.sync_all());
        Ok(())
    }

    /// Opens the file to write at its end, or makes it.
    ///
    /// # Errors
    ///
    /// [`Unsafe`], or what the file system says.
    pub fn open(&self) -> io::Result<Opened> {
        let place = match place::find(self.path)? {
            Target::Descriptor(number) => {
                return Ok(Opened {
                    file: stream::reopened(number)?,
                    is_new: false,
                });
            }
            Target::Place(place) => place,
        };
        let opened = |file, is_new| Opened { file, is_new };
        for _ in 0..NAMES {
            match claim::look(&place)? {
                Found::Stream => return Ok(opened(stream::open(&place)?, false)),
                Found::Regular => {
                    let flags = OFlag::O_RDWR | OFlag::O_APPEND;
                    match claim::regular(&place, flags, self.is_ours) {
                        // Somebody has removed it in between.
                        Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                        file => {
                            let file = file?;
                            self.mode.apply_to(&file)?;
                            return Ok(opened(file, false));
                        }
                    }
                }
                Found::Nothing => match self.create(&place, &place.name) {
                    // Somebody has made it in between.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    file => return Ok(opened(file?, true)),
                },
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Creates a file in the same directory that nobody else has, not even as a link.
    fn create_beside(&self, place: &Place) -> io::Result<(OsString, File)> {
        let mut error = None;
        for number in 0..NAMES {
            let new = OsString::from(format!(".broken-lns-{}-{number}.new", process::id()));
            match self.create(place, &new) {
                Ok(file) => return Ok((new, file)),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => error = Some(taken),
                Err(other) => return Err(other),
            }
        }
        Err(error.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
    }

    fn create(&self, place: &Place, name: &OsStr) -> io::Result<File> {
        let flags = OFlag::O_RDWR
            | OFlag::O_APPEND
            | OFlag::O_CREAT
            | OFlag::O_EXCL
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let private = Mode::S_IRUSR | Mode::S_IWUSR;
        let file = openat(&place.directory, name, flags, private)?;
        let file = File::from(file);
        self.mode.apply_to(&file)?;
        Ok(file)
    }
}

impl OutputMode {
    /// Gives it to a file that is open, whatever the umask is.
    fn apply_to(self, file: &File) -> io::Result<()> {
        file.set_permissions(Permissions::from_mode(self.bits()))
    }
}

/// What tells a file from one that is at the same path later: device and inode.
pub type Identity = (u64, u64);

/// Removes the file at `path` if it is still that one.
///
/// # Errors
///
/// What the file system says, or [`Unsafe::Link`].
pub fn remove_own(path: &Path, identity: Identity) -> io::Result<()> {
    let Target::Place(place) = place::find(path)? else {
        return Ok(());
    };
    let there = stat(&place)?;
    match (there.st_dev, there.st_ino) == identity {
        true => remove(&place, &place.name),
        false => Ok(()),
    }
}

fn remove(place: &Place, name: &OsStr) -> io::Result<()> {
    Ok(unlinkat(
        &place.directory,
        name,
        UnlinkatFlags::NoRemoveDir,
    )?)
}

/// What is at the place itself, even if it is a link.
fn stat(place: &Place) -> io::Result<FileStat> {
    let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
    Ok(fstatat(&place.directory, &*place.name, flags)?)
}

#[cfg(test)]
mod tests;
