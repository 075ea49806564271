//! Capture files, as tshark reads them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use broken_lns::capture::{
    CaptureOptions, Captured, Direction, FileLimit, OutputMode, Prepared, RuleName, Source,
    WallClock,
};
use broken_lns::scenario::Place;
use broken_lns_ebpf::verdict::Verdict;
use xtask::lab::{
    self, Avp, Checksum, ControlMessage, Datagram, Mac, Sccrq, Scratch, attribute, message_type,
};

const LAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const LNS: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn socket(text: &str) -> SocketAddr {
    text.parse().expect(text)
}

/// Frames that were captured before.
struct Frames(VecDeque<(Captured, Vec<u8>)>);

impl Source for Frames {
    fn take(&mut self, limit: usize, take: &mut dyn FnMut(&Captured, &[u8])) -> bool {
        for _ in 0..limit {
            match self.0.pop_front() {
                Some((captured, octets)) => take(&captured, &octets),
                None => return true,
            }
        }
        false
    }

    fn lost(&self) -> u64 {
        0
    }
}

/// A frame that met the rule with that number, and was answered.
fn captured(time: u64, rule: u32, direction: Direction, octets: &[u8]) -> (Captured, Vec<u8>) {
    let len = octets.len() as u32;
    let captured = Captured {
        time,
        scenario: 0,
        rule,
        len,
        snap_len: len,
        verdict: Verdict::Answered as u32,
        direction: direction as u32,
    };
    (captured, octets.to_vec())
}

fn rule(line: usize, fault: &str) -> RuleName {
    RuleName {
        place: Some(Place { line, column: 1 }),
        fault: fault.into(),
    }
}

/// The request of a LAC.
fn request() -> Vec<u8> {
    let request = Datagram {
        source_mac: LAC,
        destination_mac: LNS,
        tags: Vec::new(),
        source: socket("198.51.100.2:1701"),
        destination: socket("192.0.2.1:1701"),
        checksum: Checksum::Right,
        payload: Sccrq::new(7).message().bytes(),
    };
    request.frame()
}

/// The reply to it.
fn reply() -> Vec<u8> {
    let stopccn = ControlMessage {
        tunnel_id: 7,
        session_id: 0,
        ns: 0,
        nr: 1,
        avps: vec![
            Avp::new(attribute::MESSAGE_TYPE, message_type::STOPCCN.to_be_bytes()),
            Avp::new(attribute::RESULT_CODE, [0, 2, 0, 4]),
            Avp::new(attribute::ASSIGNED_TUNNEL_ID, 12345_u16.to_be_bytes()),
        ],
    };
    let reply = Datagram {
        source_mac: LNS,
        destination_mac: LAC,
        tags: Vec::new(),
        source: socket("192.0.2.1:1701"),
        destination: socket("198.51.100.2:1701"),
        checksum: Checksum::Right,
        payload: stopccn.bytes(),
    };
    reply.frame()
}

/// One row for each frame in a file, one column for each field.
///
/// What tshark has to complain of makes it panic.
fn tshark(file: &Path, fields: &[&str], filter: &str) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file);
    for protocol in ["ip", "udp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    command.args(["-Y", filter, "-T", "fields", "-E", "separator=/t"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs");
    let text = |octets| String::from_utf8(octets).expect("tshark writes text");
    let (out, err) = (text(output.stdout), text(output.stderr));
    // That root should not dissect is no complaint about the file.
    let complaints = err
        .lines()
        .filter(|line| !line.starts_with("Running as user "));
    assert_eq!(complaints.collect::<Vec<_>>(), [""; 0]);
    assert!(output.status.success(), "{}", output.status);
    let rows = out
        .lines()
        .map(|row| row.split('\t').map(str::to_owned).collect());
    rows.collect()
}

/// What is wrong with the frames in a file.
const WRONG: &str = "_ws.malformed || _ws.expert.severity >= warning \
    || ip.checksum.status == Bad || udp.checksum.status == Bad";

