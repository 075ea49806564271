//! Events as the two halves make them.

use broken_lns_ebpf::event::{Event, Kind};
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::l2tp;

pub(super) const MICROSECOND: u64 = 1_000;
pub(super) const MILLISECOND: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000_000_000;

/// Which half answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Kernel,
    Worker,
}

/// How long a worker takes.
pub(super) const WORK: u64 = 30 * MICROSECOND;

/// A LAC and an LNS that it talks to, by their numbers, and the rule for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Talk {
    pub(super) lac: u32,
    pub(super) lns: u8,
    pub(super) rule: u32,
    pub(super) way: Way,
    /// The port of the LAC.
    pub(super) port: u16,
}

pub(super) fn lac_address(lac: u32) -> std::net::IpAddr {
    std::net::Ipv4Addr::from_bits(10 << 24 | lac).into()
}

pub(super) fn lns_address(lns: u8) -> std::net::IpAddr {
    std::net::Ipv4Addr::new(192, 0, 2, lns).into()
}

impl Talk {
    fn event(self, kind: Kind, time: u64) -> Event {
        let word = |address: u32| u64::from(address.to_be());
        Event {
            time,
            lac: [word(10 << 24 | self.lac), 0],
            lns: [word(0xc000_0200 | u32::from(self.lns)), 0],
            scenario: 0,
            rule: self.rule,
            frame_len: 100,
            lac_port: self.port,
            lns_port: l2tp::PORT,
            vlan: 0,
            inner_vlan: 0,
            message_type: l2tp::SCCRQ,
            tunnel_id: 0,
            assigned_tunnel_id: 0,
            ns: 0,
            nr: 0,
            verdict: Verdict::Answered as u16,
            ip_version: 4,
            kind: kind as u8,
        }
    }

    /// An SCCRQ with that tunnel id; the answer is given at the time that is returned.
    pub(super) fn request(
        self,
        events: &mut Vec<Event>,
        time: u64,
        id: u16,
        verdict: Verdict,
    ) -> u64 {
        let heard = Event {
            assigned_tunnel_id: id,
            verdict: verdict as u16,
            ..self.event(Kind::Heard, time)
        };
        match self.way {
            Way::Kernel => {
                events.push(heard);
                time
            }
            Way::Worker => {
                // The kernel half does not look up the rule of what it hands over.
                events.push(Event {
                    verdict: Event::HANDED_OVER,
                    rule: 0,
                    ..heard
                });
                events.push(Event {
                    time: time + WORK,
                    kind: Kind::Decided as u8,
                    ..heard
                });
                time + WORK
            }
        }
    }

    /// A reply that was due later, or comes again.
    pub(super) fn sent(self, events: &mut Vec<Event>, time: u64, id: u16) {
        events.push(Event {
            assigned_tunnel_id: id,
            ..self.event(Kind::Sent, time)
        });
    }

    /// A ZLB.
    pub(super) fn zlb(self, events: &mut Vec<Event>, time: u64, nr: u16) {
        self.zlb_for(events, time, nr, 12345);
    }

    /// A ZLB with that Tunnel ID.
    pub(super) fn zlb_for(self, events: &mut Vec<Event>, time: u64, nr: u16, tunnel_id: u16) {
        events.push(Event {
            message_type: 0,
            tunnel_id,
            ns: 1,
            nr,
            verdict: Verdict::Zlb as u16,
            ..self.event(Kind::Heard, time)
        });
    }

    /// A StopCCN of the LAC.
    pub(super) fn stop_ccn(self, events: &mut Vec<Event>, time: u64, nr: u16) {
        events.push(Event {
            message_type: l2tp::STOP_CCN,
            tunnel_id: 12345,
            ns: 1,
            nr,
            verdict: Verdict::StopCcn as u16,
            ..self.event(Kind::Heard, time)
        });
    }
}
