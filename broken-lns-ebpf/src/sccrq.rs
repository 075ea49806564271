//! From a frame to the SCCRQ in it, or to the verdict on why there is none.
//!
//! This is the one parser: the kernel half and the workers both run it. It
//! walks the whole message, so that every malformed frame has its verdict.

use crate::answerable;
use crate::frame::{Frame, Place};
use crate::layers::{Datagram, IpVersion, Layers};
use crate::twist::OTHER_PORT;
use crate::verdict::Verdict;
use crate::wire::checksum::Sum;
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::l2tp::{self, Avp, AvpBits, Flags, NumberAvp};
use crate::wire::{ipv4, ipv6, udp};

/// How many AVPs the kernel half walks; a worker has no such bound.
pub const KERNEL_AVP_LIMIT: u32 = 64;

/// What is answered, besides what the frame says.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The only MAC address that is answered for, or `None` for any.
    pub mac: Option<MacAddress>,
    /// Whether the checksums of a control message must be right, in UDP and in the IPv4 header.
    pub verify_checksum: bool,
    /// With more AVPs than this a frame is [`Verdict::TooManyAvps`].
    pub avp_limit: u32,
}

/// What a reply needs to know of a request, apart from what it reads again in the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sccrq {
    /// How far into the frame the network layer begins: 14, 18 or 22 octets.
    pub network: u16,
    /// Which network layer it is.
    pub version: IpVersion,
    /// The UDP port that the LAC sent from.
    pub lac_port: u16,
    /// The tunnel id that the LAC assigned, never 0.
    pub tunnel_id: u16,
    /// The sequence number of the request.
    pub ns: u16,
}

/// Finds the SCCRQ in `frame`, which may be to [`OTHER_PORT`] where `other_port` says so.
///
/// # Errors
///
/// The verdict on a frame that is none that we answer; never
/// [`Verdict::Answered`].
#[inline(always)]
pub fn parse(
    frame: Frame<'_>,
    other_port: impl FnOnce() -> bool,
    policy: impl FnOnce() -> Policy,
) -> Result<Sccrq, Verdict> {
    parse_unless(
        frame,
        other_port,
        policy,
        |_| Some(frame),
        has_right_checksum,
    )
}

/// The same, unless it is not for us.
///
/// `other_port` and `policy` are asked for only where they matter, for a datagram to that port,
/// and for one that may be for us: what passes by anyway costs the kernel half no look at its
/// settings. [`to_other_port`] tells what may be for us there. Then `look` is told where its layers begin. It gives the same
/// frame once more, if anything between these two is for us. `is_right` is
/// [`has_right_checksum`], or leads to it.
///
/// # Errors
///
/// As for [`parse`], and [`Verdict::Passed`] where `look` gives no frame.
#[inline(always)]
pub fn parse_unless<'m>(
    frame: Frame<'m>,
    other_port: impl FnOnce() -> bool,
    policy: impl FnOnce() -> Policy,
    look: impl FnOnce(Layers) -> Option<Frame<'m>>,
    is_right: impl FnOnce(Frame<'m>, &Datagram<'m>) -> bool,
) -> Result<Sccrq, Verdict> {
    let datagram = find_datagram(frame, other_port)?;
    let policy = policy();
    let header = ethernet::Header::of(frame).ok_or(Verdict::OtherTraffic)?;
    if !is_addressed(header.destination(), &policy) {
        return Err(Verdict::OtherMac);
    }
    let layers = datagram.layers.blurred(datagram.udp.len().into());
    let frame = look(datagram.layers).ok_or(Verdict::Passed)?;
    let datagram = Datagram::at(frame, layers).ok_or(Verdict::Truncated)?;

    let message = find_message(datagram.udp.payload(), datagram.room())?;
    if policy.verify_checksum && !is_right(frame, &datagram) {
        return Err(Verdict::BadChecksum);
    }
    if message.len() == l2tp::HEADER_LEN as u16 {
        return Err(Verdict::Zlb);
    }
    let sccrq = Sccrq {
        network: layers.network,
        version: layers.version,
        lac_port: datagram.udp.source_port(),
        tunnel_id: find_tunnel_id(message, policy.avp_limit)?,
        ns: message.ns(),
    };
    answerable::check(frame, layers, sccrq.lac_port)?;
    Ok(sccrq)
}

/// Where the layers of a datagram to port 1701, or to [`OTHER_PORT`], begin in `frame`, if it holds
/// one.
#[inline(always)]
pub fn layers(frame: Frame<'_>) -> Option<Layers> {
    let datagram = find_datagram(frame, || true).ok()?;
    Some(datagram.layers)
}

