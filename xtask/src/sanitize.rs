//! `cargo xtask sanitize`: tests under Miri, which knows the rules of memory and of its order, and
//! under the sanitizers that come with the compiler.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Result, ensure};
use clap::ValueEnum;

use crate::{build, process, root, rustc::Rustc, setup, toolchain};

/// The tests of `broken-lns` that Miri runs: what shares memory with another thread or with the
/// kernel, and what is linked by index. Most others ask the system for what an interpreter does
/// not have.
const OF_MEMORY: [&str; 5] = [
    "af_xdp::",
    "lru::",
    "pending::",
    "play::progress",
    "respond::",
];

/// Inputs of a test that makes up its own: Miri takes a thousand times as long for each.
const CASES: &str = "4";

/// What watches the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Watch {
    /// Miri, an interpreter: undefined behaviour and data races
    Miri,
    /// AddressSanitizer: memory that is not there, or not there any more
    Address,
}

/// Runs the tests that are worth it under one of these, or under all.
///
/// # Errors
///
/// Where something is found, or one of them cannot be had.
pub fn run(only: Option<Watch>) -> Result<()> {
    setup::ensure()?;
    let all = match only {
        Some(watch) => vec![watch],
        None => Watch::value_variants().to_vec(),
    };
    for watch in all {
        match watch {
            Watch::Miri => miri()?,
            Watch::Address => address()?,
        }
    }
    Ok(())
}

fn miri() -> Result<()> {
    let toolchain = toolchain::with_miri()?;
    let tests = |package: &str, filters: &[&str]| {
        let mut command = toolchain.command("cargo");
        command
            .current_dir(root())
            .args(["miri", "test", "--package", package, "--lib", "--"])
            .args(filters)
            // They read the clock, and the folder that they run in.
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("PROPTEST_CASES", CASES)
            .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1");
        command
    };
    process::run(&mut tests("broken-lns-ebpf", &[]))?;
    process::run(&mut tests("broken-lns", &OF_MEMORY))
}

fn address() -> Result<()> {
    let rustc = compiler()?;
    ensure!(
        has_address_sanitizer(&rustc),
        "{} comes without AddressSanitizer; a toolchain of rustup has it",
        rustc.banner
    );
    let mut command = build::cargo();
    process::run(
        command
            .args(["test", "--lib", "--package", "broken-lns-ebpf"])
            .args(["--package", "broken-lns"])
            // With a target the flags are not for build scripts and macros.
            .args(["--target", &rustc.host])
            .env("CARGO_ENCODED_RUSTFLAGS", ADDRESS)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .stdin(Stdio::null()),
    )
}

/// The flag of the compiler for AddressSanitizer, which is an unstable one.
pub(crate) const ADDRESS: &str = "-Zsanitizer=address";

/// The compiler of the workspace.
pub(crate) fn compiler() -> Result<Rustc> {
    Rustc::ask(|| Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())))
}

/// Whether the compiler has what AddressSanitizer needs when a program runs.
pub(crate) fn has_address_sanitizer(rustc: &Rustc) -> bool {
    let libraries = rustc.sysroot.join("lib/rustlib").join(&rustc.host);
    let files = libraries.join("lib").read_dir().into_iter().flatten();
    files
        .filter_map(|file| file.ok()?.file_name().into_string().ok())
        .any(|name| name.ends_with("_rt.asan.a"))
}
