//! LACs that dial once, and what their logs say of the end.

use std::{
    cell::RefCell,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    rc::Rc,
    slice,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};
use broken_lns::scenario::reaction::{Lac, Outcome, Reaction};
use xtask::{
    lab::{Kl2tpd, L2tpns, Lab, Line, Lwip, Target, Xl2tpd},
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
    L2tpns,
}

/// What starts LACs of one kind in a lab.
pub(super) struct Starter<'l> {
    kind: Kind,
    lab: &'l Lab,
    /// What is started for each LNS.
    program: PathBuf,
    /// The one that dials all LNSs, where it is of that kind.
    l2tpns: Option<Rc<RefCell<L2tpns>>>,
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
    L2tpns(
        Rc<RefCell<L2tpns>>,
        #[expect(dead_code, reason = "it calls while it is there")] Lwip,
    ),
}

impl Kind {
    pub(super) fn of(lac: Lac) -> Self {
        match lac {
            Lac::Xl2tpd => Self::Xl2tpd(None),
            Lac::Xl2tpdOld => Self::Xl2tpd(Some(Xl2tpd::BULLSEYE)),
            Lac::Kl2tpd => Self::Kl2tpd,
            Lac::Lwip => Self::Lwip,
            Lac::L2tpns => Self::L2tpns,
        }
    }

    /// Why it cannot be had here, where it does not come from the system.
    pub(super) fn obstacle(self) -> Option<String> {
        const TUN: &str = "/dev/net/tun";
        if self == Self::L2tpns && !Path::new(TUN).exists() {
            return Some(format!("there is no {TUN}"));
        }
        self.packages().iter().find_map(Package::obstacle)
    }

    /// The programs that a test of it needs.
    pub(super) fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Xl2tpd(None) => &["xl2tpd", "tcpdump", "tshark"],
            Self::Lwip | Self::L2tpns => &["cc", "tcpdump", "tshark"],
            Self::Xl2tpd(Some(_)) | Self::Kl2tpd => &["tcpdump", "tshark"],
        }
    }

    /// The packages that it comes from, where those are not the system's.
    fn packages(self) -> Vec<Package> {
        match self {
            Self::Xl2tpd(package) => package.into_iter().collect(),
            Self::Kl2tpd => vec![Kl2tpd::PACKAGE],
            Self::Lwip => vec![Lwip::PACKAGE],
            Self::L2tpns => vec![L2tpns::PACKAGE, L2tpns::LIBRARY, Lwip::PACKAGE],
        }
    }

    /// What is started for each LNS, once it was made.
    fn program(self) -> Result<PathBuf> {
        match self {
            Self::Xl2tpd(None) => process::find("xl2tpd").context("it was there a moment ago"),
            Self::Xl2tpd(Some(package)) => Ok(package.folder().join("usr/sbin/xl2tpd")),
            Self::Kl2tpd => Ok(Kl2tpd::PACKAGE.folder().join("usr/sbin/kl2tpd")),
            Self::Lwip | Self::L2tpns => Lwip::build(),
        }
    }

    /// What its log says as it begins to dial.
    fn begins(self) -> &'static str {
        match self {
            Self::Xl2tpd(_) => "Connecting to host ",
            Self::Kl2tpd => "message=\"fsm event\" event=open",
            Self::Lwip => " dials ",
            Self::L2tpns => "Create New tunnel to REMOTE LNS ",
        }
    }

    /// What its log says when it accepted a StopCCN.
    fn closes(self) -> &'static str {
        match self {
            Self::Xl2tpd(_) => "Connection closed to ",
            Self::Kl2tpd => "pending for stopccn retransmit period",
            Self::Lwip => "link: down",
            Self::L2tpns => "Received StopCCN",
        }
    }

    /// What its log says when it forgot a connection, where it may do so without a message.
    fn drops(self) -> Option<&'static str> {
        (self == Self::L2tpns).then_some("Kill tunnel ")
    }

    /// All of what its log says when it gave up.
    fn gives_up(self) -> &'static [&'static str] {
        match self {
            Self::Xl2tpd(_) => &["Connection 0 closed to ", "(Timeout)"],
            Self::Kl2tpd => &["transmit of avpMsgTypeSccrq failed after 3 retry attempts"],
            Self::Lwip => &["sccrq_retried=3", "link: down"],
            Self::L2tpns => &["Timeout on control message"],
        }
    }
}

