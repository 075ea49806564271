//! What the responder has counted at one instant, as plain data for the output.
//!
//! Every counter is monotonic and counts from the start. What counts from a
//! later reset is the difference of two snapshots; rates are derived where they
//! are shown.

use std::collections::HashMap;
use std::time::Duration;

use broken_lns_ebpf::verdict::Verdict;
use serde::{Deserialize, Serialize};

use crate::capture::CaptureCounts;
use crate::interface::TRANSMIT_EXCEPTIONS;
use crate::play::SentCounts;
use crate::scenario::Place;

/// One counter for each verdict, indexed by the verdict.
pub type VerdictCounts = [u64; Verdict::COUNT];

/// Everything counted so far, on all interfaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The time since the program was attached.
    pub elapsed: Duration,
    /// The interfaces, in the order of the command line.
    pub interfaces: Vec<InterfaceSnapshot>,
    /// The frames that were captured, where any are.
    pub capture: Option<CaptureCounts>,
    /// Whether nothing comes after this one.
    pub last: bool,
}

/// Everything counted so far on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSnapshot {
    /// The interface's name.
    pub name: String,
    /// The frames by verdict, those of the kernel half and of the workers added up.
    pub verdicts: VerdictCounts,
    /// The answers that the kernel half wrote.
    pub rewritten: u64,
    /// The answers that the workers wrote.
    pub redirected: u64,
    /// What the workers did beside answering requests at once.
    pub sent: SentCounts,
    /// What was heard of LACs that are followed, and found no room on its way to whoever follows.
    pub events_lost: u64,
    /// The frames that the program handed to a worker and that never arrived there.
    pub undelivered: u64,
    /// Why nothing is answered here any more, if so.
    pub ended: Option<String>,
    /// The rules that requests met on a worker, in their order.
    pub rules: Vec<RuleSnapshot>,
    /// The queues that have a worker.
    pub queues: Vec<QueueSnapshot>,
    /// What the driver counted as errors and drops since the start, under its own names; and what
    /// XDP_TX lost, as the kernel counts it, under [`TRANSMIT_EXCEPTIONS`].
    pub driver: Vec<(String, u64)>,
}

/// The requests that met one rule, since its scenario was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSnapshot {
    /// Where the rule begins in its file, which the default has not.
    pub place: Option<Place>,
    /// The requests.
    pub hits: u64,
}

/// Everything counted so far on one queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSnapshot {
    /// The number of the NIC queue.
    pub queue: u32,
    /// The answers that this queue's worker sent.
    pub answered: u64,
    /// What the kernel counted on this queue's AF_XDP socket.
    pub xdp_statistics: XdpStatistics,
}

/// The kernel's counters of one AF_XDP socket, under the names of `struct xdp_statistics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdpStatistics {
    /// Frames dropped for another reason than a full ring.
    pub rx_dropped: u64,
    /// Fill ring entries that the kernel refused.
    pub rx_invalid_descs: u64,
    /// Tx ring entries that the kernel refused.
    pub tx_invalid_descs: u64,
    /// Frames dropped because the rx ring was full.
    pub rx_ring_full: u64,
    /// Times the kernel found no frame in the fill ring.
    pub rx_fill_ring_empty_descs: u64,
    /// Times the kernel found no frame in the tx ring.
    pub tx_ring_empty_descs: u64,
}

impl Snapshot {
    /// The frames by verdict, over all interfaces.
    pub fn verdicts(&self) -> VerdictCounts {
        let mut sums = [0; Verdict::COUNT];
        for interface in &self.interfaces {
            for (sum, count) in sums.iter_mut().zip(&interface.verdicts) {
                *sum += count;
            }
        }
        sums
    }