#[test]
fn tshark_reads_times_comments_and_directions_as_they_were_given() {
    if !lab::is_possible(&["tshark"]) {
        return;
    }
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let capture = Prepared::new(CaptureOptions {
        file: file.clone(),
        mode: OutputMode::default(),
        limit: None,
        interfaces: vec!["eth1".to_owned(), "enp129s0f1".to_owned()],
        clock: WallClock::at_zero(Duration::new(1_700_000_000, 999_999_000)),
    });
    let mut capture = capture.expect("it can be written");
    let (request, reply) = (request(), reply());
    let unusual = "\u{201e}ä\u{201c}; 100 % \\ \"quoted\"";
    capture.enter(0, vec![rule(12, "refuse"), rule(20, unusual)]);
    let first = [
        captured(1, 0, Direction::Request, &request),
        captured(1_234, 0, Direction::Reply, &reply),
    ];
    let later = captured(86_400_000_000_002, 1, Direction::Reply, &reply);
    let second = [
        captured(86_400_000_000_001, 1, Direction::Request, &request),
        (
            Captured {
                len: 9000,
                verdict: Verdict::COUNT as u32,
                ..later.0
            },
            later.1,
        ),
    ];
    capture.hear(1, Box::new(Frames(second.into())));
    capture.hear(0, Box::new(Frames(first.into())));
    let capture = capture.start().expect("it can be written");
    assert_eq!(capture.finish().0.written, 4);

    let fields = [
        "frame.time_epoch",
        "frame.interface_name",
        "frame.packet_flags_direction",
        "frame.cap_len",
        "frame.len",
        "l2tp.avp.message_type",
        "frame.comment",
    ];
    let (asked, told) = (request.len().to_string(), reply.len().to_string());
    let (inbound, outbound) = ("0x00000001", "0x00000002");
    let said = "rule 12:1, fault refuse, verdict answered";
    let unusual = format!("rule 20:1, fault {unusual}, verdict answered");
    let other = "enp129s0f1";
    #[rustfmt::skip]
    let expected = [
        ["1700000000.999999001", "eth1", inbound, &asked, &asked, "1", said],
        ["1700000001.000000234", "eth1", outbound, &told, &told, "4", said],
        ["1700086400.999999001", other, inbound, &asked, &asked, "1", &unusual],
        ["1700086400.999999002", other, outbound, &told, "9000", "4", ""],
    ];
    assert_eq!(tshark(&file, &fields, "frame"), expected);
    let wrong = tshark(&file, &["frame.number"], WRONG);
    assert_eq!(wrong, Vec::<Vec<String>>::new());
}

#[test]
fn tshark_reads_every_file_of_several() {
    if !lab::is_possible(&["tshark"]) {
        return;
    }
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let capture = Prepared::new(CaptureOptions {
        file,
        mode: OutputMode::default(),
        limit: Some(FileLimit::new(65_536).expect("it is the least")),
        interfaces: vec!["eth1".to_owned()],
        clock: WallClock::now().expect("every Linux has both clocks"),
    });
    let mut capture = capture.expect("it can be written");
    let request = request();
    let rules = (0..1000).map(|number| rule(number + 1, "refuse"));
    capture.enter(0, rules.collect());
    let frames = (0..1000).map(|number| {
        let rule = number as u32;
        captured(number, rule, Direction::Request, &request)
    });
    capture.hear(0, Box::new(Frames(frames.collect())));
    let capture = capture.start().expect("it can be written");
    assert_eq!(capture.finish().0.written, 1000);
    let mut comments = Vec::new();
    for name in ["x.pcapng", "x.1.pcapng", "x.2.pcapng", "x.3.pcapng"] {
        let file = scratch.file(name);
        if file.exists() {
            comments.extend(tshark(&file, &["frame.comment"], "frame").concat());
            assert_eq!(tshark(&file, &["frame.number"], WRONG).len(), 0, "{name}");
        }
    }
    let comment = |line| format!("rule {line}:1, fault refuse, verdict answered");
    let expected: Vec<_> = (1..=1000).map(comment).collect();
    assert_eq!(comments, expected);
    assert!(scratch.file("x.2.pcapng").exists());
}
