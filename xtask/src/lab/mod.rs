//! Virtual labs: a LAC, a router and the responder's box, each a network namespace of its own,
//! for the demo, for tests end to end, and for measuring.
//!
//! Everything here ends with its value: a [`Namespace`] is deleted, a [`Process`] is ended, a
//! [`Capture`] is closed when it is dropped. What a run leaves behind that was killed is found by
//! its name, which holds the process id of its owner, and removed by [`sweep`]. Every wait has a
//! limit, and ends early once [`interrupt::caught`] says so.
//!
//! The L2TP and Ethernet code of the lab is written apart from the product's on purpose: it judges
//! what the product sends.

use std::{env, fs::OpenOptions, io::Write as _};

use anyhow::Result;

use crate::{process as programs, suite::Package};

mod beside;
mod bpf;
mod capture;
mod feature;
mod frame;
pub mod interrupt;
mod kl2tpd;
mod l2tpns;
mod lac;
mod lwip;
mod message;
mod namespace;
mod owned;
mod pass;
mod process;
mod raw;
mod stopccn;
mod topology;
mod veth;
mod wait;
mod xl2tpd;

pub use self::{
    beside::TagBeside,
    capture::{Capture, Recording},
    frame::{Checksum, Datagram, Mac, Tag, is_udp},
    kl2tpd::Kl2tpd,
    l2tpns::L2tpns,
    lac::{MinimalLac, Outcome, Refusal},
    lwip::{Lwip, Place},
    message::{Avp, ControlMessage, Sccrq, attribute, message_type},
    namespace::Namespace,
    owned::{Scratch, sweep},
    pass::PassProgram,
    process::{Line, Process, Stream},
    raw::{RawFrame, RawPort},
    stopccn::StopCcn,
    topology::{Hop, Lab, Peer, Plan},
    veth::{End, connect},
    wait::{pause, until},
    xl2tpd::{Event, Target, Xl2tpd},
};

/// The environment variable by which `cargo xtask test` says that no test may be skipped.
pub const TEST_ALL: &str = "BROKEN_LNS_TEST_ALL";

/// The environment variable by which `cargo xtask test` names the file that [`skip`] writes to.
pub const SKIPPED: &str = "BROKEN_LNS_SKIPPED";

/// The packages of real LACs that come from other suites of Debian. A test is skipped for want of
/// these, even under `cargo xtask test`: a suite may drop or replace them at any time.
pub const PACKAGES: [Package; 5] = [
    Kl2tpd::PACKAGE,
    Xl2tpd::BULLSEYE,
    Lwip::PACKAGE,
    L2tpns::PACKAGE,
    L2tpns::LIBRARY,
];

/// Notes why a test was skipped, for who started all of them to tell at the end.
pub fn skip(reason: &str) -> Result<()> {
    let Some(file) = env::var_os(SKIPPED) else {
        return Ok(());
    };
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    Ok(writeln!(file, "{reason}")?)
}

/// Why a lab cannot be built here, or not with all of `programs`, if so.
pub fn obstacle(programs: &[&str]) -> Option<String> {
    if !programs::is_root() {
        return Some("network namespaces need root".to_owned());
    }
    let mut needed = [&["ip"], programs].concat().into_iter();
    let missing = needed.find(|program| programs::find(program).is_none())?;
    Some(format!("there is no program `{missing}`"))
}

/// Whether a test that needs a lab and `programs` can run here; says why where it cannot. Under
/// `cargo xtask test`, which has seen to everything, it panics instead: no test is skipped there.
pub fn is_possible(programs: &[&str]) -> bool {
    let Some(obstacle) = obstacle(programs) else {
        return true;
    };
    assert!(env::var_os(TEST_ALL).is_none(), "cannot test: {obstacle}");
    println!("skipped: {obstacle}");
    false
}
