//! How many attempts in a row a LAC makes at each of its LNSs.
//!
//! A LAC with one tunnel at a time makes as many each time, where its rule always does the same.
//! Several tunnels at once, or an LNS that is chosen by chance, make runs of any length.

use super::fault::FaultId;

/// Runs may differ by that share of the shortest one: a lockout need not end between the same
/// two attempts each time.
const TOLERANCE: u16 = 4;

/// The runs of a LAC's attempts, each at one LNS.
#[derive(Debug, Default)]
pub(super) struct Runs {
    current: Option<Run>,
    /// Whether the LAC turned to another LNS, so that the next run is seen from its beginning.
    has_turned: bool,
}

/// The run that is under way.
#[derive(Clone, Copy, Debug)]
struct Run {
    fault: FaultId,
    length: u16,
    /// Whether its beginning was seen, and all of its attempts met the same fault.
    is_comparable: bool,
}

/// The shortest and the longest run that met a fault; 0 where none ended so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths {
    least: u16,
    most: u16,
}

impl Runs {
    /// The LAC made an attempt that met that fault, which `varies` where attempts are treated
    /// differently; its next attempt `stays` at the same LNS or not. Returns the length of the
    /// run that ends so, where it can be compared.
    pub(super) fn follow(&mut self, fault: FaultId, varies: bool, stays: bool) -> Option<u16> {
        let run = self.current.get_or_insert(Run {
            fault,
            length: 0,
            is_comparable: self.has_turned,
        });
        run.length = run.length.saturating_add(1);
        run.is_comparable &= run.fault == fault && !varies;
        if stays {
            return None;
        }
        self.has_turned = true;
        let run = self.current.take()?;
        run.is_comparable.then_some(run.length)
    }
}

impl Lengths {
    /// A run of that length ended. Whether all of them are still alike.
    pub(super) fn compare(&mut self, length: u16) -> bool {
        self.least = match self.least {
            0 => length,
            least => least.min(length),
        };
        self.most = self.most.max(length);
        self.most <= self.least.saturating_add(self.least / TOLERANCE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// After which attempt of a sequence of LNSs its runs are no longer alike.
    fn ends_at(lnss: &[u32]) -> Option<usize> {
        let (mut runs, mut lengths) = (Runs::default(), HashMap::<u32, Lengths>::new());
        let mut pairs = lnss.windows(2);
        pairs.position(|pair| {
            let length = runs.follow(pair[0], false, pair[0] == pair[1]);
            length.is_some_and(|length| !lengths.entry(pair[0]).or_default().compare(length))
        })
    }

    #[test]
    fn runs_of_one_length_are_alike() {
        assert_eq!(ends_at(&[1, 2, 1, 2, 1, 2]), None);
        assert_eq!(ends_at(&[1, 1, 1, 2, 2, 1, 1, 1, 2, 2, 1]), None);
        assert_eq!(ends_at(&[1, 1, 1, 1, 1]), None);
        // The first one was seen from its middle.
        assert_eq!(ends_at(&[1, 2, 2, 1, 1, 1, 2, 2, 1, 1, 1, 2]), None);
    }

    #[test]
    fn runs_may_differ_a_little_where_they_are_long() {
        let runs = |lengths: &[usize]| {
            let runs = lengths.iter().zip([1, 2].into_iter().cycle());
            let lnss = runs.flat_map(|(length, lns)| std::iter::repeat_n(lns, *length));
            ends_at(&lnss.collect::<Vec<_>>())
        };
        assert_eq!(runs(&[3, 1, 8, 1, 9, 1, 8, 1]), None);
        assert_eq!(runs(&[3, 1, 8, 1, 11, 1]), Some(23));
        assert_eq!(runs(&[1, 1, 1, 1, 2, 1]), Some(5));
        assert_eq!(runs(&[1, 2, 1, 1, 1]), Some(4));
    }

    #[test]
    fn a_fault_that_varies_says_nothing() {
        let mut runs = Runs::default();
        for (fault, varies, stays, expected) in [
            (1, false, false, None),
            (2, false, false, Some(1)),
            (1, true, true, None),
            (1, true, false, None),
            (2, false, false, Some(1)),
            (1, false, true, None),
            (3, false, false, None),
            (2, false, false, Some(1)),
        ] {
            assert_eq!(runs.follow(fault, varies, stays), expected);
        }
    }
}