impl<'l> Starter<'l> {
    /// Prepares for LACs of this kind, which are going to dial these LNSs.
    pub(super) fn new(kind: Kind, lab: &'l Lab, lnss: &[Ipv4Addr]) -> Result<Self> {
        let l2tpns = match kind {
            Kind::L2tpns => Some(L2tpns::start(&lab.lac, lnss)?),
            Kind::Xl2tpd(_) | Kind::Kl2tpd | Kind::Lwip => None,
        };
        Ok(Self {
            kind,
            lab,
            program: kind.program()?,
            l2tpns: l2tpns.map(|l2tpns| Rc::new(RefCell::new(l2tpns))),
        })
    }

    /// Starts a LAC, which dials `lns`; each one has another number.
    pub(super) fn dial(&self, number: u8, lns: Ipv4Addr) -> Result<Dialler> {
        let Self {
            kind, lab, program, ..
        } = self;
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
            Kind::L2tpns => {
                let l2tpns = self.l2tpns.as_ref().context("it was started")?;
                let caller = l2tpns.borrow().call(program, &lab.lac, number, lns)?;
                Running::L2tpns(Rc::clone(l2tpns), caller)
            }
        };
        Ok(Dialler {
            kind: *kind,
            lns,
            running,
        })
    }
}

impl Dialler {
    /// The LNS that it dials.
    pub(super) fn lns(&self) -> Ipv4Addr {
        self.lns
    }

    /// Whether its log says of its end what is expected of it, or nothing is to be waited for.
    pub(super) fn is_settled(&mut self, expected: &Reaction) -> bool {
        match expected.outcome {
            Outcome::Closed => self.said(&[self.kind.closes()]).is_some(),
            Outcome::Cleared { .. } | Outcome::Dropped | Outcome::ReadOn => {
                self.said(&[expected.log]).is_some()
            }
            Outcome::GaveUp { .. } => self.said(self.kind.gives_up()).is_some(),
            Outcome::Hung => true,
            Outcome::Crashed => !self.is_running(),
        }
    }

    /// Compares what the LAC did with what the catalogue says.
    pub(super) fn check(&mut self, lac: Lac, expected: &Reaction, sent: &Sent) -> Result<()> {
        let acknowledges = sent.acknowledges()?;
        let outcome = self.outcome(expected, sent)?;
        // What was left there may make anything of the answer but one that it never got.
        let read_on =
            expected.outcome == Outcome::ReadOn && !matches!(outcome, Outcome::GaveUp { .. });
        ensure!(
            read_on || (acknowledges, outcome) == (expected.acknowledges, expected.outcome),
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
        if !self.is_running() {
            return Ok(Outcome::Crashed);
        }
        let begin = self
            .said(&[self.kind.begins()])
            .context("it never dialled")?;
        let gave_up = self.said(self.kind.gives_up());
        // What it gives up may be a StopCCN of its own as well.
        if let Some(end) = gave_up.filter(|_| sent.sccrqs > 1) {
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
        if self.said(&[self.kind.closes()]).is_some() {
            return Ok(Outcome::Closed);
        }
        let dropped = self.kind.drops().and_then(|says| self.said(&[says]));
        Ok(dropped.map_or(Outcome::Hung, |_| Outcome::Dropped))
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
            // It says its version before any connection.
            Kind::L2tpns => name.ends_with(L2tpns::PACKAGE.version),
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
        match &mut self.running {
            Running::Xl2tpd(xl2tpd) => xl2tpd.process().lines(),
            Running::Kl2tpd(kl2tpd) => kl2tpd.process().lines(),
            Running::Lwip(lwip) => lwip.process().lines(),
            Running::L2tpns(l2tpns, _) => l2tpns.borrow().lines_of(self.lns),
        }
    }

    fn is_running(&mut self) -> bool {
        match &mut self.running {
            Running::Xl2tpd(xl2tpd) => xl2tpd.process().is_running(),
            Running::Kl2tpd(kl2tpd) => kl2tpd.process().is_running(),
            Running::Lwip(lwip) => lwip.process().is_running(),
            Running::L2tpns(l2tpns, _) => l2tpns.borrow_mut().process().is_running(),
        }
    }
}
