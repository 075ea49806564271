//! Numbers and durations in sentences.

use std::time::Duration;

use crate::output::{thousands, time};

/// A count with what is counted, in the plural where it takes it.
pub(super) fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{} {what}s", thousands(count)),
    }
}

/// A duration in nanoseconds, for people: two digits at the least, and a unit that fits.
pub(crate) fn duration(nanoseconds: u64) -> String {
    let (unit, name) = match nanoseconds {
        0..99_500 => (1e3, "µs"),
        99_500..999_500_000 => (1e6, "ms"),
        999_500_000..59_950_000_000 => (1e9, "s"),
        _ => return time(Duration::from_nanos(nanoseconds)),
    };
    let value = nanoseconds as f64 / unit;
    // Below a second, what follows the point is worth reading only after a single digit.
    let number = if value < 9.95 || name == "s" {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    };
    format!("{} {name}", number.strip_suffix(".0").unwrap_or(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_fits() {
        for (nanoseconds, text) in [
            (0, "0 µs"),
            (1_500, "1.5 µs"),
            (99_499, "99 µs"),
            (99_500, "0.1 ms"),
            (400_000, "0.4 ms"),
            (9_949_999, "9.9 ms"),
            (9_950_000, "10 ms"),
            (12_400_000, "12 ms"),
            (999_499_999, "999 ms"),
            (999_500_000, "1 s"),
            (30_000_000_000, "30 s"),
            (30_460_000_000, "30.5 s"),
            (59_949_999_999, "59.9 s"),
            (61_700_000_000, "1m 1s"),
            (3_600_000_000_000, "1h"),
        ] {
            assert_eq!(duration(nanoseconds), text, "{nanoseconds}");
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1, "LAC"), "1 LAC");
        assert_eq!(counted(0, "LAC"), "0 LACs");
        assert_eq!(counted(1_000, "attempt"), "1,000 attempts");
    }
}
