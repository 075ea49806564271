//! What a capture says of a frame.

use broken_lns_ebpf::verdict::Verdict;

use super::RuleName;
use crate::scenario::Place;

/// The comment on a frame: the rule that it met with its fault, if it met one, and its verdict, or
/// that of the request which it answers.
pub(super) fn comment(rule: Option<&RuleName>, verdict: Option<Verdict>) -> String {
    let rule = rule.map(|RuleName { place, fault }| {
        let rule = match place {
            Some(Place::NOWHERE) => "set".to_owned(),
            Some(place) => place.to_string(),
            None => "default".to_owned(),
        };
        format!("rule {rule}, fault {fault}")
    });
    let verdict = verdict.map(|verdict| format!("verdict {}", verdict.label()));
    let parts: Vec<_> = rule.into_iter().chain(verdict).collect();
    parts.join(", ")
}

/// Whether a frame with this verdict met a rule: an SCCRQ that was understood, or what a rule
/// leaves to the host.
pub(super) fn meets_rule(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Answered
            | Verdict::Deferred
            | Verdict::Lost
            | Verdict::RateLimited
            | Verdict::Silent
            | Verdict::Passed
    )
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
        let rule = |place, fault: &str| {
            Some(RuleName {
                place,
                fault: fault.into(),
            })
        };
        for (rule, verdict, expected) in [
            (
                rule(Some(place), "refuse"),
                Some(Verdict::Answered),
                "rule 12:1, fault refuse, verdict answered",
            ),
            (
                rule(None, "silent"),
                Some(Verdict::Silent),
                "rule default, fault silent, verdict silent",
            ),
            (
                rule(Some(Place::NOWHERE), "refuse"),
                None,
                "rule set, fault refuse",
            ),
            (None, Some(Verdict::Zlb), "verdict zlb"),
            (None, None, ""),
        ] {
            assert_eq!(comment(rule.as_ref(), verdict), expected);
        }
    }
}
