//! The Rust toolchain that builds the kernel half: a compiler with unstable features and with the
//! sources of `core`, because no compiled `core` is distributed for BPF.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    apt::{self, Package},
    linker, process,
    rustc::{self, Rustc},
};

/// The name under which rustup knows a toolchain that does not come from rustup.
const LINKED: &str = "broken-lns-bpf";

/// How long rustup may take to download a toolchain, before we go on without.
const TOOLCHAIN_LIMIT: Duration = Duration::from_secs(600);

/// The same for one component, which is a few megabytes.
const COMPONENT_LIMIT: Duration = Duration::from_secs(60);

/// A toolchain for the kernel half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// What rustup calls it; without rustup, the only toolchain there is.
    pub name: String,
    /// Its compiler.
    pub rustc: Rustc,
}

impl Toolchain {
    /// The toolchain that rustup calls `name`, as it is now.
    pub fn find(name: &str) -> Result<Self> {
        let toolchain = Self {
            name: name.to_owned(),
            rustc: Rustc::ask(|| command(name, "rustc"))?,
        };
        toolchain.rustc.check_release()?;
        if !toolchain.rustc.has_sources() {
            bail!("toolchain {name} has no sources of the standard library");
        }
        Ok(toolchain)
    }

    /// A command that runs `program` of this toolchain, with unstable features whatever the
    /// channel.
    pub fn command(&self, program: &str) -> Command {
        let mut command = command(&self.name, program);
        command.env("RUSTC_BOOTSTRAP", "1");
        command
    }

    /// Fails unless cargo works with this toolchain and is new enough: rustup lends a toolchain
    /// that has no cargo one of its own.
    fn check_cargo(&self) -> Result<()> {
        let version = process::read(self.command("cargo").arg("--version"))?;
        let release = version.split_whitespace().nth(1).unwrap_or_default();
        if !rustc::is_at_least(release, rustc::MINIMUM) {
            bail!("cargo {release} is older than {}", rustc::MINIMUM);
        }
        Ok(())
    }
}

/// The standard route: rustup's nightly with the component `rust-src`, which rustup adds where it
/// can download.
pub fn nightly() -> Result<Toolchain> {
    if !has_rustup() {
        bail!("there is no rustup");
    }
    let installed = process::read(Command::new("rustup").args(["toolchain", "list"]))?;
    if !installed.lines().any(is_nightly) {
        eprintln!("adding rustup's nightly toolchain, which has the unstable features BPF needs");
        rustup(
            TOOLCHAIN_LIMIT,
            &[
                "toolchain",
                "install",
                "nightly",
                "--profile=minimal",
                "--component=rust-src,clippy",
            ],
        )?;
    }
    if !Rustc::ask(|| command("nightly", "rustc"))?.has_sources() {
        eprintln!("adding rust-src to rustup's nightly, since `core` for BPF is built from source");
        rustup(
            COMPONENT_LIMIT,
            &["component", "add", "rust-src", "--toolchain=nightly"],
        )?;
    }
    let toolchain = Toolchain::find("nightly")?;
    toolchain.check_cargo()?;
    Ok(toolchain)
}

/// rustup's nightly with Miri, which rustup adds where it can download: no other compiler comes with
/// it.
pub fn with_miri() -> Result<Toolchain> {
    let toolchain = nightly()?;
    let version = || process::read(toolchain.command("cargo").args(["miri", "--version"]));
    if version().is_err() {
        eprintln!("adding miri to rustup's nightly");
        rustup(
            COMPONENT_LIMIT,
            &["component", "add", "miri", "--toolchain=nightly"],
        )?;
    }
    version().context("rustup's nightly has no Miri")?;
    Ok(toolchain)
}

/// Whether a line of rustup's list is the nightly toolchain, and not the one of a certain day.
fn is_nightly(line: &str) -> bool {
    line.strip_prefix("nightly")
        .is_some_and(|rest| !rest.starts_with("-2"))
}

/// The other route: the compiler of the distribution with the sources that match it.
pub fn distribution() -> Result<Toolchain> {
    if !distribution_rustc().is_ok_and(|rustc| rustc.has_sources()) {
        apt::install(&packages()?)?;
    }
    let rustc = distribution_rustc()?;
    if !rustc.has_sources() {
        bail!(
            "there are no sources of the standard library in {}",
            rustc.sysroot.display()
        );
    }
    if has_rustup() {
        link(&rustc.sysroot)?;
    }
    let toolchain = Toolchain::find(LINKED)?;
    toolchain.check_cargo()?;
    Ok(toolchain)
}

