//! `broken-lns status`, `set` and the like: asks a running responder, and shows its reply.

use std::path::{self, Path};

use anyhow::{Context as _, Result};

use crate::cli::{Load, Set, Target};
use crate::control::DIRECTORY;
use crate::control::client::Client;
use crate::control::protocol::{self, Request};
use crate::output::{Palette, print, reply};
use crate::scenario::Scenario;

/// Asks for something, and prints the reply.
///
/// # Errors
///
/// Where no responder is found or it does not answer, and why it refuses.
pub fn ask(target: &Target, request: &Request) -> Result<()> {
    let client = Client::find(&target.which.whom(), Path::new(DIRECTORY))?;
    let (response, line) = client.ask(request)?;
    if target.json {
        print(&line).context("cannot write to standard output")?;
    }
    let outcome = response.outcome();
    let outcome = match request {
        Request::Set(_) | Request::Load(_) | Request::Reload => {
            outcome.context("the scenario stays as it is")?
        }
        _ => outcome?,
    };
    if !target.json {
        let palette = Palette::of(&std::io::stdout());
        print(&reply(&outcome, &palette)).context("cannot write to standard output")?;
    }
    Ok(())
}

/// Changes the refusal.
///
/// # Errors
///
/// Those of [`ask`].
pub fn set(flags: &Set) -> Result<()> {
    ask(&flags.target, &Request::Set(flags.change()))
}

/// Reads a scenario, which the responder may not be able to see, and sends it there.
///
/// # Errors
///
/// Where the file cannot be read, and those of [`ask`].
pub fn load(flags: &Load) -> Result<()> {
    let file = &flags.file;
    let text = Scenario::read(file)?;
    let name = file.display().to_string();
    let path = path::absolute(file).with_context(|| format!("where is {name}?"))?;
    let scenario = protocol::Load { name, path, text };
    ask(&flags.target, &Request::Load(scenario))
}
