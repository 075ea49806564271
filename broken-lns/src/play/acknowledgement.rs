//! What a control message acknowledges, whatever else it says.

use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::wire::ipv6;
use broken_lns_ebpf::wire::l2tp;
use broken_lns_ebpf::wire::{ethernet, ipv4, udp};

use crate::retransmission::Peers;

/// An acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    /// Between whom.
    pub(super) peers: Peers,
    /// The tunnel id in the header: the one that the LNS assigned.
    pub(super) tunnel_id: u16,
    /// The sequence number that is expected next.
    pub(super) nr: u16,
}

impl Acknowledgement {
    /// That in a frame which was found to hold a control message.
    pub(super) fn of(frame: Frame<'_>) -> Option<Self> {
        let payload = ethernet::payload(frame)?;
        let (lac, lns, transport) = match payload.ethertype {
            ethernet::IPV4 => {
                let ip = ipv4::Header::at(payload.place)?;
                (
                    [u64::from(ip.source()), 0],
                    [u64::from(ip.destination()), 0],
                    ip.skip(ip.header_len()),
                )
            }
            _ => {
                let ip = ipv6::Header::at(payload.place)?;
                (ip.source(), ip.destination(), ip.end())
            }
        };
        let udp = udp::Header::at(transport)?;
        let message = udp.payload().window::<{ l2tp::HEADER_LEN }>()?;
        Some(Self {
            peers: Peers {
                lac,
                lns,
                lac_port: udp.source_port(),
            },
            tunnel_id: message.number16::<{ l2tp::TUNNEL_ID }>(),
            nr: message.number16::<{ l2tp::NR }>(),
        })
    }
}
