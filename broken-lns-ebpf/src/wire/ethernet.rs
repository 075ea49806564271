//! Ethernet II, with up to two VLAN tags (IEEE 802.1Q, 802.1ad, and what came before it).

use crate::frame::{Frame, Place, Window};
use crate::verifier::pin;

/// Octets of a header without a tag.
pub const HEADER_LEN: usize = 14;
/// Octets of one VLAN tag.
pub const TAG_LEN: usize = 4;
/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;
/// EtherType of an 802.1Q tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of an 802.1ad service tag, the outer one of QinQ.
pub const SERVICE_VLAN: u16 = 0x88a8;
/// EtherTypes of an outer tag from before 802.1ad, which switches can still be told to use.
pub const OLD_SERVICE_VLANS: [u16; 2] = [0x9100, 0x9200];

/// EtherType of a session's frame of PPPoE (RFC 2516).
pub const PPPOE_SESSION: u16 = 0x8864;
/// EtherType of MPLS with a label of the receiver's (RFC 3032, RFC 5332).
pub const MPLS: u16 = 0x8847;
/// EtherType of MPLS with a label of the sender's.
pub const MPLS_MULTICAST: u16 = 0x8848;

const DESTINATION: usize = 0;
const SOURCE: usize = 6;
const ETHERTYPE: usize = 12;

/// Whether an EtherType is that of a VLAN tag.
///
/// It is where one of its differences to these is 0, and so their product: they are less than
/// 2^16, so that a product of four that is not 0 is none modulo 2^64 either. One comparison with
/// a number of which nothing is known leaves the verifier one way in and one way past a tag,
/// where it would walk the rest of the program for each EtherType.
#[inline(always)]
pub fn is_tag(ethertype: u16) -> bool {
    let [old, older] = OLD_SERVICE_VLANS;
    let difference = |tag: u16| usize::from(ethertype).wrapping_sub(tag.into());
    let product = difference(VLAN)
        .wrapping_mul(difference(SERVICE_VLAN))
        .wrapping_mul(difference(old).wrapping_mul(difference(older)));
    pin(product) == 0
}

/// A MAC address as the two words in which it is moved and compared, in memory order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddress {
    /// The first four octets.
    pub head: u32,
    /// The last two octets.
    pub tail: u16,
}

impl MacAddress {
    /// The address of these six octets.
    pub const fn new([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self {
            head: u32::from_ne_bytes([a, b, c, d]),
            tail: u16::from_ne_bytes([e, f]),
        }
    }

    /// The address as one word for a global, its octets in memory order, two zeros behind them.
    pub const fn to_word(self) -> u64 {
        let ([a, b, c, d], [e, f]) = (self.head.to_ne_bytes(), self.tail.to_ne_bytes());
        u64::from_ne_bytes([a, b, c, d, e, f, 0, 0])
    }

    /// The address in such a word.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        let [a, b, c, d, e, f, _, _] = word.to_ne_bytes();
        Self::new([a, b, c, d, e, f])
    }

    /// Whether it is a multicast or the broadcast address.
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        self.head & u32::from_ne_bytes([1, 0, 0, 0]) != 0
    }
}

/// The header in front of any tag.
#[derive(Clone, Copy)]
pub struct Header<'m>(Window<'m, HEADER_LEN>);

impl<'m> Header<'m> {
    /// The header of `frame`, where it is long enough for one.
    #[inline(always)]
    pub fn of(frame: Frame<'m>) -> Option<Self> {
        frame.window(0).map(Self)
    }

    /// Where the frame goes.
    #[inline(always)]
    pub fn destination(self) -> MacAddress {
        MacAddress {
            head: self.0.get32::<DESTINATION>(),
            tail: self.0.get16::<{ DESTINATION + 4 }>(),
        }
    }

    /// Where the frame comes from.
    #[inline(always)]
    pub fn source(self) -> MacAddress {
        MacAddress {
            head: self.0.get32::<SOURCE>(),
            tail: self.0.get16::<{ SOURCE + 4 }>(),
        }
    }

    /// EtherType of what follows: a tag or the network layer.
    #[inline(always)]
    pub fn ethertype(self) -> u16 {
        self.0.number16::<ETHERTYPE>()
    }

    /// Sends the frame back where it came from.
    #[inline(always)]
    pub fn swap_addresses(self) {
        let (destination, source) = (self.destination(), self.source());
        self.0.set32::<DESTINATION>(source.head);
        self.0.set16::<{ DESTINATION + 4 }>(source.tail);
        self.0.set32::<SOURCE>(destination.head);
        self.0.set16::<{ SOURCE + 4 }>(destination.tail);
    }
}

