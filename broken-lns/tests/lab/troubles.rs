//! Troubles around a responder: what passes ends nothing, and whatever takes long keeps nobody
//! from asking and stopping it.

use std::process::Command;

use anyhow::Result;
use libtest_mimic::Trial;
use xtask::lab::{Process, Sccrq, Stream};
use xtask::process;

use crate::{
    request::{Refusal, datagram, expect, nobody},
    responder::{LIMIT, Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in [WAYS[0], WAYS[3]] {
        let name = format!("no_room_for_another_file_ends_nothing::{way}");
        trials.push(trial(name, &["prlimit"], move || {
            no_room_for_another_file_ends_nothing(way)
        }));
    }
    trials
}

/// Lets a process open so many files from now on. Those that it has stay open.
fn limit_files(process: &Process, limit: &str) -> Result<()> {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.pid().to_string()]);
    process::run(command.arg(format!("--nofile={limit}:")))
}

/// Waits for the next snapshots.
fn snapshots(process: &Process, count: usize) -> Result<()> {
    let mut mark = process.mark();
    for _ in 0..count {
        process.wait_for("another snapshot", mark, LIMIT, |line| {
            (line.stream == Stream::Stdout).then_some(())
        })?;
        mark = process.mark();
    }
    Ok(())
}

fn no_room_for_another_file_ends_nothing(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let mut responder = Responder::start(&lab, &way.flags())?;
    // With fewer poll(2) refuses to wait for one.
    limit_files(responder.process(), "1")?;
    snapshots(responder.process(), 3)?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);
    expect(&port, "without a file", &request.frame(), &reply)?;
    limit_files(responder.process(), "1024")?;
    snapshots(responder.process(), 2)?;
    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 1)]));
    Ok(())
}
