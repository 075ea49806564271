//! Expectations: a LAC that does what is expected at one LNS and not at another, and how a run
//! ends that was a test of it.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::lab::{self, Lab, Scratch};

use crate::{
    followed::{
        lac::{CERTAIN, Lac, PAUSE},
        read,
    },
    responder::{Responder, text},
    trial,
    way::Way,
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in [
        Way::new("rewrite", "generic"),
        Way::new("redirect", "native"),
    ] {
        let name = format!("a_run_fails_when_an_expectation_does::{way}");
        trials.push(trial(name, &[], move || {
            a_run_fails_when_an_expectation_does(way)
        }));
    }
    trials.push(trial(
        "without_a_report_it_is_told_who_broke_an_expectation",
        &[],
        without_a_report_it_is_told_who_broke_an_expectation,
    ));
    trials.push(trial(
        "what_went_wrong_here_comes_before_what_lacs_did",
        &[],
        what_went_wrong_here_comes_before_what_lacs_did,
    ));
    trials.push(trial(
        "nothing_can_be_expected_where_nobody_is_followed",
        &[],
        nothing_can_be_expected_where_nobody_is_followed,
    ));
    trials
}

const FIRST: [u8; 4] = [192, 0, 2, 1];
const SECOND: [u8; 4] = [192, 0, 2, 2];

/// One that the LAC fulfils, one that nobody meets, and a second LNS.
const SCENARIO: &str = r#"[default]
fault = "silent"
expect = "junos"

[[lns]]
address = "192.0.2.1"
fault = "refuse"
result = 2
expect = { reaction = "failover", to = "192.0.2.2", within = "1s", acknowledge = true, lockout = { min = "100ms", max = "5s" } }

[[lns]]
address = "192.0.2.2"
fault = "refuse"
result = 2
"#;

/// What the LAC does not do at the second LNS.
const BROKEN: &str = "expect = { reaction = \"retry-same\" }\n";

/// The exit status of a run with that scenario, what it said, and its reports in JSON and XML.
fn ends(way: Way, scenario: &str) -> Result<(Option<i32>, Vec<String>, Value, String)> {
    let files = Scratch::new("expected")?;
    let [file, document, tests] =
        ["scenario.toml", "report.json", "report.xml"].map(|name| files.file(name));
    fs::write(&file, scenario)?;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let flags = [
        "--scenario",
        text(&file)?,
        "--report",
        text(&document)?,
        "--report",
        text(&tests)?,
    ];
    let mut responder = Responder::start(&lab, &[&way.flags()[..], &flags].concat())?;
    let lac = Lac::new(&port, 1);
    for tunnel_id in [10, 20] {
        lac.is_refused(FIRST, tunnel_id)?;
        lab::pause(PAUSE)?;
        lac.is_refused(SECOND, tunnel_id + 1)?;
        lab::pause(PAUSE)?;
    }
    lab::pause(CERTAIN)?;
    responder.process().signal(Signal::SIGINT)?;
    let ended = responder.end()?;
    let tests = fs::read_to_string(tests)?;
    Ok((ended.status.code(), ended.said, read(document)?, tests))
}

/// How each expectation ended.
fn verdicts(report: &Value) -> Result<Vec<&str>> {
    let all = report["expectations"].as_array().context("no list")?;
    let verdicts = all.iter().map(|expectation| {
        let verdict = expectation["verdict"].as_str();
        verdict.with_context(|| format!("no verdict in {expectation}"))
    });
    verdicts.collect()
}

