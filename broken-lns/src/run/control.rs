//! What a running responder lets others ask and change.

use std::path::Path;

use anyhow::Result;

use super::Session;
use crate::cli::ControlChoice;
use crate::control::protocol::{
    Changed, InForce, InterfaceStatus, Load, Refused, RuleLine, Set, Status,
};
use crate::control::{Controlled, DIRECTORY, Limits, ListenError, Server, socket_of};
use crate::interface::Interface;

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
            scenario: InForce {
                name: "of the command line".to_owned(),
                changed: false,
                summary: self.scenario.summary(),
            },
            counters: self.snapshot().map_err(Refused::because)?.since(&self.zero),
        })
    }

    fn rules(&mut self) -> Result<Vec<RuleLine>, Refused> {
        let snapshot = self.snapshot().map_err(Refused::because)?;
        let answered = snapshot.since(&self.zero).answered();
        Ok(RuleLine::all(&self.scenario, [answered]))
    }

    fn set(&mut self, _change: &Set) -> Result<Changed, Refused> {
        Err(unchangeable())
    }

    fn load(&mut self, _scenario: &Load) -> Result<Changed, Refused> {
        Err(unchangeable())
    }

    fn reload(&mut self) -> Result<Changed, Refused> {
        Err(unchangeable())
    }

    fn reset(&mut self) -> Result<(), Refused> {
        self.zero = self.snapshot().map_err(Refused::because)?;
        self.status.reset();
        if let Some(json) = &mut self.json {
            json.reset();
        }
        Ok(())
    }
}

impl Session {
    /// Reads the scenario once more, and says how that went.
    pub(super) fn reload_and_tell(&mut self) {
        let line = match self.reload() {
            Ok(changed) => format!("reloaded: {}", changed.scenario),
            Err(refused) => format!("not reloaded: {refused}"),
        };
        self.status.line(line);
    }
}

fn unchangeable() -> Refused {
    Refused::because("this responder cannot change its scenario; stop it, and run another one")
}
