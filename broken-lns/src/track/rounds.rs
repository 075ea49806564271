//! How a LAC chooses its LNS, inferred from the order of its attempts.

use super::findings::Selection;

/// A pause between rounds is so many times as long as the longest one within a round.
const PAUSE: u64 = 4;
/// Nanoseconds that an LNS is locked out for at the least, where a LAC does that at all.
const LOCKOUT: u64 = 60_000_000_000;
/// LNSs of a LAC that are told apart.
const TOLD_APART: usize = 64;

/// Rounds of attempts: in each, a LAC asks one LNS after the other.
///
/// LNSs are numbered in the order of the LAC's first attempts at them. A round ends where
/// an LNS is asked that was asked in it before, or the same again after a pause.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    /// The LNSs that were asked in this round, by bits.
    asked: u64,
    first: u8,
    last: u8,
    /// LNSs that are known.
    known: u8,
    /// Whether an LNS was asked twice in a row.
    repeated: bool,
    /// Whether some round began at another LNS than the one before.
    moved: bool,
    /// Whether some round began elsewhere than one further than the one before.
    stayed: bool,
    /// Whether some LNS was not followed by the next one in order.
    jumped: bool,
    /// The longest quiet within a round, and the least and the longest one between rounds,
    /// in nanoseconds.
    within: u64,
    between: Option<(u64, u64)>,
    /// The longest time from when it turned from an LNS until it began a round there.
    away: u64,
}

impl Rounds {
    /// An attempt at the `lns`th LNS, before which the LAC was quiet for so long since the
    /// last answer or SCCRQ. `away` is the time since it turned from that LNS, if it had.
    pub(super) fn ask(&mut self, lns: usize, quiet: u64, away: Option<u64>) {
        if lns >= TOLD_APART {
            self.jumped = true;
            return;
        }
        let (bit, lns) = (1 << lns, lns as u8);
        let is_known = lns < self.known;
        let next = (self.last + 1) % self.known.max(1);
        self.known = self.known.max(lns + 1);
        if self.asked == 0 {
            self.first = lns;
        } else if lns == self.last {
            self.repeated = true;
            if self.within > 0 && quiet >= self.within.saturating_mul(PAUSE) {
                self.begin(lns, quiet);
            }
        } else if self.asked & bit != 0 {
            let further = (self.first + 1) % self.known;
            self.jumped |= lns != next && lns != self.first && lns != further;
            self.away = self.away.max(away.unwrap_or(0));
            self.begin(lns, quiet);
        } else {
            self.jumped |= is_known && lns != next;
            self.within = self.within.max(quiet);
        }
        self.asked |= bit;
        self.last = lns;
    }

    /// The next round begins.
    fn begin(&mut self, lns: u8, quiet: u64) {
        let further = (self.first + 1) % self.known.max(1);
        self.moved |= lns != self.first;
        self.stayed |= lns != further;
        self.between = match self.between {
            None => Some((quiet, quiet)),
            Some((least, longest)) => Some((least.min(quiet), longest.max(quiet))),
        };
        self.first = lns;
        self.asked = 0;
    }

    /// What can be said so far.
    pub(super) fn selection(&self) -> Selection {
        if self.known == 1 && self.repeated && !self.jumped {
            return Selection::Single;
        }
        let (Some((least, longest)), false) = (self.between, self.jumped) else {
            return Selection::Unknown;
        };
        if self.known < 2 {
            return Selection::Unknown;
        }
        if self.moved {
            return match self.stayed {
                true => Selection::Unknown,
                false => Selection::RoundRobin,
            };
        }
        if least >= self.within.saturating_mul(PAUSE) {
            Selection::Preference
        } else if longest <= self.within.saturating_mul(2) && !self.repeated && self.away < LOCKOUT
        {
            // Were it away for longer, the lockouts of a preference could look the same.
            Selection::RoundRobin
        } else {
            Selection::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The selection of a LAC that asks these LNSs, after so many milliseconds each.
    fn selection(asked: &[(usize, u64)]) -> Selection {
        let mut rounds = Rounds::default();
        let (mut now, mut left) = (0, std::collections::HashMap::new());
        for (lns, quiet) in asked {
            now += quiet * 1_000_000;
            let away = left.insert(*lns, now).map(|left| now - left);
            rounds.ask(*lns, quiet * 1_000_000, away);
        }
        rounds.selection()
    }

    #[test]
    fn one_attempt_says_nothing() {
        assert_eq!(selection(&[]), Selection::Unknown);
        assert_eq!(selection(&[(0, 0)]), Selection::Unknown);
        assert_eq!(selection(&[(0, 0), (1, 12), (2, 12)]), Selection::Unknown);
    }

    #[test]
    fn the_same_lns_again_and_again() {
        assert_eq!(selection(&[(0, 0), (0, 30)]), Selection::Single);
    }

    #[test]
    fn the_same_order_after_a_pause_is_a_preference() {
        let rounds = [(0, 0), (1, 12), (2, 15), (0, 60_000), (1, 11), (2, 14)];
        assert_eq!(selection(&rounds), Selection::Preference);
        // The lockout of the first LNS ends before that of the others.
        let only_the_first = [(0, 0), (1, 12), (0, 60_000), (1, 12), (0, 60_000)];
        assert_eq!(selection(&only_the_first), Selection::Preference);
    }

    #[test]
    fn one_after_the_other_without_a_pause_is_round_robin() {
        let rounds = [(0, 0), (1, 12), (2, 15), (0, 13), (1, 11), (2, 14)];
        assert_eq!(selection(&rounds), Selection::RoundRobin);
        // Each LNS may be locked out for a minute just as well.
        let slow = [(0, 0), (1, 31_000), (2, 31_000), (0, 31_000), (1, 31_000)];
        assert_eq!(selection(&slow), Selection::Unknown);
    }

    #[test]
    fn rounds_that_begin_one_further_are_round_robin() {
        let of_three = [
            (0, 0),
            (1, 12),
            (2, 12),
            (1, 9_000),
            (2, 12),
            (0, 12),
            (2, 9_000),
        ];
        assert_eq!(selection(&of_three), Selection::RoundRobin);
        let of_two = [(0, 0), (1, 12), (1, 9_000), (0, 12), (0, 9_000), (1, 12)];
        assert_eq!(selection(&of_two), Selection::RoundRobin);
    }

    #[test]
    fn no_order_is_unknown() {
        let jumps = [(0, 0), (1, 12), (2, 12), (0, 60_000), (2, 12), (1, 12)];
        assert_eq!(selection(&jumps), Selection::Unknown);
        // Neither a pause nor none.
        let slow = [(0, 0), (1, 10), (0, 30), (1, 10)];
        assert_eq!(selection(&slow), Selection::Unknown);
        let many = [(0, 0), (1, 1), (64, 1), (0, 1000), (1, 1)];
        assert_eq!(selection(&many), Selection::Unknown);
    }
}
