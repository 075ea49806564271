//! What tshark makes of every answer: the right ones are right, and each of the wrong ones is wrong
//! in its one point and nowhere else.

use std::{fmt::Write as _, fs, net::IpAddr};

use anyhow::{Context as _, Result, ensure};
use broken_lns::scenario::{fault::FaultName, garble::GarbleKind};
use libtest_mimic::Trial;
use xtask::lab::{Capture, RawFrame, Recording, Sccrq, Scratch};

use crate::{
    request::{is_udp, push},
    responder::{LIMIT, Responder, text, verdicts},
    scenarios::to_lns,
    trial,
    way::{PLAYED, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let programs = &["tcpdump", "tshark"];
    let garbled = PLAYED.iter().map(|way| {
        let name = format!("tshark_finds_each_garble_where_it_is::{way}");
        trial(name, programs, || {
            tshark_finds_each_garble_where_it_is(*way)
        })
    });
    let others = PLAYED.iter().map(|way| {
        let name = format!("tshark_reads_the_answer_of_each_fault::{way}");
        trial(name, programs, || {
            tshark_reads_the_answer_of_each_fault(*way)
        })
    });
    garbled.chain(others).collect()
}

/// The tunnel id of every request here.
const TUNNEL_ID: u16 = 1793;

/// A field in the words of tshark, and its value.
type Field = (&'static str, &'static str);

/// What tshark finds in the answer `result = 2`, whole and right, to a request over IPv4.
const RIGHT: &[Field] = &[
    ("udp.srcport", "1701"),
    ("udp.length", "60"),
    ("ip.checksum.status", "1"),
    ("udp.checksum.status", "1"),
    ("l2tp.flags", "0xc802"),
    ("l2tp.type", "1"),
    ("l2tp.length_bit", "1"),
    ("l2tp.seq_bit", "1"),
    ("l2tp.offset_bit", "0"),
    ("l2tp.priority", "0"),
    ("l2tp.version", "2"),
    ("l2tp.length", "52"),
    ("l2tp.tunnel", "1793"),
    ("l2tp.session", "0"),
    ("l2tp.Ns", "0"),
    ("l2tp.Nr", "1"),
    ("l2tp.avp.hidden", "0,0,0"),
    ("l2tp.avp.length", "8,24,8"),
    ("l2tp.avp.type", "0,1,9"),
    ("l2tp.avp.message_type", "4"),
    ("l2tp.result_code", "2"),
    ("l2tp.avp.error_code", "4"),
    ("l2tp.avp.error_message", "Internal error"),
    ("l2tp.avp.assigned_tunnel_id", "12345"),
    (MALFORMED, ""),
    (COMPLAINT, ""),
];

/// Where tshark says that something is malformed at all, and what it has against it.
const MALFORMED: &str = "_ws.malformed";
const COMPLAINT: &str = "_ws.expert.message";

/// Both of them where a packet ends before what it is to hold, and where an AVP has no end.
const CUT_SHORT: &[Field] = &[
    (MALFORMED, "malformed"),
    (COMPLAINT, "Malformed Packet (Exception occurred)"),
];
const ENDLESS: &[Field] = &[
    (MALFORMED, "malformed"),
    (COMPLAINT, "AVP length must be >= 6, got 0"),
];

/// The AVPs where tshark reads all but the last one, only the first, and none.
const ALL_BUT_ONE: &[Field] = &[
    ("l2tp.avp.hidden", "0,0"),
    ("l2tp.avp.length", "8,24"),
    ("l2tp.avp.type", "0,1"),
    ("l2tp.avp.assigned_tunnel_id", ""),
];
const THE_FIRST: &[Field] = &[
    ("l2tp.avp.hidden", "0"),
    ("l2tp.avp.length", "8"),
    ("l2tp.avp.type", "0"),
    ("l2tp.avp.assigned_tunnel_id", ""),
];
const NONE: &[Field] = &[
    ("l2tp.avp.hidden", ""),
    ("l2tp.avp.length", ""),
    ("l2tp.avp.type", ""),
    ("l2tp.avp.message_type", ""),
    ("l2tp.avp.assigned_tunnel_id", ""),
];
/// What a Result Code AVP is, where it is not read.
const NO_RESULT: &[Field] = &[
    ("l2tp.result_code", ""),
    ("l2tp.avp.error_code", ""),
    ("l2tp.avp.error_message", ""),
];

/// Each kind, and the fields in which its answer differs from the right one.
const GARBLED: &[(&str, &[&[Field]])] = &[
    ("wrong-tunnel-id", &[&[("l2tp.tunnel", "1794")]]),
    ("zero-tunnel-id", &[&[("l2tp.tunnel", "0")]]),
    (
        "missing-assigned-tunnel-id",
        &[&[("udp.length", "52"), ("l2tp.length", "44")], ALL_BUT_ONE],
    ),
    (
        "missing-result-code",
        &[
            &[
                ("udp.length", "36"),
                ("l2tp.length", "28"),
                ("l2tp.avp.hidden", "0,0"),
                ("l2tp.avp.length", "8,8"),
                ("l2tp.avp.type", "0,9"),
            ],
            NO_RESULT,
        ],
    ),
    (
        "missing-message-type",
        &[&[
            ("udp.length", "52"),
            ("l2tp.length", "44"),
            ("l2tp.avp.hidden", "0,0"),
            ("l2tp.avp.length", "24,8"),
            ("l2tp.avp.type", "1,9"),
            ("l2tp.avp.message_type", ""),
        ]],
    ),
    (
        "message-type-not-first",
        &[&[("l2tp.avp.length", "24,8,8"), ("l2tp.avp.type", "1,9,0")]],
    ),
    (
        "reserved-message-type",
        &[&[("l2tp.avp.message_type", "0")]],
    ),
    (
        "unknown-mandatory-avp",
        &[&[
            ("udp.length", "66"),
            ("l2tp.length", "58"),
            ("l2tp.avp.hidden", "0,0,0,0"),
            ("l2tp.avp.length", "8,24,8,6"),
            ("l2tp.avp.type", "0,1,9,65535"),
        ]],
    ),
    (
        "short-result-code",
        &[
            &[
                ("udp.length", "43"),
                ("l2tp.length", "35"),
                ("l2tp.avp.length", "8,7,8"),
            ],
            NO_RESULT,
        ],
    ),
    ("avp-overrun", &[ALL_BUT_ONE, CUT_SHORT]),
    ("avp-underrun", &[THE_FIRST, NO_RESULT, ENDLESS]),
    ("length-too-long", &[&[("l2tp.length", "56")], CUT_SHORT]),
    (
        "length-too-short",
        &[&[("l2tp.length", "48")], ALL_BUT_ONE, CUT_SHORT],
    ),
    ("wrong-ns", &[&[("l2tp.Ns", "1")]]),
    ("wrong-nr", &[&[("l2tp.Nr", "0")]]),
    (
        // In version 3 one number of 32 bits is in place of the two ids, and two bits are reserved.
        "version-3",
        &[&[
            ("l2tp.flags", "0xc803"),
            ("l2tp.offset_bit", ""),
            ("l2tp.priority", ""),
            ("l2tp.version", "3"),
            ("l2tp.tunnel", ""),
            ("l2tp.session", ""),
        ]],
    ),
    (
        // Without the bit, Ns and Nr are the beginning of the AVPs.
        "no-sequence-bit",
        &[
            &[
                ("l2tp.flags", "0xc002"),
                ("l2tp.seq_bit", "0"),
                ("l2tp.Ns", ""),
                ("l2tp.Nr", ""),
            ],
            NONE,
            NO_RESULT,
            ENDLESS,
        ],
    ),
    ("reserved-bits", &[&[("l2tp.flags", "0xfcf2")]]),
    (
        // Of a hidden AVP nothing is read behind its flags and its length.
        "hidden-garbage",
        &[&[
            ("udp.length", "62"),
            ("l2tp.length", "54"),
            ("l2tp.avp.hidden", "0,0,1"),
            ("l2tp.avp.length", "8,24,10"),
            ("l2tp.avp.type", "0,1"),
            ("l2tp.avp.assigned_tunnel_id", ""),
        ]],
    ),
    ("byte-swapped-result", &[&[("l2tp.result_code", "512")]]),
    ("trailing-junk", &[&[("udp.length", "76")]]),
    (
        "truncated",
        &[&[("udp.length", "56")], ALL_BUT_ONE, CUT_SHORT],
    ),
    (
        "invalid-utf8",
        &[&[("l2tp.avp.error_message", "Internal erro\u{FFFD}")]],
    ),
    (
        "bad-udp-checksum",
        &[&[("udp.checksum.status", "0"), (COMPLAINT, "Bad checksum")]],
    ),
    (
        "bad-ip-checksum",
        &[&[("ip.checksum.status", "0"), (COMPLAINT, "Bad checksum")]],
    ),
    // Its address differs, which is looked at for all of them.
    ("wrong-source-address", &[]),
    ("wrong-source-port", &[&[("udp.srcport", "1702")]]),
];

/// The LNS addresses that end in this number, over IPv4 and over IPv6.
fn lns(number: u8) -> [IpAddr; 2] {
    [
        [192, 0, 2, number].into(),
        [0x2001, 0xdb8, 1, 0, 0, 0, 0, number.into()].into(),
    ]
}

fn tshark_finds_each_garble_where_it_is(way: Way) -> Result<()> {
    let names: Vec<_> = GARBLED.iter().map(|(name, _)| *name).collect();
    let kinds: Vec<_> = GarbleKind::ALL.iter().map(|kind| kind.name()).collect();
    assert_eq!(names, kinds);
    let mut rules = vec!["fault = \"refuse\"\nresult = 2".to_owned()];
    rules.extend(
        names
            .iter()
            .map(|name| format!("fault = \"garble\"\nkind = \"{name}\"")),
    );
    let recording = answers(way, &rules)?;

    let fields: Vec<_> = RIGHT.iter().map(|(field, _)| *field).collect();
    let sources = ["ip.src", "ipv6.src"];
    let rows = recording.decode(&[&sources, &fields[..]].concat(), FROM_THE_BOX)?;
    let right = [("right", &[][..])];
    let mut rows = rows.into_iter();
    let mut complaints = Vec::new();
    for (number, (name, garbled)) in (2..).step_by(2).zip(right.iter().chain(GARBLED)) {
        for lns in lns(number) {
            let row = rows
                .next()
                .with_context(|| format!("{name}: no answer from {lns}"))?;
            let (source, found) = row.split_at(sources.len());
            let neighbour = self::lns(number + 1)[usize::from(lns.is_ipv6())];
            let from = match *name {
                "wrong-source-address" => neighbour,
                _ => lns,
            };
            assert_eq!(source.concat(), from.to_string(), "{name}");
            for ((field, right), found) in RIGHT.iter().zip(found) {
                let wrong = garbled.concat().into_iter().find(|(name, _)| name == field);
                let expected = match (wrong, *field) {
                    // IPv6 has no checksum, neither right nor wrong.
                    (_, "ip.checksum.status") if lns.is_ipv6() => "",
                    (_, COMPLAINT) if lns.is_ipv6() && *name == "bad-ip-checksum" => "",
                    (Some((_, wrong)), _) => wrong,
                    (None, _) => right,
                };
                if shown(field, found) != expected {
                    let place = format!("{name} from {lns}: {field}");
                    complaints.push(format!("{place} is {found:?} instead of {expected:?}"));
                }
            }
        }
    }
    assert_eq!(rows.next(), None);
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// The rule for an unreachable of this name, with the codes of ICMP and ICMPv6.
macro_rules! unreachable {
    ($name:literal, $icmp:literal, $icmpv6:literal) => {
        Other {
            rule: concat!("fault = \"unreachable\"\ncode = \"", $name, "\""),
            always: QUOTED,
            v4: &[
                ("icmp.type", "3"),
                ("icmp.code", $icmp),
                ("icmp.checksum.status", "1"),
            ],
            v6: &[
                ("icmpv6.type", "1"),
                ("icmpv6.code", $icmpv6),
                ("icmpv6.checksum.status", "1"),
            ],
        }
    };
}

/// What comes from the responder's box, in the words of tshark.
const FROM_THE_BOX: &str = "eth.src == 02:00:00:00:00:02 && (udp || icmp || icmpv6.type == 1)";

/// A value without what differs from one version of tshark to another, or with each address.
fn shown<'a>(field: &str, value: &'a str) -> &'a str {
    match field {
        MALFORMED if !value.is_empty() => "malformed",
        // What a checksum should be instead follows in brackets.
        COMPLAINT => value
            .split_once(" [should be")
            .map_or(value, |(complaint, _)| complaint),
        _ => value,
    }
}

