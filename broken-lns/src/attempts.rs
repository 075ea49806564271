//! Which attempt of a LAC at an LNS a request belongs to, and in which phase that stands.
//!
//! An attempt is what a LAC begins with a new tunnel id. The SCCRQ that it sends
//! again belongs to the same attempt, however the phases went on meanwhile.

use std::mem;
use std::num::{NonZeroU32, NonZeroU64};

use broken_lns_ebpf::wire::ipv6::Address;

use crate::lru::Lru;

/// Attempts of one LAC at one LNS that are known again. A LAC rarely has more
/// than one under way, and two where it gave one up.
const REMEMBERED: usize = 4;

/// Nanoseconds of silence after which the same tunnel id stands for a new
/// attempt: a whole cycle of retransmissions, for which both ends keep a tunnel
/// that was cleared (RFC 2661 §5.7, §5.8).
const RETRANSMISSION_CYCLE: u64 = 31_000_000_000;

/// A LAC and an LNS, by their addresses in memory order; an IPv4 address is the first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The LAC.
    pub lac: Address,
    /// The virtual LNS.
    pub lns: Address,
    /// A hash of the LAC's name, where its rule is for that; otherwise 0.
    pub name: u64,
}

/// What all transmissions of one SCCRQ have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The tunnel id that the LAC assigned, never 0.
    pub tunnel_id: u16,
    /// The sequence number, which a retransmission keeps (RFC 2661 §5.8).
    pub ns: u16,
}

/// When a phase is over: as soon as one of its bounds is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// The attempts in the phase.
    pub first: Option<NonZeroU32>,
    /// The nanoseconds from the first attempt in the phase on.
    pub lasting: Option<NonZeroU64>,
}

/// The place of an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// The phase, from 0.
    pub phase: u16,
    /// The attempts before it in the same phase.
    pub number: u32,
}

/// How far each LAC came at each LNS, for a bounded number of them.
///
/// At the bound those are forgotten whose last request is the longest ago: their
/// next attempt is their first one again.
#[derive(Debug)]
pub struct Attempts {
    states: Lru<Pair, State>,
    forgotten: u64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: u16,
    /// Attempts in the phase.
    attempts: u32,
    /// When the first attempt in the phase came.
    began: u64,
    /// The last attempts, in no order; those that were none have the tunnel id 0.
    last: [Seen; REMEMBERED],
    /// Which of them is replaced next.
    next: u8,
}

/// An attempt that is known again.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    identity: Identity,
    attempt: Attempt,
    /// When it was seen last.
    at: u64,
}

impl Attempts {
    /// An empty table with room for `capacity` pairs of LAC and LNS.
    pub fn new(capacity: NonZeroU32) -> Self {
        Self {
            states: Lru::new(capacity),
            forgotten: 0,
        }
    }

    /// The attempt to which a request at `now` belongs, a monotonic time in nanoseconds.
    ///
    /// `bounds` are those of the phases of the rule for the pair. A phase that has
    /// none in the list does not end.
    pub fn meet(&mut self, pair: Pair, identity: Identity, now: u64, bounds: &[Bound]) -> Attempt {
        let mut state = self.states.get(&pair).unwrap_or_else(|| State::new(now));
        let attempt = match state.known(identity, now) {
            Some(attempt) => attempt,
            None => state.begin(identity, now, bounds),
        };
        if self.states.put(pair, state).is_some() {
            self.forgotten += 1;
        }
        attempt
    }

    /// How many pairs of LAC and LNS there are.
    pub fn len(&self) -> usize {
        self.states.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.states.is_empty()
    }

    /// How many pairs were forgotten at the bound since this was last asked.
    pub fn take_forgotten(&mut self) -> u64 {
        mem::take(&mut self.forgotten)
    }
}

impl State {
    /// The state before the first attempt.
    fn new(now: u64) -> Self {
        Self {
            phase: 0,
            attempts: 0,
            began: now,
            last: [Seen::default(); REMEMBERED],
            next: 0,
        }
    }

    /// The attempt that the request repeats.
    fn known(&mut self, identity: Identity, now: u64) -> Option<Attempt> {
        let seen = self.last.iter_mut().find(|seen| {
            seen.identity == identity && now.saturating_sub(seen.at) <= RETRANSMISSION_CYCLE
        })?;
        seen.at = now;
        Some(seen.attempt)
    }

    /// A new attempt, in the next phase where that is due.
    fn begin(&mut self, identity: Identity, now: u64, bounds: &[Bound]) -> Attempt {
        let bound = bounds.get(usize::from(self.phase));
        if bound.is_some_and(|bound| self.is_over(*bound, now)) {
            self.phase = self.phase.saturating_add(1);
            self.attempts = 0;
        }
        if self.attempts == 0 {
            self.began = now;
        }
        let attempt = Attempt {
            phase: self.phase,
            number: self.attempts,
        };
        self.attempts = self.attempts.saturating_add(1);
        self.remember(Seen {
            identity,
            attempt,
            at: now,
        });
        attempt
    }

    /// Whether the next attempt is beyond the bound of its phase.
    fn is_over(&self, bound: Bound, now: u64) -> bool {
        let time = now.saturating_sub(self.began);
        // A phase without an attempt has not begun.
        self.attempts > 0
            && (bound
                .first
                .is_some_and(|first| self.attempts >= first.get())
                || bound.lasting.is_some_and(|lasting| time >= lasting.get()))
    }

