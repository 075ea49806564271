//! What LACs do: LACs whose every habit is known, and what the report says of them.

mod bng;
pub(crate) mod lac;
mod real;
mod sample;
mod time_namespace;

use std::{fs, net::IpAddr, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::lab::{
    self, Avp, ControlMessage, End, Lab, RawPort, Sccrq, Scratch, attribute, connect, message_type,
};

use crate::{
    Test, by_way,
    request::{Refusal, answer},
    responder::{LIMIT, Report, Responder, command, text},
    trial,
    way::Way,
};

use bng::several_tunnels_of_one_address_are_told_apart_or_unknown;
use lac::{CERTAIN, Lac, PAUSE, TIMEOUT};
use real::the_report_says_what_a_real_lac_says;
use sample::{nobody_follows_no_lac, one_lac_of_some_is_followed};
use time_namespace::a_time_namespace_makes_nobody_give_up;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [Test; 4] = [
        (
            "several_tunnels_of_one_address_are_told_apart_or_unknown",
            several_tunnels_of_one_address_are_told_apart_or_unknown,
        ),
        (
            "the_report_says_what_each_lac_did",
            the_report_says_what_each_lac_did,
        ),
        (
            "what_events_were_lost_of_is_not_known",
            what_events_were_lost_of_is_not_known,
        ),
        (
            "an_attempt_is_of_the_scenario_that_it_met",
            an_attempt_is_of_the_scenario_that_it_met,
        ),
    ];
    let mut trials = vec![
        trial(
            "a_lac_is_the_same_on_every_interface",
            &[],
            a_lac_is_the_same_on_every_interface,
        ),
        trial(
            "one_lac_of_some_is_followed",
            &[],
            one_lac_of_some_is_followed,
        ),
        trial("nobody_follows_no_lac", &[], nobody_follows_no_lac),
        trial(
            "a_time_namespace_makes_nobody_give_up",
            &["unshare"],
            a_time_namespace_makes_nobody_give_up,
        ),
    ];
    let real: [Test; 1] = [(
        "the_report_says_what_a_real_lac_says",
        the_report_says_what_a_real_lac_says,
    )];
    trials.extend(by_way(&WAYS, &[], &tests));
    trials.extend(by_way(&WAYS, &["xl2tpd"], &real));
    trials
}

/// All in the kernel half, and all by a worker.
const WAYS: [Way; 2] = [
    Way::new("rewrite", "generic"),
    Way::new("redirect", "native"),
];

/// What refuses and what is silent, for LACs to turn from one to the other.
const SCENARIO: &str = r#"[default]
fault = "refuse"
result = 2
error = 4

[[lns]]
address = "192.0.2.2"
fault = "silent"
"#;

const REFUSES: [u8; 4] = [192, 0, 2, 1];
const SILENT: [u8; 4] = [192, 0, 2, 2];
const OTHER: [u8; 4] = [192, 0, 2, 3];

/// A directory with a scenario, and a place for a report in it.
fn files(scenario: &str) -> Result<(Scratch, String, String)> {
    let files = Scratch::new("followed")?;
    let file = files.file("scenario.toml");
    fs::write(&file, scenario)?;
    let (file, report) = (text(&file)?.to_owned(), files.file("report.json"));
    let report = text(&report)?.to_owned();
    Ok((files, file, report))
}

/// A report in JSON.
pub(crate) fn read(file: impl AsRef<Path>) -> Result<Value> {
    let document = fs::read(&file).with_context(|| format!("{}", file.as_ref().display()))?;
    Ok(serde_json::from_slice(&document)?)
}

/// What a report says of an LNS, or of one in the scenario with that number.
fn fault(report: &Value, scenario: u32, lns: [u8; 4]) -> Result<&Value> {
    let lns = IpAddr::from(lns).to_string();
    let faults = report["faults"].as_array().context("no faults")?;
    let fault = faults
        .iter()
        .find(|fault| fault["lns"] == lns.as_str() && fault["scenario"] == scenario);
    fault.with_context(|| format!("nothing of {lns} in {report:#}"))
}

