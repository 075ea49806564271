//! `-v` and `-vv`: a line for each answer, as long as a person can read along.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use libtest_mimic::Trial;
use xtask::lab::{self, ControlMessage, Sccrq};

use crate::{
    request::{answer, datagram, nobody, nobody6, push},
    responder::{LIMIT, Report, Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in WAYS {
        let name = format!("every_answer_has_its_line::{way}");
        trials.push(trial(name, &[], move || every_answer_has_its_line(way)));
        let name = format!("lines_that_nobody_could_read_are_counted::{way}");
        trials.push(trial(name, &[], move || {
            lines_that_nobody_could_read_are_counted(way)
        }));
        let name = format!("a_wrong_length_has_its_line::{way}");
        trials.push(trial(name, &[], move || a_wrong_length_has_its_line(way)));
        let name = format!("the_kernel_half_speaks_where_asked::{way}");
        trials.push(trial(name, &[], move || {
            the_kernel_half_speaks_where_asked(way)
        }));
    }
    trials
}

/// What the lines about answers say, without the time before it.
fn answers(report: &Report) -> Vec<&str> {
    let lines = report
        .said
        .iter()
        .filter(|line| line.contains("SCCRQ from"));
    let said = lines.filter_map(|line| line.split_once(" s  "));
    said.map(|(_, said)| said).collect()
}

/// How many lines it says it left out.
fn left_out(report: &Report) -> usize {
    let counts = report.said.iter().filter_map(|line| {
        let count = line.trim().strip_suffix(" more not shown")?;
        count.replace(',', "").parse::<usize>().ok()
    });
    counts.sum()
}

fn every_answer_has_its_line(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &[&way.flags()[..], &["-v"]].concat())?;
    let mut sccrq = Sccrq::new(4242);
    sccrq.ns = 9;
    let payload = sccrq.message().bytes();
    for request in [
        datagram(nobody(40_000), (lab.lns(1), 1701).into(), payload.clone()),
        datagram(nobody6(1701), (lab.lns6(2), 1701).into(), payload),
    ] {
        port.send(&request.frame())?;
        answer(&port, LIMIT)?.context("no answer")?;
    }
    let report = responder.finish()?;
    let lines = [
        "eth1  SCCRQ from 203.0.113.77:40000 \"lac\" to 192.0.2.1, tunnel id 4242, Ns 9: answered",
        "eth1  SCCRQ from [2001:db8:b::4d]:1701 \"lac\" to 2001:db8:1::2, tunnel id 4242, Ns 9: answered",
    ];
    assert_eq!(answers(&report), lines);
    Ok(())
}

/// What is wrong with it is said, and a hundred lines a second are enough here, too. All that was
/// not shown is counted.
fn a_wrong_length_has_its_line(way: Way) -> Result<()> {
    const MORE: usize = 400;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &[&way.flags()[..], &["-v"]].concat())?;
    let payload = Sccrq::new(7).message().bytes();
    let held = payload.len();
    let of_length = |length: usize| {
        let mut payload = payload.clone();
        payload[2..4].copy_from_slice(&(length as u16).to_be_bytes());
        payload
    };
    let over_ipv4 = |length| {
        let lns = (lab.lns(1), 1701).into();
        datagram(nobody(40_000), lns, of_length(length)).frame()
    };
    let over_ipv6 = datagram(
        nobody6(1701),
        (lab.lns6(2), 1701).into(),
        of_length(held + 1),
    );
    push(&port, &over_ipv4(held + 1))?;
    push(&port, &over_ipv6.frame())?;
    push(&port, &over_ipv4(11))?;
    for _ in 0..MORE {
        push(&port, &over_ipv4(held + 2))?;
    }
    // What is right is answered as before, behind all of them.
    push(&port, &over_ipv4(held))?;
    answer(&port, LIMIT)?.context("no answer")?;
    let report = responder.finish()?;
    let expected = verdicts([
        ("answered", 1),
        ("length-too-short", 1),
        ("length-too-long", 2 + MORE as u64),
    ]);
    assert_eq!(report.verdicts()?, expected);
    let lines = report
        .said
        .iter()
        .filter(|line| line.contains("control message"));
    let lines: Vec<_> = lines
        .filter_map(|line| line.split_once(" s  "))
        .map(|(_, said)| said)
        .collect();
    let from = "eth1  control message from 203.0.113.77:40000 to 192.0.2.1, Length";
    let long = |length: usize| {
        format!("{from} {length}, but the datagram holds {held} octets: not answered")
    };
    let first = [
        long(held + 1),
        format!(
            "eth1  control message from [2001:db8:b::4d]:1701 to 2001:db8:1::2, Length {}, \
             but the datagram holds {held} octets: not answered",
            held + 1
        ),
        format!("{from} 11, but its header alone has 12 octets: not answered"),
    ];
    assert_eq!(lines[..3], first);
    for line in &lines[3..] {
        assert_eq!(*line, long(held + 2));
    }
    assert!(lines.len() >= 100, "{} lines", lines.len());
    assert_eq!(lines.len() + left_out(&report), 3 + MORE);
    Ok(())
}

