//! Thousands of LACs at once, each with a personality of its own: the report has to say what they
//! are like.
//!
//! Their time runs faster than that of the clock, and so does that of the tracker.

mod crowd;
mod lac;
mod personality;

use std::{collections::BTreeMap, fs, net::Ipv4Addr, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;
use xtask::lab::Scratch;

use crate::{
    responder::{Responder, text},
    trial,
    way::Way,
};
use crowd::{Crowd, lns_address};
use lac::{Reaction, Truth};
use personality::{Fault, Habit, Personality, personalities};

/// LACs of each personality.
const LACS_OF_EACH: u16 = 150;
/// How much faster the time of the LACs runs than that of the clock. A machine that does not keep
/// up has them live once more, and slower.
const RATES: [u32; 3] = [50, 20, 5];
/// How long they live. Those that stay away for five minutes come back twice.
const LIFE: Duration = Duration::from_secs(650);
/// How long a LAC is quiet that has given up: longer than any that comes back.
const PATIENCE: Duration = Duration::from_secs(350);

pub(crate) fn trials() -> Vec<Trial> {
    [
        Way::new("rewrite", "native"),
        Way::new("redirect", "native"),
    ]
    .map(|way| {
        let name = format!("the_report_knows_every_lac::{way}");
        trial(name, &[], move || the_report_knows_every_lac(way))
    })
    .into()
}

fn the_report_knows_every_lac(way: Way) -> Result<()> {
    let mut result = Ok(());
    for rate in RATES {
        result = live(way, rate)?.compare();
        let Err(error) = &result else {
            break;
        };
        eprintln!("{way}, {rate} times as fast: {error:#}");
        // Who gets no CPU for a moment is another LAC than the one that is simulated. A mistake
        // shows as well where they are slower.
    }
    result
}

/// What LACs did, and what the report says of it.
struct Lived {
    crowd: Crowd,
    report: Value,
}

fn live(way: Way, rate: u32) -> Result<Lived> {
    let personalities = personalities().into_iter();
    let is_played =
        |personality: &Personality| way.path == "redirect" || personality.fault != Fault::Late;
    let personalities: Vec<_> = personalities.filter(is_played).collect();
    let lab = way.one_cable().build()?;
    let files = Scratch::new("population")?;
    let scenario = files.file("population.toml");
    fs::write(&scenario, rules(&personalities, rate))?;
    let report = files.file("report.json");
    let (rate_flag, patience) = (rate.to_string(), format!("{}s", PATIENCE.as_secs()));
    let flags = [
        &way.flags()[..],
        &["--scenario", text(&scenario)?],
        &["--report", text(&report)?],
        &[
            "--track-clock-rate",
            &rate_flag,
            "--track-patience",
            &patience,
        ],
    ];
    let responder = Responder::start(&lab, &flags.concat())?;
    let mut crowd = Crowd::new(personalities, LACS_OF_EACH, rate);
    crowd.live(&lab.raw_port()?, LIFE)?;
    // Everybody is quiet for longer than those that come back.
    thread::sleep((PATIENCE + Duration::from_secs(20)) / rate);
    responder.finish()?;
    Ok(Lived {
        crowd,
        report: serde_json::from_slice(&fs::read(&report)?)?,
    })
}

/// A rule for the LNSs of each personality.
fn rules(personalities: &[Personality], rate: u32) -> String {
    let rules = personalities.iter().enumerate().map(|(kind, it)| {
        let rule = it.fault.rule(rate);
        format!("[[lns]]\naddress = \"198.18.{kind}.0/24\"\n{rule}\n")
    });
    rules.collect()
}

impl Lived {
    fn compare(&self) -> Result<()> {
        let Self { crowd, report } = self;
        let personalities = &crowd.personalities;
        for (kind, personality) in personalities.iter().enumerate() {
            for (lns, truth) in crowd.truths(kind).iter().enumerate() {
                compare(report, *personality, lns_address(kind, lns as u8), truth)
                    .with_context(|| format!("{personality:?}, LNS {lns}"))?;
            }
        }
        let mut selections = BTreeMap::new();
        for personality in personalities {
            *selections.entry(personality.selection()).or_insert(0) += u64::from(LACS_OF_EACH);
        }
        // A LAC that had to wait for a CPU chooses as before, but not at times that show it.
        for selection in ["single", "preference", "round-robin"] {
            let most = selections.get(selection).copied().unwrap_or(0);
            let stated = number(report, &format!("/selection/{selection}"))?;
            ensure!(stated <= most, "{stated} of {most} choose by {selection}");
        }
        let lacs = u64::from(LACS_OF_EACH) * personalities.len() as u64;
        expect(report, "/lacs/seen", lacs)?;
        for nothing in [
            "/events/lost",
            "/events/forced",
            "/events/unmatched",
            "/lacs/closed",
        ] {
            expect(report, nothing, 0)?;
        }
        Ok(())
    }
}

/// What the report says of one LNS, beside the truth.
fn compare(report: &Value, personality: Personality, lns: Ipv4Addr, truth: &Truth) -> Result<()> {
    let faults = report["faults"].as_array().context("no faults")?;
    let lns = lns.to_string();
    let mut found = faults.iter().filter(|fault| fault["lns"] == lns);
    let fault = found.next().context("it is not in the report")?;
    ensure!(found.next().is_none(), "it is there twice");
    let lacs = u64::from(LACS_OF_EACH);
    expect(fault, "/lacs", lacs)?;
    expect(fault, "/attempts", truth.attempts)?;
    expect(fault, "/answered", truth.answered)?;
    expect(fault, "/open", 0)?;
    expect(fault, "/acknowledged/zlb", truth.zlb)?;
    expect(fault, "/acknowledged/piggyback", truth.piggyback)?;
    expect(fault, "/acknowledged/wrong_nr", truth.wrong_nr)?;
    expect(fault, "/acknowledged/unknown", 0)?;
    expect(fault, "/tunnel_ids_reused", 0)?;
    expect(fault, "/lockout/count", truth.returns)?;
    let retransmissions =
        number(fault, "/retransmissions_before")? + number(fault, "/retransmissions_after")?;
    ensure!(
        retransmissions == truth.retransmissions,
        "{retransmissions} retransmissions, and not {}",
        truth.retransmissions
    );
    for reaction in Reaction::ALL {
        let attempts = truth.reactions.get(&reaction).copied().unwrap_or(0);
        expect(
            fault,
            &format!("/reactions/{}/attempts", reaction.name()),
            attempts,
        )?;
        let lacs = if attempts == 0 { 0 } else { lacs };
        // Some of them had no time for what others did once more.
        if attempts % lacs.max(1) == 0 {
            expect(fault, &format!("/reactions/{}/lacs", reaction.name()), lacs)?;
        }
    }
    for doubt in ["still-open", "events-lost", "out-of-memory", "parallel"] {
        expect(fault, &format!("/unknown/{doubt}"), 0)?;
    }
    let targets = fault["failover_to"].as_array().context("no targets")?;
    let mut went = BTreeMap::new();
    for target in targets {
        let lns = target["lns"].as_str().context("no LNS")?;
        went.insert(lns.parse()?, number(target, "/attempts")?);
    }
    ensure!(
        went == truth.failover_to,
        "{went:?}, and not {:?}",
        truth.failover_to
    );
    if let (Habit::Lockout { seconds, .. }, 1..) = (personality.habit, truth.returns)
        && personality.fault == Fault::Refuse
    {
        let least = number(fault, "/lockout/min_ns")?;
        ensure!(least >= seconds * 1_000_000_000, "a lockout of {least} ns");
    }
    Ok(())
}

fn number(value: &Value, pointer: &str) -> Result<u64> {
    let number = value.pointer(pointer).and_then(Value::as_u64);
    number.with_context(|| format!("no number {pointer} in {value}"))
}

fn expect(value: &Value, pointer: &str, expected: u64) -> Result<()> {
    let number = number(value, pointer)?;
    ensure!(
        number == expected,
        "{pointer} is {number}, and not {expected}"
    );
    Ok(())
}
