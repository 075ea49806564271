//! Writes the ICMP or ICMPv6 destination-unreachable that answers a request.
//!
//! It quotes the request as far as the message may reach: up to 576 octets over
//! IPv4 (RFC 1812 §4.3.2.3), up to the 1,280 of the smallest MTU over IPv6
//! (RFC 4443 §3.1). The frame goes back like every reply: MAC addresses swapped,
//! VLAN tags kept.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use broken_lns_ebpf::layers::IpVersion;
use broken_lns_ebpf::sccrq::Sccrq;
use broken_lns_ebpf::wire::checksum::Sum;
use broken_lns_ebpf::wire::{ipv4, ipv6};

use crate::scenario::fault::UnreachableCode;

/// Octets of a MAC address.
const MAC_LEN: usize = 6;
/// Octets of an ICMP or ICMPv6 header with the 32 bits that are unused here.
const ICMP_HEADER_LEN: usize = 8;
/// Where the checksum stands in that header.
const ICMP_CHECKSUM: usize = 2;

/// The most octets of an IPv4 packet with an ICMP error in it, and of an IPv6 one.
const IPV4_PACKET_MAX: usize = 576;
const IPV6_PACKET_MAX: usize = 1280;

/// Protocol number of ICMP, and Next Header value of ICMPv6.
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
/// The type of a destination-unreachable in either protocol.
const ICMP_UNREACHABLE: u8 = 3;
const ICMPV6_UNREACHABLE: u8 = 1;

/// Precedence 6, internetwork control, which ICMP errors have (RFC 1812 §4.3.2.5).
const INTERNETWORK_CONTROL: u8 = 0xc0;

/// Where the checksum and the addresses stand in an IP header.
const IPV4_CHECKSUM: usize = 10;
const IPV4_SOURCE: usize = 12;
const IPV4_DESTINATION: usize = 16;
const IPV6_SOURCE: usize = 8;
const IPV6_DESTINATION: usize = 24;

/// The message that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// What cannot be reached.
    pub code: UnreachableCode,
    /// The sender, instead of the LNS; that one is it after all where the
    /// request is of another family.
    pub from_address: Option<IpAddr>,
}

/// Why nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreachableError {
    /// The request is shorter than its headers say.
    #[error("the request is shorter than its headers say")]
    Truncated,

    /// The buffer cannot hold the message.
    #[error("the buffer has no room for the message")]
    NoRoom,

    /// Nobody may answer such a request with an ICMP error (RFC 1122 §3.2.2, RFC 4443 §2.4).
    #[error("the request is not from one host to one address")]
    NotUnicast,
}

impl Unreachable {
    /// Writes the frame that answers `request` into `frame`, and returns its length in octets.
    ///
    /// `sccrq` is what was parsed from `request`.
    ///
    /// # Errors
    ///
    /// [`UnreachableError`]; `frame` may be partly written then.
    pub fn write(
        &self,
        request: &[u8],
        sccrq: &Sccrq,
        frame: &mut [u8],
    ) -> Result<usize, UnreachableError> {
        self.write_quoting(request, sccrq, frame, Quote::Whole)
    }

    /// The same for a request of which only the beginning was kept: no more than that
    /// is quoted. It has to reach beyond the UDP header (RFC 792).
    ///
    /// # Errors
    ///
    /// As for the whole request.
    pub fn write_for_beginning(
        &self,
        beginning: &[u8],
        sccrq: &Sccrq,
        frame: &mut [u8],
    ) -> Result<usize, UnreachableError> {
        self.write_quoting(beginning, sccrq, frame, Quote::Beginning)
    }

    fn write_quoting(
        &self,
        request: &[u8],
        sccrq: &Sccrq,
        frame: &mut [u8],
        quoted: Quote,
    ) -> Result<usize, UnreachableError> {
        let network = usize::from(sccrq.network);
        let link = request.get(..network);
        let link = link.ok_or(UnreachableError::Truncated)?;
        let packet = request.get(network..);
        let packet = packet.ok_or(UnreachableError::Truncated)?;
        let mut frame = Writer::new(frame);
        let (destination, behind) = link
            .split_at_checked(MAC_LEN)
            .ok_or(UnreachableError::Truncated)?;
        let (source, behind) = behind
            .split_at_checked(MAC_LEN)
            .ok_or(UnreachableError::Truncated)?;
        frame.put(&[source, destination, behind])?;
        match sccrq.version {
            IpVersion::V4 => self.write_v4(packet, &mut frame, quoted)?,
            IpVersion::V6 => self.write_v6(packet, &mut frame, quoted)?,
        }
        Ok(frame.len)
    }

