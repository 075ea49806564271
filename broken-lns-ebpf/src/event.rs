//! What was heard of a LAC and what was done about it, as one half tells it to
//! those who follow what LACs do.

use crate::entry::Entry;
use crate::frame::Frame;
use crate::layers::{Datagram, Layers};
use crate::parties::Parties;
use crate::sample::Sample;
use crate::verdict::Verdict;
use crate::wire::ipv6::Address;
use crate::wire::l2tp::NumberAvp;
use crate::wire::{ethernet, l2tp};

/// Octets of a message that are told with its event, at the most: a power of two.
pub const HEAD_LEN: usize = 256;

/// What an [`Event`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The kernel half got a control message.
    Heard = 0,
    /// A worker reached the verdict on an SCCRQ that the kernel half handed over.
    Decided = 1,
    /// A worker sent a reply that was not due at once, or sent it again.
    Sent = 2,
}

/// One control message of a LAC (RFC 2661 §3.1), or what a worker did about one.
///
/// All numbers are in the byte order of the machine. It has no padding, so that
/// it can lie in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Event {
    /// Nanoseconds of the monotonic clock.
    pub time: u64,
    /// The LAC's address in memory order; an IPv4 address is the first word.
    pub lac: Address,
    /// The address of the virtual LNS, likewise.
    pub lns: Address,
    /// The number of the scenario that was in force, from 0.
    pub scenario: u32,
    /// The number of the rule in its scenario; 0 is the default.
    pub rule: u32,
    /// Octets of the frame; 65,535 of one that is longer.
    pub frame_len: u16,
    /// The UDP port of the LNS that the message is to.
    pub lns_port: u16,
    /// The UDP port that the LAC sent from.
    pub lac_port: u16,
    /// The outer VLAN tag with its priority bits, or 0.
    pub vlan: u16,
    /// The inner one.
    pub inner_vlan: u16,
    /// The number of the message type; 0 for a ZLB and for a message whose type
    /// cannot be read, which the verdict tells apart.
    pub message_type: u16,
    /// The Tunnel ID of the header.
    pub tunnel_id: u16,
    /// The tunnel id that an SCCRQ assigns, or 0.
    pub assigned_tunnel_id: u16,
    /// The sequence number.
    pub ns: u16,
    /// The sequence number that the LAC expects next.
    pub nr: u16,
    /// The verdict as a number, or [`Event::HANDED_OVER`].
    pub verdict: u16,
    /// 4 or 6.
    pub ip_version: u8,
    /// The [`Kind`] as a number.
    pub kind: u8,
}

impl Event {
    /// Octets of the value in a map.
    pub const LEN: usize = size_of::<Self>();

    /// In place of a verdict: a worker will reach it, and tell of it.
    pub const HANDED_OVER: u16 = Verdict::COUNT as u16;

    /// What is heard in a datagram, without what only its rule and its verdict tell; `None` where
    /// it holds no header of an L2TP control message, and of a LAC that is not in the sample.
    ///
    /// `now` and `frame_len` are asked only of a LAC that is: most of them may be followed by
    /// nobody.
    ///
    /// Of the AVPs only the first one is looked at. Whether all is as it should be is for the
    /// parser.
    #[inline(always)]
    pub fn heard(
        frame: Frame<'_>,
        layers: Layers,
        sample: Sample,
        now: impl FnOnce() -> u64,
        frame_len: impl FnOnce() -> u32,
    ) -> Option<Self> {
        let Parties { lac, lns } = Parties::of(frame, layers.network, layers.version)?;
        if !sample.has(lac) {
            return None;
        }
        let datagram = Datagram::at(frame, layers)?;
        let message = l2tp::Header::at(datagram.udp.payload())?;
        let flags = message.flags();
        if !flags.is_control() || flags.version() != 2 || datagram.room() < l2tp::HEADER_LEN as u16
        {
            return None;
        }
        let first = NumberAvp::behind(message.last());
        let first = first.filter(|avp| avp.is_message_type(avp.value()));
        // Of a frame without tags it is the EtherType, and what follows that.
        let tags = frame.window::<{ ethernet::HEADER_LEN + 2 * ethernet::TAG_LEN }>(0)?;
        let tags_len = usize::from(layers.network).saturating_sub(ethernet::HEADER_LEN);
        Some(Self {
            time: now(),
            lac,
            lns,
            scenario: 0,
            rule: 0,
            frame_len: frame_len().min(u16::MAX.into()) as u16,
            lns_port: datagram.udp.destination_port(),
            lac_port: datagram.udp.source_port(),
            vlan: match tags_len {
                0 => 0,
                _ => tags.number16::<{ ethernet::HEADER_LEN }>(),
            },
            inner_vlan: match tags_len {
                0..8 => 0,
                _ => tags.number16::<{ ethernet::HEADER_LEN + ethernet::TAG_LEN }>(),
            },
            message_type: match message.len() > l2tp::HEADER_LEN as u16 {
                true => first.map_or(0, NumberAvp::value),
                false => 0,
            },
            tunnel_id: message.tunnel_id(),
            assigned_tunnel_id: 0,
            ns: message.ns(),
            nr: message.nr(),
            verdict: Self::HANDED_OVER,
            ip_version: layers.version.number() as u8,
            kind: Kind::Heard as u8,
        })
    }