    /// Remembers an attempt in place of an older one.
    fn remember(&mut self, seen: Seen) {
        // An old attempt with the same identity must not be found instead.
        let same = self
            .last
            .iter()
            .position(|old| old.identity == seen.identity);
        let at = same.unwrap_or(usize::from(self.next));
        if let Some(place) = self.last.get_mut(at) {
            *place = seen;
        }
        if same.is_none() {
            self.next = (self.next + 1) % REMEMBERED as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const PAIR: Pair = Pair {
        lac: [0x0100_000a, 0],
        lns: [0x0102_00c0, 0],
        name: 0,
    };

    fn attempts(capacity: u32) -> Attempts {
        Attempts::new(NonZeroU32::new(capacity).expect("not zero"))
    }

    fn tunnel(tunnel_id: u16) -> Identity {
        Identity { tunnel_id, ns: 0 }
    }

    fn first(attempts: u32) -> Bound {
        Bound {
            first: NonZeroU32::new(attempts),
            lasting: None,
        }
    }

    fn lasting(seconds: u64) -> Bound {
        Bound {
            first: None,
            lasting: NonZeroU64::new(seconds * SECOND),
        }
    }

    /// Checks of requests, each with its seconds and tunnel id, the phase and the number.
    fn check(bounds: &[Bound], requests: &[(u64, u16, u16, u32)]) {
        let mut attempts = attempts(1);
        for (seconds, tunnel_id, phase, number) in requests {
            let attempt = attempts.meet(PAIR, tunnel(*tunnel_id), seconds * SECOND, bounds);
            let expected = Attempt {
                phase: *phase,
                number: *number,
            };
            assert_eq!(attempt, expected, "tunnel {tunnel_id} at {seconds} s");
        }
    }

    #[test]
    fn attempts_are_counted_and_retransmissions_are_not() {
        let requests = [
            (0, 7, 0, 0),
            (1, 7, 0, 0),
            (3, 7, 0, 0),
            (4, 8, 0, 1),
            (7, 7, 0, 0),
            (8, 8, 0, 1),
            (9, 9, 0, 2),
        ];
        check(&[Bound::default()], &requests);
        check(&[], &requests);
    }

    #[test]
    fn a_phase_ends_after_its_attempts() {
        check(
            &[first(2), first(1), Bound::default()],
            &[
                (0, 1, 0, 0),
                (1, 2, 0, 1),
                (2, 3, 1, 0),
                // These are retransmissions, from before the end of the phase.
                (3, 2, 0, 1),
                (4, 1, 0, 0),
                (5, 4, 2, 0),
                (6, 5, 2, 1),
                (7, 3, 1, 0),
            ],
        );
    }

    #[test]
    fn a_phase_ends_after_its_time() {
        check(
            &[lasting(30), lasting(10)],
            &[
                (100, 1, 0, 0),
                (129, 2, 0, 1),
                (130, 3, 1, 0),
                // The second phase began with its first attempt.
                (139, 4, 1, 1),
                (140, 5, 2, 0),
                (999, 6, 2, 1),
            ],
        );
        // The time of a phase is not over before the first attempt in it.
        check(
            &[first(1), lasting(10)],
            &[(0, 1, 0, 0), (500, 2, 1, 0), (509, 3, 1, 1)],
        );
    }

    #[test]
    fn a_phase_ends_with_the_bound_that_is_reached_first() {
        let bound = Bound {
            first: NonZeroU32::new(3),
            lasting: NonZeroU64::new(10 * SECOND),
        };
        check(
            &[bound],
            &[(0, 1, 0, 0), (1, 2, 0, 1), (2, 3, 0, 2), (3, 4, 1, 0)],
        );
        check(&[bound], &[(0, 1, 0, 0), (10, 2, 1, 0), (11, 3, 1, 1)]);
    }

    #[test]
    fn another_sequence_number_is_another_attempt() {
        let mut attempts = attempts(1);
        let mut meet = |ns| {
            let identity = Identity { tunnel_id: 7, ns };
            attempts.meet(PAIR, identity, 0, &[]).number
        };
        assert_eq!([meet(0), meet(1), meet(0), meet(1)], [0, 1, 0, 1]);
    }

    #[test]
    fn a_tunnel_id_may_come_back_after_a_cycle_of_retransmissions() {
        check(
            &[],
            &[
                (0, 7, 0, 0),
                (31, 7, 0, 0),
                (62, 7, 0, 0),
                (94, 7, 0, 1),
                (95, 7, 0, 1),
            ],
        );
    }

    #[test]
    fn the_last_four_attempts_are_known_again() {
        let requests = [
            (0, 1, 0, 0),
            (0, 2, 0, 1),
            (0, 3, 0, 2),
            (0, 4, 0, 3),
            (1, 1, 0, 0),
            (1, 5, 0, 4),
            (1, 2, 0, 1),
            (1, 1, 0, 5),
        ];
        check(&[], &requests);
    }

    #[test]
    fn lacs_and_lnss_are_counted_apart_and_forgotten_at_the_bound() {
        let mut attempts = attempts(2);
        let other_lac = Pair {
            lac: [0x0200_000a, 0],
            ..PAIR
        };
        let other_lns = Pair {
            lns: [0x0202_00c0, 0],
            ..PAIR
        };
        let mut meet = |pair, tunnel_id| {
            let attempt = attempts.meet(pair, tunnel(tunnel_id), 0, &[]);
            (attempt.number, attempts.len(), attempts.take_forgotten())
        };
        assert_eq!(meet(PAIR, 1), (0, 1, 0));
        assert_eq!(meet(other_lac, 1), (0, 2, 0));
        assert_eq!(meet(PAIR, 2), (1, 2, 0));
        assert_eq!(meet(other_lns, 1), (0, 2, 1));
        assert_eq!(meet(PAIR, 3), (2, 2, 0));
        assert_eq!(meet(other_lac, 2), (0, 2, 1));
    }
}
