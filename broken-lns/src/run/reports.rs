//! The files of reports, which are made and written while nothing else waits for that.

use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use super::signals::{self, Signals};
use crate::cli::Track;
use crate::control::Work;
use crate::control::protocol::Refused;
use crate::output_file::OutputMode;
use crate::report::{self, Report, WriteError};

/// The files, and when they are written.
pub(super) struct Reports {
    files: Vec<PathBuf>,
    mode: OutputMode,
    interval: Option<Interval>,
    /// Who writes them at the moment.
    writing: Option<JoinHandle<Result<Vec<WriteError>, Refused>>>,
}

/// What there is to do about reports.
pub(super) enum Step {
    /// It is time to write them.
    Due,
    /// They were written, apart from these.
    Written(Vec<WriteError>),
    /// There was nothing to write.
    Refused(Refused),
    /// Whoever wrote them panicked, which is a mistake in broken-lns.
    Broken,
}

impl Reports {
    /// The reports that the flags ask for. This has to be within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where one could not be written.
    pub(super) fn prepare(flags: &Track, mode: OutputMode) -> Result<Self> {
        for file in &flags.reports {
            if let Err(error) = report::check(file, mode) {
                bail!(
                    "{:#}; choose another place with --report FILE",
                    anyhow!(error)
                );
            }
        }
        Ok(Self {
            files: flags.reports.clone(),
            mode,
            interval: flags.report_interval.and_then(every),
            writing: None,
        })
    }

    /// Whether none is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What there is to do next; it never comes where nothing is.
    pub(super) async fn next(&mut self) -> Step {
        if let Some(writing) = &mut self.writing {
            let written = writing.await;
            self.writing = None;
            return match written {
                Ok(Ok(errors)) => Step::Written(errors),
                Ok(Err(refused)) => Step::Refused(refused),
                Err(_) => Step::Broken,
            };
        }
        match &mut self.interval {
            Some(interval) => {
                interval.tick().await;
                Step::Due
            }
            None => std::future::pending().await,
        }
    }

    /// Begins to make and to write them.
    pub(super) fn begin(&mut self, report: Work<Report>) {
        let (files, mode) = (self.files.clone(), self.mode);
        self.writing = Some(spawn_blocking(move || Ok(write(&report()?, &files, mode))));
    }

    /// Writes them for the last time.
    ///
    /// # Errors
    ///
    /// Where one could not be written; the others are.
    pub(super) async fn finish(mut self, report: &Report, signals: &Signals) -> Result<()> {
        if let Some(writing) = self.writing.take() {
            // The last one says as much and more.
            let _ = writing.await;
        }
        let mut errors = Vec::new();
        for file in &self.files {
            errors.extend(report.write(file, self.mode).err());
            signals.done(&signals::report(file));
        }
        match &errors[..] {
            [] => Ok(()),
            errors => bail!(lines(errors)),
        }
    }
}

/// The errors, each in its line with its causes: none of them is the cause of another.
pub(super) fn lines(errors: &[WriteError]) -> String {
    let mut lines = Vec::with_capacity(errors.len());
    for error in errors {
        let mut line = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            line = format!("{line}: {next}");
            cause = next.source();
        }
        lines.push(line);
    }
    lines.join("\n")
}

/// Every such period from now on; `None` where that is so long that no clock gets there.
fn every(period: Duration) -> Option<Interval> {
    let mut interval = interval_at(Instant::now().checked_add(period)?, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    Some(interval)
}

/// Writes a report to files, and returns what went wrong.
fn write(report: &Report, files: &[PathBuf], mode: OutputMode) -> Vec<WriteError> {
    let results = files.iter().map(|file| report.write(file, mode));
    results.filter_map(Result::err).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[tokio::test]
    async fn no_period_is_too_long() {
        assert!(every(Duration::from_secs(1)).is_some());
        assert!(every(Duration::MAX).is_none());
    }

    #[test]
    fn files_that_cannot_be_written_are_not_each_others_cause() {
        let error = |path: &str| WriteError::File {
            path: path.into(),
            source: io::Error::other("no room"),
        };
        assert_eq!(
            lines(&[error("a.md"), error("b.md")]),
            "cannot write the report \"a.md\": no room\n\
             cannot write the report \"b.md\": no room"
        );
    }
}