/// Asks an LNS with each of these rules over both versions of IP, and records the answers.
fn answers(way: Way, rules: &[String]) -> Result<Recording> {
    let lab = way.one_cable().build()?;
    let files = Scratch::new("decoded")?;
    let mut scenario = "[default]\nfault = \"silent\"\n".to_owned();
    // Even addresses, since `wrong-source-address` answers from the odd one beside its own.
    let numbered = || (2..).step_by(2).zip(rules);
    for (number, rule) in numbered() {
        let [v4, v6] = lns(number);
        write!(
            scenario,
            "\n[[lns]]\naddress = [\"{v4}\", \"{v6}\"]\n{rule}\n"
        )?;
    }
    let file = files.file("scenario.toml");
    fs::write(&file, scenario)?;
    let (peer, interface) = lab.peer();
    let capture = Capture::start(peer, interface)?;
    let flags = [&way.flags()[..], &["--scenario", text(&file)?]].concat();
    let responder = Responder::start(&lab, &flags)?;
    let port = lab.raw_port()?;
    let sccrq = Sccrq::new(TUNNEL_ID);
    for (number, rule) in numbered() {
        for lns in lns(number) {
            push(&port, &to_lns(&lns.to_string(), &sccrq)?.frame())?;
            let answer = port.receive_if(LIMIT, |frame| is_answer(&frame).then_some(frame))?;
            answer.with_context(|| format!("no answer from {lns}: {rule}"))?;
        }
    }
    let report = responder.finish()?;
    let expected = verdicts([("answered", 2 * rules.len() as u64)]);
    assert_eq!(report.verdicts()?, expected);
    capture.stop()
}

