//! IPv4 (RFC 791).

use super::checksum::Sum;
use crate::frame::{Place, Window};

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Time to live of a packet of ours.
pub const TTL: u8 = 64;

const VERSION_AND_LENGTH: usize = 0;
const TOTAL_LENGTH: usize = 2;
const FRAGMENT: usize = 6;
const TTL_AND_PROTOCOL: usize = 8;
const PROTOCOL: usize = 9;
const CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

const VERSION_4_NO_OPTIONS: u8 = 0x45;
const DO_NOT_FRAGMENT: u8 = 0x40;
/// Time to live and protocol of an answer, in memory order.
const TTL_64_UDP: u16 = u16::from_ne_bytes([TTL, UDP]);
const MORE_FRAGMENTS_OR_OFFSET: u16 = 0x3fff;

/// Whether an address, in memory order, may be that of one host on a network: the source of a
/// packet, or the destination.
///
/// It is not in 0.0.0.0/8 ("this network") and 127.0.0.0/8 (RFC 1122 §3.2.1.3), nor in the classes
/// D and E, for groups, reserved, and for all (RFC 1112 §4).
#[inline(always)]
pub const fn is_of_host(address: u32) -> bool {
    let [first, ..] = address.to_ne_bytes();
    first != 0 && first != 127 && first < 224
}

/// The header up to its options.
#[derive(Clone, Copy)]
pub struct Header<'m>(Window<'m, HEADER_LEN>);

impl<'m> Header<'m> {
    /// The header at `place`, where the frame holds the fixed part of one.
    #[inline(always)]
    pub fn at(place: Place<'m>) -> Option<Self> {
        place.window().map(Self)
    }

    /// Whether it is the header of a whole UDP datagram, without options: what
    /// nearly every header is, asked in two comparisons.
    #[inline(always)]
    pub fn is_plain_udp(self) -> bool {
        const DECISIVE: u32 = (MORE_FRAGMENTS_OR_OFFSET as u32) << 16 | 0xff;
        self.0.octet::<VERSION_AND_LENGTH>() == VERSION_4_NO_OPTIONS
            && self.0.get32::<FRAGMENT>() & DECISIVE.to_be() == u32::from(UDP).to_be()
    }

    /// The version field: 4, or it is no IPv4.
    #[inline(always)]
    pub fn version(self) -> u8 {
        self.0.octet::<VERSION_AND_LENGTH>() >> 4
    }

    /// Octets of the header with its options, as it claims: 0 to 60.
    #[inline(always)]
    pub fn header_len(self) -> u16 {
        u16::from(self.0.octet::<VERSION_AND_LENGTH>() & 0x0f) * 4
    }

    /// The place `octets` behind the beginning of the header.
    #[inline(always)]
    pub fn skip(self, octets: u16) -> Place<'m> {
        self.0.skip(octets)
    }

    /// Octets of the packet, as it claims.
    #[inline(always)]
    pub fn total_len(self) -> u16 {
        self.0.number16::<TOTAL_LENGTH>()
    }

    /// Whether it is only a part of a packet.
    #[inline(always)]
    pub fn is_fragment(self) -> bool {
        self.0.number16::<FRAGMENT>() & MORE_FRAGMENTS_OR_OFFSET != 0
    }

    /// The protocol number of the payload.
    #[inline(always)]
    pub fn protocol(self) -> u8 {
        self.0.octet::<PROTOCOL>()
    }

    /// The time to live that is left.
    #[inline(always)]
    pub fn ttl(self) -> u8 {
        self.0.octet::<TTL_AND_PROTOCOL>()
    }

    /// The source address, in memory order.
    #[inline(always)]
    pub fn source(self) -> u32 {
        self.0.get32::<SOURCE>()
    }

    /// The destination address, in memory order.
    #[inline(always)]
    pub fn destination(self) -> u32 {
        self.0.get32::<DESTINATION>()
    }

    /// The sum over both addresses, the part of the pseudo header that varies.
    #[inline(always)]
    pub fn address_sum(self) -> Sum {
        Sum::ZERO.plus32(self.source()).plus32(self.destination())
    }

    /// Turns the header into that of the answer to it: to where it came from, no
    /// options, TTL 64, DF. `own` is the address that the answer comes from.
    ///
    /// Returns the sum over the addresses of the answer, the part of its pseudo
    /// header that varies.
    #[inline(always)]
    pub fn write_reply(self, head: &ReplyHead, own: u32) -> Sum {
        let peer = self.source();
        let addresses = Sum::ZERO.plus32(own).plus32(peer);
        let sum = head.sum.plus(addresses);
        self.0.set64::<VERSION_AND_LENGTH>(head.first);
        self.0.set16::<TTL_AND_PROTOCOL>(TTL_64_UDP);
        self.0.set16::<CHECKSUM>(sum.checksum());
        self.0.set32::<SOURCE>(own);
        self.0.set32::<DESTINATION>(peer);
        addresses
    }
}

