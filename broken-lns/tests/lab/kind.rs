//! Frames of every kind that there is a verdict for, sent to the box's own address: whatever
//! reaches its system is answered by that, with an ICMP error unless somebody listens.

use std::net::SocketAddr;

use xtask::lab::{Avp, ControlMessage, Datagram, Lab, Mac, Sccrq, attribute, message_type};

use crate::{
    packet::{ipv4_fragments, ipv6_fragments},
    request::datagram,
};

/// One kind of frame.
pub(crate) struct Kind {
    /// The label under which each frame of it is counted.
    pub(crate) verdict: &'static str,
    /// What is odd about it.
    pub(crate) description: &'static str,
    /// The frames, which belong together.
    pub(crate) frames: Vec<Vec<u8>>,
    /// What becomes of them.
    pub(crate) fate: Fate,
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A reply goes back.
    Answered,
    /// It ends without a word.
    Consumed,
    /// The box's system gets it, and drops it as well.
    Passed,
    /// The box's system gets it, and whoever listens gets this payload.
    Delivered(Vec<u8>),
}

/// All kinds, over IPv4 and IPv6.
pub(crate) fn kinds() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (from, to) in [
        ("203.0.113.1:40000", "203.0.113.2:1701"),
        ("[2001:db8:b::1]:40000", "[2001:db8:b::2]:1701"),
    ] {
        let address = |text: &str| -> SocketAddr { text.parse().expect("an address") };
        let wrap = |payload| datagram(address(from), address(to), payload);
        kinds.extend(messages().into_iter().map(|message| {
            let (verdict, description, payload) = message;
            Kind {
                verdict,
                description,
                frames: vec![wrap(payload.clone()).frame()],
                fate: match verdict {
                    "answered" => Fate::Answered,
                    "data" | "version-3" | "other-version" => Fate::Delivered(payload),
                    _ => Fate::Consumed,
                },
            }
        }));
        kinds.extend(odd_frames(&wrap(Sccrq::new(9).message().bytes())));
    }
    kinds
}

/// Messages whose verdict depends on nothing but themselves.
fn messages() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let sccrq = Sccrq::new(9).message();
    let bytes = sccrq.bytes();
    let of_type = |number: u16| with_avp(&sccrq, 0, Avp::new(0, number.to_be_bytes()));
    let flags = |word: u16| with_word(&bytes, 0, word);
    let length = |length: usize| with_word(&bytes, 2, length as u16);
    // The first AVP begins at 12 with its length, and so does the second at 20.
    let avp_bits = |at: usize, word: u16| with_word(&bytes, at, word);
    let tunnel = |value: &[u8]| {
        let avp = Avp::new(attribute::ASSIGNED_TUNNEL_ID, value);
        with_avp(&sccrq, TUNNEL_ID, avp)
    };
    let hidden = |at: usize| {
        let mut avp = sccrq.avps[at].clone();
        avp.hidden = true;
        with_avp(&sccrq, at, avp)
    };
    let vendors = |at: usize| {
        let mut avp = sccrq.avps[at].clone();
        avp.vendor = 9;
        with_avp(&sccrq, at, avp)
    };
    let without = |at: usize| {
        let mut message = sccrq.clone();
        message.avps.remove(at);
        message.bytes()
    };
    let mut cut = [bytes.as_slice(), &[0x80, 0x08, 0, 0, 0]].concat();
    let cut_length = cut.len() as u16;
    cut[2..4].copy_from_slice(&cut_length.to_be_bytes());

    vec![
        ("answered", "an SCCRQ", bytes.clone()),
        ("sccrp", "an SCCRP", of_type(message_type::SCCRP)),
        ("stopccn", "a StopCCN", of_type(message_type::STOPCCN)),
        ("zlb", "a ZLB", ControlMessage::zlb(7, 1, 1).bytes()),
        (
            "zlb",
            "a ZLB with octets behind it",
            [ControlMessage::zlb(7, 1, 1).bytes(), vec![0x55; 6]].concat(),
        ),
        ("other-message", "an SCCCN", of_type(message_type::SCCCN)),
        ("other-message", "a Hello", of_type(6)),
        ("other-message", "an ICRQ", of_type(10)),
        ("other-message", "a message type of nobody", of_type(0xFFFF)),
        ("bad-header", "no Length bit", flags(0x8802)),
        ("bad-header", "no Sequence bit", flags(0xC002)),
        ("bad-header", "the Offset bit", flags(0xCA02)),
        ("length-too-short", "Length 0", length(0)),
        ("length-too-short", "Length 11", length(11)),
        ("length-too-long", "Length beyond", length(bytes.len() + 1)),
        ("length-too-long", "Length 65535", length(0xFFFF)),
        ("short-header", "half a header", bytes[..11].to_vec()),
        ("truncated-avp", "a cut AVP header", cut),
        (
            "truncated-avp",
            "the first AVP runs over",
            avp_bits(12, 0x83FF),
        ),
        ("truncated-avp", "an AVP runs over", avp_bits(20, 0x83FF)),
        (
            "truncated-avp",
            "the message ends in an AVP",
            length(bytes.len() - 1),
        ),
        (
            "short-avp",
            "the first AVP has length 5",
            avp_bits(12, 0x8005),
        ),
        ("short-avp", "an AVP has length 5", avp_bits(20, 0x8005)),
        ("short-avp", "an AVP has length 0", avp_bits(20, 0x8000)),
        ("no-message-type", "it is missing", without(0)),
        ("no-message-type", "it is hidden", hidden(0)),
        ("no-message-type", "it is a vendor's", vendors(0)),
        (
            "no-message-type",
            "it is too long",
            with_avp(&sccrq, 0, Avp::new(0, [0, 1, 0])),
        ),
        ("no-tunnel-id", "it is missing", without(TUNNEL_ID)),
        ("no-tunnel-id", "it is a vendor's", vendors(TUNNEL_ID)),
        ("bad-tunnel-id", "it is too short", tunnel(&[9])),
        ("bad-tunnel-id", "it is of L2TPv3", tunnel(&[0, 0, 0, 9])),
        ("zero-tunnel-id", "it is 0", tunnel(&[0, 0])),
        ("hidden-tunnel-id", "it is hidden", hidden(TUNNEL_ID)),
        ("data", "a data message", flags(0x0002)),
        ("data", "a data message with its Length", flags(0x4002)),
        ("version-3", "a control message", flags(0xC803)),
        ("version-3", "a data message", flags(0x0003)),
        ("other-version", "L2F", flags(0xC801)),
        ("other-version", "version 15", flags(0xC80F)),
    ]
}

