//! Rules for LACs by their names, on the wire.

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use xtask::lab::Sccrq;

use crate::{
    control::Controlled,
    request::{Refusal, expect, push},
    scenarios::to_lns,
    trial,
    way::{PLAYED, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in PLAYED {
        trials.push(trial(
            format!("lacs_of_one_address_are_told_apart_by_name::{way}"),
            &[],
            || lacs_of_one_address_are_told_apart_by_name(*way),
        ));
    }
    trials.push(trial(
        "the_rewrite_path_knows_no_names",
        &[],
        the_rewrite_path_knows_no_names,
    ));
    trials
}

/// Two names that get different faults, and others that get none.
const NAMED: &str = r#"[default]
fault = "refuse"
result = 1
error = "none"

[[lns]]
address = "192.0.2.1"
fault = "silent"

[[lns.lac]]
lac_name = "isp-a-*"
fault = "refuse"
result = 2
error = 4
message = "A"

[[lns.lac]]
address = "203.0.113.0/24"
lac_name = "isp-?"
fault = "refuse"
result = 4
error = "none"
"#;

fn sccrq_of(name: &str, tunnel_id: u16) -> Sccrq {
    Sccrq {
        host_name: name.to_owned(),
        ..Sccrq::new(tunnel_id)
    }
}

fn lacs_of_one_address_are_told_apart_by_name(way: Way) -> Result<()> {
    let controlled = Controlled::on(way, NAMED)?;
    let a = Refusal {
        result: 2,
        message: "A",
        ..Refusal::DEFAULT
    };
    let of_result = |result| Refusal {
        result,
        error: None,
        message: "",
        ..Refusal::DEFAULT
    };
    // One that is not answered comes before one that is.
    let other = to_lns("192.0.2.1", &sccrq_of("isp-bb", 1))?;
    push(&controlled.port, &other.frame())?;
    for (lns, name, tunnel_id, refusal) in [
        ("192.0.2.1", "isp-a-1", 2, a),
        ("192.0.2.1", "isp-b", 3, of_result(4)),
        ("192.0.2.1", "isp-a-2", 4, a),
        ("192.0.2.2", "isp-b", 5, of_result(1)),
    ] {
        let sccrq = sccrq_of(name, tunnel_id);
        let request = to_lns(lns, &sccrq)?;
        let reply = refusal.frame(&request, &sccrq);
        expect(&controlled.port, name, &request.frame(), &reply)?;
    }
    assert_eq!(
        controlled.hits()?,
        [
            json!([null, [], 1]),
            json!([6, ["192.0.2.1"], 1]),
            json!([10, ["192.0.2.1"], 2]),
            json!([17, ["192.0.2.1"], 1]),
        ]
    );
    let rules = controlled.told(&["rules"])?;
    let named = |text: &str| rules.iter().any(|line| line.contains(text));
    ensure!(
        named("\"isp-a-*\"") && named("203.0.113.0/24 \"isp-?\""),
        "{rules:?}"
    );

    // `set` changes what others meet there, and nothing by name.
    controlled.told(&["set", "--lns", "192.0.2.1", "--result-code", "5"])?;
    for (name, tunnel_id, refusal) in [
        ("isp-b", 6, of_result(4)),
        (
            "isp-bb",
            7,
            Refusal {
                result: 5,
                ..Refusal::DEFAULT
            },
        ),
    ] {
        let sccrq = sccrq_of(name, tunnel_id);
        let request = to_lns("192.0.2.1", &sccrq)?;
        let reply = refusal.frame(&request, &sccrq);
        expect(&controlled.port, name, &request.frame(), &reply)?;
    }
    let report = controlled.responder.finish()?;
    assert_eq!(report.count("/verdicts/answered")?, 6);
    assert_eq!(report.count("/verdicts/silent")?, 1);
    Ok(())
}

/// It refuses them, and names the rule; a scenario without is loaded again all the same.
fn the_rewrite_path_knows_no_names() -> Result<()> {
    let way = Way::new("rewrite", "native");
    let plain = NAMED.split("[[lns.lac]]").next().context("it is long")?;
    let controlled = Controlled::on(way, plain)?;
    let file = controlled.write("named.toml", NAMED)?;
    let said = controlled.refused(&["load", &file])?;
    ensure!(
        said.contains("the rule at 10:1") && said.contains("lac_name"),
        "{said}"
    );
    controlled.responder.finish()?;
    Ok(())
}
