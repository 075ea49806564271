//! `bpf-linker`, which turns the bitcode that rustc writes for BPF into one object.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    apt::{self, Package},
    build::cargo,
    process, root,
    rustc::{Rustc, leading_number},
};

/// The version that is built where no fitting linker is found.
const VERSION: &str = "0.13.0";

/// The major versions of LLVM that [`VERSION`] can be built with: its features `llvm-21` to
/// `llvm-23`.
const BUILDS_WITH: RangeInclusive<u32> = 21..=23;

/// A linker for one compiler.
pub enum Linker {
    /// One that is there, in this directory.
    Ready(PathBuf),
    /// One that can be built.
    ToBuild(Llvm),
}

impl Linker {
    /// Finds a linker that reads what `rustc` writes: one on the PATH, else our own, else what one
    /// can be built with. Nothing is installed yet.
    pub fn choose(rustc: &Rustc) -> Result<Self> {
        for linker in process::find("bpf-linker").into_iter().chain([own()]) {
            match llvm_of(&linker) {
                Ok(llvm) if reads(llvm, rustc.llvm) => match check(&linker) {
                    Ok(()) => return directory(&linker).map(Self::Ready),
                    Err(error) => eprintln!("{} does not work: {error:#}", linker.display()),
                },
                Ok(llvm) => eprintln!(
                    "{} has LLVM {llvm} and cannot read what LLVM {} in rustc {} writes",
                    linker.display(),
                    rustc.llvm,
                    rustc.release
                ),
                Err(_) if !linker.exists() => {}
                Err(error) => eprintln!("{} is not used: {error:#}", linker.display()),
            }
        }
        llvm_for(rustc).map(Self::ToBuild)
    }

    /// The directory of the linker, which is built for `rustc` if need be.
    pub fn obtain(self, rustc: &Rustc) -> Result<PathBuf> {
        match self {
            Self::Ready(directory) => Ok(directory),
            Self::ToBuild(llvm) => {
                build(&llvm, rustc)?;
                directory(&own())
            }
        }
    }
}

/// Debian's package that the linker is built with.
pub fn package(llvm: u32) -> Package {
    Package::new(
        format!("llvm-{llvm}-dev"),
        library(&debian_prefix(llvm)).display().to_string(),
        "the library that bpf-linker is built with, as new as the one in rustc",
    )
}

/// Whether a linker with the major version `linker` of LLVM reads the bitcode of a compiler with
/// `rustc`: LLVM reads what the same or an earlier major version wrote.
fn reads(linker: u32, rustc: u32) -> bool {
    linker >= rustc
}

/// Fails unless the linker starts: the library that it needs may be gone.
pub fn check(linker: &Path) -> Result<()> {
    process::run_quietly(Command::new(linker).arg("--version"))
}

/// The linker that we built.
fn own() -> PathBuf {
    root().join("target/bpf-linker/bin/bpf-linker")
}

fn directory(linker: &Path) -> Result<PathBuf> {
    let directory = linker.parent().context("a linker without a directory")?;
    Ok(directory.to_owned())
}

fn build(llvm: &Llvm, rustc: &Rustc) -> Result<()> {
    let prefix = match llvm {
        Llvm::Here { prefix, .. } => prefix.clone(),
        Llvm::Package(major) => {
            apt::ensure(&[package(*major)])?;
            debian_prefix(*major)
        }
    };
    let major = llvm.major();
    eprintln!(
        "building bpf-linker {VERSION} into target/ with LLVM {major}, to link what rustc {} \
         compiles for BPF (about a minute)",
        rustc.release
    );
    process::run_quietly(
        cargo()
            .args(["install", "bpf-linker", "--quiet", "--locked", "--force"])
            .args(["--version", VERSION])
            .args(["--no-default-features", "--features"])
            .arg(format!("llvm-{major}"))
            .arg("--root")
            .arg(root().join("target/bpf-linker"))
            .env("LLVM_PREFIX", prefix),
    )
    .with_context(|| format!("bpf-linker {VERSION} could not be built with LLVM {major}"))
}

/// An LLVM to build the linker with, by its major version.
pub enum Llvm {
    /// One whose libraries are under `prefix`.
    Here {
        /// Its major version.
        major: u32,
        /// The directory above its libraries.
        prefix: PathBuf,
    },
    /// One that Debian has a package of.
    Package(u32),
}

