//! `cargo xtask clippy`: clippy for the kernel half as the BPF target sees it. What the host sees
//! of all members is for a plain `cargo clippy --all-targets`.

use anyhow::{Context as _, Result};

use crate::{process, root, setup};

/// Runs clippy on the kernel half, where every warning is an error.
pub fn run() -> Result<()> {
    let toolchain = setup::ensure()?.toolchain;
    process::read(toolchain.command("cargo").args(["clippy", "--version"])).with_context(|| {
        format!(
            "toolchain {0} has no clippy: add it, with `rustup component add clippy --toolchain \
             {0}` or as the distribution's package",
            toolchain.name
        )
    })?;
    process::run(
        toolchain
            .command("cargo")
            .current_dir(root())
            .args(["clippy", "--package", "broken-lns-ebpf", "--lib", "--bins"])
            .args(["--target", "bpfel-unknown-none", "-Zbuild-std=core"])
            // Where the build script of broken-lns builds the kernel half, too: another compiler
            // than the workspace's is to leave what that built alone.
            .arg("--target-dir")
            .arg(root().join("target/bpf-build"))
            .args(["--", "-Dwarnings"]),
    )
}
