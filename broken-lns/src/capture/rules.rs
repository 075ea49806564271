//! What rules are called in comments.

use std::collections::VecDeque;
use std::sync::Arc;

use broken_lns_ebpf::captured::Captured;

use super::comment::{comment, meets_rule};
use crate::scenario::Place;

/// Scenarios that are remembered, since replies of a former one may still be owed.
const REMEMBERED: usize = 16;

/// A rule, as a comment names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleName {
    /// Where it begins in its file, which the default has not.
    pub place: Option<Place>,
    /// What its fault is called.
    pub fault: Arc<str>,
}

/// The rules of the last scenarios.
#[derive(Debug, Default)]
pub(super) struct Rules(VecDeque<(u32, Vec<RuleName>)>);

impl Rules {
    /// The rules of the scenario with that number, in their order, the default one first.
    pub(super) fn enter(&mut self, scenario: u32, rules: Vec<RuleName>) {
        self.0.truncate(REMEMBERED - 1);
        self.0.push_front((scenario, rules));
    }

    /// The comment on a frame.
    pub(super) fn comment(&self, captured: &Captured) -> String {
        let verdict = captured.verdict();
        let rule = verdict.filter(|verdict| meets_rule(*verdict));
        comment(rule.and_then(|_| self.rule(captured)), verdict)
    }

    fn rule(&self, captured: &Captured) -> Option<&RuleName> {
        let mut scenarios = self.0.iter();
        let (_, rules) = scenarios.find(|(number, _)| *number == captured.scenario)?;
        rules.get(captured.rule as usize)
    }
}
