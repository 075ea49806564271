//! What a treatment is called where there is room for a few words only.

use std::fmt::Write as _;

use super::{Fault, Treatment};
use crate::refusal::Refusal;

impl Treatment {
    /// The fault with its codes as `result/error`, and what else may come of the treatment, as
    /// in `refuse 2/4 after 500ms, then pass`.
    pub fn label(&self) -> String {
        let name = self.fault.name().name();
        let mut label = match &self.fault {
            Fault::Refuse(refusal) => format!("{name} {}", codes(refusal)),
            Fault::Garble { kind, .. } => format!("{name} {}", kind.name()),
            Fault::Unreachable { code, .. } => format!("{name} {code}"),
            Fault::Cycle(members) => format!("{name} of {}", members.len()),
            Fault::Silent | Fault::Pass | Fault::CodeInAddress | Fault::Acknowledge => {
                name.to_owned()
            }
        };
        let modifiers = &self.modifiers;
        let mut add = |words: std::fmt::Arguments<'_>| {
            // A text takes whatever is written.
            let _ = label.write_fmt(words);
        };
        if let Some(delay) = &modifiers.delay {
            add(format_args!(
                " after {}",
                humantime::format_duration(delay.mean)
            ));
        }
        if let Some(chance) = &modifiers.chance {
            add(format_args!(", otherwise {}", chance.otherwise.label()));
        }
        if let Some(phase) = &modifiers.phase {
            add(format_args!(", then {}", phase.then.label()));
        }
        label
    }
}

/// The result code, and the error code where there is one.
fn codes(refusal: &Refusal) -> String {
    let result = refusal.result().0;
    match refusal.error() {
        Some(error) => format!("{result}/{}", error.0),
        None => result.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;
    use super::*;

    #[test]
    fn a_label_says_what_may_come() {
        for (treatment, label) in [
            ("fault = \"silent\"", "silent"),
            (
                "fault = \"refuse\"\nresult = 2\nerror = 4\ndelay = \"500ms\"",
                "refuse 2/4 after 500ms",
            ),
            (
                "fault = \"refuse\"\nresult = 1\nerror = \"none\"\nfirst = 3\nthen = \"pass\"",
                "refuse 1, then pass",
            ),
            (
                "fault = \"garble\"\nkind = \"wrong-tunnel-id\"",
                "garble wrong-tunnel-id",
            ),
            (
                "fault = \"unreachable\"\ncode = \"host\"\nprobability = 0.1\notherwise = \"silent\"",
                "unreachable host, otherwise silent",
            ),
            (
                "fault = \"cycle\"\nfaults = [\"silent\", \"pass\"]",
                "cycle of 2",
            ),
        ] {
            let text = format!("[default]\n{treatment}\n");
            let scenario = Scenario::parse("test.toml", &text, &Refusal::default());
            assert_eq!(scenario.expect("right").default.label(), label);
        }
    }
}
