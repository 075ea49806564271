//! From a trickle to a flood: the highest rate without loss, and what becomes of goodput beyond it.

use std::slice;

use anyhow::Result;
use broken_lns::mode::Wait;

use crate::bed::{Bed, Offer};
use crate::contender::{Contender, Running};
use crate::flood;
use crate::report::{Row, SUMMARY, Summary, Table, Target, Unit};
use crate::traffic::Traffic;
use crate::window::{Length, Voids, Window, measure};
use crate::{Effort, progress, progress_ends};

/// What counts as loss-free.
const LOSS: f64 = 0.001;
/// Offered load, in parts of what is answered at flood.
const STEPS: [f64; 10] = [0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.6, 2.0];
/// The same with little time.
const FEW_STEPS: [f64; 4] = [0.5, 0.9, 1.1, 1.6];
/// How often the search halves its range.
const HALVINGS: u32 = 6;
/// How often a rate is tried before it counts as one with loss: whatever keeps the worker from
/// its CPU for a moment looks like loss, too.
const CHANCES: u32 = 3;

/// Goodput of one contender against offered load, for a plot.
pub(crate) struct Curve {
    pub(crate) name: String,
    /// Offered and answered a second, in the order of the former.
    pub(crate) points: Vec<(f64, f64)>,
}

/// What the rounds of one contender showed.
#[derive(Default)]
struct Results {
    flood: Vec<f64>,
    best_paced: Vec<f64>,
    loss_free: Vec<f64>,
    /// By step, with the flood as the last.
    points: Vec<Vec<(f64, f64)>>,
}

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<(Vec<Table>, Vec<Curve>)> {
    let contenders = [
        Contender::REWRITE,
        Contender::REDIRECT,
        Contender::Udp(Wait::Sleep),
    ];
    let (steps, rounds) = if effort.quick {
        (&FEW_STEPS[..], 1)
    } else {
        (&STEPS[..], effort.rounds.div_ceil(2))
    };
    let mut bed = Bed::new(Traffic::DEFAULT)?;
    let mut voids = Voids::default();
    let mut results = contenders.map(|_| Results::default());
    for round in 0..rounds {
        for (contender, results) in contenders.iter().zip(&mut results) {
            let (round, name) = (round + 1, contender.name());
            progress(&format!("load, round {round} of {rounds}: {name}"));
            let running = contender.start(&mut bed)?;
            let mut probe = Probe {
                bed: &mut bed,
                running: &running,
                length: effort.length,
                voids: &mut voids,
            };
            probe.climb(steps, results)?;
        }
    }
    progress_ends();

    let mut rows = Vec::new();
    let mut curves = Vec::new();
    for (contender, results) in contenders.iter().zip(&results) {
        let name = contender.name();
        let is_ours = !matches!(contender, Contender::Udp(_));
        let ratio = |one: &[f64], other: &[f64]| -> Vec<f64> {
            one.iter()
                .zip(other)
                .map(|(one, other)| one / other)
                .collect()
        };
        let row =
            |what: &str, values| Row::summary(format!("{name}, {what}"), Unit::PerSecond, values);
        rows.extend([
            row("flood", &results.flood),
            row("best paced", &results.best_paced),
            row("loss-free", &results.loss_free),
        ]);
        for (what, one, target) in [
            (
                "flood / best paced",
                ratio(&results.flood, &results.best_paced),
                0.95,
            ),
            (
                "loss-free / flood",
                ratio(&results.loss_free, &results.flood),
                0.9,
            ),
        ] {
            let row = Row::summary(format!("{name}, {what}"), Unit::Ratio, &one);
            rows.push(if is_ours {
                row.target(Target::AtLeast(target))
            } else {
                row
            });
        }
        let middle = |values: Vec<f64>| Summary::of(&values).map(|summary| summary.median);
        let mut points: Vec<(f64, f64)> = results
            .points
            .iter()
            .filter_map(|step| {
                let (offered, answered) = step.iter().copied().unzip();
                middle(offered).zip(middle(answered))
            })
            .collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        curves.push(Curve { name, points });
    }
    let table = Table {
        title: format!("Answers under load, {}", Traffic::DEFAULT.name()),
        columns: SUMMARY.to_vec(),
        rows,
        thrown_away: voids.0,
    };
    Ok((vec![table], curves))
}

/// A contender under one load after another.
struct Probe<'a> {
    bed: &'a mut Bed,
    running: &'a Running,
    length: Length,
    voids: &'a mut Voids,
}

impl Probe<'_> {
    fn climb(&mut self, steps: &[f64], results: &mut Results) -> Result<()> {
        results.points.resize(steps.len() + 1, Vec::new());
        let Some(flood) = self.measure(flood::OFFER)? else {
            return Ok(());
        };
        let mut best: f64 = 0.0;
        let floods = slice::from_ref(&flood);
        let mut windows = Vec::new();
        for step in steps {
            windows.push(self.measure(paced(flood.returned * step))?);
        }
        let all = windows
            .iter()
            .map(Option::as_ref)
            .chain(floods.iter().map(Some));
        for (window, points) in all.zip(&mut results.points) {
            if let Some(window) = window {
                points.push((window.offered, window.returned));
            }
        }
        for window in windows.iter().flatten() {
            best = best.max(window.returned);
        }
        // What loses nothing at flood need not be searched; a pace of its own costs the generator
        // time, so that no paced rate comes near that.
        let loss_free = match flood.loss < LOSS {
            true => Some(flood.returned),
            false => self.search(flood.returned.max(best))?,
        };
        if let Some(loss_free) = loss_free {
            results.flood.push(flood.returned);
            results.best_paced.push(best);
            results.loss_free.push(loss_free);
        }
        Ok(())
    }

    /// The highest rate without loss, somewhere below a little more than `known`.
    fn search(&mut self, known: f64) -> Result<Option<f64>> {
        let (mut low, mut high) = (0.0, known * 1.2);
        let mut found = None;
        for _ in 0..HALVINGS {
            let rate = f64::midpoint(low, high);
            match self.without_loss(rate)? {
                Some(window) => {
                    // The generator may be at its end before the contender is.
                    found = Some(window.returned.max(found.unwrap_or(0.0)));
                    low = rate;
                }
                None => high = rate,
            }
        }
        Ok(found)
    }

    /// A window at this rate without loss, if there is one.
    fn without_loss(&mut self, rate: f64) -> Result<Option<Window>> {
        for _ in 0..CHANCES {
            let window = self.measure(paced(rate))?;
            if let Some(window) = window.filter(|window| window.loss < LOSS) {
                return Ok(Some(window));
            }
        }
        Ok(None)
    }

    fn measure(&mut self, offer: Offer) -> Result<Option<Window>> {
        measure(self.bed, self.running, offer, self.length, self.voids)
    }
}

/// So many requests a second.
fn paced(rate: f64) -> Offer {
    Offer {
        pace: (1e9 / rate) as u64,
        ..flood::OFFER
    }
}
