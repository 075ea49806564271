//! How a reply differs from a right one in what is not in its template.
//!
//! Most of what can be wrong with a StopCCN is in the octets of its message, and
//! so in its template: its AVPs, and the flags, the Length and the Ns of its
//! header. A [`Twist`] is about what the writer fills in for each request.

use crate::wire::ipv6;
use crate::wire::l2tp;

/// The port that replies come from where they come from a wrong one.
pub const OTHER_PORT: u16 = l2tp::PORT + 1;

/// What the writer does differently, as numbers that are added or inverted
/// without asking: all of them are 0 for a right reply.
///
/// Numbers are in the byte order of the machine. It has no padding, so that it
/// can lie in a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Twist {
    /// Added to the header's Tunnel ID, which else is the one that the LAC
    /// assigned (RFC 2661 §3.1). 65,535 wraps to 0.
    pub tunnel_id_offset: u16,
    /// Bits of the header's Tunnel ID that are cleared; all of them make it 0.
    pub tunnel_id_clear: u16,
    /// Added to Nr, which else is the Ns of the SCCRQ plus 1 (§5.8).
    pub nr_offset: u16,
    /// Added to the UDP source port, which else is 1701.
    pub source_port_offset: u16,
    /// Bits of the last octet of the source address, IPv4 or IPv6, that are
    /// inverted; the checksums are right for the address that this makes.
    pub source_address_invert: u16,
    /// A 16-bit word added to the sum under the UDP checksum. Any but 0 and
    /// 65,535 makes the checksum wrong. It never makes it 0, which would stand
    /// for none: that value is avoided when the sum is folded.
    pub udp_sum_offset: u16,
    /// The same for the IPv4 header checksum; IPv6 has none.
    pub ipv4_sum_offset: u16,
}

impl Twist {
    /// Nothing is wrong.
    pub const NONE: Self = Self {
        tunnel_id_offset: 0,
        tunnel_id_clear: 0,
        nr_offset: 0,
        source_port_offset: 0,
        source_address_invert: 0,
        udp_sum_offset: 0,
        ipv4_sum_offset: 0,
    };

    /// The header's Tunnel ID in the reply to a LAC that assigned `assigned`.
    #[inline(always)]
    pub const fn tunnel_id(self, assigned: u16) -> u16 {
        assigned.wrapping_add(self.tunnel_id_offset) & !self.tunnel_id_clear
    }

    /// Nr in the reply to an SCCRQ with that Ns.
    #[inline(always)]
    pub const fn nr(self, ns: u16) -> u16 {
        ns.wrapping_add(1).wrapping_add(self.nr_offset)
    }

    /// The UDP port that the reply comes from.
    #[inline(always)]
    pub const fn source_port(self) -> u16 {
        l2tp::PORT.wrapping_add(self.source_port_offset)
    }

    /// The IPv4 address that the reply to a request to `lns` comes from, both in memory order.
    #[inline(always)]
    pub const fn source_v4(self, lns: u32) -> u32 {
        lns ^ (self.source_address_invert as u32 & 0xff).to_be()
    }

    /// The IPv6 address that the reply to a request to `lns` comes from, both in memory order.
    #[inline(always)]
    pub const fn source_v6(self, lns: ipv6::Address) -> ipv6::Address {
        [
            lns[0],
            lns[1] ^ (self.source_address_invert as u64 & 0xff).to_be(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::checksum::Sum;

    #[test]
    fn zeros_are_a_right_reply() {
        assert_eq!(Twist::default(), Twist::NONE);
        assert_eq!(size_of::<Twist>(), 14);
        assert_eq!(Twist::NONE.tunnel_id(7), 7);
        assert_eq!(Twist::NONE.nr(0xffff), 0);
        assert_eq!(Twist::NONE.source_port(), 1701);
        assert_eq!(Twist::NONE.source_v4(1), 1);
        assert_eq!(Twist::NONE.source_v6([1, 2]), [1, 2]);
    }

    #[test]
    fn a_tunnel_id_can_be_another_one_or_none() {
        let other = Twist {
            tunnel_id_offset: 1,
            ..Twist::NONE
        };
        let none = Twist {
            tunnel_id_clear: 0xffff,
            ..Twist::NONE
        };
        for (assigned, expected) in [(1, 2), (0x00ff, 0x0100), (0xffff, 0)] {
            assert_eq!(other.tunnel_id(assigned), expected);
            assert_eq!(none.tunnel_id(assigned), 0);
        }
    }

    #[test]
    fn nr_can_leave_the_request_unacknowledged() {
        let twist = Twist {
            nr_offset: 0xffff,
            ..Twist::NONE
        };
        for ns in [0, 3, 0xffff] {
            assert_eq!(twist.nr(ns), ns);
        }
    }

    #[test]
    fn the_source_can_be_a_neighbour() {
        let twist = Twist {
            source_port_offset: 1,
            source_address_invert: 1,
            ..Twist::NONE
        };
        assert_eq!(twist.source_port(), 1702);
        for (lns, neighbour) in [
            ([192, 0, 2, 1], [192, 0, 2, 0]),
            ([10, 0, 0, 254], [10, 0, 0, 255]),
        ] {
            let source = twist.source_v4(u32::from_ne_bytes(lns));
            assert_eq!(source.to_ne_bytes(), neighbour);
        }
        let half = u64::from_ne_bytes;
        assert_eq!(
            twist.source_v6([half([0x20; 8]), half([0, 0, 0, 0, 0, 0, 0x12, 0x34])]),
            [half([0x20; 8]), half([0, 0, 0, 0, 0, 0, 0x12, 0x35])]
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "every number takes an interpreter too long")]
    fn a_sum_with_one_more_is_always_wrong_and_never_none() {
        for word in 0..=u16::MAX {
            let right = Sum::ZERO.plus16(0x1234).plus16(word);
            let wrong = right.plus16(1);
            // One and the same number in ones' complement.
            let same =
                |one: u16, other: u16| one == other || one ^ other == 0xffff && one.min(other) == 0;
            assert!(!same(right.checksum(), wrong.checksum()));
            assert_ne!(wrong.udp_checksum(), 0);
        }
    }
}
