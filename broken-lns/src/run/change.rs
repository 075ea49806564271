//! How another scenario comes into force: prepared by a thread of its own, up to the moment at
//! which the responders are told.

use std::path::PathBuf;
use std::sync::Arc;

use super::follow::NobodyJudges;
use super::{Session, capture, follow};
use crate::capture::RuleName;
use crate::compile::Compiled;
use crate::control::protocol::{Refused, Set, SetTreatment};
use crate::control::{Change, Work};
use crate::judge::Expectations;
use crate::refusal::Refusal;
use crate::scenario::{Expectation, Fault, Groups, LnsRule, Place, Prefix, Scenario, Treatment};
use crate::track::Rule;

/// A scenario that is ready to come into force.
pub(super) struct Prepared {
    pub(super) ready: Ready,
    pub(super) origin: Origin,
}

/// A scenario with all that is made of it.
pub(super) struct Ready {
    pub(super) scenario: Arc<Scenario>,
    pub(super) compiled: Arc<Compiled>,
    /// For whoever follows LACs, if anybody does.
    pub(super) followed: Option<Followed>,
    /// For whoever writes frames to a file, if anybody does.
    pub(super) captured: Option<Vec<RuleName>>,
}

/// A scenario as whoever follows LACs has to know it.
pub(super) struct Followed {
    pub(super) rules: Vec<Rule>,
    pub(super) groups: Groups,
    pub(super) expectations: Expectations,
}

/// Where a scenario comes from.
pub(super) enum Origin {
    /// The file, which was read just now.
    File(PathBuf),
    /// The one before, in which something was set.
    Set {
        set: SetTreatment,
        /// What is expected no more.
        dropped: Option<String>,
    },
}

/// Who has to know of a scenario beside the responders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Audience {
    pub(super) is_followed: bool,
    pub(super) is_captured: bool,
}

impl Ready {
    /// # Errors
    ///
    /// Where nobody can play it.
    pub(super) fn of(scenario: Arc<Scenario>, audience: Audience) -> Result<Self, Refused> {
        let expectations = Expectations::of(&scenario);
        NobodyJudges::check(&expectations, audience.is_followed).map_err(Refused::because)?;
        let compiled = Compiled::new(&scenario).map_err(Refused::because)?;
        Ok(Self {
            compiled: Arc::new(compiled),
            followed: audience.is_followed.then(|| Followed {
                rules: follow::rules(&scenario),
                groups: scenario.groups.clone(),
                expectations,
            }),
            captured: audience.is_captured.then(|| capture::rules(&scenario)),
            scenario,
        })
    }
}

impl Session {
    pub(super) fn audience(&self) -> Audience {
        Audience {
            is_followed: self.follower.is_some(),
            is_captured: self.capture.is_some(),
        }
    }

    /// Prepares a change of the scenario in force.
    pub(super) fn prepare_change(&self, change: Change) -> Work<Prepared> {
        let (present, flags) = (Arc::clone(&self.scenario), self.refusal.clone());
        let (file, audience) = (self.file.clone(), self.audience());
        Box::new(move || {
            let (scenario, origin) = match change {
                Change::Set(change) => set(&present, &change, &flags)?,
                Change::Load(load) => {
                    let scenario = Scenario::parse(&load.name, &load.text, &flags)?;
                    (scenario, Origin::File(load.path))
                }
                Change::Reload => {
                    let file = file.ok_or_else(|| {
                        Refused::because(
                            "no scenario file was loaded: what runs is of the command line",
                        )
                    })?;
                    (Scenario::load(&file, &flags)?, Origin::File(file))
                }
            };
            let ready = Ready::of(Arc::new(scenario), audience)?;
            Ok(Prepared { ready, origin })
        })
    }
}

/// The scenario with another refusal.
fn set(present: &Scenario, change: &Set, flags: &Refusal) -> Result<(Scenario, Origin), Refused> {
    let mut scenario = present.clone();
    let (treatment, dropped) = match change.lns {
        None => {
            let present = refusal_of(&scenario.default, flags);
            scenario.default = change.applied_to(present)?.into();
            let (expect, treatment) = (&mut scenario.default_expect, &scenario.default);
            let dropped = drop_unmeetable(expect, treatment, &[], &scenario.groups);
            (scenario.default.clone(), dropped)
        }
        Some(prefix) => {
            let is_for = |rule: &&mut LnsRule| rule.prefixes.contains(&prefix);
            let rule = match scenario.rules.iter_mut().find(is_for) {
                Some(rule) if rule.prefixes.len() > 1 => {
                    return Err(Refused::because(format_args!(
                        "the rule at {} is for other addresses besides {prefix}, too: load \
                         a scenario in which they have rules of their own",
                        rule.place
                    )));
                }
                Some(rule) => rule,
                None => scenario.rules.push_mut(LnsRule {
                    prefixes: vec![prefix],
                    treatment: None,
                    expect: None,
                    lacs: Vec::new(),
                    place: Place::NOWHERE,
                }),
            };
            let present = rule.treatment.as_ref().unwrap_or(&scenario.default);
            let treatment: Treatment = change.applied_to(refusal_of(present, flags))?.into();
            rule.treatment = Some(treatment.clone());
            let (expect, lns) = (&mut rule.expect, &rule.prefixes);
            let dropped = drop_unmeetable(expect, &treatment, lns, &scenario.groups);
            (treatment, dropped)
        }
    };
    let set = SetTreatment {
        lns: change.lns,
        treatment: treatment.to_string(),
    };
    Ok((scenario, Origin::Set { set, dropped }))
}

/// What a change starts from: the refusal of this treatment, or that of the flags.
fn refusal_of<'a>(treatment: &'a Treatment, flags: &'a Refusal) -> &'a Refusal {
    match &treatment.fault {
        Fault::Refuse(refusal) => refusal,
        _ => flags,
    }
}

/// Expects nothing any more where nobody could fulfil it who is treated so, and says why.
fn drop_unmeetable(
    expect: &mut Option<Expectation>,
    treatment: &Treatment,
    lns: &[Prefix],
    groups: &Groups,
) -> Option<String> {
    let unmeetable = expect.as_ref()?.unmeetable(treatment, lns, groups);
    let (_, reason) = unmeetable.into_iter().next()?;
    *expect = None;
    Some(format!(
        "nothing is expected there any more, since {reason}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_do_about_a_change_is_expected_no_more() {
        let text = "[default]\nfault = \"refuse\"\nresult = 2\nexpect = \"nokia-sros\"\n";
        let scenario = Scenario::parse("test.toml", text, &Refusal::default());
        let scenario = scenario.expect("all of this is right");
        let mut expect = scenario.default_expect.clone();
        let drop_unmeetable = |expect: &mut _, treatment: &_| {
            drop_unmeetable(expect, treatment, &[], &Groups::default())
        };
        assert_eq!(drop_unmeetable(&mut expect, &scenario.default), None);
        assert_eq!(expect, scenario.default_expect);

        let text = "[default]\nfault = \"refuse\"\nresult = 3\n";
        let changed = Scenario::parse("test.toml", text, &Refusal::default());
        let changed = changed.expect("all of this is right").default;
        let remark = drop_unmeetable(&mut expect, &changed).expect("it does not say");
        let begin = "nothing is expected there any more, since profile `nokia-sros`";
        assert!(remark.starts_with(begin), "{remark}");
        assert_eq!(expect, None);
        assert_eq!(drop_unmeetable(&mut expect, &changed), None);
    }
}
