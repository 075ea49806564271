//! Ethernet frames around a UDP datagram: VLAN tags, IPv4 and IPv6, and their checksums.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use anyhow::{Context as _, Result, bail, ensure};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;
const UDP: u8 = 17;

/// The length of two addresses, where the tags of a frame start.
pub(super) const ADDRESSES: usize = 12;

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The EtherType that announces it.
    pub protocol: u16,
    /// Priority, drop eligibility and VLAN id.
    pub control: u16,
}

impl Tag {
    /// An 802.1Q tag for VLAN `id`.
    pub fn c(id: u16) -> Self {
        Self {
            protocol: 0x8100,
            control: id,
        }
    }

    /// An 802.1ad tag for VLAN `id`, the outer one of QinQ.
    pub fn s(id: u16) -> Self {
        Self {
            protocol: 0x88A8,
            control: id,
        }
    }
}

/// What was found of a UDP checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// None was sent, which only IPv4 allows.
    Absent,
    /// It fits.
    Right,
    /// It does not fit; so it looks as well while an offload has not finished it.
    Wrong,
}

/// A UDP datagram and the way it is wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The MAC address of the sender.
    pub source_mac: Mac,
    /// The MAC address of the receiver.
    pub destination_mac: Mac,
    /// VLAN tags, the outer one first.
    pub tags: Vec<Tag>,
    /// IP address and port of the sender.
    pub source: SocketAddr,
    /// IP address and port of the receiver.
    pub destination: SocketAddr,
    /// What was found of its checksum; [`Datagram::frame`] writes a right one unless it is absent.
    pub checksum: Checksum,
    /// The content.
    pub payload: Vec<u8>,
}

impl Datagram {
    /// The frame to send, without padding. Panics where the two addresses are not of one version.
    pub fn frame(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(self.destination_mac.0);
        frame.extend(self.source_mac.0);
        for tag in &self.tags {
            frame.extend(tag.protocol.to_be_bytes());
            frame.extend(tag.control.to_be_bytes());
        }
        let udp = self.udp();
        let length = udp.len() as u16;
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend(IPV4.to_be_bytes());
                frame.extend(ipv4_header(source, destination, length));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend(IPV6.to_be_bytes());
                frame.extend([0x60, 0, 0, 0]);
                frame.extend(length.to_be_bytes());
                frame.extend([UDP, 64]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            _ => panic!(
                "{} and {} are not of one version",
                self.source, self.destination
            ),
        }
        frame.extend(udp);
        frame
    }

    /// The datagram that answers this one with `payload`, the same way back.
    pub fn reply(&self, payload: Vec<u8>) -> Self {
        Self {
            source_mac: self.destination_mac,
            destination_mac: self.source_mac,
            tags: self.tags.clone(),
            source: self.destination,
            destination: self.source,
            checksum: Checksum::Right,
            payload,
        }
    }

    fn udp(&self) -> Vec<u8> {
        let length = u16::try_from(8 + self.payload.len()).expect("a datagram of at most 65,535");
        let mut udp = Vec::new();
        udp.extend(self.source.port().to_be_bytes());
        udp.extend(self.destination.port().to_be_bytes());
        udp.extend(length.to_be_bytes());
        udp.extend([0, 0]);
        udp.extend(&self.payload);
        if self.checksum != Checksum::Absent {
            let sum = !self.udp_sum(&udp);
            let sent = if sum == 0 { 0xFFFF } else { sum };
            udp[6..8].copy_from_slice(&sent.to_be_bytes());
        }
        udp
    }

