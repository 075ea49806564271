//! Sends a StopCCN again until its LAC acknowledges it (RFC 2661 §5.8).
//!
//! An acknowledgement names the tunnel by the id that the virtual LNS assigned,
//! which is the same for all its replies. So it is one for every StopCCN that was
//! sent to that LAC and port from that LNS: none of them can be told apart by it.
//! The kernel half notes when the last one came.

use std::mem;
use std::num::NonZeroU32;

use broken_lns_ebpf::acknowledgement::{Awaited, Peers};

use crate::lru::Lru;
use crate::pending::Pending;

/// Seconds from one transmission to the next.
const INTERVALS: [u64; 5] = [1, 2, 4, 8, 8];
const SECOND: u64 = 1_000_000_000;

/// Where the acknowledgements are noted that are waited for.
pub trait Acknowledgements {
    /// What is waited for from a LAC, with the time of its last acknowledgement.
    fn get(&mut self, peers: &Peers) -> Option<Awaited>;

    /// Waits for that; `false` where there is no room.
    fn set(&mut self, peers: &Peers, awaited: Awaited) -> bool;

    /// Waits for nothing from that LAC any more.
    fn remove(&mut self, peers: &Peers);
}

/// The tunnel that a LAC began and a StopCCN refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Between whom.
    pub peers: Peers,
    /// The tunnel id that the LAC assigned.
    pub tunnel_id: u16,
    /// The tunnel id that the StopCCN claims to have assigned.
    pub assigned: u16,
}

/// A StopCCN that is to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again<T> {
    /// Which tunnel it refuses.
    pub tunnel: Tunnel,
    /// What was given for sending it.
    pub reply: T,
    /// Which retransmission it is: 1 to 5.
    pub number: u8,
}

/// The StopCCNs that wait for an acknowledgement, of a bounded number.
#[derive(Debug)]
pub struct Retransmissions<T> {
    /// The next transmission of each, with its number.
    due: Pending<(Tunnel, u64)>,
    waiting: Lru<Tunnel, Waiting<T>>,
    /// The LACs of these.
    expected: Lru<Peers, Expected>,
    /// How many there were.
    count: u64,
    dropped: u64,
}

/// What is known of a LAC from which something is waited for.
#[derive(Clone, Copy, Debug)]
struct Expected {
    /// The tunnel id that the last StopCCN claims to have assigned.
    assigned: u16,
    /// How many StopCCNs wait.
    waiting: u32,
}

#[derive(Clone, Copy, Debug)]
struct Waiting<T> {
    /// By which it is told from another one for the same tunnel.
    number: u64,
    /// When it was sent first.
    sent: u64,
    reply: T,
    /// Transmissions after the first one.
    again: u8,
}

impl<T: Copy> Retransmissions<T> {
    /// Nothing is waiting; there is room for `capacity` StopCCNs.
    pub fn new(capacity: NonZeroU32) -> Self {
        Self {
            due: Pending::new(capacity),
            waiting: Lru::new(capacity),
            expected: Lru::new(capacity),
            count: 0,
            dropped: 0,
        }
    }

    /// A StopCCN is sent at `now`, a monotonic time in nanoseconds, or a moment later; `reply` is
    /// what is needed to send it again.
    ///
    /// Nothing changes where it is waiting already: the answer to an SCCRQ that was
    /// sent again is not another StopCCN, and the times go on from the first one.
    pub fn sent(
        &mut self,
        tunnel: Tunnel,
        reply: T,
        now: u64,
        acknowledgements: &mut dyn Acknowledgements,
    ) {
        if let Some(waiting) = self.waiting.get(&tunnel) {
            if !is_acknowledged(&tunnel, waiting.sent, acknowledgements) {
                return;
            }
            self.end(&tunnel, acknowledgements);
        }
        self.count += 1;
        let waiting = Waiting {
            number: self.count,
            sent: now,
            reply,
            again: 0,
        };
        if self.put_off(&tunnel, waiting, now, acknowledgements)
            && self.expect(&tunnel, acknowledgements)
        {
            self.waiting.put(tunnel, waiting);
        } else {
            self.dropped += 1;
        }
    }

