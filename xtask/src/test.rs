//! `cargo xtask test`: every test of the workspace, with nothing left out.

use std::ffi::OsString;

use anyhow::Result;

use crate::{apt, apt::Package, build, process, setup};

/// What the tests use besides Rust: Debian's package, what it provides, and what that is for.
const PROGRAMS: [(&str, &str, &str); 7] = [
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

/// Tells the tests that what they need is there: none may be skipped.
pub const ALL: &str = "BROKEN_LNS_TEST_ALL";

/// The real LAC.
pub fn lac() -> Package {
    Package::new("xl2tpd", "xl2tpd", "the real LAC that gets refused")
}

/// Runs the tests; `arguments` are handed to cargo.
pub fn run(arguments: &[OsString]) -> Result<()> {
    setup::ensure()?;
    let packages: Vec<Package> = PROGRAMS
        .iter()
        .map(|(name, provides, why)| Package::new(*name, *provides, *why))
        .chain([lac()])
        .collect();
    apt::ensure(&packages)?;
    let mut tests = build::cargo();
    tests.args(["test", "--workspace"]).env(ALL, "1");
    if !process::is_root() {
        // The tests are built as who we are: only running them needs root.
        tests.args(["--config", "target.'cfg(all())'.runner = ['sudo', '-E']"]);
    }
    process::run(tests.args(arguments))
}
