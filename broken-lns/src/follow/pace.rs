//! How fast the time of LACs goes by.

use crate::clock::monotonic;

/// The time of LACs: it goes with the monotonic clock, or faster from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    began: u64,
    rate: u32,
}

impl Pace {
    /// A time that goes by `rate` times as fast as that of the monotonic clock from now on.
    pub fn new(rate: u32) -> Self {
        Self {
            began: monotonic(),
            rate,
        }
    }

    /// Nanoseconds of either when it began.
    pub fn began(self) -> u64 {
        self.began
    }

    /// Nanoseconds of it now.
    pub fn now(self) -> u64 {
        self.at(monotonic())
    }

    /// Nanoseconds of it when the monotonic clock says `time`.
    pub fn at(self, time: u64) -> u64 {
        let since = time.saturating_sub(self.began);
        time.min(self.began)
            .saturating_add(since.saturating_mul(self.rate.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_time_agrees_with_the_monotonic_one_when_it_begins() {
        let pace = Pace {
            began: 1_000,
            rate: 50,
        };
        for (time, expected) in [
            (0, 0),
            (999, 999),
            (1_000, 1_000),
            (1_001, 1_050),
            (2_000, 51_000),
            (u64::MAX, u64::MAX),
        ] {
            assert_eq!(pace.at(time), expected);
        }
        let usual = Pace { rate: 1, ..pace };
        assert_eq!(usual.at(123_456), 123_456);
    }
}
