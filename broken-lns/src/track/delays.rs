//! Whether a LAC takes about the same time before each of its next attempts.
//!
//! A LAC that reacts to an answer does so after a time of its own, or after one that grows each
//! time. The next attempt of another tunnel, or of a subscriber who dials, comes at any time.

/// Steps from a delay to one twice as long.
const OCTAVE: u16 = 64;
/// Steps by which a delay may be shorter than the one before it and still count as no shorter.
const SLACK: u16 = OCTAVE / 4;

/// The delays of one kind, on a logarithmic scale.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delays {
    least: u16,
    most: u16,
    last: u16,
    falls: bool,
    is_irregular: bool,
}

/// What a delay says of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Regularity {
    Regular,
    /// It is the first that is not.
    Ends,
    Irregular,
}

impl Delays {
    /// Adds a delay in nanoseconds. Delays are regular within one octave, or where each is no
    /// shorter than the one before. Those below `jitter` count as equal.
    pub(super) fn add(&mut self, nanoseconds: u64, jitter: u64) -> Regularity {
        if self.is_irregular {
            return Regularity::Irregular;
        }
        let step = step(nanoseconds.max(jitter));
        if self.last == 0 {
            self.least = step;
        }
        self.falls |= step.saturating_add(SLACK) < self.last;
        self.least = self.least.min(step);
        self.most = self.most.max(step);
        self.last = step;
        self.is_irregular = self.most - self.least > OCTAVE && self.falls;
        match self.is_irregular {
            true => Regularity::Ends,
            false => Regularity::Regular,
        }
    }
}

/// The place of a delay on the scale; never 0.
fn step(nanoseconds: u64) -> u16 {
    let octaves = f64::log2(nanoseconds.max(2) as f64);
    (octaves * f64::from(OCTAVE)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After which of these delays, in milliseconds, they are no longer regular.
    fn ends_at(milliseconds: &[u64]) -> Option<usize> {
        let mut delays = Delays::default();
        let mut delays_of = milliseconds.iter();
        let ends = |milliseconds: &u64| {
            delays.add(milliseconds * 1_000_000, 50_000_000) == Regularity::Ends
        };
        delays_of.position(ends)
    }

    #[test]
    fn about_the_same_time_is_regular() {
        assert_eq!(ends_at(&[100, 101, 100, 150, 110]), None);
        assert_eq!(ends_at(&[30_000, 31_000, 29_000]), None);
        // Nobody is exact to a millisecond.
        assert_eq!(ends_at(&[1, 20, 3, 45]), None);
    }

    #[test]
    fn a_backoff_is_regular() {
        assert_eq!(ends_at(&[1_000, 2_000, 4_000, 8_000, 60_000, 59_000]), None);
    }

    #[test]
    fn any_time_is_not() {
        assert_eq!(ends_at(&[100, 900, 100]), Some(2));
        assert_eq!(ends_at(&[5_000, 400]), Some(1));
        assert_eq!(ends_at(&[1_000, 2_000, 4_000, 1_000]), Some(3));
    }
}
