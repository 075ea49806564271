//! The requests of a run: which LACs send them, over what, and how they look.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use broken_lns_ebpf::wire::checksum::Sum;
use broken_lns_ebpf::wire::{ipv4, ipv6, udp};
use xtask::lab::{
    Avp, Checksum, ControlMessage, Datagram, Mac, Tag, attribute, message_type as message_types,
};

use crate::contract::{PATTERN_LEN, Pattern};

/// The MAC address of the LACs.
pub(crate) const LAC_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x1a]);
/// The MAC address of the box.
pub(crate) const BOX_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0xb0]);
/// The LNS that is asked.
pub(crate) const LNS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The same over IPv6.
pub(crate) const LNS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);
/// The network of the LACs over IPv6.
const LACS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0);

/// Attribute types (RFC 2661 §4.4) that xl2tpd sends and the lab has no names for.
const BEARER_CAPABILITIES: u16 = 4;
const FIRMWARE_REVISION: u16 = 6;
const VENDOR_NAME: u16 = 8;

/// How a request is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapping {
    /// In IPv4.
    Ipv4,
    /// In IPv6.
    Ipv6,
    /// In IPv4 with a service tag and a customer tag.
    QinQ,
}

/// What the generator sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    pub(crate) wrapping: Wrapping,
    /// How many LACs take turns.
    pub(crate) lacs: u32,
    /// How many LNSs they ask in turn; more than one only over IPv4.
    pub(crate) lnss: u32,
    /// Whether round trips are measured.
    pub(crate) timed: bool,
}

/// A request as the programs of the benchmark want it.
pub(crate) struct Request {
    pub(crate) pattern: Pattern,
    pub(crate) network: u8,
    pub(crate) ip_version: u8,
    pub(crate) frame_len: u16,
    pub(crate) tunnel_id_at: u16,
}

impl Traffic {
    /// What is sent where nothing else is said.
    pub(crate) const DEFAULT: Self = Self {
        wrapping: Wrapping::Ipv4,
        lacs: 10_000,
        lnss: 1,
        timed: false,
    };

    /// Its name in a table.
    pub(crate) fn name(&self) -> String {
        let wrapping = match self.wrapping {
            Wrapping::Ipv4 => "IPv4",
            Wrapping::Ipv6 => "IPv6",
            Wrapping::QinQ => "IPv4 in QinQ",
        };
        match self.lacs {
            1 => format!("1 LAC, {wrapping}"),
            lacs if lacs < 1000 => format!("{lacs} LACs, {wrapping}"),
            1_000_000 => format!("1,000,000 LACs, {wrapping}"),
            lacs => format!("{},{:03} LACs, {wrapping}", lacs / 1000, lacs % 1000),
        }
    }

