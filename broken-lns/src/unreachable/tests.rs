use proptest::prelude::*;

use super::*;

/// To the box from the LAC, in reverse to the LAC from the box.
const THERE: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const BACK: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

/// An SCCRQ from 10.0.0.1:1025 to 192.0.2.1, tunnel id 7.
const REQUEST_V4: [u8; 56] = [
    0x45, 0, 0, 56, 0, 0, 0x40, 0, 64, 17, 0x6e, 0xb3, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
    0x04, 0x01, 0x06, 0xa5, 0, 36, 0, 0, // UDP
    0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 3, 0, 0, // L2TP
    0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type: SCCRQ
    0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID: 7
];

/// The same from 2001:db8::1 to 2001:db8:1::2.
const REQUEST_V6: [u8; 76] = [
    0x60, 0, 0, 0, 0, 36, 17, 64, // IPv6
    0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, // source
    0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, // destination
    0x04, 0x01, 0x06, 0xa5, 0, 36, 0x12, 0x34, // UDP
    0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 3, 0, 0, // L2TP
    0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type: SCCRQ
    0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID: 7
];

const PORT: Unreachable = Unreachable {
    code: UnreachableCode::Port,
    from_address: None,
};

fn sccrq(version: IpVersion, network: usize) -> Sccrq {
    Sccrq {
        network: network as u16,
        version,
        lac_port: 1025,
        tunnel_id: 7,
        ns: 3,
    }
}

/// The answer to a request of that version behind an Ethernet header with these tags.
fn answer(
    unreachable: Unreachable,
    version: IpVersion,
    tags: &[u8],
    packet: &[u8],
) -> Result<Vec<u8>, UnreachableError> {
    let request = [&THERE, tags, packet].concat();
    let mut frame = [0xa5; 2048];
    let sccrq = sccrq(version, THERE.len() + tags.len());
    let len = unreachable.write(&request, &sccrq, &mut frame)?;
    Ok(frame[..len].to_vec())
}

#[test]
fn ipv4_octet_by_octet() {
    let from = |octets: [u8; 4]| Some(IpAddr::from(octets));
    let lns = ([192, 0, 2, 1], [0x6d, 0xe7]);
    let router = ([198, 51, 100, 9], [0x05, 0xac]);
    for (code, from_address, (source, ip_checksum), icmp) in [
        (UnreachableCode::Port, None, lns, [3, 3, 0x29, 0xef]),
        (UnreachableCode::Host, None, lns, [3, 1, 0x29, 0xf1]),
        (UnreachableCode::Network, None, lns, [3, 0, 0x29, 0xf2]),
        (
            UnreachableCode::AdminProhibited,
            None,
            lns,
            [3, 13, 0x29, 0xe5],
        ),
        (
            UnreachableCode::Port,
            from([198, 51, 100, 9]),
            router,
            [3, 3, 0x29, 0xef],
        ),
        // Of the other family, so that the LNS sends it after all.
        (
            UnreachableCode::Port,
            Some(IpAddr::from([1; 16])),
            lns,
            [3, 3, 0x29, 0xef],
        ),
    ] {
        let unreachable = Unreachable { code, from_address };
        let expected = [
            &BACK[..],
            &[0x08, 0x00],
            &[0x45, 0xc0, 0, 84, 0, 0, 0x40, 0, 64, 1],
            &ip_checksum,
            &source,
            &[10, 0, 0, 1],
            &icmp,
            &[0, 0, 0, 0],
            &REQUEST_V4,
        ];
        assert_eq!(
            answer(unreachable, IpVersion::V4, &[0x08, 0x00], &REQUEST_V4),
            Ok(expected.concat()),
            "{unreachable:?}"
        );
    }
}