/// A thousand answers at once: a hundred lines in any second, and the number of the others.
fn lines_that_nobody_could_read_are_counted(way: Way) -> Result<()> {
    const REQUESTS: usize = 1000;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::start(&lab, &[&way.flags()[..], &["-v"]].concat())?;
    let payload = Sccrq::new(7).message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload).frame();
    for _ in 0..REQUESTS {
        port.send(&request)?;
        answer(&port, LIMIT)?.context("no answer")?;
    }
    // Past the next report, since what was left out is told with it.
    lab::pause(Duration::from_millis(1200))?;
    let report = responder.finish()?;
    assert_eq!(report.count("/answered")?, REQUESTS as u64);

    let mut by_second: BTreeMap<&str, usize> = BTreeMap::new();
    for line in &report.said {
        if let Some((time, _)) = line.split_once(" s  ") {
            let (second, _) = time.trim().split_once('.').context("a time")?;
            *by_second.entry(second).or_default() += 1;
        }
    }
    assert!(
        by_second.values().all(|lines| *lines <= 100),
        "{by_second:?}"
    );
    let left_out = left_out(&report);
    let shown = answers(&report).len();
    assert!(shown >= 100, "{shown} lines");
    assert_eq!(shown + left_out, REQUESTS);
    Ok(())
}

/// The kernel half tells of each verdict of its own; what it hands over it leaves to the worker.
fn the_kernel_half_speaks_where_asked(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let sccrq = datagram(
        nobody(1701),
        (lab.lns(1), 1701).into(),
        Sccrq::new(7).message().bytes(),
    );
    let zlb = datagram(
        nobody(1701),
        (lab.lns(1), 1701).into(),
        ControlMessage::zlb(12345, 1, 1).bytes(),
    );
    for (flags, expected) in [
        (&["-v"][..], &[][..]),
        (
            &["-vv"],
            &["eth1: queue 0, 54 octets: zlb (ZLB acknowledgement)"],
        ),
    ] {
        let responder = Responder::start(&lab, &[&way.flags(), flags].concat())?;
        port.send(&zlb.frame())?;
        port.send(&sccrq.frame())?;
        answer(&port, LIMIT)?.context("no answer")?;
        // Messages are fetched ten times a second.
        lab::pause(Duration::from_millis(300))?;
        let report = responder.finish()?;
        let zlbs = report.said.iter().filter(|line| line.contains("zlb"));
        assert_eq!(zlbs.collect::<Vec<_>>(), expected, "{flags:?}");
        let of_kernel = report.said("octets: answered");
        assert_eq!(of_kernel, flags == ["-vv"] && way.path == "rewrite");
    }
    Ok(())
}
