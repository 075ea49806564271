//! The way along a path to the directory of a file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd, RawFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::unistd::geteuid;

use super::Unsafe;

/// Links on the way that are followed, as many as the kernel does.
const LINKS: u32 = 40;

/// What a path means.
#[derive(Debug)]
pub(super) enum Target {
    /// A descriptor that this process has already, as `/dev/stdout` and `/dev/fd/3` mean it.
    Descriptor(RawFd),
    /// A name in a directory.
    Place(Place),
}

/// A name in a directory, at which there is no link.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory, open but not for reading.
    pub(super) directory: OwnedFd,
    /// The name.
    pub(super) name: OsString,
    /// Whether somebody else can change what is in the directory.
    pub(super) is_exposed: bool,
}

/// Goes along a path, and follows only links that nobody else can have made.
pub(super) fn find(path: &Path) -> io::Result<Target> {
    if let Some(descriptor) = descriptor(path) {
        return Ok(Target::Descriptor(descriptor));
    }
    // The path as far as it has been gone, for error messages.
    let mut gone = PathBuf::new();
    let mut ahead = components(path);
    let mut directory = directory(".")?;
    let mut links = 0;
    while let Some(next) = ahead.pop() {
        let is_last = ahead.is_empty();
        if next == "/" || next == ".." {
            directory = match next == "/" {
                true => self::directory("/")?,
                false => step(directory.as_fd(), &next)?,
            };
            gone.push(next);
            continue;
        }
        let is_exposed = is_exposed(&fstat(&directory)?);
        match readlinkat(&directory, &*next) {
            Ok(_) if is_exposed => return Err(Unsafe::Link(gone.join(next)).into()),
            Ok(link) => {
                links += 1;
                if links > LINKS {
                    return Err(Errno::ELOOP.into());
                }
                let rest = ahead.iter().rev().collect::<PathBuf>();
                let whole = Path::new(&link).join(rest);
                if let Some(descriptor) = descriptor(&whole) {
                    return Ok(Target::Descriptor(descriptor));
                }
                ahead = components(&whole);
            }
            // It is no link, or nothing at all.
            Err(Errno::EINVAL | Errno::ENOENT) if is_last => {
                return Ok(Target::Place(Place {
                    directory,
                    name: next,
                    is_exposed,
                }));
            }
            Err(Errno::EINVAL) => {
                directory = step(directory.as_fd(), &next)?;
                gone.push(next);
            }
            Err(error) => return Err(error.into()),
        }
    }
    // Nothing but `/`, `.` or `..` is at the end.
    Err(io::ErrorKind::IsADirectory.into())
}

/// The directory once more, open for what needs a right to read.
pub(super) fn readable(directory: &OwnedFd) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(openat(directory, ".", flags, Mode::empty())?.into())
}

/// Whether somebody else than this user and root can change what is in a directory.
pub(super) fn is_exposed(directory: &FileStat) -> bool {
    let others = Mode::S_IWGRP | Mode::S_IWOTH;
    let is_ours = [0, geteuid().as_raw()].contains(&directory.st_uid);
    !is_ours || Mode::from_bits_truncate(directory.st_mode).intersects(others)
}

/// The parts of a path, the first one last.
fn components(path: &Path) -> Vec<OsString> {
    let components = path.components().rev();
    let named = components.filter(|component| *component != Component::CurDir);
    named
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

fn directory(path: &str) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(open(path, flags, Mode::empty())?)
}

/// Opens a directory in a directory. A link that has taken its place in between is an error.
fn step(directory: impl AsFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let next = openat(directory, name, flags, Mode::empty())?;
    match SFlag::from_bits_truncate(fstat(&next)?.st_mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFDIR => Ok(next),
        SFlag::S_IFLNK => Err(Errno::ELOOP.into()),
        _ => Err(Errno::ENOTDIR.into()),
    }
}

/// The descriptor of this process that a path means by its text. The kernel shows these as links
/// whose text is no path.
fn descriptor(path: &Path) -> Option<RawFd> {
    match path.to_str()? {
        "/dev/stdin" => return Some(io::stdin().as_raw_fd()),
        "/dev/stdout" => return Some(io::stdout().as_raw_fd()),
        "/dev/stderr" => return Some(io::stderr().as_raw_fd()),
        _ => {}
    }
    let own = format!("/proc/{}/fd", std::process::id());
    let directories = ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd", &own];
    let parent = path.parent()?;
    let is_one = directories.iter().any(|known| parent == Path::new(known));
    let number = path.file_name()?.to_str()?;
    number.parse().ok().filter(|_| is_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_paths_mean_a_descriptor() {
        let own = format!("/proc/{}/fd/7", std::process::id());
        for (path, number) in [
            ("/dev/stdout", Some(1)),
            ("/dev/stderr", Some(2)),
            ("/dev/fd/3", Some(3)),
            ("/proc/self/fd/12", Some(12)),
            (&own, Some(7)),
            ("/proc/1/fd/1", None),
            ("/dev/fd/x", None),
            ("/dev/fd", None),
            ("/dev/null", None),
            ("dev/stdout", None),
        ] {
            assert_eq!(descriptor(Path::new(path)), number, "{path}");
        }
    }

    #[test]
    fn what_ends_in_no_name_is_a_directory() {
        for path in ["/", ".", "..", "/tmp/..", ""] {
            let error = find(Path::new(path)).expect_err(path);
            assert_eq!(error.kind(), io::ErrorKind::IsADirectory, "{path}");
        }
    }
}
