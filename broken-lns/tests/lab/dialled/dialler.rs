//! LACs that dial once, and what their logs say of the end.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    slice,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use broken_lns::scenario::reaction::{Lac, Outcome, Reaction};
use xtask::{
    lab::{Kl2tpd, Lab, Line, Lwip, Process, Target, Xl2tpd},
    process,
    suite::Package,
};

use super::sent::Sent;

/// How much earlier than a LAC's own clock we may read what it prints.
const SLACK: Duration = Duration::from_secs(1);

/// The UDP port of the first xl2tpd; each of the others has the next one.
const FIRST_PORT: u16 = 3000;

/// The programs, of which some are LACs in several versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The system's, or the one of a package.
    Xl2tpd(Option<Package>),
    Kl2tpd,
    Lwip,
}

/// A LAC that dials an LNS.
pub(super) struct Dialler {
    kind: Kind,
    lns: Ipv4Addr,
    running: Running,
}

enum Running {
    Xl2tpd(Xl2tpd),
    Kl2tpd(Kl2tpd),
    Lwip(Lwip),
}

impl Kind {
    pub(super) fn of(lac: Lac) -> Self {
        match lac {
            Lac::Xl2tpd => Self::Xl2tpd(None),
            Lac::Xl2tpdOld => Self::Xl2tpd(Some(Xl2tpd::BULLSEYE)),
            Lac::Kl2tpd => Self::Kl2tpd,
            Lac::Lwip => Self::Lwip,
        }
    }

    /// The package that it comes from, where that is not one of the system's.
    pub(super) fn package(self) -> Option<Package> {
        match self {
            Self::Xl2tpd(package) => package,
            Self::Kl2tpd => Some(Kl2tpd::PACKAGE),
            Self::Lwip => Some(Lwip::PACKAGE),
        }
    }

    /// Where it is, once it was made.
    pub(super) fn program(self) -> Result<PathBuf> {
        match self {
            Self::Xl2tpd(None) => process::find("xl2tpd").context("it was there a moment ago"),
            Self::Xl2tpd(Some(package)) => Ok(package.folder().join("usr/sbin/xl2tpd")),
            Self::Kl2tpd => Ok(Kl2tpd::PACKAGE.folder().join("usr/sbin/kl2tpd")),
            Self::Lwip => Lwip::build(),
        }
    }

    /// What its log says as it begins to dial.
    fn begins(self) -> &'static str {
        match self {
            Self::Xl2tpd(_) => "Connecting to host ",
            Self::Kl2tpd => "message=\"fsm event\" event=open",
            Self::Lwip => " dials ",
        }
    }

    /// What its log says when it accepted a StopCCN.
    fn closes(self) -> &'static str {
        match self {
            Self::Xl2tpd(_) => "Connection closed to ",
            Self::Kl2tpd => "pending for stopccn retransmit period",
            Self::Lwip => "link: down",
        }
    }

    /// All of what its log says when it gave up.
    fn gives_up(self) -> &'static [&'static str] {
        match self {
            Self::Xl2tpd(_) => &["Connection 0 closed to ", "(Timeout)"],
            Self::Kl2tpd => &["transmit of avpMsgTypeSccrq failed after 3 retry attempts"],
            Self::Lwip => &["sccrq_retried=3", "link: down"],
        }
    }
}

impl Dialler {
    /// Starts a LAC, which dials `lns`; each one has another number.
    pub(super) fn dial(
        kind: Kind,
        program: &Path,
        lab: &Lab,
        number: u8,
        lns: Ipv4Addr,
    ) -> Result<Self> {
        let running = match kind {
            Kind::Xl2tpd(_) => {
                let target = Target {
                    name: "lns".to_owned(),
                    lns,
                    redial: None,
                };
                let port = FIRST_PORT + u16::from(number);
                let xl2tpd = Xl2tpd::start(program, &lab.lac, port, slice::from_ref(&target))?;
                xl2tpd.dial(&target.name)?;
                Running::Xl2tpd(xl2tpd)
            }
            Kind::Kl2tpd => Running::Kl2tpd(Kl2tpd::dial(&lab.lac, lns)?),
            Kind::Lwip => {
                let place = lab.place(number);
                Running::Lwip(Lwip::dial(program, &lab.lac, place, lns, None)?)
            }
        };
        Ok(Self { kind, lns, running })
    }

