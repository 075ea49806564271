//! IPv4 (RFC 791).

use super::checksum::Sum;
use crate::frame::{Frame, Window};

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;
/// Protocol number of UDP.
pub const UDP: u8 = 17;
/// Time to live of a packet of ours.
pub const TTL: u8 = 64;

const VERSION_AND_LENGTH: usize = 0;
const TOTAL_LENGTH: usize = 2;
const IDENTIFICATION: usize = 4;
const FRAGMENT: usize = 6;
const TTL_AND_PROTOCOL: usize = 8;
const PROTOCOL: usize = 9;
const CHECKSUM: usize = 10;
const SOURCE: usize = 12;
const DESTINATION: usize = 16;

const VERSION_4_NO_OPTIONS: u16 = 0x4500;
const DO_NOT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS_OR_OFFSET: u16 = 0x3fff;

/// The header up to its options.
#[derive(Clone, Copy)]
pub struct Header<'m>(Window<'m, HEADER_LEN>);

impl<'m> Header<'m> {
    /// The header at `offset`, where the frame holds the fixed part of one.
    #[inline(always)]
    pub fn at(frame: Frame<'m>, offset: usize) -> Option<Self> {
        frame.window(offset).map(Self)
    }

    /// The version field: 4, or it is no IPv4.
    #[inline(always)]
    pub fn version(self) -> u8 {
        self.0.octet::<VERSION_AND_LENGTH>() >> 4
    }

    /// Octets of the header with its options, as it claims: 0 to 60.
    #[inline(always)]
    pub fn header_len(self) -> usize {
        usize::from(self.0.octet::<VERSION_AND_LENGTH>() & 0x0f) * 4
    }

    /// Octets of the packet, as it claims.
    #[inline(always)]
    pub fn total_len(self) -> usize {
        usize::from(self.0.number16::<TOTAL_LENGTH>())
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

    /// Turns the header into that of the answer to it: addresses swapped, no
    /// options, TTL 64, DF.
    ///
    /// `constant` is [`constant_sum`] of the same `total_len`.
    #[inline(always)]
    pub fn write_reply(self, total_len: u16, constant: Sum) {
        let (source, destination) = (self.source(), self.destination());
        self.0
            .set_number16::<VERSION_AND_LENGTH>(VERSION_4_NO_OPTIONS);
        self.0.set_number16::<TOTAL_LENGTH>(total_len);
        self.0.set_number16::<IDENTIFICATION>(0);
        self.0.set_number16::<FRAGMENT>(DO_NOT_FRAGMENT);
        self.0
            .set_number16::<TTL_AND_PROTOCOL>(ttl_and_protocol(TTL, UDP));
        self.0
            .set16::<CHECKSUM>(constant.plus32(source).plus32(destination).checksum());
        self.0.set32::<SOURCE>(destination);
        self.0.set32::<DESTINATION>(source);
    }
}

const fn ttl_and_protocol(ttl: u8, protocol: u8) -> u16 {
    u16::from_be_bytes([ttl, protocol])
}

/// The sum over all of an answer's header but the addresses.
pub const fn constant_sum(total_len: u16) -> Sum {
    Sum::ZERO
        .plus16(VERSION_4_NO_OPTIONS.to_be())
        .plus16(total_len.to_be())
        .plus16(DO_NOT_FRAGMENT.to_be())
        .plus16(ttl_and_protocol(TTL, UDP).to_be())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn deconstruct() {
        let mut bytes = BYTES;
        let header = Header::at(Frame::new(&mut bytes), 0).unwrap();
        assert_eq!(header.version(), 4);
        assert_eq!(header.header_len(), 20);
        assert_eq!(header.total_len(), 127);
        assert!(!header.is_fragment());
        assert_eq!(header.protocol(), UDP);
        assert_eq!(header.source(), u32::from_ne_bytes([10, 77, 0, 1]));
        assert_eq!(header.destination(), u32::from_ne_bytes([10, 77, 0, 2]));
    }

    #[test]
    fn construct() {
        let mut bytes = BYTES;
        let header = Header::at(Frame::new(&mut bytes), 0).unwrap();
        header.write_reply(80, constant_sum(80));
        assert_eq!(bytes, REPLY);
    }

    #[test]
    fn construct_over_dirt() {
        let mut bytes = [0xa5; 20];
        bytes[12..].copy_from_slice(&BYTES[12..]);
        let header = Header::at(Frame::new(&mut bytes), 0).unwrap();
        header.write_reply(80, constant_sum(80));
        assert_eq!(bytes, REPLY);
    }

    #[test]
    fn parse_what_was_constructed() {
        let mut bytes = REPLY;
        assert_eq!(Sum::of(&bytes).fold(), 0xffff);
        let header = Header::at(Frame::new(&mut bytes), 0).unwrap();
        assert_eq!((header.version(), header.header_len()), (4, 20));
        assert_eq!(header.total_len(), 80);
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
            let header = Header::at(Frame::new(&mut bytes), 0).unwrap();
            assert_eq!(header.is_fragment(), expected, "{flags:#06x}");
        }
    }
}
