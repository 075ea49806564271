//! L2TP behind layers that are not looked through for an answer: a hint at why it gets none.
//!
//! Only what certainly is L2TP counts: a whole control message (RFC 2661 §3.1) from or to its UDP
//! port, behind IP of right version, behind layers each of which leads to the next.

use crate::frame::{Frame, Place};
use crate::layers::IpVersion;
use crate::wire::ethernet::{self, IPV4, IPV6, MPLS, MPLS_MULTICAST, PPPOE_SESSION, TAG_LEN};
use crate::wire::{ipv4, ipv6, l2tp, udp};

/// Most layers that are looked through: labels, tags, and one of PPPoE.
const MAX_LAYERS: u32 = 8;

/// Octets of the header of PPPoE (RFC 2516 §4), and of the protocol of PPP behind it.
const PPPOE_LEN: usize = 8;
/// Version and type of PPPoE, and the code of a session's frame.
const PPPOE_OF_SESSION: u16 = 0x1100;
/// Protocols of PPP: IPv4 (RFC 1332) and IPv6 (RFC 5072).
const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// Octets of a label of MPLS (RFC 3032 §2.1).
const LABEL_LEN: usize = 4;
/// The bit of a label that is the last one before the packet.
const BOTTOM: u32 = 1 << 8;

/// Where L2TP was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encapsulated<'m> {
    /// EtherType of the first layer that is not looked through for an answer.
    pub within: u16,
    /// The network layer of what is inside.
    pub version: IpVersion,
    /// Where that begins.
    pub network: Place<'m>,
    /// The UDP header behind it.
    pub transport: Place<'m>,
}

/// A layer, and what kind it is.
#[derive(Clone, Copy)]
struct Layer<'m> {
    ethertype: u16,
    place: Place<'m>,
}

