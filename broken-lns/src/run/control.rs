//! What a running responder lets others ask and change.

use std::io;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::follow::NobodyJudges;
use super::{Session, capture, follow};
use crate::cli::ControlChoice;
use crate::compile::{Compiled, rule_name};
use crate::control::protocol::{
    Changed, Document, InForce, InterfaceStatus, Load, Reactions, Refused, RuleLine, Set,
    SetTreatment, Status,
};
use crate::control::{Controlled, DIRECTORY, Limits, ListenError, Server, socket_of};
use crate::interface::Interface;
use crate::judge::Expectations;
use crate::refusal::Refusal;
use crate::report::Format;
use crate::scenario::{
    Expectation, Fault, Groups, LnsRule, Place, Prefix, Scenario, ScenarioError, Treatment,
};

/// Listens where it was asked for, or else where clients look first. A warning says why nobody
/// can reach us there.
///
/// # Errors
///
/// [`ListenError`], where another responder is in that place, and for a place that was asked for.
pub(super) fn listen(
    choice: Option<&ControlChoice>,
    interfaces: &[Interface],
) -> Result<(Server, Option<String>), ListenError> {
    let limits = Limits::default();
    match choice {
        Some(ControlChoice::Nowhere) => Ok((Server::unreachable(), None)),
        Some(ControlChoice::At(path)) => {
            let server = Server::listen(std::slice::from_ref(path), limits)?;
            Ok((server, None))
        }
        None => {
            let directory = Path::new(DIRECTORY);
            let interfaces = interfaces.iter();
            let paths = interfaces.map(|interface| socket_of(directory, &interface.name));
            let paths: Vec<_> = paths.collect();
            match Server::listen_in(directory, &paths, limits) {
                // Capabilities are enough to answer, and give no right to write there.
                Err(error) if error.is_permission() => {
                    let warning = format!("warning: no live control: {error}");
                    Ok((Server::unreachable(), Some(warning)))
                }
                result => Ok((result?, None)),
            }
        }
    }
}

impl Controlled for Session {
    fn status(&mut self) -> Result<Status, Refused> {
        let interfaces = self.responders.iter().map(|responder| InterfaceStatus {
            name: responder.interface().to_owned(),
            attachment: responder.attachment(),
            remarks: responder.remarks().to_vec(),
        });
        Ok(Status {
            broken_lns: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            interfaces: interfaces.collect(),
            scenario: self.in_force(),
            counters: self.snapshot().map_err(Refused::because)?.since(&self.zero),
        })
    }

    fn rules(&mut self) -> Result<Vec<RuleLine>, Refused> {
        Ok(RuleLine::all(&self.scenario, self.hits_since_zero()?))
    }

    fn set(&mut self, change: &Set) -> Result<Changed, Refused> {
        let mut scenario = self.scenario.clone();
        let (treatment, dropped) = match change.lns {
            None => {
                let present = refusal_of(&scenario.default, &self.refusal);
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
                let treatment: Treatment = change
                    .applied_to(refusal_of(present, &self.refusal))?
                    .into();
                rule.treatment = Some(treatment.clone());
                let (expect, lns) = (&mut rule.expect, &rule.prefixes);
                let dropped = drop_unmeetable(expect, &treatment, lns, &scenario.groups);
                (treatment, dropped)
            }
        };
        self.change_to(scenario)?;
        self.changed = true;
        Ok(Changed {
            scenario: self.in_force(),
            set: Some(SetTreatment {
                lns: change.lns,
                treatment: treatment.to_string(),
            }),
            remarks: remark(&self.compiled).into_iter().chain(dropped).collect(),
        })
    }

    fn load(&mut self, load: &Load) -> Result<Changed, Refused> {
        let scenario = Scenario::parse(&load.name, &load.text, &self.refusal)?;
        self.change_to(scenario)?;
        self.file = Some(load.path.clone());
        Ok(self.as_read())
    }

    fn reload(&mut self) -> Result<Changed, Refused> {
        let Some(file) = &self.file else {
            return Err(Refused::because(
                "no scenario file was loaded: what runs is of the command line",
            ));
        };
        let scenario = Scenario::load(file, &self.refusal).map_err(not_read)?;
        self.change_to(scenario)?;
        Ok(self.as_read())
    }

    fn report(&mut self, format: Format) -> Result<Document, Refused> {
        self.report_as(format)
    }

    fn reactions(&mut self) -> Result<Option<Reactions>, Refused> {
        self.noticed()
    }

    fn reset(&mut self) -> Result<(), Refused> {
        self.zero = self.snapshot().map_err(Refused::because)?;
        self.zero_hits = self.hits()?;
        self.status.reset();
        if let Some(json) = &mut self.json {
            json.reset();
        }
        Ok(())
    }
}