    /// The next StopCCN that is to be sent again at `now`, a monotonic time in nanoseconds.
    ///
    /// It is counted as sent then.
    pub fn due(
        &mut self,
        now: u64,
        acknowledgements: &mut dyn Acknowledgements,
    ) -> Option<Again<T>> {
        loop {
            let (tunnel, number) = self.due.pop_due(now)?;
            let Some(mut waiting) = self.still_waiting(&tunnel, number) else {
                continue;
            };
            if is_acknowledged(&tunnel, waiting.sent, acknowledgements) {
                self.end(&tunnel, acknowledgements);
                continue;
            }
            waiting.again += 1;
            if self.put_off(&tunnel, waiting, now, acknowledgements) {
                self.waiting.put(tunnel, waiting);
            } else {
                self.end(&tunnel, acknowledgements);
            }
            return Some(Again {
                tunnel,
                reply: waiting.reply,
                number: waiting.again,
            });
        }
    }

    /// When to ask for what is [`due`](Self::due) next; it can turn out to be acknowledged.
    pub fn next_due(&self) -> Option<u64> {
        self.due.next_due()
    }

    /// How many StopCCNs were dropped at a bound before they were acknowledged,
    /// those first that were due first, since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        mem::take(&mut self.dropped)
    }

    /// Has the StopCCN wait for its next transmission; `false` where there is none, or no room.
    /// What gives way to it is done.
    fn put_off(
        &mut self,
        tunnel: &Tunnel,
        waiting: Waiting<T>,
        now: u64,
        acknowledgements: &mut dyn Acknowledgements,
    ) -> bool {
        let Some(seconds) = INTERVALS.get(usize::from(waiting.again)) else {
            return false;
        };
        let due = now.saturating_add(seconds * SECOND);
        let Some((dropped, number)) = self.due.push(due, (*tunnel, waiting.number)) else {
            return true;
        };
        if number == waiting.number {
            return false;
        }
        if let Some(other) = self.still_waiting(&dropped, number) {
            if !is_acknowledged(&dropped, other.sent, acknowledgements) {
                self.dropped += 1;
            }
            self.end(&dropped, acknowledgements);
        }
        true
    }

    /// The StopCCN of that number, unless it is done.
    fn still_waiting(&mut self, tunnel: &Tunnel, number: u64) -> Option<Waiting<T>> {
        let waiting = self.waiting.get(tunnel);
        waiting.filter(|waiting| waiting.number == number)
    }

    /// Waits for the acknowledgement of one more StopCCN; `false` where there is no room.
    fn expect(&mut self, tunnel: &Tunnel, acknowledgements: &mut dyn Acknowledgements) -> bool {
        let Tunnel {
            peers, assigned, ..
        } = tunnel;
        let expected = self.expected.get(peers);
        if expected.is_none_or(|expected| expected.assigned != *assigned) {
            // What was acknowledged before stays so.
            let before = expected.and_then(|_| acknowledgements.get(peers));
            let awaited = Awaited {
                assigned: u64::from(*assigned),
                ..before.unwrap_or_default()
            };
            if !acknowledgements.set(peers, awaited) {
                return false;
            }
        }
        let expected = Expected {
            assigned: *assigned,
            waiting: expected.map_or(0, |expected| expected.waiting) + 1,
        };
        self.expected.put(*peers, expected);
        true
    }

    /// A StopCCN is done.
    fn end(&mut self, tunnel: &Tunnel, acknowledgements: &mut dyn Acknowledgements) {
        self.waiting.remove(tunnel);
        let Some(expected) = self.expected.get(&tunnel.peers) else {
            return;
        };
        if expected.waiting > 1 {
            let expected = Expected {
                waiting: expected.waiting - 1,
                ..expected
            };
            self.expected.put(tunnel.peers, expected);
        } else {
            self.expected.remove(&tunnel.peers);
            acknowledgements.remove(&tunnel.peers);
        }
    }
}

