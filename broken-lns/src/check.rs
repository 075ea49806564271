//! `broken-lns check`: looks a scenario over without running it.

use anyhow::Result;

use crate::cli::Check;
use crate::refusal::Refusal;
use crate::scenario::Scenario;

/// What there is in the scenario, in one line.
///
/// # Errors
///
/// Every mistake in the file.
pub fn check(flags: &Check) -> Result<String> {
    let scenario = Scenario::load(&flags.file, &Refusal::default())?;
    Ok(format!(
        "{}: {}\n",
        flags.file.display(),
        scenario.summary()
    ))
}
