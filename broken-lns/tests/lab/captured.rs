//! The capture file, held against what went over the cable.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::{
    lab::{self, ControlMessage, Lab, RawPort, Sccrq, Scratch},
    process,
};

use crate::{
    Test, by_way,
    request::{answer, datagram, hex, nobody, push},
    responder::{LIMIT, Report, Responder, command, text},
    trial,
    way::Way,
};

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [Test; 3] = [
        (
            "every_frame_is_there_with_its_comment",
            every_frame_is_there_with_its_comment,
        ),
        (
            "files_follow_one_another_at_the_limit",
            files_follow_one_another_at_the_limit,
        ),
        (
            "what_does_not_fit_is_counted_and_answered",
            what_does_not_fit_is_counted_and_answered,
        ),
    ];
    let mut trials = vec![trial(
        "a_change_is_named_from_its_first_frame_on",
        &["tshark"],
        a_change_is_named_from_its_first_frame_on,
    )];
    trials.push(trial(
        "an_earlier_file_stays_where_nothing_starts",
        &[],
        an_earlier_file_stays_where_nothing_starts,
    ));
    trials.extend(by_way(&WAYS, &["tshark"], &tests));
    trials
}

/// What can be in the kernel half, and all by a worker; zero-copy or not makes no difference here.
const WAYS: [Way; 3] = [
    Way::new("auto", "native"),
    Way::new("auto", "generic"),
    Way::new("redirect", "native"),
];

const SCENARIO: &str = r#"[default]
fault = "refuse"
result = 2
error = 4

[[lns]]
address = "192.0.2.2"
fault = "silent"

[[lns]]
address = "192.0.2.3"
fault = "refuse"
result = 6
error = "none"
delay = "200ms"

[[lns]]
address = "192.0.2.4"
fault = "acknowledge"
repeat = 2
"#;

/// A request to the LNS that ends in this number.
fn request(lns: u8, payload: Vec<u8>) -> Vec<u8> {
    datagram(nobody(1701), ([192, 0, 2, lns], 1701).into(), payload).frame()
}

/// An SCCRQ to it.
fn sccrq(lns: u8, tunnel_id: u16) -> Vec<u8> {
    request(lns, Sccrq::new(tunnel_id).message().bytes())
}

/// The next answer.
fn answered(port: &RawPort) -> Result<Vec<u8>> {
    Ok(answer(port, LIMIT)?.context("no answer")?.bytes)
}

/// A frame in a file, as tshark reads it.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    octets: String,
    /// 1 for one that was received, and 2 for one that was sent.
    direction: String,
    comment: String,
}

fn shown(octets: &[u8], direction: u8, comment: &str) -> Shown {
    Shown {
        octets: hex(octets).replace(' ', ""),
        direction: format!("0x{direction:08x}"),
        comment: comment.to_owned(),
    }
}