/// Whether an acknowledgement came after that time.
fn is_acknowledged(
    tunnel: &Tunnel,
    sent: u64,
    acknowledgements: &mut dyn Acknowledgements,
) -> bool {
    let awaited = acknowledgements.get(&tunnel.peers);
    awaited.is_some_and(|awaited| awaited.acknowledged > sent)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn peers(lac_port: u64) -> Peers {
        Peers {
            lac: [0x0100_000a, 0],
            lns: [0x0102_00c0, 0],
            lac_port,
        }
    }

    fn tunnel(lac_port: u64, tunnel_id: u16) -> Tunnel {
        Tunnel {
            peers: peers(lac_port),
            tunnel_id,
            assigned: 12345,
        }
    }

    /// The acknowledgements of the kernel half, which has room for so many LACs.
    struct Noted {
        awaited: HashMap<Peers, Awaited>,
        room: usize,
    }

    impl Acknowledgements for Noted {
        fn get(&mut self, peers: &Peers) -> Option<Awaited> {
            self.awaited.get(peers).copied()
        }

        fn set(&mut self, peers: &Peers, awaited: Awaited) -> bool {
            let is_room = self.awaited.contains_key(peers) || self.awaited.len() < self.room;
            if is_room {
                self.awaited.insert(*peers, awaited);
            }
            is_room
        }

        fn remove(&mut self, peers: &Peers) {
            self.awaited.remove(peers);
        }
    }

    /// StopCCNs, and who acknowledged them; times are in milliseconds.
    struct Play {
        waiting: Retransmissions<&'static str>,
        noted: Noted,
    }

    impl Play {
        fn new(capacity: u32) -> Self {
            let noted = Noted {
                awaited: HashMap::new(),
                room: usize::MAX,
            };
            Self {
                waiting: Retransmissions::new(NonZeroU32::new(capacity).expect("not zero")),
                noted,
            }
        }

        fn sent(&mut self, tunnel: Tunnel, time: u64) {
            let now = time * MILLISECOND;
            self.waiting.sent(tunnel, "reply", now, &mut self.noted);
        }

        fn due(&mut self, time: u64) -> Option<Again<&'static str>> {
            self.waiting.due(time * MILLISECOND, &mut self.noted)
        }

        /// As the kernel half notes it, by which tunnel id the LAC knows the LNS.
        fn acknowledged(&mut self, lac_port: u64, assigned: u64, time: u64) {
            let awaited = self.noted.awaited.get_mut(&peers(lac_port));
            if let Some(awaited) = awaited.filter(|awaited| awaited.assigned == assigned) {
                awaited.acknowledged = time * MILLISECOND;
            }
        }

        /// What is sent again in that time: the milliseconds, the tunnel id, and which time it is.
        fn again(&mut self, times: std::ops::Range<u64>) -> Vec<(u64, u16, u8)> {
            let mut sent = Vec::new();
            for time in times {
                while let Some(again) = self.due(time) {
                    sent.push((time, again.tunnel.tunnel_id, again.number));
                }
            }
            sent
        }

        /// Whether nothing is waiting and nobody is expected to acknowledge.
        fn is_over(&self) -> bool {
            let Retransmissions {
                waiting, expected, ..
            } = &self.waiting;
            waiting.is_empty() && expected.is_empty() && self.noted.awaited.is_empty()
        }
    }

    #[test]
    fn a_stop_ccn_is_sent_again_after_1_2_4_8_and_8_seconds() {
        let mut play = Play::new(1);
        play.sent(tunnel(1701, 7), 500);
        assert_eq!(play.waiting.next_due(), Some(1500 * MILLISECOND));
        assert_eq!(
            play.again(0..100_000),
            [
                (1_500, 7, 1),
                (3_500, 7, 2),
                (7_500, 7, 3),
                (15_500, 7, 4),
                (23_500, 7, 5),
            ]
        );
        assert_eq!(play.waiting.next_due(), None);
        assert_eq!(play.waiting.take_dropped(), 0);
        assert!(play.is_over());
    }

    #[test]
    fn what_is_due_comes_with_what_was_given_for_it() {
        let mut play = Play::new(1);
        play.sent(tunnel(1701, 7), 0);
        assert_eq!(
            play.due(1_000),
            Some(Again {
                tunnel: tunnel(1701, 7),
                reply: "reply",
                number: 1,
            })
        );
        assert_eq!(play.due(1_000), None);
    }

    #[test]
    fn an_acknowledgement_ends_it() {
        let mut play = Play::new(4);
        play.sent(tunnel(1701, 7), 0);
        play.sent(tunnel(1702, 8), 0);
        assert_eq!(play.again(0..2_000), [(1_000, 7, 1), (1_000, 8, 1)]);
        play.acknowledged(1701, 12345, 2_000);
        assert_eq!(play.again(2_000..4_000), [(3_000, 8, 2)]);
        play.acknowledged(1702, 12345, 4_000);
        assert_eq!(play.again(4_000..100_000), []);
        assert!(play.is_over());
    }

    #[test]
    fn an_acknowledgement_is_for_all_that_was_sent_before_it() {
        let mut play = Play::new(4);
        play.sent(tunnel(1701, 7), 0);
        play.sent(tunnel(1701, 8), 0);
        play.acknowledged(1701, 12345, 1);
        play.sent(tunnel(1701, 9), 2);
        assert_eq!(play.again(0..2_000), [(1_002, 9, 1)]);
        play.acknowledged(1701, 12345, 2_000);
        assert_eq!(play.again(2_000..100_000), []);
        assert!(play.is_over());
    }

    /// The LAC names the LNS by the tunnel id of the last StopCCN; what it acknowledged before
    /// by another one stays acknowledged.
    #[test]
    fn another_assigned_tunnel_id_makes_nothing_unacknowledged() {
        let mut play = Play::new(4);
        let other = Tunnel {
            assigned: 4711,
            ..tunnel(1701, 8)
        };
        play.sent(tunnel(1701, 7), 0);
        play.acknowledged(1701, 12345, 1);
        play.sent(other, 2);
        assert_eq!(play.again(0..2_000), [(1_002, 8, 1)]);
        play.acknowledged(1701, 4711, 2_000);
        assert_eq!(play.again(2_000..100_000), []);
        assert!(play.is_over());
    }

    #[test]
    fn the_answer_to_a_retransmission_is_the_same_stop_ccn() {
        let mut play = Play::new(4);
        play.sent(tunnel(1701, 7), 0);
        play.sent(tunnel(1701, 7), 900);
        assert_eq!(play.again(0..7_000), [(1_000, 7, 1), (3_000, 7, 2)]);
    }

    #[test]
    fn a_stop_ccn_that_was_acknowledged_can_be_sent_anew() {
        let mut play = Play::new(4);
        play.sent(tunnel(1701, 7), 0);
        play.acknowledged(1701, 12345, 1);
        play.sent(tunnel(1701, 7), 2);
        assert_eq!(play.again(0..3_000), [(1_002, 7, 1)]);
        play.acknowledged(1701, 12345, 3_000);
        assert_eq!(play.again(3_000..100_000), []);
        assert!(play.is_over());
    }

    #[test]
    fn at_the_bound_what_is_due_first_is_dropped() {
        let mut play = Play::new(2);
        for (tunnel_id, time) in [(1, 0), (2, 100), (3, 200)] {
            play.sent(tunnel(tunnel_id.into(), tunnel_id), time);
        }
        assert_eq!(play.waiting.take_dropped(), 1);
        assert_eq!(play.again(0..2_000), [(1_100, 2, 1), (1_200, 3, 1)]);
        // What is due before all others is the new one itself.
        play.sent(tunnel(4, 4), 2_000);
        assert_eq!(play.waiting.take_dropped(), 1);
        assert_eq!(play.again(2_000..4_000), [(3_100, 2, 2), (3_200, 3, 2)]);
        assert_eq!(play.waiting.waiting.len(), 2);
        assert_eq!(play.noted.awaited.len(), 2);
    }

    #[test]
    fn what_finds_no_room_in_the_kernel_half_is_dropped() {
        let mut play = Play::new(4);
        play.noted.room = 1;
        play.sent(tunnel(1701, 1), 0);
        play.sent(tunnel(1701, 2), 0);
        play.sent(tunnel(1702, 3), 0);
        assert_eq!(play.waiting.take_dropped(), 1);
        assert_eq!(play.again(0..2_000), [(1_000, 1, 1), (1_000, 2, 1)]);
    }

    #[test]
    fn what_is_acknowledged_is_dropped_without_a_loss() {
        let mut play = Play::new(1);
        play.sent(tunnel(1701, 1), 0);
        play.acknowledged(1701, 12345, 1);
        play.sent(tunnel(1701, 2), 2);
        assert_eq!(play.waiting.take_dropped(), 0);
        assert_eq!(play.again(0..2_000), [(1_002, 2, 1)]);
    }

    #[test]
    fn a_stranger_acknowledges_nothing() {
        let mut play = Play::new(1);
        play.sent(tunnel(1701, 1), 0);
        play.acknowledged(1702, 12345, 1);
        play.acknowledged(1701, 4711, 1);
        assert_eq!(play.again(0..2_000), [(1_000, 1, 1)]);
    }
}
