//! Starting and stopping: however a responder ends, nothing of it is left.

use std::{
    fs,
    net::UdpSocket,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::{
    sys::signal::Signal,
    sys::socket::{setsockopt, sockopt},
};
use xtask::lab::{self, Lab, RawPort, Sccrq, Scratch};

use crate::{
    loaded::{Loaded, Pinned, attached},
    request::{Refusal, answer, datagram, expect, nobody, push},
    responder::{LIMIT, Responder, text, threads, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in WAYS {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
            let name = format!("nothing_is_left_after::{signal}::{way}");
            trials.push(trial(name, &["bpftool"], move || {
                nothing_is_left_after(way, signal)
            }));
        }
        let name = format!("an_interface_may_be_down_at_the_start::{way}");
        trials.push(trial(name, &[], move || {
            an_interface_may_be_down_at_the_start(way)
        }));
        let name = format!("what_is_answered_at_the_end_is_counted::{way}");
        trials.push(trial(name, &[], move || {
            what_is_answered_at_the_end_is_counted(way)
        }));
    }
    for way in [WAYS[1], WAYS[2]] {
        let name = format!("an_interface_that_goes_away_ends_it::{way}");
        trials.push(trial(name, &[], move || {
            an_interface_that_goes_away_ends_it(way)
        }));
    }
    for way in [WAYS[2], WAYS[3]] {
        let name = format!("a_worker_rests_while_nothing_can_be_sent::{way}");
        trials.push(trial(name, &[], move || {
            a_worker_rests_while_nothing_can_be_sent(way)
        }));
        let name = format!("what_was_handed_over_is_answered_still::{way}");
        trials.push(trial(name, &[], move || {
            what_was_handed_over_is_answered_still(way)
        }));
    }
    for way in [WAYS[1], WAYS[3]] {
        let name = format!("no_request_is_lost_at_either_end::{way}");
        trials.push(trial(name, &[], move || {
            no_request_is_lost_at_either_end(way)
        }));
    }
    trials.push(trial(
        "ten_starts_and_stops_leak_nothing",
        &["bpftool"],
        ten_starts_and_stops_leak_nothing,
    ));
    trials.push(trial("a_duration_ends_it", &[], a_duration_ends_it));
    trials.push(trial(
        "a_reader_that_goes_away_ends_it",
        &[],
        a_reader_that_goes_away_ends_it,
    ));
    trials
}

fn nothing_is_left_after(way: Way, signal: Signal) -> Result<()> {
    let lab = way.one_cable().build()?;
    let mut responder = Responder::start(&lab, &way.flags())?;
    let loaded = Loaded::on(&lab.responder, Lab::INTERFACE)?;
    responder.process().signal(signal)?;
    if signal == Signal::SIGKILL {
        let status = responder.process().wait(LIMIT)?;
        ensure!(!status.success(), "killed, and still {status}");
    } else {
        let report = responder.end()?;
        assert_eq!(report.status.code(), Some(0));
        report.last()?;
    }
    lab::until("the interface to be free", LIMIT, || {
        let attached = attached(&lab.responder, Lab::INTERFACE)?;
        Ok(attached.is_empty().then_some(()))
    })?;
    loaded.is_gone()
}

/// The pages of one worker's frames.
const UMEM: u64 = 4096;

/// By either path, in either mode, by either signal, and by none.
fn ten_starts_and_stops_leak_nothing() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let before = Pinned::now()?;
    let mut locked = 0;
    let mut all: Option<Loaded> = None;
    for round in 0..10 {
        let way = WAYS[round % WAYS.len()];
        let mut responder = Responder::start(&lab, &way.flags())?;
        if way.path == "redirect" {
            locked += UMEM;
        }
        let loaded = Loaded::on(&lab.responder, Lab::INTERFACE)?;
        match &mut all {
            Some(all) => all.and(loaded),
            None => all = Some(loaded),
        }
        let signals = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL];
        responder.process().signal(signals[round % signals.len()])?;
        responder.process().wait(LIMIT)?;
    }
    all.context("nothing was ever loaded")?.is_gone()?;
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    // The kernel adds up what each CPU counts only now and then, so that half a umem is as near as
    // it gets; and it may still be releasing what others locked before.
    lab::until("the locked memory to be free", LIMIT, || {
        let now = Pinned::now()?;
        let acquired = now.acquired - before.acquired + UMEM / 2;
        let released = now.released - before.released + UMEM / 2;
        Ok((acquired > locked && released > locked).then_some(()))
    })
}

