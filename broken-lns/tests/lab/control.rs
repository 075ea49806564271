//! Live control: a running responder is asked and changed by the same command.

use std::{
    fs,
    path::PathBuf,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use xtask::lab::{Lab, Plan, Process, RawPort, Sccrq, Scratch, Stream};

use crate::{
    request::{Refusal, answer, expect, push},
    responder::{LIMIT, Responder, command, text, verdicts},
    scenarios::{ready, to_lns},
    trial,
    way::Way,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("the_status_says_what_runs", &[], the_status_says_what_runs),
        trial("set_changes_one_lns_alone", &[], set_changes_one_lns_alone),
        trial(
            "set_without_an_lns_changes_the_default",
            &[],
            set_without_an_lns_changes_the_default,
        ),
        trial(
            "a_broken_file_changes_nothing",
            &[],
            a_broken_file_changes_nothing,
        ),
        trial(
            "load_changes_what_is_answered",
            &[],
            load_changes_what_is_answered,
        ),
        trial(
            "what_is_owed_is_sent_after_a_load",
            &[],
            what_is_owed_is_sent_after_a_load,
        ),
        trial(
            "the_same_file_is_read_once_more",
            &[],
            the_same_file_is_read_once_more,
        ),
        trial(
            "rules_count_from_the_last_reset",
            &[],
            rules_count_from_the_last_reset,
        ),
        trial(
            "stop_ends_it_and_removes_its_socket",
            &[],
            stop_ends_it_and_removes_its_socket,
        ),
    ]
}

/// A scenario in which the default and two addresses differ.
const THREE: &str = r#"[default]
fault = "refuse"
result = 1
error = "none"

[[lns]]
address = "192.0.2.1"
fault = "refuse"
result = 2
error = 4
message = "One"

[[lns]]
address = "192.0.2.2"
fault = "refuse"
result = 2
error = 4
message = "Two"
"#;

/// The refusals of [`THREE`].
const DEFAULT: Refusal = Refusal {
    result: 1,
    error: None,
    message: "",
    ..Refusal::DEFAULT
};
const ONE: Refusal = refusal(2, 4, "One");
const TWO: Refusal = refusal(2, 4, "Two");

const fn refusal(result: u16, error: u16, message: &'static str) -> Refusal {
    Refusal {
        result,
        error: Some(error),
        message,
        ..Refusal::DEFAULT
    }
}

/// A responder that can be asked and changed; what it leaves behind goes when this is dropped.
pub(crate) struct Controlled {
    pub(crate) responder: Responder,
    pub(crate) port: RawPort,
    pub(crate) lab: Lab,
    files: Scratch,
}

/// What a command printed, and how it ended.
struct Told {
    status: ExitStatus,
    out: Vec<String>,
    err: Vec<String>,
}

impl Controlled {
    /// One that plays this scenario, from the file `scenario.toml`.
    fn playing(scenario: &str) -> Result<Self> {
        Self::start(&Lab::static_arp(), &[], scenario)
    }

    /// The same on a way of one's own.
    pub(crate) fn on(way: Way, scenario: &str) -> Result<Self> {
        Self::with(way, &[], scenario)
    }

    /// The same with more flags.
    pub(crate) fn with(way: Way, flags: &[&str], scenario: &str) -> Result<Self> {
        let flags = [&way.flags()[..], flags].concat();
        Self::start(&way.one_cable(), &flags, scenario)
    }

    fn start(plan: &Plan, flags: &[&str], scenario: &str) -> Result<Self> {
        let files = Scratch::new("control")?;
        fs::write(files.file("scenario.toml"), scenario)?;
        let lab = plan.build()?;
        let port = lab.raw_port()?;
        let (socket, file) = (files.file("control.sock"), files.file("scenario.toml"));
        let flags = [flags, &["--scenario", text(&file)?]].concat();
        let responder = Responder::controlled(&lab, text(&socket)?, &flags)?;
        Ok(Self {
            responder,
            port,
            lab,
            files,
        })
    }