    /// What was counted since an earlier one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let interfaces = self.interfaces.iter().map(|interface| {
            let mut same = earlier.interfaces.iter();
            match same.find(|earlier| earlier.name == interface.name) {
                Some(earlier) => interface.since(earlier),
                None => interface.clone(),
            }
        });
        Self {
            elapsed: self.elapsed.saturating_sub(earlier.elapsed),
            interfaces: interfaces.collect(),
            capture: self
                .capture
                .map(|counts| counts.since(&earlier.capture.unwrap_or_default())),
            last: self.last,
        }
    }

    /// The SCCRQs answered, over all interfaces.
    pub fn answered(&self) -> u64 {
        self.interfaces
            .iter()
            .map(InterfaceSnapshot::answered)
            .sum()
    }

    /// The control messages without an answer that are told of one by one, over all interfaces.
    pub fn announced_unanswered(&self) -> u64 {
        let verdicts = Verdict::ALL.iter();
        let announced = verdicts.filter(|verdict| verdict.is_announced());
        let counts = announced.flat_map(|verdict| {
            let interfaces = self.interfaces.iter();
            interfaces.map(|interface| interface.count(*verdict))
        });
        counts.sum()
    }

    /// The L2TP frames received, over all interfaces.
    pub fn received(&self) -> u64 {
        self.interfaces
            .iter()
            .map(InterfaceSnapshot::received)
            .sum()
    }

    /// The answers that the kernel half wrote, over all interfaces.
    pub fn rewritten(&self) -> u64 {
        self.interfaces
            .iter()
            .map(|interface| interface.rewritten)
            .sum()
    }

    /// The events that were lost, over all interfaces.
    pub fn events_lost(&self) -> u64 {
        let interfaces = self.interfaces.iter();
        interfaces.map(|interface| interface.events_lost).sum()
    }

    /// The frames that did not arrive at the worker that they were handed to, over all interfaces.
    pub fn undelivered(&self) -> u64 {
        let interfaces = self.interfaces.iter();
        interfaces.map(|interface| interface.undelivered).sum()
    }

    /// The answers that the workers wrote, over all interfaces.
    pub fn redirected(&self) -> u64 {
        self.interfaces
            .iter()
            .map(|interface| interface.redirected)
            .sum()
    }
}

impl InterfaceSnapshot {
    /// The frames that ended with this verdict.
    pub fn count(&self, verdict: Verdict) -> u64 {
        self.verdicts[verdict as usize]
    }

    /// The SCCRQs answered.
    pub fn answered(&self) -> u64 {
        self.count(Verdict::Answered)
    }

    /// The L2TP frames received, in any state.
    pub fn received(&self) -> u64 {
        Verdict::ALL
            .iter()
            .filter(|verdict| is_received(**verdict))
            .map(|verdict| self.count(*verdict))
            .sum()
    }

    /// The rewritten answers that XDP_TX lost.
    pub fn lost_by_transmit(&self) -> u64 {
        let mut counters = self.driver.iter();
        let lost = counters.find(|(name, _)| name == TRANSMIT_EXCEPTIONS);
        lost.map_or(0, |(_, count)| *count)
    }

    /// What was counted since an earlier one of the same interface.
    fn since(&self, earlier: &Self) -> Self {
        let mut verdicts = self.verdicts;
        for (count, earlier) in verdicts.iter_mut().zip(&earlier.verdicts) {
            *count = count.saturating_sub(*earlier);
        }
        let mut sent = self.sent;
        for (count, earlier) in sent.iter_mut().zip(&earlier.sent) {
            *count = count.saturating_sub(*earlier);
        }
        // Hits of another scenario, which was replaced since, say nothing of this one's.
        let mut hits = HashMap::with_capacity(earlier.rules.len());
        for rule in &earlier.rules {
            hits.entry(rule.place).or_insert(rule.hits);
        }
        let rules = self.rules.iter().map(|rule| {
            let earlier = hits.get(&rule.place).copied().unwrap_or(0);
            RuleSnapshot {
                hits: rule.hits.checked_sub(earlier).unwrap_or(rule.hits),
                ..*rule
            }
        });
        let queues = self.queues.iter().map(|queue| {
            let mut same = earlier.queues.iter();
            match same.find(|earlier| earlier.queue == queue.queue) {
                Some(earlier) => queue.since(earlier),
                None => *queue,
            }
        });
        let driver = self.driver.iter().map(|(name, count)| {
            let mut same = earlier.driver.iter();
            let earlier = same.find(|(earlier, _)| earlier == name);
            let earlier = earlier.map_or(0, |(_, count)| *count);
            (name.clone(), count.saturating_sub(earlier))
        });
        Self {
            name: self.name.clone(),
            verdicts,
            rewritten: self.rewritten.saturating_sub(earlier.rewritten),
            redirected: self.redirected.saturating_sub(earlier.redirected),
            sent,
            events_lost: self.events_lost.saturating_sub(earlier.events_lost),
            undelivered: self.undelivered.saturating_sub(earlier.undelivered),
            ended: self.ended.clone(),
            rules: rules.collect(),
            queues: queues.collect(),
            driver: driver.collect(),
        }
    }
}

impl QueueSnapshot {
    /// What was counted since an earlier one of the same queue.
    fn since(&self, earlier: &Self) -> Self {
        Self {
            queue: self.queue,
            answered: self.answered.saturating_sub(earlier.answered),
            xdp_statistics: self.xdp_statistics.since(&earlier.xdp_statistics),
        }
    }
}

