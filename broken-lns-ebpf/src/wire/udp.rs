//! UDP (RFC 768).

use super::checksum::Sum;
use super::ipv4;
use crate::frame::{Place, Window};

/// Octets of the header.
pub const HEADER_LEN: usize = 8;

/// The sum over the pseudo header without the addresses: protocol and length.
///
/// It is one for IPv4 (RFC 768) and IPv6 (RFC 8200 §8.1), whose pseudo headers
/// differ in the width of fields that hold the same numbers.
#[inline(always)]
pub const fn pseudo_sum(length: u16) -> Sum {
    Sum::ZERO
        .plus16((ipv4::UDP as u16).to_be())
        .plus16(length.to_be())
}

const SOURCE_PORT: usize = 0;
const DESTINATION_PORT: usize = 2;
const LENGTH: usize = 4;
const CHECKSUM: usize = 6;

/// A header with 0 for the destination port and the checksum.
pub const fn header(source_port: u16, length: u16) -> [u8; HEADER_LEN] {
    let ([a, b], [c, d]) = (source_port.to_be_bytes(), length.to_be_bytes());
    [a, b, 0, 0, c, d, 0, 0]
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

    /// The port it was sent from.
    #[inline(always)]
    pub fn source_port(self) -> u16 {
        self.0.number16::<SOURCE_PORT>()
    }

    /// The port it is sent to.
    #[inline(always)]
    pub fn destination_port(self) -> u16 {
        self.0.number16::<DESTINATION_PORT>()
    }

    /// Octets of header and payload, as the header claims.
    #[inline(always)]
    pub fn len(self) -> u16 {
        self.0.number16::<LENGTH>()
    }

    /// Where the payload begins.
    #[inline(always)]
    pub fn payload(self) -> Place<'m> {
        self.0.skip(HEADER_LEN as u16)
    }

    /// Where the datagram ends, as the header claims.
    #[inline(always)]
    pub fn end(self) -> Place<'m> {
        self.0.skip(self.len())
    }

    /// Whether it claims to be without even a header.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The checksum in memory order; 0 where the sender made none.
    #[inline(always)]
    pub fn checksum(self) -> u16 {
        self.0.get16::<CHECKSUM>()
    }

    /// Writes what [`header`] leaves open; `checksum` is in memory order.
    #[inline(always)]
    pub fn address(self, destination_port: u16, checksum: u16) {
        self.0.set_number16::<DESTINATION_PORT>(destination_port);
        self.0.set16::<CHECKSUM>(checksum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    const BYTES: [u8; 8] = [0xc0, 0x01, 0x06, 0xa5, 0x00, 0x6b, 0x12, 0x34];

    #[test]
    fn deconstruct() {
        let mut bytes = BYTES;
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        assert_eq!(header.source_port(), 49153);
        assert_eq!(header.destination_port(), 1701);
        assert_eq!(header.len(), 107);
        assert!(!header.is_empty());
        assert_eq!(header.checksum().to_be(), 0x1234);
    }

    #[test]
    fn construct() {
        let mut bytes = header(49153, 107);
        assert_eq!(bytes, [0xc0, 0x01, 0, 0, 0x00, 0x6b, 0, 0]);
        let header = Header::at(Frame::new(&mut bytes).place(0)).unwrap();
        header.address(1701, 0x1234u16.to_be());
        assert_eq!(bytes, BYTES);
    }

    #[test]
    fn parse_at_an_offset() {
        let mut bytes = [0; 11];
        bytes[3..].copy_from_slice(&BYTES);
        let frame = Frame::new(&mut bytes);
        assert_eq!(Header::at(frame.place(3)).unwrap().destination_port(), 1701);
        assert!(Header::at(frame.place(4)).is_none());
    }
}