impl Llvm {
    fn major(&self) -> u32 {
        match self {
            Self::Here { major, .. } | Self::Package(major) => *major,
        }
    }
}

/// The lowest LLVM that fits `rustc` and the linker, preferring one that is here.
fn llvm_for(rustc: &Rustc) -> Result<Llvm> {
    let fitting = || BUILDS_WITH.filter(|llvm| reads(*llvm, rustc.llvm));
    fitting()
        .find_map(|major| {
            let prefix = prefix_of(major)?;
            Some(Llvm::Here { major, prefix })
        })
        .or_else(|| {
            fitting()
                .find(|major| apt::candidate(&format!("llvm-{major}-dev")).is_some())
                .map(Llvm::Package)
        })
        .with_context(|| {
            format!(
                "bpf-linker {VERSION} builds with LLVM {} to {}, and rustc {} needs {} or later: \
                 none of these is here or among the distribution's packages; put a bpf-linker for \
                 it on the PATH (https://github.com/aya-rs/bpf-linker#installation)",
                BUILDS_WITH.start(),
                BUILDS_WITH.end(),
                rustc.release,
                rustc.llvm
            )
        })
}

/// Where the libraries of the LLVM with this major version are to link with, if they are.
fn prefix_of(major: u32) -> Option<PathBuf> {
    let debian = debian_prefix(major);
    if library(&debian).exists() {
        return Some(debian);
    }
    ["llvm-config", &format!("llvm-config-{major}")]
        .into_iter()
        .find_map(|program| {
            let ask = |question| process::read(Command::new(program).arg(question)).ok();
            let fits = leading_number(&ask("--version")?) == Some(major);
            fits.then(|| ask("--prefix"))?
        })
        .map(|prefix| PathBuf::from(prefix.trim_end()))
}

fn library(prefix: &Path) -> PathBuf {
    prefix.join("lib/libLLVM.so")
}

fn debian_prefix(major: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{major}"))
}

/// The major version of the LLVM in a linker. It prints none, but names it: in the library that
/// it loads (`libLLVM.so.22.1`), or in the mark that it leaves in bitcode (`LLVM22.1.8`).
fn llvm_of(linker: &Path) -> Result<u32> {
    let program = fs::read(linker).with_context(|| format!("cannot read {}", linker.display()))?;
    llvm_named_in(&program).context("the file does not tell which LLVM is in it")
}

fn llvm_named_in(program: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"LLVM";
    let mut rest = program;
    let mut latest = None;
    while let Some(start) = rest.windows(NAME.len()).position(|bytes| bytes == NAME) {
        rest = &rest[start + NAME.len()..];
        let version = [&b".so."[..], b"-", b"_", b""]
            .into_iter()
            .find_map(|separator| rest.strip_prefix(separator))
            .unwrap_or(rest);
        let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
        let digits: String = digits.map(|byte| char::from(*byte)).collect();
        if version.get(digits.len()) == Some(&b'.') {
            latest = latest.max(digits.parse().ok());
        }
    }
    latest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linker_reads_its_own_llvm_and_earlier_ones() {
        assert!(reads(22, 22));
        assert!(reads(23, 22));
        assert!(!reads(21, 22));
    }

    #[test]
    fn the_llvm_is_read_from_the_library_a_program_loads() {
        assert_eq!(
            llvm_named_in(b"\x7fELF\0libLLVM.so.22.1\0libc.so.6\0LLVM_22.1\0"),
            Some(22)
        );
        assert_eq!(llvm_named_in(b"\x7fELF\0libLLVM-19.so.1\0"), Some(19));
    }

    #[test]
    fn the_llvm_is_read_from_the_mark_in_bitcode() {
        assert_eq!(
            llvm_named_in(b"\x7fELF\0LLVM ERROR: \0LLVM23.1.0\0"),
            Some(23)
        );
    }

    #[test]
    fn a_program_without_llvm_has_no_version_of_it() {
        assert_eq!(llvm_named_in(b"\x7fELF\0LLVM\0LLVM ERROR: 22.1\0"), None);
        assert_eq!(llvm_named_in(b""), None);
    }
}