/// Whether a frame is from the box, and UDP or a destination-unreachable.
fn is_answer(frame: &RawFrame) -> bool {
    let bytes = &frame.bytes;
    let is_icmp = match bytes.get(12..14) {
        Some([0x08, 0x00]) => bytes.get(23) == Some(&1) && bytes.get(34) == Some(&3),
        Some([0x86, 0xDD]) => bytes.get(20) == Some(&58) && bytes.get(54) == Some(&1),
        _ => false,
    };
    !frame.outgoing && (is_udp(bytes) || is_icmp)
}

/// The answers of the other faults, whatever the version of IP: the fields that are there at all.
const REFUSED: &[Field] = &[
    ("l2tp.tunnel", "1793"),
    ("l2tp.Ns", "0"),
    ("l2tp.Nr", "1"),
    ("l2tp.avp.message_type", "4"),
    ("l2tp.avp.assigned_tunnel_id", "12345"),
];
const ACKNOWLEDGED: &[Field] = &[("l2tp.tunnel", "1793"), ("l2tp.Ns", "0"), ("l2tp.Nr", "1")];
/// The quoted SCCRQ is read as well, by tshark and by whoever gets the message.
const QUOTED: &[Field] = &[
    ("l2tp.tunnel", "0"),
    ("l2tp.Ns", "0"),
    ("l2tp.Nr", "0"),
    ("l2tp.avp.message_type", "1"),
    ("l2tp.avp.assigned_tunnel_id", "1793"),
];