fn a_duration_ends_it() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let start = Instant::now();
    let report = Responder::spawn(&lab, &["--duration", "1s"])?.end()?;
    let took = start.elapsed();
    assert_eq!(report.status.code(), Some(0));
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(4), "{took:?}");
    let elapsed = report.last()?["elapsed_s"].as_f64().context("no time")?;
    assert!((1.0..2.0).contains(&elapsed), "{elapsed} s");
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    Ok(())
}

/// As in `broken-lns run --json | head -1`.
fn a_reader_that_goes_away_ends_it() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let mut shell = lab.responder.command("sh");
    let program = env!("CARGO_BIN_EXE_broken-lns");
    shell.args(["-c", "\"$0\" run --json --duration 20s | head -1", program]);
    let report = Responder::of(shell)?.end()?;
    assert_eq!(report.snapshots.len(), 1);
    assert!(
        report.said("cannot write to standard output"),
        "{:?}",
        report.said
    );
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    Ok(())
}

fn an_interface_that_goes_away_ends_it(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let (peer, _) = lab.peer();
    for going in [
        format!("link set {} netns {}", Lab::INTERFACE, peer.name()),
        format!("link delete {}", Lab::INTERFACE),
    ] {
        let mut responder = Responder::start(&lab, &way.flags())?;
        let start = Instant::now();
        lab.responder.ip(&going)?;
        let ended = responder.process().wait(LIMIT)?;
        let took = start.elapsed();
        assert!(took < Duration::from_secs(3), "it took {took:?}");
        assert_eq!(ended.code(), Some(1));
        let report = responder.end()?;
        let error = "interface `eth1` went away";
        assert!(report.said(error), "{going}: {:?}", report.said);
        if going.contains("netns") {
            assert_eq!(attached(peer, Lab::INTERFACE)?, []);
            peer.ip(&format!(
                "link set {} netns {}",
                Lab::INTERFACE,
                lab.responder.name()
            ))?;
            lab.responder
                .ip(&format!("link set {} up", Lab::INTERFACE))?;
        }
    }
    Ok(())
}

/// It says so, and answers once the interface is up.
fn an_interface_may_be_down_at_the_start(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    lab.responder
        .ip(&format!("link set {} down", Lab::INTERFACE))?;
    let responder = Responder::start(&lab, &way.flags())?;
    lab.responder
        .ip(&format!("link set {} up", Lab::INTERFACE))?;
    lab::until("the cable to carry", LIMIT, || {
        let shown = lab.responder.ip(&format!("link show {}", Lab::INTERFACE))?;
        Ok(shown.contains("LOWER_UP").then_some(()))
    })?;
    let sccrq = Sccrq::new(7);
    let payload = sccrq.message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
    let reply = Refusal::DEFAULT.frame(&request, &sccrq);
    expect(&port, "once it is up", &request.frame(), &reply)?;
    let report = responder.finish()?;
    let remark = "eth1: it is down: ip link set eth1 up";
    assert!(report.said(remark), "{:?}", report.said);
    assert_eq!(report.verdicts()?, verdicts([("answered", 1)]));
    Ok(())
}

/// Sends the same request again and again, a hundred every few milliseconds, until told to stop.
fn send_until(stop: &AtomicBool, port: &RawPort, request: &[u8]) -> Result<u64> {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..100 {
            push(port, request)?;
            sent += 1;
        }
        lab::pause(Duration::from_millis(2))?;
    }
    Ok(sent)
}

/// Stopped among requests, it has counted as answered exactly what came back.
fn what_is_answered_at_the_end_is_counted(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let payload = Sccrq::new(7).message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload).frame();
    let responder = Responder::start(&lab, &way.flags())?;
    let stop = AtomicBool::new(false);
    let (sent, report) = thread::scope(|scope| -> Result<_> {
        let sending = scope.spawn(|| send_until(&stop, &port, &request));
        let paused = lab::pause(Duration::from_millis(300));
        let report = responder.finish();
        stop.store(true, Ordering::Relaxed);
        let sent = sending.join().expect("the sender does not panic")?;
        paused?;
        Ok((sent, report?))
    })?;
    let mut answers = 0;
    while answer(&port, Duration::from_millis(100))?.is_some() {
        answers += 1;
    }
    assert!((1..sent).contains(&answers), "{answers} of {sent} answered");
    assert_eq!(report.verdicts()?, verdicts([("answered", answers)]));
    Ok(())
}

