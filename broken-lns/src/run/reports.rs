//! The files of reports, which are written while nothing else waits for the disk.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::cli::Track;
use crate::report::{self, Report, WriteError};

/// The files, and when they are written.
pub(super) struct Reports {
    files: Vec<PathBuf>,
    interval: Option<Interval>,
    /// Who writes them at the moment.
    writing: Option<JoinHandle<Vec<WriteError>>>,
}

/// What there is to do about reports.
pub(super) enum Step {
    /// It is time to write them.
    Due,
    /// They were written, apart from these.
    Written(Vec<WriteError>),
}

impl Reports {
    /// The reports that the flags ask for. This has to be within a tokio runtime.
    ///
    /// # Errors
    ///
    /// Where one could not be written.
    pub(super) fn prepare(flags: &Track) -> Result<Self> {
        for file in &flags.reports {
            if let Err(error) = report::check(file) {
                bail!(
                    "{:#}; choose another place with --report FILE",
                    anyhow!(error)
                );
            }
        }
        let interval = flags.report_interval.map(|period| {
            let mut interval = interval_at(Instant::now() + period, period);
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            interval
        });
        Ok(Self {
            files: flags.reports.clone(),
            interval,
            writing: None,
        })
    }

    /// What there is to do next; it never comes where nothing is.
    pub(super) async fn next(&mut self) -> Step {
        if let Some(writing) = &mut self.writing {
            let errors = writing.await.unwrap_or_default();
            self.writing = None;
            return Step::Written(errors);
        }
        match &mut self.interval {
            Some(interval) => {
                interval.tick().await;
                Step::Due
            }
            None => std::future::pending().await,
        }
    }

    /// Begins to write them.
    pub(super) fn begin(&mut self, report: Report) {
        let files = self.files.clone();
        self.writing = Some(spawn_blocking(move || write(&report, &files)));
    }

    /// Writes them for the last time.
    ///
    /// # Errors
    ///
    /// Where one could not be written; the others are.
    pub(super) async fn finish(mut self, report: &Report) -> Result<()> {
        if let Some(writing) = self.writing.take() {
            // The last one says as much and more.
            let _ = writing.await;
        }
        let mut errors = write(report, &self.files).into_iter();
        match errors.next() {
            None => Ok(()),
            Some(first) => Err(errors.fold(anyhow!(first), |all, next| {
                all.context(format!("{:#}", anyhow!(next)))
            })),
        }
    }
}

/// Writes a report to files, and returns what went wrong.
fn write(report: &Report, files: &[PathBuf]) -> Vec<WriteError> {
    let results = files.iter().map(|file| report.write(file));
    results.filter_map(Result::err).collect()
}
