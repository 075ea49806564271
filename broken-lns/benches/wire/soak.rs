//! A soak: the command at full rate with many LACs, all of them followed, for as long as it takes
//! to believe that it does not grow, and that nothing is missing from what it counts.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use xtask::lab::{Process, Scratch, Stream, pause};

use crate::bed::{BOX_END, Bed};
use crate::contender::Contender;
use crate::report::{Row, Table, Unit};
use crate::traffic::Traffic;
use crate::usage::memory_of;
use crate::{Effort, flood, progress, progress_ends};

/// The LACs that ask in turn.
const LACS: u32 = 100_000;
/// The LNSs that each of them asks, one after the other: no divisor of the above.
const LNSS: u32 = 9;
/// How long it takes, and how long until it has what it needs.
const LENGTH: (Duration, Duration) = (Duration::from_mins(10), Duration::from_mins(1));
/// The same with little time.
const QUICK: (Duration, Duration) = (Duration::from_secs(12), Duration::from_secs(8));
/// How long the command may take to attach, and to end.
const LIMIT: Duration = Duration::from_secs(10);
/// By how much memory may grow once it has what it needs: an allocator does not give back what
/// one report took.
const GROWTH: f64 = 8.0 * 1024.0 * 1024.0;
/// How often memory is looked at.
const STEP: Duration = Duration::from_secs(1);

/// Measures it. What does not add up is an error.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let (length, settled) = if effort.quick { QUICK } else { LENGTH };
    let mut bed = Bed::new(Traffic {
        lacs: LACS,
        lnss: LNSS,
        ..Traffic::DEFAULT
    })?;
    let files = Scratch::new("soak")?;
    let report = files.file("report.json");
    let mut command = bed.responder.command(env!("CARGO_BIN_EXE_broken-lns"));
    command.args(["run", "--interface", BOX_END, "--xdp-mode", "native"]);
    command.args(["--path", "rewrite", "--control", "none", "--json"]);
    command.arg("--report").arg(&report);
    let mut command = Process::spawn("broken-lns", command)?;
    command.wait_for_line(": attached, ", LIMIT)?;

    let pid = command.pid();
    let mut sizes: Vec<(Duration, f64)> = Vec::new();
    bed.offer(flood::OFFER, |_, _| {
        let begun = Instant::now();
        while begun.elapsed() < length {
            pause(STEP)?;
            let elapsed = begun.elapsed();
            progress(&format!(
                "soak: {} of {} s",
                elapsed.as_secs(),
                length.as_secs()
            ));
            sizes.push((elapsed, resident(pid)?));
        }
        Ok(())
    })?;
    progress_ends();
    command.signal(Signal::SIGINT)?;
    ensure!(command.wait(LIMIT)?.success(), "{:?}", command.lines());

    let lines = command.lines();
    let mut snapshots = lines.iter().filter(|line| line.stream == Stream::Stdout);
    let last = snapshots
        .next_back()
        .context("the command counted nothing")?;
    let last: Value = serde_json::from_str(&last.text)?;
    let report: Value = serde_json::from_slice(&fs::read(&report)?)?;
    add_up(&bed, &last, &report)?;

    let (early, late): (Vec<_>, Vec<_>) = sizes.iter().partition(|(at, _)| *at < settled);
    let greatest =
        |sizes: &[(Duration, f64)]| sizes.iter().map(|(_, size)| *size).fold(0.0, f64::max);
    let (settled, end) = (greatest(&early), greatest(&late));
    let memory = |name: &str, value| Row {
        name: name.to_owned(),
        unit: Unit::Octets,
        values: vec![Some(value)],
        target: None,
    };
    let growth = end - settled;
    ensure!(
        growth <= GROWTH,
        "memory grew by {growth:.0} octets: {sizes:?}"
    );
    let answered = number(&last, "/verdicts/answered")?;
    let rate = |count: u64| Row {
        name: String::new(),
        unit: Unit::PerSecond,
        values: vec![Some(count as f64 / length.as_secs_f64())],
        target: None,
    };
    Ok(vec![Table {
        title: format!(
            "{} s at flood, {LACS} LACs at {LNSS} LNSs, all followed",
            length.as_secs()
        ),
        columns: vec!["value"],
        rows: vec![
            Row {
                name: "answers".to_owned(),
                ..rate(answered)
            },
            Row {
                name: "events looked at".to_owned(),
                ..rate(number(&report, "/events/seen")?)
            },
            Row {
                name: "events lost".to_owned(),
                ..rate(number(&report, "/events/lost")?)
            },
            memory("memory, once settled", settled),
            memory("memory, later", end),
        ],
        thrown_away: Vec::new(),
    }])
}

/// Holds what the generator, the responder and the tracker counted against each other.
fn add_up(bed: &Bed, last: &Value, report: &Value) -> Result<()> {
    let sample = bed.meter.sample()?;
    let returned = sample.returned(Contender::REWRITE.expected());
    let answered = number(last, "/verdicts/answered")?;
    let lost = bed.lost()?;
    let offered = sample.offered;
    ensure!(
        answered == returned && offered == answered + lost,
        "of {offered} requests {answered} were answered, {returned} came back and {lost} were lost"
    );
    let (seen, lost) = (
        number(report, "/events/seen")?,
        number(report, "/events/lost")?,
    );
    ensure!(
        seen + lost == answered,
        "of {answered} requests {seen} were looked at and {lost} lost on the way there"
    );
    let attempts = number(report, "/attempts/seen")?;
    let repeated = number(report, "/attempts/retransmissions")?;
    ensure!(
        attempts + repeated == seen,
        "{seen} requests make {attempts} attempts and {repeated} retransmissions"
    );
    for (what, expected) in [("seen", LACS), ("open", LACS), ("closed", 0)] {
        let lacs = number(report, &format!("/lacs/{what}"))?;
        ensure!(
            lacs == u64::from(expected),
            "{lacs} LACs are {what}, not {expected}"
        );
    }
    Ok(())
}

fn number(value: &Value, pointer: &str) -> Result<u64> {
    let number = value.pointer(pointer).and_then(Value::as_u64);
    number.with_context(|| format!("no number {pointer} in {value}"))
}

/// The memory that a process has, in octets.
fn resident(pid: u32) -> Result<f64> {
    memory_of(pid, "VmRSS:")
}
