//! Builds the kernel half with what `cargo xtask setup` found for it.

use std::{env, fs, os::unix::fs::symlink, path::Path};

use anyhow::{Context as _, Result};
use aya_build::{Package, Toolchain};

/// Where setup writes down what it found, from the root of the workspace.
const RECORD: &str = "target/bpf-toolchain";

/// Where the kernel half is built, from the root of the workspace.
const BUILD: &str = "target/bpf-build";

fn main() {
    if let Err(error) = build() {
        // A line of its own for cargo, where a failing exit would be shown as four.
        println!("cargo::error={error:#}");
    }
}

fn build() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("the package is not in a workspace")?;
    for input in [RECORD, "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let record = fs::read_to_string(root.join(RECORD)).unwrap_or_default();
    let value = |key: &str| {
        record
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    let (toolchain, linker) = value("toolchain")
        .zip(value("linker"))
        .filter(|(_, linker)| Path::new(linker).join("bpf-linker").exists())
        .context("the kernel half has no toolchain yet: run `cargo xtask setup` first")?;
    set_environment(linker)?;
    share(&root.join(BUILD))?;

    let kernel_half = root.join("broken-lns-ebpf");
    let package = Package {
        name: "broken-lns-ebpf",
        root_dir: kernel_half
            .to_str()
            .context("the path of the workspace is not valid UTF-8")?,
        ..Package::default()
    };
    aya_build::build_ebpf([package], Toolchain::Custom(toolchain)).context(
        "the kernel half cannot be built; if its toolchain is at fault, delete \
                  target/bpf-toolchain and run `cargo xtask setup`",
    )
}

/// Makes `build` the place where aya-build builds, instead of one below our own output directory:
/// every profile and every clippy has an output directory of its own, and all want the same build.
fn share(build: &Path) -> Result<()> {
    let output = env::var_os("OUT_DIR").context("OUT_DIR is not set: this is for cargo to run")?;
    let link = Path::new(&output).join("aya-build");
    if fs::read_link(&link).is_ok_and(|target| target == build) {
        return Ok(());
    }
    if link.is_symlink() {
        fs::remove_file(&link)?;
    } else if link.exists() {
        fs::remove_dir_all(&link)?;
    }
    fs::create_dir_all(build)
        .and_then(|()| symlink(build, &link))
        .with_context(|| format!("cannot share {} between builds", build.display()))
}

/// Sets what the cargo of the kernel half inherits from us.
fn set_environment(linker: &str) -> Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([linker.into()].into_iter().chain(env::split_paths(&path)))
        .context("the linker's directory cannot be on the PATH")?;
    let variables = [
        ("PATH", path),
        // Building `core` is an unstable feature of cargo, and the distribution's is a stable one.
        ("RUSTC_BOOTSTRAP", "1".into()),
        // Flags take the way of the profile, because CARGO_ENCODED_RUSTFLAGS is aya-build's own
        // and sets aside every other.
        ("CARGO_UNSTABLE_PROFILE_RUSTFLAGS", "true".into()),
        // The third generation of BPF's instructions (Linux 5.1) has 32-bit arithmetic. Without
        // the linker's flag a field of a packet is read octet by octet, which costs time and
        // nearly doubles what the kernel has to verify.
        (
            "CARGO_PROFILE_RELEASE_RUSTFLAGS",
            "-Ctarget-cpu=v3 -Clink-arg=--cpu-features=+allows-misaligned-mem-access".into(),
        ),
        // None of that is for the macros and build scripts, which run on the host.
        ("CARGO_PROFILE_RELEASE_BUILD_OVERRIDE_RUSTFLAGS", "".into()),
        // What is left to say are the compiler's own messages: aya-build shows each line as a
        // warning.
        ("CARGO_TERM_QUIET", "true".into()),
        ("RUSTUP_LOG", "warn".into()),
    ];
    for (name, value) in variables {
        // SAFETY: the build script has a single thread.
        unsafe { env::set_var(name, value) };
    }
    Ok(())
}
