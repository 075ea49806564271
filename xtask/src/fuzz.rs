//! `cargo xtask fuzz`: libFuzzer on everything that reads what somebody else wrote.
//!
//! The package `fuzz` has the targets. They are built by the compiler of the workspace with the
//! instrumentation that libFuzzer wants, and with AddressSanitizer where the compiler comes with it.
//! Everything that is found stays in `target/fuzz`.

use std::{
    collections::VecDeque,
    fmt,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::{
    apt::{self, Package},
    build, lab, process, root, sanitize, setup,
};

/// What libFuzzer needs of the code.
const INSTRUMENTATION: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Branches that are folded into one cannot be told apart.
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
];

/// How long one input may take. No input takes a second where the machine is idle, and a machine
/// that is busy must not make one fail.
const LIMIT: Duration = Duration::from_secs(300);

/// The most memory, in MiB: one that grows with its input is found.
const MEMORY: u32 = 2048;

/// How long one target runs in `cargo xtask test`: as long as it takes to find again what a wrong
/// check breaks, and not so long that nobody runs the tests.
pub const TEST_TIME: Duration = Duration::from_secs(60);

/// How many run at a time there.
pub const TEST_JOBS: usize = 2;

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// One frame through both halves, which have to agree
    Frames,
    /// A worker that plays some scenarios for any frames at any times
    Worker,
    /// Any text as a scenario
    Scenario,
    /// Both ends of the control socket
    Control,
    /// Any events, from the tracker to a report in every form
    Report,
}

impl Target {
    /// The longest input: what is longer says nothing new, and takes its time.
    fn longest(self) -> usize {
        match self {
            // The number of a setting, and the longest frame that it takes.
            Self::Frames => 1 + 2_000,
            Self::Worker | Self::Control | Self::Report => 4_096,
            Self::Scenario => 8_192,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames => "frames",
            Self::Worker => "worker",
            Self::Scenario => "scenario",
            Self::Control => "control",
            Self::Report => "report",
        })
    }
}

/// Runs one target for so long, or all of them, `jobs` at a time.
pub fn run(target: Option<Target>, time: Duration, jobs: usize) -> Result<()> {
    let programs = Programs::build()?;
    let targets = match target {
        Some(target) => vec![target],
        None => Target::value_variants().to_vec(),
    };
    // A single target is what all jobs are for.
    let each = if target.is_some() { jobs.max(1) } else { 1 };
    let mut waiting = VecDeque::new();
    for target in targets {
        programs.prepare(target)?;
        waiting.extend((0..each).map(|number| (target, number)));
    }
    let mut running: Vec<Running> = Vec::new();
    let mut failed = Vec::new();
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < jobs.max(1)
            && let Some((target, number)) = waiting.pop_front()
        {
            running.push(programs.start(target, number, time)?);
        }
        let ended = loop {
            let ended = running
                .iter_mut()
                .position(|it| !matches!(it.child.try_wait(), Ok(None)));
            match ended {
                Some(ended) => break running.swap_remove(ended),
                None => thread::sleep(Duration::from_millis(100)),
            }
        };
        if let Err(error) = ended.report() {
            eprintln!("{error:#}");
            failed.push(error);
        }
    }
    ensure!(failed.is_empty(), "fuzzing found something, see above");
    Ok(())
}

/// Runs a target on inputs that were kept.
pub fn repeat(target: Target, inputs: &[PathBuf]) -> Result<()> {
    let programs = Programs::build()?;
    let mut command = programs.command(target)?;
    process::run(
        command
            .arg(format!("-timeout={}", LIMIT.as_secs()))
            .args(inputs),
    )
}

/// Where everything of a target is kept that lasts longer than a run.
fn folder(target: Target) -> PathBuf {
    root().join("target/fuzz").join(target.to_string())
}

/// The programs of the targets.
struct Programs(Vec<(String, PathBuf)>);

