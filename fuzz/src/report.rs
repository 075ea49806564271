//! Any events, from the tracker to a report in every form: every attempt has one reaction, or one
//! reason why that is unknown, or is not over; and readers that know nothing of the writers
//! understand the documents.
//!
//! An input is an octet of options and events, each of some octets and the message that comes with
//! it.

use std::net::Ipv4Addr;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use broken_lns::judge::{Expectations, Judge};
use broken_lns::refusal::Refusal;
use broken_lns::report::{Facts, Format, Report};
use broken_lns::scenario::{Groups, Scenario};
use broken_lns::track::findings::{Findings, News, Reaction};
use broken_lns::track::{Rule, Settings, Tracker};
use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::l2tp;
use roxmltree::{Document, Node};
use serde_json::Value;
use xtask::lab::{Avp, ControlMessage, Sccrq, attribute, message_type};

use crate::{Input, Target};

/// From events to documents.
pub const TARGET: Target = Target {
    name: "report",
    seeds,
    words,
    run,
};

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

/// The LNSs are 192.0.2.1 to .4, in two groups; the rules are for one each, and expect something.
const SCENARIO: &str = r#"
    [[group]]
    name = "<a>"
    lns = ["192.0.2.1", "192.0.2.2"]
    [default]
    fault = "silent"
    expect = "junos"
    [[lns]]
    address = "192.0.2.1"
    fault = "refuse"
    expect = { reaction = "failover", to = "192.0.2.2", within = "5s", acknowledge = true, lockout = { min = "55s", max = "65s" } }
    [[lns]]
    address = "192.0.2.2"
    fault = "refuse"
    message = "]]>&\" no"
    expect = { reaction = ["retry-same", "give-up"] }
    [[lns]]
    address = "192.0.2.3"
    fault = "acknowledge"
    expect = { reaction = "ignore" }
"#;

fn run(data: &[u8]) -> Result<()> {
    let mut input = Input(data);
    let options = input.octet();
    let scenario = Scenario::parse("<fuzz>.toml", SCENARIO, &Refusal::default())?;
    let mut tracker = Tracker::new(Settings {
        // With the least of it there is room for one LAC or two.
        memory: if options & 1 == 0 { 1 << 20 } else { 1 << 15 },
        patience: 40 * SECOND,
        ..Settings::default()
    });
    let mut judge = Judge::new(0);
    enter(
        &mut tracker,
        &mut judge,
        0,
        &scenario,
        scenario.groups.clone(),
    );

    let mut time = SECOND;
    let mut events = 0;
    while !input.is_empty() {
        let (event, message) = event(&mut input, &mut time);
        match event.vlan {
            // Where no event is the next thing.
            0xfff0 => tracker.lost(1, event.time),
            0xfff1 => tracker.forced(event.time),
            0xfff2 => enter(&mut tracker, &mut judge, 1, &scenario, Groups::default()),
            _ => {
                tracker.observe(&event, message);
                events += 1;
            }
        }
        if options & 2 == 0 {
            tracker.advance(event.time);
        }
        tracker.take_news().iter().for_each(|news| judge.hear(news));
        // To ask takes longer than to observe.
        if events % 16 == 0 {
            add_up(&tracker.findings())?;
        }
    }
    // A report may be asked for in the middle of it all.
    if options & 4 == 0 {
        tracker.finish(u64::MAX, |news: News| judge.hear(&news));
        ensure!(
            tracker.findings().totals.attempts_open == 0,
            "some are open"
        );
    }
    let findings = tracker.findings();
    add_up(&findings)?;
    ensure!(findings.totals.events == events, "not every event counts");
    let report = Report {
        facts: Facts {
            started: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            duration: Duration::from_nanos(time),
            interfaces: vec!["eth<1>".to_owned()],
            scenario: "a|b & <c>.toml".to_owned(),
            sample: Sample::ALL,
        },
        findings,
        judgements: judge.judgements().clone(),
        lacs: tracker.noisiest(100),
    };
    drop(tracker.slowest(100));
    read(&report)
}

fn enter(
    tracker: &mut Tracker,
    judge: &mut Judge,
    number: u32,
    scenario: &Scenario,
    groups: Groups,
) {
    let rules = scenario.treatments().map(|(_, treatment)| Rule {
        fault: treatment.brief(),
        refuses: treatment.refuses(),
        keeps_waiting: treatment.keeps_waiting(),
        varies: treatment.varies(),
        ..Rule::default()
    });
    tracker.enter(number, rules.collect(), groups);
    judge.enter(number, Expectations::of(scenario));
}

/// The octets of an event, beside its message.
const RECORD: usize = 12;