/// The network layer behind the header and its tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'m> {
    /// EtherType of the payload.
    pub ethertype: u16,
    /// How far into the frame it begins: 14, 18 or 22 octets.
    pub offset: u16,
    /// Where that is.
    pub place: Place<'m>,
}

/// Looks behind the header and up to two tags, or `None` where the frame ends too early.
///
/// A third tag is left for the caller to find as the payload's EtherType.
#[inline(always)]
pub fn payload(frame: Frame<'_>) -> Option<Payload<'_>> {
    let header = Header::of(frame)?;
    let mut payload = Payload {
        ethertype: header.ethertype(),
        offset: HEADER_LEN as u16,
        place: header.0.skip(HEADER_LEN as u16),
    };
    for _ in 0..2 {
        if !is_tag(payload.ethertype) {
            break;
        }
        let tag = payload.place.window::<TAG_LEN>()?;
        payload = Payload {
            ethertype: tag.number16::<2>(),
            offset: payload.offset + TAG_LEN as u16,
            place: tag.skip(TAG_LEN as u16),
        };
    }
    Some(payload)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const BYTES: [u8; 22] = [
        0x02, 0x00, 0x00, 0x00, 0x00, 0x01, // destination
        0x02, 0x00, 0x00, 0x00, 0x00, 0x02, // source
        0x88, 0xa8, 0x00, 0x64, // service tag, VLAN 100
        0x81, 0x00, 0x20, 0xc8, // tag, priority 1, VLAN 200
        0x08, 0x00, // IPv4
    ];

    #[test]
    fn deconstruct() {
        let mut bytes = BYTES;
        let header = Header::of(Frame::new(&mut bytes)).unwrap();
        assert_eq!(header.destination(), MacAddress::new([2, 0, 0, 0, 0, 1]));
        assert_eq!(header.source(), MacAddress::new([2, 0, 0, 0, 0, 2]));
        assert_eq!(header.ethertype(), SERVICE_VLAN);
    }

    #[test]
    fn construct() {
        let mut bytes = BYTES;
        Header::of(Frame::new(&mut bytes)).unwrap().swap_addresses();
        assert_eq!(bytes[..12], [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]);
        assert_eq!(bytes[12..], BYTES[12..]);
    }

    #[test]
    fn parse() {
        for (tags, from, expected) in [
            ("none", &BYTES[20..], (IPV4, 14)),
            ("one", &BYTES[16..], (IPV4, 18)),
            ("two", &BYTES[12..], (IPV4, 22)),
        ] {
            let mut bytes = [0; 22];
            let length = 12 + from.len();
            bytes[12..length].copy_from_slice(from);
            let payload = payload(Frame::new(&mut bytes[..length])).unwrap();
            assert_eq!((payload.ethertype, payload.offset), expected, "{tags}");
        }
    }

    #[test]
    fn four_ethertypes_are_those_of_tags() {
        let tags: Vec<u16> = (0..=u16::MAX)
            .filter(|ethertype| is_tag(*ethertype))
            .collect();
        assert_eq!(tags, [0x8100, 0x88a8, 0x9100, 0x9200]);
    }

    #[test]
    fn a_third_tag_is_a_payload() {
        let mut bytes = [0; 26];
        bytes[12..16].copy_from_slice(&[0x81, 0, 0, 1]);
        bytes[16..20].copy_from_slice(&[0x81, 0, 0, 2]);
        bytes[20..24].copy_from_slice(&[0x81, 0, 0, 3]);
        let payload = payload(Frame::new(&mut bytes)).unwrap();
        assert_eq!((payload.ethertype, payload.offset), (VLAN, 22));
    }

    #[test]
    fn a_frame_may_end_in_a_tag() {
        for length in 0..BYTES.len() {
            let mut bytes = BYTES;
            let frame = Frame::new(&mut bytes[..length]);
            assert_eq!(payload(frame), None, "{length} octets");
        }
    }

    #[test]
    fn an_address_survives_the_way_through_a_global() {
        let address = MacAddress::new([1, 2, 3, 4, 5, 6]);
        assert_eq!(address.to_word().to_ne_bytes(), [1, 2, 3, 4, 5, 6, 0, 0]);
        assert_eq!(MacAddress::from_word(address.to_word()), address);
    }

    #[test]
    fn group_addresses_are_known() {
        assert!(MacAddress::new([0xff; 6]).is_group());
        assert!(MacAddress::new([0x33, 0x33, 0, 0, 0, 1]).is_group());
        assert!(!MacAddress::new([0x02, 0, 0, 0, 0, 1]).is_group());
    }
}
