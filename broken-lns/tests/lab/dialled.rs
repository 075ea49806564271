//! Real LACs against every fault and every kind of garble: each does what the catalogue says.
//!
//! One process for each LNS, all of them at the same time, since a LAC may take half a minute to
//! give up.

use std::{fmt::Write as _, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use broken_lns::scenario::{
    fault::FaultName,
    garble::GarbleKind,
    reaction::{Lac, Reaction},
};
use libtest_mimic::{Completion, Trial};
use xtask::lab::{self, Capture, Lab, Scratch, interrupt};

use crate::{
    responder::{Responder, text},
    way::{PLAYED, Way},
};

mod dialler;
mod sent;

use dialler::{Kind, Starter};
use sent::sent;

/// How long all LACs may take to come to an end of one kind or another.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn trials() -> Vec<Trial> {
    // One way is enough, since other tests see that the answers are the same on all of them, and
    // a LAC takes its time.
    let ways = PLAYED.iter().take(1);
    let trials = ways.flat_map(|way| Lac::ALL.iter().map(|lac| trial(*way, *lac)));
    trials.collect()
}

/// As [`crate::trial`], but ignored wherever the LAC cannot be had: what a suite of Debian has is
/// not in our hands.
fn trial(way: Way, lac: Lac) -> Trial {
    let name = format!("{lac}_does_what_the_catalogue_says::{way}").replace(' ', "_");
    if let Some(obstacle) = Kind::of(lac).obstacle() {
        let reason = format!("{lac} cannot be had: {obstacle}");
        return Trial::ignorable_test(name, move || {
            lab::skip(&reason).map_err(|error| format!("{error:#}"))?;
            Ok(Completion::ignored_with(reason))
        });
    }
    crate::trial(name, Kind::of(lac).programs(), move || {
        a_real_lac_does_what_the_catalogue_says(way, lac)
    })
}

/// The keys of rules beside their addresses, each with what the catalogue says of the LAC.
fn rules(lac: Lac) -> Result<Vec<(String, Reaction)>> {
    let mut rules = Vec::new();
    for fault in FaultName::ALL {
        match fault {
            FaultName::Refuse => {
                for result in [0, 1, 2, 3, 4, 5, 6, 7, 8, 65535] {
                    let rule = format!("fault = \"refuse\"\nresult = {result}");
                    rules.push((rule, reaction(lac, *fault, result, true)?));
                }
                let rule = "fault = \"refuse\"\nresult = 2\nerror = \"none\"".to_owned();
                rules.push((rule, reaction(lac, *fault, 2, false)?));
            }
            FaultName::Unreachable => {
                for code in ["port", "host", "network", "admin-prohibited"] {
                    let rule = format!("fault = \"{fault}\"\ncode = \"{code}\"");
                    rules.push((rule, reaction(lac, *fault, 2, true)?));
                }
            }
            // By its third octet, every address here has the result 2, and by its fourth an error.
            FaultName::CodeInAddress | FaultName::Silent | FaultName::Acknowledge => {
                let rule = format!("fault = \"{fault}\"");
                rules.push((rule, reaction(lac, *fault, 2, true)?));
            }
            // Of its faults the first attempt meets the first, and the LACs make no other.
            FaultName::Cycle => {
                let faults = "[{ fault = \"refuse\", result = 2 }, \"silent\"]";
                let rule = format!("fault = \"cycle\"\nfaults = {faults}");
                rules.push((rule, reaction(lac, FaultName::Refuse, 2, true)?));
            }
            FaultName::Garble => {
                for kind in GarbleKind::ALL {
                    let rule = format!("fault = \"garble\"\nkind = \"{kind}\"");
                    rules.push((rule, lac.to_garble(*kind)));
                }
            }
            // What happens then is the business of a real LNS.
            FaultName::Pass => {}
        }
    }
    // Where one LAC dials all LNSs, the tunnel id that follows the last one is nobody's.
    rules.sort_by_key(|(rule, _)| rule.contains(GarbleKind::WrongTunnelId.name()));
    Ok(rules)
}

/// What the catalogue says of the LAC with this fault, result, and an error code or none.
fn reaction(lac: Lac, fault: FaultName, result: u16, has_error: bool) -> Result<Reaction> {
    let reactions = lac.to_fault(fault);
    let found = reactions
        .iter()
        .find(|one| one.to.applies(result, has_error));
    let found = found.with_context(|| format!("the catalogue says nothing of {lac} and {fault}"));
    found.copied()
}

fn a_real_lac_does_what_the_catalogue_says(way: Way, lac: Lac) -> Result<()> {
    let lab = way.lab(Lab::routed()).build()?;
    let mut scenario = "[default]\nfault = \"silent\"\n".to_owned();
    let rules = rules(lac)?;
    let mut lnss = Vec::new();
    // Even addresses, since `wrong-source-address` answers from the odd one beside its own.
    for (number, (rule, _)) in (1_u8..).zip(&rules) {
        let lns = lab.lns(2 * number);
        write!(scenario, "\n[[lns]]\naddress = \"{lns}\"\n{rule}\n")?;
        lnss.push(lns);
    }
    let files = Scratch::new("dialled")?;
    let file = files.file("scenario.toml");
    fs::write(&file, scenario)?;
    let (peer, interface) = lab.peer();
    let capture = Capture::start(peer, interface)?;
    let flags = [&way.flags()[..], &["--scenario", text(&file)?]].concat();
    let responder = Responder::start(&lab, &flags)?;
    let starter = Starter::new(Kind::of(lac), &lab, &lnss)?;
    let mut diallers = Vec::new();
    for (number, (lns, (rule, expected))) in (1_u8..).zip(lnss.into_iter().zip(rules)) {
        diallers.push((starter.dial(number, lns)?, rule, expected));
    }
    // Where a LAC does something else there is more to say than that it took too long.
    let settled = lab::until("the end of every connection", LIMIT, || {
        let mut all = diallers.iter_mut();
        let settled = all.all(|(dialler, _, expected)| dialler.is_settled(expected));
        Ok(settled.then_some(()))
    });
    interrupt::check()?;
    responder.finish()?;

    let sent = sent(&capture.stop()?)?;
    let mut complaints = Vec::new();
    for (mut dialler, rule, expected) in diallers {
        let sent = sent.get(&dialler.lns()).cloned().unwrap_or_default();
        if let Err(complaint) = dialler.check(lac, &expected, &sent) {
            complaints.push(format!("{rule}\n{expected}: {complaint:#}"));
        }
    }
    ensure!(complaints.is_empty(), "{}", complaints.join("\n\n"));
    settled
}
