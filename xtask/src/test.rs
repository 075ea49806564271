//! `cargo xtask test`: every test of the workspace, with nothing left out.

use std::ffi::OsString;

use anyhow::Result;

use crate::{apt, apt::Package, build, lab, process, setup};

/// The package of the real LAC.
pub const LAC: &str = "xl2tpd";

/// What the tests use besides Rust: Debian's package, what it provides, and what that is for.
const PROGRAMS: [(&str, &str, &str); 8] = [
    (LAC, "xl2tpd", "the real LAC that gets refused"),
    ("iproute2", "ip", "makes network namespaces and links"),
    (
        "ethtool",
        "ethtool",
        "switches offloads of links and reads their counters",
    ),
    ("iputils-ping", "ping", "proves that other traffic passes"),
    ("tcpdump", "tcpdump", "captures what is sent"),
    ("tshark", "tshark", "judges the captured replies"),
    ("bpftool", "bpftool", "shows what is loaded and attached"),
    (
        "python3-scapy",
        "/usr/lib/python3/dist-packages/scapy",
        "writes frames and checksums independently of us (run it with /usr/bin/python3)",
    ),
];

/// The packages of these names.
pub fn packages(names: &[&str]) -> Vec<Package> {
    PROGRAMS
        .iter()
        .filter(|(name, ..)| names.contains(name))
        .map(|(name, provides, why)| Package::new(*name, *provides, *why))
        .collect()
}

/// Runs the tests; `arguments` are handed to cargo.
pub fn run(arguments: &[OsString]) -> Result<()> {
    setup::ensure()?;
    apt::ensure(&packages(&PROGRAMS.map(|(name, ..)| name)))?;
    let mut tests = build::cargo();
    tests.args(["test", "--workspace"]).env(lab::TEST_ALL, "1");
    if !process::is_root() {
        // The tests are built as who we are: only running them needs root.
        tests.args(["--config", "target.'cfg(all())'.runner = ['sudo', '-E']"]);
    }
    process::run(tests.args(arguments))
}
