//! What a running responder lets others ask and change.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::Session;
use super::change::{Followed, Origin, Prepared, Ready};
use crate::capture::RuleName;
use crate::cli::ControlChoice;
use crate::compile::{Compiled, rule_name};
use crate::control::protocol::{
    Changed, Document, InForce, InterfaceStatus, Reactions, Refused, RuleLine, Status,
};
use crate::control::{Change, Controlled, DIRECTORY, Limits, ListenError, Server, Work, socket_of};
use crate::interface::Interface;
use crate::report::Format;

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
    type Prepared = Prepared;

    fn status(&mut self) -> Result<Status, Refused> {
        // What is told is so now, and not as it was at the last look.
        // The loop warns of what cannot be looked after for now.
        let _ = self.watch();
        let interfaces = self.responders.iter().map(|responder| InterfaceStatus {
            name: responder.interface().to_owned(),
            attachment: responder.attachment(),
            remarks: responder.remarks(),
            ended: responder.ended().map(str::to_owned),
        });
        Ok(Status {
            broken_lns: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: self.started.elapsed().as_millis() as u64,
            interfaces: interfaces.collect(),
            scenario: self.in_force(),
            counters: self
                .snapshot_with_rules()
                .map_err(Refused::because)?
                .since(&self.zero),
        })
    }

    fn rules(&mut self) -> Result<Work<Vec<RuleLine>>, Refused> {
        let (scenario, hits) = (Arc::clone(&self.scenario), self.hits_since_zero()?);
        Ok(Box::new(move || Ok(RuleLine::all(&scenario, hits))))
    }

    fn prepare(&mut self, change: Change) -> Work<Prepared> {
        self.prepare_change(change)
    }

    fn put_in_force(&mut self, prepared: Prepared) -> Result<Changed, Refused> {
        let Prepared { ready, origin } = prepared;
        self.change_to(ready)?;
        let (set, dropped) = match origin {
            Origin::File(file) => {
                self.file = Some(file);
                (None, None)
            }
            Origin::Set { set, dropped } => (Some(set), dropped),
        };
        self.changed = set.is_some();
        Ok(Changed {
            scenario: self.in_force(),
            set,
            remarks: remark(&self.compiled).into_iter().chain(dropped).collect(),
        })
    }

    fn report(&mut self, format: Format) -> Result<Work<Document>, Refused> {
        self.report_as(format)
    }

    fn reactions(&mut self) -> Work<Option<Reactions>> {
        self.noticed()
    }

    fn reset(&mut self) -> Result<(), Refused> {
        self.zero = self.snapshot_with_rules().map_err(Refused::because)?;
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
    fn change_to(&mut self, ready: Ready) -> Result<(), Refused> {
        let Ready {
            scenario,
            compiled,
            followed,
            captured,
        } = ready;
        for responder in &self.responders {
            if responder.ended().is_some() {
                continue;
            }
            let fits = compiled.check_mtu(responder.interface(), responder.mtu());
            fits.map_err(Refused::because)?;
            responder.can_play(&compiled).map_err(Refused::because)?;
        }
        let number = self.enter(followed, captured)?;
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
    fn enter(
        &mut self,
        followed: Option<Followed>,
        captured: Option<Vec<RuleName>>,
    ) -> Result<u32, Refused> {
        // A number that was tried is used no more, since some of the interfaces may have it.
        self.scenario_number = self.scenario_number.wrapping_add(1);
        let number = self.scenario_number;
        if let (Some(follower), Some(followed)) = (&self.follower, followed) {
            let Followed {
                rules,
                groups,
                expectations,
            } = followed;
            follower.enter(number, rules, groups, expectations)?;
        }
        if let (Some(capture), Some(rules)) = (&self.capture, captured) {
            capture.enter(number, rules);
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
        let present = Ready::of(Arc::clone(&self.scenario), self.audience())?;
        let number = self.enter(present.followed, present.captured)?;
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
    pub(super) fn hits_since_zero(
        &self,
    ) -> Result<impl Iterator<Item = u64> + Send + use<>, Refused> {
        let mut hits = self.hits()?;
        for (count, zero) in hits.iter_mut().zip(&self.zero_hits) {
            *count = count.saturating_sub(*zero);
        }
        Ok(hits.into_iter())
    }

    /// Says how it went to read the scenario once more.
    pub(super) fn tell_of_reload(&mut self, told: Result<Changed, Refused>) {
        let line = match told {
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
