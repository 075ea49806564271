//! The capture of a run.

use anyhow::{Context as _, Result};

use super::Session;
use crate::capture::{Capture, CaptureCounts, CaptureOptions, Prepared, RuleName};
use crate::cli::Run;
use crate::clock::WallClock;
use crate::interface::Interface;
use crate::responder::{Responder, ResponderError};
use crate::scenario::Scenario;

/// Prepares the capture that the flags ask for, if they do.
///
/// # Errors
///
/// Where its file cannot be written.
pub(super) fn prepare(
    flags: &Run,
    interfaces: &[Interface],
    scenario: &Scenario,
) -> Result<Option<Prepared>> {
    let Some(file) = &flags.capture.capture else {
        return Ok(None);
    };
    let interfaces = interfaces.iter();
    let mut capture = Prepared::new(CaptureOptions {
        file: file.clone(),
        mode: flags.files.output_mode,
        limit: flags.capture.capture_limit,
        interfaces: interfaces.map(|interface| interface.name.clone()).collect(),
        clock: WallClock::now().context("cannot read the time of day for --capture")?,
    })?;
    capture.enter(0, rules(scenario));
    Ok(Some(capture))
}

/// Captures on one more of the interfaces that the capture was prepared for.
///
/// # Errors
///
/// None where it was not asked for before.
pub(super) fn hear(
    capture: &mut Prepared,
    interface: usize,
    responder: &mut Responder,
) -> Result<(), ResponderError> {
    for source in responder.captured()? {
        capture.hear(interface as u32, source);
    }
    Ok(())
}

/// The rules of a scenario, as comments name them.
pub(super) fn rules(scenario: &Scenario) -> Vec<RuleName> {
    let treatments = scenario.treatments();
    treatments
        .map(|(place, treatment)| RuleName {
            place,
            fault: treatment.brief().into(),
        })
        .collect()
}

impl Session {
    /// Writes what was captured until now, and ends the capture, if there is one.
    pub(super) fn end_capture(&mut self) -> Option<CaptureCounts> {
        let (counts, said) = self.capture.take()?.finish();
        for line in said {
            self.status.line(line);
        }
        Some(counts)
    }

    /// Shows what the capture has to say.
    pub(super) fn tell_of_capture(&mut self) {
        for line in self.capture.iter().flat_map(Capture::said) {
            self.status.line(line);
        }
    }
}