/// Where the layers begin of a whole control message to [`OTHER_PORT`], of the version and
/// with the flags that it must have (RFC 2661 §3.1); `None` for all else, which is other traffic.
#[inline(always)]
pub fn to_other_port(frame: Frame<'_>) -> Option<Layers> {
    let datagram = find_datagram(frame, || true).ok()?;
    if !datagram.is_to_other_port() {
        return None;
    }
    find_message(datagram.udp.payload(), datagram.room()).ok()?;
    Some(datagram.layers)
}

#[inline(always)]
fn is_addressed(destination: MacAddress, policy: &Policy) -> bool {
    match policy.mac {
        Some(own) => destination == own,
        None => !destination.is_group(),
    }
}

#[inline(always)]
fn find_datagram(
    frame: Frame<'_>,
    other_port: impl FnOnce() -> bool,
) -> Result<Datagram<'_>, Verdict> {
    let payload = ethernet::payload(frame).ok_or(Verdict::OtherTraffic)?;
    // What the network layer says of its length, and what of it is not the datagram's.
    let (version, transport, total_len, header_len) = match payload.ethertype {
        ethernet::IPV4 => {
            let ip = ipv4::Header::at(payload.place).ok_or(Verdict::OtherTraffic)?;
            let header_len = match ip.is_plain_udp() {
                true => ipv4::HEADER_LEN as u16,
                false => find_header_len(ip)?,
            };
            (
                IpVersion::V4,
                ip.skip(header_len),
                ip.total_len(),
                header_len,
            )
        }
        ethernet::IPV6 => {
            let ip = ipv6::Header::at(payload.place).ok_or(Verdict::OtherTraffic)?;
            if ip.version() != 6 {
                return Err(Verdict::OtherTraffic);
            }
            if ip.next_header() != ipv6::UDP {
                return Err(beyond_udp(ip));
            }
            (IpVersion::V6, ip.end(), ip.payload_len(), 0)
        }
        _ => return Err(Verdict::OtherTraffic),
    };

    let udp = udp::Header::at(transport).ok_or(Verdict::OtherTraffic)?;
    let port = udp.destination_port();
    if port != l2tp::PORT && !(port == OTHER_PORT && other_port()) {
        return Err(Verdict::OtherTraffic);
    }
    let len = udp.len();
    if len < udp::HEADER_LEN as u16
        || u32::from(len) + u32::from(header_len) > u32::from(total_len)
        || !udp.end().is_reached()
    {
        return Err(Verdict::Truncated);
    }
    let header_len = match version {
        IpVersion::V4 => header_len,
        IpVersion::V6 => ipv6::HEADER_LEN as u16,
    };
    let layers = Layers {
        network: payload.offset,
        version,
        transport: payload.offset + header_len,
    };
    Ok(Datagram { layers, udp })
}

/// Octets of a header that is not plain, if it is that of a whole UDP datagram all the same.
#[inline(always)]
fn find_header_len(ip: ipv4::Header<'_>) -> Result<u16, Verdict> {
    if ip.version() != 4 || ip.protocol() != ipv4::UDP {
        return Err(Verdict::OtherTraffic);
    }
    if ip.is_fragment() {
        return Err(Verdict::Fragment);
    }
    let header_len = ip.header_len();
    if header_len < ipv4::HEADER_LEN as u16 {
        return Err(Verdict::OtherTraffic);
    }
    Ok(header_len)
}

/// The verdict on an IPv6 packet whose first payload is not UDP.
#[inline(always)]
fn beyond_udp(ip: ipv6::Header<'_>) -> Verdict {
    let fragment = ip.end().window::<{ ipv6::FRAGMENT_HEADER_LEN }>();
    match fragment {
        Some(fragment)
            if ip.next_header() == ipv6::FRAGMENT && fragment.octet::<0>() == ipv6::UDP =>
        {
            Verdict::Fragment
        }
        _ => Verdict::OtherTraffic,
    }
}

