//! `cargo xtask deny`: what `deny.toml` lets into the dependency tree, held against it by
//! `cargo-deny`.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{build::cargo, process, root};

/// The version that is built where there is none.
const VERSION: &str = "0.20.2";

/// Checks licences, sources and versions of all dependencies, and their known vulnerabilities where
/// the database of these can be had.
///
/// # Errors
///
/// Where something is let in that `deny.toml` does not, and where `cargo-deny` cannot be had.
pub fn run() -> Result<()> {
    let program = program()?;
    let deny = || {
        let mut command = Command::new(&program);
        // As a subcommand of cargo it would be started with that for its first argument.
        command.current_dir(root()).args(["--log-level", "error"]);
        command
    };
    let mut checks = vec!["bans", "licenses", "sources"];
    match process::run_quietly(deny().args(["fetch", "db"])) {
        Ok(()) => checks.push("advisories"),
        // It explains that over many lines, of which the last tells most.
        Err(error) => {
            let reason = format!("{error:#}");
            let reason = reason.lines().last().unwrap_or_default().trim();
            eprintln!("going on without known vulnerabilities, whose list cannot be had: {reason}");
        }
    }
    process::run(deny().arg("check").args(checks))
}

/// One on the PATH, else our own, which is built if need be.
fn program() -> Result<PathBuf> {
    if let Some(program) = process::find("cargo-deny") {
        return Ok(program);
    }
    let folder = root().join("target/cargo-deny");
    let own = folder.join("bin/cargo-deny");
    if !process::is_executable(&own) {
        eprintln!("building cargo-deny {VERSION} into target/ (some minutes)");
        process::run_quietly(
            cargo()
                .args(["install", "cargo-deny", "--quiet", "--locked"])
                .args(["--version", VERSION])
                // It takes no time worth mentioning, and this half as much to build.
                .arg("--debug")
                .arg("--root")
                .arg(folder),
        )
        .with_context(|| format!("cargo-deny {VERSION} could not be built"))?;
    }
    Ok(own)
}
