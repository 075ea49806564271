//! A scenario in one line.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Scenario;

/// What there is in a scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The rules for LNS addresses.
    pub lns_rules: usize,
    /// The rules for single LACs in them.
    pub lac_rules: usize,
    /// The name of the default fault.
    pub default: String,
    /// The treatments that need the redirect path.
    pub redirect: usize,
}

impl Scenario {
    /// What there is in it.
    pub fn summary(&self) -> Summary {
        let redirect = self
            .treatments()
            .filter(|(_, treatment)| treatment.needs_redirect().is_some());
        Summary {
            lns_rules: self.rules.len(),
            lac_rules: self.rules.iter().map(|rule| rule.lacs.len()).sum(),
            default: self.default.fault.name().name().to_owned(),
            redirect: redirect.count(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}, {}, default {}",
            rules(self.lns_rules, "LNS"),
            rules(self.lac_rules, "LAC"),
            self.default
        )?;
        match self.redirect {
            0 => Ok(()),
            1 => f.write_str("; 1 treatment needs the redirect path"),
            count => write!(f, "; {count} treatments need the redirect path"),
        }
    }
}

fn rules(count: usize, whose: &str) -> String {
    match count {
        1 => format!("1 {whose} rule"),
        count => format!("{count} {whose} rules"),
    }
}
