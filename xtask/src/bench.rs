//! `cargo xtask bench`: how fast the two paths are, on this machine.

use std::{
    convert::Infallible,
    ffi::OsString,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{apt, build, process, setup, test};

/// The benchmark that needs the network, and so root.
const WIRE: &str = "wire";

/// Builds the benchmark as who we are, then becomes it as root; `arguments` are its own.
pub fn run(arguments: &[OsString]) -> Result<Infallible> {
    setup::ensure()?;
    apt::ensure(&test::packages(&["iproute2"]))?;
    let messages = process::read(build_command().stderr(Stdio::inherit()))?;
    let benchmark =
        executable(&messages).context("cargo did not say where it put the benchmark")?;
    process::become_it(process::as_root(&benchmark).args(arguments))
}

fn build_command() -> Command {
    let mut command = build::cargo();
    command
        .args(["bench", "--no-run", "--package", "broken-lns"])
        .args(["--bench", WIRE])
        // The messages say where the program is, wherever cargo was told to put it.
        .arg("--message-format=json-render-diagnostics");
    command
}

/// The benchmark among what cargo's messages, one JSON object a line, say was built.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == WIRE)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_benchmark_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"broken-lns"},"executable":"/target/release/broken-lns"}
{"reason":"compiler-artifact","target":{"name":"wire"},"executable":"/target/release/deps/wire-1"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executable(messages),
            Some(PathBuf::from("/target/release/deps/wire-1"))
        );
    }
}