    /// The LNS that it dials.
    pub(super) fn lns(&self) -> Ipv4Addr {
        self.lns
    }

    /// Whether its log says of its end what is expected of it, or nothing is to be waited for.
    pub(super) fn is_settled(&mut self, expected: &Reaction) -> bool {
        match expected.outcome {
            Outcome::Closed => self.said(&[self.kind.closes()]).is_some(),
            Outcome::Cleared { .. } => self.said(&[expected.log]).is_some(),
            Outcome::GaveUp { .. } => self.said(self.kind.gives_up()).is_some(),
            Outcome::Hung => true,
            Outcome::Crashed => !self.process().is_running(),
        }
    }

    /// Compares what the LAC did with what the catalogue says.
    pub(super) fn check(&mut self, lac: Lac, expected: &Reaction, sent: &Sent) -> Result<()> {
        let acknowledges = sent.acknowledges()?;
        let outcome = self.outcome(expected, sent)?;
        ensure!(
            (acknowledges, outcome) == (expected.acknowledges, expected.outcome),
            "no, it {acknowledges}{outcome}; it sent {sent:?}: {:#?}",
            self.lines()
        );
        ensure!(
            self.said(&[expected.log]).is_some(),
            "its log does not say so: {:#?}",
            self.lines()
        );
        self.is_the_one_of_the_catalogue(lac)
    }

    /// What became of its connection, by its log and on the wire.
    fn outcome(&mut self, expected: &Reaction, sent: &Sent) -> Result<Outcome> {
        if !self.process().is_running() {
            return Ok(Outcome::Crashed);
        }
        let begin = self
            .said(&[self.kind.begins()])
            .context("it never dialled")?;
        if let Some(end) = self.said(self.kind.gives_up()) {
            let waited = end.duration_since(begin)?;
            // A busy machine makes it wait for longer, and nothing makes it wait for less.
            let after = match expected.outcome {
                Outcome::GaveUp { after, .. }
                    if waited + SLACK >= Duration::from_secs(after.into()) =>
                {
                    after
                }
                _ => waited.as_secs().try_into()?,
            };
            return Ok(Outcome::GaveUp {
                retransmissions: sent.sccrqs.saturating_sub(1).try_into()?,
                after,
            });
        }
        ensure!(
            sent.sccrqs == 1,
            "it neither gave up nor was content: {sent:?}"
        );
        if let Some((result, error)) = sent.stop_ccns.first() {
            return Ok(Outcome::Cleared {
                result: *result,
                error: *error,
            });
        }
        Ok(match self.said(&[self.kind.closes()]) {
            Some(_) => Outcome::Closed,
            None => Outcome::Hung,
        })
    }

    /// Fails where the LAC is another than the catalogue speaks of.
    fn is_the_one_of_the_catalogue(&mut self, lac: Lac) -> Result<()> {
        let name = lac.name();
        let is_it = match self.kind {
            Kind::Xl2tpd(_) => {
                let version = format!("xl2tpd version {} ", name.replace(' ', "-"));
                self.said(&[&version]).is_some()
            }
            Kind::Lwip => self.said(&[&format!("{name} dials ")]).is_some(),
            // It never says its version.
            Kind::Kl2tpd => name.ends_with(Kl2tpd::PACKAGE.version),
        };
        ensure!(
            is_it,
            "the catalogue speaks of {name}; say there what this one does instead: {:#?}",
            self.lines()
        );
        Ok(())
    }

    /// When its log had said all of this, each part for the first time.
    fn said(&mut self, parts: &[&str]) -> Option<SystemTime> {
        let lines = self.lines();
        let mut at = lines.first()?.at;
        for part in parts {
            let line = lines.iter().find(|line| line.text.contains(part))?;
            at = at.max(line.at);
        }
        Some(at)
    }

    fn lines(&mut self) -> Vec<Line> {
        self.process().lines()
    }

    fn process(&mut self) -> &mut Process {
        match &mut self.running {
            Running::Xl2tpd(xl2tpd) => xl2tpd.process(),
            Running::Kl2tpd(kl2tpd) => kl2tpd.process(),
            Running::Lwip(lwip) => lwip.process(),
        }
    }
}
