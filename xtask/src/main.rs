//! The `cargo xtask` command.

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use xtask::fuzz::{self, Target};
use xtask::sanitize::Watch;
use xtask::test::{LAC, packages};
use xtask::{apt, process};

/// Development tasks of broken-lns. Each sets up first what it needs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Find or install what the build of the kernel half needs
    Setup,
    /// Build the responder for use
    Build,
    /// Build the responder and run it, through sudo when not root
    Run {
        /// What the responder is started with
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Refuse a real LAC in a lab of network namespaces, and show how it takes it
    Demo {
        /// A responder that is built already
        #[arg(long, hide = true)]
        responder: Option<PathBuf>,
    },
    /// Measure how fast both paths are, through sudo when not root
    #[command(disable_help_flag = true)]
    Bench {
        /// What the benchmark is started with: --help tells
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Try any inputs on what reads what others wrote: all targets, or one
    Fuzz {
        /// One of them
        target: Option<Target>,
        /// Inputs that were found, to be repeated
        #[arg(requires = "target")]
        inputs: Vec<PathBuf>,
        /// How long each runs
        #[arg(long, default_value = "1m", value_parser = humantime::parse_duration)]
        time: Duration,
        /// How many run at a time
        #[arg(long, default_value_t = 2)]
        jobs: usize,
    },
    /// Run the tests of memory under Miri and AddressSanitizer
    Sanitize {
        /// Under one of them
        #[arg(long)]
        only: Option<Watch>,
    },
    /// Check licences, sources and known vulnerabilities of the dependencies
    Deny,
    /// Run clippy on the kernel half as the BPF target sees it
    Clippy,
    /// Run every test, through sudo when not root
    Test {
        /// What is handed to `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match perform(Task::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: Task) -> Result<()> {
    match task {
        Task::Setup => xtask::setup::run(),
        Task::Build => {
            let responder = xtask::build::run()?;
            eprintln!("the responder is {}", responder.display());
            Ok(())
        }
        Task::Run { arguments } => match xtask::run::run(&arguments)? {},
        Task::Demo { responder } => demo(responder),
        Task::Bench { arguments } => match xtask::bench::run(&arguments)? {},
        Task::Fuzz {
            target: Some(target),
            inputs,
            ..
        } if !inputs.is_empty() => fuzz::repeat(target, &inputs),
        Task::Fuzz {
            target, time, jobs, ..
        } => fuzz::run(target, time, jobs),
        Task::Sanitize { only } => xtask::sanitize::run(only),
        Task::Deny => xtask::deny::run(),
        Task::Clippy => xtask::clippy::run(),
        Task::Test { arguments } => xtask::test::run(&arguments),
    }
}

/// Builds as who we are, and goes on as root: only the lab needs that.
fn demo(built: Option<PathBuf>) -> Result<()> {
    let responder = built.map_or_else(xtask::build::run, Ok)?;
    if !process::is_root() {
        let mut again = process::as_root(&env::current_exe()?);
        again.args(["demo", "--responder"]).arg(responder);
        match process::become_it(&mut again)? {}
    }
    apt::ensure(&packages(&["iproute2"]))?;
    // Without the real LAC the demo has one of its own, so this is no reason to stop.
    if let Err(error) = apt::ensure(&packages(&[LAC])) {
        eprintln!("going on without xl2tpd: {error:#}");
    }
    xtask::demo::run(&responder, process::find("xl2tpd"))
}
