//! The LAC of the demo: a real one, or ours.

use std::{path::Path, time::SystemTime};

use anyhow::Result;

use super::LIMIT;
use crate::lab::{Event, Lab, Line, MinimalLac, Sccrq, Target, Xl2tpd};

/// The seconds after which xl2tpd dials again where it is told to.
const REDIAL: u32 = 2;

/// Whoever dials.
pub(super) enum Dialler {
    /// A running xl2tpd.
    Real {
        /// It.
        xl2tpd: Xl2tpd,
        /// Its name and version.
        name: String,
        /// How many lines of its log were taken already.
        told: usize,
    },
    /// The minimal one of the lab.
    BuiltIn {
        /// It.
        lac: MinimalLac,
        /// The tunnel id that it assigned last.
        tunnel_id: u16,
    },
}

impl Dialler {
    /// Starts the LAC `xl2tpd`, or ours, in `lab`. It is going to dial the virtual LNSs of these
    /// numbers, and to dial those again by itself where it says so.
    pub(super) fn start(lab: &Lab, xl2tpd: Option<&Path>, dialled: &[(u8, bool)]) -> Result<Self> {
        let Some(program) = xl2tpd else {
            return Ok(Self::BuiltIn {
                lac: lab.minimal_lac(0)?,
                tunnel_id: 0,
            });
        };
        let targets: Vec<Target> = dialled
            .iter()
            .map(|(number, redials)| Target {
                name: target_name(*number),
                lns: lab.lns(*number),
                redial: redials.then_some(REDIAL),
            })
            .collect();
        let mut xl2tpd = Xl2tpd::start(program, &lab.lac, 1701, &targets)?;
        let lines = xl2tpd.process().lines();
        Ok(Self::Real {
            name: version(&lines).unwrap_or("xl2tpd").replace('-', " "),
            told: lines.len(),
            xl2tpd,
        })
    }

    /// What to call it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Real { name, .. } => name,
            Self::BuiltIn { .. } => "a minimal LAC",
        }
    }

    /// Has it dial a virtual LNS, and returns once it has made up its mind about the answer; where
    /// it dials again by itself, about the second one.
    pub(super) fn dial(&mut self, lab: &Lab, number: u8, redials: bool) -> Result<()> {
        match self {
            Self::Real { xl2tpd, .. } => {
                let mark = xl2tpd.mark();
                xl2tpd.dial(&target_name(number))?;
                let what = "what it makes of the answer";
                let decision = xl2tpd.wait_for(what, mark, LIMIT, decided)?;
                if redials && decision == Decision::Closed {
                    let redials = |event| matches!(event, Event::WillRedial { .. }).then_some(());
                    xl2tpd.wait_for("when it dials again", mark, LIMIT, redials)?;
                    xl2tpd.wait_for(what, xl2tpd.mark(), LIMIT, decided)?;
                }
            }
            Self::BuiltIn { lac, tunnel_id } => {
                *tunnel_id += 1;
                lac.dial(lab.lns(number), &Sccrq::new(*tunnel_id))?
                    .refusal()?;
            }
        }
        Ok(())
    }

    /// What it said of the answers since this was asked last.
    pub(super) fn said(&mut self) -> Vec<Said> {
        let Self::Real { xl2tpd, told, .. } = self else {
            return Vec::new();
        };
        let from = *told;
        *told = xl2tpd.mark();
        let events = xl2tpd.events(from).into_iter();
        events
            .filter(|(_, event)| is_about_an_answer(event))
            .map(|(line, event)| Said {
                at: line.at,
                words: own_words(&line.text).to_owned(),
                event,
            })
            .collect()
    }
}

/// What a LAC says in its log of an answer.
pub(super) struct Said {
    /// When we read it.
    pub(super) at: SystemTime,
    /// In its own words.
    pub(super) words: String,
    /// How it is understood.
    pub(super) event: Event,
}

fn is_about_an_answer(event: &Event) -> bool {
    !matches!(
        event,
        Event::Connecting { .. } | Event::AssignedTunnel { .. }
    )
}

/// What a LAC does with an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Decision {
    Closed,
    Ignored,
}

fn decided(event: Event) -> Option<Decision> {
    match event {
        Event::Closed { .. } => Some(Decision::Closed),
        Event::NoResultCode | Event::NoTunnelId => Some(Decision::Ignored),
        _ => None,
    }
}

fn target_name(number: u8) -> String {
    format!("lns{number}")
}

/// `xl2tpd-1.3.18` of the line `xl2tpd[4711]: xl2tpd version xl2tpd-1.3.18 started on vm PID:4711`.
fn version(lines: &[Line]) -> Option<&str> {
    lines.iter().find_map(|line| {
        let (_, rest) = line.text.split_once("xl2tpd version ")?;
        rest.split_whitespace().next()
    })
}

/// A line without the process and the function that it came from.
fn own_words(line: &str) -> &str {
    let (_, text) = line.split_once("]: ").unwrap_or(("", line));
    match text.split_once(": ") {
        Some((function, text)) if !function.contains(' ') => text,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_words_are_what_follows_the_function() {
        for (line, words) in [
            ("xl2tpd[1]: control_finish: Go: away", "Go: away"),
            (
                "xl2tpd[1]: Will redial in 2 seconds",
                "Will redial in 2 seconds",
            ),
            ("xl2tpd[1]: Say this: no", "Say this: no"),
        ] {
            assert_eq!(own_words(line), words);
        }
    }
}
