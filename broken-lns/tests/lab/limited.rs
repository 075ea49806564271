//! A LAC that gets no more replies than `--max-reply-rate` allows, on every way, while others are
//! answered; and a limit over both halves.

use std::{
    fs,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use xtask::lab::{RawPort, Sccrq, Scratch};

use crate::{
    request::{answer, datagram, nobody, nobody6, push},
    responder::{LIMIT, Responder},
    trial,
    way::{PLAYED, WAYS, Way},
};

/// Replies in a second.
const RATE: u64 = 50;
/// Requests of one LAC: more than it gets replies, and no more than a socket has room for.
const ASKED: u64 = 1000;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in WAYS {
        let name = format!("a_source_gets_no_more_replies_than_it_may::{way}");
        trials.push(trial(name, &[], move || {
            a_source_gets_no_more_replies_than_it_may(way)
        }));
    }
    for way in PLAYED {
        let name = format!("copies_and_both_halves_have_one_limit::{way}");
        trials.push(trial(name, &[], move || {
            copies_and_both_halves_have_one_limit(*way)
        }));
    }
    trials
}

/// Sends so many requests, and returns how many replies came meanwhile and in what time.
fn flood(port: &RawPort, request: &[u8]) -> Result<(u64, Duration)> {
    let start = Instant::now();
    for _ in 0..ASKED {
        push(port, request)?;
    }
    let mut replies = 0;
    while answer(port, Duration::from_millis(200))?.is_some() {
        replies += 1;
    }
    Ok((replies, start.elapsed()))
}

/// As many as a second allows come at once, with an eighth before anybody is suspected, and then
/// so many in each second, whatever it took.
fn check(what: &str, replies: u64, took: Duration) -> Result<()> {
    let most = RATE + RATE / 8 + RATE * (took.as_secs() + 1);
    ensure!(
        (RATE..=most).contains(&replies),
        "{what}: {replies} replies in {took:?}, where {RATE} to {most} are due"
    );
    Ok(())
}

fn a_source_gets_no_more_replies_than_it_may(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let rate = format!("{RATE}/s");
    let flags = [&way.flags()[..], &["--max-reply-rate", &rate]].concat();
    let responder = Responder::start(&lab, &flags)?;
    let payload = Sccrq::new(7).message().bytes();
    let lns: SocketAddr = (lab.lns(1), 1701).into();
    let lns6: SocketAddr = (lab.lns6(1), 1701).into();
    let mut answered = 0;
    for (what, from, to) in [("IPv4", nobody(1701), lns), ("IPv6", nobody6(1701), lns6)] {
        let request = datagram(from, to, payload.clone()).frame();
        let (replies, took) = flood(&port, &request)?;
        check(what, replies, took)?;
        answered += replies;
    }
    // Another LAC is answered at once.
    let neighbour = SocketAddr::from(([203, 0, 113, 78], 1701));
    push(&port, &datagram(neighbour, lns, payload).frame())?;
    answer(&port, LIMIT)?.context("another LAC is not answered")?;
    let report = responder.finish()?;
    let verdicts = report.verdicts()?;
    let count = |label: &str| verdicts.get(label).copied().unwrap_or(0);
    let expected = (answered + 1, 2 * ASKED - answered);
    assert_eq!((count("answered"), count("rate-limited")), expected);
    let said: Vec<_> = report
        .said
        .iter()
        .filter(|line| line.contains("--max-reply-rate"))
        .collect();
    // Each CPU keeps who was the first there.
    let expected = ["203.0.113.77", "2001:db8:b::4d"].map(|address| {
        format!(
            "eth1: {address} asks for more replies than {rate}, and gets no more: \
             --max-reply-rate allows more, or any number with `off`"
        )
    });
    ensure!(
        said.len() == 1 && expected.contains(said[0]),
        "said: {said:?}"
    );
    Ok(())
}

/// One LNS is refused by the kernel half where it can, the other by a worker with copies: what one
/// LAC gets of both is within the limit.
fn copies_and_both_halves_have_one_limit(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let port = lab.raw_port()?;
    let files = Scratch::new("limited")?;
    let file = files.file("scenario.toml");
    fs::write(
        &file,
        "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\n\
         [[lns]]\naddress = \"192.0.2.2\"\nfault = \"refuse\"\nrepeat = 20\n",
    )?;
    let path = file.to_str().context("a path in ASCII")?;
    let rate = RATE.to_string();
    let scenario = ["--scenario", path, "--max-reply-rate", &rate];
    let responder = Responder::start(&lab, &[&way.flags()[..], &scenario].concat())?;
    let payload = Sccrq::new(7).message().bytes();
    let request = |lns| {
        let to = (lab.lns(lns), 1701).into();
        datagram(nobody(1701), to, payload.clone()).frame()
    };
    let start = Instant::now();
    for number in 0..40 {
        if number % 20 == 0 {
            push(&port, &request(2))?;
        }
        answer(&port, LIMIT)?.with_context(|| format!("{number} copies"))?;
    }
    let (replies, _) = flood(&port, &request(1))?;
    check("both halves", 40 + replies, start.elapsed())?;
    let report = responder.finish()?;
    let answered = report.count("/verdicts/answered")?;
    assert_eq!(
        answered + report.count("/verdicts/rate-limited")?,
        ASKED + 2
    );
    assert_eq!(replies, answered - 2);
    Ok(())
}
