//! Capture files, as tshark reads them.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use broken_lns::capture::{
    Capture, CaptureOptions, Direction, FileLimit, Frame, WallClock, comment,
};
use broken_lns::scenario::Place;
use broken_lns::scenario::fault::FaultName;
use broken_lns_ebpf::verdict::Verdict;
use xtask::lab::{
    self, Avp, Checksum, ControlMessage, Datagram, Mac, Sccrq, Scratch, attribute, message_type,
};

const LAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const LNS: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn socket(text: &str) -> SocketAddr {
    text.parse().expect(text)
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
    let capture = Capture::start(CaptureOptions {
        file: file.clone(),
        limit: None,
        interfaces: vec!["eth1".to_owned(), "enp129s0f1".to_owned()],
        clock: WallClock::at_zero(Duration::new(1_700_000_000, 999_999_000)),
    });
    let capture = capture.expect("it can be written");
    let (request, reply) = (request(), reply());
    let place = Place {
        line: 12,
        column: 1,
    };
    let met = Some((Some(place), FaultName::Refuse));
    let frame = |time, interface, direction, octets: &[u8], comment: &str| Frame {
        time,
        interface,
        direction,
        len: octets.len() as u32,
        octets: octets.to_vec(),
        comment: comment.to_owned(),
    };
    let answered = comment(met, Some(Verdict::Answered));
    let unusual = "rule \u{201e}ä\u{201c}; 100 % \\ \"quoted\"";
    for frame in [
        frame(1, 0, Direction::Request, &request, &answered),
        frame(1_234, 0, Direction::Reply, &reply, &answered),
        frame(86_400_000_000_001, 1, Direction::Request, &request, unusual),
        Frame {
            len: 9000,
            ..frame(86_400_000_000_002, 1, Direction::Reply, &reply, "")
        },
    ] {
        assert!(capture.offer(frame));
    }
    assert_eq!(capture.finish().written, 4);

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
    let other = "enp129s0f1";
    #[rustfmt::skip]
    let expected = [
        ["1700000000.999999001", "eth1", inbound, &asked, &asked, "1", said],
        ["1700000001.000000234", "eth1", outbound, &told, &told, "4", said],
        ["1700086400.999999001", other, inbound, &asked, &asked, "1", unusual],
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
    let capture = Capture::start(CaptureOptions {
        file,
        limit: Some(FileLimit::new(64_000).expect("it is the least")),
        interfaces: vec!["eth1".to_owned()],
        clock: WallClock::now().expect("every Linux has both clocks"),
    });
    let capture = capture.expect("it can be written");
    let request = request();
    for number in 0..1000 {
        let taken = capture.offer(Frame {
            time: number,
            interface: 0,
            direction: Direction::Request,
            len: request.len() as u32,
            octets: request.clone(),
            comment: format!("frame {number}"),
        });
        assert!(taken, "{number}");
    }
    assert_eq!(capture.finish().written, 1000);
    let mut comments = Vec::new();
    for name in ["x.pcapng", "x.1.pcapng", "x.2.pcapng", "x.3.pcapng"] {
        let file = scratch.file(name);
        if file.exists() {
            comments.extend(tshark(&file, &["frame.comment"], "frame").concat());
            assert_eq!(tshark(&file, &["frame.number"], WRONG).len(), 0, "{name}");
        }
    }
    let expected: Vec<_> = (0..1000).map(|number| format!("frame {number}")).collect();
    assert_eq!(comments, expected);
    assert!(scratch.file("x.2.pcapng").exists());
}
