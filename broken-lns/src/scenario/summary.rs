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
    /// The groups of LNSs that are alternatives to each other.
    pub groups: usize,
    /// The treatments that need the redirect path.
    pub redirect: usize,
    /// The rules that expect something, the default among them.
    pub expectations: usize,
}

impl Scenario {
    /// What there is in it.
    pub fn summary(&self) -> Summary {
        let redirect = self
            .in_order()
            .filter(|rule| rule.needs_redirect().is_some());
        Summary {
            lns_rules: self.rules.len(),
            lac_rules: self.rules.iter().map(|rule| rule.lacs.len()).sum(),
            default: self.default.fault.name().name().to_owned(),
            groups: self.groups.all().len(),
            redirect: redirect.count(),
            expectations: self.in_order().filter(|rule| rule.expect.is_some()).count(),
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
        match self.groups {
            0 => {}
            1 => f.write_str("; 1 group")?,
            count => write!(f, "; {count} groups")?,
        }
        match self.redirect {
            0 => {}
            1 => f.write_str("; 1 treatment needs the redirect path")?,
            count => write!(f, "; {count} treatments need the redirect path")?,
        }
        match self.expectations {
            0 => Ok(()),
            1 => f.write_str("; 1 expectation"),
            count => write!(f, "; {count} expectations"),
        }
    }
}

fn rules(count: usize, whose: &str) -> String {
    match count {
        1 => format!("1 {whose} rule"),
        count => format!("{count} {whose} rules"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;

    #[test]
    fn what_is_expected_is_counted_where_anything_is() {
        let rule = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"\n";
        let expect = "expect = \"junos\"\n";
        for (text, expected) in [
            (rule.to_owned(), "1 LNS rule, 0 LAC rules, default refuse"),
            (
                format!("{rule}{expect}"),
                "1 LNS rule, 0 LAC rules, default refuse; 1 expectation",
            ),
            (
                format!("[default]\nfault = \"silent\"\n{expect}{rule}{expect}"),
                "1 LNS rule, 0 LAC rules, default silent; 2 expectations",
            ),
        ] {
            let scenario = Scenario::parse("test.toml", &text, &Refusal::default());
            let scenario = scenario.expect("all of this is right");
            assert_eq!(scenario.summary().to_string(), expected);
        }
    }
}
