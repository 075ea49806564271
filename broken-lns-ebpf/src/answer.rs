//! One answered SCCRQ, as the half that answered it tells of it.

use crate::frame::Frame;
use crate::sccrq::{IpVersion, Sccrq};
use crate::wire::{ipv4, ipv6};

/// Who asked, and whom. Both halves fill it in from the reply that they wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Answer {
    /// The LAC's address in memory order; an IPv4 address is the first word.
    pub lac: ipv6::Address,
    /// The address of the virtual LNS, likewise.
    pub lns: ipv6::Address,
    /// 4 or 6.
    pub ip_version: u16,
    /// The UDP port that the LAC sent from.
    pub lac_port: u16,
    /// The tunnel id that the LAC assigned.
    pub tunnel_id: u16,
    /// The sequence number of the request.
    pub ns: u16,
}

impl Answer {
    /// Octets of the value in a map.
    pub const LEN: usize = size_of::<Self>();

    /// The answer that `reply` holds; `None` where the frame is too short for one.
    #[inline(always)]
    pub fn of_reply(reply: Frame<'_>, sccrq: &Sccrq) -> Option<Self> {
        let (lac, lns, ip_version) = match sccrq.version {
            IpVersion::V4 => {
                let ip = ipv4::Header::at(reply, sccrq.network)?;
                let (lac, lns) = (ip.destination(), ip.source());
                ([u64::from(lac), 0], [u64::from(lns), 0], 4)
            }
            IpVersion::V6 => {
                let ip = ipv6::Header::at(reply, sccrq.network)?;
                (ip.destination(), ip.source(), 6)
            }
        };
        Some(Self {
            lac,
            lns,
            ip_version,
            lac_port: sccrq.lac_port,
            tunnel_id: sccrq.tunnel_id,
            ns: sccrq.ns,
        })
    }

    /// The value in the octets of a map's entry; `None` where there are too few.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_ne_bytes(*octets.get(at..)?.first_chunk()?));
        let half = |at: usize| Some(u16::from_ne_bytes(*octets.get(at..)?.first_chunk()?));
        Some(Self {
            lac: [word(0)?, word(8)?],
            lns: [word(16)?, word(24)?],
            ip_version: half(32)?,
            lac_port: half(34)?,
            tunnel_id: half(36)?,
            ns: half(38)?,
        })
    }
}