    /// Writes a file, and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<String> {
        let file = self.files.file(name);
        fs::write(&file, content)?;
        Ok(text(&file)?.to_owned())
    }

    /// Has it go on with another scenario, from a file of that name.
    pub(crate) fn load(&self, name: &str, scenario: &str) -> Result<()> {
        let file = self.write(name, scenario)?;
        self.told(&["load", &file])?;
        Ok(())
    }

    /// What the workers counted so far of what they did beside answering at once.
    pub(crate) fn sent(&self, label: &str) -> Result<u64> {
        let status = self.reply("status")?;
        let sent = &status["counters"]["interfaces"][0]["sent"][label];
        sent.as_u64()
            .with_context(|| format!("no {label} in {status}"))
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.files.file("control.sock")
    }

    /// What a command to it prints.
    fn tell(&self, arguments: &[&str]) -> Result<Told> {
        let socket = self.socket();
        let arguments = [arguments, &["--control", text(&socket)?]].concat();
        let command = command(&self.lab.responder, &arguments);
        let mut client = Process::spawn("the client", command)?;
        let status = client.wait(LIMIT)?;
        let lines = client.lines();
        let of = |stream| {
            let lines = lines.iter().filter(move |line| line.stream == stream);
            lines.map(|line| line.text.clone()).collect()
        };
        Ok(Told {
            status,
            out: of(Stream::Stdout),
            err: of(Stream::Stderr),
        })
    }

    /// What a command to it prints that has to succeed.
    pub(crate) fn told(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let Told { status, out, err } = self.tell(arguments)?;
        ensure!(
            status.success() && err.is_empty(),
            "{arguments:?}: {status}: {err:?}"
        );
        Ok(out)
    }

    /// What a command says that has to fail.
    pub(crate) fn refused(&self, arguments: &[&str]) -> Result<String> {
        let Told { status, out, err } = self.tell(arguments)?;
        assert_eq!((status.code(), out.is_empty()), (Some(1), true), "{out:?}");
        Ok(err.join("\n"))
    }

    /// The reply to a command, as JSON.
    pub(crate) fn reply(&self, name: &str) -> Result<Value> {
        let out = self.told(&[name, "--json"])?;
        let [line] = out.as_slice() else {
            anyhow::bail!("{name}: {out:?}");
        };
        let response: Value = serde_json::from_str(line)?;
        assert_eq!(response["version"], 1, "{line}");
        let reply = response.pointer(&format!("/ok/{name}"));
        reply.cloned().with_context(|| line.clone())
    }

    /// Asks each LNS, and fails unless it refuses just so.
    fn refuses(&self, expected: &[(&str, Refusal)]) -> Result<()> {
        let sccrq = Sccrq::new(7);
        for (lns, refusal) in expected {
            let request = to_lns(lns, &sccrq)?;
            let reply = refusal.frame(&request, &sccrq);
            expect(&self.port, lns, &request.frame(), &reply)?;
        }
        Ok(())
    }

    /// Place, first LNS prefix and hits of every rule.
    pub(crate) fn hits(&self) -> Result<Vec<Value>> {
        let rules = self.reply("rules")?;
        let rules = rules.as_array().context("no list of rules")?.iter();
        Ok(rules
            .map(|rule| json!([rule["place"]["line"], rule["lns"], rule["hits"]]))
            .collect())
    }
}

const AS_LOADED: [(&str, Refusal); 3] = [
    ("192.0.2.1", ONE),
    ("192.0.2.2", TWO),
    ("192.0.2.3", DEFAULT),
];

fn the_status_says_what_runs() -> Result<()> {
    let controlled = Controlled::playing(THREE)?;
    controlled.refuses(&AS_LOADED)?;
    let status = controlled.reply("status")?;
    let file = controlled.files.file("scenario.toml");
    assert_eq!(status["scenario"]["name"], text(&file)?);
    assert_eq!(status["scenario"]["changed"], false);
    assert_eq!(status["interfaces"][0]["name"], Lab::INTERFACE);
    assert_eq!(status["interfaces"][0]["path"], "redirect");
    assert_eq!(status["counters"]["answered"], 3);

    let told = controlled.told(&["status"])?;
    let scenario = format!(
        "scenario {}: 2 LNS rules, 0 LAC rules, default refuse",
        file.display()
    );
    ensure!(told.contains(&scenario), "{told:?}");
    let summary = told
        .iter()
        .any(|line| line.starts_with("3 answered of 3 received"));
    ensure!(summary, "{told:?}");
    controlled.responder.finish()?;
    Ok(())
}