/// Finds L2TP in a frame where it is encapsulated; `None` where it is not, or is no L2TP.
#[inline(always)]
pub fn find(frame: Frame<'_>) -> Option<Encapsulated<'_>> {
    let payload = ethernet::payload(frame)?;
    let within = payload.ethertype;
    if within == IPV4 || within == IPV6 {
        return None;
    }
    let mut layer = Layer {
        ethertype: within,
        place: payload.place,
    };
    for _ in 0..MAX_LAYERS {
        layer = match layer.ethertype {
            IPV4 | IPV6 => break,
            PPPOE_SESSION => in_pppoe(layer.place)?,
            MPLS | MPLS_MULTICAST => behind_label(layer)?,
            // Whatever it is, it may be a tag: then what it hides is found behind it.
            _ => behind_tag(layer.place)?,
        };
    }
    let (version, transport) = match layer.ethertype {
        IPV4 => (IpVersion::V4, in_ipv4(layer.place)?),
        IPV6 => (IpVersion::V6, in_ipv6(layer.place)?),
        _ => return None,
    };
    is_l2tp(transport).then_some(Encapsulated {
        within,
        version,
        network: layer.place,
        transport,
    })
}

#[inline(always)]
fn in_pppoe(place: Place<'_>) -> Option<Layer<'_>> {
    let header = place.window::<PPPOE_LEN>()?;
    if header.number16::<0>() != PPPOE_OF_SESSION {
        return None;
    }
    let ethertype = match header.number16::<6>() {
        PPP_IPV4 => IPV4,
        PPP_IPV6 => IPV6,
        _ => return None,
    };
    Some(Layer {
        ethertype,
        place: header.skip(PPPOE_LEN as u16),
    })
}

#[inline(always)]
fn behind_label(layer: Layer<'_>) -> Option<Layer<'_>> {
    let label = layer.place.window::<{ LABEL_LEN + 1 }>()?;
    let ethertype = match label.number32::<0>() & BOTTOM {
        0 => layer.ethertype,
        // Nothing but the packet itself says what it is.
        _ => match label.octet::<LABEL_LEN>() >> 4 {
            4 => IPV4,
            6 => IPV6,
            _ => return None,
        },
    };
    Some(Layer {
        ethertype,
        place: label.skip(LABEL_LEN as u16),
    })
}

#[inline(always)]
fn behind_tag(place: Place<'_>) -> Option<Layer<'_>> {
    let tag = place.window::<TAG_LEN>()?;
    Some(Layer {
        ethertype: tag.number16::<2>(),
        place: tag.skip(TAG_LEN as u16),
    })
}

/// Where the UDP datagram begins that a packet holds as a whole.
#[inline(always)]
fn in_ipv4(place: Place<'_>) -> Option<Place<'_>> {
    let ip = ipv4::Header::at(place)?;
    let header_len = ip.header_len();
    let is_datagram = ip.version() == 4
        && ip.protocol() == ipv4::UDP
        && !ip.is_fragment()
        && header_len >= ipv4::HEADER_LEN as u16;
    is_datagram.then(|| ip.skip(header_len))
}

#[inline(always)]
fn in_ipv6(place: Place<'_>) -> Option<Place<'_>> {
    let ip = ipv6::Header::at(place)?;
    (ip.version() == 6 && ip.next_header() == ipv6::UDP).then(|| ip.end())
}

/// Whether the datagram that begins there holds a whole control message, from or to the port.
#[inline(always)]
fn is_l2tp(transport: Place<'_>) -> bool {
    let Some(udp) = udp::Header::at(transport) else {
        return false;
    };
    if udp.destination_port() != l2tp::PORT && udp.source_port() != l2tp::PORT {
        return false;
    }
    l2tp::Header::at(udp.payload()).is_some_and(|message| {
        let (len, room) = (
            message.len(),
            udp.len().saturating_sub(udp::HEADER_LEN as u16),
        );
        message.flags().are_of_control_message() && len >= l2tp::HEADER_LEN as u16 && len <= room
    })
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    /// From 10.0.0.1:1025 to 192.0.2.1:1701, a ZLB.
    const V4: [u8; 40] = [
        0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
        0x04, 0x01, 0x06, 0xa5, 0, 20, 0, 0, // UDP
        0xc8, 0x02, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, // L2TP
    ];

    /// The same over IPv6, from the port to another one.
    fn v6() -> Vec<u8> {
        let mut packet = [0x60, 0, 0, 0, 0, 20, 17, 64].to_vec();
        packet.extend([0x20; 32]);
        packet.extend([0x06, 0xa5, 0x04, 0x01, 0, 20, 0, 0]);
        packet.extend(&V4[28..]);
        packet
    }

    fn found(layers: &[u8], packet: &[u8]) -> Option<(u16, IpVersion)> {
        let mut frame = [&ADDRESSES[..], layers, packet].concat();
        let found = find(Frame::new(&mut frame))?;
        Some((found.within, found.version))
    }

    #[test]
    fn l2tp_is_found_behind_what_is_not_looked_through() {
        use IpVersion::{V4 as Four, V6 as Six};
        let (v4, v6) = (&V4[..], &v6()[..]);
        let pppoe = |protocol| [0x88, 0x64, 0x11, 0, 0, 7, 0, 42, 0, protocol];
        let tags = |count: usize| [[0x81, 0, 0, 5].repeat(count), [8, 0].to_vec()].concat();
        let labels = |count: usize| {
            let mut labels = [0x88, 0x47].to_vec();
            labels.extend([0, 1, 0x20, 64].repeat(count - 1));
            labels.extend([0, 1, 0x21, 64]);
            labels
        };
        for (layers, packet, expected) in [
            (&pppoe(0x21)[..], v4, Some((0x8864, Four))),
            (&pppoe(0x57), v6, Some((0x8864, Six))),
            (&labels(1), v4, Some((0x8847, Four))),
            (&labels(2), v6, Some((0x8847, Six))),
            (&labels(8), v4, Some((0x8847, Four))),
            (&labels(9), v4, None),
            (&tags(2), v4, None),
            (&tags(3), v4, Some((0x8100, Four))),
            (&tags(4), v4, Some((0x8100, Four))),
            (&[0x93, 0, 0, 5, 8, 0], v4, Some((0x9300, Four))),
            (
                &[[0x81, 0, 0, 5].to_vec(), pppoe(0x21).to_vec()].concat(),
                v4,
                Some((0x8864, Four)),
            ),
            // What another protocol holds is left alone.
            (&[8, 0], v4, None),
            (&[0x86, 0xdd], v6, None),
            (&pppoe(0x57), v4, None),
            (&[0x88, 0x63, 0x11, 0x09, 0, 0, 0, 42, 0, 0x21], v4, None),
            (&[0x08, 0x06, 0, 1, 8, 0], &V4[2..], None),
        ] {
            assert_eq!(found(layers, packet), expected, "{layers:02x?}");
        }
    }

    #[test]
    fn what_may_be_something_else_is_not_l2tp() {
        let layers = [0x88, 0x47, 0, 1, 0x21, 64];
        assert!(found(&layers, &V4).is_some());
        for (at, octet) in [
            (0, 0x55),
            (0, 0x44),
            (6, 0x20),
            (9, 6),
            (23, 0xa6),
            (25, 19),
            (28, 0x48),
            (28, 0xca),
            (29, 3),
            (31, 11),
            (31, 13),
        ] {
            let mut packet = V4;
            packet[at] = octet;
            assert_eq!(found(&layers, &packet), None, "{octet:#04x} at {at}");
        }
        for len in 0..V4.len() {
            assert_eq!(found(&layers, &V4[..len]), None, "{len} octets");
        }
    }
}
