//! Nanoseconds that the programs take for a frame, by the kernel's own statistics.
//!
//! They cost some 40 ns a frame themselves, so they are off in every other measure, and what is to
//! be believed here are differences.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use broken_lns::interface::Interface;
use broken_lns::mode::XdpMode;
use xtask::lab::pause;

use crate::bed::{BOX_END, Bed};
use crate::contender::Contender;
use crate::flood::OFFER;
use crate::reply::Reply;
use crate::report::{Row, SUMMARY, Table, Target, Unit};
use crate::traffic::Traffic;
use crate::{Effort, progress, progress_ends};

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let contenders = [
        Contender::Bounce,
        Contender::REWRITE,
        Contender::Rewrite(Reply::LongestMessage, XdpMode::Native),
        Contender::Rewrite(Reply::LongestTemplate, XdpMode::Native),
        Contender::REDIRECT,
    ];
    let mut bed = Bed::new(Traffic::DEFAULT)?;
    let costs = in_rounds("cost", &mut bed, contenders, effort)?;
    let mut rows: Vec<Row> = contenders
        .iter()
        .zip(&costs)
        .map(|(contender, costs)| Row::summary(contender.name(), Unit::Nanoseconds, costs))
        .collect();
    let [bounce, rewrite, ..] = &costs;
    let over: Vec<f64> = rewrite
        .iter()
        .zip(bounce)
        .map(|(one, other)| one - other)
        .collect();
    rows.push(
        Row::summary("rewrite path - bare bounce", Unit::Nanoseconds, &over)
            .target(Target::AtMost(35.0)),
    );
    Ok(vec![Table {
        title: "The XDP program, a frame, statistics included".to_owned(),
        columns: SUMMARY.to_vec(),
        rows,
        thrown_away: Vec::new(),
    }])
}

/// What the programs of these contenders take for a frame, in each round.
pub(crate) fn in_rounds<const N: usize>(
    what: &str,
    bed: &mut Bed,
    contenders: [Contender; N],
    effort: Effort,
) -> Result<[Vec<f64>; N]> {
    let statistics = enable_stats(Stats::RunTime).context("the kernel has no BPF statistics")?;
    let mut costs = contenders.map(|_| Vec::new());
    for round in 0..effort.rounds {
        for (contender, costs) in contenders.iter().zip(&mut costs) {
            let (round, of, name) = (round + 1, effort.rounds, contender.name());
            progress(&format!("{what}, round {round} of {of}: {name}"));
            costs.push(cost(bed, *contender, effort)?);
        }
    }
    drop(statistics);
    progress_ends();
    Ok(costs)
}

/// Nanoseconds a frame of the program that is attached to the box.
fn cost(bed: &mut Bed, contender: Contender, effort: Effort) -> Result<f64> {
    let _running = contender.start(bed)?;
    let attached = bed.responder.enter(|| {
        let interface = Interface::by_name(BOX_END)?;
        anyhow::Ok(interface.attached_programs()?)
    })??;
    let program = attached
        .first()
        .context("no program is attached to the box")?
        .id;
    let (start, end) = bed.offer(OFFER, |_, _| {
        pause(effort.length.warm_up)?;
        let start = spent(program)?;
        pause(effort.length.window)?;
        Ok((start, spent(program)?))
    })?;
    let (time, frames) = (end.0 - start.0, end.1 - start.1);
    Ok(time.as_nanos() as f64 / frames.max(1) as f64)
}

/// How long a program ran so far, and how often.
fn spent(program: u32) -> Result<(Duration, u64)> {
    let mut loaded = loaded_programs().filter_map(std::result::Result::ok);
    let info = loaded.find(|loaded| loaded.id() == program);
    let info = info.context("the attached program went away")?;
    Ok((info.run_time(), info.run_count()))
}
