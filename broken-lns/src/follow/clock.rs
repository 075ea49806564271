//! The time of LACs.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A clock that goes with the monotonic one, or faster from some time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    began: u64,
    rate: u32,
}

impl Clock {
    /// A clock that goes `rate` times as fast as the monotonic one from now on.
    pub fn new(rate: u32) -> Self {
        Self {
            began: monotonic(),
            rate,
        }
    }

    /// Nanoseconds of this clock, and of the monotonic one, when it began.
    pub fn began(self) -> u64 {
        self.began
    }

    /// Nanoseconds of this clock.
    pub fn now(self) -> u64 {
        self.at(monotonic())
    }

    /// Nanoseconds of this clock when the monotonic one says `time`.
    pub fn at(self, time: u64) -> u64 {
        let since = time.saturating_sub(self.began);
        time.min(self.began)
            .saturating_add(since.saturating_mul(self.rate.into()))
    }
}

/// Nanoseconds of the monotonic clock, which the kernel half reads, too.
fn monotonic() -> u64 {
    // Every Linux has this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    now.unwrap_or_default().as_nanos() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_agrees_with_the_monotonic_one_when_it_begins() {
        let clock = Clock {
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
            assert_eq!(clock.at(time), expected);
        }
        let usual = Clock { rate: 1, ..clock };
        assert_eq!(usual.at(123_456), 123_456);
    }
}