impl XdpStatistics {
    /// What was counted since an earlier one of the same socket.
    fn since(&self, earlier: &Self) -> Self {
        let since = |count: fn(&Self) -> u64| count(self).saturating_sub(count(earlier));
        Self {
            rx_dropped: since(|counts| counts.rx_dropped),
            rx_invalid_descs: since(|counts| counts.rx_invalid_descs),
            tx_invalid_descs: since(|counts| counts.tx_invalid_descs),
            rx_ring_full: since(|counts| counts.rx_ring_full),
            rx_fill_ring_empty_descs: since(|counts| counts.rx_fill_ring_empty_descs),
            tx_ring_empty_descs: since(|counts| counts.tx_ring_empty_descs),
        }
    }

    /// Every counter with its name, in the order of the kernel's struct.
    pub fn entries(&self) -> [(&'static str, u64); 6] {
        [
            ("rx_dropped", self.rx_dropped),
            ("rx_invalid_descs", self.rx_invalid_descs),
            ("tx_invalid_descs", self.tx_invalid_descs),
            ("rx_ring_full", self.rx_ring_full),
            ("rx_fill_ring_empty_descs", self.rx_fill_ring_empty_descs),
            ("tx_ring_empty_descs", self.tx_ring_empty_descs),
        ]
    }
}

/// Whether a frame with this verdict counts as received.
///
/// Received is what came to UDP port 1701, whatever it was and whoever it was
/// for: a LAC that sends to the wrong MAC address should show as received and
/// not answered. Fragments do not count, for most of them show no port.
pub fn is_received(verdict: Verdict) -> bool {
    !matches!(verdict, Verdict::OtherTraffic | Verdict::Fragment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::Sent;

    fn interface(counts: &[(Verdict, u64)]) -> InterfaceSnapshot {
        let mut verdicts = [0; Verdict::COUNT];
        for (verdict, count) in counts {
            verdicts[*verdict as usize] = *count;
        }
        InterfaceSnapshot {
            name: "eth1".to_owned(),
            verdicts,
            rewritten: 3,
            redirected: 4,
            sent: [0; Sent::COUNT],
            events_lost: 0,
            undelivered: 0,
            ended: None,
            rules: Vec::new(),
            queues: Vec::new(),
            driver: Vec::new(),
        }
    }

    #[test]
    fn totals_are_over_all_interfaces() {
        let snapshot = Snapshot {
            interfaces: vec![
                interface(&[(Verdict::Answered, 7), (Verdict::Zlb, 1)]),
                interface(&[(Verdict::Answered, 10), (Verdict::OtherTraffic, 5)]),
            ],
            ..Snapshot::default()
        };
        assert_eq!(snapshot.answered(), 17);
        assert_eq!(snapshot.rewritten(), 6);
        assert_eq!(snapshot.redirected(), 8);
        assert_eq!(snapshot.verdicts()[Verdict::Zlb as usize], 1);
        assert_eq!(snapshot.verdicts()[Verdict::OtherTraffic as usize], 5);
    }

    #[test]
    fn received_is_what_came_to_port_1701() {
        let every_verdict: Vec<_> = Verdict::ALL.iter().map(|verdict| (*verdict, 1)).collect();
        let received = interface(&every_verdict).received();
        assert_eq!(received, Verdict::COUNT as u64 - 2);
        let none = interface(&[(Verdict::OtherTraffic, 9), (Verdict::Fragment, 9)]);
        assert_eq!(none.received(), 0);
    }

    #[test]
    fn a_difference_counts_from_the_earlier_one() {
        let counted = |answered, driver, rx_ring_full, seconds| {
            let mut interface = interface(&[(Verdict::Answered, answered)]);
            interface.driver = vec![("rx_xdp_drops".to_owned(), driver)];
            interface.queues = vec![QueueSnapshot {
                queue: 1,
                answered,
                xdp_statistics: XdpStatistics {
                    rx_ring_full,
                    ..XdpStatistics::default()
                },
            }];
            Snapshot {
                elapsed: Duration::from_secs(seconds),
                interfaces: vec![interface],
                capture: Some(CaptureCounts {
                    written: answered,
                    lost: driver,
                    failed: 0,
                }),
                last: false,
            }
        };
        let mut expected = counted(60, 3, 2, 20);
        expected.interfaces[0].rewritten = 0;
        expected.interfaces[0].redirected = 0;
        let difference = counted(100, 5, 9, 50).since(&counted(40, 2, 7, 30));
        assert_eq!(difference, expected);
        let all = counted(100, 5, 9, 50);
        assert_eq!(all.since(&Snapshot::default()), all);
    }
}