/// Where Assigned Tunnel ID stands among the AVPs of a usual request.
const TUNNEL_ID: usize = 4;

fn with_avp(message: &ControlMessage, at: usize, avp: Avp) -> Vec<u8> {
    let mut message = message.clone();
    message.avps[at] = avp;
    message.bytes()
}

fn with_word(bytes: &[u8], at: usize, word: u16) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + 2].copy_from_slice(&word.to_be_bytes());
    bytes
}

/// Frames around the request in `usual` that are odd themselves.
fn odd_frames(usual: &Datagram) -> Vec<Kind> {
    let one = |verdict, description, frame: Vec<u8>| Kind {
        verdict,
        description,
        frames: vec![frame],
        fate: Fate::Passed,
    };
    let to_mac = |mac| {
        let datagram = Datagram {
            destination_mac: Mac(mac),
            ..usual.clone()
        };
        datagram.frame()
    };
    let udp_length = |change: i32| {
        let mut frame = usual.frame();
        let at = frame.len() - usual.payload.len() - 4;
        let length = 8 + usual.payload.len() as i32 + change;
        frame[at..at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        frame
    };
    // Octet by octet what an SCCRQ would be, but for one bit of its address.
    let Mac(mut neighbour) = Lab::RESPONDER_MAC;
    neighbour[5] ^= 0x80;

    // The second part alone is no UDP header, and what it holds is not looked at.
    let fragments = match usual.source {
        SocketAddr::V4(_) => ipv4_fragments(usual, 32),
        SocketAddr::V6(_) => ipv6_fragments(usual, 32),
    };
    vec![
        one("other-mac", "a neighbour's", to_mac(neighbour)),
        one("other-mac", "broadcast", to_mac([0xFF; 6])),
        one("other-mac", "multicast", to_mac([0x01, 0, 0x5E, 0, 0, 1])),
        one("truncated", "UDP says more", udp_length(1)),
        one(
            "truncated",
            "UDP says less than its header",
            udp_length(-1 - usual.payload.len() as i32),
        ),
        Kind {
            verdict: "fragment",
            description: "two parts of an SCCRQ",
            frames: fragments.to_vec(),
            fate: Fate::Delivered(usual.payload.clone()),
        },
    ]
}