impl Session {
    /// Has every responder play another scenario from now on.
    ///
    /// # Errors
    ///
    /// Where one of them cannot, or a reply would not fit its interface; the old one goes on
    /// on all of them then, or the error names those where it does not.
    fn change_to(&mut self, scenario: Scenario) -> Result<(), Refused> {
        let expectations = Expectations::of(&scenario);
        NobodyJudges::check(&expectations, self.follower.is_some()).map_err(Refused::because)?;
        let compiled = Compiled::new(&scenario).map_err(Refused::because)?;
        for responder in &self.responders {
            let fits = compiled.check_mtu(responder.interface(), responder.mtu());
            fits.map_err(Refused::because)?;
            responder.can_play(&compiled).map_err(Refused::because)?;
        }
        let compiled = Arc::new(compiled);
        let number = self.enter(&scenario)?;
        let mut responders = self.responders.iter_mut().enumerate();
        let failed = responders.find_map(|(at, responder)| {
            let played = responder.set_scenario(Arc::clone(&compiled), number);
            played.err().map(|error| (at, error))
        });
        if let Some((at, error)) = failed {
            return Err(match self.go_back(at) {
                Ok(()) => Refused::because(error),
                Err(other) => Refused::because(format_args!("{error}; {other}")),
            });
        }
        self.scenario = scenario;
        self.compiled = compiled;
        self.zero_hits.clear();
        Ok(())
    }

    /// Lets everybody know a scenario before anything of it can happen, and returns the number
    /// that it has from now on.
    fn enter(&mut self, scenario: &Scenario) -> Result<u32, Refused> {
        // A number that was tried is used no more, since some of the interfaces may have it.
        self.scenario_number = self.scenario_number.wrapping_add(1);
        let number = self.scenario_number;
        if let Some(follower) = &self.follower {
            let expectations = Expectations::of(scenario);
            let groups = scenario.groups.clone();
            follower.enter(number, follow::rules(scenario), groups, expectations)?;
        }
        if let Some(capture) = &self.capture {
            capture.enter(number, capture::rules(scenario));
        }
        Ok(number)
    }

    /// Gives the scenario in force back to all interfaces up to that one, at which another one
    /// failed and of which some part may have it already. Attempts and hits are counted anew there.
    ///
    /// # Errors
    ///
    /// Names the interfaces that go on with the other one, all or a part of them.
    fn go_back(&mut self, failed: usize) -> Result<(), Refused> {
        let scenario = self.scenario.clone();
        let number = self.enter(&scenario)?;
        let mut stuck = Vec::new();
        for responder in self.responders.iter_mut().take(failed + 1) {
            let played = responder.set_scenario(Arc::clone(&self.compiled), number);
            if played.is_err() {
                stuck.push(format!("`{}`", responder.interface()));
            }
        }
        match stuck.is_empty() {
            true => Ok(()),
            false => Err(Refused::because(format_args!(
                "nor does the scenario in force come back at {}, where some answers may be of \
                 either; load one again, or start the responder again",
                stuck.join(", ")
            ))),
        }
    }

    /// What was read just now.
    fn as_read(&mut self) -> Changed {
        self.changed = false;
        Changed {
            scenario: self.in_force(),
            set: None,
            remarks: remark(&self.compiled).into_iter().collect(),
        }
    }

    pub(super) fn in_force(&self) -> InForce {
        let file = self.file.as_ref();
        InForce {
            name: file.map_or_else(
                || "of the command line".to_owned(),
                |file| file.display().to_string(),
            ),
            changed: self.changed,
            summary: self.scenario.summary(),
        }
    }

    /// The hits of every rule on all interfaces.
    fn hits(&self) -> Result<Vec<u64>, Refused> {
        let mut hits = vec![0; self.scenario.treatments().count()];
        for responder in &self.responders {
            let counted = responder.hits().map_err(Refused::because)?;
            for (sum, count) in hits.iter_mut().zip(counted) {
                *sum += count;
            }
        }
        Ok(hits)
    }

    /// The hits of every rule since the last reset.
    pub(super) fn hits_since_zero(&self) -> Result<impl Iterator<Item = u64>, Refused> {
        let zero = self.zero_hits.iter().copied().chain(std::iter::repeat(0));
        let hits = self.hits()?.into_iter().zip(zero);
        Ok(hits.map(|(count, zero)| count.saturating_sub(zero)))
    }

    /// Reads the scenario once more, and says how that went.
    pub(super) fn reload_and_tell(&mut self) {
        let line = match self.reload() {
            Ok(changed) => format!("reloaded: {}", changed.scenario),
            Err(refused) => format!("not reloaded: {refused}"),
        };
        self.status.line(line);
    }
}

/// What the user of a scenario should know: what of it works, but not quite as it says.
pub(super) fn remark(compiled: &Compiled) -> Option<String> {
    let rule = rule_name(compiled.passes_late()?.place);
    Some(format!(
        "{rule} takes a worker to come to `pass`, and what a worker has does not come back to the \
         host: such a request is dropped, and passes when the LAC sends it again"
    ))
}

/// Why a file was not read again, with the way out where it takes a right that was given up.
fn not_read(error: ScenarioError) -> Refused {
    match &error {
        ScenarioError::Read { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
            Refused::because(format_args!(
                "{error}; the right to read what only others may read was given up when everything \
                 was attached: send it with `broken-lns load FILE`"
            ))
        }
        _ => error.into(),
    }
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
