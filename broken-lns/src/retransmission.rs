//! Sends a StopCCN again until its LAC acknowledges it (RFC 2661 §5.8).
//!
//! An acknowledgement names the tunnel by the id that the virtual LNS assigned,
//! which is the same for all its replies. So it is one for every StopCCN that was
//! sent to that LAC and port from that LNS: none of them can be told apart by it.

use std::mem;
use std::num::NonZeroU32;

use broken_lns_ebpf::wire::ipv6::Address;

use crate::lru::Lru;
use crate::pending::Pending;

/// Seconds from one transmission to the next.
const INTERVALS: [u64; 5] = [1, 2, 4, 8, 8];
const SECOND: u64 = 1_000_000_000;

/// The two ends between which L2TP is spoken. Addresses are in memory order; an
/// IPv4 address is the first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peers {
    /// The LAC.
    pub lac: Address,
    /// The virtual LNS.
    pub lns: Address,
    /// The UDP port of the LAC, which stays the same (§8.1).
    pub lac_port: u16,
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
    /// The next transmission of each, with the time of its first one.
    due: Pending<(Tunnel, Moment)>,
    waiting: Lru<Tunnel, Waiting<T>>,
    /// What is known of the LACs that were sent something.
    acknowledged: Lru<Peers, Known>,
    now: Moment,
    dropped: u64,
}

/// A number that counts up with all that happens, for what comes after what.
type Moment = u64;

#[derive(Clone, Copy, Debug)]
struct Known {
    /// The last acknowledgement.
    acknowledged: Moment,
    /// The tunnel id that the last StopCCN claimed to have assigned.
    assigned: u16,
}

