//! What a Rust compiler says of itself.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::process;

/// The Rust compiler that the workspace needs at least, from its manifest.
pub const MINIMUM: &str = env!("CARGO_PKG_RUST_VERSION");

/// A Rust compiler, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rustc {
    /// The first line that it prints of its version: different for every build.
    pub banner: String,
    /// Its release, such as `1.97.0-nightly`.
    pub release: String,
    /// The target that it compiles for unless it is told another.
    pub host: String,
    /// The major version of the LLVM in it.
    pub llvm: u32,
    /// Where its libraries and, perhaps, its sources are.
    pub sysroot: PathBuf,
}

impl Rustc {
    /// Asks the compiler that `command` starts; `command` is called for each question.
    pub fn ask(command: impl Fn() -> Command) -> Result<Self> {
        let version = process::read(command().arg("-vV"))?;
        let sysroot = process::read(command().args(["--print", "sysroot"]))?;
        Self::parse(&version, PathBuf::from(sysroot.trim_end()))
    }

    fn parse(version: &str, sysroot: PathBuf) -> Result<Self> {
        let field = |name: &str| {
            version
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .with_context(|| format!("`rustc -vV` printed no {name}"))
        };
        let llvm = field("LLVM version")?;
        Ok(Self {
            banner: version.lines().next().unwrap_or_default().to_owned(),
            release: field("release")?.to_owned(),
            host: field("host")?.to_owned(),
            llvm: leading_number(llvm)
                .with_context(|| format!("`rustc -vV` printed the LLVM version {llvm:?}"))?,
            sysroot,
        })
    }

    /// Fails unless the compiler is new enough for the workspace.
    pub fn check_release(&self) -> Result<()> {
        if !is_at_least(&self.release, MINIMUM) {
            bail!("rustc {} is older than {MINIMUM}", self.release);
        }
        Ok(())
    }

    /// Whether the sources of the standard library are there, which `core` for BPF is built from.
    pub fn has_sources(&self) -> bool {
        self.sysroot
            .join("lib/rustlib/src/rust/library/core/Cargo.toml")
            .exists()
    }
}

/// Whether `release` is `minimum` or later, by major and minor version. Both may end in anything:
/// `1.97.0-nightly`, `1.96.0+dfsg1-1`, `1.95`.
pub fn is_at_least(release: &str, minimum: &str) -> bool {
    fn major_and_minor(release: &str) -> Option<(u32, u32)> {
        let (major, rest) = release.split_once('.')?;
        Some((major.parse().ok()?, leading_number(rest)?))
    }
    major_and_minor(release) >= major_and_minor(minimum)
}

/// The number that `text` starts with.
pub fn leading_number(text: &str) -> Option<u32> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: &str = "\
rustc 1.97.0-nightly (e50aa6fba 2026-05-19)
binary: rustc
commit-hash: e50aa6fba4e63ab34c72bf9acfd2c307c1155d1a
commit-date: 2026-05-19
host: x86_64-unknown-linux-gnu
release: 1.97.0-nightly
LLVM version: 22.1.4
";

    #[test]
    fn a_compiler_is_read_from_what_it_prints() {
        let rustc = Rustc::parse(NIGHTLY, PathBuf::from("/usr")).unwrap();
        assert_eq!(rustc.banner, "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)");
        assert_eq!(rustc.release, "1.97.0-nightly");
        assert_eq!(rustc.host, "x86_64-unknown-linux-gnu");
        assert_eq!(rustc.llvm, 22);
        assert_eq!(rustc.sysroot, PathBuf::from("/usr"));
    }

    #[test]
    fn a_compiler_without_llvm_is_refused_by_name() {
        let version = NIGHTLY.replace("LLVM version: 22.1.4\n", "");
        let error = Rustc::parse(&version, PathBuf::new()).unwrap_err();
        assert_eq!(error.to_string(), "`rustc -vV` printed no LLVM version");
    }

    #[test]
    fn an_llvm_version_that_is_no_number_is_shown() {
        let version = NIGHTLY.replace("22.1.4", "unknown");
        let error = Rustc::parse(&version, PathBuf::new()).unwrap_err();
        assert!(error.to_string().contains("\"unknown\""), "{error}");
    }

    #[test]
    fn releases_compare_by_number_not_by_text() {
        assert!(is_at_least("1.95.0", "1.95"));
        assert!(is_at_least("1.100.0", "1.95"));
        assert!(is_at_least("2.0.0", "1.95"));
        assert!(is_at_least("1.96.0+dfsg1-1~deb12u2", "1.95"));
        assert!(is_at_least("1.97.0-nightly", "1.95"));
        assert!(!is_at_least("1.94.1", "1.95"));
        assert!(!is_at_least("1.9.0", "1.95"));
        assert!(!is_at_least("nonsense", "1.95"));
    }
}
