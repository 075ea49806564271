//! Frames, each with the verdict and the reply that are due.
//!
//! The first is what a real LAC sent (xl2tpd 1.3.18), with its reply octet by
//! octet. The others are variations of it; their replies are built by the lab's
//! own code, which shares nothing with the product's.

use std::net::SocketAddr;

use broken_lns_ebpf::template::{StopCcn, Template};
use broken_lns_ebpf::verdict::Verdict;
use xtask::lab::{Avp, Checksum, ControlMessage, Datagram, Mac, Tag, attribute, message_type};

use crate::halves::OWN_MAC;

/// A frame, and what has to become of it.
pub(crate) struct Fixture {
    pub(crate) description: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) verdict: Verdict,
    /// The frame that is sent back.
    pub(crate) reply: Option<Vec<u8>>,
}

/// What a StopCCN says.
pub(crate) struct Reply {
    pub(crate) result: u16,
    pub(crate) error: Option<(u16, &'static str)>,
    pub(crate) assigned_tunnel_id: u16,
}

/// Replies of every shape: with and without error and message, of odd and even length.
pub(crate) const REPLIES: &[Reply] = &[
    Reply {
        result: 0,
        error: Some((4, "Internal error")),
        assigned_tunnel_id: 12345,
    },
    Reply {
        result: 1,
        error: None,
        assigned_tunnel_id: 1,
    },
    Reply {
        result: 65535,
        error: Some((65535, "")),
        assigned_tunnel_id: 65535,
    },
    Reply {
        result: 2,
        error: Some((6, "überlastet: 3 Versuche")),
        assigned_tunnel_id: 7,
    },
];

/// An SCCRQ from 10.77.0.1 to 10.77.0.2, tunnel id 0x325a, as it was captured.
const CAPTURED: [u8; 141] = [
    0x6e, 0xd6, 0xbf, 0x94, 0xa7, 0x91, 0x92, 0xcb, 0xee, 0x0d, 0x91, 0x2b, 0x08, 0x00, 0x45, 0x00,
    0x00, 0x7f, 0x38, 0x51, 0x40, 0x00, 0x40, 0x11, 0xed, 0x80, 0x0a, 0x4d, 0x00, 0x01, 0x0a, 0x4d,
    0x00, 0x02, 0x06, 0xa5, 0x06, 0xa5, 0x00, 0x6b, 0x00, 0x00, 0xc8, 0x02, 0x00, 0x63, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x80, 0x08,
    0x00, 0x00, 0x00, 0x02, 0x01, 0x00, 0x80, 0x0a, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x03,
    0x80, 0x0a, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x06,
    0x06, 0x90, 0x80, 0x08, 0x00, 0x00, 0x00, 0x07, 0x76, 0x6d, 0x00, 0x13, 0x00, 0x00, 0x00, 0x08,
    0x78, 0x65, 0x6c, 0x65, 0x72, 0x61, 0x6e, 0x63, 0x65, 0x2e, 0x63, 0x6f, 0x6d, 0x80, 0x08, 0x00,
    0x00, 0x00, 0x09, 0x32, 0x5a, 0x80, 0x08, 0x00, 0x00, 0x00, 0x0a, 0x00, 0x04,
];

/// The default reply to it: StopCCN 0/4 "Internal error", tunnel id 12345.
const CAPTURED_REPLY: [u8; 94] = [
    0x92, 0xcb, 0xee, 0x0d, 0x91, 0x2b, 0x6e, 0xd6, 0xbf, 0x94, 0xa7, 0x91, 0x08, 0x00, 0x45, 0x00,
    0x00, 0x50, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x26, 0x01, 0x0a, 0x4d, 0x00, 0x02, 0x0a, 0x4d,
    0x00, 0x01, 0x06, 0xa5, 0x06, 0xa5, 0x00, 0x3c, 0x9e, 0x90, 0xc8, 0x02, 0x00, 0x34, 0x32, 0x5a,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x80, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x80, 0x18,
    0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x04, 0x49, 0x6e, 0x74, 0x65, 0x72, 0x6e, 0x61, 0x6c,
    0x20, 0x65, 0x72, 0x72, 0x6f, 0x72, 0x80, 0x08, 0x00, 0x00, 0x00, 0x09, 0x30, 0x39,
];

const LAC_MAC: [u8; 6] = [0x92, 0xcb, 0xee, 0x0d, 0x91, 0x2b];
const TUNNEL_ID: u16 = 0x325a;

/// Where the parts of an untagged IPv4 frame without options begin.
const IP: usize = 14;
const UDP: usize = 34;
const L2TP: usize = 42;
const AVPS: usize = 54;

/// The request of the capture.
pub(crate) fn request() -> Vec<u8> {
    CAPTURED.to_vec()
}

/// The reply to it.
pub(crate) fn reply(reply: &Reply) -> Vec<u8> {
    answer(
        reply,
        &datagram("10.77.0.1:1701", "10.77.0.2:1701"),
        TUNNEL_ID,
        1,
    )
}

/// The same, but with another message, patched at Tunnel ID and Nr.
pub(crate) fn reply_with(mut message: Vec<u8>, tunnel_id: u16, nr: u16) -> Vec<u8> {
    message[4..6].copy_from_slice(&tunnel_id.to_be_bytes());
    message[10..12].copy_from_slice(&nr.to_be_bytes());
    let request = datagram("10.77.0.1:1701", "10.77.0.2:1701");
    wrapped(message, &request)
}

/// The request of the capture, with `count` AVPs of which the last is Assigned Tunnel ID.
pub(crate) fn request_with_avps(count: usize) -> Vec<u8> {
    let fill = Avp {
        vendor: 9,
        ..Avp::new(99, [])
    };
    let mut avps = vec![message_type_avp(message_type::SCCRQ)];
    avps.extend(std::iter::repeat_n(fill, count - 2));
    avps.push(tunnel_id_avp());
    sccrq(0, avps).frame()
}

/// All frames, with what is due when this is the reply.
pub(crate) fn fixtures(reply: &Reply) -> Vec<Fixture> {
    let mut fixtures = vec![Fixture {
        description: "the capture of a real LAC".to_owned(),
        frame: request(),
        verdict: Verdict::Answered,
        reply: Some(if reply.result == 0 {
            CAPTURED_REPLY.to_vec()
        } else {
            self::reply(reply)
        }),
    }];
    fixtures.extend(answered(reply));
    let not_answered = other_messages()
        .into_iter()
        .chain(malformed())
        .chain(unanswerable())
        .chain(passed())
        .chain(encapsulated())
        .map(|(description, frame, verdict)| Fixture {
            description: description.to_owned(),
            frame,
            verdict,
            reply: None,
        });
    fixtures.extend(not_answered);
    fixtures
}

/// Requests of every shape that is answered.
fn answered(reply: &Reply) -> Vec<Fixture> {
    let usual = || sccrq(0, vec![message_type_avp(1), tunnel_id_avp()]);
    let fixture = |description: &str, request: Datagram, frame: Vec<u8>, ns: u16| Fixture {
        description: description.to_owned(),
        frame,
        verdict: Verdict::Answered,
        reply: Some(answer(reply, &request, TUNNEL_ID, ns.wrapping_add(1))),
    };
    let whole = |description: &str, request: Datagram| {
        let frame = request.frame();
        fixture(description, request, frame, 0)
    };
    let tagged = |tags: &[Tag]| Datagram {
        tags: tags.to_vec(),
        ..usual()
    };
    let between = |source: &str, destination: &str| Datagram {
        payload: usual().payload,
        ..datagram(source, destination)
    };
    let v6 = || between("[2001:db8::1]:49152", "[2001:db8:1::7]:1701");
    let tag = |protocol, control| Tag { protocol, control };

    let mut fixtures = vec![
        whole("the shortest request", usual()),
        whole(
            "from another port",
            between("10.0.0.1:1024", "192.0.2.1:1701"),
        ),
        whole("over IPv6", v6()),
        whole("in a VLAN", tagged(&[Tag::c(4095)])),
        whole("in a service VLAN", tagged(&[Tag::s(1)])),
        whole(
            "in QinQ of two kinds of tag",
            tagged(&[Tag::s(100), Tag::c(200)]),
        ),
        whole(
            "in QinQ of one kind of tag",
            tagged(&[Tag::c(100), Tag::c(200)]),
        ),
        whole("behind a tag of 0x9100", tagged(&[tag(0x9100, 7)])),
        whole("behind a tag of 0x9200", tagged(&[tag(0x9200, 7)])),
        whole(
            "in QinQ with 0x9100 outside",
            tagged(&[tag(0x9100, 100), Tag::c(200)]),
        ),
        whole(
            "in QinQ with 0x9200 outside",
            tagged(&[tag(0x9200, 100), Tag::c(200)]),
        ),
        whole(
            "in QinQ with 0x9100 twice",
            tagged(&[tag(0x9100, 100), tag(0x9100, 200)]),
        ),
        whole(
            "over IPv6 in QinQ with 0x9100 outside",
            Datagram {
                tags: vec![tag(0x9100, 0xffff), Tag::c(200)],
                ..v6()
            },
        ),
        whole(
            "over IPv6 in QinQ",
            Datagram {
                tags: vec![Tag::s(100), Tag::c(200)],
                ..v6()
            },
        ),
        whole(
            "between the first and the last address of a host",
            between("1.0.0.0:1", "223.255.255.255:1701"),
        ),
        whole(
            "between addresses around those of the loopback",
            between("126.255.255.255:1701", "128.0.0.0:1701"),
        ),
        whole(
            "between the first and the last IPv6 address of a host",
            between(
                "[0:0:0:1::]:65535",
                "[feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:1701",
            ),
        ),
        whole(
            "between link-local addresses",
            between("[fe80::1]:1701", "[fe80::2]:1701"),
        ),
        whole(
            "without a checksum",
            Datagram {
                checksum: Checksum::Absent,
                ..usual()
            },
        ),
        whole(
            "the tunnel id behind vendor, unknown and hidden AVPs",
            sccrq(
                0,
                vec![
                    message_type_avp(1),
                    Avp {
                        vendor: 311,
                        ..Avp::new(9, [0, 1])
                    },
                    Avp::new(4711, [1, 2, 3]),
                    Avp {
                        mandatory: false,
                        ..Avp::new(36, [])
                    },
                    Avp {
                        hidden: true,
                        ..Avp::new(7, [9; 40])
                    },
                    tunnel_id_avp(),
                ],
            ),
        ),
        whole(
            "of two tunnel ids the last",
            sccrq(
                0,
                vec![message_type_avp(1), Avp::new(9, [0, 1]), tunnel_id_avp()],
            ),
        ),
    ];
    for ns in [1, 0x7fff, 0xffff] {
        let request = sccrq(ns, vec![message_type_avp(1), tunnel_id_avp()]);
        let frame = request.frame();
        fixtures.push(fixture(&format!("with Ns {ns}"), request, frame, ns));
    }
    for padding in [1, 6, 64] {
        let mut frame = usual().frame();
        frame.extend(std::iter::repeat_n(0xa5, padding));
        fixtures.push(fixture(
            &format!("with {padding} octets of padding"),
            usual(),
            frame,
            0,
        ));
    }
    for options in [4, 24, 40] {
        let frame = with_options(&usual().frame(), options);
        fixtures.push(fixture(
            &format!("with {options} octets of options"),
            usual(),
            frame,
            0,
        ));
    }
    let mut unfinished = usual().frame();
    unfinished[UDP + 6] ^= 0xff;
    fixtures.push(fixture(
        "with an unfinished checksum",
        usual(),
        unfinished,
        0,
    ));
    let mut trailing = Datagram {
        payload: [usual().payload, vec![1, 2, 3]].concat(),
        ..usual()
    };
    let frame = trailing.frame();
    trailing.payload.truncate(28);
    fixtures.push(fixture(
        "with octets behind the message",
        trailing,
        frame,
        0,
    ));
    let mut reserved = usual().frame();
    reserved[L2TP] |= 0x31;
    reserved[L2TP + 1] |= 0xf0;
    fixtures.push(fixture(
        "with reserved bits and the P bit",
        usual(),
        reserved,
        0,
    ));
    fixtures
}

pub(crate) type Case = (&'static str, Vec<u8>, Verdict);

/// Control messages that need no answer.
fn other_messages() -> Vec<Case> {
    let of_type = |number: u16| sccrq(1, vec![message_type_avp(number)]).frame();
    vec![
        ("an SCCRP", of_type(2), Verdict::Sccrp),
        ("an SCCCN", of_type(3), Verdict::OtherMessage),
        ("a StopCCN", of_type(4), Verdict::StopCcn),
        ("a HELLO", of_type(6), Verdict::OtherMessage),
        ("a message of type 0", of_type(0), Verdict::OtherMessage),
        (
            "a message of type 65535",
            of_type(65535),
            Verdict::OtherMessage,
        ),
        ("a ZLB", sccrq(1, vec![]).frame(), Verdict::Zlb),
    ]
}

/// Control messages that are broken.
fn malformed() -> Vec<Case> {
    let with = |avps: Vec<Avp>| sccrq(0, avps).frame();
    let changed = |at: usize, octets: &[u8]| {
        let mut frame = request();
        frame[at..at + octets.len()].copy_from_slice(octets);
        frame
    };
    let cut = |payload: usize| {
        let usual = sccrq(0, vec![message_type_avp(1), tunnel_id_avp()]);
        let mut payload_octets = usual.payload.clone();
        payload_octets.truncate(payload);
        Datagram {
            payload: payload_octets,
            ..usual
        }
        .frame()
    };
    let hidden = |attribute| Avp {
        hidden: true,
        ..Avp::new(attribute, [0, 1])
    };
    let first = || message_type_avp(1);
    // Where the second AVP of the capture, Protocol Version, begins.
    let second = AVPS + 8;
    vec![
        ("no L bit", changed(L2TP, &[0x88]), Verdict::BadHeader),
        ("no S bit", changed(L2TP, &[0xc0]), Verdict::BadHeader),
        ("the O bit", changed(L2TP, &[0xca]), Verdict::BadHeader),
        (
            "Length 0",
            changed(L2TP + 2, &[0, 0]),
            Verdict::LengthTooShort,
        ),
        (
            "Length 11",
            changed(L2TP + 2, &[0, 11]),
            Verdict::LengthTooShort,
        ),
        (
            "Length one beyond the datagram",
            changed(L2TP + 2, &[0, 100]),
            Verdict::LengthTooLong,
        ),
        (
            "Length 65535",
            changed(L2TP + 2, &[0xff, 0xff]),
            Verdict::LengthTooLong,
        ),
        ("a header of 11 octets", cut(11), Verdict::ShortHeader),
        ("a header of 2 octets", cut(2), Verdict::ShortHeader),
        (
            "Length that ends in an AVP",
            changed(L2TP + 2, &[0, 98]),
            Verdict::TruncatedAvp,
        ),
        (
            "Length that ends in an AVP header",
            changed(L2TP + 2, &[0, 96]),
            Verdict::TruncatedAvp,
        ),
        (
            "Length that ends in the first AVP",
            changed(L2TP + 2, &[0, 17]),
            Verdict::TruncatedAvp,
        ),
        (
            "an AVP beyond the message",
            changed(second, &[0x83, 0xff]),
            Verdict::TruncatedAvp,
        ),
        (
            "an AVP of length 0",
            changed(second, &[0x80, 0]),
            Verdict::ShortAvp,
        ),
        (
            "an AVP of length 5",
            changed(second, &[0x80, 5]),
            Verdict::ShortAvp,
        ),
        (
            "a first AVP of length 5",
            changed(AVPS, &[0x80, 5]),
            Verdict::ShortAvp,
        ),
        (
            "a hidden Message Type",
            changed(AVPS, &[0xc0, 8]),
            Verdict::NoMessageType,
        ),
        (
            "a vendor's Message Type",
            changed(AVPS + 2, &[0, 9]),
            Verdict::NoMessageType,
        ),
        (
            "no Message Type first",
            with(vec![tunnel_id_avp(), first()]),
            Verdict::NoMessageType,
        ),
        (
            "a Message Type of 3 octets",
            with(vec![Avp::new(0, [0, 1, 0])]),
            Verdict::NoMessageType,
        ),
        (
            "a Message Type of no octets",
            with(vec![Avp::new(0, [])]),
            Verdict::NoMessageType,
        ),
        (
            "no tunnel id",
            with(vec![first(), Avp::new(2, [1, 0])]),
            Verdict::NoTunnelId,
        ),
        (
            "nothing but a Message Type",
            with(vec![first()]),
            Verdict::NoTunnelId,
        ),
        (
            "tunnel id 0",
            with(vec![first(), Avp::new(9, [0, 0])]),
            Verdict::ZeroTunnelId,
        ),
        (
            "a hidden tunnel id",
            with(vec![first(), hidden(9)]),
            Verdict::HiddenTunnelId,
        ),
        (
            "a tunnel id of 4 octets",
            with(vec![first(), Avp::new(9, [0, 0, 0, 1])]),
            Verdict::BadTunnelId,
        ),
        (
            "a tunnel id of no octets",
            with(vec![first(), Avp::new(9, [])]),
            Verdict::BadTunnelId,
        ),
    ]
}

/// Requests that no host may answer, and such that any host may.
fn unanswerable() -> Vec<Case> {
    let payload = || sccrq(0, vec![message_type_avp(1), tunnel_id_avp()]).payload;
    let between = |source: &str, destination: &str| Datagram {
        payload: payload(),
        ..datagram(source, destination)
    };
    let (v4, v6) = (
        || between("10.0.0.1:1701", "192.0.2.1:1701"),
        || between("[2001:db8::1]:1701", "[2001:db8:1::7]:1701"),
    );
    let from_mac = |mac| Datagram {
        source_mac: Mac(mac),
        ..v4()
    };
    let changed = |request: Datagram, at: usize, octet: u8| {
        let mut frame = request.frame();
        frame[at] = octet;
        frame
    };
    let mut cases = vec![
        (
            "from the broadcast MAC address",
            from_mac([0xff; 6]).frame(),
            Verdict::BadSource,
        ),
        (
            "from a group MAC address",
            from_mac([0x01, 0, 0x5e, 0, 0, 1]).frame(),
            Verdict::BadSource,
        ),
        (
            "from the MAC address it is to",
            from_mac(OWN_MAC).frame(),
            Verdict::BadSource,
        ),
        (
            "from no MAC address",
            from_mac([0; 6]).frame(),
            Verdict::BadSource,
        ),
        (
            "from port 0",
            between("10.0.0.1:0", "192.0.2.1:1701").frame(),
            Verdict::BadSource,
        ),
        (
            "from port 0 over IPv6",
            between("[2001:db8::1]:0", "[2001:db8:1::7]:1701").frame(),
            Verdict::BadSource,
        ),
        (
            "from the address it is to",
            between("192.0.2.1:1702", "192.0.2.1:1701").frame(),
            Verdict::BadSource,
        ),
        (
            "from the address it is to over IPv6",
            between("[2001:db8::1]:1702", "[2001:db8::1]:1701").frame(),
            Verdict::BadSource,
        ),
        ("TTL 0", changed(v4(), IP + 8, 0), Verdict::ZeroTtl),
        ("hop limit 0", changed(v6(), IP + 7, 0), Verdict::ZeroTtl),
    ];
    for address in [
        "0.0.0.0",
        "0.255.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "224.0.0.0",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
    ] {
        let from = between(&format!("{address}:1701"), "192.0.2.1:1701");
        let to = between("10.0.0.1:1701", &format!("{address}:1701"));
        cases.push(("from no host's address", from.frame(), Verdict::BadSource));
        cases.push(("to no host's address", to.frame(), Verdict::BadDestination));
    }
    for address in [
        "::",
        "::1",
        "::10.0.0.1",
        "::ffff:10.0.0.1",
        "ff00::",
        "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ] {
        let from = between(&format!("[{address}]:1701"), "[2001:db8:1::7]:1701");
        let to = between("[2001:db8::1]:1701", &format!("[{address}]:1701"));
        cases.push((
            "from no host's IPv6 address",
            from.frame(),
            Verdict::BadSource,
        ));
        cases.push((
            "to no host's IPv6 address",
            to.frame(),
            Verdict::BadDestination,
        ));
    }
    // What is no SCCRQ has the verdict that it has from anybody else.
    let zlb = Datagram {
        payload: sccrq(1, vec![]).payload,
        ..between("0.0.0.0:0", "255.255.255.255:1701")
    };
    cases.push(("a ZLB from nobody to all", zlb.frame(), Verdict::Zlb));
    let data = Datagram {
        payload: vec![0, 2, 0, 7, 0, 9, 1, 2],
        ..between("0.0.0.0:1701", "224.0.0.1:1701")
    };
    cases.push(("a data message to a group", data.frame(), Verdict::Data));
    let other = between("0.0.0.0:68", "255.255.255.255:67");
    cases.push((
        "another protocol's broadcast",
        other.frame(),
        Verdict::OtherTraffic,
    ));
    cases
}

/// Requests within layers that are not looked through.
fn encapsulated() -> Vec<Case> {
    let v4 = sccrq(0, vec![message_type_avp(1), tunnel_id_avp()]);
    let v6 = Datagram {
        payload: v4.payload.clone(),
        ..datagram("[2001:db8::1]:49152", "[2001:db8:1::7]:1701")
    };
    crate::encapsulated::cases(&v4.frame(), &v6.frame())
}

/// What is none of ours.
fn passed() -> Vec<Case> {
    let changed = |at: usize, octets: &[u8]| {
        let mut frame = request();
        frame[at..at + octets.len()].copy_from_slice(octets);
        frame
    };
    let v6 = Datagram {
        payload: sccrq(0, vec![message_type_avp(1), tunnel_id_avp()]).payload,
        ..datagram("[2001:db8::1]:49152", "[2001:db8:1::7]:1701")
    };
    let v6_with = |next_header: u8, inner: u8| {
        let mut frame = v6.frame();
        frame[IP + 6] = next_header;
        frame.splice(IP + 40..IP + 40, [inner, 0, 0, 1, 0, 0, 0, 1]);
        frame[IP + 5] += 8;
        frame
    };
    let short = |payload: &[u8]| {
        Datagram {
            payload: payload.to_vec(),
            ..datagram("10.77.0.1:1701", "10.77.0.2:1701")
        }
        .frame()
    };
    let mut cut = request();
    cut.pop();
    vec![
        (
            "a data message",
            changed(L2TP, &[0x40, 0x02]),
            Verdict::Data,
        ),
        ("L2TPv3", changed(L2TP, &[0xc8, 0x03]), Verdict::Version3),
        (
            "L2TPv3 data",
            changed(L2TP, &[0x00, 0x03]),
            Verdict::Version3,
        ),
        ("L2F", changed(L2TP, &[0xc8, 0x01]), Verdict::OtherVersion),
        (
            "version 0",
            changed(L2TP, &[0xc8, 0x00]),
            Verdict::OtherVersion,
        ),
        (
            "to another MAC address",
            changed(5, &[0x92]),
            Verdict::OtherMac,
        ),
        (
            "to the broadcast address",
            changed(0, &[0xff; 6]),
            Verdict::OtherMac,
        ),
        (
            "a first fragment",
            changed(IP + 6, &[0x20, 0]),
            Verdict::Fragment,
        ),
        (
            "a last fragment",
            changed(IP + 6, &[0, 1]),
            Verdict::Fragment,
        ),
        ("an IPv6 fragment", v6_with(44, 17), Verdict::Fragment),
        (
            "an IPv6 fragment of TCP",
            v6_with(44, 6),
            Verdict::OtherTraffic,
        ),
        (
            "IPv6 with a hop-by-hop header",
            v6_with(0, 17),
            Verdict::OtherTraffic,
        ),
        ("cut by an octet", cut, Verdict::Truncated),
        (
            "a UDP length beyond the packet",
            changed(UDP + 4, &[0, 0x6c]),
            Verdict::Truncated,
        ),
        (
            "a UDP length under 8",
            changed(UDP + 4, &[0, 7]),
            Verdict::Truncated,
        ),
        (
            "an IP length under its header",
            changed(IP + 2, &[0, 19]),
            Verdict::Truncated,
        ),
        ("an empty datagram", short(&[]), Verdict::OtherTraffic),
        (
            "a datagram of one octet",
            short(&[0xc8]),
            Verdict::OtherTraffic,
        ),
        (
            "to port 1702",
            changed(UDP + 2, &[0x06, 0xa6]),
            Verdict::OtherTraffic,
        ),
        (
            "from port 1701 to another",
            changed(UDP + 2, &[0xc0, 0]),
            Verdict::OtherTraffic,
        ),
        ("TCP", changed(IP + 9, &[6]), Verdict::OtherTraffic),
        (
            "an IP header of 16 octets",
            changed(IP, &[0x44]),
            Verdict::OtherTraffic,
        ),
        (
            "version 6 under the EtherType of IPv4",
            changed(IP, &[0x65]),
            Verdict::OtherTraffic,
        ),
        ("ARP", changed(12, &[0x08, 0x06]), Verdict::OtherTraffic),
        (
            "an Ethernet header alone",
            request()[..14].to_vec(),
            Verdict::OtherTraffic,
        ),
        (
            "an IP header alone",
            request()[..34].to_vec(),
            Verdict::OtherTraffic,
        ),
    ]
}

fn message_type_avp(number: u16) -> Avp {
    Avp::new(attribute::MESSAGE_TYPE, number.to_be_bytes())
}

fn tunnel_id_avp() -> Avp {
    Avp::new(attribute::ASSIGNED_TUNNEL_ID, TUNNEL_ID.to_be_bytes())
}

/// A message from the LAC of the capture.
fn sccrq(ns: u16, avps: Vec<Avp>) -> Datagram {
    let message = ControlMessage {
        tunnel_id: 0,
        session_id: 0,
        ns,
        nr: 0,
        avps,
    };
    Datagram {
        payload: message.bytes(),
        ..datagram("10.77.0.1:1701", "10.77.0.2:1701")
    }
}

/// A datagram between the MAC addresses of the capture, without a payload.
fn datagram(source: &str, destination: &str) -> Datagram {
    let address = |text: &str| -> SocketAddr { text.parse().expect("an address and a port") };
    Datagram {
        source_mac: Mac(LAC_MAC),
        destination_mac: Mac(OWN_MAC),
        tags: Vec::new(),
        source: address(source),
        destination: address(destination),
        checksum: Checksum::Right,
        payload: Vec::new(),
    }
}

/// The template of a reply.
pub(crate) fn template(reply: &Reply) -> Template {
    Template::stop_ccn(&StopCcn {
        result: reply.result,
        error: reply
            .error
            .as_ref()
            .map(|(code, text)| (*code, text.as_bytes())),
        assigned_tunnel_id: reply.assigned_tunnel_id,
    })
    .expect("every reply of the fixtures fits a template")
}

/// The frame of a message between these two.
pub(crate) fn between(lac: SocketAddr, lns: SocketAddr, payload: Vec<u8>) -> Vec<u8> {
    let datagram = Datagram {
        source: lac,
        destination: lns,
        payload,
        ..datagram("10.77.0.1:1701", "10.77.0.2:1701")
    };
    datagram.frame()
}

/// The StopCCN that answers `request`.
fn answer(reply: &Reply, request: &Datagram, tunnel_id: u16, nr: u16) -> Vec<u8> {
    let mut result_code = reply.result.to_be_bytes().to_vec();
    if let Some((code, text)) = reply.error {
        result_code.extend(code.to_be_bytes());
        result_code.extend(text.as_bytes());
    }
    let message = ControlMessage {
        tunnel_id,
        session_id: 0,
        ns: 0,
        nr,
        avps: vec![
            message_type_avp(message_type::STOPCCN),
            Avp::new(attribute::RESULT_CODE, result_code),
            Avp::new(
                attribute::ASSIGNED_TUNNEL_ID,
                reply.assigned_tunnel_id.to_be_bytes(),
            ),
        ],
    };
    wrapped(message.bytes(), request)
}

/// The frame that takes `message` back to where `request` came from.
fn wrapped(message: Vec<u8>, request: &Datagram) -> Vec<u8> {
    Datagram {
        source_mac: request.destination_mac,
        destination_mac: request.source_mac,
        tags: request.tags.clone(),
        source: request.destination,
        destination: request.source,
        checksum: Checksum::Right,
        payload: message,
    }
    .frame()
}

/// The untagged IPv4 frame with options in its header, all of them No Operation.
fn with_options(frame: &[u8], length: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame.splice(UDP..UDP, std::iter::repeat_n(1, usize::from(length)));
    frame[IP] += length / 4;
    let total = u16::from_be_bytes([frame[IP + 2], frame[IP + 3]]) + u16::from(length);
    frame[IP + 2..IP + 4].copy_from_slice(&total.to_be_bytes());
    frame
}
