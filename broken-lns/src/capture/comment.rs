//! What a capture says of a frame.

use broken_lns_ebpf::verdict::Verdict;

use crate::scenario::Place;
use crate::scenario::fault::FaultName;

/// The comment on a frame: the rule that it met with its fault, if it met one, and its verdict, or
/// that of the request which it answers. A reply that was not due at once has none.
pub fn comment(rule: Option<(Option<Place>, FaultName)>, verdict: Option<Verdict>) -> String {
    let rule = rule.map(|(place, fault)| {
        let rule = match place {
            Some(Place::NOWHERE) => "set".to_owned(),
            Some(place) => place.to_string(),
            None => "default".to_owned(),
        };
        format!("rule {rule}, fault {}", fault.name())
    });
    let verdict = verdict.map(|verdict| format!("verdict {}", verdict.label()));
    let parts: Vec<_> = rule.into_iter().chain(verdict).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_fault_and_verdict_are_named() {
        let place = Place {
            line: 12,
            column: 1,
        };
        let answered = Some(Verdict::Answered);
        for (rule, verdict, expected) in [
            (
                Some((Some(place), FaultName::Refuse)),
                answered,
                "rule 12:1, fault refuse, verdict answered",
            ),
            (
                Some((None, FaultName::Silent)),
                Some(Verdict::Silent),
                "rule default, fault silent, verdict silent",
            ),
            (
                Some((Some(Place::NOWHERE), FaultName::Refuse)),
                None,
                "rule set, fault refuse",
            ),
            (None, Some(Verdict::Zlb), "verdict zlb"),
            (None, None, ""),
        ] {
            assert_eq!(comment(rule, verdict), expected);
        }
    }
}
