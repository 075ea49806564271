//! The `broken-lns` command.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use broken_lns::cli::{Cli, Command};
use broken_lns::control::protocol::Request;
use broken_lns::judge::Failed;
use broken_lns::scenario::catalogue::catalogue;
use broken_lns::{check, codes, doctor, output, remote, run, top};

fn main() -> ExitCode {
    let command = Cli::from_command_line().command;
    let done = dispatch(&command);
    // `run` says itself what is wrong, where no reader can hold it up.
    if let (Err(error), false) = (&done, matches!(command, Command::Run(_))) {
        eprintln!("{}", output::failure(error));
    }
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Failed>() => ExitCode::from(Failed::STATUS),
        Err(_) => ExitCode::FAILURE,
    }
}

fn dispatch(command: &Command) -> Result<()> {
    match command {
        Command::Run(flags) => run::run(flags),
        Command::Codes => print(&codes::tables()),
        Command::Check(flags) => print(&check::check(flags)?),
        Command::Doctor(flags) => doctor::doctor(flags),
        Command::Faults => print(&catalogue(columns())),
        Command::Status(target) => remote::ask(target, &Request::Status),
        Command::Rules(target) => remote::ask(target, &Request::Rules),
        Command::Report(flags) => remote::report(flags),
        Command::Top(which) => top::top(which),
        Command::Set(flags) => remote::set(flags),
        Command::Load(flags) => remote::load(flags),
        Command::Reload(target) => remote::ask(target, &Request::Reload),
        Command::Reset(target) => remote::ask(target, &Request::Reset),
        Command::Stop(target) => remote::ask(target, &Request::Stop),
    }
}

fn print(text: &str) -> Result<()> {
    output::print(text).context("cannot write to standard output")
}

/// The columns of the terminal that standard output goes to, or the usual ones.
fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stdout()).map_or(80, |(width, _)| usize::from(width.0))
}