/// Far more answers are due than the tx ring holds, and the interface is down.
fn a_worker_rests_while_nothing_can_be_sent(way: Way) -> Result<()> {
    const ATTEMPTS: u16 = 100;
    let files = Scratch::new("down")?;
    let scenario = files.file("scenario.toml");
    fs::write(
        &scenario,
        "[default]\nfault = \"refuse\"\ndelay = \"3s\"\nrepeat = 100\n",
    )?;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let flags = ["--scenario", text(&scenario)?, "--wait", "sleep"];
    let mut responder = Responder::start(&lab, &[&way.flags()[..], &flags].concat())?;
    let threads = threads(responder.process().pid())?;
    let worker = threads.get("eth1-0").context("no worker")?;
    for tunnel_id in 1..=ATTEMPTS {
        let payload = Sccrq::new(tunnel_id).message().bytes();
        let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload);
        push(&port, &request.frame())?;
    }
    responder
        .process()
        .wait_for_line(&format!("\"received\":{ATTEMPTS},"), LIMIT)?;
    lab.responder
        .ip(&format!("link set {} down", Lab::INTERFACE))?;
    lab::pause(Duration::from_secs(4))?;
    // It sleeps, which a worker that tries without end does not.
    let slept = || -> Result<u64> {
        let status = fs::read_to_string(worker.join("status"))?;
        let count = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        Ok(count.context("no count")?.trim().parse()?)
    };
    let before = slept()?;
    lab::until("the worker to rest", LIMIT, || {
        Ok((slept()? >= before + 200).then_some(()))
    })?;
    responder.finish()?;
    Ok(())
}

/// Told to stop before it could look at any of them, a worker still answers what it has, one by
/// one if it has to.
fn what_was_handed_over_is_answered_still(way: Way) -> Result<()> {
    /// As many as its rings hold, or nearly so.
    const REQUESTS: u64 = 2000;
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let payload = Sccrq::new(7).message().bytes();
    let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload).frame();
    let flags = [&way.flags()[..], &["--batch-size", "1"]].concat();
    let mut responder = Responder::start(&lab, &flags)?;
    responder.process().signal(Signal::SIGSTOP)?;
    for _ in 0..REQUESTS {
        push(&port, &request)?;
    }
    responder.process().signal(Signal::SIGINT)?;
    responder.process().signal(Signal::SIGCONT)?;
    let report = responder.end()?;
    assert_eq!(report.status.code(), Some(0));
    assert_eq!(report.verdicts()?, verdicts([("answered", REQUESTS)]));
    for number in 1..=REQUESTS {
        let reply = answer(&port, LIMIT)?;
        reply.with_context(|| format!("number {number}"))?;
    }
    Ok(())
}

/// Started and stopped among requests to an address of the box itself, each of them is answered,
/// or reaches the socket that listens behind. In native mode a veth loses some by itself.
fn no_request_is_lost_at_either_end(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let listener = lab.responder.enter(|| UdpSocket::bind("0.0.0.0:1701"))??;
    setsockopt(&listener, sockopt::RcvBufForce, &(64 << 20))?;
    listener.set_read_timeout(Some(Duration::from_millis(200)))?;
    let payload = Sccrq::new(7).message().bytes();
    let own = (lab.responder_address(), 1701).into();
    let request = datagram(nobody(1701), own, payload).frame();
    let stop = AtomicBool::new(false);
    let (sent, report) = thread::scope(|scope| -> Result<_> {
        let sending = scope.spawn(|| send_until(&stop, &port, &request));
        let run = || -> Result<_> {
            lab::pause(Duration::from_millis(100))?;
            let responder = Responder::start(&lab, &way.flags())?;
            lab::pause(Duration::from_millis(200))?;
            let report = responder.finish()?;
            lab::pause(Duration::from_millis(100))?;
            Ok(report)
        };
        let report = run();
        stop.store(true, Ordering::Relaxed);
        let sent = sending.join().expect("the sender does not panic")?;
        Ok((sent, report?))
    })?;
    let (mut listened, mut buffer) = (0, [0; 2048]);
    while listener.recv(&mut buffer).is_ok() {
        listened += 1;
    }
    let mut answers = 0;
    while answer(&port, Duration::from_millis(100))?.is_some() {
        answers += 1;
    }
    assert!(answers > 0 && listened > 0, "{answers}, {listened}");
    assert_eq!(report.verdicts()?, verdicts([("answered", answers)]));
    assert_eq!(answers + listened, sent);
    Ok(())
}
