//! How long things took, in classes.

use std::time::Duration;

use crate::track::Distribution;
use crate::track::findings::Durations;

/// Bounds for what should take no longer than a round trip, in seconds.
const ACKNOWLEDGEMENT_BOUNDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Bounds for what a LAC may do at once, or after all its retransmissions, in seconds.
const FAILOVER_BOUNDS: &[f64] = &[
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0,
];

/// Bounds for what is configured in seconds or minutes, in seconds.
const LOCKOUT_BOUNDS: &[f64] = &[
    1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0,
];

/// Durations, counted by the first bound that they do not exceed.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Ascending, in seconds.
    bounds: &'static [f64],
    /// One more than there are bounds: the last one is for what exceeds them all.
    counts: Vec<u64>,
    /// All durations together, in seconds.
    sum: f64,
}

impl Histogram {
    /// An empty one with these bounds, which are ascending and in seconds.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    /// All of these durations. Such as are within 3 % of a bound may be counted above it, since
    /// they are known no better.
    fn of(bounds: &'static [f64], durations: &Distribution) -> Self {
        let mut histogram = Self::new(bounds);
        for (greatest, count) in durations.buckets() {
            histogram.count_in_class(seconds(greatest), count);
        }
        histogram.sum = seconds(durations.sum());
        histogram
    }

    /// Counts one that took so long.
    pub fn observe(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.count_in_class(seconds, 1);
        self.sum += seconds;
    }

    fn count_in_class(&mut self, seconds: f64, more: u64) {
        let class = self.bounds.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get_mut(class) {
            *count += more;
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All durations together, in seconds.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// The upper bound of each class with what was counted in it alone; the last bound is
    /// infinite.
    pub fn classes(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = self.bounds.iter().copied();
        bounds
            .chain([f64::INFINITY])
            .zip(self.counts.iter().copied())
    }
}

/// How long LACs took for what they did.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// From a StopCCN to its acknowledgement.
    pub acknowledgement: Histogram,
    /// From the failure at one LNS to the first request at another.
    pub failover: Histogram,
    /// From the failure at an LNS to the next request there.
    pub lockout: Histogram,
}

impl Times {
    /// As whoever follows LACs knows them.
    pub fn of(durations: &Durations) -> Self {
        let Durations {
            acknowledgement,
            failover,
            lockout,
        } = durations;
        Self {
            acknowledgement: Histogram::of(ACKNOWLEDGEMENT_BOUNDS, acknowledgement),
            failover: Histogram::of(FAILOVER_BOUNDS, failover),
            lockout: Histogram::of(LOCKOUT_BOUNDS, lockout),
        }
    }
}

/// Nanoseconds in seconds.
fn seconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64()
}

impl Default for Times {
    fn default() -> Self {
        Self {
            acknowledgement: Histogram::new(ACKNOWLEDGEMENT_BOUNDS),
            failover: Histogram::new(FAILOVER_BOUNDS),
            lockout: Histogram::new(LOCKOUT_BOUNDS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_class() {
        let mut histogram = Histogram::new(&[0.25, 1.0]);
        for milliseconds in [0, 250, 251, 1000, 1001, 9000] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let classes: Vec<_> = histogram.classes().collect();
        assert_eq!(classes, [(0.25, 2), (1.0, 2), (f64::INFINITY, 2)]);
        assert_eq!(histogram.count(), 6);
        assert!((histogram.sum() - 11.502).abs() < 1e-9);
    }

    #[test]
    fn what_is_known_of_lacs_is_counted_by_classes() {
        let mut durations = Durations::default();
        for milliseconds in [3, 4, 40, 60_000] {
            durations.acknowledgement.add(milliseconds * 1_000_000);
        }
        durations.lockout.add(61_000_000_000);
        let times = Times::of(&durations);
        let filled = |histogram: &Histogram| -> Vec<_> {
            histogram
                .classes()
                .filter(|(_, count)| *count > 0)
                .collect()
        };
        assert_eq!(
            filled(&times.acknowledgement),
            [(0.005, 2), (0.05, 1), (f64::INFINITY, 1)]
        );
        assert!((times.acknowledgement.sum() - 60.047).abs() < 1e-9);
        assert_eq!(filled(&times.failover), []);
        assert_eq!(filled(&times.lockout), [(120.0, 1)]);
    }

    #[test]
    fn bounds_ascend() {
        let times = Times::default();
        for histogram in [times.acknowledgement, times.failover, times.lockout] {
            let bounds: Vec<_> = histogram.classes().map(|(bound, _)| bound).collect();
            assert!(
                bounds.is_sorted_by(|bound, next| bound < next),
                "{bounds:?}"
            );
        }
    }
}
