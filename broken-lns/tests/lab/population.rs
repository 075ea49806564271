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

/// How much faster the time of the LACs runs than that of the clock, and how many LACs there are of
/// each personality. On a machine that does not keep up there are fewer, and they are slower.
const LIVES: [(u32, u16); 3] = [(50, 150), (10, 30), (5, 10)];
/// By how much LACs may be late, in time of the clock, before they may be doubted: a part of what
/// the tracker takes for jitter.
const DOUBTED: Duration = Duration::from_millis(50);
/// By how much they may be late, in time of theirs, before they are other LACs than those that are
/// simulated: later, and a retransmission is none any more.
const OTHERS: Duration = Duration::from_secs(2);
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
    for (rate, lacs_of_each) in LIVES {
        let lived = live(way, rate, lacs_of_each)?;
        let Err(error) = lived.compare(Demand::AllIsKnown) else {
            return Ok(());
        };
        let late = lived.crowd.late;
        eprintln!("{way}, {rate} times as fast, late by {late:?}: {error:#}");
        if late <= DOUBTED && !lived.is_incomplete()? {
            return Err(error);
        }
        // Who gets no CPU for a moment may be doubted, and nothing untrue may be said of him.
        if late * rate <= OTHERS {
            lived.compare(Demand::NothingIsUntrue)?;
        }
    }
    Ok(())
}

/// What the report has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// Everything that LACs did.
    AllIsKnown,
    /// Nothing that they did not do.
    NothingIsUntrue,
}

impl Demand {
    /// Compares a count with the truth.
    fn of(self, value: &Value, pointer: &str, truth: u64) -> Result<()> {
        let number = number(value, pointer)?;
        self.compare(number, truth)
            .with_context(|| pointer.to_owned())
    }

    fn compare(self, number: u64, truth: u64) -> Result<()> {
        let is_right = match self {
            Self::AllIsKnown => number == truth,
            Self::NothingIsUntrue => number <= truth,
        };
        ensure!(is_right, "it is {number}, and in truth {truth}");
        Ok(())
    }
}

/// What LACs did, and what the report says of it.
struct Lived {
    crowd: Crowd,
    lacs_of_each: u64,
    report: Value,
}

fn live(way: Way, rate: u32, lacs_of_each: u16) -> Result<Lived> {
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
    let mut crowd = Crowd::new(personalities, lacs_of_each, rate);
    crowd.live(&lab.raw_port()?, LIFE)?;
    // Everybody is quiet for longer than those that come back.
    thread::sleep((PATIENCE + Duration::from_secs(20)) / rate);
    responder.finish()?;
    Ok(Lived {
        crowd,
        lacs_of_each: lacs_of_each.into(),
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
    /// Whether events were lost, or went on before their turn.
    fn is_incomplete(&self) -> Result<bool> {
        let number = |pointer| number(&self.report, pointer);
        Ok(number("/events/lost")? + number("/events/forced")? > 0)
    }

    fn compare(&self, demand: Demand) -> Result<()> {
        let Self {
            crowd,
            lacs_of_each,
            report,
        } = self;
        let personalities = &crowd.personalities;
        for (kind, personality) in personalities.iter().enumerate() {
            for (lns, truth) in crowd.truths(kind).iter().enumerate() {
                let fault = fault_at(report, lns_address(kind, lns as u8))?;
                compare(fault, *lacs_of_each, *personality, truth, demand)
                    .with_context(|| format!("{personality:?}, LNS {lns}"))?;
            }
        }
        let mut selections = BTreeMap::new();
        for personality in personalities {
            *selections.entry(personality.selection()).or_insert(0) += lacs_of_each;
        }
        // A LAC that had to wait for a CPU chooses as before, but not at times that show it.
        for selection in ["single", "preference", "round-robin"] {
            let most = selections.get(selection).copied().unwrap_or(0);
            let stated = number(report, &format!("/selection/{selection}"))?;
            ensure!(stated <= most, "{stated} of {most} choose by {selection}");
        }
        let lacs = lacs_of_each * personalities.len() as u64;
        demand.of(report, "/lacs/seen", lacs)?;
        if demand == Demand::AllIsKnown {
            for nothing in [
                "/events/lost",
                "/events/forced",
                "/events/unmatched",
                "/lacs/closed",
            ] {
                demand.of(report, nothing, 0)?;
            }
        }
        Ok(())
    }
}

/// What the report says of one LNS.
fn fault_at(report: &Value, lns: Ipv4Addr) -> Result<&Value> {
    let faults = report["faults"].as_array().context("no faults")?;
    let lns = lns.to_string();
    let mut found = faults.iter().filter(|fault| fault["lns"] == lns);
    let fault = found.next();
    let fault = fault.with_context(|| format!("{lns} is not in the report"))?;
    ensure!(found.next().is_none(), "{lns} is there twice");
    Ok(fault)
}

/// Compares that with the truth.
fn compare(
    fault: &Value,
    lacs: u64,
    personality: Personality,
    truth: &Truth,
    demand: Demand,
) -> Result<()> {
    // An answer that came when the LAC had gone on is none that it knows of.
    let answered = match demand {
        Demand::AllIsKnown => truth.answered,
        Demand::NothingIsUntrue => truth.attempts,
    };
    for (pointer, truth) in [
        ("/lacs", lacs),
        ("/attempts", truth.attempts),
        ("/answered", answered),
        ("/open", 0),
        ("/acknowledged/zlb", truth.zlb),
        ("/acknowledged/piggyback", truth.piggyback),
        ("/acknowledged/wrong_nr", truth.wrong_nr),
        ("/acknowledged/zero_tunnel_id", 0),
        ("/tunnel_ids_reused", 0),
        ("/lockout/count", truth.returns),
    ] {
        demand.of(fault, pointer, truth)?;
    }
    let retransmissions =
        number(fault, "/retransmissions_before")? + number(fault, "/retransmissions_after")?;
    demand
        .compare(retransmissions, truth.retransmissions)
        .context("retransmissions")?;
    for reaction in Reaction::ALL {
        let attempts = truth.reactions.get(&reaction).copied().unwrap_or(0);
        let path = format!("/reactions/{}", reaction.name());
        demand.of(fault, &format!("{path}/attempts"), attempts)?;
        let lacs = if attempts == 0 { 0 } else { lacs };
        // Some of them had no time for what others did once more.
        if attempts % lacs.max(1) == 0 {
            demand.of(fault, &format!("{path}/lacs"), lacs)?;
        }
    }
    if demand == Demand::AllIsKnown {
        demand.of(fault, "/acknowledged/unknown", 0)?;
        let unknown = fault["unknown"].as_object().context("no reasons")?;
        for (doubt, count) in unknown {
            ensure!(*count == 0, "{count} attempts are unknown: {doubt}");
        }
    }
    let targets = fault["failover_to"].as_array().context("no targets")?;
    let mut went = 0;
    for target in targets {
        let lns: Ipv4Addr = target["lns"].as_str().context("no LNS")?.parse()?;
        let attempts = number(target, "/attempts")?;
        let truth = truth.failover_to.get(&lns).copied().unwrap_or(0);
        demand
            .compare(attempts, truth)
            .with_context(|| format!("failover to {lns}"))?;
        went += attempts;
    }
    demand.compare(went, truth.failover_to.values().sum())?;
    if let (Habit::Lockout { seconds, .. }, 1..) =
        (personality.habit, number(fault, "/lockout/count")?)
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