    /// The sum over the pseudo header and `udp`, which is 0xFFFF where its checksum fits.
    fn udp_sum(&self, udp: &[u8]) -> u16 {
        let mut bytes = Vec::new();
        for address in [self.source.ip(), self.destination.ip()] {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        bytes.extend([0, UDP]);
        bytes.extend((udp.len() as u16).to_be_bytes());
        bytes.extend(udp);
        sum(&bytes)
    }

    /// Reads a frame. Padding after the IP packet is ignored; a wrong IPv4 header checksum, an IP
    /// fragment and lengths that do not fit are errors, and so is anything that is not UDP.
    pub fn parse(frame: &[u8]) -> Result<Self> {
        let (destination_mac, rest) = take(frame)?;
        let (source_mac, mut rest) = take(rest)?;
        let mut tags = Vec::new();
        let kind = loop {
            let (kind, after) = number(rest)?;
            rest = after;
            if !matches!(kind, 0x8100 | 0x88A8 | 0x9100 | 0x9200) {
                break kind;
            }
            let (control, after) = number(rest)?;
            rest = after;
            tags.push(Tag {
                protocol: kind,
                control,
            });
        };
        let (source, destination, udp) = match kind {
            IPV4 => parse_ipv4(rest)?,
            IPV6 => parse_ipv6(rest)?,
            _ => bail!("EtherType {kind:#06x} is not IP"),
        };
        let (source_port, rest) = number(udp)?;
        let (destination_port, rest) = number(rest)?;
        let (length, rest) = number(rest)?;
        let (checksum, payload) = number(rest)?;
        ensure!(
            usize::from(length) == udp.len(),
            "the UDP length is {length}, the IP packet holds {}",
            udp.len()
        );
        let mut datagram = Self {
            source_mac: Mac(source_mac),
            destination_mac: Mac(destination_mac),
            tags,
            source: SocketAddr::new(source, source_port),
            destination: SocketAddr::new(destination, destination_port),
            checksum: Checksum::Absent,
            payload: payload.to_vec(),
        };
        if checksum != 0 {
            let fits = datagram.udp_sum(udp) == 0xFFFF;
            datagram.checksum = if fits {
                Checksum::Right
            } else {
                Checksum::Wrong
            };
        } else if source.is_ipv6() {
            datagram.checksum = Checksum::Wrong;
        }
        Ok(datagram)
    }
}

/// Whether a frame carries UDP or a fragment of it, as its headers say; all else may be wrong.
pub fn is_udp(frame: &[u8]) -> bool {
    const FRAGMENT: u8 = 44;
    let mut at = 12;
    while let Some([0x81 | 0x91 | 0x92, 0x00] | [0x88, 0xA8]) = frame.get(at..at + 2) {
        at += 4;
    }
    let packet = frame.get(at + 2..).unwrap_or_default();
    let protocol = match frame.get(at..at + 2) {
        Some([0x08, 0x00]) => packet.get(9),
        Some([0x86, 0xDD]) if packet.get(6) == Some(&FRAGMENT) => packet.get(40),
        Some([0x86, 0xDD]) => packet.get(6),
        _ => None,
    };
    protocol == Some(&UDP)
}

fn ipv4_header(source: Ipv4Addr, destination: Ipv4Addr, content: u16) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + content).to_be_bytes());
    // Identification 0, do not fragment, TTL 64, and a checksum yet to come.
    header.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
    header.extend(source.octets());
    header.extend(destination.octets());
    let checksum = !sum(&header);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

fn parse_ipv4(packet: &[u8]) -> Result<(IpAddr, IpAddr, &[u8])> {
    let header = packet.get(..20).context("the IPv4 header is cut short")?;
    let header_length = usize::from(header[0] & 0x0F) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    ensure!(
        header[0] >> 4 == 4 && header_length >= 20,
        "not an IPv4 header"
    );
    let whole = packet
        .get(..header_length)
        .context("the IPv4 header is cut short")?;
    ensure!(sum(whole) == 0xFFFF, "the IPv4 header checksum is wrong");
    ensure!(header[6] & 0x3F == 0 && header[7] == 0, "an IPv4 fragment");
    ensure!(header[9] == UDP, "IPv4 protocol {} is not UDP", header[9]);
    let content = packet.get(header_length..total).with_context(|| {
        format!(
            "the IPv4 length is {total}, the frame holds {}",
            packet.len()
        )
    })?;
    let (source, rest) = take::<4>(&header[12..])?;
    let (destination, _) = take::<4>(rest)?;
    Ok((source.into(), destination.into(), content))
}

