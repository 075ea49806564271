//! Some LACs are followed, or none.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use xtask::lab::{self, Lab};

use super::{REFUSES, SCENARIO, fault, files, lac::Lac, no_loss, read};
use crate::responder::{Responder, threads};

pub(super) fn one_lac_of_some_is_followed() -> Result<()> {
    let (_files, scenario, report) = files(SCENARIO)?;
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let flags = [
        "--scenario",
        &scenario,
        "--report",
        &report,
        "--track",
        "1/4",
    ];
    let responder = Responder::start(&lab, &flags)?;
    for number in 1..=200 {
        Lac::new(&port, number).is_refused(REFUSES, 7)?;
    }
    lab::pause(Duration::from_millis(1100))?;
    let ended = responder.finish()?;
    assert_eq!(ended.count("/verdicts/answered")?, 200);
    let report = read(&report)?;
    no_loss(&report, &ended)?;
    assert_eq!(report["followed_one_of"], 4);
    // Five standard deviations from a quarter, and everything of those.
    let seen = report["lacs"]["seen"].as_u64().context("no LACs")?;
    ensure!((20..=80).contains(&seen), "{seen} of 200");
    let refuses = fault(&report, 0, REFUSES)?;
    assert_eq!(
        (&refuses["lacs"], &refuses["answered"]),
        (&json!(seen), &json!(seen))
    );
    assert_eq!(refuses["acknowledged"]["zlb"], seen);
    Ok(())
}

pub(super) fn nobody_follows_no_lac() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    for (flags, follows) in [(&[][..], true), (&["--track", "none"], false)] {
        let mut responder = Responder::start(&lab, flags)?;
        Lac::new(&port, 1).is_refused(REFUSES, 7)?;
        let threads = threads(responder.process().pid())?;
        assert_eq!(threads.contains_key("follow"), follows, "{threads:?}");
        let ended = responder.finish()?;
        assert_eq!(ended.count("/verdicts/answered")?, 1);
        assert_eq!(ended.count("/events_lost")?, 0);
    }
    Ok(())
}