/// Checks the header of the control message at `start`, in a datagram with
/// `room` octets for it.
#[inline(always)]
fn find_message(start: Place<'_>, room: u16) -> Result<l2tp::Header<'_>, Verdict> {
    match l2tp::Header::at(start) {
        Some(header) if header.flags().are_of_control_message() => {
            let len = header.len();
            if len < l2tp::HEADER_LEN as u16 || len > room {
                return Err(no_message(start, room));
            }
            Ok(header)
        }
        _ => Err(no_message(start, room)),
    }
}

/// The verdict on a datagram that holds no whole control message.
#[inline(always)]
fn no_message(start: Place<'_>, room: u16) -> Verdict {
    if room < Flags::LEN as u16 {
        return Verdict::OtherTraffic;
    }
    let Some(flags) = Flags::at(start) else {
        return Verdict::Truncated;
    };
    match flags.version() {
        2 if !flags.is_control() => Verdict::Data,
        2 if !flags.fit_control() => Verdict::BadHeader,
        2 if room < l2tp::HEADER_LEN as u16 => Verdict::ShortHeader,
        2 => match l2tp::Header::at(start) {
            Some(header) if header.len() < l2tp::HEADER_LEN as u16 => Verdict::LengthTooShort,
            _ => Verdict::LengthTooLong,
        },
        3 => Verdict::Version3,
        _ => Verdict::OtherVersion,
    }
}

/// Walks the AVPs: Message Type SCCRQ must be the first, Assigned Tunnel ID may
/// stand anywhere behind it. Of several the last counts.
#[inline(always)]
fn find_tunnel_id(message: l2tp::Header<'_>, avp_limit: u32) -> Result<u16, Verdict> {
    let end = message.end();
    // The octet before the AVP whose turn it is.
    let mut before = match NumberAvp::behind(message.last()) {
        Some(avp) if avp.is_message_type(l2tp::SCCRQ) && avp.is_before(end) => avp.last(),
        _ => return Err(no_sccrq(message.last(), end)),
    };

    // The verifier walks the loop anew for every range that its variables can
    // have. So the AVP is taken along as octets of the packet, which can have
    // any value, and is judged after the loop: noting where it stands, or a
    // branch on what it holds, would multiply the ranges with every turn.
    let mut found = 0;
    let mut left = avp_limit;
    while let Some(avp) = Avp::behind(before).filter(|avp| avp.is_before(end)) {
        if left <= 1 {
            return Err(Verdict::TooManyAvps);
        }
        left -= 1;
        if avp.len() < l2tp::AVP_HEADER_LEN as u16 {
            return Err(Verdict::ShortAvp);
        }
        if avp.is(l2tp::ASSIGNED_TUNNEL_ID) {
            let id = NumberAvp::behind(before).map_or(0, NumberAvp::value);
            found = u32::from(avp.bits().0) << 16 | u32::from(id);
        }
        before = avp.last();
    }
    if !before.is_just_before(end) {
        return Err(Verdict::TruncatedAvp);
    }

    if found == 0 {
        return Err(Verdict::NoTunnelId);
    }
    let (bits, id) = (AvpBits((found >> 16) as u16), found as u16);
    if bits.is_hidden() {
        Err(Verdict::HiddenTunnelId)
    } else if bits.len() != l2tp::NUMBER_AVP_LEN as u16 {
        Err(Verdict::BadTunnelId)
    } else if id == 0 {
        Err(Verdict::ZeroTunnelId)
    } else {
        Ok(id)
    }
}

/// The verdict on a message whose AVPs, from behind the octet at `before` to
/// `end`, do not begin with Message Type SCCRQ.
#[inline(always)]
fn no_sccrq(before: Place<'_>, end: Place<'_>) -> Verdict {
    let Some(avp) = Avp::behind(before).filter(|avp| avp.is_before(end)) else {
        return Verdict::TruncatedAvp;
    };
    if avp.len() < l2tp::AVP_HEADER_LEN as u16 {
        return Verdict::ShortAvp;
    }
    if avp.last() >= end {
        return Verdict::TruncatedAvp;
    }
    let Some(avp) = NumberAvp::behind(before) else {
        return Verdict::NoMessageType;
    };
    if avp.is_message_type(l2tp::SCCRP) {
        Verdict::Sccrp
    } else if avp.is_message_type(l2tp::STOP_CCN) {
        Verdict::StopCcn
    } else if avp.is_message_type(avp.value()) {
        Verdict::OtherMessage
    } else {
        Verdict::NoMessageType
    }
}

/// Whether the UDP checksum is right, and that of an IPv4 header. Over IPv4 that of UDP may be left
/// out (RFC 768), over IPv6 it must be there (RFC 8200 §8.1).
#[inline(always)]
pub fn has_right_checksum(frame: Frame<'_>, datagram: &Datagram<'_>) -> bool {
    let udp = datagram.udp;
    let Layers {
        network,
        version,
        transport,
    } = datagram.layers;
    if version == IpVersion::V4 {
        let header_len = usize::from(transport.saturating_sub(network));
        let sum = Sum::over(frame, network.into(), header_len);
        if sum.is_none_or(|sum| sum.fold() != 0xffff) {
            return false;
        }
    }
    if udp.checksum() == 0 {
        return version == IpVersion::V4;
    }
    let network = frame.place(network);
    let addresses = match version {
        IpVersion::V4 => ipv4::Header::at(network).map(ipv4::Header::address_sum),
        IpVersion::V6 => ipv6::Header::at(network).map(ipv6::Header::address_sum),
    };
    let sum = addresses.and_then(|addresses| {
        let octets = Sum::over(frame, transport.into(), usize::from(udp.len()))?;
        Some(udp::pseudo_sum(udp.len()).plus(addresses).plus(octets))
    });
    sum.is_some_and(|sum| sum.fold() == 0xffff)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// From 10.0.0.1:1025 to 192.0.2.1, Ns 3, tunnel id 7, without a UDP checksum.
    const BYTES: [u8; 70] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 56, 0, 0, 0x40, 0, 64, 17, 0x6e, 0xb3, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
        0x04, 0x01, 0x06, 0xa5, 0, 36, 0, 0, // UDP
        0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 3, 0, 0, // L2TP
        0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type: SCCRQ
        0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID: 7
    ];

    const POLICY: Policy = Policy {
        mac: Some(MacAddress::new([2, 0, 0, 0, 0, 1])),
        verify_checksum: false,
        avp_limit: KERNEL_AVP_LIMIT,
    };

    const ANY: Policy = Policy {
        mac: None,
        verify_checksum: true,
        avp_limit: u32::MAX,
    };

    fn parsed(bytes: &[u8], policy: &Policy) -> Result<Sccrq, Verdict> {
        parsed_at(false, bytes, policy)
    }

    fn parsed_at(other_port: bool, bytes: &[u8], policy: &Policy) -> Result<Sccrq, Verdict> {
        let mut copy = bytes.to_vec();
        let frame = Frame::new(&mut copy);
        parse(frame, || other_port, || *policy)
    }

    #[test]
    fn a_request_is_parsed() {
        let expected = Sccrq {
            network: 14,
            version: IpVersion::V4,
            lac_port: 1025,
            tunnel_id: 7,
            ns: 3,
        };
        assert_eq!(parsed(&BYTES, &POLICY), Ok(expected));
        assert_eq!(parsed(&BYTES, &ANY), Ok(expected));
    }

    #[test]
    fn a_frame_may_end_anywhere() {
        for length in 0..BYTES.len() {
            let verdict = parsed(&BYTES[..length], &POLICY).unwrap_err();
            // Until the UDP header is there, nobody can say that it is for port 1701.
            let expected = if length < 42 {
                Verdict::OtherTraffic
            } else {
                Verdict::Truncated
            };
            assert_eq!(verdict, expected, "{length} octets");
        }
    }

    #[test]
    fn the_policy_decides() {
        let to_other = Policy {
            mac: Some(MacAddress::new([2, 0, 0, 0, 0, 9])),
            ..POLICY
        };
        assert_eq!(parsed(&BYTES, &to_other), Err(Verdict::OtherMac));
        let mut group = BYTES;
        group[0] |= 1;
        assert_eq!(parsed(&group, &ANY), Err(Verdict::OtherMac));
        let two_avps = |avp_limit| Policy {
            avp_limit,
            ..POLICY
        };
        assert!(parsed(&BYTES, &two_avps(2)).is_ok());
        assert_eq!(parsed(&BYTES, &two_avps(1)), Err(Verdict::TooManyAvps));
        let mut wrong = BYTES;
        wrong[41] = 1;
        assert!(parsed(&wrong, &POLICY).is_ok());
        assert_eq!(parsed(&wrong, &ANY), Err(Verdict::BadChecksum));
        for at in [24, 25] {
            let mut wrong = BYTES;
            wrong[at] ^= 1;
            assert!(parsed(&wrong, &POLICY).is_ok());
            assert_eq!(parsed(&wrong, &ANY), Err(Verdict::BadChecksum));
        }
    }

    #[test]
    fn what_nobody_may_answer_is_told_last() {
        use Verdict::{BadDestination, BadSource, NoTunnelId, TooManyAvps, ZeroTtl};
        let changed = |changes: &[(usize, u8)]| {
            let mut bytes = BYTES;
            for (at, octet) in changes {
                bytes[*at] = *octet;
            }
            bytes
        };
        let (source, destination, ttl) = ((26, 127), (30, 239), (22, 0));
        let no_tunnel_id = (67, 10);
        for (changes, expected) in [
            (&[source][..], BadSource),
            (&[destination], BadDestination),
            (&[ttl], ZeroTtl),
            (&[source, destination, ttl], BadSource),
            (&[destination, ttl], BadDestination),
            (&[(6, 3)], BadSource),
            (&[(11, 1)], BadSource),
            (&[(34, 0), (35, 0)], BadSource),
            (&[source, no_tunnel_id], NoTunnelId),
        ] {
            let bytes = changed(changes);
            assert_eq!(parsed(&bytes, &POLICY), Err(expected), "{changes:?}");
            let one_avp = Policy {
                avp_limit: 1,
                ..POLICY
            };
            assert_eq!(parsed(&bytes, &one_avp), Err(TooManyAvps), "{changes:?}");
        }
    }

    #[test]
    fn to_the_other_port_only_whole_control_messages_are_for_us() {
        use Verdict::{
            BadHeader, Data, LengthTooLong, LengthTooShort, OtherMac, OtherTraffic, OtherVersion,
            StopCcn, Truncated, TruncatedAvp, Version3, Zlb,
        };
        let to = |port: u16, at: usize, octet: u8| {
            let mut bytes = BYTES;
            bytes[36..38].copy_from_slice(&port.to_be_bytes());
            bytes[at] = octet;
            bytes
        };
        let is_for_us = |bytes: &[u8]| to_other_port(Frame::new(&mut bytes.to_vec())).is_some();
        for (at, octet, expected, is_whole) in [
            (47, 1, None, true),
            (61, 4, Some(StopCcn), true),
            (45, 12, Some(Zlb), true),
            (63, 7, Some(TruncatedAvp), true),
            (5, 9, Some(OtherMac), true),
            (42, 0x48, Some(Data), false),
            (42, 0xc0, Some(BadHeader), false),
            (43, 3, Some(Version3), false),
            (43, 1, Some(OtherVersion), false),
            (45, 29, Some(LengthTooLong), false),
            (45, 11, Some(LengthTooShort), false),
            (39, 37, Some(Truncated), false),
        ] {
            for (port, open, verdict) in [
                (l2tp::PORT, true, expected),
                (OTHER_PORT, true, expected),
                (OTHER_PORT, false, Some(OtherTraffic)),
                (l2tp::PORT - 1, true, Some(OtherTraffic)),
                (OTHER_PORT + 1, true, Some(OtherTraffic)),
            ] {
                let bytes = to(port, at, octet);
                let parsed = parsed_at(open, &bytes, &POLICY).err();
                assert_eq!(parsed, verdict, "{at} to {port}, {open}");
                let is_expected = is_whole && port == OTHER_PORT;
                assert_eq!(is_for_us(&bytes), is_expected, "{at} to {port}");
            }
        }
        for len in 0..BYTES.len() {
            assert!(!is_for_us(&to(OTHER_PORT, 0, 2)[..len]), "{len}");
        }
    }

    /// Frames that come far: the request above with a few octets changed, cut or added.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let changes = prop::collection::vec((0..BYTES.len(), any::<u8>()), 0..6);
        let end = prop_oneof![Just(None), (0..BYTES.len()).prop_map(Some)];
        let tail = prop::collection::vec(any::<u8>(), 0..40);
        (changes, end, tail).prop_map(|(changes, end, tail)| {
            let mut bytes = BYTES.to_vec();
            for (at, octet) in changes {
                bytes[at] = octet;
            }
            bytes.truncate(end.unwrap_or(BYTES.len()));
            bytes.extend(tail);
            bytes
        })
    }

    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![damaged(), prop::collection::vec(any::<u8>(), 0..300)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 50 } else { 20_000 }))]

        #[test]
        fn any_bytes_have_a_verdict_and_stay_as_they_are(bytes in any_bytes()) {
            for policy in [POLICY, ANY] {
                let mut copy = bytes.clone();
                let frame = Frame::new(&mut copy);
                match parse(frame, || true, || policy) {
                    Ok(sccrq) => prop_assert_ne!(sccrq.tunnel_id, 0),
                    Err(verdict) => prop_assert_ne!(verdict, Verdict::Answered),
                }
                prop_assert_eq!(&copy, &bytes);
            }
        }

        #[test]
        fn what_lies_behind_the_frame_is_never_read(bytes in any_bytes(), behind: [u8; 64]) {
            let whole = |tail: &[u8]| {
                let mut memory = bytes.clone();
                memory.extend(tail);
                let frame = Frame::new(&mut memory[..bytes.len()]);
                parse(frame, || true, || ANY)
            };
            prop_assert_eq!(whole(&behind), whole(&behind.map(|octet| !octet)));
        }
    }
}
