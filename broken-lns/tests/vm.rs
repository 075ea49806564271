//! The command on drivers of real NICs and kernels of others, in QEMU: the cells of
//! `cargo xtask vm` that show what no veth pair shows.

use std::{env, path::Path, process::ExitCode};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::{Arguments, Completion, Trial};
use xtask::{
    lab::{self, Scratch, interrupt},
    vm::{self, CORE, Cell, Kernel, Way},
};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each guest takes all the CPUs that there are.
    arguments.test_threads = Some(1);
    // Ctrl-C makes the running test fail, which ends its guest like any other.
    if let Err(error) = interrupt::catch() {
        eprintln!("cannot prepare for Ctrl-C: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials = CORE.map(|(name, ways)| Trial::ignorable_test(name, move || trial(name, ways)));
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// A cell in these ways. Without what `cargo xtask test` fetches for it, it is ignored, and says why.
fn trial(name: &str, ways: &[Way]) -> Result<Completion, libtest_mimic::Failed> {
    let cell = Cell::named(name).ok_or("no such cell")?;
    if let Some(obstacle) = obstacle(cell) {
        lab::skip(&format!("{name}: {obstacle}"))?;
        return Ok(Completion::ignored_with(obstacle));
    }
    match run(cell, ways) {
        Ok(()) => Ok(Completion::Completed),
        Err(error) => Err(format!("{error:#}").into()),
    }
}

/// Why a cell cannot run here, if it cannot.
fn obstacle(cell: Cell) -> Option<String> {
    lab::obstacle(&[]).or_else(|| vm::obstacle(cell.series))
}

fn run(cell: Cell, ways: &[Way]) -> Result<()> {
    let scratch = Scratch::new("vm-parts")?;
    let parts = vm::parts(Path::new(env!("CARGO_BIN_EXE_broken-lns")), &scratch)?;
    let kernel = Kernel::find(&vm::cache(), cell.series).context("no kernel")?;
    let outcomes = cell.run(&parts, &kernel, ways, |outcome| {
        println!("{cell} {outcome}");
    })?;
    for outcome in outcomes {
        ensure!(
            outcome.is_exact(),
            "{cell} with Linux {}: {outcome}",
            kernel.release
        );
    }
    Ok(())
}
