//! What the responder takes of the machine: CPU while there is little to do, and memory.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use broken_lns::mode::{Wait, XdpMode};
use nix::time::ClockId;
use xtask::lab::{Process, pause};

use crate::bed::{BOX_END, Bed};
use crate::contender::Contender;
use crate::reply::Reply;
use crate::report::{Row, Table, Target, Unit};
use crate::traffic::Traffic;
use crate::{Effort, flood, latency, progress, progress_ends};

/// How long the command may take to attach.
const START: Duration = Duration::from_secs(10);
/// Memory that it may take.
const MEMORY: f64 = 64.0 * 1024.0 * 1024.0;

/// Percent of a core that a worker may take while there is nothing to do.
const IDLE: f64 = 5.0;

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let tables = vec![cpu(effort)?, memory(effort)?];
    progress_ends();
    Ok(tables)
}

/// The share of a core that this process takes besides its generator.
fn cpu(effort: Effort) -> Result<Table> {
    let contenders = [
        Contender::REDIRECT,
        Contender::Redirect(Reply::Default, XdpMode::Native, Wait::Sleep),
        Contender::Redirect(Reply::Default, XdpMode::Native, Wait::Spin),
        Contender::Udp(Wait::Sleep),
    ];
    let mut bed = Bed::new(Traffic::DEFAULT)?;
    let mut rows = Vec::new();
    for contender in contenders {
        progress(&format!("CPU: {}", contender.name()));
        let running = contender.start(&mut bed)?;
        let window = effort.length.window * 2;
        let process = ClockId::CLOCK_PROCESS_CPUTIME_ID;
        let idle = share(window, || Ok(process.now()?.into()))?;
        let loaded = bed.offer(latency::OFFER, |_, generator| {
            pause(effort.length.warm_up)?;
            share(window, || {
                Ok(Duration::from(process.now()?).saturating_sub(generator.now()?.into()))
            })
        })?;
        drop(running);
        rows.push(Row {
            name: contender.name(),
            unit: Unit::Percent,
            values: vec![Some(loaded * 100.0), Some(idle * 100.0)],
            target: (contender == Contender::REDIRECT).then_some(Target::AtMost(IDLE)),
        });
    }
    Ok(Table {
        title: "Share of a core".to_owned(),
        columns: vec!["10,000/s", "idle"],
        rows,
        thrown_away: Vec::new(),
    })
}

/// By how much `clock` advances, in parts of the time that passes.
fn share(window: Duration, clock: impl Fn() -> Result<Duration>) -> Result<f64> {
    let (begun, start) = (Instant::now(), clock()?);
    pause(window)?;
    let spent = clock()?.saturating_sub(start);
    Ok(spent.as_secs_f64() / begun.elapsed().as_secs_f64())
}

/// The peak memory of the command, where nobody is followed.
fn memory(effort: Effort) -> Result<Table> {
    let mut bed = Bed::new(Traffic {
        lacs: 1_000_000,
        ..Traffic::DEFAULT
    })?;
    let mut rows = Vec::new();
    for path in ["rewrite", "redirect"] {
        progress(&format!("memory: {path} path"));
        let mut command = bed.responder.command(env!("CARGO_BIN_EXE_broken-lns"));
        command.args([
            "run",
            "--interface",
            BOX_END,
            "--xdp-mode",
            "native",
            "--path",
            path,
            "--control",
            "none",
            // What is known of LACs has a bound of its own, which a soak shows to hold.
            "--track",
            "none",
        ]);
        let command = Process::spawn("broken-lns", command)?;
        command.wait_for_line(": attached, ", START)?;
        let start = peak(command.pid())?;
        bed.offer(flood::OFFER, |_, _| pause(effort.length.window * 4))?;
        rows.push(Row {
            name: format!("{path} path"),
            unit: Unit::Octets,
            values: vec![Some(start), Some(peak(command.pid())?)],
            target: Some(Target::AtMost(MEMORY)),
        });
    }
    Ok(Table {
        title: "Peak memory of the command".to_owned(),
        columns: vec!["at start", "after flood"],
        rows,
        thrown_away: Vec::new(),
    })
}

/// The most memory that a process had so far, in octets.
fn peak(pid: u32) -> Result<f64> {
    memory_of(pid, "VmHWM:")
}

/// The memory of a process by that field of its status, in octets.
pub(crate) fn memory_of(pid: u32, field: &str) -> Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let memory = status.lines().find_map(|line| {
        let kibibytes = line.strip_prefix(field)?.trim().strip_suffix("kB")?;
        kibibytes.trim().parse::<f64>().ok()
    });
    Ok(memory.with_context(|| format!("{path} has no {field}"))? * 1024.0)
}