fn a_run_fails_when_an_expectation_does(way: Way) -> Result<()> {
    let (status, said, report, tests) = ends(way, SCENARIO)?;
    assert_eq!(status, Some(0), "{said:?}");
    assert_eq!(verdicts(&report)?, ["not-seen", "passed"]);
    let fulfilled = &report["expectations"][1];
    assert_eq!(fulfilled["parts"]["lockout"]["fulfilled"], 1);
    assert_eq!(fulfilled["attempts"]["fulfilled"], 2);
    ensure!(
        tests.contains("tests=\"2\" skipped=\"1\" failures=\"0\""),
        "{tests}"
    );

    let (status, said, report, tests) = ends(way, &format!("{SCENARIO}{BROKEN}"))?;
    assert_eq!(status, Some(3), "{said:?}");
    assert_eq!(verdicts(&report)?, ["not-seen", "passed", "failed"]);
    let broken = &report["expectations"][2];
    let breaker = &broken["breakers"][0];
    assert_eq!(
        (&breaker["lac"], &breaker["lns"], &breaker["times"]),
        (&json!("203.0.113.1"), &json!("192.0.2.2"), &json!(1))
    );
    assert_eq!(breaker["broken"][0]["part"], "reaction");
    assert_eq!(broken["attempts"]["unknown"]["still-open"], 1);
    ensure!(tests.contains("failed over to 192.0.2.1 after "), "{tests}");
    let last = said.last().context("it said nothing")?;
    assert_eq!(
        last,
        "broken-lns: 1 of 3 expectations failed; the report says who broke them"
    );
    Ok(())
}

/// What a LAC breaks that makes one attempt and then waits.
const HASTY: &str = "[default]\nfault = \"refuse\"\nresult = 2\n\
                     expect = { reaction = \"failover\", within = \"100ms\" }\n";

/// What comes of a run in which a LAC broke that, where its end begins with `before`.
fn hasty(
    files: &Scratch,
    flags: &[&str],
    before: impl FnOnce() -> Result<()>,
) -> Result<(Option<i32>, Vec<String>)> {
    let file = files.file("scenario.toml");
    fs::write(&file, HASTY)?;
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let flags = [&["--scenario", text(&file)?], flags].concat();
    let mut responder = Responder::start(&lab, &flags)?;
    Lac::new(&port, 1).is_refused(FIRST, 10)?;
    lab::pause(Duration::from_millis(300))?;
    before()?;
    responder.process().signal(Signal::SIGINT)?;
    let ended = responder.end()?;
    Ok((ended.status.code(), ended.said))
}

fn without_a_report_it_is_told_who_broke_an_expectation() -> Result<()> {
    let files = Scratch::new("expected")?;
    let (status, said) = hasty(&files, &[], || Ok(()))?;
    assert_eq!(status, Some(3), "{said:?}");
    let tells = |words: &str| said.iter().any(|line| line.contains(words));
    ensure!(tells("203.0.113.1 "), "{said:#?}");
    let last = said.last().context("it said nothing")?;
    ensure!(
        last.starts_with("broken-lns: 1 of 1 expectations failed"),
        "{last}"
    );
    Ok(())
}

fn what_went_wrong_here_comes_before_what_lacs_did() -> Result<()> {
    let files = Scratch::new("expected")?;
    let directory = files.file("here");
    fs::create_dir(&directory)?;
    let report = directory.join("a.md");
    let (status, said) = hasty(&files, &["--report", text(&report)?], || {
        Ok(fs::remove_dir_all(&directory)?)
    })?;
    assert_eq!(status, Some(1), "{said:?}");
    let last = said.last().context("it said nothing")?;
    let words = format!(
        "broken-lns: cannot write the report \"{}\": ",
        report.display()
    );
    ensure!(last.starts_with(&words), "{last}");
    Ok(())
}

fn nothing_can_be_expected_where_nobody_is_followed() -> Result<()> {
    let files = Scratch::new("expected")?;
    let file = files.file("scenario.toml");
    fs::write(&file, HASTY)?;
    let lab = Lab::static_arp().build()?;
    let flags = ["--track", "none", "--scenario", text(&file)?];
    let ended = Responder::spawn(&lab, &flags)?.end()?;
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.said);
    let words = format!(
        "broken-lns: cannot play \"{}\": the scenario says what to expect of LACs, and with \
         --track none nobody is followed",
        file.display()
    );
    let last = ended.said.last().context("it said nothing")?;
    ensure!(last.starts_with(&words), "{last}");
    Ok(())
}
