//! QEMU: the one that is installed where that is new enough, else one of Debian's that is unpacked
//! in the cache with every library that it needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    private_apt::{Content, PrivateApt, ignore_missing},
    process,
};

const PROGRAM: &str = "qemu-system-x86_64";

/// The suite that it is fetched from where it has to be.
const SUITE: &str = "trixie";

/// The first version with an igb.
const MINIMUM: u32 = 8;

/// Where Debian has libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// A QEMU that can be started.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// The folder it is unpacked in; none of the one that is installed.
    folder: Option<PathBuf>,
}

impl Qemu {
    /// The one that is installed or in the folder `cache`, if any.
    pub fn find(cache: &Path) -> Option<Self> {
        if installed_version().is_some_and(|version| version >= MINIMUM) {
            return Some(Self { folder: None });
        }
        let folder = cache.join("qemu");
        folder.is_dir().then_some(Self {
            folder: Some(folder),
        })
    }

    /// Finds one, or fetches one into the folder `cache`.
    pub fn fetch(cache: &Path) -> Result<Self> {
        if let Some(qemu) = Self::find(cache) {
            return Ok(qemu);
        }
        eprintln!("fetching QEMU of Debian's {SUITE} into {}", cache.display());
        let work = cache.join("qemu.part");
        let unpacked = work.join("unpacked");
        let outcome = PrivateApt::new(&work, Content::Binary, &[SUITE])
            .and_then(|apt| apt.unpack_whole("qemu-system-x86", SUITE, &unpacked))
            .and_then(|()| Ok(fs::rename(&unpacked, cache.join("qemu"))?));
        ignore_missing(fs::remove_dir_all(&work))?;
        outcome.context("cannot fetch QEMU")?;
        Self::find(cache).context("QEMU is not where it was put")
    }

    /// The program to start and the arguments that come first.
    pub(super) fn program(&self) -> (PathBuf, Vec<String>) {
        let Some(folder) = &self.folder else {
            return (PROGRAM.into(), Vec::new());
        };
        // Another system's libraries go with another system's loader only.
        let path = |name: &str| folder.join(name).display().to_string();
        let mut arguments = vec!["--library-path".to_owned(), path(LIBRARIES)];
        arguments.push(path(&format!("usr/bin/{PROGRAM}")));
        for data in ["usr/share/seabios", "usr/share/qemu"] {
            arguments.extend(["-L".to_owned(), path(data)]);
        }
        (folder.join("usr/lib64/ld-linux-x86-64.so.2"), arguments)
    }

    /// Where it finds the parts that it loads when it needs them.
    pub(super) fn modules(&self) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join(LIBRARIES).join("qemu"))
    }
}

/// The first number of the version that is installed.
fn installed_version() -> Option<u32> {
    let program = process::find(PROGRAM)?;
    version(&process::read(Command::new(program).arg("--version")).ok()?)
}

fn version(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("version ")?;
    rest.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        let text = "QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\nCopyright";
        assert_eq!(version(text), Some(10));
        assert_eq!(version("no QEMU"), None);
    }
}