fn parse_ipv6(packet: &[u8]) -> Result<(IpAddr, IpAddr, &[u8])> {
    let header = packet.get(..40).context("the IPv6 header is cut short")?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    ensure!(header[0] >> 4 == 6, "not an IPv6 header");
    ensure!(
        header[6] == UDP,
        "IPv6 next header {} is not UDP",
        header[6]
    );
    let content = packet.get(40..40 + length).with_context(|| {
        format!(
            "the IPv6 length is {length}, the frame holds {}",
            packet.len()
        )
    })?;
    let (source, rest) = take::<16>(&header[8..])?;
    let (destination, _) = take::<16>(rest)?;
    Ok((
        Ipv6Addr::from(source).into(),
        Ipv6Addr::from(destination).into(),
        content,
    ))
}

/// The one's complement sum of 16-bit words.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| {
        let low = word.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([word[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8])> {
    let (taken, rest) = bytes
        .split_first_chunk()
        .context("the frame is cut short")?;
    Ok((*taken, rest))
}

fn number(bytes: &[u8]) -> Result<(u16, &[u8])> {
    let (number, rest) = take(bytes)?;
    Ok((u16::from_be_bytes(number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A padded frame. Its two checksums were computed by another implementation.
    const CAPTURED: &[u8] = &[
        0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
        0x45, 0x00, 0x00, 0x1E, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x26, 0xCD, // IPv4
        0x0A, 0x00, 0x00, 0x01, 0x0A, 0x00, 0x00, 0x02, //
        0x10, 0x00, 0x06, 0xA5, 0x00, 0x0A, 0x74, 0x31, // UDP
        0x61, 0x01, 0, 0, 0, 0, // payload, padding
    ];

    fn datagram(source: &str, destination: &str) -> Datagram {
        Datagram {
            source_mac: Mac([2, 0, 0, 0, 0, 1]),
            destination_mac: Mac([2, 0, 0, 0, 0, 2]),
            tags: vec![Tag::s(100), Tag::c(7)],
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            checksum: Checksum::Right,
            payload: vec![0x61, 0x01, 0x02],
        }
    }

    #[test]
    fn reads_a_padded_frame() {
        let read = Datagram::parse(CAPTURED).unwrap();
        assert_eq!(read.source, "10.0.0.1:4096".parse().unwrap());
        assert_eq!(read.destination, "10.0.0.2:1701".parse().unwrap());
        assert_eq!(
            (read.checksum, read.payload.as_slice()),
            (Checksum::Right, &[0x61, 1][..])
        );
    }

    #[test]
    fn sees_wrong_sums() {
        let mut frame = CAPTURED.to_vec();
        frame[42] ^= 1;
        assert_eq!(Datagram::parse(&frame).unwrap().checksum, Checksum::Wrong);
        frame[22] ^= 1;
        assert!(Datagram::parse(&frame).is_err());
    }

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for (source, destination) in [
            ("10.0.0.1:4096", "10.0.0.2:1701"),
            ("[2001:db8::1]:1701", "[2001:db8::2]:1701"),
        ] {
            let written = datagram(source, destination);
            assert_eq!(Datagram::parse(&written.frame()).unwrap(), written);
        }
        let mut bare = datagram("10.0.0.1:1", "10.0.0.2:2");
        bare.checksum = Checksum::Absent;
        assert_eq!(Datagram::parse(&bare.frame()).unwrap(), bare);
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_an_error() {
        for source in ["10.0.0.1:1", "[::1]:1"] {
            let frame = datagram(source, source).frame();
            for end in 0..frame.len() {
                assert!(Datagram::parse(&frame[..end]).is_err(), "cut at {end}");
            }
        }
    }
}
