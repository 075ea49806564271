//! The rules of a scenario as labels.

use crate::scenario::{Place, Scenario};

/// Rules that have a series of their own. A scenario may have a hundred thousand, which would be
/// too many for whoever stores them.
const OWN_SERIES: usize = 1000;

/// The hits of a rule, with the labels of its series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCount {
    /// Line and column in the scenario's file, `default`, `set` for what was set while it runs,
    /// or `other`.
    pub rule: String,
    /// The name of its fault, or `other`.
    pub fault: &'static str,
    /// The requests.
    pub hits: u64,
}

impl RuleCount {
    /// The rules of a scenario: the first thousand each for itself, and the others together. The
    /// hits are in the order of [`Scenario::treatments`]; hits that are missing are none.
    pub fn all(scenario: &Scenario, hits: impl IntoIterator<Item = u64>) -> Vec<Self> {
        let hits = hits.into_iter().chain(std::iter::repeat(0));
        let mut counts: Vec<Self> = Vec::new();
        let mut others = None;
        for ((place, treatment), hits) in scenario.treatments().zip(hits) {
            let fault = treatment.fault.name().name();
            let rule = match place {
                None => "default".to_owned(),
                // Several of them differ in nothing that is a label.
                Some(Place::NOWHERE) => {
                    let is_same = |count: &&mut Self| count.rule == "set" && count.fault == fault;
                    if let Some(same) = counts.iter_mut().find(is_same) {
                        same.hits += hits;
                        continue;
                    }
                    "set".to_owned()
                }
                Some(place) => place.to_string(),
            };
            if counts.len() < OWN_SERIES {
                counts.push(Self { rule, fault, hits });
            } else {
                *others.get_or_insert(0) += hits;
            }
        }
        counts.extend(others.map(|hits| Self {
            rule: "other".to_owned(),
            fault: "other",
            hits,
        }));
        counts
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::refusal::Refusal;

    fn scenario(text: &str) -> Scenario {
        Scenario::parse("test.toml", text, &Refusal::default()).expect(text)
    }

    fn count(rule: &str, fault: &'static str, hits: u64) -> RuleCount {
        RuleCount {
            rule: rule.to_owned(),
            fault,
            hits,
        }
    }

    #[test]
    fn rules_are_told_apart_by_their_places() {
        let scenario = scenario(
            "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\n\n\
             [[lns.lac]]\naddress = \"10.0.0.0/8\"\nfault = \"unreachable\"\n",
        );
        assert_eq!(
            RuleCount::all(&scenario, [3, 4]),
            [
                count("default", "refuse", 3),
                count("1:1", "refuse", 4),
                count("5:1", "unreachable", 0),
            ]
        );
    }

    #[test]
    fn what_was_set_has_one_series() {
        let mut scenario = scenario("[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"\n");
        let mut set = scenario.rules[0].clone();
        set.place = Place::NOWHERE;
        set.treatment = Some(Refusal::default().into());
        scenario.rules.extend([set.clone(), set]);
        assert_eq!(
            RuleCount::all(&scenario, [1, 2, 3, 4]),
            [
                count("default", "refuse", 1),
                count("1:1", "silent", 2),
                count("set", "refuse", 7),
            ]
        );
    }

    #[test]
    fn a_large_scenario_has_a_bounded_number_of_series() {
        let mut text = String::new();
        for number in 0..1200 {
            let (high, low) = (number / 256, number % 256);
            let rule = format!("[[lns]]\naddress = \"10.0.{high}.{low}\"\nfault = \"silent\"\n");
            text.write_str(&rule).expect("memory takes it");
        }
        let counts = RuleCount::all(&scenario(&text), std::iter::repeat_n(1, 1201));
        assert_eq!(counts.len(), 1001);
        assert_eq!(counts.last(), Some(&count("other", "other", 201)));
        assert_eq!(counts.iter().map(|count| count.hits).sum::<u64>(), 1201);
    }
}
