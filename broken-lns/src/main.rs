//! The `broken-lns` command.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use broken_lns::cli::{Cli, Command};
use broken_lns::scenario::catalogue::catalogue;
use broken_lns::{check, codes, output, run};

fn main() -> ExitCode {
    match dispatch(&Cli::from_command_line().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("broken-lns: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &Command) -> Result<()> {
    match command {
        Command::Run(flags) => run::run(flags),
        Command::Codes => print(&codes::tables()),
        Command::Check(flags) => print(&check::check(flags)?),
        Command::Faults => print(&catalogue(columns())),
    }
}

fn print(text: &str) -> Result<()> {
    output::print(text).context("cannot write to standard output")
}

/// The columns of the terminal that standard output goes to, or the usual ones.
fn columns() -> usize {
    terminal_size::terminal_size_of(std::io::stdout()).map_or(80, |(width, _)| usize::from(width.0))
}