/// What a rule is not told stays as it was there.
fn set_changes_one_lns_alone() -> Result<()> {
    let controlled = Controlled::playing(THREE)?;
    controlled.told(&["set", "--lns", "192.0.2.1", "--result-code", "5"])?;
    let one = refusal(5, 4, "One");
    controlled.refuses(&[
        ("192.0.2.1", one),
        ("192.0.2.2", TWO),
        ("192.0.2.3", DEFAULT),
    ])?;
    // A prefix that has no rule yet starts from the default.
    let error = ["--error-code", "6", "--error-message", "Oh, no!"];
    controlled.told(&[&["set", "--lns", "192.0.2.4/30"], &error[..]].concat())?;
    let four = refusal(1, 6, "Oh, no!");
    controlled.refuses(&[
        ("192.0.2.1", one),
        ("192.0.2.2", TWO),
        ("192.0.2.3", DEFAULT),
        ("192.0.2.4", four),
        ("192.0.2.7", four),
        ("192.0.2.8", DEFAULT),
    ])?;
    assert_eq!(controlled.reply("status")?["scenario"]["changed"], true);
    let report = controlled.responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 9)]));
    Ok(())
}

fn set_without_an_lns_changes_the_default() -> Result<()> {
    let controlled = Controlled::playing(THREE)?;
    controlled.told(&["set", "--result-code", "not-authorized"])?;
    let default = Refusal {
        result: 4,
        ..DEFAULT
    };
    controlled.refuses(&[
        ("192.0.2.1", ONE),
        ("192.0.2.2", TWO),
        ("192.0.2.3", default),
    ])?;
    controlled.responder.finish()?;
    Ok(())
}

/// And the command shows every mistake in it.
fn a_broken_file_changes_nothing() -> Result<()> {
    let controlled = Controlled::playing(THREE)?;
    controlled.refuses(&AS_LOADED)?;
    let broken = controlled.write(
        "broken.toml",
        "[default]\nfault = \"refuze\"\n\n[[lns]]\naddress = \"192.0.2.300\"\n\
         fault = \"refuse\"\nresult = 65536\n",
    )?;
    let before = controlled.hits()?;
    let err = controlled.refused(&["load", &broken])?;
    for part in [
        "broken-lns: the scenario stays as it is: 3 mistakes".to_owned(),
        format!("{broken}:2:9"),
        format!("{broken}:5:11"),
        format!("{broken}:7:10"),
    ] {
        ensure!(err.contains(&part), "no {part} in\n{err}");
    }
    assert_eq!(controlled.hits()?, before);
    controlled.refuses(&AS_LOADED)?;
    let status = controlled.reply("status")?;
    let file = controlled.files.file("scenario.toml");
    assert_eq!(status["scenario"]["name"], text(&file)?);

    // A file that is broken by the time it is read again is no different.
    controlled.write("scenario.toml", "fault = 1\n")?;
    let reloaded = controlled.tell(&["reload"])?;
    assert_eq!(reloaded.status.code(), Some(1));
    controlled.refuses(&AS_LOADED)?;
    let report = controlled.responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 9)]));
    Ok(())
}

fn load_changes_what_is_answered() -> Result<()> {
    let controlled = Controlled::playing(THREE)?;
    controlled.refuses(&AS_LOADED)?;
    let other = controlled.write(
        "other.toml",
        &THREE
            .replace("One", "Another")
            .replace("192.0.2.2", "192.0.2.3"),
    )?;
    let told = controlled.told(&["load", &other])?;
    let line = format!("in force: {other}: 2 LNS rules, 0 LAC rules, default refuse");
    assert_eq!(told, [line]);
    controlled.refuses(&[
        ("192.0.2.1", refusal(2, 4, "Another")),
        ("192.0.2.2", DEFAULT),
        ("192.0.2.3", TWO),
    ])?;
    // What was set goes with the next scenario.
    controlled.told(&["set", "--error-message", "Set", "--lns", "192.0.2.3"])?;
    controlled.refuses(&[("192.0.2.3", refusal(2, 4, "Set"))])?;
    controlled.told(&["load", &ready("failover.toml")])?;
    controlled.refuses(&[("192.0.2.1", refusal(2, 4, "No tunnels left"))])?;
    controlled.told(&["load", &other])?;
    controlled.refuses(&[("192.0.2.3", TWO)])?;
    let report = controlled.responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 9)]));
    Ok(())
}

