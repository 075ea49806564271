//! `broken-lns status`, `set` and the like: asks a running responder, and shows its reply.

use std::path::{self, Path};

use anyhow::{Context as _, Result, bail};

use crate::cli::{Load, Report, Set, Target};
use crate::control::DIRECTORY;
use crate::control::client::Client;
use crate::control::protocol::{self, Reply, Request};
use crate::output::{Palette, print, reply};
use crate::report;
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

/// Shows what LACs did so far, or writes it to a file.
///
/// # Errors
///
/// Where no responder is found, where it does not answer or follows no LAC, and where the report
/// cannot be written.
pub fn report(flags: &Report) -> Result<()> {
    let format = flags.format()?;
    let client = Client::find(&flags.which.whom(), Path::new(DIRECTORY))?;
    let (response, _) = client.ask(&Request::Report(protocol::Report { format }))?;
    let Reply::Report(document) = response.outcome()? else {
        bail!("the responder replied to another question; is it of this version of broken-lns?");
    };
    match &flags.output {
        Some(file) => Ok(report::replace(
            file,
            &document.text,
            flags.files.output_mode,
        )?),
        None => print(&document.text).context("cannot write to standard output"),
    }
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
