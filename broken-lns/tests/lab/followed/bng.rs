//! LACs with several tunnels: nothing is claimed that the traffic does not show.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use xtask::lab;

use super::{
    fault, files,
    lac::{CERTAIN, Lac, PAUSE},
    no_loss, read,
};
use crate::{
    request::answer,
    responder::{LIMIT, Responder},
    way::Way,
};

/// Two groups, in each of which the first LNS has to be left for the other one.
const SCENARIO: &str = r#"[default]
fault = "refuse"
result = 2
error = 4

[[group]]
name = "isp-a"
lns = ["192.0.2.1", "192.0.2.2"]

[[group]]
name = "isp-b"
lns = ["192.0.2.11", "192.0.2.12"]

[[lns]]
address = ["192.0.2.1", "192.0.2.11"]
fault = "refuse"
result = 2
error = 7
expect = { reaction = "failover", to = ["192.0.2.2", "192.0.2.12"], acknowledge = true }
"#;

/// Subscribers of a pool, who ask one LNS first and then the other.
const SUBSCRIBERS: usize = 40;

const fn lns(number: u8) -> [u8; 4] {
    [192, 0, 2, number]
}

pub(super) fn several_tunnels_of_one_address_are_told_apart_or_unknown(way: Way) -> Result<()> {
    let (_files, scenario, report) = files(SCENARIO)?;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let flags = ["--scenario", &scenario, "--report", &report];
    let responder = Responder::start(&lab, &[&way.flags()[..], &flags].concat())?;
    // Two groups, whose attempts fall between each other.
    let grouped = Lac::new(&port, 1);
    for (number, id) in [(1, 1), (11, 2), (2, 3), (12, 4)] {
        grouped.is_refused(lns(number), id)?;
        lab::pause(PAUSE)?;
    }
    // A pool: the second attempt of each comes after the first ones of two others.
    let pool = Lac::new(&port, 2);
    let first = |subscriber: usize| 21 + u8::from(subscriber * subscriber % 7 < 3);
    for step in 0..SUBSCRIBERS + 2 {
        if step < SUBSCRIBERS {
            pool.is_refused(lns(first(step)), step as u16 + 1)?;
        }
        if let Some(subscriber) = step.checked_sub(2) {
            let other = 21 + 22 - first(subscriber);
            pool.is_refused(lns(other), subscriber as u16 + 1001)?;
        }
    }
    // Two tunnels at once, which are acknowledged when both were refused.
    let both = Lac::new(&port, 3);
    both.ask(lns(31), 1)?;
    both.ask(lns(32), 2)?;
    for _ in 0..2 {
        answer(&port, LIMIT)?.context("no answer")?;
    }
    both.acknowledge(lns(31), 1)?;
    both.acknowledge(lns(32), 1)?;
    lab::pause(CERTAIN)?;
    let ended = responder.finish()?;

    let report = read(&report)?;
    no_loss(&report, &ended)?;
    for (from, to) in [(1, "192.0.2.2"), (11, "192.0.2.12")] {
        let left = fault(&report, 0, lns(from))?;
        let to = json!([{"lns": to, "attempts": 1}]);
        assert_eq!(left["failover_to"], to, "{left:#}");
        assert_eq!(left["acknowledged"]["zlb"], 1);
    }
    let expectation = &report["expectations"][0];
    assert_eq!(expectation["verdict"], "passed", "{expectation:#}");
    for number in [21, 22, 31, 32] {
        let met = fault(&report, 0, lns(number))?;
        for reaction in ["failover", "retry-same", "give-up", "ignore"] {
            assert_eq!(met["reactions"][reaction]["attempts"], 0, "{met:#}");
        }
    }
    let of_pool = |key: &str| -> Result<u64> {
        let faults = [fault(&report, 0, lns(21))?, fault(&report, 0, lns(22))?];
        Ok(faults
            .iter()
            .filter_map(|met| met["acknowledged"][key].as_u64())
            .sum())
    };
    assert_eq!(of_pool("zlb")?, 2 * SUBSCRIBERS as u64);
    let first = fault(&report, 0, lns(31))?;
    assert_eq!(first["unknown"]["parallel"], 1, "{first:#}");
    let lacs = report["noisiest"].as_array().context("no LACs")?;
    let parallel: Vec<&Value> = lacs.iter().filter(|lac| lac["parallel"] == true).collect();
    assert_eq!(parallel.len(), 1);
    assert_eq!(parallel[0]["lac"], "203.0.113.3");
    Ok(())
}
