//! Ready scenarios, played on the redirect path.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use xtask::lab::{Lab, Sccrq};

use crate::{
    request::{ask, datagram, nobody},
    responder::{LIMIT, Responder},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "a_slow_lns_answers_late",
        &[],
        a_slow_lns_answers_late,
    )]
}

/// The first address of `slow.toml` answers after 0.4 to 0.6 seconds.
fn a_slow_lns_answers_late() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/slow.toml");
    let responder = Responder::start(&lab, &["--scenario", file])?;
    let payload = Sccrq::new(7).message().bytes();
    let request = datagram(nobody(1701), ([192, 0, 2, 1], 1701).into(), payload).frame();
    let asked = Instant::now();
    ask(&port, &request, LIMIT)?.context("no answer")?;
    let waited = asked.elapsed();
    ensure!(waited >= Duration::from_millis(400), "after {waited:?}");
    let report = responder.finish()?;
    assert_eq!(report.count("/verdicts/deferred")?, 1);
    assert_eq!(report.count("/interfaces/0/sent/sent-later")?, 1);
    Ok(())
}
