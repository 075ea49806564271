//! A counter that is watched: its rate now, and its rates before.

use std::collections::VecDeque;

/// Rates that are kept: more than most terminals have columns for.
const KEPT: usize = 240;

/// A counter that is read again and again.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Flow {
    total: u64,
    per_second: f64,
    /// The latest first.
    rates: VecDeque<u64>,
}

impl Flow {
    /// Takes what was counted `seconds` after the last time, or at the first time: a rate is of a
    /// time, and there is none without one.
    pub(super) fn take(&mut self, total: u64, seconds: Option<f64>) {
        let more = total.saturating_sub(self.total);
        self.total = total;
        self.per_second = match seconds {
            Some(seconds) if seconds > 0.0 => more as f64 / seconds,
            _ => return,
        };
        self.rates.truncate(KEPT - 1);
        // A rate under one is not none.
        self.rates.push_front(self.per_second.ceil() as u64);
    }

    /// What was counted.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The rate of the last time.
    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// The rates so far, rounded up, the latest first.
    pub(super) fn rates(&self) -> impl Iterator<Item = u64> {
        self.rates.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_over_the_time_in_between() {
        let mut flow = Flow::default();
        flow.take(1000, None);
        assert_eq!((flow.total(), flow.per_second()), (1000, 0.0));
        assert_eq!(flow.rates().count(), 0);
        flow.take(1500, Some(2.0));
        flow.take(1501, Some(2.0));
        assert_eq!((flow.total(), flow.per_second()), (1501, 0.5));
        assert_eq!(flow.rates().collect::<Vec<_>>(), [1, 250]);
    }

    #[test]
    fn a_counter_that_fell_has_no_rate() {
        let mut flow = Flow::default();
        flow.take(1000, None);
        flow.take(10, Some(1.0));
        assert_eq!((flow.total(), flow.per_second()), (10, 0.0));
    }

    #[test]
    fn the_oldest_rates_are_forgotten() {
        let mut flow = Flow::default();
        for total in 0..1000 {
            flow.take(total * total, Some(1.0));
        }
        assert_eq!(flow.rates().count(), KEPT);
        assert_eq!(flow.rates().next(), Some(999 * 999 - 998 * 998));
    }
}
