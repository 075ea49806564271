//! `cargo xtask test`: every test of the workspace, with nothing left out.

use std::{ffi::OsString, fs};

use anyhow::Result;

use crate::{apt, apt::Package, build, fuzz, lab, process, setup, suite};

/// The package of the real LAC.
pub const LAC: &str = "xl2tpd";

/// What the tests use besides Rust: Debian's package, what it provides, and what that is for.
const PROGRAMS: [(&str, &str, &str); 9] = [
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
    ("xz-utils", "xz", "unpacks the sources of another real LAC"),
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
    for package in lab::PACKAGES {
        // The tests that need it are skipped, and say why.
        if let Err(error) = package.fetch() {
            eprintln!("going on without {}: {error:#}", package.name);
        }
    }
    let skipped = suite::cache().join("skipped");
    fs::create_dir_all(suite::cache())?;
    fs::write(&skipped, "")?;
    let mut tests = build::cargo();
    tests
        .args(["test", "--workspace"])
        .env(lab::TEST_ALL, "1")
        .env(lab::SKIPPED, &skipped);
    if !process::is_root() {
        // The tests are built as who we are: only running them needs root.
        tests.args(["--config", "target.'cfg(all())'.runner = ['sudo', '-E']"]);
    }
    process::run(tests.args(arguments))?;
    if let Some(summary) = summary(&fs::read_to_string(skipped)?) {
        eprintln!("{summary}");
    }
    // Who wants certain tests wants nothing else.
    if arguments.is_empty() {
        fuzz::run(None, fuzz::TEST_TIME, fuzz::TEST_JOBS)?;
    }
    Ok(())
}

/// How many tests were skipped and why, by a file with a line for each of them.
fn summary(skipped: &str) -> Option<String> {
    let reasons: Vec<&str> = skipped.lines().collect();
    let tests = match reasons.len() {
        0 => return None,
        1 => "1 test".to_owned(),
        count => format!("{count} tests"),
    };
    Some(format!("{tests} skipped: {}", reasons.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn skipped_tests_are_counted_and_explained() {
        for (skipped, said) in [
            ("", None),
            ("a: no\n", Some("1 test skipped: a: no")),
            ("a: no\nb: not\n", Some("2 tests skipped: a: no; b: not")),
        ] {
            assert_eq!(summary(skipped).as_deref(), said);
        }
    }
}
