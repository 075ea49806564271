//! What LACs did, as a document that somebody else can read.
//!
//! A [`Report`] is what is known of the LACs with the facts of the run. `sentence` says what
//! became of each fault the way a tester would, and `caveat` what the numbers do not have;
//! every document is made of both. Nothing here asks the clock or the responder.

mod caveat;
mod escape;
pub mod json;
mod quantity;
mod sentence;
#[cfg(test)]
mod tests;
mod text;

use std::time::{Duration, SystemTime};

use broken_lns_ebpf::sample::Sample;

use crate::output::thousands;
use crate::track::findings::Findings;

pub use caveat::caveats;
pub use json::json;
pub use sentence::{Sentence, sentences};
pub use text::text;

/// What is known of the LACs after a run, or in the middle of one.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The facts of the run.
    pub facts: Facts,
    /// What LACs did.
    pub findings: Findings,
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
