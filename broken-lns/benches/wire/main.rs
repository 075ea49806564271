//! How fast the two paths are, against what they could be at the most and what one would have
//! without them: `cargo xtask bench`.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use xtask::lab::interrupt;

mod bed;
mod contender;
mod cost;
mod crate_echo;
mod echo;
mod flood;
mod followed;
mod latency;
mod load;
mod matrix;
mod meter;
mod plot;
mod reply;
mod report;
mod rounds;
mod rules;
mod soak;
mod traffic;
mod udp;
mod usage;
mod window;

/// What the kernel's half of the benchmark knows, too.
#[allow(dead_code, reason = "each half uses its own part of it")]
#[path = "../../../broken-lns-ebpf/src/bench/contract.rs"]
mod contract;

use report::Table;
use window::Length;

/// What is measured, and how long.
#[derive(Parser)]
#[command(name = "cargo xtask bench")]
struct Arguments {
    /// End within three minutes, with less to say
    #[arg(long)]
    quick: bool,
    /// How often each contender has its turn [default: 7, or 3 with --quick]
    #[arg(long, value_name = "N")]
    rounds: Option<u32>,
    /// Write what was measured to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw goodput against offered load into an SVG file
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Measure only this
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WHAT")]
    only: Vec<Measure>,
    /// What cargo says to every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// Answers a second at flood
    Flood,
    /// Round trips at 10,000 requests a second
    Latency,
    /// The highest rate without loss, and goodput under overload
    Load,
    /// Nanoseconds of the XDP program for a frame
    Cost,
    /// Rules for LNSs, from none to 65,536
    Rules,
    /// LACs that are followed: none, one of 100, all
    Followed,
    /// CPU while there is little to do, and memory
    Usage,
    /// Other numbers of LACs, other headers, generic mode
    Matrix,
    /// Ten minutes at flood with 100,000 LACs, all followed; only where it is asked for, or with
    /// --quick, for some seconds
    Soak,
}

/// How thoroughly.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) quick: bool,
    pub(crate) rounds: u32,
    /// Of a window at flood.
    pub(crate) length: Length,
}

fn main() -> ExitCode {
    match perform(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress_ends();
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform(arguments: Arguments) -> Result<()> {
    interrupt::catch()?;
    let quick = arguments.quick;
    let effort = Effort {
        quick,
        rounds: arguments.rounds.unwrap_or(if quick { 3 } else { 7 }).max(1),
        length: Length {
            warm_up: Duration::from_millis(if quick { 50 } else { 100 }),
            window: Duration::from_millis(if quick { 200 } else { 500 }),
        },
    };
    let begun = Instant::now();
    let mut tables = Vec::new();
    for measure in Measure::value_variants() {
        let is_asked_for = match arguments.only.as_slice() {
            [] => quick || *measure != Measure::Soak,
            only => only.contains(measure),
        };
        if is_asked_for {
            let made = match measure {
                Measure::Flood => flood::run(effort)?,
                Measure::Latency => latency::run(effort)?,
                Measure::Load => {
                    let (tables, curves) = load::run(effort)?;
                    if let Some(path) = &arguments.plot {
                        plot::draw(path, &curves)?;
                    }
                    tables
                }
                Measure::Cost => cost::run(effort)?,
                Measure::Rules => rules::run(effort)?,
                Measure::Followed => followed::run(effort)?,
                Measure::Usage => usage::run(effort)?,
                Measure::Matrix => matrix::run(effort)?,
                Measure::Soak => soak::run(effort)?,
            };
            for table in &made {
                println!("\n{}", table.shown());
            }
            tables.extend(made);
        }
    }
    println!("\ntook {:.0} s", begun.elapsed().as_secs_f64());
    match arguments.json {
        Some(path) => write(&path, &tables),
        None => Ok(()),
    }
}

fn write(path: &PathBuf, tables: &[Table]) -> Result<()> {
    let json = serde_json::to_string_pretty(tables)?;
    fs::write(path, json + "\n").with_context(|| format!("cannot write {}", path.display()))
}

/// Says on standard error what is being done.
pub(crate) fn progress(what: &str) {
    if io::stderr().is_terminal() {
        // Over what was said before.
        eprint!("\r\x1b[K{what}");
    }
}

/// Removes what [`progress`] said.
pub(crate) fn progress_ends() {
    progress("");
}
