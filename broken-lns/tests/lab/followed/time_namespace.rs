//! A responder in a time namespace, whose clock is not that of the kernel half.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use xtask::lab::Lab;

use super::{REFUSES, SCENARIO, fault, files, lac::Lac, reactions, read, unknown};
use crate::responder::{LIMIT, Responder};

/// Ten days, in seconds: far longer than a LAC is quiet that has given up.
const AHEAD: &str = "864000";

pub(super) fn a_time_namespace_makes_nobody_give_up() -> Result<()> {
    let (_files, scenario, report) = files(SCENARIO)?;
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let mut command = lab.responder.command("unshare");
    command.args([
        "--time",
        "--monotonic",
        AHEAD,
        env!("CARGO_BIN_EXE_broken-lns"),
    ]);
    command.args(["run", "--json", "--control", "none"]);
    command.args(["--scenario", &scenario, "--report", &report]);
    let mut responder = Responder::of(command)?;
    let process = responder.process();
    process.wait_for_line(": attached, ", LIMIT)?;
    let namespace_of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/time"));
    ensure!(namespace_of(&process.pid().to_string())? != namespace_of("self")?);

    Lac::new(&port, 1).is_refused(REFUSES, 7)?;
    responder.finish()?;
    let report = read(&report)?;
    let refuses = fault(&report, 0, REFUSES)?;
    assert_eq!(refuses["reactions"], reactions(0, 0, 0, 0));
    assert_eq!(refuses["unknown"], unknown(1, 0));
    let trip = &refuses["acknowledged"]["round_trip"];
    assert_eq!(trip["count"], 1);
    let longest = trip["max_ns"].as_u64().context("no longest one")?;
    ensure!(longest < LIMIT.as_nanos() as u64, "{trip}");
    Ok(())
}
