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
        summary(&scenario)
    ))
}

/// How many rules there are, and what they need.
pub fn summary(scenario: &Scenario) -> String {
    let lacs = scenario.rules.iter().map(|rule| rule.lacs.len()).sum();
    let default = scenario.default.fault.name();
    let treatments = scenario.treatments();
    let redirect = treatments.filter(|(_, treatment)| treatment.needs_redirect().is_some());
    let redirect = match redirect.count() {
        0 => String::new(),
        1 => "; 1 treatment needs the redirect path".to_owned(),
        count => format!("; {count} treatments need the redirect path"),
    };
    format!(
        "{}, {}, default {default}{redirect}",
        rules(scenario.rules.len(), "LNS"),
        rules(lacs, "LAC"),
    )
}

fn rules(count: usize, whose: &str) -> String {
    match count {
        1 => format!("1 {whose} rule"),
        count => format!("{count} {whose} rules"),
    }
}