/// What an answer's header says besides the addresses, made once for a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct ReplyHead {
    /// Its first eight octets, in memory order.
    first: u64,
    /// The sum over all of it but the addresses.
    sum: Sum,
}

impl ReplyHead {
    /// That of a packet of `total_len` octets.
    pub const fn new(total_len: u16) -> Self {
        let [high, low] = total_len.to_be_bytes();
        let first =
            u64::from_ne_bytes([VERSION_4_NO_OPTIONS, 0, high, low, 0, 0, DO_NOT_FRAGMENT, 0]);
        let sum = Sum::ZERO.plus64(first).plus16(TTL_64_UDP);
        Self { first, sum }
    }

    /// The same with one more word under the checksum, which makes it wrong.
    #[must_use]
    pub const fn with_sum_offset(self, word: u16) -> Self {
        Self {
            sum: self.sum.plus16(word),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    /// From 10.77.0.1 to 10.77.0.2, UDP, 127 octets, as tcpdump recorded it.
    const BYTES: [u8; 20] = [
        0x45, 0x00, 0x00, 0x7f, 0x38, 0x51, 0x40, 0x00, 0x40, 0x11, 0xed, 0x80, 0x0a, 0x4d, 0x00,
        0x01, 0x0a, 0x4d, 0x00, 0x02,
    ];

    /// The answer to it, of 80 octets.
    const REPLY: [u8; 20] = [
        0x45, 0x00, 0x00, 0x50, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x26, 0x01, 0x0a, 0x4d, 0x00,
        0x02, 0x0a, 0x4d, 0x00, 0x01,
    ];

    #[test]
    fn not_every_address_is_of_a_host() {
        let hosts = |from: u8, to: u8| (from..=to).map(|first| (first, true));
        let others = |from: u8, to: u8| (from..=to).map(|first| (first, false));
        let all = others(0, 0)
            .chain(hosts(1, 126))
            .chain(others(127, 127))
            .chain(hosts(128, 223))
            .chain(others(224, 255));
        for (first, expected) in all {
            for rest in [[0, 0, 0], [0, 0, 1], [0xff; 3]] {
                let [b, c, d] = rest;
                let address = u32::from_ne_bytes([first, b, c, d]);
                assert_eq!(is_of_host(address), expected, "{first} {rest:?}");
            }
        }
    }

    #[test]
    fn deconstruct() {
        let mut bytes = BYTES;
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        assert_eq!(header.version(), 4);
        assert_eq!(header.header_len(), 20);
        assert_eq!(header.total_len(), 127);
        assert_eq!(header.ttl(), 64);
        assert!(!header.is_fragment());
        assert_eq!(header.protocol(), UDP);
        assert_eq!(header.source(), u32::from_ne_bytes([10, 77, 0, 1]));
        assert_eq!(header.destination(), u32::from_ne_bytes([10, 77, 0, 2]));
    }

    #[test]
    fn construct() {
        let mut bytes = BYTES;
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        let own = header.destination();
        header.write_reply(&ReplyHead::new(80), own);
        assert_eq!(bytes, REPLY);
    }

    #[test]
    fn construct_over_dirt() {
        let mut bytes = [0xa5; 20];
        bytes[12..].copy_from_slice(&BYTES[12..]);
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        let own = header.destination();
        header.write_reply(&ReplyHead::new(80), own);
        assert_eq!(bytes, REPLY);
    }

    #[test]
    fn parse_what_was_constructed() {
        let mut bytes = REPLY;
        assert_eq!(Sum::of(&bytes).fold(), 0xffff);
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        assert_eq!((header.version(), header.header_len()), (4, 20));
        assert_eq!(header.total_len(), 80);
    }

    #[test]
    fn a_plain_header_is_of_version_4_without_options_before_udp() {
        for (at, octet, expected) in [
            (8, 1, true),
            (0, 0x46, false),
            (0, 0x44, false),
            (0, 0x55, false),
            (9, 6, false),
        ] {
            let mut bytes = BYTES;
            bytes[at] = octet;
            let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
            assert_eq!(header.is_plain_udp(), expected, "{octet:#04x} at {at}");
        }
    }

    #[test]
    fn every_part_of_a_fragmented_packet_is_a_fragment() {
        for (flags, expected) in [
            (0x0000u16, false),
            (0x4000, false),
            (0x8000, false),
            (0x2000, true),
            (0x0001, true),
            (0x1fff, true),
        ] {
            let mut bytes = BYTES;
            bytes[6..8].copy_from_slice(&flags.to_be_bytes());
            let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
            assert_eq!(header.is_fragment(), expected, "{flags:#06x}");
            assert_eq!(header.is_plain_udp(), !expected, "{flags:#06x}");
        }
    }
}