/// Attempts by reaction, and LACs: how many of each in a report.
fn reactions(failover: u64, retry: u64, give_up: u64, ignore: u64) -> Value {
    let share = |count| json!({"attempts": count, "lacs": count});
    json!({
        "failover": share(failover),
        "retry-same": share(retry),
        "give-up": share(give_up),
        "ignore": share(ignore),
    })
}

/// Attempts that are unknown since the end came before, since events were lost, and for no
/// other reason.
fn unknown(still_open: u64, events_lost: u64) -> Value {
    json!({
        "still-open": still_open,
        "events-lost": events_lost,
        "out-of-memory": 0,
        "parallel": 0,
        "unordered": 0,
        "ambiguous": 0,
        "groups-changed": 0,
        "left-to-host": 0,
    })
}

/// Acknowledgements, without the time that they took.
fn acknowledged(fault: &Value) -> Value {
    let mut acknowledged = fault["acknowledged"].clone();
    if let Some(acknowledged) = acknowledged.as_object_mut() {
        acknowledged.remove("round_trip");
    }
    acknowledged
}

/// Checks that what is certain is nothing but this.
fn no_loss(report: &Value, seen_of_it: &Report) -> Result<()> {
    assert_eq!(report["events"]["lost"], 0);
    assert_eq!(report["events"]["unmatched"], 0);
    assert_eq!(report["caveats"], json!([]));
    assert_eq!(seen_of_it.count("/events_lost")?, 0);
    Ok(())
}

/// A duration of a report, in milliseconds.
fn milliseconds(durations: &Value, key: &str) -> Result<u64> {
    let nanoseconds = durations[key].as_u64();
    Ok(nanoseconds.with_context(|| format!("no {key} in {durations}"))? / 1_000_000)
}

