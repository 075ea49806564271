//! `--json`: what others may rely on.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result};
use broken_lns_ebpf::verdict::Verdict;
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::lab::{self, ControlMessage, Lab, Process, Sccrq, Stream};

use crate::{
    request::{answer, datagram, nobody},
    responder::{LIMIT, Responder, command},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let lines = WAYS.map(|way| {
        let name = format!("every_second_has_its_line::{way}");
        trial(name, &[], move || every_second_has_its_line(way))
    });
    let summary = trial(
        "without_json_the_end_is_a_summary",
        &[],
        without_json_the_end_is_a_summary,
    );
    lines.into_iter().chain([summary]).collect()
}

fn every_second_has_its_line(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let mut responder = Responder::start(&lab, &way.flags())?;
    let to_lns = |payload| datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let sccrq = to_lns(Sccrq::new(7).message().bytes()).frame();
    let zlb = to_lns(ControlMessage::zlb(1, 1, 1).bytes()).frame();
    for _ in 0..3 {
        for _ in 0..5 {
            port.send(&zlb)?;
            port.send(&sccrq)?;
            answer(&port, LIMIT)?.context("no answer")?;
        }
        lab::pause(Duration::from_millis(700))?;
    }
    let process = responder.process();
    lab::until("two lines", LIMIT, || {
        let lines = process.lines().into_iter();
        let count = lines
            .filter(|line| line.text.starts_with("{\"elapsed_s"))
            .count();
        Ok((count >= 2).then_some(()))
    })?;
    let report = responder.finish()?;
    // Each second has a line, and the end has one more. A busy machine leaves seconds out.
    let seconds = number(report.last()?, "elapsed_s")? as usize;
    let lines = report.snapshots.len();
    assert!((3..=seconds + 1).contains(&lines), "{lines} in {seconds} s");
    for (index, snapshot) in report.snapshots.iter().enumerate() {
        check_keys(snapshot)?;
        assert_eq!(snapshot["final"], index == lines - 1);
    }
    for pair in report.snapshots.windows(2) {
        check_growth(&pair[0], &pair[1]);
    }
    let last = report.last()?;
    assert_eq!(last["answered"], 15);
    assert_eq!(last["verdicts"]["zlb"], 15);
    assert_eq!(last["received"], 30);
    let (elapsed, rate) = (number(last, "elapsed_s")?, number(last, "per_second")?);
    assert!((elapsed * rate - 15.0).abs() < 0.1, "{elapsed} s, {rate}/s");
    let sum = |snapshot: &Value| -> Result<f64> { number(snapshot, "per_second") };
    let first = sum(&report.snapshots[0])? * number(&report.snapshots[0], "elapsed_s")?;
    let answered = number(&report.snapshots[0], "answered")?;
    assert!((first - answered).abs() < 0.1, "{first} of {answered}");
    Ok(())
}

fn number(snapshot: &Value, key: &str) -> Result<f64> {
    let number = snapshot[key].as_f64();
    number.with_context(|| format!("{key} of {snapshot}"))
}

/// Exactly these keys, in the whole and in each of its parts.
fn check_keys(snapshot: &Value) -> Result<()> {
    let keys = |value: &Value| -> Result<BTreeSet<String>> {
        let map = value.as_object().context("not an object")?;
        Ok(map.keys().cloned().collect())
    };
    let set =
        |keys: &[&str]| -> BTreeSet<String> { keys.iter().map(|key| (*key).to_owned()).collect() };
    let counts = [
        "received",
        "answered",
        "rewritten",
        "redirected",
        "events_lost",
        "undelivered",
        "verdicts",
    ];
    let whole = ["elapsed_s", "per_second", "interfaces", "final"];
    assert_eq!(keys(snapshot)?, set(&[&counts[..], &whole].concat()));
    let labels: Vec<&str> = Verdict::ALL.iter().map(|verdict| verdict.label()).collect();
    let interface = &snapshot["interfaces"][0];
    let part = ["name", "queues", "driver", "rules", "sent", "ended"];
    assert_eq!(keys(interface)?, set(&[&counts[..], &part].concat()));
    for verdicts in [&snapshot["verdicts"], &interface["verdicts"]] {
        assert_eq!(keys(verdicts)?, set(&labels));
    }
    for queue in interface["queues"].as_array().context("no queues")? {
        assert_eq!(keys(queue)?, set(&["queue", "answered", "xdp_statistics"]));
        let statistics = [
            "rx_dropped",
            "rx_invalid_descs",
            "tx_invalid_descs",
            "rx_ring_full",
            "rx_fill_ring_empty_descs",
            "tx_ring_empty_descs",
        ];
        assert_eq!(keys(&queue["xdp_statistics"])?, set(&statistics));
    }
    Ok(())
}

/// Counters never go back, and time goes on.
fn check_growth(before: &Value, after: &Value) {
    match (before, after) {
        (Value::Number(before), Value::Number(after)) => {
            assert!(after.as_f64() >= before.as_f64(), "{before} then {after}");
        }
        (Value::Object(before), Value::Object(after)) => {
            for (key, before) in before.iter().filter(|(key, _)| *key != "per_second") {
                check_growth(before, &after[key]);
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len());
            for (before, after) in before.iter().zip(after) {
                check_growth(before, after);
            }
        }
        _ => {}
    }
}

/// A table of all verdicts on standard output, for a person.
fn without_json_the_end_is_a_summary() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let run = command(
        &lab.responder,
        &["run", "--duration", "200ms", "--control", "none"],
    );
    let mut responder = Process::spawn("broken-lns", run)?;
    assert_eq!(responder.wait(LIMIT)?.code(), Some(0));
    let lines = responder.lines().into_iter();
    let lines: Vec<String> = lines
        .filter(|line| line.stream == Stream::Stdout)
        .map(|line| line.text)
        .collect();
    let first = lines.first().context("it printed nothing")?;
    let start = "0 answered of 0 received in ";
    assert!(first.starts_with(start), "{first}");
    for verdict in Verdict::ALL {
        let rows = lines
            .iter()
            .filter(|line| line.ends_with(verdict.meaning()));
        assert_eq!(rows.count(), 1, "{}", verdict.label());
    }
    Ok(())
}