impl Programs {
    fn build() -> Result<Self> {
        setup::ensure()?;
        apt::ensure(&[Package::new("g++", "c++", "compiles libFuzzer")])?;
        let rustc = sanitize::compiler()?;
        let mut flags: Vec<&str> = INSTRUMENTATION.to_vec();
        let is_sanitized = sanitize::has_address_sanitizer(&rustc);
        if is_sanitized {
            flags.push(sanitize::ADDRESS);
        } else {
            eprintln!(
                "going on without AddressSanitizer: {} has none",
                rustc.banner
            );
        }
        eprintln!("building the targets of the fuzzer");
        let mut command = build::cargo();
        command
            .args(["build", "--quiet", "--package", "fuzz", "--bins"])
            .args(["--features", "libfuzzer", "--profile", "fuzzing"])
            // With a target the flags are not for build scripts and macros.
            .args(["--target", &rustc.host])
            .arg("--message-format=json-render-diagnostics")
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .stderr(Stdio::inherit());
        if is_sanitized {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        Ok(Self(executables(&process::read(&mut command)?)))
    }

    fn program(&self, target: Target) -> Result<&Path> {
        let name = target.to_string();
        let mut programs = self.0.iter();
        let found = programs.find(|(known, _)| *known == name);
        let (_, program) = found.with_context(|| format!("cargo built no program {name}"))?;
        Ok(program)
    }

    /// What runs a target: as root where that is needed, since it loads the kernel half.
    fn command(&self, target: Target) -> Result<Command> {
        let program = self.program(target)?;
        let mut command = match target {
            Target::Frames => process::as_root(program),
            _ => Command::new(program),
        };
        // Memory that is never given back is not what this is about, and looking for it needs a
        // debugger's rights.
        command.env("ASAN_OPTIONS", "detect_leaks=0");
        Ok(command)
    }

    /// Writes the inputs that a target begins with.
    fn prepare(&self, target: Target) -> Result<()> {
        let folder = folder(target);
        fs::create_dir_all(folder.join("found"))?;
        let mut command = Command::new(self.program(target)?);
        command.env("BROKEN_LNS_FUZZ_PREPARE", &folder);
        command.env("ASAN_OPTIONS", "detect_leaks=0");
        process::run_quietly(&mut command)
            .with_context(|| format!("no inputs for {target} to begin with"))
    }

    fn start(&self, target: Target, number: usize, time: Duration) -> Result<Running> {
        let folder = folder(target);
        let log = folder.join(format!("log-{number}"));
        let output = File::create(&log)?;
        let mut command = self.command(target)?;
        command
            .arg(folder.join("corpus"))
            .arg(format!("-max_total_time={}", time.as_secs().max(1)))
            .arg(format!("-max_len={}", target.longest()))
            .arg(format!("-timeout={}", LIMIT.as_secs()))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-dict={}", folder.join("dictionary").display()))
            .arg(format!(
                "-artifact_prefix={}/",
                folder.join("found").display()
            ))
            .args(["-print_final_stats=1", "-detect_leaks=0", "-reload=1"])
            .env_remove(lab::TEST_ALL)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        eprintln!("fuzzing {target} for {} s", time.as_secs());
        let child = command
            .spawn()
            .with_context(|| format!("cannot start the target {target}"))?;
        Ok(Running { target, child, log })
    }
}

/// A target at work.
struct Running {
    target: Target,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Says what it did, once it ended.
    fn report(mut self) -> Result<()> {
        let status = self.child.wait()?;
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let Self { target, .. } = self;
        if status.success() {
            let tries = said(&log, "stat::number_of_executed_units:").unwrap_or("no");
            eprintln!("{target}: {tries} inputs, and nothing found");
            return Ok(());
        }
        let kept = said(&log, "Test unit written to");
        let repeat = match kept {
            Some(input) => format!("to repeat it: cargo xtask fuzz {target} {input}"),
            None => "it kept no input".to_owned(),
        };
        bail!(
            "{target} ({status}):\n{}\nthe whole of it: {}\n{repeat}",
            complaint(&log),
            self.log.display()
        )
    }
}

/// What follows these words in a line.
fn said<'l>(log: &'l str, words: &str) -> Option<&'l str> {
    let mut lines = log.lines().rev();
    lines.find_map(|line| Some(line.split_once(words)?.1.trim()))
}

/// The lines in which a target says what went wrong: from the first of them on, and not all of a
/// backtrace.
fn complaint(log: &str) -> String {
    const SHOWN: usize = 40;
    let lines: Vec<&str> = log.lines().collect();
    let begins = |line: &&str| line.contains("panicked at") || line.starts_with("==");
    let first = lines.iter().position(begins);
    let first = first.unwrap_or(lines.len().saturating_sub(SHOWN));
    let shown = lines.iter().skip(first).take(SHOWN).copied();
    shown.collect::<Vec<_>>().join("\n")
}

/// The programs that cargo's messages, one JSON object a line, say were built.
fn executables(messages: &str) -> Vec<(String, PathBuf)> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, message["executable"].as_str()?.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
INFO: Seed: 1
#2\tINITED
thread '<unnamed>' (1) panicked at fuzz/src/lib.rs:64:9:
frames: it was changed
==7== ERROR: libFuzzer: deadly signal
artifact_prefix='/t/'; Test unit written to /t/crash-0a
stat::number_of_executed_units: 7
";

    #[test]
    fn a_log_tells_what_went_wrong_and_where_the_input_is() {
        assert_eq!(said(LOG, "Test unit written to"), Some("/t/crash-0a"));
        assert_eq!(said(LOG, "stat::number_of_executed_units:"), Some("7"));
        assert_eq!(said(LOG, "stat::nothing"), None);
        let complaint = complaint(LOG);
        let first = complaint.lines().next();
        assert_eq!(
            first,
            Some("thread '<unnamed>' (1) panicked at fuzz/src/lib.rs:64:9:")
        );
        assert_eq!(super::complaint("one\ntwo\n"), "one\ntwo");
    }

    #[test]
    fn programs_are_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"fuzz"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"frames"},"executable":"/target/frames"}
not JSON
"#;
        assert_eq!(
            executables(messages),
            [("frames".to_owned(), PathBuf::from("/target/frames"))]
        );
    }

    #[test]
    fn targets_are_named_as_their_programs() {
        for target in Target::value_variants() {
            let value = target.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), target.to_string());
        }
    }
}