/// Reads an event. Its time is that of the one before and a little more, or anything.
fn event<'d>(input: &mut Input<'d>, time: &mut u64) -> (Event, &'d [u8]) {
    let [step, kind, who, what, verdict, id, ns, nr] = std::array::from_fn(|_| input.octet());
    let number = input.number();
    let len = input.number();
    let message = input.octets(usize::from(len).min(256));
    *time = time.saturating_add(u64::from(step & 0x3f) << (16 + 8 * (step >> 6)));
    let address = |last: u8| {
        let octets = Ipv4Addr::new(192, 0, 2, last).octets();
        [u64::from(u32::from_ne_bytes(octets)), 0]
    };
    let event = Event {
        time: if kind & 0x40 == 0 {
            *time
        } else {
            u64::from(number) << (nr & 0x3f)
        },
        lac: [u64::from(who & 7), 0],
        lns: address(1 + (who >> 3 & 3)),
        scenario: u32::from(who >> 5 & 1),
        rule: u32::from(who >> 6),
        frame_len: 100,
        lns_port: l2tp::PORT + u16::from(kind >> 3 & 1),
        lac_port: 1701 + u16::from(kind >> 4 & 1),
        vlan: if kind & 0x80 == 0 {
            0
        } else {
            0xfff0 | u16::from(kind & 0xf)
        },
        inner_vlan: 0,
        message_type: u16::from(what & 7),
        tunnel_id: u16::from(what >> 3),
        assigned_tunnel_id: u16::from(id),
        ns: u16::from(ns),
        nr: u16::from(nr),
        verdict: u16::from(verdict) % (Event::HANDED_OVER + 2),
        ip_version: if who & 7 == 7 { 6 } else { 4 },
        kind: kind & 3,
    };
    (event, message)
}

/// That every attempt has one reaction, or one reason why that is unknown, or is not over.
fn add_up(findings: &Findings) -> Result<()> {
    for fault in &findings.faults {
        let known = Reaction::ALL.into_iter();
        let known: u64 = known.map(|it| fault.reactions.of(it).attempts).sum();
        let unknown = fault.reactions.unknown_total();
        ensure!(
            known + unknown + fault.open == fault.attempts,
            "{known} + {unknown} + {} are not {}: {fault:?}",
            fault.open,
            fault.attempts
        );
        ensure!(
            fault.answered <= fault.attempts,
            "too many answered: {fault:?}"
        );
    }
    let attempts: u64 = findings.faults.iter().map(|fault| fault.attempts).sum();
    let totals = findings.totals;
    ensure!(
        attempts == totals.attempts,
        "{attempts} attempts: {totals:?}"
    );
    let open: u64 = findings.faults.iter().map(|fault| fault.open).sum();
    ensure!(open == totals.attempts_open, "{open} open: {totals:?}");
    ensure!(
        totals.lacs == totals.lacs_open + totals.lacs_closed,
        "LACs: {totals:?}"
    );
    Ok(())
}

