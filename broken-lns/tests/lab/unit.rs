//! The unit for systemd, as systemd itself judges it.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Result, ensure};
use libtest_mimic::{Completion, Trial};
use xtask::{
    lab::{self, Scratch},
    process,
};

const UNIT: &str = include_str!("../../contrib/systemd/broken-lns@.service");

/// Tenths of the exposure that `systemd-analyze security` finds: 10 is for no sandbox at all. What
/// is left is the network of the box, and what is needed to attach to an interface of it: 24 by
/// systemd 252, and a little room for others.
const EXPOSURE: &str = "30";

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, test: fn() -> Result<()>| {
        Trial::ignorable_test(name, move || {
            if process::find("systemd-analyze").is_none() {
                let reason = "there is no systemd here to judge its unit";
                lab::skip(reason).map_err(|error| format!("{error:#}"))?;
                return Ok(Completion::ignored_with(reason));
            }
            match test() {
                Ok(()) => Ok(Completion::Completed),
                Err(error) => Err(format!("{error:#}").into()),
            }
        })
    };
    vec![
        trial("systemd_takes_the_unit", systemd_takes_the_unit),
        trial(
            "the_unit_lets_through_what_the_filter_of_a_run_takes",
            the_unit_lets_through_what_the_filter_of_a_run_takes,
        ),
    ]
}

/// What `systemd-analyze` prints, which has to succeed.
fn analyze(arguments: &[&str]) -> Result<String> {
    let output = Command::new("systemd-analyze").args(arguments).output()?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{arguments:?}: {printed}{said}");
    // It warns of what it ignores, such as a setting that is misspelt.
    let is_warning = |line: &&str| line.contains("broken-lns@");
    let warnings: Vec<_> = said.lines().filter(is_warning).collect();
    ensure!(warnings.is_empty(), "{arguments:?}: {warnings:?}");
    Ok(printed)
}

fn systemd_takes_the_unit() -> Result<()> {
    let files = Scratch::new("unit")?;
    let unit = files.file("broken-lns@eth1.service");
    // It has to be where the unit says.
    let installed = "/usr/local/bin/broken-lns";
    ensure!(UNIT.contains(installed), "another program: {UNIT}");
    fs::write(
        &unit,
        UNIT.replace(installed, env!("CARGO_BIN_EXE_broken-lns")),
    )?;
    let unit = unit.to_string_lossy();
    analyze(&["verify", &unit])?;
    let threshold = format!("--threshold={EXPOSURE}");
    analyze(&["security", "--offline=yes", &threshold, &unit])?;
    Ok(())
}

/// The names of a group of system calls, those of groups in it included.
fn group(name: &str) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for line in analyze(&["syscall-filter", name])?.lines().skip(1) {
        match line.trim() {
            inner if inner.starts_with('@') => names.extend(group(inner)?),
            comment if comment.starts_with('#') => {}
            name => drop(names.insert(name.to_owned())),
        }
    }
    Ok(names)
}

/// A unit that denies what the start needs would fail only on the user's box.
fn the_unit_lets_through_what_the_filter_of_a_run_takes() -> Result<()> {
    let mut allowed = BTreeSet::new();
    let filters = UNIT
        .lines()
        .filter_map(|line| line.strip_prefix("SystemCallFilter="));
    for filter in filters {
        let (is_denied, names) = match filter.strip_prefix('~') {
            Some(names) => (true, names),
            None => (false, filter),
        };
        for name in names.split(' ') {
            let of_it = match name.starts_with('@') {
                true => group(name)?,
                false => BTreeSet::from([name.to_owned()]),
            };
            match is_denied {
                true => allowed.retain(|name| !of_it.contains(name)),
                false => allowed.extend(of_it),
            }
        }
    }
    // What strace sees of a start on both paths, beside what every program does.
    for needed in [
        "bpf",
        "seccomp",
        "capget",
        "capset",
        "prctl",
        "socket",
        "bind",
        "setsockopt",
        "ioctl",
        "mmap",
        "poll",
        "sendto",
        "sched_setaffinity",
        "flock",
        "fchmod",
        "ftruncate",
        "renameat",
        "unlinkat",
        "readlinkat",
        "fsync",
        "prlimit64",
        "socketpair",
        "membarrier",
    ] {
        ensure!(allowed.contains(needed), "the unit denies {needed}");
    }
    for dangerous in [
        "setuid",
        "chown",
        "ptrace",
        "mount",
        "init_module",
        "reboot",
    ] {
        ensure!(!allowed.contains(dangerous), "the unit allows {dangerous}");
    }
    Ok(())
}
