//! What a control message acknowledges, and whose acknowledgement is waited for.
//!
//! A worker that is to send a StopCCN again until it is acknowledged says so in a map. The
//! program looks at every control message anyway, on whichever queue it comes and whatever
//! becomes of it, and notes there when one acknowledges (RFC 2661 §5.8). Before the worker sends
//! the StopCCN again it looks there. So no message has to be handed over for it.

use crate::frame::Frame;
use crate::layers::{Datagram, Layers};
use crate::parties::Parties;
use crate::wire::ipv6::Address;
use crate::wire::l2tp::{self, NumberAvp};

/// The two ends between which L2TP is spoken, as the key of a map. It has no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct Peers {
    /// The LAC's address in memory order; an IPv4 address is the first word.
    pub lac: Address,
    /// The address of the virtual LNS, likewise.
    pub lns: Address,
    /// The UDP port of the LAC, which stays the same (§8.1).
    pub lac_port: u64,
}

/// What a worker waits for, as a value of that map. It has no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Awaited {
    /// When the last acknowledgement came, in nanoseconds of the monotonic clock; 0 before one.
    pub acknowledged: u64,
    /// The tunnel id that the last StopCCN claims to have assigned.
    pub assigned: u64,
}

/// What a control message says of those that were sent to its LAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Between whom.
    pub peers: Peers,
    /// The tunnel id in the header: the one that the LNS assigned.
    pub tunnel_id: u16,
    /// The sequence number that is expected next.
    pub nr: u16,
}

impl Acknowledgement {
    /// That in a frame with a datagram to port 1701 where `layers` says. An SCCRQ begins a
    /// tunnel, and acknowledges nothing.
    #[inline(always)]
    pub fn of(frame: Frame<'_>, layers: Layers) -> Option<Self> {
        let Parties { lac, lns } = Parties::of(frame, layers.network, layers.version)?;
        let datagram = Datagram::at(frame, layers)?;
        let message = l2tp::Header::at(datagram.udp.payload())?;
        let len = message.len();
        if !message.flags().are_of_control_message()
            || len < l2tp::HEADER_LEN as u16
            || len > datagram.room()
        {
            return None;
        }
        let is_request = len > l2tp::HEADER_LEN as u16
            && NumberAvp::behind(message.last())
                .is_some_and(|first| first.is_message_type(l2tp::SCCRQ));
        (!is_request).then(|| Self {
            peers: Peers {
                lac,
                lns,
                lac_port: datagram.udp.source_port().into(),
            },
            tunnel_id: message.tunnel_id(),
            nr: message.nr(),
        })
    }

    /// Whether it acknowledges the message number `ns` of an LNS that assigned the tunnel id
    /// `assigned`.
    ///
    /// A LAC that does not take a StopCCN for the beginning of a tunnel may still have no id for
    /// it, and so say 0 (§3.1). Sequence numbers wrap (§5.8).
    #[inline(always)]
    pub const fn is_of(&self, assigned: u64, ns: u16) -> bool {
        let beyond = self.nr.wrapping_sub(ns).wrapping_sub(1);
        (self.tunnel_id as u64 == assigned || self.tunnel_id == 0) && beyond < 0x8000
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::IpVersion;

    /// A StopCCN from 10.0.0.1:1025 to 192.0.2.1 in 802.1Q, for tunnel 12345, with Nr 1.
    const STOP_CCN: [u8; 66] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0x00, 0, 100, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 48, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
        0x04, 0x01, 0x06, 0xa5, 0, 28, 0, 0, // UDP
        0xc8, 0x02, 0, 20, 0x30, 0x39, 0, 0, 0, 1, 0, 1, // L2TP
        0x80, 8, 0, 0, 0, 0, 0, 4, // Message Type: StopCCN
    ];
    const LAYERS: Layers = Layers {
        network: 18,
        version: IpVersion::V4,
        transport: 38,
    };

    fn acknowledgement(octets: &[u8]) -> Option<Acknowledgement> {
        let mut copy = octets.to_vec();
        Acknowledgement::of(Frame::new(&mut copy), LAYERS)
    }

    #[test]
    fn every_message_but_an_sccrq_acknowledges() {
        let v4 = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
        let expected = Acknowledgement {
            peers: Peers {
                lac: v4([10, 0, 0, 1]),
                lns: v4([192, 0, 2, 1]),
                lac_port: 1025,
            },
            tunnel_id: 12345,
            nr: 1,
        };
        assert_eq!(acknowledgement(&STOP_CCN), Some(expected));
        let mut request = STOP_CCN;
        request[65] = 1;
        assert_eq!(acknowledgement(&request), None);
        // A ZLB, whatever follows it.
        request[49] = 12;
        assert_eq!(acknowledgement(&request), Some(expected));
    }

    #[test]
    fn what_is_no_control_message_acknowledges_nothing() {
        for (at, octet) in [(46, 0x48), (47, 3), (49, 11), (49, 21)] {
            let mut octets = STOP_CCN;
            octets[at] = octet;
            assert_eq!(acknowledgement(&octets), None, "{at}");
        }
        for len in 0..58 {
            assert_eq!(acknowledgement(&STOP_CCN[..len]), None, "{len}");
        }
    }

    #[test]
    fn an_acknowledgement_has_a_tunnel_and_an_nr_beyond_ns() {
        for (tunnel_id, nr, ns, expected) in [
            (12345, 1, 0, true),
            (0, 1, 0, true),
            (7, 1, 0, false),
            (12345, 0, 0, false),
            (12345, 2, 0, true),
            (12345, 0x8000, 0, true),
            (12345, 0x8001, 0, false),
            (12345, 0xffff, 0, false),
            (12345, 0, 0xffff, true),
            (12345, 1, 1, false),
            (12345, 2, 1, true),
        ] {
            let acknowledgement = Acknowledgement {
                peers: Peers {
                    lac: [1, 0],
                    lns: [2, 0],
                    lac_port: 1701,
                },
                tunnel_id,
                nr,
            };
            assert_eq!(
                acknowledgement.is_of(12345, ns),
                expected,
                "tunnel {tunnel_id}, Nr {nr}, Ns {ns}"
            );
        }
    }

    #[test]
    fn what_lies_in_maps_has_no_padding() {
        assert_eq!(size_of::<Peers>(), 16 + 16 + 8);
        assert_eq!(size_of::<Awaited>(), 8 + 8);
    }
}
