//! `cargo xtask setup`: sees that the kernel half can be built, and tells the build what with.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    linker::{self, Linker},
    root,
    toolchain::{self, Toolchain},
};

/// What the kernel half is built with.
pub struct Setup {
    /// The toolchain that compiles it.
    pub toolchain: Toolchain,
    /// The directory of the `bpf-linker` that links it.
    pub linker: PathBuf,
}

/// Sees that everything is there, and says what is used.
pub fn run() -> Result<()> {
    let setup = ensure()?;
    eprintln!(
        "the kernel half is compiled by toolchain {} ({}, LLVM {})",
        setup.toolchain.name, setup.toolchain.rustc.banner, setup.toolchain.rustc.llvm
    );
    eprintln!(
        "the kernel half is linked by {}",
        setup.linker.join("bpf-linker").display()
    );
    eprintln!("cargo build, cargo clippy and cargo test work now");
    Ok(())
}

/// Sees that everything is there, and is silent unless something has to be done.
pub fn ensure() -> Result<Setup> {
    if let Some(setup) = Setup::recorded() {
        return Ok(setup);
    }
    let setup = Setup::choose()?;
    setup.record()?;
    Ok(setup)
}

impl Setup {
    /// The first toolchain, in the order of preference, that can be had with a linker for it.
    fn choose() -> Result<Self> {
        let (toolchain, linker) = match with_linker(toolchain::nightly()) {
            Ok(found) => found,
            Err(nightly) => {
                // rustup explains a failed download over many lines, and the first is enough.
                let reason = format!("{nightly:#}");
                let reason = reason.lines().next().unwrap_or_default();
                eprintln!("rustup's nightly is not used: {reason}");
                with_linker(toolchain::distribution())?
            }
        };
        let linker = linker.obtain(&toolchain.rustc)?;
        Ok(Self { toolchain, linker })
    }

    /// The choice of an earlier run, if everything it names is still there and the same.
    fn recorded() -> Option<Self> {
        let record = fs::read_to_string(record_path()).ok()?;
        let (name, banner, linker) = parse_record(&record)?;
        let toolchain = Toolchain::find(name).ok()?;
        let linker = PathBuf::from(linker);
        let unchanged =
            toolchain.rustc.banner == banner && linker::check(&linker.join("bpf-linker")).is_ok();
        unchanged.then_some(Self { toolchain, linker })
    }

    /// Writes the choice down for the next run, and for the build script of `broken-lns`.
    fn record(&self) -> Result<()> {
        let path = record_path();
        let linker = self
            .linker
            .to_str()
            .with_context(|| format!("the path {} is not valid UTF-8", self.linker.display()))?;
        let record = format!(
            "toolchain={}\nrustc={}\nlinker={linker}\n",
            self.toolchain.name, self.toolchain.rustc.banner
        );
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))
            .and_then(|()| fs::write(&path, record))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Where the choice is written down. The build script reads it by the same path, which does not
/// move with CARGO_TARGET_DIR.
fn record_path() -> PathBuf {
    root().join("target/bpf-toolchain")
}

fn parse_record(record: &str) -> Option<(&str, &str, &str)> {
    let value = |key: &str| {
        record
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    Some((value("toolchain")?, value("rustc")?, value("linker")?))
}

fn with_linker(toolchain: Result<Toolchain>) -> Result<(Toolchain, Linker)> {
    let toolchain = toolchain?;
    let linker = Linker::choose(&toolchain.rustc)?;
    Ok((toolchain, linker))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = "toolchain=nightly\nrustc=rustc 1.97.0 (e = 2)\nlinker=/a dir/bin\n";
        assert_eq!(
            parse_record(record),
            Some(("nightly", "rustc 1.97.0 (e = 2)", "/a dir/bin"))
        );
    }

    #[test]
    fn a_record_with_a_line_missing_is_none() {
        assert_eq!(
            parse_record("toolchain=nightly\nrustc=rustc 1.97.0\n"),
            None
        );
        assert_eq!(parse_record(""), None);
    }
}
