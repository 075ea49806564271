//! IP packets that the lab's own sockets would not send: options, odd headers, fragments.

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
    let words = header
        .chunks(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    let checksum = !(sum as u16);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}