/// A rule, the fields of its answers, and those that are different over IPv4 and over IPv6.
struct Other {
    rule: &'static str,
    always: &'static [Field],
    v4: &'static [Field],
    v6: &'static [Field],
}

/// Each of the other faults that answers, at the addresses that end in 2, 4, 6 and so on.
const OTHERS: &[Other] = &[
    Other {
        rule: "fault = \"refuse\"\nresult = 7\nerror = \"none\"",
        always: REFUSED,
        v4: &[("l2tp.result_code", "7")],
        v6: &[("l2tp.result_code", "7")],
    },
    Other {
        rule: "fault = \"code-in-address\"",
        always: REFUSED,
        v4: &[
            ("l2tp.result_code", "2"),
            ("l2tp.avp.error_code", "4"),
            ("l2tp.avp.error_message", "result 00002, error 00004"),
        ],
        v6: &[
            ("l2tp.result_code", "0"),
            ("l2tp.avp.error_code", "4"),
            ("l2tp.avp.error_message", "result 00000, error 00004"),
        ],
    },
    Other {
        rule: "fault = \"acknowledge\"",
        always: ACKNOWLEDGED,
        v4: &[],
        v6: &[],
    },
    Other {
        rule: "fault = \"cycle\"\nfaults = [\"acknowledge\", \"silent\"]",
        always: ACKNOWLEDGED,
        v4: &[],
        v6: &[],
    },
    unreachable!("port", "3", "4"),
    unreachable!("host", "1", "3"),
    unreachable!("network", "0", "0"),
    unreachable!("admin-prohibited", "13", "1"),
];

