//! IP packets that the lab's own sockets would not send: options, odd headers, fragments, ICMP.

use std::net::Ipv4Addr;

use xtask::lab::{Datagram, Tag};

/// Where the network layer begins behind `tags`.
fn network(tags: &[Tag]) -> usize {
    14 + 4 * tags.len()
}

/// The frame of `datagram` with its IPv4 header edited. Its length fields and its checksum are
/// made to fit afterwards; an edit may append options.
pub(crate) fn with_ipv4_header(datagram: &Datagram, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let frame = datagram.frame();
    let start = network(&datagram.tags);
    let (front, packet) = frame.split_at(start);
    let (header, content) = packet.split_at(20);
    [front, &ipv4_header(header, content.len(), edit), content].concat()
}

/// The frames of `datagram` in two IPv4 fragments, of which the first has `first` octets.
pub(crate) fn ipv4_fragments(datagram: &Datagram, first: usize) -> [Vec<u8>; 2] {
    let frame = datagram.frame();
    let (front, packet) = frame.split_at(network(&datagram.tags));
    let (header, content) = packet.split_at(20);
    let (head, tail) = content.split_at(first);
    let fragment = |offset: usize, more: bool, part: &[u8]| {
        let header = ipv4_header(header, part.len(), |header| {
            header[4..6].copy_from_slice(&0x1234_u16.to_be_bytes());
            let flags = u16::from(more) << 13 | (offset / 8) as u16;
            header[6..8].copy_from_slice(&flags.to_be_bytes());
        });
        [front, &header, part].concat()
    };
    [fragment(0, true, head), fragment(first, false, tail)]
}

/// The frames of `datagram` in two IPv6 fragments, of which the first has `first` octets.
pub(crate) fn ipv6_fragments(datagram: &Datagram, first: usize) -> [Vec<u8>; 2] {
    const FRAGMENT: u8 = 44;
    let frame = datagram.frame();
    let (front, packet) = frame.split_at(network(&datagram.tags));
    let (header, content) = packet.split_at(40);
    let (head, tail) = content.split_at(first);
    let fragment = |offset: usize, more: bool, part: &[u8]| {
        let mut outer = header.to_vec();
        outer[4..6].copy_from_slice(&(8 + part.len() as u16).to_be_bytes());
        outer[6] = FRAGMENT;
        let place = offset as u16 | u16::from(more);
        let mut inner = vec![header[6], 0];
        inner.extend(place.to_be_bytes());
        inner.extend(0x1234_5678_u32.to_be_bytes());
        [front, &outer, &inner, part].concat()
    };
    [fragment(0, true, head), fragment(first, false, tail)]
}

fn ipv4_header(header: &[u8], content: usize, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut header = header.to_vec();
    edit(&mut header);
    assert!(header.len().is_multiple_of(4) && header.len() <= 60);
    header[0] = 0x40 | (header.len() / 4) as u8;
    let total = (header.len() + content) as u16;
    header[2..4].copy_from_slice(&total.to_be_bytes());
    header[10..12].fill(0);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// The frame with which somebody at `from` says that the destination of `request` is unreachable,
/// as RFC 792 and RFC 1812 §4.3.2 have it: with precedence 6, and the packet quoted.
pub(crate) fn icmp_unreachable(request: &Datagram, code: u8, from: Ipv4Addr) -> Vec<u8> {
    const ICMP: u8 = 1;
    let swapped = Datagram {
        source_mac: request.destination_mac,
        destination_mac: request.source_mac,
        source: request.destination,
        destination: request.source,
        ..request.clone()
    };
    let frame = swapped.frame();
    let (front, packet) = frame.split_at(network(&request.tags));
    let quoted = request.frame().split_off(network(&request.tags));
    let mut message = [&[3, code, 0, 0, 0, 0, 0, 0], quoted.as_slice()].concat();
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let header = ipv4_header(&packet[..20], message.len(), |header| {
        header[1] = 0xC0;
        header[9] = ICMP;
        header[12..16].copy_from_slice(&from.octets());
    });
    [front, &header, &message].concat()
}

/// The Internet checksum of bytes in which its own place is 0.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| {
        let low = word.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([word[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    !(sum as u16)
}