    fn write_v4(
        &self,
        packet: &[u8],
        frame: &mut Writer<'_>,
        quoted: Quote,
    ) -> Result<(), UnreachableError> {
        let (lac, lns) = (
            Ipv4Addr::from(octets(packet, IPV4_SOURCE)?),
            Ipv4Addr::from(octets(packet, IPV4_DESTINATION)?),
        );
        let is_group = |address: Ipv4Addr| address.is_multicast() || address.is_broadcast();
        if lac.is_unspecified() || is_group(lac) || is_group(lns) {
            return Err(UnreachableError::NotUnicast);
        }
        let source = match self.from_address {
            Some(IpAddr::V4(from_address)) => from_address,
            _ => lns,
        };
        let claimed = octets(packet, 2).map(u16::from_be_bytes)?;
        let room = IPV4_PACKET_MAX - ipv4::HEADER_LEN - ICMP_HEADER_LEN;
        let quote = quoted.of(packet, usize::from(claimed), room)?;
        let total_len = (ipv4::HEADER_LEN + ICMP_HEADER_LEN + quote.len()) as u16;

        let mut header = [0; ipv4::HEADER_LEN];
        let mut fields = Writer::new(&mut header);
        fields.put(&[
            &[0x45, INTERNETWORK_CONTROL],
            &total_len.to_be_bytes(),
            // No identification, for DF is set (RFC 6864 §4.1).
            &[0, 0, 0x40, 0],
            &[ipv4::TTL, ICMP],
            // The checksum, until it is known.
            &[0, 0],
            &source.octets(),
            &lac.octets(),
        ])?;
        let sum = Sum::of(&header);
        set(&mut header, IPV4_CHECKSUM, sum.checksum())?;

        let mut icmp = [ICMP_UNREACHABLE, self.code.icmp(), 0, 0, 0, 0, 0, 0];
        let sum = Sum::of(&icmp).plus(Sum::of(quote));
        set(&mut icmp, ICMP_CHECKSUM, sum.checksum())?;
        frame.put(&[&header, &icmp, quote])
    }

    fn write_v6(
        &self,
        packet: &[u8],
        frame: &mut Writer<'_>,
        quoted: Quote,
    ) -> Result<(), UnreachableError> {
        let (lac, lns) = (
            Ipv6Addr::from(octets(packet, IPV6_SOURCE)?),
            Ipv6Addr::from(octets(packet, IPV6_DESTINATION)?),
        );
        if lac.is_unspecified() || lac.is_multicast() || lns.is_multicast() {
            return Err(UnreachableError::NotUnicast);
        }
        let source = match self.from_address {
            Some(IpAddr::V6(from_address)) => from_address,
            _ => lns,
        };
        let claimed = octets(packet, 4).map(u16::from_be_bytes)?;
        let room = IPV6_PACKET_MAX - ipv6::HEADER_LEN - ICMP_HEADER_LEN;
        let quote = quoted.of(packet, ipv6::HEADER_LEN + usize::from(claimed), room)?;
        let payload_len = ((ICMP_HEADER_LEN + quote.len()) as u16).to_be_bytes();

        let (source, lac) = (source.octets(), lac.octets());
        let mut icmp = [ICMPV6_UNREACHABLE, self.code.icmpv6(), 0, 0, 0, 0, 0, 0];
        // The checksum is over a pseudo header, too (RFC 4443 §2.3).
        let pseudo_header = Sum::of(&source)
            .plus(Sum::of(&lac))
            .plus(Sum::of(&payload_len))
            .plus(Sum::of(&[0, ICMPV6]));
        let sum = pseudo_header.plus(Sum::of(&icmp)).plus(Sum::of(quote));
        set(&mut icmp, ICMP_CHECKSUM, sum.checksum())?;
        frame.put(&[
            &[0x60, 0, 0, 0],
            &payload_len,
            &[ICMPV6, ipv6::HOP_LIMIT],
            &source,
            &lac,
            &icmp,
            quote,
        ])
    }
}

/// What there is of a packet to quote.
#[derive(Clone, Copy)]
enum Quote {
    /// All of it.
    Whole,
    /// Its beginning.
    Beginning,
}

impl Quote {
    /// What of the packet is quoted: as much as there is room for, without what the
    /// link has put behind it.
    fn of(self, packet: &[u8], len: usize, room: usize) -> Result<&[u8], UnreachableError> {
        let len = match self {
            Self::Whole => len,
            Self::Beginning => len.min(packet.len()),
        };
        let packet = packet.get(..len).ok_or(UnreachableError::Truncated)?;
        Ok(packet.get(..room).unwrap_or(packet))
    }
}

/// The octets at a place of the packet.
fn octets<const N: usize>(packet: &[u8], at: usize) -> Result<[u8; N], UnreachableError> {
    let octets = packet.get(at..).and_then(|rest| rest.first_chunk());
    octets.copied().ok_or(UnreachableError::Truncated)
}

/// Puts a checksum, which is in memory order, at a place of a header.
fn set(header: &mut [u8], at: usize, checksum: u16) -> Result<(), UnreachableError> {
    let place = header.get_mut(at..).and_then(|rest| rest.first_chunk_mut());
    let place = place.ok_or(UnreachableError::NoRoom)?;
    *place = checksum.to_ne_bytes();
    Ok(())
}

/// A buffer that is filled from its start.
struct Writer<'b> {
    rest: &'b mut [u8],
    /// The octets that were written.
    len: usize,
}

impl<'b> Writer<'b> {
    fn new(buffer: &'b mut [u8]) -> Self {
        Self {
            rest: buffer,
            len: 0,
        }
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<(), UnreachableError> {
        for part in parts {
            let rest = std::mem::take(&mut self.rest);
            let room = rest.split_at_mut_checked(part.len());
            let (place, rest) = room.ok_or(UnreachableError::NoRoom)?;
            place.copy_from_slice(part);
            self.rest = rest;
            self.len += part.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
