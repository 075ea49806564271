//! What a LAC sees: a real one in its own log, and any one in what tshark reads.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use xtask::{
    lab::{self, Avp, Capture, Event, Lab, Mac, Sccrq, StopCcn, Target, Xl2tpd},
    process,
};

use crate::{
    request::{Refusal, datagram, expect, nobody, nobody6},
    responder::{Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

const SOON: Duration = Duration::from_secs(5);

pub(crate) fn trials() -> Vec<Trial> {
    let real = WAYS.map(|way| {
        let name = format!("a_real_lac_is_refused::{way}");
        let programs = &["xl2tpd", "tcpdump", "tshark"];
        trial(name, programs, move || a_real_lac_is_refused(way))
    });
    let decoded = WAYS.map(|way| {
        let name = format!("tshark_reads_what_was_configured::{way}");
        let programs = &["tcpdump", "tshark"];
        trial(name, programs, move || {
            tshark_reads_what_was_configured(way)
        })
    });
    let neighbour = trial(
        "a_real_lac_on_the_same_cable_is_refused",
        &["xl2tpd", "tcpdump", "tshark"],
        || dial_with_xl2tpd(&Lab::static_arp().build()?, &[]),
    );
    real.into_iter().chain(decoded).chain([neighbour]).collect()
}

fn a_real_lac_is_refused(way: Way) -> Result<()> {
    dial_with_xl2tpd(&way.lab(Lab::routed()).build()?, &way.flags())
}

/// Dials three LNSs with xl2tpd, one after another. Its requests carry unfinished checksums.
fn dial_with_xl2tpd(lab: &Lab, flags: &[&str]) -> Result<()> {
    let (peer, interface) = lab.peer();
    let capture = Capture::start(peer, interface)?;
    let codes = ["--result-code", "general-error", "--error-code", "6"];
    let text = ["--error-message", "Closed (for today)"];
    let tunnel = ["--assigned-tunnel-id", "4711"];
    let responder = Responder::start(lab, &[flags, &codes, &text, &tunnel].concat())?;

    let program: PathBuf = process::find("xl2tpd").context("it was there a moment ago")?;
    let targets = [1, 2, 3].map(|number| Target {
        name: format!("lns{number}"),
        lns: lab.lns(number),
        redial: None,
    });
    let xl2tpd = Xl2tpd::start(&program, &lab.lac, 1701, &targets)?;
    for target in &targets {
        let mark = xl2tpd.mark();
        xl2tpd.dial(&target.name)?;
        let closing = xl2tpd.wait_for("our codes", mark, SOON, |event| {
            matches!(event, Event::Closing { .. }).then_some(event)
        })?;
        let ours = Event::Closing {
            result: 2,
            error: Some(6),
            message: "Closed (for today)".to_owned(),
        };
        assert_eq!(closing, ours);
        let closed = xl2tpd.wait_for("the end of the connection", mark, SOON, |event| {
            let Event::Closed { lns, remote, .. } = event else {
                return None;
            };
            Some((lns, remote))
        })?;
        assert_eq!(closed, (target.lns, 4711));
    }
    // Its acknowledgement of the last refusal may be on the way.
    lab::pause(Duration::from_millis(100))?;
    let report = responder.finish()?;
    drop(xl2tpd);

    let recording = capture.stop()?;
    let rows = recording.decode(&["eth.src", "l2tp.avp.message_type", "l2tp.length"], "l2tp")?;
    let count = |from: Mac, kind: &str, length: Option<&str>| {
        let from = from.to_string();
        let of = |row: &&Vec<String>| {
            row[0] == from && row[1] == kind && length.is_none_or(|length| row[2] == length)
        };
        rows.iter().filter(of).count()
    };
    // Nothing was sent again, since everything was answered at once.
    assert_eq!(count(Lab::PEER_MAC, "1", None), 3);
    assert_eq!(count(Lab::PEER_MAC, "", Some("12")), 3);
    assert_eq!(count(Lab::RESPONDER_MAC, "4", None), 3);
    assert_eq!(rows.len(), 9, "{rows:?}");
    let expected = verdicts([("answered", 3), ("zlb", 3)]);
    assert_eq!(report.verdicts()?, expected);
    assert_eq!(report.lost_by_driver()?, 0);
    assert_eq!(recording.complaints(ANSWERS)?, Vec::<String>::new());
    Ok(())
}

/// What comes from the responder's box on the L2TP port, in the words of tshark.
const ANSWERS: &str = "eth.src == 02:00:00:00:00:02 && udp.srcport == 1701";

/// Each is a run of its own: what is said, and the flags that make it so.
fn refusals() -> Vec<(Refusal, Vec<&'static str>)> {
    // As much as one AVP holds, in letters of two octets but for the last.
    let long: &'static str = Box::leak(format!("{}.", "ü".repeat(506)).into_boxed_str());
    vec![
        (Refusal::DEFAULT, vec![]),
        (
            Refusal {
                result: 2,
                error: Some(4),
                message: "Internal error",
                tunnel_id: 1,
            },
            vec![
                "--result-code",
                "general-error",
                "--error-code",
                "insufficient-resources",
                "--assigned-tunnel-id",
                "1",
            ],
        ),
        (
            Refusal {
                result: 7,
                error: None,
                message: "",
                tunnel_id: 12345,
            },
            vec!["--result-code", "7", "--error-code", "none"],
        ),
        (
            Refusal {
                result: 1,
                error: Some(0),
                message: "",
                tunnel_id: 12345,
            },
            vec![
                "--result-code",
                "1",
                "--error-code",
                "0",
                "--error-message",
                "",
            ],
        ),
        (
            Refusal {
                result: 65535,
                error: Some(65535),
                message: long,
                tunnel_id: 65535,
            },
            vec![
                "--result-code",
                "65535",
                "--error-code",
                "65535",
                "--error-message",
                long,
                "--assigned-tunnel-id",
                "65535",
            ],
        ),
    ]
}

/// The requests of each run: the tunnel id and the Ns, which comes back one higher.
const IDS: [(u16, u16); 3] = [(1, 0), (0x1234, 41), (0xFFFF, 0xFFFF)];

fn tshark_reads_what_was_configured(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let (peer, interface) = lab.peer();
    let port = lab.raw_port()?;
    let capture = Capture::start(peer, interface)?;
    let mut expected = Vec::new();
    for (refusal, flags) in refusals() {
        let responder = Responder::start(&lab, &[&way.flags(), flags.as_slice()].concat())?;
        for (tunnel_id, ns) in IDS {
            let mut sccrq = Sccrq::new(tunnel_id);
            sccrq.ns = ns;
            // On the rewrite path a reply has to fit the buffer of its request.
            sccrq.extra = vec![Avp::new(11, [0; 1000])];
            let payload = sccrq.message().bytes();
            let v4 = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload.clone());
            let v6 = datagram(nobody6(1701), (lab.lns6(1), 1701).into(), payload);
            for request in [v4, v6] {
                let reply = refusal.frame(&request, &sccrq);
                let what = format!("tunnel id {tunnel_id}, Ns {ns}, {flags:?}");
                expect(&port, &what, &request.frame(), &reply)?;
                expected.push(row(&refusal, tunnel_id, ns));
            }
            StopCcn::parse(&refusal.message(tunnel_id, ns).bytes())?;
        }
        let report = responder.finish()?;
        assert_eq!(report.verdicts()?, verdicts([("answered", 6)]));
    }
    let recording = capture.stop()?;
    assert_eq!(recording.decode(&FIELDS, ANSWERS)?, expected);
    assert_eq!(recording.complaints(ANSWERS)?, Vec::<String>::new());
    Ok(())
}

/// The fields of an answer that may differ from one to the next, and those that never may.
const FIELDS: [&str; 9] = [
    "l2tp.avp.message_type",
    "l2tp.result_code",
    "l2tp.avp.error_code",
    "l2tp.avp.error_message",
    "l2tp.avp.assigned_tunnel_id",
    "l2tp.tunnel",
    "l2tp.session",
    "l2tp.Ns",
    "l2tp.Nr",
];

/// What tshark is to read in [`FIELDS`].
fn row(refusal: &Refusal, tunnel_id: u16, ns: u16) -> Vec<String> {
    // It reads the message as ASCII, and shows this for every octet beyond.
    let shown = refusal.message.bytes().map(|octet| match octet {
        0..0x80 => char::from(octet),
        _ => char::REPLACEMENT_CHARACTER,
    });
    vec![
        "4".to_owned(),
        refusal.result.to_string(),
        refusal.error.map_or(String::new(), |code| code.to_string()),
        shown.collect(),
        refusal.tunnel_id.to_string(),
        tunnel_id.to_string(),
        "0".to_owned(),
        "0".to_owned(),
        ns.wrapping_add(1).to_string(),
    ]
}
