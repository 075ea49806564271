//! The root file system of a guest: an archive in the newc format that the kernel unpacks to
//! memory, uncompressed, so that nothing is needed to make one.
//!
//! Documentation/driver-api/early-userspace/buffer-format.rst of the kernel has the format.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

const MAGIC: &str = "070701";
const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const LINK: u32 = 0o120_777;

/// An archive, as far as it is written.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    /// The paths that are in it.
    known: BTreeSet<PathBuf>,
}

impl Archive {
    /// Adds an empty directory, with those that it is in.
    pub(super) fn directory(&mut self, path: impl AsRef<Path>) {
        let path = path.as_ref();
        if path.parent().is_none() || path == Path::new("") {
            return;
        }
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        self.entry(path, DIRECTORY, &[]);
    }

    /// Adds a file that may be executed.
    pub(super) fn file(&mut self, path: impl AsRef<Path>, content: &[u8]) {
        self.below(path.as_ref(), PROGRAM, content);
    }

    /// Adds the file `from` of this machine, with what it is where it is a link.
    pub(super) fn copy(&mut self, path: impl AsRef<Path>, from: &Path) -> Result<()> {
        let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(path, &content);
        Ok(())
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: impl AsRef<Path>, target: &str) {
        self.below(path.as_ref(), LINK, target.as_bytes());
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry(Path::new("TRAILER!!!"), 0, &[]);
        self.bytes
    }

    fn below(&mut self, path: &Path, mode: u32, content: &[u8]) {
        if let Some(parent) = path.parent() {
            self.directory(parent);
        }
        self.entry(path, mode, content);
    }

    /// Writes an entry, unless there is one of that path.
    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) {
        let path = path.strip_prefix("/").unwrap_or(path);
        if !self.known.insert(path.to_owned()) {
            return;
        }
        self.entries += 1;
        let name = path.as_os_str().as_encoded_bytes();
        let size = u32::try_from(content.len()).expect("a file below 4 GiB");
        let length = u32::try_from(name.len() + 1).expect("a path below 4 GiB");
        self.bytes.extend(MAGIC.bytes());
        // Number, mode, user, group, links, time; size; two devices; length of the name; no sum.
        let numbers = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0];
        for number in numbers {
            self.bytes.extend(format!("{number:08X}").bytes());
        }
        self.bytes.extend(name);
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_written_as_the_kernel_reads_it() {
        let mut archive = Archive::default();
        archive.file("/a/bc", b"hello");
        // A second time is once.
        archive.directory("/a");
        let bytes = archive.finish();
        // Number, mode, user, group, links, time, size, four halves of devices, name, sum.
        let directory = concat!(
            "070701", "00000001", "000041ED", "00000000", "00000000", "00000001", "00000000",
            "00000000", "00000000", "00000000", "00000000", "00000000", "00000002", "00000000",
        );
        let file = concat!(
            "070701", "00000002", "000081ED", "00000000", "00000000", "00000001", "00000000",
            "00000005", "00000000", "00000000", "00000000", "00000000", "00000005", "00000000",
        );
        assert_eq!(bytes[..110], *directory.as_bytes());
        assert_eq!(bytes[110..112], *b"a\0");
        assert_eq!(bytes[112..222], *file.as_bytes());
        assert_eq!(bytes[222..236], *b"a/bc\0\0hello\0\0\0");
        assert!(bytes[236..].starts_with(b"070701"));
        assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
        assert!(bytes.len().is_multiple_of(4));
    }
}
