//! One control message that has no answer because of its Length, or of what it is encapsulated in,
//! as the kernel half tells of it.

use crate::encapsulation;
use crate::entry::Entry;
use crate::frame::Frame;
use crate::layers::{Datagram, Layers};
use crate::parties::Parties;
use crate::wire::ipv6::Address;
use crate::wire::{l2tp, udp};

/// Who sent it to whom, and what its lengths are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Unanswered {
    /// The LAC's address in memory order; an IPv4 address is the first word.
    pub lac: Address,
    /// The address of the virtual LNS, likewise.
    pub lns: Address,
    /// 4 or 6.
    pub ip_version: u16,
    /// The UDP port that the LAC sent from.
    pub lac_port: u16,
    /// Octets of the message, as its Length says (RFC 2661 §3.1).
    pub length: u16,
    /// Octets that the datagram holds for it.
    pub held: u16,
    /// EtherType of the layer that it is encapsulated in, or 0 where it is in none: so wide that
    /// there is no padding.
    pub within: u64,
}

impl Unanswered {
    /// That in a frame with a control message whose header is whole; `None` where the frame is
    /// too short for one.
    #[inline(always)]
    pub fn of(frame: Frame<'_>, layers: Layers) -> Option<Self> {
        let Parties { lac, lns } = Parties::of(frame, layers.network, layers.version)?;
        let datagram = Datagram::at(frame, layers)?;
        let message = l2tp::Header::at(datagram.udp.payload())?;
        Some(Self {
            lac,
            lns,
            ip_version: layers.version.number(),
            lac_port: datagram.udp.source_port(),
            length: message.len(),
            held: datagram.room(),
            within: 0,
        })
    }

    /// The same in a frame where it is encapsulated.
    #[inline(always)]
    pub fn encapsulated(frame: Frame<'_>) -> Option<Self> {
        let found = encapsulation::find(frame)?;
        let Parties { lac, lns } = Parties::at(found.network, found.version)?;
        let udp = udp::Header::at(found.transport)?;
        let message = l2tp::Header::at(udp.payload())?;
        Some(Self {
            lac,
            lns,
            ip_version: found.version.number(),
            lac_port: udp.source_port(),
            length: message.len(),
            held: udp.len().saturating_sub(udp::HEADER_LEN as u16),
            within: found.within.into(),
        })
    }

    /// The value in the octets of a map's entry; `None` where there are too few.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let entry = Entry(octets);
        Some(Self {
            lac: [entry.u64(0)?, entry.u64(8)?],
            lns: [entry.u64(16)?, entry.u64(24)?],
            ip_version: entry.u16(32)?,
            lac_port: entry.u16(34)?,
            length: entry.u16(36)?,
            held: entry.u16(38)?,
            within: entry.u64(40)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::IpVersion;

    /// From 10.0.0.1:1025 to 192.0.2.1, with 12 octets, of which Length says that they are 13.
    const MESSAGE: [u8; 54] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
        0x04, 0x01, 0x06, 0xa5, 0, 20, 0, 0, // UDP
        0xc8, 0x02, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, // L2TP
    ];

    #[test]
    fn a_message_is_told_of_with_its_lengths() {
        let v4 = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
        let layers = Layers {
            network: 14,
            version: IpVersion::V4,
            transport: 34,
        };
        let unanswered = |len: usize| Unanswered::of(Frame::new(&mut { MESSAGE }[..len]), layers);
        let expected = Unanswered {
            lac: v4([10, 0, 0, 1]),
            lns: v4([192, 0, 2, 1]),
            ip_version: 4,
            lac_port: 1025,
            length: 13,
            held: 12,
            within: 0,
        };
        assert_eq!(unanswered(54), Some(expected));
        assert_eq!(unanswered(53), None);
        // The same within a session of PPPoE, with a Length that is right.
        let pppoe = [0x88, 0x64, 0x11, 0, 0, 7, 0, 42, 0, 0x21];
        let mut frame = [&MESSAGE[..12], &pppoe, &MESSAGE[14..]].concat();
        frame[53] = 12;
        let within = Unanswered {
            length: 12,
            within: 0x8864,
            ..expected
        };
        let encapsulated = |frame: &mut [u8]| Unanswered::encapsulated(Frame::new(frame));
        assert_eq!(encapsulated(&mut frame), Some(within));
        assert_eq!(encapsulated(&mut { MESSAGE }), None);
    }

    #[test]
    fn it_survives_the_way_through_a_map() {
        let octets: [u8; 48] = core::array::from_fn(|at| at as u8);
        let unanswered = Unanswered::from_octets(&octets).unwrap();
        assert_eq!(
            unanswered.lns[1].to_ne_bytes(),
            [24, 25, 26, 27, 28, 29, 30, 31]
        );
        assert_eq!(unanswered.lac_port.to_ne_bytes(), [34, 35]);
        assert_eq!(unanswered.held.to_ne_bytes(), [38, 39]);
        assert_eq!(
            unanswered.within.to_ne_bytes(),
            [40, 41, 42, 43, 44, 45, 46, 47]
        );
        assert_eq!(Unanswered::from_octets(&octets[..47]), None);
        assert_eq!(size_of::<Unanswered>(), 48);
    }
}
