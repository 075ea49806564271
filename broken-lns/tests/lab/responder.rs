//! The command under test, and what it reports.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use xtask::lab::{Lab, Namespace, Process, Stream};

/// How long anything of it may take that ought to take an instant.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A running `broken-lns run --json`, ended when dropped.
#[derive(Debug)]
pub(crate) struct Responder {
    process: Process,
}

/// What a responder left when it ended.
#[derive(Debug)]
pub(crate) struct Report {
    /// Every line of its standard output, which are JSON.
    pub(crate) snapshots: Vec<Value>,
    /// Every line of its standard error.
    pub(crate) said: Vec<String>,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is no text")
}

/// The directories of the threads of a process, by their names.
pub(crate) fn threads(pid: u32) -> Result<BTreeMap<String, PathBuf>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))?;
    let threads = tasks.map(|task| {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?;
        Ok((name.trim_end().to_owned(), task))
    });
    threads.collect()
}

/// `broken-lns` with these arguments in `namespace`.
pub(crate) fn command(namespace: &Namespace, arguments: &[&str]) -> Command {
    let mut command = namespace.command(env!("CARGO_BIN_EXE_broken-lns"));
    command.args(arguments);
    command
}

impl Responder {
    /// Starts it on the lab's interface, and returns once it is attached.
    pub(crate) fn start(lab: &Lab, flags: &[&str]) -> Result<Self> {
        let responder = Self::spawn(lab, flags)?;
        responder.process.wait_for_line(": attached, ", LIMIT)?;
        Ok(responder)
    }

    /// Starts it on the lab's interface, unless the flags name others.
    pub(crate) fn spawn(lab: &Lab, flags: &[&str]) -> Result<Self> {
        let arguments = [&["run", "--json", "--control", "none"], flags].concat();
        Self::of(command(&lab.responder, &arguments))
    }

    /// Starts it on the lab's interface with its control socket at `control`.
    pub(crate) fn controlled(lab: &Lab, control: &str, flags: &[&str]) -> Result<Self> {
        let arguments = [&["run", "--json", "--control", control], flags].concat();
        let responder = Self::of(command(&lab.responder, &arguments))?;
        responder.process.wait_for_line(": attached, ", LIMIT)?;
        Ok(responder)
    }

    /// Follows `command`, which becomes a responder.
    pub(crate) fn of(command: Command) -> Result<Self> {
        let process = Process::spawn("broken-lns", command)?;
        Ok(Self { process })
    }

    /// Its process.
    pub(crate) fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Stops it as Ctrl-C does, which has to be a success.
    pub(crate) fn finish(self) -> Result<Report> {
        self.process.signal(Signal::SIGINT)?;
        let report = self.end()?;
        ensure!(
            report.status.success(),
            "{}: {:?}",
            report.status,
            report.said
        );
        Ok(report)
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(mut self) -> Result<Report> {
        let status = self.process.wait(LIMIT)?;
        let lines = self.process.lines();
        let of = |stream| {
            let lines = lines.iter().filter(move |line| line.stream == stream);
            lines.map(|line| line.text.as_str())
        };
        let snapshots = of(Stream::Stdout).map(|line| {
            serde_json::from_str(line).with_context(|| format!("this is not JSON: {line}"))
        });
        let denied = of(Stream::Stderr).find(|line| line.contains(" was denied "));
        ensure!(denied.is_none(), "it was not let do something: {denied:?}");
        Ok(Report {
            snapshots: snapshots.collect::<Result<_>>()?,
            said: of(Stream::Stderr).map(str::to_owned).collect(),
            status,
        })
    }
}

impl Report {
    /// The last snapshot, which has to say that it is.
    pub(crate) fn last(&self) -> Result<&Value> {
        let last = self.snapshots.last().context("it reported nothing")?;
        ensure!(last["final"] == true, "not the final snapshot: {last}");
        Ok(last)
    }

    /// A number in the last snapshot, by its JSON pointer.
    pub(crate) fn count(&self, pointer: &str) -> Result<u64> {
        let last = self.last()?;
        let count = last.pointer(pointer).and_then(Value::as_u64);
        count.with_context(|| format!("no number {pointer} in {last}"))
    }

    /// Every verdict that frames had, except `other-traffic`: the systems at both ends send some
    /// frames of their own, at times of their own.
    pub(crate) fn verdicts(&self) -> Result<BTreeMap<String, u64>> {
        let verdicts = self.last()?["verdicts"]
            .as_object()
            .context("no verdicts")?;
        let counts = verdicts.iter().map(|(label, count)| {
            let count = count
                .as_u64()
                .with_context(|| format!("{label} is {count}"))?;
            Ok((label.clone(), count))
        });
        let mut counts = counts.collect::<Result<BTreeMap<_, _>>>()?;
        counts.retain(|label, count| *count > 0 && label != "other-traffic");
        Ok(counts)
    }

    /// Whether it said a line that contains `text`.
    pub(crate) fn said(&self, text: &str) -> bool {
        self.said.iter().any(|line| line.contains(text))
    }

    /// What the driver of the lab's interface counted of frames that were lost on their way out.
    pub(crate) fn lost_by_driver(&self) -> Result<u64> {
        let last = self.last()?;
        let driver = last.pointer("/interfaces/0/driver");
        let driver = driver.and_then(Value::as_object).context("no driver")?;
        let lost = driver.iter().filter(|(name, _)| name.contains("_xdp_tx_"));
        Ok(lost.filter_map(|(_, count)| count.as_u64()).sum())
    }
}

/// Verdicts as [`Report::verdicts`] returns them.
pub(crate) fn verdicts<'a>(
    counts: impl IntoIterator<Item = (&'a str, u64)>,
) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (label, count) in counts {
        *sums.entry(label.to_owned()).or_insert(0) += count;
    }
    sums
}
