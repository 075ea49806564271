//! IPv6 (RFC 8200), without extension headers.

use super::checksum::Sum;
use crate::frame::{Place, Window};

/// Octets of the header.
pub const HEADER_LEN: usize = 40;
/// Next Header value of UDP.
pub const UDP: u8 = super::ipv4::UDP;
/// Next Header value of the fragment header (RFC 8200 §4.5).
pub const FRAGMENT: u8 = 44;
/// Octets of the fragment header.
pub const FRAGMENT_HEADER_LEN: usize = 8;
/// Hop limit of a packet of ours.
pub const HOP_LIMIT: u8 = super::ipv4::TTL;

const VERSION: usize = 0;
const PAYLOAD_LENGTH: usize = 4;
const NEXT_HEADER: usize = 6;
const HOP_LIMIT_LEFT: usize = 7;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

const VERSION_6: u32 = 0x6000_0000;

/// An address as two words, in memory order.
pub type Address = [u64; 2];

/// Whether an address may be that of one host on a network: the source of a packet, or the
/// destination.
///
/// It is not in ff00::/8, the groups, nor in ::/64, which holds the unspecified address, that of
/// the loopback, and those that stand for IPv4 within a host (RFC 4291 §2.5.2, §2.5.3, §2.5.5,
/// §2.7).
#[inline(always)]
pub const fn is_of_host(address: Address) -> bool {
    let [first, ..] = address[0].to_ne_bytes();
    address[0] != 0 && first != 0xff
}

/// The header.
#[derive(Clone, Copy)]
pub struct Header<'m>(Window<'m, HEADER_LEN>);

impl<'m> Header<'m> {
    /// The header at `place`, where the frame holds one.
    #[inline(always)]
    pub fn at(place: Place<'m>) -> Option<Self> {
        place.window().map(Self)
    }

    /// The version field: 6, or it is no IPv6.
    #[inline(always)]
    pub fn version(self) -> u8 {
        self.0.octet::<VERSION>() >> 4
    }

    /// Octets behind the header, as it claims.
    #[inline(always)]
    pub fn payload_len(self) -> u16 {
        self.0.number16::<PAYLOAD_LENGTH>()
    }

    /// Where the header ends.
    #[inline(always)]
    pub fn end(self) -> Place<'m> {
        self.0.skip(HEADER_LEN as u16)
    }

    /// What follows the header.
    #[inline(always)]
    pub fn next_header(self) -> u8 {
        self.0.octet::<NEXT_HEADER>()
    }

    /// The hop limit that is left.
    #[inline(always)]
    pub fn hop_limit(self) -> u8 {
        self.0.octet::<HOP_LIMIT_LEFT>()
    }

    /// The source address.
    #[inline(always)]
    pub fn source(self) -> Address {
        [self.0.get64::<SOURCE>(), self.0.get64::<{ SOURCE + 8 }>()]
    }

    /// The destination address.
    #[inline(always)]
    pub fn destination(self) -> Address {
        [
            self.0.get64::<DESTINATION>(),
            self.0.get64::<{ DESTINATION + 8 }>(),
        ]
    }

    /// The sum over both addresses, the part of the pseudo header that varies.
    #[inline(always)]
    pub fn address_sum(self) -> Sum {
        let (source, destination) = (self.source(), self.destination());
        Sum::ZERO
            .plus64(source[0])
            .plus64(source[1])
            .plus64(destination[0])
            .plus64(destination[1])
    }

    /// Turns the header into that of the answer to it: to where it came from, hop
    /// limit 64. `own` is the address that the answer comes from.
    ///
    /// Returns the sum over the addresses of the answer, the part of its pseudo
    /// header that varies.
    #[inline(always)]
    pub fn write_reply(self, payload_len: u16, own: Address) -> Sum {
        let peer = self.source();
        self.0.set_number32::<VERSION>(VERSION_6);
        self.0.set_number16::<PAYLOAD_LENGTH>(payload_len);
        self.0
            .set_number16::<NEXT_HEADER>(u16::from_be_bytes([UDP, HOP_LIMIT]));
        self.0.set64::<SOURCE>(own[0]);
        self.0.set64::<{ SOURCE + 8 }>(own[1]);
        self.0.set64::<DESTINATION>(peer[0]);
        self.0.set64::<{ DESTINATION + 8 }>(peer[1]);
        Sum::ZERO
            .plus64(own[0])
            .plus64(own[1])
            .plus64(peer[0])
            .plus64(peer[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    /// From 2001:db8::1 to 2001:db8:1::2, UDP, 107 octets, with a traffic class and a flow label.
    const BYTES: [u8; 40] = [
        0x6a, 0x12, 0x34, 0x56, 0x00, 0x6b, 0x11, 0x3f, // fixed part
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
        0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // destination
    ];

    /// The answer to it, with 60 octets of payload.
    const REPLY: [u8; 40] = [
        0x60, 0x00, 0x00, 0x00, 0x00, 0x3c, 0x11, 0x40, // fixed part
        0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // source
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // destination
    ];

    fn address(bytes: &[u8]) -> Address {
        [
            u64::from_ne_bytes(bytes[..8].try_into().unwrap()),
            u64::from_ne_bytes(bytes[8..].try_into().unwrap()),
        ]
    }

    #[test]
    fn not_every_address_is_of_a_host() {
        for (text, expected) in [
            ("::", false),
            ("::1", false),
            ("::10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
            ("::ffff:ffff:ffff:ffff", false),
            ("0:0:0:1::", true),
            ("64:ff9b::10.0.0.1", true),
            ("2001:db8::1", true),
            ("fe80::1", true),
            ("feff:ffff::", true),
            ("ff00::", false),
            ("ff02::1", false),
            ("ffff::", false),
        ] {
            let address: core::net::Ipv6Addr = text.parse().unwrap();
            let octets = address.octets();
            let word = |at| u64::from_ne_bytes(*octets[at..].first_chunk().unwrap());
            assert_eq!(is_of_host([word(0), word(8)]), expected, "{text}");
        }
    }

    #[test]
    fn deconstruct() {
        let mut bytes = BYTES;
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        assert_eq!(header.version(), 6);
        assert_eq!(header.payload_len(), 107);
        assert_eq!(header.next_header(), UDP);
        assert_eq!(header.hop_limit(), 63);
        assert_eq!(header.source(), address(&BYTES[8..24]));
        assert_eq!(header.destination(), address(&BYTES[24..]));
        assert_eq!(header.address_sum().fold(), Sum::of(&BYTES[8..]).fold());
    }

    #[test]
    fn construct() {
        let mut bytes = BYTES;
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        header.write_reply(60, header.destination());
        assert_eq!(bytes, REPLY);
    }

    #[test]
    fn construct_over_dirt() {
        let mut bytes = [0xa5; 40];
        bytes[8..].copy_from_slice(&BYTES[8..]);
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        header.write_reply(60, header.destination());
        assert_eq!(bytes, REPLY);
    }

    #[test]
    fn parse_what_was_constructed() {
        let mut bytes = REPLY;
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        assert_eq!((header.version(), header.payload_len()), (6, 60));
        assert_eq!(header.source(), address(&BYTES[24..]));
    }
}
