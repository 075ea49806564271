//! The command end to end: in a lab of network namespaces, with LACs at one end of the cable and
//! `broken-lns run` at the other.
//!
//! What is expected of it is written here, or decoded by the lab and by tshark, and never taken
//! from the product's own code.

use std::{env, process::ExitCode};

use anyhow::Result;
use libtest_mimic::{Arguments, Completion, Trial};
use xtask::lab::{self, interrupt};

mod captured;
mod changes;
mod checksums;
mod control;
mod decoded;
mod dialled;
mod errors;
mod expected;
mod fallback;
mod files;
mod filters;
mod followed;
mod json;
mod kind;
mod lifecycle;
mod loaded;
mod metrics;
mod names;
mod other_port;
mod packet;
mod played;
mod population;
mod privilege;
mod queues;
mod refusals;
mod replies;
mod reports;
mod request;
mod responder;
mod retransmitted;
mod scenarios;
mod top;
mod traffic;
mod unanswerable;
mod unit;
mod verbose;
mod verdicts;
mod way;

use way::Way;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Each test loads the machine, and most of them go by time.
    arguments.test_threads = Some(1);
    // Ctrl-C makes the running test fail, which cleans up after itself like any other.
    if let Err(error) = interrupt::catch() {
        eprintln!("cannot prepare for Ctrl-C: {error:#}");
        return ExitCode::FAILURE;
    }
    let trials = [
        ("refusals", refusals::trials()),
        ("replies", replies::trials()),
        ("fallback", fallback::trials()),
        ("checksums", checksums::trials()),
        ("verdicts", verdicts::trials()),
        ("filters", filters::trials()),
        ("unanswerable", unanswerable::trials()),
        ("queues", queues::trials()),
        ("verbose", verbose::trials()),
        ("json", json::trials()),
        ("errors", errors::trials()),
        ("expected", expected::trials()),
        ("lifecycle", lifecycle::trials()),
        ("traffic", traffic::trials()),
        ("played", played::trials()),
        ("names", names::trials()),
        ("retransmitted", retransmitted::trials()),
        ("followed", followed::trials()),
        ("reports", reports::trials()),
        ("files", files::trials()),
        ("privilege", privilege::trials()),
        ("unit", unit::trials()),
        ("other_port", other_port::trials()),
        ("population", population::trials()),
        ("captured", captured::trials()),
        ("scenarios", scenarios::trials()),
        ("control", control::trials()),
        ("changes", changes::trials()),
        ("decoded", decoded::trials()),
        ("dialled", dialled::trials()),
        ("metrics", metrics::trials()),
        ("top", top::trials()),
    ];
    let trials = trials.into_iter().flat_map(|(kind, trials)| {
        let trials = trials.into_iter();
        trials.map(move |trial| trial.with_kind(kind))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// A test that runs on one way after the other, with its name.
type Test = (&'static str, fn(Way) -> Result<()>);

/// Each of these tests on each of these ways, with what [`trial`] says of it.
fn by_way<'t>(
    ways: &'t [Way],
    programs: &'static [&'static str],
    tests: &'t [Test],
) -> impl Iterator<Item = Trial> + 't {
    ways.iter().copied().flat_map(move |way| {
        let tests = tests.iter().copied();
        tests.map(move |(name, test)| trial(format!("{name}::{way}"), programs, move || test(way)))
    })
}

/// A test that needs a lab and these programs beside `ip`. Where it cannot run it is ignored, and
/// says why; under `cargo xtask test`, which has seen to everything, it fails instead.
fn trial(
    name: impl Into<String>,
    programs: &'static [&'static str],
    body: impl FnOnce() -> Result<()> + Send + 'static,
) -> Trial {
    Trial::ignorable_test(name, move || {
        if let Some(obstacle) = lab::obstacle(programs) {
            if env::var_os(lab::TEST_ALL).is_some() {
                return Err(obstacle.into());
            }
            return Ok(Completion::ignored_with(obstacle));
        }
        match body() {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => Err(format!("{error:#}").into()),
        }
    })
}