#[derive(Clone, Copy, Debug)]
struct Waiting<T> {
    sent: Moment,
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
            acknowledged: Lru::new(capacity),
            now: 0,
            dropped: 0,
        }
    }

    /// A StopCCN was sent at `now`, a monotonic time in nanoseconds; `reply` is
    /// what is needed to send it again.
    ///
    /// Nothing changes where it is waiting already: the answer to an SCCRQ that was
    /// sent again is not another StopCCN, and the times go on from the first one.
    pub fn sent(&mut self, tunnel: Tunnel, reply: T, now: u64) {
        let waiting = self.waiting.get(&tunnel);
        if waiting.is_some_and(|waiting| !self.is_acknowledged(&tunnel, waiting.sent)) {
            return;
        }
        let sent = self.next_moment();
        let known = self.acknowledged.get(&tunnel.peers);
        let known = Known {
            acknowledged: known.map_or(0, |known| known.acknowledged),
            assigned: tunnel.assigned,
        };
        self.acknowledged.put(tunnel.peers, known);
        let waiting = Waiting {
            sent,
            reply,
            again: 0,
        };
        self.put_off(tunnel, waiting, now);
    }

    /// The LAC acknowledged, as [`acknowledges`] has it.
    pub fn acknowledged(&mut self, peers: &Peers) {
        // A stranger has nothing to acknowledge, and no place in the table.
        if let Some(known) = self.acknowledged.get(peers) {
            let known = Known {
                acknowledged: self.next_moment(),
                ..known
            };
            self.acknowledged.put(*peers, known);
        }
    }

    /// The tunnel id by which the LAC names the LNS in an acknowledgement; `None` for a stranger.
    pub fn assigned(&mut self, peers: &Peers) -> Option<u16> {
        self.acknowledged.get(peers).map(|known| known.assigned)
    }

    /// The next StopCCN that is to be sent again at `now`, a monotonic time in nanoseconds.
    ///
    /// It is counted as sent then.
    pub fn due(&mut self, now: u64) -> Option<Again<T>> {
        loop {
            let (tunnel, sent) = self.due.pop_due(now)?;
            let Some(mut waiting) = self.still_waiting(&tunnel, sent) else {
                continue;
            };
            waiting.again += 1;
            if usize::from(waiting.again) < INTERVALS.len() {
                self.put_off(tunnel, waiting, now);
            } else {
                self.waiting.remove(&tunnel);
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

    /// How many StopCCNs were dropped at the bound before they were acknowledged,
    /// those first that were due first, since this was last asked.
    pub fn take_dropped(&mut self) -> u64 {
        mem::take(&mut self.dropped)
    }

    /// Has the StopCCN wait for its next transmission.
    fn put_off(&mut self, tunnel: Tunnel, waiting: Waiting<T>, now: u64) {
        let Some(seconds) = INTERVALS.get(usize::from(waiting.again)) else {
            return;
        };
        let due = now.saturating_add(seconds * SECOND);
        match self.due.push(due, (tunnel, waiting.sent)) {
            Some((dropped, sent)) if (dropped, sent) == (tunnel, waiting.sent) => {
                self.dropped += 1;
                return;
            }
            // Its place in the table of those that wait is for the new one.
            Some((dropped, sent)) if self.still_waiting(&dropped, sent).is_some() => {
                self.waiting.remove(&dropped);
                self.dropped += 1;
            }
            _ => {}
        }
        self.waiting.put(tunnel, waiting);
    }

    /// What is known of a StopCCN that was first sent at that moment, unless it
    /// is done. What is acknowledged is forgotten.
    fn still_waiting(&mut self, tunnel: &Tunnel, sent: Moment) -> Option<Waiting<T>> {
        let waiting = self.waiting.get(tunnel)?;
        if waiting.sent != sent {
            return None;
        }
        if self.is_acknowledged(tunnel, sent) {
            self.waiting.remove(tunnel);
            return None;
        }
        Some(waiting)
    }

    fn is_acknowledged(&mut self, tunnel: &Tunnel, sent: Moment) -> bool {
        let last = self.acknowledged.get(&tunnel.peers);
        last.is_some_and(|last| last.acknowledged > sent)
    }

    fn next_moment(&mut self) -> Moment {
        self.now += 1;
        self.now
    }
}

/// Whether a control message with this Tunnel ID and Nr in its header
/// acknowledges a message with that Ns from an LNS that assigned `assigned`.
///
/// A LAC that does not take the StopCCN for the beginning of a tunnel may still
/// have no id for it, and so say 0 (§3.1). Sequence numbers wrap (§5.8).
pub fn acknowledges(tunnel_id: u16, nr: u16, assigned: u16, ns: u16) -> bool {
    let beyond = nr.wrapping_sub(ns).wrapping_sub(1);
    (tunnel_id == assigned || tunnel_id == 0) && beyond < 0x8000
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;

    fn peers(lac_port: u16) -> Peers {
        Peers {
            lac: [0x0100_000a, 0],
            lns: [0x0102_00c0, 0],
            lac_port,
        }
    }

    fn tunnel(lac_port: u16, tunnel_id: u16) -> Tunnel {
        Tunnel {
            peers: peers(lac_port),
            tunnel_id,
            assigned: 12345,
        }
    }

    fn retransmissions(capacity: u32) -> Retransmissions<&'static str> {
        Retransmissions::new(NonZeroU32::new(capacity).expect("not zero"))
    }

    /// What is sent again until that time: the milliseconds, the tunnel id, and which time it is.
    fn play(
        retransmissions: &mut Retransmissions<&'static str>,
        times: std::ops::Range<u64>,
    ) -> Vec<(u64, u16, u8)> {
        let mut sent = Vec::new();
        for time in times {
            while let Some(again) = retransmissions.due(time * MILLISECOND) {
                sent.push((time, again.tunnel.tunnel_id, again.number));
            }
        }
        sent
    }

    #[test]
    fn a_stop_ccn_is_sent_again_after_1_2_4_8_and_8_seconds() {
        let mut waiting = retransmissions(1);
        waiting.sent(tunnel(1701, 7), "reply", 500 * MILLISECOND);
        assert_eq!(waiting.next_due(), Some(1500 * MILLISECOND));
        assert_eq!(
            play(&mut waiting, 0..100_000),
            [
                (1_500, 7, 1),
                (3_500, 7, 2),
                (7_500, 7, 3),
                (15_500, 7, 4),
                (23_500, 7, 5),
            ]
        );
        assert_eq!((waiting.next_due(), waiting.take_dropped()), (None, 0));
    }

    #[test]
    fn what_is_due_comes_with_what_was_given_for_it() {
        let mut waiting = retransmissions(1);
        waiting.sent(tunnel(1701, 7), "reply", 0);
        assert_eq!(
            waiting.due(SECOND),
            Some(Again {
                tunnel: tunnel(1701, 7),
                reply: "reply",
                number: 1,
            })
        );
        assert_eq!(waiting.due(SECOND), None);
    }

    #[test]
    fn an_acknowledgement_ends_it() {
        let mut waiting = retransmissions(4);
        waiting.sent(tunnel(1701, 7), "", 0);
        waiting.sent(tunnel(1702, 8), "", 0);
        assert_eq!(play(&mut waiting, 0..2_000), [(1_000, 7, 1), (1_000, 8, 1)]);
        waiting.acknowledged(&peers(1701));
        assert_eq!(play(&mut waiting, 2_000..4_000), [(3_000, 8, 2)]);
        waiting.acknowledged(&peers(1702));
        assert_eq!(play(&mut waiting, 4_000..100_000), []);
        assert_eq!(waiting.waiting.len(), 0);
    }

    #[test]
    fn an_acknowledgement_is_for_all_that_was_sent_before_it() {
        let mut waiting = retransmissions(4);
        waiting.sent(tunnel(1701, 7), "", 0);
        waiting.sent(tunnel(1701, 8), "", 0);
        waiting.acknowledged(&peers(1701));
        waiting.sent(tunnel(1701, 9), "", 0);
        assert_eq!(play(&mut waiting, 0..2_000), [(1_000, 9, 1)]);
    }

    #[test]
    fn the_answer_to_a_retransmission_is_the_same_stop_ccn() {
        let mut waiting = retransmissions(4);
        waiting.sent(tunnel(1701, 7), "", 0);
        waiting.sent(tunnel(1701, 7), "", 900 * MILLISECOND);
        assert_eq!(play(&mut waiting, 0..7_000), [(1_000, 7, 1), (3_000, 7, 2)]);
    }

    #[test]
    fn a_stop_ccn_that_was_acknowledged_can_be_sent_anew() {
        let mut waiting = retransmissions(4);
        waiting.sent(tunnel(1701, 7), "", 0);
        waiting.acknowledged(&peers(1701));
        waiting.sent(tunnel(1701, 7), "", 0);
        assert_eq!(play(&mut waiting, 0..3_000), [(1_000, 7, 1)]);
        waiting.acknowledged(&peers(1701));
        assert_eq!(play(&mut waiting, 3_000..100_000), []);
    }

    #[test]
    fn at_the_bound_what_is_due_first_is_dropped() {
        let mut waiting = retransmissions(2);
        for (tunnel_id, time) in [(1, 0), (2, 100), (3, 200)] {
            waiting.sent(tunnel(1701, tunnel_id), "", time * MILLISECOND);
        }
        assert_eq!(waiting.take_dropped(), 1);
        assert_eq!(play(&mut waiting, 0..2_000), [(1_100, 2, 1), (1_200, 3, 1)]);
        // What is due before all others is the new one itself.
        waiting.sent(tunnel(1701, 4), "", 2_000 * MILLISECOND);
        assert_eq!(waiting.take_dropped(), 1);
        assert_eq!(
            play(&mut waiting, 2_000..4_000),
            [(3_100, 2, 2), (3_200, 3, 2)]
        );
        assert_eq!(waiting.waiting.len(), 2);
    }

    #[test]
    fn what_is_acknowledged_is_dropped_without_a_loss() {
        let mut waiting = retransmissions(1);
        waiting.sent(tunnel(1701, 1), "", 0);
        waiting.acknowledged(&peers(1701));
        waiting.sent(tunnel(1701, 2), "", 0);
        assert_eq!(waiting.take_dropped(), 0);
        assert_eq!(play(&mut waiting, 0..2_000), [(1_000, 2, 1)]);
    }

    #[test]
    fn a_stranger_acknowledges_nothing() {
        let mut waiting = retransmissions(1);
        waiting.sent(tunnel(1701, 1), "", 0);
        waiting.acknowledged(&peers(1702));
        assert_eq!(waiting.acknowledged.len(), 1);
        assert_eq!(play(&mut waiting, 0..2_000), [(1_000, 1, 1)]);
    }

    #[test]
    fn an_acknowledgement_has_a_tunnel_and_an_nr_beyond_ns() {
        for (tunnel_id, nr, ns, expected) in [
            (12345, 1, 0, true),
            (0, 1, 0, true),
            (7, 1, 0, false),
            (12345, 0, 0, false),
            (12345, 2, 0, true),
            (12345, 0x8000, 0, true),
            (12345, 0x8001, 0, false),
            (12345, 0xffff, 0, false),
            (12345, 0, 0xffff, true),
            (12345, 1, 1, false),
            (12345, 2, 1, true),
        ] {
            let acknowledges = acknowledges(tunnel_id, nr, 12345, ns);
            assert_eq!(
                acknowledges, expected,
                "tunnel {tunnel_id}, Nr {nr}, Ns {ns}"
            );
        }
    }
}
