//! What the report says of a real LAC.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use xtask::{
    lab::{self, Event, Lab, Target, Xl2tpd},
    process,
};

use super::{SCENARIO, acknowledged, fault, files, milliseconds, reactions, read, unknown};
use crate::{responder::Responder, way::Way};

/// A LAC that dials again after two seconds, and says so.
pub(super) fn the_report_says_what_a_real_lac_says(way: Way) -> Result<()> {
    const AGAIN: u32 = 2;
    let (_files, scenario, report) = files(SCENARIO)?;
    let program = process::find("xl2tpd").context("it was there a moment ago")?;
    let lab = way.lab(Lab::routed()).build()?;
    let target = Target {
        name: "lns".to_owned(),
        lns: lab.lns(1),
        redial: Some(AGAIN),
    };
    let lac = Xl2tpd::start(&program, &lab.lac, 1701, std::slice::from_ref(&target))?;
    let flags = ["--scenario", &scenario, "--report", &report];
    let responder = Responder::start(&lab, &[&way.flags()[..], &flags].concat())?;
    let connecting = |event: &Event| matches!(event, Event::Connecting { .. });
    lac.dial(&target.name)?;
    let dialled = || {
        let events = lac.events(0).into_iter();
        events.filter(|(_, event)| connecting(event)).count()
    };
    lab::until("three attempts", Duration::from_secs(20), || {
        Ok((dialled() >= 3).then_some(()))
    })?;
    // Time for the last acknowledgement, and not for another attempt.
    lab::pause(Duration::from_millis(1200))?;
    responder.finish()?;

    let events = lac.events(0);
    let closings = events.iter().filter(|(_, event)| {
        let refused = Event::Closing {
            result: 2,
            error: Some(4),
            message: "Internal error".to_owned(),
        };
        *event == refused
    });
    assert_eq!(closings.count(), 3, "{events:?}");
    let report = read(&report)?;
    assert_eq!(report["lacs"]["seen"], 1);
    assert_eq!(report["events"]["lost"], 0);
    assert_eq!(report["selection"]["single"], 1);
    let refuses = fault(&report, 0, lab.lns(1).octets())?;
    assert_eq!(
        (&refuses["attempts"], &refuses["answered"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(refuses["retransmissions_before"], 0);
    assert_eq!(refuses["retransmissions_after"], 0);
    assert_eq!(
        acknowledged(refuses),
        json!({"zlb": 3, "piggyback": 0, "wrong_nr": 0, "none": 0, "unknown": 0,
            "zero_tunnel_id": 0, "unknown_because": unknown(0, 0), "lacs": 1})
    );
    let mut retried = reactions(0, 1, 0, 0);
    retried["retry-same"]["attempts"] = json!(2);
    assert_eq!(refuses["reactions"], retried);
    assert_eq!(refuses["unknown"], unknown(1, 0));
    // It waits for that long from the refusal on, and a busy machine for longer.
    let retried = &refuses["retry_after"];
    assert_eq!(retried["count"], 2);
    ensure!(
        milliseconds(retried, "min_ns")? >= u64::from(AGAIN) * 1000,
        "{retried}"
    );
    Ok(())
}
