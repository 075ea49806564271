//! Packages of Debian and its relatives: which ones are missing, and how they get here.

use std::{path::Path, process::Command, sync::Once};

use anyhow::{Result, bail};

use crate::process;

/// A package that a task of ours needs.
#[derive(Clone, Debug)]
pub struct Package {
    /// Its name in Debian.
    pub name: String,
    /// What it is here for: a program's name, or the absolute path of a file. While that exists,
    /// the package is not asked for, wherever the program or the file came from.
    pub provides: String,
    /// What we do with it, to say so to whoever has to install it.
    pub why: String,
}

impl Package {
    /// A package by its name, by what it provides and by what that is for.
    pub fn new(
        name: impl Into<String>,
        provides: impl Into<String>,
        why: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            provides: provides.into(),
            why: why.into(),
        }
    }

    fn is_missing(&self) -> bool {
        if self.provides.starts_with('/') {
            !Path::new(&self.provides).exists()
        } else {
            process::find(&self.provides).is_none()
        }
    }
}

/// Sees that what `packages` provide is there, and has the packages of what is missing installed.
pub fn ensure(packages: &[Package]) -> Result<()> {
    let missing: Vec<Package> = packages
        .iter()
        .filter(|package| package.is_missing())
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)
}

/// Installs `packages`, or their newer versions, as root; otherwise fails with the one command
/// that does.
pub fn install(packages: &[Package]) -> Result<()> {
    let list: String = packages
        .iter()
        .map(|package| format!("\n  {}: {}", package.name, package.why))
        .collect();
    if !is_available() {
        bail!(
            "missing here, and there is no apt-get to install it with (the names are Debian's):\
             {list}\nInstall what provides it on this system, then try again"
        );
    }
    let names: Vec<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let command = format!(
        "apt-get install --no-install-recommends {}",
        names.join(" ")
    );
    if !process::is_root() {
        bail!("missing here:{list}\nInstall it with: sudo {command}");
    }
    refresh();
    eprintln!("installing, with {command}:{list}");
    process::run_quietly(
        Command::new("apt-get")
            // Another apt-get may be at work: wait for it rather than fail.
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&names)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    match packages.iter().find(|package| package.is_missing()) {
        Some(package) => bail!(
            "apt-get installed {}, but {} is still missing",
            package.name,
            package.provides
        ),
        None => Ok(()),
    }
}

/// Whether packages can be had with apt-get.
pub fn is_available() -> bool {
    process::find("apt-get").is_some()
}

/// The version that apt-get would install of the package `name`, if it knows one.
pub fn candidate(name: &str) -> Option<String> {
    refresh();
    let policy = process::read(Command::new("apt-cache").args(["policy", name])).ok()?;
    let version = policy
        .lines()
        .find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (version != "(none)").then(|| version.to_owned())
}

/// The packages that come along with the package `name`.
pub fn dependencies(name: &str) -> Result<Vec<String>> {
    refresh();
    let tree = process::read(Command::new("apt-cache").args([
        "depends",
        "--recurse",
        "--important",
        name,
    ]))?;
    Ok(tree
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .collect())
}

/// Fetches the lists of packages, once in the life of this process and only as root. A failure
/// is not the end: an older list may do, and if it does not, the installation says so.
pub fn refresh() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if !process::is_root() {
            return;
        }
        eprintln!("fetching the lists of packages, with apt-get update");
        if let Err(error) = process::run_quietly(Command::new("apt-get").arg("update")) {
            eprintln!("apt-get update failed, so the lists that are here are used: {error:#}");
        }
    });
}