/// Reads every document.
fn read(report: &Report) -> Result<()> {
    for format in Format::ALL {
        let text = report.render(format);
        // A terminal must not take a name for a command, nor turn the direction of reading.
        let odd = |c: char| {
            c.is_control() && c != '\n'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        ensure!(
            !text.contains(odd),
            "{format:?} has {:?}",
            text.matches(odd).next()
        );
        match format {
            Format::Json => read_json(&text, report),
            Format::Junit => read_junit(&text, report),
            Format::Html => read_html(&text),
            Format::Markdown => read_markdown(&text),
            Format::Text => Ok(()),
        }
        .with_context(|| format!("{format:?}: {text}"))?;
    }
    Ok(())
}

fn read_json(text: &str, report: &Report) -> Result<()> {
    let json: Value = serde_json::from_str(text)?;
    let number = |value: &Value| value.as_u64().context("a count is no number");
    let sum = |value: &Value| -> Result<u64> {
        let counts = value.as_object().context("no object")?.values();
        counts
            .map(|count| match count {
                Value::Object(share) => number(&share["attempts"]),
                count => number(count),
            })
            .sum()
    };
    let mut attempts = 0;
    for fault in json["faults"].as_array().context("no faults")? {
        let of_fault = number(&fault["attempts"])?;
        attempts += of_fault;
        let told = sum(&fault["reactions"])? + sum(&fault["unknown"])?;
        ensure!(
            told + number(&fault["open"])? == of_fault,
            "{fault} does not add up"
        );
    }
    ensure!(
        attempts == report.findings.totals.attempts && json["attempts"]["seen"] == attempts,
        "{attempts} attempts"
    );
    Ok(())
}

fn read_junit(text: &str, report: &Report) -> Result<()> {
    let document = Document::parse(text)?;
    let count = |name: &str| {
        let all = document.descendants();
        all.filter(|node| node.has_tag_name(name))
            .count()
            .to_string()
    };
    let root = document.root_element();
    for (attribute, element) in [
        ("tests", "testcase"),
        ("failures", "failure"),
        ("skipped", "skipped"),
    ] {
        let said = Node::attribute(&root, attribute);
        ensure!(said == Some(&count(element)), "{said:?} {attribute}");
    }
    let expected = report.judgements.all.len().to_string();
    ensure!(count("testcase") == expected, "{expected} expectations");
    Ok(())
}

/// The page has the words of its scenario in it, and none of them as a tag.
fn read_html(text: &str) -> Result<()> {
    for tag in ["<c>", "<1>", "<a>", "<script"] {
        ensure!(!text.contains(tag), "{tag}");
    }
    for element in ["table", "ul", "li", "svg", "style"] {
        let begun = [">", " "].map(|end| text.matches(&format!("<{element}{end}")).count());
        let ended = text.matches(&format!("</{element}>")).count();
        ensure!(
            begun.iter().sum::<usize>() == ended,
            "{begun:?} <{element}>, {ended} ends"
        );
    }
    Ok(())
}

/// All rows of a table have as many columns.
fn read_markdown(text: &str) -> Result<()> {
    let mut columns = None;
    for line in text.lines() {
        let bars = line
            .replace("\\\\", "")
            .replace("\\|", "")
            .matches('|')
            .count();
        if !line.starts_with('|') {
            columns = None;
        } else if let Some(columns) = columns {
            ensure!(bars == columns, "{line}");
        } else {
            columns = Some(bars);
        }
    }
    Ok(())
}

/// A record of [`event`].
fn record(octets: [u8; RECORD - 2], message: &[u8]) -> Vec<u8> {
    let len = (message.len() as u16).to_le_bytes();
    [&octets[..], &len, message].concat()
}

/// What LACs do that retry, fail over, give up, and acknowledge or not.
fn seeds() -> Result<Vec<Vec<u8>>> {
    const SCCRQ: u8 = message_type::SCCRQ as u8;
    const ZLB: u8 = 0;
    /// Some four seconds, and none.
    const LATER: u8 = 2 << 6 | 1;
    const AT_ONCE: u8 = 0;
    let answered = Verdict::Answered as u8;
    let zlb = Verdict::Zlb as u8;
    let stopped = Verdict::StopCcn as u8;
    let request = |step, lac: u8, lns: u8, rule: u8, id: u8| {
        let mut sccrq = Sccrq::new(id.into());
        sccrq.host_name = format!("lac|{lac}<\u{1b}");
        let who = lac | lns << 3 | rule << 6;
        record(
            [step, 0, who, SCCRQ, answered, id, 0, 0, 0, 0],
            &sccrq.message().bytes(),
        )
    };
    let acknowledged = |lac: u8, lns: u8, rule: u8| {
        let who = lac | lns << 3 | rule << 6;
        record([AT_ONCE, 0, who, ZLB, zlb, 0, 1, 1, 0, 0], &[])
    };
    let said = |lac: u8, lns: u8| {
        let message = ControlMessage {
            avps: vec![
                Avp::new(attribute::MESSAGE_TYPE, message_type::STOPCCN.to_be_bytes()),
                Avp::new(attribute::RESULT_CODE, *b"\0\x02\0\x04no | <way>\n"),
                Avp::new(attribute::ASSIGNED_TUNNEL_ID, [0, 7]),
            ],
            ..ControlMessage::zlb(7, 1, 1)
        };
        let who = lac | lns << 3;
        record(
            [AT_ONCE, 0, who, 4, stopped, 0, 1, 1, 0, 0],
            &message.bytes(),
        )
    };
    let mut seeds = Vec::new();
    for options in 0..8 {
        let mut retries = vec![options];
        let mut failovers = vec![options];
        let mut ignores = vec![options];
        for id in 1..6 {
            retries.extend(request(LATER, 1, 0, 1, id));
            retries.extend(acknowledged(1, 0, 1));
            failovers.extend(request(LATER, 2, id % 2, 1 + id % 2, id));
            failovers.extend(acknowledged(2, id % 2, 1 + id % 2));
            ignores.extend(request(LATER, 3, 2, 3, 9));
            ignores.extend(said(3, 2));
        }
        // An end, a loss, another scenario, and more.
        failovers.extend(record([LATER, 0x80, 0, 0, 0, 0, 0, 0, 0, 0], &[]));
        ignores.extend(record([LATER, 0x82, 0, 0, 0, 0, 0, 0, 0, 0], &[]));
        ignores.extend(request(LATER, 3, 3, 0, 10));
        let all = [&retries[..], &failovers[1..], &ignores[1..]].concat();
        seeds.extend([retries, failovers, ignores, all]);
    }
    Ok(seeds)
}

/// What names and texts are made of that a document must not take for its own.
fn words() -> Vec<Vec<u8>> {
    let words: [&[u8]; 12] = [
        &[0xc8, 0x02],
        &[0x80, 0x08, 0, 0, 0, 0, 0, 1],
        &[0x80, 0x08, 0, 0, 0, 0, 0, 4],
        &[0x80, 0x08, 0, 0, 0, 9, 0, 7],
        &[0, 0, 0, 7],
        &[0, 0, 0, 8],
        b"]]>",
        b"<script>",
        b"|",
        b"\\",
        "\u{202e}".as_bytes(),
        &[0xff, 0xfe],
    ];
    words.map(<[u8]>::to_vec).to_vec()
}
