//! The monotonic clock, as both halves read it, and the one on the wall.

use std::sync::LazyLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::time::{ClockId, clock_gettime};

/// Nanoseconds by which the monotonic clock of this process is ahead of that of the kernel, which
/// no time namespace shifts (time_namespaces(7)). No process changes it for itself.
static AHEAD: LazyLock<i64> = LazyLock::new(|| {
    // A kernel without time namespaces has no such file.
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets");
    offsets.map_or(0, |offsets| ahead(&offsets))
});

/// The offset of the monotonic clock in nanoseconds, in the text of `timens_offsets`: a clock a
/// line, with seconds and nanoseconds.
fn ahead(offsets: &str) -> i64 {
    let mut clocks = offsets.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let clock = words.next()?;
        let seconds: i64 = words.next()?.parse().ok()?;
        let nanoseconds: i64 = words.next()?.parse().ok()?;
        let offset = seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds);
        (clock == "monotonic").then_some(offset)
    });
    clocks.next().unwrap_or(0)
}

/// Nanoseconds of the monotonic clock of the kernel.
fn read_monotonic() -> Result<u64, Errno> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
    Ok((now.as_nanos() as u64).saturating_add_signed(AHEAD.saturating_neg()))
}

/// Nanoseconds of the monotonic clock, as the kernel half has them.
pub fn monotonic() -> u64 {
    // Every Linux has this clock.
    read_monotonic().unwrap_or(0)
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
        // The wall's clock was read in the middle between the other two.
        let before = read_monotonic().map(Duration::from_nanos)?;
        let wall = Duration::from(clock_gettime(ClockId::CLOCK_REALTIME)?);
        let after = read_monotonic().map(Duration::from_nanos)?;
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
    fn a_time_namespace_says_how_far_it_is_ahead() {
        for (offsets, nanoseconds) in [
            (
                "monotonic           0         0\nboottime            0         0\n",
                0,
            ),
            (
                "monotonic      -86400 500000000\nboottime            7         0\n",
                -86_399_500_000_000,
            ),
            ("boottime 7 0\nmonotonic 1 1\n", 1_000_000_001),
            ("monotonic", 0),
        ] {
            assert_eq!(ahead(offsets), nanoseconds, "{offsets}");
        }
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
