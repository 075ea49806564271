//! `cargo xtask build`: the release build of the responder.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::{process, root, setup};

/// Builds the responder for use and returns the path of its program.
pub fn run() -> Result<PathBuf> {
    setup::ensure()?;
    let messages = process::read(
        cargo()
            .args(["build", "--release", "--package", "broken-lns"])
            .args(["--bin", "broken-lns"])
            // The messages say where the program is, wherever cargo was told to put it.
            .arg("--message-format=json-render-diagnostics")
            .stderr(Stdio::inherit()),
    )?;
    executable(&messages).context("cargo did not say where it put the program broken-lns")
}

/// A command for the cargo that runs us, at the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The last program that cargo's messages, one JSON object a line, say was built.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/target/release/broken-lns"}
{"reason":"build-finished","success":true}
"#;
        assert_eq!(
            executable(messages),
            Some(PathBuf::from("/target/release/broken-lns"))
        );
    }

    #[test]
    fn messages_without_a_program_name_none() {
        assert_eq!(
            executable("{\"reason\":\"build-finished\"}\nnot JSON\n"),
            None
        );
    }
}