/// Runs tshark, which must not have anything to complain of.
fn tshark(file: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("tshark");
    command.args(["-n", "-r", text(file)?]).args(arguments);
    let output = command.output().context("tshark")?;
    let complaints = String::from_utf8(output.stderr)?;
    // That root should not dissect is no complaint about the file.
    let complaints = complaints
        .lines()
        .filter(|line| !line.starts_with("Running as user "));
    let complaints: Vec<_> = complaints.collect();
    ensure!(
        output.status.success() && complaints.is_empty(),
        "{}: {}, {complaints:?}",
        file.display(),
        output.status
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What is in a file.
fn frames(file: &Path) -> Result<Vec<Shown>> {
    let frames: Vec<Value> = serde_json::from_str(&tshark(file, &["-T", "jsonraw"])?)?;
    let fields = ["frame.packet_flags_direction", "frame.comment"];
    let [direction, comment] = fields.map(|field| {
        let arguments = ["-T", "fields", "-e", field];
        tshark(file, &arguments)
    });
    let (direction, comment) = (direction?, comment?);
    let rows = frames.iter().zip(direction.lines()).zip(comment.lines());
    let shown = rows.map(|((frame, direction), comment)| {
        let octets = frame.pointer("/_source/layers/frame_raw/0");
        Ok(Shown {
            octets: octets
                .and_then(Value::as_str)
                .context("no octets")?
                .to_owned(),
            direction: direction.to_owned(),
            comment: comment.to_owned(),
        })
    });
    let shown: Vec<_> = shown.collect::<Result<_>>()?;
    ensure!(shown.len() == frames.len());
    Ok(shown)
}

/// Times of the frames in a file, in nanoseconds since 1970.
fn times(file: &Path) -> Result<Vec<u128>> {
    let times = tshark(file, &["-T", "fields", "-e", "frame.time_epoch"])?;
    let times = times.lines().map(|time| {
        let (seconds, nanoseconds) = time.split_once('.').context("no fraction")?;
        ensure!(nanoseconds.len() == 9, "not in nanoseconds: {time}");
        Ok(seconds.parse::<u128>()? * 1_000_000_000 + nanoseconds.parse::<u128>()?)
    });
    times.collect()
}

/// The counts of the capture in the last snapshot: written, lost, failed.
fn counts(report: &Report) -> Result<(u64, u64, u64)> {
    let count = |name| report.count(&format!("/capture/{name}"));
    Ok((count("written")?, count("lost")?, count("failed")?))
}

/// Starts a responder that captures to `x.pcapng`.
fn start(lab: &Lab, files: &Scratch, way: Way, flags: &[&str]) -> Result<(Responder, PathBuf)> {
    let (scenario, file) = (files.file("scenario.toml"), files.file("x.pcapng"));
    fs::write(&scenario, SCENARIO)?;
    let own = ["--scenario", text(&scenario)?, "--capture", text(&file)?];
    let flags = [&way.flags()[..], &own, flags].concat();
    Ok((Responder::start(lab, &flags)?, file))
}

fn every_frame_is_there_with_its_comment(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let files = Scratch::new("captured")?;
    let (responder, file) = start(&lab, &files, way, &[])?;
    let port = lab.raw_port()?;
    let mut expected = Vec::new();

    let sccrqs = [1, 2, 3, 4].map(|lns| sccrq(lns, lns.into()));
    let zlb = request(1, ControlMessage::zlb(12345, 1, 1).bytes());
    let [refused, silent, delayed, repeated] = &sccrqs;
    push(&port, refused)?;
    let comment = "rule default, fault refuse 2/4, verdict answered";
    expected.push(shown(refused, 1, comment));
    expected.push(shown(&answered(&port)?, 2, comment));
    push(&port, &zlb)?;
    expected.push(shown(&zlb, 1, "verdict zlb"));
    // A ZLB is the kernel half's, and the next ones may be a worker's.
    lab::pause(Duration::from_millis(20))?;
    push(&port, silent)?;
    let comment = "rule 6:1, fault silent, verdict silent";
    expected.push(shown(silent, 1, comment));
    lab::pause(Duration::from_millis(20))?;
    push(&port, delayed)?;
    let comment = "rule 10:1, fault refuse 6 after 200ms, verdict deferred";
    expected.push(shown(delayed, 1, comment));
    expected.push(shown(&answered(&port)?, 2, comment));
    push(&port, repeated)?;
    let comment = "rule 17:1, fault acknowledge 2 times, verdict answered";
    expected.push(shown(repeated, 1, comment));
    for _ in 0..2 {
        expected.push(shown(&answered(&port)?, 2, comment));
    }
    // Data is not captured, and neither is what is no L2TP.
    push(&port, &request(1, vec![0x00, 0x02, 0, 1, 0, 1, 0xff, 0x03]))?;
    let report = responder.finish()?;

    assert_eq!(frames(&file)?, expected);
    assert_eq!(counts(&report)?, (expected.len() as u64, 0, 0));
    let times = times(&file)?;
    ensure!(times.is_sorted(), "{times:?}");
    let (deferred, sent) = (times[4], times[5]);
    ensure!(sent - deferred >= 200_000_000);
    let now = std::time::UNIX_EPOCH.elapsed()?.as_nanos();
    ensure!((now - 60_000_000_000..now).contains(&times[0]), "{times:?}");
    // Whoever reads the file is told by what it was written, and where.
    let name = tshark(&file, &["-T", "fields", "-e", "frame.interface_name"])?;
    assert_eq!(
        name.lines().collect::<Vec<_>>(),
        vec![Lab::INTERFACE; expected.len()]
    );
    Ok(())
}

fn files_follow_one_another_at_the_limit(way: Way) -> Result<()> {
    const REQUESTS: u16 = 600;
    let lab = way.one_cable().build()?;
    let files = Scratch::new("captured")?;
    let (responder, file) = start(&lab, &files, way, &["--capture-limit", "64KiB"])?;
    let port = lab.raw_port()?;
    for tunnel_id in 1..=REQUESTS {
        push(&port, &sccrq(1, tunnel_id))?;
        answered(&port)?;
    }
    let report = responder.finish()?;
    let written = 2 * u64::from(REQUESTS);
    assert_eq!(counts(&report)?, (written, 0, 0));
    let mut ids = String::new();
    let mut number = 0;
    let mut path = file;
    while path.exists() {
        let arguments = ["-T", "fields", "-e", "l2tp.avp.assigned_tunnel_id"];
        ids += &tshark(&path, &arguments)?;
        number += 1;
        path = files.file(&format!("x.{number}.pcapng"));
    }
    ensure!(number >= 4, "only {number} files");
    let expected = (1..=REQUESTS).flat_map(|id| [id, 12345]);
    let ids = ids
        .lines()
        .map(str::parse)
        .collect::<Result<Vec<u16>, _>>()?;
    ensure!(ids.into_iter().eq(expected));
    Ok(())
}

/// A page of room, and much more at once than fits: what is lost is counted, and no answer is.
fn what_does_not_fit_is_counted_and_answered(way: Way) -> Result<()> {
    const REQUESTS: u16 = 2000;
    let lab = way.one_cable().build()?;
    let files = Scratch::new("captured")?;
    let (responder, file) = start(&lab, &files, way, &["--capture-ring", "4KiB"])?;
    let port = lab.raw_port()?;
    let requests: Vec<_> = (1..=REQUESTS).map(|id| sccrq(1, id)).collect();
    for request in &requests {
        push(&port, request)?;
    }
    lab::pause(Duration::from_millis(300))?;
    let report = responder.finish()?;
    assert_eq!(report.count("/verdicts/answered")?, u64::from(REQUESTS));
    let (written, lost, failed) = counts(&report)?;
    ensure!(written > 0 && lost > 0 && failed == 0, "{written} {lost}");
    assert_eq!(written + lost, 2 * u64::from(REQUESTS));
    assert_eq!(frames(&file)?.len() as u64, written);
    Ok(())
}

fn an_earlier_file_stays_where_nothing_starts() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let files = Scratch::new("captured")?;
    let (earlier, new) = (files.file("x.pcapng"), files.file("new.pcapng"));
    // One that no run made would not be written over in any case.
    Responder::start(&lab, &["--capture", text(&earlier)?])?.finish()?;
    let before = fs::read(&earlier)?;
    ensure!(
        !before.is_empty(),
        "nothing was captured, not even a header"
    );
    let said = |file: &Path| {
        let arguments = ["run", "--control", "none", "--capture", text(file)?];
        let output = command(&lab.responder, &arguments).output()?;
        ensure!(!output.status.success(), "it ran");
        Ok(String::from_utf8(output.stderr)?)
    };
    let unfit = said(&files.file(""))?;
    ensure!(
        unfit.contains("it is neither a regular file nor /dev/null") && !unfit.contains("attached"),
        "{unfit}"
    );
    // There is room for one on an interface.
    let responder = Responder::start(&lab, &[])?;
    for file in [&earlier, &new] {
        let taken = said(file)?;
        ensure!(
            taken.contains("or take its place with --replace"),
            "{taken}"
        );
    }
    responder.finish()?;
    assert_eq!(fs::read(&earlier)?, before);
    ensure!(!new.exists());
    Ok(())
}

fn a_change_is_named_from_its_first_frame_on() -> Result<()> {
    let way = Way::new("redirect", "native");
    let lab = way.one_cable().build()?;
    let files = Scratch::new("captured")?;
    let (control, file) = (files.file("control"), files.file("x.pcapng"));
    let flags = [&way.flags()[..], &["--capture", text(&file)?]].concat();
    let responder = Responder::controlled(&lab, text(&control)?, &flags)?;
    let port = lab.raw_port()?;
    push(&port, &sccrq(1, 1))?;
    answered(&port)?;
    let mut set = Command::new(env!("CARGO_BIN_EXE_broken-lns"));
    set.args(["set", "--control", text(&control)?, "--result-code", "6"]);
    process::read(&mut set)?;
    push(&port, &sccrq(1, 2))?;
    answered(&port)?;
    responder.finish()?;
    let comments: Vec<_> = frames(&file)?.into_iter().map(|it| it.comment).collect();
    let [before, after] =
        ["0/4", "6/4"].map(|codes| format!("rule default, fault refuse {codes}, verdict answered"));
    assert_eq!(comments, [&*before, &*before, &*after, &*after]);
    Ok(())
}
