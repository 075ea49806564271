//! What libFuzzer runs, a module for each target: which inputs it begins with, and what has to hold
//! for any input.
//!
//! `cargo xtask fuzz` builds and runs them. The inputs to begin with are made of the fixtures of
//! the tests, and a plain `cargo test` runs each of them once.

pub mod control;
#[allow(dead_code, reason = "the parity tests use all of it")]
#[path = "../../broken-lns/tests/parity/fixtures.rs"]
mod fixtures;
pub mod frames;
#[allow(dead_code, reason = "the parity tests use all of it")]
#[path = "../../broken-lns/tests/parity/halves.rs"]
mod halves;
pub mod report;
pub mod scenario;
#[cfg(test)]
mod tests;
pub mod worker;

use std::path::Path;
use std::{env, fs, io, process};

use anyhow::{Context as _, Result};

/// The environment variable that names a folder for [`prepare`].
pub const PREPARE: &str = "BROKEN_LNS_FUZZ_PREPARE";

/// What libFuzzer tries to break.
pub struct Target {
    /// The name of its program.
    pub name: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Result<Vec<Vec<u8>>>,
    /// Octets that inputs are likely made of.
    pub words: fn() -> Vec<Vec<u8>>,
    /// Tries one input. An error says what does not hold.
    pub run: fn(&[u8]) -> Result<()>,
}

/// Writes the inputs to begin with into the folder `corpus` of the one that [`PREPARE`] names, and
/// a `dictionary` beside it; the process ends with that. Without the variable nothing happens.
pub fn prepare(target: &Target) {
    let Some(folder) = env::var_os(PREPARE) else {
        return;
    };
    let status = match write(target, Path::new(&folder)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("error: {error:#}");
            1
        }
    };
    process::exit(status)
}

/// Tries one input.
///
/// # Panics
///
/// Where something does not hold, which is what libFuzzer takes notice of.
pub fn run(target: &Target, data: &[u8]) {
    if let Err(error) = (target.run)(data) {
        panic!("{}: {error:#}", target.name);
    }
}

fn write(target: &Target, folder: &Path) -> Result<()> {
    let corpus = folder.join("corpus");
    fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
    for (number, seed) in (target.seeds)()?.iter().enumerate() {
        put(&corpus.join(format!("seed-{number:04}")), seed)?;
    }
    let words: String = (target.words)().iter().map(|word| quoted(word)).collect();
    put(&folder.join("dictionary"), words.as_bytes())
}

fn put(file: &Path, octets: &[u8]) -> Result<()> {
    let written: io::Result<()> = fs::write(file, octets);
    written.with_context(|| format!("cannot write {}", file.display()))
}

/// A line of a dictionary, as libFuzzer reads it.
fn quoted(word: &[u8]) -> String {
    let octets: String = word.iter().map(|octet| format!("\\x{octet:02X}")).collect();
    format!("\"{octets}\"\n")
}

/// Takes an input apart.
struct Input<'d>(&'d [u8]);

impl<'d> Input<'d> {
    /// The next octet; 0 behind the end.
    fn octet(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// The next two octets as a number, the low one first.
    fn number(&mut self) -> u16 {
        u16::from_le_bytes([self.octet(), self.octet()])
    }

    /// So many octets, or as many as there are.
    fn octets(&mut self, count: usize) -> &'d [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
