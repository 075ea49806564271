//! Contenders side by side: one window each, round by round, so that what changes on the machine
//! changes for all of them.

use anyhow::Result;

use crate::bed::{Bed, Offer};
use crate::contender::Contender;
use crate::report::{Row, Target, Unit};
use crate::window::{Length, Voids, Window, measure};
use crate::{Effort, progress, progress_ends};

/// A contender on one of the beds.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) bed: usize,
    pub(crate) contender: Contender,
}

/// Two entries by their numbers, and what the ratio of the first to the second ought to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair(
    pub(crate) usize,
    pub(crate) usize,
    pub(crate) Option<Target>,
);

/// The windows of every entry, by round.
pub(crate) struct Rounds {
    entries: Vec<Entry>,
    /// One row for each entry, with a window for each round, unless it was thrown away.
    windows: Vec<Vec<Option<Window>>>,
    pub(crate) voids: Voids,
}

impl From<Contender> for Entry {
    fn from(contender: Contender) -> Self {
        Self {
            name: contender.name(),
            bed: 0,
            contender,
        }
    }
}

impl Rounds {
    /// Measures the entries in turn, forwards in one round and backwards in the next.
    pub(crate) fn run(
        what: &str,
        beds: &mut [Bed],
        entries: Vec<Entry>,
        effort: Effort,
        offer: Offer,
        length: Length,
    ) -> Result<Self> {
        let mut windows = vec![Vec::new(); entries.len()];
        let mut voids = Voids::default();
        for round in 0..effort.rounds {
            let mut order: Vec<_> = entries.iter().zip(&mut windows).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for (entry, windows) in order {
                let (round, of, name) = (round + 1, effort.rounds, &entry.name);
                progress(&format!("{what}, round {round} of {of}: {name}"));
                if !entry.contender.is_here() {
                    windows.push(None);
                    continue;
                }
                let bed = &mut beds[entry.bed];
                let running = entry.contender.start(bed)?;
                windows.push(measure(bed, &running, offer, length, &mut voids)?);
            }
        }
        progress_ends();
        Ok(Self {
            entries,
            windows,
            voids,
        })
    }

    /// A row for each entry with the summary of `value`.
    pub(crate) fn rows(&self, unit: Unit, value: impl Fn(&Window) -> f64) -> Vec<Row> {
        (0..self.entries.len())
            .map(|index| Row::summary(self.name(index), unit, &self.values(index, &value)))
            .collect()
    }

    /// A row with the ratio of `value`, taken round by round.
    pub(crate) fn ratio(&self, pair: Pair, value: impl Fn(&Window) -> f64) -> Row {
        let Pair(one, other, target) = pair;
        let values: Vec<f64> = self.windows[one]
            .iter()
            .zip(&self.windows[other])
            .filter_map(|(one, other)| Some(value(one.as_ref()?) / value(other.as_ref()?)))
            .collect();
        let name = format!("{} / {}", self.name(one), self.name(other));
        Row {
            target,
            ..Row::summary(name, Unit::Ratio, &values)
        }
    }

    /// The values of one entry.
    pub(crate) fn values(&self, index: usize, value: impl Fn(&Window) -> f64) -> Vec<f64> {
        self.windows[index].iter().flatten().map(value).collect()
    }

    pub(crate) fn name(&self, index: usize) -> &str {
        &self.entries[index].name
    }
}
