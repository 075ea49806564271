//! The `cargo xtask` command.

use std::{env, ffi::OsString, path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use xtask::test::{LAC, packages};
use xtask::{apt, lab::interrupt, process, vm};

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
    /// Run clippy on the kernel half as the BPF target sees it
    Clippy,
    /// Run the responder on real NIC drivers and several kernels, in QEMU
    Vm(vm::Options),
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
        Task::Clippy => xtask::clippy::run(),
        Task::Vm(options) => emulate(&options),
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

/// Builds as who we are, and goes on as root: only root may lay a wire with several queues.
fn emulate(options: &vm::Options) -> Result<()> {
    if options.list {
        for cell in options.cells()? {
            println!("{:20} {}", cell.to_string(), cell.nic.about);
        }
        return Ok(());
    }
    let responder = match &options.responder {
        Some(responder) => responder.clone(),
        None => xtask::build::run()?,
    };
    if !process::is_root() {
        let mut again = process::as_root(&env::current_exe()?);
        again.args(env::args_os().skip(1));
        again.arg("--responder").arg(responder);
        match process::become_it(&mut again)? {}
    }
    apt::ensure(&packages(&["iproute2", "ethtool", "bpftool", "xz-utils"]))?;
    interrupt::catch()?;
    vm::run(options, &responder)
}