    /// How the frame ended; `None` where a worker decides.
    pub fn verdict(&self) -> Option<Verdict> {
        Verdict::ALL.get(usize::from(self.verdict)).copied()
    }

    /// What it is about; `None` for a number that none of ours wrote.
    pub fn kind(&self) -> Option<Kind> {
        [Kind::Heard, Kind::Decided, Kind::Sent]
            .into_iter()
            .find(|kind| *kind as u8 == self.kind)
    }

    /// The event in the octets of a ring buffer's entry, and what follows it there: up to
    /// [`HEAD_LEN`] octets of the beginning of the message, as far as its Length goes and the frame
    /// has them; none of a ZLB. `None` where there are too few.
    pub fn from_octets(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (event, rest) = octets.split_at_checked(Self::LEN)?;
        let rest = match rest {
            [_, _, high, low, ..] => {
                let len = u16::from_be_bytes([*high, *low]);
                rest.get(..len.into()).unwrap_or(rest)
            }
            _ => rest,
        };
        let entry = Entry(event);
        let event = Self {
            time: entry.u64(0)?,
            lac: [entry.u64(8)?, entry.u64(16)?],
            lns: [entry.u64(24)?, entry.u64(32)?],
            scenario: entry.u32(40)?,
            rule: entry.u32(44)?,
            frame_len: entry.u16(48)?,
            lns_port: entry.u16(50)?,
            lac_port: entry.u16(52)?,
            vlan: entry.u16(54)?,
            inner_vlan: entry.u16(56)?,
            message_type: entry.u16(58)?,
            tunnel_id: entry.u16(60)?,
            assigned_tunnel_id: entry.u16(62)?,
            ns: entry.u16(64)?,
            nr: entry.u16(66)?,
            verdict: entry.u16(68)?,
            ip_version: entry.u8(70)?,
            kind: entry.u8(71)?,
        };
        Some((event, rest))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::sccrq::{self, Policy};

    /// A StopCCN from 10.0.0.1:1025 to 192.0.2.1 in QinQ, for tunnel 12345.
    const STOP_CCN: [u8; 70] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xa8, 0, 100, 0x81, 0x00, 0x20, 200, 0x08,
        0x00, // Ethernet
        0x45, 0, 0, 48, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
        0x04, 0x01, 0x06, 0xa5, 0, 28, 0, 0, // UDP
        0xc8, 0x02, 0, 20, 0x30, 0x39, 0, 0, 0, 1, 0, 2, // L2TP
        0x80, 8, 0, 0, 0, 0, 0, 4, // Message Type: StopCCN
    ];

    const POLICY: Policy = Policy {
        mac: None,
        verify_checksum: false,
        avp_limit: u32::MAX,
    };

    fn heard(octets: &[u8]) -> Option<Event> {
        heard_in(Sample::ALL, octets)
    }