    /// The request that the generator varies.
    pub(crate) fn request(&self) -> Result<Request> {
        let (source, destination, ip_version): (IpAddr, IpAddr, _) = match self.wrapping {
            // The generator writes the address of each LNS.
            Wrapping::Ipv4 | Wrapping::QinQ if self.lnss > 1 => {
                let nowhere = Ipv4Addr::UNSPECIFIED.into();
                (nowhere, nowhere, 4)
            }
            Wrapping::Ipv4 | Wrapping::QinQ => (Ipv4Addr::UNSPECIFIED.into(), LNS.into(), 4),
            Wrapping::Ipv6 => (LACS6.into(), LNS6.into(), 6),
        };
        let tags = match self.wrapping {
            Wrapping::QinQ => vec![Tag::s(100), Tag::c(200)],
            Wrapping::Ipv4 | Wrapping::Ipv6 => Vec::new(),
        };
        let datagram = Datagram {
            source_mac: LAC_MAC,
            destination_mac: BOX_MAC,
            tags,
            source: SocketAddr::new(source, 0),
            destination: SocketAddr::new(destination, 1701),
            checksum: Checksum::Right,
            payload: message(0).bytes(),
        };
        let mut frame = datagram.frame();
        // Where the tunnel id stands is where another one makes a difference.
        let other = message(0xffff).bytes();
        let payload_at = frame.len() - datagram.payload.len();
        let differs = |(one, other): (&u8, &u8)| one != other;
        let tunnel_id_at = datagram.payload.iter().zip(&other).position(differs);
        let tunnel_id_at = payload_at + tunnel_id_at.context("the request has no tunnel id")?;

        let network = 14 + 4 * datagram.tags.len();
        let transport = payload_at - udp::HEADER_LEN;
        let ipv4_sum = if ip_version == 4 {
            frame[network + 10..network + 12].fill(0);
            Sum::of(&frame[network..network + ipv4::HEADER_LEN])
        } else {
            Sum::ZERO
        };
        frame[transport + 6..transport + 8].fill(0);
        let addresses = if ip_version == 4 {
            network + 12..network + ipv4::HEADER_LEN
        } else {
            network + 8..network + ipv6::HEADER_LEN
        };
        let udp_sum = Sum::of(&frame[addresses])
            .plus(Sum::of(&frame[transport..]))
            .plus(udp::pseudo_sum((frame.len() - transport) as u16));

        ensure!(
            frame.len() <= PATTERN_LEN,
            "a request of {} octets does not fit the generator's {PATTERN_LEN}",
            frame.len()
        );
        let frame_len = frame.len() as u16;
        frame.resize(PATTERN_LEN, 0);
        let mut words = [0; PATTERN_LEN / 8];
        for (word, octets) in words.iter_mut().zip(frame.chunks_exact(8)) {
            *word = u64::from_ne_bytes(octets.try_into()?);
        }
        let [prefix, _] = halves(LACS6);
        Ok(Request {
            pattern: Pattern {
                words,
                ipv4_sum: u64::from(ipv4_sum.fold()),
                udp_sum: u64::from(udp_sum.fold()),
                lns: match self.wrapping {
                    Wrapping::Ipv6 => halves(LNS6),
                    _ => [u64::from(u32::from_ne_bytes(LNS.octets())), 0],
                },
                lac_prefix: prefix,
            },
            network: network as u8,
            ip_version,
            frame_len,
            tunnel_id_at: tunnel_id_at as u16,
        })
    }
}

/// The SCCRQ as xl2tpd sends it, from a LAC whose name makes the frame 144 octets long.
fn message(tunnel_id: u16) -> ControlMessage {
    let optional = |attribute, value: &[u8]| Avp {
        mandatory: false,
        ..Avp::new(attribute, value)
    };
    let avps = vec![
        Avp::new(attribute::MESSAGE_TYPE, message_types::SCCRQ.to_be_bytes()),
        Avp::new(attribute::PROTOCOL_VERSION, [1, 0]),
        Avp::new(attribute::FRAMING_CAPABILITIES, [0, 0, 0, 3]),
        Avp::new(BEARER_CAPABILITIES, [0, 0, 0, 0]),
        optional(FIRMWARE_REVISION, &[0x06, 0x90]),
        Avp::new(attribute::HOST_NAME, "lac-1"),
        optional(VENDOR_NAME, b"xelerance.com"),
        Avp::new(attribute::ASSIGNED_TUNNEL_ID, tunnel_id.to_be_bytes()),
        Avp::new(attribute::RECEIVE_WINDOW_SIZE, [0, 4]),
    ];
    ControlMessage {
        tunnel_id: 0,
        session_id: 0,
        ns: 0,
        nr: 0,
        avps,
    }
}

/// An address as two words in memory order.
fn halves(address: Ipv6Addr) -> [u64; 2] {
    let octets = address.octets();
    let word = |at: usize| octets[at..].first_chunk().copied().unwrap_or_default();
    [u64::from_ne_bytes(word(0)), u64::from_ne_bytes(word(8))]
}
