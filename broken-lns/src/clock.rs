//! The monotonic clock, as both halves read it, and the one on the wall.

use std::time::Duration;

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock, as the kernel half has them.
pub fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from);
    // Every Linux has this clock.
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// What the clock on the wall shows at zero of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    zero: Duration,
}

impl WallClock {
    /// As the two clocks are now.
    ///
    /// # Errors
    ///
    /// Those of reading a clock, which every Linux has.
    pub fn now() -> Result<Self, Errno> {
        let read = |clock| clock_gettime(clock).map(Duration::from);
        // The wall's clock was read in the middle between the other two.
        let before = read(ClockId::CLOCK_MONOTONIC)?;
        let wall = read(ClockId::CLOCK_REALTIME)?;
        let after = read(ClockId::CLOCK_MONOTONIC)?;
        let middle = before + after.saturating_sub(before) / 2;
        Ok(Self::at_zero(wall.saturating_sub(middle)))
    }

    /// With that time since 1970 at zero of the monotonic clock.
    pub const fn at_zero(zero: Duration) -> Self {
        Self { zero }
    }

    /// The time since 1970 at so many nanoseconds of the monotonic clock.
    pub fn at(&self, nanoseconds: u64) -> Duration {
        self.zero.saturating_add(Duration::from_nanos(nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn it_shows_the_time_of_day() {
        let clock = WallClock::now().expect("every Linux has both");
        let shown = clock.at(monotonic());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("after 1970");
        assert!(
            shown.abs_diff(now) < Duration::from_secs(1),
            "{shown:?} at {now:?}"
        );
    }

    #[test]
    fn no_nanosecond_is_lost() {
        let clock = WallClock::at_zero(Duration::new(1_700_000_000, 999_999_999));
        assert_eq!(clock.at(1), Duration::from_secs(1_700_000_001));
        assert_eq!(
            clock.at(123_456_789_012),
            Duration::new(1_700_000_124, 456_789_011)
        );
    }
}
