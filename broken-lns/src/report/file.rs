//! A file that has either its old contents or its new ones, whenever one looks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use super::stream;

/// Names that are tried for the new contents, of which others may be left from a process that
/// was killed.
const NAMES: u32 = 64;

/// Gives a file these contents, which are on the disk before the file has them.
///
/// Its directory must exist. A link at its place is replaced, and not followed. A pipe or a
/// device is given the contents and stays what it is, also where a link leads to it, by
/// [`stream::write`].
///
/// # Errors
///
/// Those of the file system. The file is then as it was, and there is no other one.
pub(super) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    if is_stream(path) {
        return stream::write(path, contents);
    }
    let directory = directory_of(path);
    let (new, mut file) = create_beside(directory)?;
    let written = file
        .write_all(contents)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // What made the first step fail is worth reporting, not this one.
        let _ = fs::remove_file(&new);
        return written;
    }
    // Not every file system can do it, and the contents are whole either way.
    let _ = File::open(directory).and_then(|directory| directory.sync_all());
    Ok(())
}

/// Whether a file can be given contents, as far as one can tell beforehand.
///
/// # Errors
///
/// Those of the file system.
pub(super) fn check(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if is_stream(path) {
        // To open a pipe might wait, or tell a reader that there is no more.
        return Ok(());
    }
    let (new, _) = create_beside(directory_of(path))?;
    fs::remove_file(new)
}

/// Whether there is something that takes octets and has no contents of its own: a pipe, a
/// terminal, `/dev/null`.
fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Creates a file in the directory that nobody else has, not even as a link.
fn create_beside(directory: &Path) -> io::Result<(PathBuf, File)> {
    let mut error = None;
    for number in 0..NAMES {
        let new = directory.join(format!(".broken-lns-{}-{number}.new", process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&new) {
            Ok(file) => return Ok((new, file)),
            Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => error = Some(taken),
            Err(other) => return Err(other),
        }
    }
    Err(error.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}
