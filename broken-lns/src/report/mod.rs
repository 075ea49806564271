//! What LACs did, as a document that somebody else can read.
//!
//! A [`Report`] is what is known of the LACs with the facts of the run. `sentence` says what
//! became of each fault the way a tester would, `expectation` whether that was expected, and
//! `caveat` what the numbers do not have; every document is made of them. Nothing here asks
//! the clock or the responder.

mod caveat;
mod chart;
mod escape;
mod expectation;
mod format;
mod html;
pub mod json;
pub mod junit;
mod lac;
mod markdown;
mod message;
mod quantity;
mod sentence;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use broken_lns_ebpf::sample::Sample;
use thiserror::Error;

use crate::judge::Judgements;
use crate::output::{Palette, thousands, time};
use crate::output_file::{OutputFile, OutputMode};
use crate::track::findings::{Findings, LacFindings};

pub use caveat::caveats;
pub use expectation::{Expected, expectations};
pub use format::{Format, UnknownFormat};
pub use html::html;
pub use json::json;
pub use junit::junit;
pub use markdown::markdown;
pub(crate) use quantity::duration;
pub use sentence::{Sentence, sentences};
pub use text::{judged, outline, text};

/// What is known of the LACs after a run, or in the middle of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The facts of the run.
    pub facts: Facts,
    /// What LACs did.
    pub findings: Findings,
    /// Whether that was expected.
    pub judgements: Judgements,
    /// The LACs with the most messages, most first; how many is up to whoever asks.
    pub lacs: Vec<LacFindings>,
}

/// The facts of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// When it began, by the clock on the wall.
    pub started: SystemTime,
    /// How long it took so far.
    pub duration: Duration,
    /// The names of its interfaces.
    pub interfaces: Vec<String>,
    /// The name of the scenario.
    pub scenario: String,
    /// Which LACs are followed.
    pub sample: Sample,
}

/// A report that could not be written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The name of the file does not tell in what form.
    #[error(transparent)]
    Format(#[from] UnknownFormat),
    /// The file system refuses. The file is as it was.
    #[error("cannot write the report \"{}\"", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Whether a report can be written there, as far as one can tell beforehand.
///
/// # Errors
///
/// Those of [`Report::write`].
pub fn check(path: &Path, mode: OutputMode) -> Result<(), WriteError> {
    Format::of(path)?;
    attempt(path, mode).map_err(|source| WriteError::File {
        path: path.to_owned(),
        source,
    })
}

/// Whether a file of that name can be written, whatever its form is.
///
/// # Errors
///
/// What the file system says.
pub fn attempt(path: &Path, mode: OutputMode) -> io::Result<()> {
    output_file(path, mode).check()
}

/// Gives a file a report that is rendered already. It has either its old contents or all of the
/// new ones, whatever happens. An earlier report is replaced, and nothing else.
///
/// # Errors
///
/// If the file system refuses, or the place is one that nothing is written to.
pub fn replace(path: &Path, document: &str, mode: OutputMode) -> Result<(), WriteError> {
    let replaced = output_file(path, mode).replace(document.as_bytes());
    replaced.map_err(|source| WriteError::File {
        path: path.to_owned(),
        source,
    })
}

fn output_file(path: &Path, mode: OutputMode) -> OutputFile<'_> {
    OutputFile {
        path,
        mode,
        is_ours: Format::begins_report,
    }
}

impl Facts {
    /// When it began, in UTC, as RFC 3339 has it.
    pub fn started(&self) -> String {
        humantime::format_rfc3339_seconds(self.started).to_string()
    }

    /// Of how many LACs one is followed; `None` where none is.
    pub fn followed_one_of(&self) -> Option<u64> {
        let share = self.sample.word();
        // A sample rounds its share up, so that the number is rounded up in turn.
        (share > 0).then(|| Sample::ALL.word().div_ceil(share))
    }

    /// Which LACs are followed, in words.
    pub fn followed(&self) -> String {
        match self.followed_one_of() {
            None => "no LACs".to_owned(),
            Some(0 | 1) => "all LACs".to_owned(),
            Some(number) => format!("1 of {} LACs", thousands(number)),
        }
    }
}

impl Report {
    /// The report in that form.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => text(self, &Palette::default()),
            Format::Json => json(self),
            Format::Markdown => markdown(self),
            Format::Html => html(self),
            Format::Junit => junit(self),
        }
    }

    /// Writes the report in the form that the file's extension asks for.
    ///
    /// The file has either its old contents or all of the new ones, whatever happens.
    ///
    /// # Errors
    ///
    /// If the extension is unknown, or the file system refuses.
    pub fn write(&self, path: &Path, mode: OutputMode) -> Result<(), WriteError> {
        replace(path, &self.render(Format::of(path)?), mode)
    }

    /// The facts of the run and of what was seen, each with its name, for a list or a table.
    fn listed(&self) -> [(&'static str, String); 8] {
        let Facts {
            duration,
            interfaces,
            scenario,
            ..
        } = &self.facts;
        let totals = &self.findings.totals;
        [
            ("started", self.facts.started()),
            ("duration", time(*duration)),
            ("interfaces", escape::plain(&interfaces.join(", "))),
            ("scenario", escape::plain(scenario)),
            ("followed", self.facts.followed()),
            ("LACs seen", thousands(totals.lacs)),
            (
                "attempts",
                format!(
                    "{} and {}",
                    thousands(totals.attempts),
                    quantity::counted(totals.retransmissions, "retransmission"),
                ),
            ),
            (
                "events lost",
                format!(
                    "{} of {}",
                    thousands(totals.events_lost),
                    thousands(totals.events.saturating_add(totals.events_lost)),
                ),
            ),
        ]
    }
}