fn the_report_says_what_each_lac_did(way: Way) -> Result<()> {
    let (_files, scenario, report) = files(SCENARIO)?;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let flags = ["--scenario", &scenario, "--report", &report];
    let responder = Responder::start(&lab, &[&way.flags()[..], &flags].concat())?;
    let lac = |number| Lac::new(&port, number);

    // One without an answer asks elsewhere after two retransmissions.
    for _ in 0..3 {
        lac(1).ask(SILENT, 10)?;
        lab::pause(PAUSE)?;
    }
    // Nobody gives up an LNS before it could have answered.
    lab::pause(TIMEOUT)?;
    lac(1).is_refused(REFUSES, 11)?;
    // Three that turn to another LNS as soon as they were refused.
    for number in 2..5 {
        lac(number).is_refused(REFUSES, 20)?;
        lab::pause(PAUSE)?;
        lac(number).is_refused(OTHER, 21)?;
    }
    // One that tries the same LNS again, and acknowledges nothing.
    lac(5).is_answered(REFUSES, 50)?;
    lab::pause(PAUSE)?;
    lac(5).is_answered(REFUSES, 51)?;
    // One that does not believe the answer.
    for _ in 0..4 {
        lac(6).is_answered(REFUSES, 60)?;
        lab::pause(PAUSE)?;
    }
    // One that acknowledges wrongly.
    lac(7).is_answered(REFUSES, 70)?;
    lac(7).acknowledge(REFUSES, 0)?;
    // One with a word of its own, which acknowledges as well; it says so twice.
    lac(8).is_answered(REFUSES, 80)?;
    let codes = [&[0, 2, 0, 4][..], b"no | thanks"].concat();
    let stop = ControlMessage {
        tunnel_id: Refusal::DEFAULT.tunnel_id,
        session_id: 0,
        ns: 1,
        nr: 1,
        avps: vec![
            Avp::new(attribute::MESSAGE_TYPE, message_type::STOPCCN.to_be_bytes()),
            Avp::new(attribute::RESULT_CODE, codes),
            Avp::new(attribute::ASSIGNED_TUNNEL_ID, 80_u16.to_be_bytes()),
        ],
    };
    lac(8).send(REFUSES, stop.bytes())?;
    lac(8).send(REFUSES, stop.bytes())?;
    lab::pause(CERTAIN)?;
    let ended = responder.finish()?;

    let report = read(&report)?;
    no_loss(&report, &ended)?;
    assert_eq!(report["lacs"]["seen"], 8);
    assert_eq!(report["attempts"]["seen"], 13);
    assert_eq!(report["attempts"]["retransmissions"], 5);
    assert_eq!(report["followed_one_of"], 1);
    assert_eq!(report["scenario"], scenario.as_str());
    assert_eq!(report["interfaces"], json!([Lab::INTERFACE]));

    let silent = fault(&report, 0, SILENT)?;
    assert_eq!(silent["fault"], "silent");
    assert_eq!(
        (&silent["lacs"], &silent["answered"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(silent["retransmissions_before"], 2);
    assert_eq!(silent["reactions"], reactions(1, 0, 0, 0));
    assert_eq!(silent["unknown"], unknown(0, 0));
    assert_eq!(
        silent["failover_to"],
        json!([{"lns": "192.0.2.1", "attempts": 1}])
    );
    // From its first SCCRQ on, since there was no answer.
    ensure!(milliseconds(&silent["failover_after"], "min_ns")? >= 180);

    let refuses = fault(&report, 0, REFUSES)?;
    assert_eq!(refuses["fault"], "refuse 2/4");
    assert_eq!(
        (&refuses["lacs"], &refuses["attempts"]),
        (&json!(8), &json!(9))
    );
    assert_eq!(
        (&refuses["answered"], &refuses["open"]),
        (&json!(9), &json!(0))
    );
    assert_eq!(refuses["retransmissions_before"], 0);
    assert_eq!(refuses["retransmissions_after"], 3);
    assert_eq!(refuses["reactions"], reactions(3, 1, 0, 1));
    // The first LAC, the second attempt of the fifth, the seventh and the eighth.
    assert_eq!(refuses["unknown"], unknown(4, 0));
    assert_eq!(
        acknowledged(refuses),
        json!({"zlb": 4, "piggyback": 1, "wrong_nr": 1, "none": 3, "unknown": 0,
            "zero_tunnel_id": 0, "unknown_because": unknown(0, 0), "lacs": 5})
    );
    assert_eq!(
        refuses["failover_to"],
        json!([{"lns": "192.0.2.3", "attempts": 3}])
    );
    assert_eq!(refuses["failover_after"]["count"], 3);
    for durations in [&refuses["failover_after"], &refuses["retry_after"]] {
        ensure!(milliseconds(durations, "min_ns")? >= 59, "{durations}");
    }
    assert_eq!(
        refuses["messages"],
        json!([{"message_type": 4, "result": 2, "error": 4, "text": "no | thanks", "count": 1}])
    );

    let other = fault(&report, 0, OTHER)?;
    assert_eq!(other["reactions"], reactions(0, 0, 0, 0));
    assert_eq!(other["unknown"], unknown(3, 0));
    assert_eq!(other["acknowledged"]["zlb"], 3);
    Ok(())
}

/// Whether no thread of a process runs.
fn are_stopped(pid: u32) -> Result<bool> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let status = fs::read_to_string(task?.path().join("status"))?;
        if !status.contains("\nState:\tT") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// While the responder is stopped nobody takes events, and the ring buffer has room for few.
fn what_events_were_lost_of_is_not_known(way: Way) -> Result<()> {
    const LACS: u8 = 200;
    // Octets of a place, an event and its message, in all but one of those of the ring buffer.
    let message = Sccrq::new(7).message().bytes().len() as u64;
    let fit = 4095 / (8 + 72 + message).next_multiple_of(8);

    let (_files, scenario, report) = files(SCENARIO)?;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let flags = [
        "--scenario",
        &scenario,
        "--report",
        &report,
        "--track-ring",
        "4KiB",
    ];
    let mut responder = Responder::start(&lab, &[&way.flags()[..], &flags].concat())?;
    // What was seen to the end before is known, and stays so.
    let early = Lac::new(&port, 250);
    early.is_refused(REFUSES, 1)?;
    lab::pause(PAUSE)?;
    early.is_refused(OTHER, 2)?;
    lab::pause(CERTAIN)?;

    responder.process().signal(Signal::SIGSTOP)?;
    let pid = responder.process().pid();
    lab::until("all threads stopped", LIMIT, || {
        Ok(are_stopped(pid)?.then_some(()))
    })?;
    for number in 1..=LACS {
        Lac::new(&port, number).ask(REFUSES, 7)?;
    }
    let all_are_answered = || -> Result<()> {
        for number in 1..=LACS {
            answer(&port, LIMIT)?.with_context(|| format!("no answer to {number} of {LACS}"))?;
        }
        Ok(())
    };
    // The kernel half has to be done with all of them before anybody makes room.
    if way.path == "rewrite" {
        all_are_answered()?;
    } else {
        lab::pause(Duration::from_secs(1))?;
    }
    responder.process().signal(Signal::SIGCONT)?;
    if way.path != "rewrite" {
        all_are_answered()?;
    }
    // Now there is room again: what they do next is seen, but not what it follows.
    lab::pause(Duration::from_millis(200))?;
    for number in [1, 2, LACS - 1, LACS] {
        Lac::new(&port, number).is_answered(OTHER, 8)?;
    }
    lab::pause(CERTAIN)?;
    // What begins long enough after that is known again.
    let late = Lac::new(&port, 251);
    late.is_refused(REFUSES, 1)?;
    lab::pause(PAUSE)?;
    late.is_refused(OTHER, 2)?;
    // Time for an acknowledgement.
    lab::pause(Duration::from_millis(1100))?;
    let ended = responder.finish()?;

    let lost = u64::from(LACS) - fit;
    assert_eq!(ended.count("/events_lost")?, lost);
    assert_eq!(ended.count("/interfaces/0/events_lost")?, lost);
    assert_eq!(ended.count("/verdicts/answered")?, u64::from(LACS) + 8);
    let report = read(&report)?;
    assert_eq!(report["events"]["lost"], lost);
    let caveat = report["caveats"][0].as_str().context("no caveat")?;
    ensure!(
        caveat.starts_with(&format!("{lost} of "))
            && caveat.ends_with(
                " events were lost: attempts that may be concerned are unknown, and counts are \
                 too low by what was in them."
            ),
        "{caveat}"
    );
    // A worker tells what it did about those, too, of which the kernel half could not tell.
    let known = match way.path {
        "redirect" => u64::from(LACS),
        _ => fit,
    };
    let refuses = fault(&report, 0, REFUSES)?;
    assert_eq!(refuses["attempts"], known + 2);
    assert_eq!(refuses["reactions"], reactions(2, 0, 0, 0));
    assert_eq!(refuses["unknown"], unknown(0, known));
    // None of them acknowledged, which nobody can know.
    assert_eq!(
        acknowledged(refuses),
        json!({"zlb": 2, "piggyback": 0, "wrong_nr": 0, "none": 0, "unknown": known,
            "zero_tunnel_id": 0, "unknown_because": unknown(0, known), "lacs": 2})
    );
    let other = fault(&report, 0, OTHER)?;
    assert_eq!(other["reactions"], reactions(0, 0, 0, 0));
    // Those, and what the first one did after the loss, which is open since before.
    assert_eq!(other["unknown"], unknown(1, 5));
    Ok(())
}

/// Both halves have the number of the scenario, and so has whoever follows.
fn an_attempt_is_of_the_scenario_that_it_met(way: Way) -> Result<()> {
    let (files, scenario, report) = files(SCENARIO)?;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let control = files.file("control.sock");
    let control = text(&control)?;
    let flags = ["--scenario", &scenario, "--report", &report];
    let responder = Responder::controlled(&lab, control, &[&way.flags()[..], &flags].concat())?;
    let set = |flags: &[&str]| {
        let arguments = [&["set", "--control", control], flags].concat();
        let status = command(&lab.responder, &arguments).output()?.status;
        ensure!(status.success(), "{flags:?}: {status}");
        Ok(())
    };
    let lac = Lac::new(&port, 9);
    lac.is_refused(REFUSES, 1)?;
    set(&["--result-code", "5"])?;
    lac.is_refused(REFUSES, 2)?;
    set(&["--error-code", "none", "--lns", "192.0.2.1"])?;
    lac.is_refused(REFUSES, 3)?;
    let ended = responder.finish()?;

    let report = read(&report)?;
    no_loss(&report, &ended)?;
    assert_eq!(report["scenario"], format!("{scenario}, changed by set"));
    for (number, rule, name) in [
        (0, 0, "refuse 2/4"),
        (1, 0, "refuse 5/4"),
        (2, 2, "refuse 5"),
    ] {
        let fault = fault(&report, number, REFUSES)?;
        assert_eq!(
            (&fault["rule"], &fault["fault"]),
            (&json!(rule), &json!(name))
        );
        assert_eq!(
            (&fault["attempts"], &fault["answered"]),
            (&json!(1), &json!(1))
        );
        assert_eq!(fault["acknowledged"]["zlb"], 1, "{name}");
    }
    Ok(())
}

/// It turns to an LNS that is reached by another interface, where the scenario has the same
/// number.
fn a_lac_is_the_same_on_every_interface() -> Result<()> {
    const SECOND: &str = "eth2";
    let (files, scenario, report) = files(SCENARIO)?;
    let lab = Lab::static_arp().build()?;
    let (peer, _) = lab.peer();
    let ours = End::new(&lab.responder, SECOND).mac(Lab::RESPONDER_MAC);
    connect(&ours, &End::new(peer, "peer2").mac(Lab::PEER_MAC))?;
    let (first, second) = (lab.raw_port()?, RawPort::open(peer, "peer2")?);
    let control = files.file("control.sock");
    let control = text(&control)?;
    let flags = [
        "-i",
        Lab::INTERFACE,
        "-i",
        SECOND,
        "--scenario",
        &scenario,
        "--report",
        &report,
    ];
    let responder = Responder::controlled(&lab, control, &flags)?;
    for (number, tunnel_id) in [(0, 10), (1, 20)] {
        if number > 0 {
            let arguments = ["set", "--control", control, "--result-code", "5"];
            let status = command(&lab.responder, &arguments).output()?.status;
            ensure!(status.success(), "{status}");
        }
        Lac::new(&first, 9).is_refused(REFUSES, tunnel_id)?;
        lab::pause(PAUSE)?;
        Lac::new(&second, 9).is_refused(OTHER, tunnel_id + 1)?;
        lab::pause(PAUSE)?;
    }
    let ended = responder.finish()?;

    let report = read(&report)?;
    no_loss(&report, &ended)?;
    assert_eq!(report["interfaces"], json!([Lab::INTERFACE, SECOND]));
    assert_eq!(
        (&report["lacs"]["seen"], &report["attempts"]["seen"]),
        (&json!(1), &json!(4))
    );
    for (number, name) in [(0, "refuse 2/4"), (1, "refuse 5/4")] {
        let refuses = fault(&report, number, REFUSES)?;
        assert_eq!(refuses["fault"], name);
        assert_eq!(refuses["reactions"], reactions(1, 0, 0, 0));
        assert_eq!(
            refuses["failover_to"],
            json!([{"lns": "192.0.2.3", "attempts": 1}])
        );
        assert_eq!(fault(&report, number, OTHER)?["acknowledged"]["zlb"], 1);
    }
    Ok(())
}
