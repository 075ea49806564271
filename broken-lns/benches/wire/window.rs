//! One window: a contender under one load for a moment, and whether the numbers can be believed.

use std::time::Duration;

use anyhow::Result;
use nix::time::ClockId;
use xtask::lab::pause;

use crate::bed::{Bed, Offer};
use crate::contender::{Contender, Running};
use crate::contract::FLOOD;
use crate::meter::Sample;

/// How often a window is tried, when the one before was thrown away.
const TRIES: u32 = 3;
/// The share of requests that may be unaccounted for.
const UNACCOUNTED: f64 = 0.01;
/// The share of answers that may be counted on the wrong CPU.
const STRAYED: f64 = 0.02;
/// The share of a window for which a thread may be kept from its CPU.
const DISTURBED: f64 = 0.1;

/// How long a window is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    /// Under load, before anything is counted.
    pub(crate) warm_up: Duration,
    /// While it is counted.
    pub(crate) window: Duration,
}

/// What a window showed.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Requests a second.
    pub(crate) offered: f64,
    /// What came back of them, by content, a second.
    pub(crate) returned: f64,
    /// The share of all requests, those of the warm-up included, that did not come back.
    pub(crate) loss: f64,
    /// The round trips in it by bucket, where they are measured.
    pub(crate) round_trips: Vec<u64>,
}

/// CPU time of this process.
#[derive(Clone, Copy)]
struct Busy {
    generator: Duration,
    /// All threads but the generator's.
    others: Duration,
}

impl Busy {
    fn so_far(generator: ClockId) -> Result<Self> {
        let process = Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?);
        let generator = Duration::from(generator.now()?);
        Ok(Self {
            generator,
            others: process.saturating_sub(generator),
        })
    }

    fn since(self, begun: Self) -> Self {
        Self {
            generator: self.generator.saturating_sub(begun.generator),
            others: self.others.saturating_sub(begun.others),
        }
    }
}

/// Why windows were thrown away.
#[derive(Debug, Default)]
pub(crate) struct Voids(pub(crate) Vec<String>);

/// Measures a window, once more where it has to be thrown away; `None` when all have to.
pub(crate) fn measure(
    bed: &mut Bed,
    running: &Running,
    offer: Offer,
    length: Length,
    voids: &mut Voids,
) -> Result<Option<Window>> {
    for _ in 0..TRIES {
        match attempt(bed, running, offer, length)? {
            Ok(window) => return Ok(Some(window)),
            Err(reason) => voids
                .0
                .push(format!("{}: {reason}", running.contender.name())),
        }
    }
    Ok(None)
}

fn attempt(
    bed: &mut Bed,
    running: &Running,
    offer: Offer,
    length: Length,
) -> Result<std::result::Result<Window, String>> {
    let expected = running.contender.expected();
    let timed = bed.traffic.timed;
    let lost_before = bed.lost()? + running.lost()?;
    let before = bed.meter.sample()?;
    let (start, end, busy, round_trips) = bed.offer(offer, |meter, generator| {
        pause(length.warm_up)?;
        let trips = timed.then(|| meter.round_trips()).transpose()?;
        let (start, begun) = (meter.sample()?, Busy::so_far(generator)?);
        pause(length.window)?;
        let (end, ended) = (meter.sample()?, Busy::so_far(generator)?);
        let round_trips = match trips {
            Some(before) => {
                let after = meter.round_trips()?;
                after
                    .iter()
                    .zip(before)
                    .map(|(after, before)| after - before)
                    .collect()
            }
            None => Vec::new(),
        };
        Ok((start, end, ended.since(begun), round_trips))
    })?;
    let after = bed.meter.sample()?;
    let lost = (bed.lost()? + running.lost()?).saturating_sub(lost_before);

    let offered = after.offered;
    let returned = after.returned(expected) - before.returned(expected);
    let unexpected = after.unexpected(expected) - before.unexpected(expected);
    if offered == 0 {
        return Ok(Err("the generator made no request".to_owned()));
    }
    if returned > offered {
        return Ok(Err(format!("{returned} came back of {offered} requests")));
    }
    let share = |part: u64| part as f64 / offered as f64;
    // Neighbour discovery and the like are a few frames, and no reason.
    if share(unexpected) > UNACCOUNTED {
        return Ok(Err(format!(
            "{unexpected} frames came that were not asked for"
        )));
    }
    let missing = offered - returned;
    if running.contender.is_accounted() && share(missing.abs_diff(lost)) > UNACCOUNTED {
        return Ok(Err(format!(
            "of {offered} requests {missing} did not come back, {lost} are known to be lost"
        )));
    }
    let strayed = strayed(bed, running.contender, &start, &end);
    if strayed > STRAYED {
        return Ok(Err(format!(
            "{:.0} % of what came back was received on another CPU than planned",
            strayed * 100.0
        )));
    }
    let seconds = (end.at - start.at).as_secs_f64();
    let kept_from_cpu = |busy: Duration| 1.0 - busy.as_secs_f64() / seconds;
    let generator = kept_from_cpu(busy.generator);
    if generator > DISTURBED {
        return Ok(Err(format!(
            "the generator had to leave its CPU to others for {:.0} % of the time",
            generator * 100.0
        )));
    }
    // At flood a thread that answers has no reason to rest.
    let others = kept_from_cpu(busy.others);
    if offer.pace == FLOOD && running.contender.is_in_thread() && others > DISTURBED {
        return Ok(Err(format!(
            "the thread that answers was kept from its CPU for {:.0} % of the time",
            others * 100.0
        )));
    }
    Ok(Ok(Window {
        offered: (end.offered - start.offered) as f64 / seconds,
        returned: (end.returned(expected) - start.returned(expected)) as f64 / seconds,
        loss: share(missing),
        round_trips,
    }))
}

/// The share of what came back that was received on another CPU than the contender's.
fn strayed(bed: &Bed, contender: Contender, start: &Sample, end: &Sample) -> f64 {
    let expected = contender.expected();
    let cpu = if contender.is_in_kernel() {
        bed.cpus.generator
    } else {
        bed.cpus.worker
    };
    let rows = end.returned_by_cpu(expected).iter();
    let counts: Vec<u64> = rows
        .zip(start.returned_by_cpu(expected))
        .map(|(end, start)| end - start)
        .collect();
    let all: u64 = counts.iter().sum();
    let planned = counts.get(cpu).copied().unwrap_or(0);
    (all - planned) as f64 / all.max(1) as f64
}