/// An answer that was put off is sent when it is due, and is that of the scenario that put it off.
fn what_is_owed_is_sent_after_a_load() -> Result<()> {
    const DELAY: Duration = Duration::from_millis(1500);
    let slow = "[default]\nfault = \"refuse\"\nresult = 2\nmessage = \"Slow\"\ndelay = \"1.5s\"\n";
    let controlled = Controlled::playing(slow)?;
    let sccrq = Sccrq::new(7);
    let request = to_lns("192.0.2.1", &sccrq)?;
    let asked = Instant::now();
    push(&controlled.port, &request.frame())?;
    let other = controlled.write("other.toml", THREE)?;
    controlled.told(&["load", &other])?;
    controlled.refuses(&AS_LOADED)?;
    ensure!(asked.elapsed() < DELAY, "too slow to see the difference");
    let owed = answer(&controlled.port, LIMIT)?.context("what was owed is gone")?;
    ensure!(asked.elapsed() >= DELAY, "after {:?}", asked.elapsed());
    assert_eq!(owed.bytes, refusal(2, 4, "Slow").frame(&request, &sccrq));
    let report = controlled.responder.finish()?;
    assert_eq!(
        report.verdicts()?,
        verdicts([("answered", 3), ("deferred", 1)])
    );
    assert_eq!(report.count("/interfaces/0/sent/sent-later")?, 1);
    Ok(())
}

/// By the command, and by SIGHUP.
fn the_same_file_is_read_once_more() -> Result<()> {
    let mut controlled = Controlled::playing(THREE)?;
    let file = controlled.write("scenario.toml", &THREE.replace("One", "First"))?;
    controlled.refuses(&AS_LOADED)?;
    let told = controlled.told(&["reload"])?;
    let line = format!("in force: {file}: 2 LNS rules, 0 LAC rules, default refuse");
    assert_eq!(told, [line]);
    controlled.refuses(&[("192.0.2.1", refusal(2, 4, "First")), ("192.0.2.2", TWO)])?;

    controlled.write("scenario.toml", &THREE.replace("One", "Second"))?;
    let process = controlled.responder.process();
    process.signal(Signal::SIGHUP)?;
    process.wait_for_line("reloaded: ", LIMIT)?;
    controlled.refuses(&[("192.0.2.1", refusal(2, 4, "Second")), ("192.0.2.2", TWO)])?;

    controlled.write("scenario.toml", "[default]\nfault = 1\n")?;
    let process = controlled.responder.process();
    process.signal(Signal::SIGHUP)?;
    process.wait_for_line("not reloaded: ", LIMIT)?;
    controlled.refuses(&[("192.0.2.1", refusal(2, 4, "Second")), ("192.0.2.2", TWO)])?;
    let report = controlled.responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 9)]));
    Ok(())
}

fn rules_count_from_the_last_reset() -> Result<()> {
    let controlled = Controlled::playing(THREE)?;
    let hits = |default: u64, one: u64, two: u64| {
        [
            json!([null, [], default]),
            json!([6, ["192.0.2.1"], one]),
            json!([13, ["192.0.2.2"], two]),
        ]
    };
    assert_eq!(controlled.hits()?, hits(0, 0, 0));
    controlled.refuses(&AS_LOADED)?;
    controlled.refuses(&[("192.0.2.1", ONE), ("192.0.2.9", DEFAULT)])?;
    controlled.refuses(&[("192.0.2.1", ONE)])?;
    assert_eq!(controlled.hits()?, hits(2, 3, 1));
    let told = controlled.told(&["rules"])?;
    let row = |line: &&String| line.starts_with("6:1 ");
    let row = told.iter().find(row).context("no rule at 6:1")?;
    let columns: Vec<_> = row.split_whitespace().take(4).collect();
    assert_eq!(columns, ["6:1", "192.0.2.1", "any", "3"]);

    assert_eq!(controlled.told(&["reset"])?, ["the counters are at zero"]);
    assert_eq!(controlled.hits()?, hits(0, 0, 0));
    assert_eq!(controlled.reply("status")?["counters"]["answered"], 0);
    controlled.refuses(&[("192.0.2.2", TWO)])?;
    assert_eq!(controlled.hits()?, hits(0, 0, 1));
    let report = controlled.responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 1)]));
    Ok(())
}

fn stop_ends_it_and_removes_its_socket() -> Result<()> {
    let controlled = Controlled::playing(THREE)?;
    controlled.refuses(&AS_LOADED)?;
    assert!(controlled.socket().exists());
    assert_eq!(controlled.told(&["stop"])?, ["stopped"]);
    let socket = controlled.socket();
    let report = controlled.responder.end()?;
    assert_eq!(report.status.code(), Some(0));
    assert_eq!(report.verdicts()?, verdicts([("answered", 3)]));
    assert!(!socket.exists());
    Ok(())
}