/// A command that runs `program` of the toolchain that rustup calls `name`.
fn command(name: &str, program: &str) -> Command {
    let mut command = if has_rustup() {
        let mut command = Command::new("rustup");
        // A toolchain that is lent a cargo gets a remark about it each time, unless told not to.
        command
            .args(["run", name, program])
            .env("RUSTUP_LOG", "warn");
        command
    } else {
        Command::new(program)
    };
    // What the cargo that started us says of itself must not reach another toolchain.
    for variable in ["CARGO", "RUSTC", "RUSTC_WORKSPACE_WRAPPER", "RUSTDOC"] {
        command.env_remove(variable);
    }
    command
}

fn has_rustup() -> bool {
    process::find("rustup").is_some()
}

fn rustup(limit: Duration, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("rustup");
    command.arg("--quiet").args(arguments);
    process::run_within(limit, &mut command)
}

/// The distribution's compiler. Beside rustup it is not the first on the PATH.
fn distribution_rustc() -> Result<Rustc> {
    let program = if has_rustup() {
        "/usr/bin/rustc"
    } else {
        "rustc"
    };
    let rustc = Rustc::ask(|| Command::new(program))?;
    rustc.check_release()?;
    Ok(rustc)
}

/// Debian's packages for this route: of the compilers that it has, the first that is new enough.
/// The one for web browsers is kept current in Debian's stable releases.
fn packages() -> Result<Vec<Package>> {
    if !apt::is_available() {
        bail!(
            "the distribution's rustc is missing, older than {}, or without its sources; install a \
             newer one with its sources",
            rustc::MINIMUM
        );
    }
    let (compiler, prefix) = [("rustc-web", "rust-web"), ("rustc", "rust")]
        .into_iter()
        .find(|(compiler, _)| {
            apt::candidate(compiler)
                .is_some_and(|version| rustc::is_at_least(&version, rustc::MINIMUM))
        })
        .with_context(|| {
            format!(
                "the distribution has no rustc {} or later, unless `sudo apt-get update` brings one",
                rustc::MINIMUM
            )
        })?;
    let mut packages = vec![
        Package::new(
            compiler,
            "/usr/bin/rustc",
            "a compiler that knows the BPF target",
        ),
        Package::new(
            format!("{prefix}-src"),
            "/usr/lib/rustlib/src/rust/library/core/Cargo.toml",
            "the sources that `core` for BPF is built from",
        ),
        Package::new(
            format!("{prefix}-clippy"),
            "/usr/bin/clippy-driver",
            "checks the kernel half with the same compiler",
        ),
    ];
    // What the linker is built with is asked for at once, so that one command installs it all.
    let llvm = apt::dependencies(compiler)?
        .iter()
        .find_map(|package| package.strip_prefix("libllvm")?.parse().ok());
    if let Some(llvm) = llvm {
        packages.push(linker::package(llvm));
    }
    Ok(packages)
}

/// Tells rustup of the toolchain in `sysroot`, so that it can be named like any other.
fn link(sysroot: &Path) -> Result<()> {
    let installed = process::read(Command::new("rustup").args(["toolchain", "list", "-v"]))?;
    let linked = installed
        .lines()
        .find_map(|line| line.strip_prefix(LINKED))
        .map(|path| PathBuf::from(path.trim()));
    if linked.as_deref() == Some(sysroot) {
        return Ok(());
    }
    eprintln!(
        "linking {} into rustup as {LINKED}, so that cargo can use it by name",
        sysroot.display()
    );
    process::run_quietly(
        Command::new("rustup")
            .args(["toolchain", "link", LINKED])
            .arg(sysroot),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nightly_of_a_certain_day_is_not_the_nightly() {
        assert!(is_nightly("nightly-x86_64-unknown-linux-gnu"));
        assert!(is_nightly("nightly-aarch64-unknown-linux-gnu (active)"));
        assert!(!is_nightly("nightly-2025-05-01-x86_64-unknown-linux-gnu"));
        assert!(!is_nightly("stable-x86_64-unknown-linux-gnu (default)"));
    }
}