/// All fields of [`OTHERS`], and what is wrong: nothing.
const OTHER_FIELDS: [&str; 16] = [
    "l2tp.tunnel",
    "l2tp.Ns",
    "l2tp.Nr",
    "l2tp.avp.message_type",
    "l2tp.avp.assigned_tunnel_id",
    "l2tp.result_code",
    "l2tp.avp.error_code",
    "l2tp.avp.error_message",
    "icmp.type",
    "icmp.code",
    "icmp.checksum.status",
    "icmpv6.type",
    "icmpv6.code",
    "icmpv6.checksum.status",
    MALFORMED,
    COMPLAINT,
];

fn tshark_reads_the_answer_of_each_fault(way: Way) -> Result<()> {
    for fault in FaultName::ALL {
        let tried = OTHERS.iter().any(|other| other.rule.contains(fault.name()));
        // Nothing comes of some, and the garbles have a test of their own.
        let left_out = matches!(fault, FaultName::Pass | FaultName::Garble);
        ensure!(tried || left_out, "nobody tries {fault}");
    }
    let rules: Vec<_> = OTHERS.iter().map(|other| other.rule.to_owned()).collect();
    let recording = answers(way, &rules)?;
    let mut rows = recording.decode(&OTHER_FIELDS, FROM_THE_BOX)?.into_iter();
    for Other {
        rule,
        always,
        v4,
        v6,
    } in OTHERS
    {
        for differing in [v4, v6] {
            let row = rows.next().with_context(|| format!("no answer: {rule}"))?;
            for (field, found) in OTHER_FIELDS.iter().zip(&row) {
                let mut fields = always.iter().chain(*differing);
                let expected = fields.find(|(name, _)| name == field);
                let expected = expected.map_or("", |(_, value)| value);
                ensure!(
                    shown(field, found) == expected,
                    "{rule}: {field} is {found:?} instead of {expected:?} in {row:?}"
                );
            }
        }
    }
    assert_eq!(rows.next(), None);
    Ok(())
}
