//! The `broken-lns` command.

use std::process::ExitCode;

use anyhow::Result;
use broken_lns::cli::{Cli, Command};
use broken_lns::{codes, run};

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
        Command::Codes => {
            print!("{}", codes::tables());
            Ok(())
        }
    }
}
