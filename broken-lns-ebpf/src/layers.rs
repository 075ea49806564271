//! Where the layers of a datagram begin in a frame.

use crate::frame::Frame;
use crate::sccrq::Sccrq;
use crate::twist::OTHER_PORT;
use crate::verifier::blur;
use crate::wire::{ipv4, ipv6, udp};

/// The version of the network layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum IpVersion {
    /// IPv4.
    V4 = 0,
    /// IPv6.
    V6 = 1,
}

impl IpVersion {
    /// 4 or 6.
    #[inline(always)]
    pub const fn number(self) -> u16 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// The version of which the lowest bit is the number.
    #[inline(always)]
    const fn of_bit(bit: u32) -> Self {
        match bit & 1 {
            0 => Self::V4,
            _ => Self::V6,
        }
    }
}

/// A UDP datagram to port 1701 or to [`OTHER_PORT`], all of it in the frame.
pub struct Datagram<'m> {
    /// Where it begins.
    pub layers: Layers,
    /// Its header.
    pub udp: udp::Header<'m>,
}

impl<'m> Datagram<'m> {
    /// The datagram that begins there in the frame, if its header does not begin beyond the end.
    #[inline(always)]
    pub fn at(frame: Frame<'m>, layers: Layers) -> Option<Self> {
        let udp = udp::Header::at(frame.place(layers.transport))?;
        Some(Self { layers, udp })
    }

    /// Whether it is to the other port.
    #[inline(always)]
    pub fn is_to_other_port(&self) -> bool {
        self.udp.destination_port() == OTHER_PORT
    }

    /// Octets of its payload, as it claims.
    #[inline(always)]
    pub fn room(&self) -> u16 {
        self.udp.len().saturating_sub(udp::HEADER_LEN as u16)
    }
}

/// Where in a frame the layers of a datagram begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Octets before the network layer: 14, 18 or 22.
    pub network: u16,
    /// Which network layer it is.
    pub version: IpVersion,
    /// Octets before the header of the datagram.
    pub transport: u16,
}

impl Layers {
    /// Two tags and all options make it 82 octets at the most, which 7 bits hold.
    const OFFSETS: u16 = 0x7f;

    /// Those of the datagram with an SCCRQ, in a frame that begins like the one it was found in.
    pub fn of(frame: Frame<'_>, sccrq: &Sccrq) -> Option<Self> {
        let header_len = match sccrq.version {
            IpVersion::V4 => ipv4::Header::at(frame.place(sccrq.network))?.header_len(),
            IpVersion::V6 => ipv6::HEADER_LEN as u16,
        };
        Some(Self {
            network: sccrq.network,
            version: sccrq.version,
            transport: sccrq.network + header_len,
        })
    }

    /// Octets before the payload of the datagram.
    #[inline(always)]
    pub const fn message(self) -> u16 {
        self.transport + udp::HEADER_LEN as u16
    }

    /// The layers as a number.
    #[inline(always)]
    pub const fn to_word(self) -> u32 {
        self.network as u32 | (self.transport as u32) << 7 | (self.version as u32) << 14
    }

    /// The layers of which that is the number.
    #[inline(always)]
    pub const fn from_word(word: u32) -> Self {
        Self {
            network: word as u16 & Self::OFFSETS,
            version: IpVersion::of_bit(word >> 14),
            transport: (word >> 7) as u16 & Self::OFFSETS,
        }
    }

    /// The same layers, wherever tags, options and the network layer put them: so that the
    /// verifier walks what follows once, and not once for each of these.
    #[inline(always)]
    pub(crate) fn blurred(self, unknown: u32) -> Self {
        Self::from_word(blur(self.to_word(), unknown))
    }
}
