//! Troubles around a responder: what passes ends nothing, and whatever takes long keeps nobody
//! from asking and stopping it.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    net::Shutdown,
    os::unix::{fs::OpenOptionsExt as _, net::UnixStream},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::{
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use serde_json::Value;
use xtask::lab::{self, Process, Sccrq, Stream};
use xtask::process;

use crate::{
    control::Controlled,
    request::{Refusal, datagram, expect, nobody},
    responder::{LIMIT, Responder, verdicts},
    scenarios::to_lns,
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in [WAYS[0], WAYS[3]] {
        let name = format!("no_room_for_another_file_ends_nothing::{way}");
        trials.push(trial(name, &["prlimit"], move || {
            no_room_for_another_file_ends_nothing(way)
        }));
    }
    trials.push(trial(
        "nothing_waits_for_a_scenario_that_is_read",
        &[],
        nothing_waits_for_a_scenario_that_is_read,
    ));
    for signal in [None, Some(Signal::SIGTERM)] {
        let by = signal.map_or("stop", Signal::as_str);
        let name = format!("a_scenario_that_is_read_keeps_nothing_from_ending::{by}");
        trials.push(trial(name, &[], move || {
            a_scenario_that_is_read_keeps_nothing_from_ending(signal)
        }));
    }
    trials
}

/// Lets a process open so many files from now on. Those that it has stay open.
fn limit_files(process: &Process, limit: &str) -> Result<()> {
    let mut command = Command::new("prlimit");
    command.args(["--pid", &process.pid().to_string()]);
    process::run(command.arg(format!("--nofile={limit}:")))
}

/// Waits for the next snapshots.
fn snapshots(process: &Process, count: usize) -> Result<()> {
    let mut mark = process.mark();
    for _ in 0..count {
        process.wait_for("another snapshot", mark, LIMIT, |line| {
            (line.stream == Stream::Stdout).then_some(())
        })?;
        mark = process.mark();
    }
    Ok(())
}

fn no_room_for_another_file_ends_nothing(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let mut responder = Responder::start(&lab, &way.flags())?;
    // With fewer poll(2) refuses to wait for one.
    limit_files(responder.process(), "1")?;
    snapshots(responder.process(), 3)?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);
    expect(&port, "without a file", &request.frame(), &reply)?;
    limit_files(responder.process(), "1024")?;
    snapshots(responder.process(), 2)?;
    let report = responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", 1)]));
    Ok(())
}

/// The scenario of a responder as it is before anything is changed.
const REFUSES: &str = "[default]\nfault = \"refuse\"\nresult = 7\nmessage = \"before\"\n";

/// What it is told to read instead.
const SILENT: &str = "[default]\nfault = \"silent\"\n";

/// Has the file of its scenario become a pipe, and a client ask for a reload: that is under way
/// until the pipe is closed.
fn reloading(controlled: &Controlled) -> Result<(UnixStream, File)> {
    let file = controlled.write("scenario.toml", REFUSES)?;
    fs::remove_file(&file)?;
    mkfifo(Path::new(&file), Mode::S_IRWXU)?;
    let client = ask(controlled, "\"reload\"")?;
    // Without a reader it is not opened.
    let pipe = lab::until("the responder to read", LIMIT, || {
        let mut options = OpenOptions::new();
        let pipe = options
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&file);
        Ok(pipe.ok())
    })?;
    Ok((client, pipe))
}

/// A client that has asked, and does not wait for the response.
fn ask(controlled: &Controlled, request: &str) -> Result<UnixStream> {
    let mut client = UnixStream::connect(controlled.socket())?;
    writeln!(client, "{{\"version\":1,\"request\":{request}}}")?;
    client.shutdown(Shutdown::Write)?;
    Ok(client)
}

/// The response, which comes now.
fn response(mut client: UnixStream) -> Result<Value> {
    client.set_read_timeout(Some(LIMIT))?;
    let mut line = String::new();
    client.read_to_string(&mut line)?;
    serde_json::from_str(&line).context(line)
}

/// Who only asks is answered while a scenario is read, and changes come behind it.
fn nothing_waits_for_a_scenario_that_is_read() -> Result<()> {
    let controlled = Controlled::on(WAYS[0], REFUSES)?;
    let (reload, mut pipe) = reloading(&controlled)?;
    let set = ask(&controlled, r#"{"set":{"result_code":6}}"#)?;
    for command in ["status", "rules", "report"] {
        controlled.told(&[command])?;
    }
    let sccrq = Sccrq::new(7);
    let request = to_lns("192.0.2.1", &sccrq)?;
    let before = Refusal {
        result: 7,
        message: "before",
        ..Refusal::DEFAULT
    };
    let reply = before.frame(&request, &sccrq);
    expect(&controlled.port, "meanwhile", &request.frame(), &reply)?;

    pipe.write_all(SILENT.as_bytes())?;
    drop(pipe);
    let reloaded = response(reload)?;
    ensure!(
        reloaded["ok"]["changed"]["scenario"]["default"] == "silent",
        "{reloaded}"
    );
    let set = response(set)?;
    // Of a scenario that refuses, it would have gone on with its message.
    ensure!(
        set["ok"]["changed"]["set"]["treatment"]
            == "fault = \"refuse\", result = 6, error = 4, message = \"Internal error\", \
                assigned_tunnel_id = 12345",
        "{set}"
    );
    controlled.told(&["stop"])?;
    let report = controlled.responder.end()?;
    assert_eq!(report.status.code(), Some(0), "{:?}", report.said);
    Ok(())
}

/// Neither a client nor a signal waits for it.
fn a_scenario_that_is_read_keeps_nothing_from_ending(signal: Option<Signal>) -> Result<()> {
    let mut controlled = Controlled::on(WAYS[3], REFUSES)?;
    let (_client, _pipe) = reloading(&controlled)?;
    match signal {
        None => drop(controlled.told(&["stop"])?),
        Some(signal) => controlled.responder.process().signal(signal)?,
    }
    let report = controlled.responder.end()?;
    assert_eq!(report.status.code(), Some(0), "{:?}", report.said);
    report.last()?;
    Ok(())
}