#[test]
fn ipv6_octet_by_octet() {
    let lns = [0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let router = [
        0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe,
    ];
    let from = |octets: [u8; 16]| Some(IpAddr::from(octets));
    for (code, from_address, source, icmp) in [
        (UnreachableCode::Port, None, lns, [1, 4, 0xf0, 0xda]),
        (UnreachableCode::Host, None, lns, [1, 3, 0xf0, 0xdb]),
        (UnreachableCode::Network, None, lns, [1, 0, 0xf0, 0xde]),
        (
            UnreachableCode::AdminProhibited,
            None,
            lns,
            [1, 1, 0xf0, 0xdd],
        ),
        (
            UnreachableCode::Port,
            from(router),
            router,
            [1, 4, 0xef, 0xdf],
        ),
        (
            UnreachableCode::Port,
            Some(IpAddr::from([1; 4])),
            lns,
            [1, 4, 0xf0, 0xda],
        ),
    ] {
        let unreachable = Unreachable { code, from_address };
        let expected = [
            &BACK[..],
            &[0x86, 0xdd],
            &[0x60, 0, 0, 0, 0, 84, 58, 64],
            &source,
            &[0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
            &icmp,
            &[0, 0, 0, 0],
            &REQUEST_V6,
        ];
        assert_eq!(
            answer(unreachable, IpVersion::V6, &[0x86, 0xdd], &REQUEST_V6),
            Ok(expected.concat()),
            "{unreachable:?}"
        );
    }
}

#[test]
fn tags_are_kept() {
    for tags in [
        &[0x81, 0x00, 0x20, 0xc8, 0x08, 0x00][..],
        &[0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x20, 0xc8, 0x08, 0x00],
    ] {
        let expected = [
            &BACK,
            tags,
            &[0x45, 0xc0, 0, 84, 0, 0, 0x40, 0, 64, 1, 0x6d, 0xe7],
            &[192, 0, 2, 1, 10, 0, 0, 1],
            &[3, 3, 0x29, 0xef, 0, 0, 0, 0],
            &REQUEST_V4,
        ];
        let answer = answer(PORT, IpVersion::V4, tags, &REQUEST_V4);
        assert_eq!(answer, Ok(expected.concat()));
    }
}

/// A request with so many octets behind its UDP header and message.
fn long(version: IpVersion, octets: usize) -> Vec<u8> {
    let mut request = match version {
        IpVersion::V4 => REQUEST_V4.to_vec(),
        IpVersion::V6 => REQUEST_V6.to_vec(),
    };
    request.resize(request.len() + octets, 0xa5);
    let (at, len) = match version {
        IpVersion::V4 => (2, request.len()),
        IpVersion::V6 => (4, request.len() - 40),
    };
    request[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
    request
}

/// Folds to 0xffff over octets with a right checksum in them.
fn folded(octets: &[u8]) -> u16 {
    Sum::of(octets).fold()
}

#[test]
fn as_much_is_quoted_as_fits() {
    for (version, ethertype, octets, expected) in [
        (IpVersion::V4, [0x08, 0x00], 491, 575),
        (IpVersion::V4, [0x08, 0x00], 492, 576),
        (IpVersion::V4, [0x08, 0x00], 493, 576),
        (IpVersion::V4, [0x08, 0x00], 1400, 576),
        (IpVersion::V6, [0x86, 0xdd], 1155, 1279),
        (IpVersion::V6, [0x86, 0xdd], 1156, 1280),
        (IpVersion::V6, [0x86, 0xdd], 1157, 1280),
    ] {
        let request = long(version, octets);
        let answer = answer(PORT, version, &ethertype, &request).expect("fits");
        let packet = &answer[14..];
        assert_eq!(packet.len(), expected, "{octets}");
        let (header, icmp) = packet.split_at(match version {
            IpVersion::V4 => 20,
            IpVersion::V6 => 40,
        });
        assert_eq!(&icmp[8..], &request[..icmp.len() - 8]);
        match version {
            IpVersion::V4 => {
                assert_eq!(header[2..4], (expected as u16).to_be_bytes());
                assert_eq!((folded(header), folded(icmp)), (0xffff, 0xffff));
            }
            IpVersion::V6 => {
                assert_eq!(header[4..6], (icmp.len() as u16).to_be_bytes());
                let pseudo_header = [&header[8..], &header[4..6], &[0, 58]].concat();
                assert_eq!(folded(&[&pseudo_header, icmp].concat()), 0xffff);
            }
        }
    }
}

#[test]
fn options_are_quoted_and_padding_is_not() {
    let mut request = REQUEST_V4.to_vec();
    request.splice(20..20, [1, 1, 1, 0]);
    request[0] = 0x46;
    request[3] = 60;
    let padded = [&request[..], &[0; 20]].concat();
    let answer = answer(PORT, IpVersion::V4, &[0x08, 0x00], &padded).expect("fits");
    assert_eq!(answer[42..], request);
}

#[test]
fn nobody_is_answered_who_is_not_one_host() {
    for (lac, lns) in [
        ([0, 0, 0, 0], [192, 0, 2, 1]),
        ([224, 0, 0, 1], [192, 0, 2, 1]),
        ([255, 255, 255, 255], [192, 0, 2, 1]),
        ([10, 0, 0, 1], [224, 0, 0, 1]),
        ([10, 0, 0, 1], [255, 255, 255, 255]),
    ] {
        let mut request = REQUEST_V4;
        request[12..16].copy_from_slice(&lac);
        request[16..20].copy_from_slice(&lns);
        let answer = answer(PORT, IpVersion::V4, &[0x08, 0x00], &request);
        assert_eq!(answer, Err(UnreachableError::NotUnicast));
    }
    for (at, octets) in [(8, [0; 16]), (8, [0xff; 16]), (24, [0xff; 16])] {
        let mut request = REQUEST_V6;
        request[at..at + 16].copy_from_slice(&octets);
        let answer = answer(PORT, IpVersion::V6, &[0x86, 0xdd], &request);
        assert_eq!(answer, Err(UnreachableError::NotUnicast));
    }
}

#[test]
fn a_request_may_end_anywhere() {
    for (version, ethertype, packet) in [
        (IpVersion::V4, [0x08, 0x00], &REQUEST_V4[..]),
        (IpVersion::V6, [0x86, 0xdd], &REQUEST_V6),
    ] {
        for len in 0..packet.len() {
            let answer = answer(PORT, version, &ethertype, &packet[..len]);
            assert_eq!(answer, Err(UnreachableError::Truncated), "{len} octets");
        }
    }
    for (len, network) in [(0, 14), (13, 14), (70, 71), (70, 4)] {
        let mut frame = [0; 2048];
        let sccrq = sccrq(IpVersion::V4, network);
        let written = PORT.write(&[0; 70][..len], &sccrq, &mut frame);
        assert_eq!(written, Err(UnreachableError::Truncated));
    }
}

#[test]
fn a_buffer_may_be_too_short() {
    let request = [&THERE[..], &[0x08, 0x00], &REQUEST_V4].concat();
    let sccrq = sccrq(IpVersion::V4, 14);
    let mut frame = [0; 98];
    for len in 0..98 {
        let written = PORT.write(&request, &sccrq, &mut frame[..len]);
        assert_eq!(written, Err(UnreachableError::NoRoom), "{len} octets");
    }
    assert_eq!(PORT.write(&request, &sccrq, &mut frame), Ok(98));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn any_octets_are_answered_within_bounds(
        request in prop::collection::vec(any::<u8>(), 0..1500),
        v4: bool,
        network in 0usize..64,
        room in 0usize..2048,
    ) {
        let (version, bound) = if v4 { (IpVersion::V4, 576) } else { (IpVersion::V6, 1280) };
        let mut frame = vec![0; room];
        if let Ok(len) = PORT.write(&request, &sccrq(version, network), &mut frame) {
            prop_assert!(len <= room && len <= network + bound);
        }
    }
}
