//! Packages of other suites of Debian than the system's: unpacked in a folder of the build, never
//! installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

pub use crate::private_apt::Content;
use crate::{
    private_apt::{PrivateApt, ignore_missing},
    process, root,
};

/// A package in one version of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name in Debian.
    pub name: &'static str,
    /// The suite, by a name that stays with it.
    pub suite: &'static str,
    /// The version of the program, without what Debian adds to it.
    pub version: &'static str,
    /// What of it is unpacked.
    pub content: Content,
}

/// The folder that everything of here is in.
pub fn cache() -> PathBuf {
    root().join("target/lab-packages")
}

impl Package {
    /// A package that holds programs or libraries.
    pub const fn binary(name: &'static str, suite: &'static str, version: &'static str) -> Self {
        Self {
            name,
            suite,
            version,
            content: Content::Binary,
        }
    }

    /// A package that holds sources.
    pub const fn source(name: &'static str, suite: &'static str, version: &'static str) -> Self {
        Self {
            content: Content::Source,
            ..Self::binary(name, suite, version)
        }
    }

    /// The folder that it is unpacked in, once it was fetched.
    pub fn folder(&self) -> PathBuf {
        self.place("")
    }

    /// The file that says why it could not be fetched.
    fn reason(&self) -> PathBuf {
        self.place(".reason")
    }

    fn place(&self, suffix: &str) -> PathBuf {
        cache().join(format!("{}-{}{suffix}", self.name, self.version))
    }

    /// Why it is not in its folder, where it is not.
    pub fn obstacle(&self) -> Option<String> {
        if self.folder().is_dir() {
            return None;
        }
        let reason = fs::read_to_string(self.reason());
        Some(reason.unwrap_or_else(|_| "nobody fetched it, as `cargo xtask test` does".to_owned()))
    }

    /// Fetches and unpacks it, unless that was done before. Where that fails, tests find the reason.
    pub fn fetch(&self) -> Result<()> {
        if self.folder().is_dir() {
            return Ok(());
        }
        let work = self.place(".part");
        let outcome = self.try_fetch(&work);
        ignore_missing(fs::remove_dir_all(&work))?;
        fs::create_dir_all(cache())?;
        match &outcome {
            Ok(()) => ignore_missing(fs::remove_file(self.reason()))?,
            // In one line, for the one that tells of skipped tests.
            Err(error) => fs::write(self.reason(), format!("{error:#}").replace('\n', " "))?,
        }
        outcome
    }

    fn try_fetch(&self, work: &Path) -> Result<()> {
        let Self { name, suite, .. } = self;
        eprintln!(
            "fetching {name} of Debian's {suite} into {}",
            cache().display()
        );
        let apt = PrivateApt::new(work, self.content, &[suite])
            .with_context(|| format!("cannot fetch {name}"))?;
        let unpacked = work.join("unpacked");
        fs::create_dir_all(&unpacked)?;
        let archive = self.download(&apt, work)?;
        let mut unpack = match self.content {
            Content::Binary => Command::new("dpkg-deb"),
            Content::Source => Command::new("tar"),
        };
        match self.content {
            Content::Binary => unpack.arg("-x").arg(&archive).arg(&unpacked),
            Content::Source => {
                let folder = ["--strip-components=1", "-C"];
                unpack.args(folder).arg(&unpacked).arg("-xf").arg(&archive)
            }
        };
        process::run_quietly(&mut unpack)?;
        // Only a whole package comes to its place.
        Ok(fs::rename(&unpacked, self.folder())?)
    }

    /// Downloads it into `work`, if the suite has it in our version.
    fn download(&self, apt: &PrivateApt, work: &Path) -> Result<PathBuf> {
        let Self {
            name,
            suite,
            version,
            ..
        } = self;
        let mut command = apt.command("apt-get");
        match self.content {
            Content::Binary => command.arg("download"),
            Content::Source => command.args(["source", "--download-only", "--tar-only"]),
        };
        process::run_quietly(command.arg(name))?;
        let prefix = format!("{name}_");
        for entry in fs::read_dir(work)? {
            let file = entry?.file_name();
            let Some(found) = file.to_str().and_then(|file| file.strip_prefix(&prefix)) else {
                continue;
            };
            ensure!(
                is_version(found, version),
                "{suite} has another version of {name} than {version}: {prefix}{found}"
            );
            return Ok(work.join(&file));
        }
        bail!("apt-get downloaded no {name}");
    }
}

/// Whether what follows the name in the name of a package's file is this version, with what Debian
/// adds to it.
fn is_version(file: &str, version: &str) -> bool {
    let Some(rest) = file.strip_prefix(version) else {
        return false;
    };
    rest.starts_with(['-', '+', '_', '~']) || rest.starts_with(".orig.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_what_comes_before_debians_own() {
        for (file, version, is) in [
            ("0.1.8-1+b12_amd64.deb", "0.1.8", true),
            ("2.1.3+dfsg1.orig.tar.xz", "2.1.3", true),
            ("2.1.3.orig.tar.xz", "2.1.3", true),
            ("0.1.80-1_amd64.deb", "0.1.8", false),
            ("0.1.8.1-1_amd64.deb", "0.1.8", false),
            ("0.1.9-1_amd64.deb", "0.1.8", false),
        ] {
            assert_eq!(is_version(file, version), is, "{file}");
        }
    }

    #[test]
    fn a_package_that_nobody_fetched_says_so() {
        let package = Package::binary("no-such-package", "sid", "1");
        let obstacle = package.obstacle();
        assert_eq!(
            obstacle.as_deref(),
            Some("nobody fetched it, as `cargo xtask test` does")
        );
    }
}
