//! Who asks whom: the addresses of a packet, by which rules are found.

use crate::frame::{Frame, Place};
use crate::layers::IpVersion;
use crate::wire::{ipv4, ipv6};

/// The two ends of a tunnel that a LAC asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The LAC's address in memory order; an IPv4 address is the first word.
    pub lac: ipv6::Address,
    /// The address of the virtual LNS, likewise.
    pub lns: ipv6::Address,
}

impl Parties {
    /// Where the packet that begins at `network` comes from, and where it goes; `None` where
    /// the frame does not hold its header.
    #[inline(always)]
    pub fn of(frame: Frame<'_>, network: u16, version: IpVersion) -> Option<Self> {
        Self::at(frame.place(network), version)
    }

    /// The same of the packet that begins at `place`.
    #[inline(always)]
    pub fn at(place: Place<'_>, version: IpVersion) -> Option<Self> {
        match version {
            IpVersion::V4 => {
                let ip = ipv4::Header::at(place)?;
                Some(Self {
                    lac: [u64::from(ip.source()), 0],
                    lns: [u64::from(ip.destination()), 0],
                })
            }
            IpVersion::V6 => {
                let ip = ipv6::Header::at(place)?;
                Some(Self {
                    lac: ip.source(),
                    lns: ip.destination(),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parties_are_source_and_destination() {
        let mut bytes = [0; 38];
        bytes[30..38].copy_from_slice(&[10, 0, 0, 1, 192, 0, 2, 1]);
        let party = |address: [u8; 4]| [u64::from(u32::from_ne_bytes(address)), 0];
        let expected = Parties {
            lac: party([10, 0, 0, 1]),
            lns: party([192, 0, 2, 1]),
        };
        let parties = |bytes: &mut [u8]| Parties::of(Frame::new(bytes), 18, IpVersion::V4);
        assert_eq!(parties(&mut bytes), Some(expected));
        assert_eq!(parties(&mut bytes[..37]), None);

        let mut bytes = [0; 54];
        bytes[22..].copy_from_slice(&[[1; 8], [2; 8], [3; 8], [4; 8]].concat());
        let half = |octet: u8| u64::from_ne_bytes([octet; 8]);
        let parties = Parties::of(Frame::new(&mut bytes), 14, IpVersion::V6).unwrap();
        assert_eq!(parties.lac, [half(1), half(2)]);
        assert_eq!(parties.lns, [half(3), half(4)]);
    }
}
