//! One answered SCCRQ, as the half that answered it tells of it.

use crate::entry::Entry;
use crate::frame::Frame;
use crate::parties::Parties;
use crate::sccrq::Sccrq;
use crate::twist::Twist;
use crate::wire::ipv6;

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
        // The reply goes from whom the request went to.
        let Parties { lac: lns, lns: lac } = Parties::of(reply, sccrq.network, sccrq.version)?;
        Some(Self {
            lac,
            lns,
            ip_version: sccrq.version.number(),
            lac_port: sccrq.lac_port,
            tunnel_id: sccrq.tunnel_id,
            ns: sccrq.ns,
        })
    }

    /// The same, where the reply was made with that twist: whom the LAC asked, and
    /// not whom the reply pretends to come from.
    #[inline(always)]
    #[must_use]
    pub fn untwisted(mut self, twist: Twist) -> Self {
        // What is inverted twice is as it was.
        if self.ip_version == 4 {
            self.lns[0] = u64::from(twist.source_v4(self.lns[0] as u32));
        } else {
            self.lns = twist.source_v6(self.lns);
        }
        self
    }

    /// The value in the octets of a map's entry; `None` where there are too few.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let entry = Entry(octets);
        Some(Self {
            lac: [entry.u64(0)?, entry.u64(8)?],
            lns: [entry.u64(16)?, entry.u64(24)?],
            ip_version: entry.u16(32)?,
            lac_port: entry.u16(34)?,
            tunnel_id: entry.u16(36)?,
            ns: entry.u16(38)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_way_through_a_map() {
        let answer = Answer {
            lac: [1, 2],
            lns: [3, 4],
            ip_version: 6,
            lac_port: 1025,
            tunnel_id: 7,
            ns: 0xffff,
        };
        let mut octets = [0; Answer::LEN];
        for (to, word) in octets.chunks_exact_mut(8).zip([1u64, 2, 3, 4]) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        for (to, half) in octets[32..]
            .chunks_exact_mut(2)
            .zip([6u16, 1025, 7, 0xffff])
        {
            to.copy_from_slice(&half.to_ne_bytes());
        }
        assert_eq!(Answer::from_octets(&octets), Some(answer));
        assert_eq!(Answer::from_octets(&octets[..39]), None);
        assert_eq!(std::mem::offset_of!(Answer, ns), 38);
    }
}