    fn heard_in(sample: Sample, octets: &[u8]) -> Option<Event> {
        let mut copy = octets.to_vec();
        let frame = Frame::new(&mut copy);
        let mut heard = None;
        // The parser finds the datagram; its verdict is nothing to an event.
        let _ = sccrq::parse_unless(
            frame,
            || true,
            || POLICY,
            |layers| {
                heard = Event::heard(frame, layers, sample, || 9, || octets.len() as u32);
                Some(frame)
            },
            sccrq::has_right_checksum,
            sccrq::holds_l2tp,
        );
        heard
    }

    #[test]
    fn a_control_message_is_heard() {
        let v4 = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
        let expected = Event {
            time: 9,
            lac: v4([10, 0, 0, 1]),
            lns: v4([192, 0, 2, 1]),
            scenario: 0,
            rule: 0,
            frame_len: 70,
            lns_port: 1701,
            lac_port: 1025,
            vlan: 100,
            inner_vlan: 0x20c8,
            message_type: 4,
            tunnel_id: 12345,
            assigned_tunnel_id: 0,
            ns: 1,
            nr: 2,
            verdict: Event::HANDED_OVER,
            ip_version: 4,
            kind: 0,
        };
        assert_eq!(heard(&STOP_CCN), Some(expected));
        // Without its inner tag, and without both.
        let mut octets = STOP_CCN.to_vec();
        octets.drain(14..18);
        let single = heard(&octets).unwrap();
        assert_eq!((single.vlan, single.inner_vlan), (0x20c8, 0));
        octets.drain(12..16);
        let untagged = heard(&octets).unwrap();
        assert_eq!((untagged.vlan, untagged.inner_vlan), (0, 0));
        assert_eq!(untagged.message_type, 4);
        // A ZLB, though octets follow it.
        octets[45] = 12;
        assert_eq!(heard(&octets).unwrap().message_type, 0);
        octets[37] = 0xa6;
        assert_eq!(heard(&octets).unwrap().lns_port, 1702);
    }

    #[test]
    fn what_is_no_control_message_is_not_heard() {
        assert_eq!(heard_in(Sample::NONE, &STOP_CCN), None);
        for (at, octet) in [(21, 6), (28, 0x20), (31, 6), (45, 0), (50, 0x48)] {
            let mut octets = STOP_CCN;
            octets[at] = octet;
            assert_eq!(heard(&octets), None, "{at}");
        }
        for len in 0..STOP_CCN.len() - 8 {
            assert_eq!(heard(&STOP_CCN[..len]), None, "{len}");
        }
    }

    #[test]
    fn an_event_survives_the_way_through_a_map() {
        let mut octets: Vec<u8> = (0..72).collect();
        octets.extend([0xc8, 0x02]);
        let (event, rest) = Event::from_octets(&octets).unwrap();
        assert_eq!(rest, [0xc8, 0x02]);
        assert_eq!(event.time.to_ne_bytes(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(event.lac[1].to_ne_bytes(), [16, 17, 18, 19, 20, 21, 22, 23]);
        assert_eq!(event.scenario.to_ne_bytes(), [40, 41, 42, 43]);
        assert_eq!(event.frame_len.to_ne_bytes(), [48, 49]);
        assert_eq!(event.lns_port.to_ne_bytes(), [50, 51]);
        assert_eq!(event.lac_port.to_ne_bytes(), [52, 53]);
        assert_eq!(event.nr.to_ne_bytes(), [66, 67]);
        assert_eq!(event.verdict.to_ne_bytes(), [68, 69]);
        assert_eq!((event.ip_version, event.kind), (70, 71));
        assert_eq!(event.kind(), None);
        assert_eq!(event.verdict(), None);
        assert_eq!(Event::from_octets(&octets[..71]), None);
        // What follows the message in its frame is not of it.
        octets.extend([0, 12]);
        octets.extend([7; 10]);
        for (len, expected) in [(76, 4), (83, 11), (84, 12), (86, 12)] {
            let (_, rest) = Event::from_octets(&octets[..len]).unwrap();
            assert_eq!(rest, &octets[72..72 + expected], "{len}");
        }
        assert_eq!(std::mem::offset_of!(Event, kind), 71);
        assert_eq!(Event::LEN, 72);
    }
}
