//! What was offered and what came back.

use std::time::Instant;

use anyhow::{Context as _, Result};
use aya::maps::{Array, MapData, PerCpuArray};
use aya::{Ebpf, Pod};

use crate::bed::take;
use crate::contract::{self, ANSWERED, COUNTER_COUNT, FOREIGN, MIRRORED, Progress};

/// The maps that the generator and the counter write.
pub(crate) struct Meter {
    progress: Array<MapData, ProgressValue>,
    counters: PerCpuArray<MapData, u64>,
    round_trips: PerCpuArray<MapData, u64>,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct ProgressValue(Progress);

// SAFETY: progress is `repr(C)` and made of 64-bit integers only.
unsafe impl Pod for ProgressValue {}

/// Everything counted until an instant.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Instant,
    pub(crate) offered: u64,
    /// One row for each counter, with a value for each CPU.
    counted: [Vec<u64>; COUNTER_COUNT as usize],
}

/// What a request is expected to come back as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// As a StopCCN.
    Answer,
    /// As it was, with its addresses swapped.
    Mirrored,
}

impl Expected {
    fn counter(self) -> u32 {
        match self {
            Self::Answer => ANSWERED,
            Self::Mirrored => MIRRORED,
        }
    }
}

impl Meter {
    pub(crate) fn new(programs: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            progress: take(programs, contract::PROGRESS)?,
            counters: take(programs, contract::COUNTERS)?,
            round_trips: take(programs, contract::ROUND_TRIPS)?,
        })
    }

    /// Lets the generator begin anew.
    pub(crate) fn reset(&mut self) -> Result<()> {
        self.progress
            .set(0, ProgressValue(Progress::default()), 0)?;
        Ok(())
    }

    pub(crate) fn sample(&self) -> Result<Sample> {
        let mut counted = [const { Vec::new() }; COUNTER_COUNT as usize];
        let at = Instant::now();
        let offered = self.progress.get(&0, 0)?.0.offered;
        for (index, row) in (0..).zip(&mut counted) {
            *row = self.counters.get(&index, 0)?.to_vec();
        }
        Ok(Sample {
            at,
            offered,
            counted,
        })
    }

    /// The round trips so far, by bucket.
    pub(crate) fn round_trips(&self) -> Result<Vec<u64>> {
        (0..contract::BUCKETS)
            .map(|bucket| Ok(self.round_trips.get(&bucket, 0)?.iter().sum()))
            .collect()
    }
}

impl Sample {
    /// What came back as expected, on all CPUs.
    pub(crate) fn returned(&self, expected: Expected) -> u64 {
        self.counted[expected.counter() as usize].iter().sum()
    }

    /// The same, by CPU.
    pub(crate) fn returned_by_cpu(&self, expected: Expected) -> &[u64] {
        &self.counted[expected.counter() as usize]
    }

    /// What came back otherwise.
    pub(crate) fn unexpected(&self, expected: Expected) -> u64 {
        let other = match expected {
            Expected::Answer => MIRRORED,
            Expected::Mirrored => ANSWERED,
        };
        [other, FOREIGN]
            .iter()
            .flat_map(|counter| &self.counted[*counter as usize])
            .sum()
    }
}

/// The round trip in nanoseconds below which the share `quantile` of all lies.
pub(crate) fn quantile(round_trips: &[u64], quantile: f64) -> Result<f64> {
    let all: u64 = round_trips.iter().sum();
    let rank = quantile * all as f64;
    let mut below = 0.0;
    for (bucket, count) in (0..).zip(round_trips) {
        let count = *count as f64;
        if count > 0.0 && below + count >= rank {
            // Within a bucket they are taken to be spread evenly.
            let [start, end] = [bucket, bucket + 1].map(|bucket| contract::lower(bucket) as f64);
            return Ok(start + (end - start) * (rank - below) / count);
        }
        below += count;
    }
    None.context("no round trip was measured")
}
