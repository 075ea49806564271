//! What real LACs do with the faults and garbles, as they were seen to.
//!
//! The catalogue tells it, and a test has each LAC do it again, by its log and on the wire.

use std::fmt;

use super::{fault::FaultName, garble::GarbleKind};

mod kl2tpd;
mod l2tpns;
mod lwip;
mod xl2tpd;

/// A LAC that was watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lac {
    /// xl2tpd of Debian 12.
    Xl2tpd,
    /// xl2tpd of Debian 11.
    Xl2tpdOld,
    /// kl2tpd of go-l2tp.
    Kl2tpd,
    /// PPP over L2TP of lwIP.
    Lwip,
    /// l2tpns, which forwards a call.
    L2tpns,
}

/// What a LAC did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// To what.
    pub to: Case,
    /// Which of the answers it acknowledged.
    pub acknowledges: Acknowledgement,
    /// What it did with its control connection.
    pub outcome: Outcome,
    /// What it said in its log, or the part of it that does not differ from one attempt to the next;
    /// empty where that says nothing of the answer.
    pub log: &'static str,
}

/// What of a fault a reaction is to, where a LAC does not always do the same. Of several reactions
/// to a fault the first one is meant whose case applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// All of it.
    Any,
    /// A StopCCN without an error code.
    NoErrorCode,
    /// A StopCCN with a result code that RFC 2661 §4.4.2 defines.
    Result1To7,
    /// A StopCCN with a result code beside those.
    OtherResult,
}

/// Which of the answers to its SCCRQs a LAC acknowledged with a ZLB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// None.
    Never,
    /// Every one.
    Each(Tunnel),
    /// The first one only, and none of those that it got to its SCCRQ when it sent that again.
    First(Tunnel),
    /// All but the first one.
    Repeated(Tunnel),
    /// None: there is a ZLB, and its Nr says that nothing has come.
    Nothing(Tunnel),
}

/// The Tunnel ID in the header of an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunnel {
    /// The one that the StopCCN assigned, as §3.1 has it.
    Assigned,
    /// Another one.
    Id(u16),
}

/// What became of a control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was closed, as a StopCCN asks for.
    Closed,
    /// It was cleared with a StopCCN of the LAC's own, which had these codes.
    Cleared {
        /// The result code.
        result: u16,
        /// The error code.
        error: u16,
    },
    /// It was forgotten, without a message that says so.
    Dropped,
    /// The LAC read on in what a message before had left, and did what that made of the answer.
    ReadOn,
    /// The LAC sent its SCCRQ again, and gave up.
    GaveUp {
        /// How often it sent it again.
        retransmissions: u8,
        /// When it gave up, in seconds from the first SCCRQ on.
        after: u8,
    },
    /// Nothing more, for longer than the LAC waits for an answer.
    Hung,
    /// It went with the LAC itself.
    Crashed,
}

impl Lac {
    /// All of them, in the order of the catalogue.
    pub const ALL: &[Self] = &[
        Self::Xl2tpd,
        Self::Xl2tpdOld,
        Self::Kl2tpd,
        Self::Lwip,
        Self::L2tpns,
    ];

    /// Its name and version.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xl2tpd => "xl2tpd 1.3.18",
            Self::Xl2tpdOld => "xl2tpd 1.3.12",
            Self::Kl2tpd => "kl2tpd 0.1.8",
            Self::Lwip => "lwIP 2.1.3",
            Self::L2tpns => "l2tpns 2.4.1",
        }
    }

    /// The LAC whose reactions it shares where its own are not told.
    pub const fn like(self) -> Option<Self> {
        match self {
            Self::Xl2tpdOld => Some(Self::Xl2tpd),
            Self::Xl2tpd | Self::Kl2tpd | Self::Lwip | Self::L2tpns => None,
        }
    }

    /// What it did with a fault; nothing where that is the business of other faults, of the kind of
    /// garble, or of a real LNS.
    pub const fn to_fault(self, fault: FaultName) -> &'static [Reaction] {
        match self {
            Self::Xl2tpd => xl2tpd::to_fault(fault),
            Self::Xl2tpdOld => xl2tpd::old_to_fault(fault),
            Self::Kl2tpd => kl2tpd::to_fault(fault),
            Self::Lwip => lwip::to_fault(fault),
            Self::L2tpns => l2tpns::to_fault(fault),
        }
    }

    /// What it did with a kind of garble, in a StopCCN with result 2 and an error code.
    pub const fn to_garble(self, kind: GarbleKind) -> Reaction {
        match self {
            Self::Xl2tpd => xl2tpd::to_garble(kind),
            Self::Xl2tpdOld => xl2tpd::old_to_garble(kind),
            Self::Kl2tpd => kl2tpd::to_garble(kind),
            Self::Lwip => lwip::to_garble(kind),
            Self::L2tpns => l2tpns::to_garble(kind),
        }
    }
}

impl fmt::Display for Lac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Case {
    /// Whether a StopCCN with this result, and with an error code or not, is one.
    pub const fn applies(self, result: u16, has_error: bool) -> bool {
        match self {
            Self::Any => true,
            Self::NoErrorCode => !has_error,
            Self::Result1To7 => matches!(result, 1..=7),
            Self::OtherResult => !matches!(result, 1..=7),
        }
    }
}

impl Reaction {
    /// A reaction whose log says nothing of the answer.
    const fn new(acknowledges: Acknowledgement, outcome: Outcome) -> Self {
        Self {
            to: Case::Any,
            acknowledges,
            outcome,
            log: "",
        }
    }

    /// The same in this case only.
    const fn to(self, to: Case) -> Self {
        Self { to, ..self }
    }

    /// The same with this in the log.
    const fn log(self, log: &'static str) -> Self {
        Self { log, ..self }
    }
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.to {
            Case::Any => "",
            Case::NoErrorCode => "no error code: ",
            Case::Result1To7 => "result 1 to 7: ",
            Case::OtherResult => "result 0, or above 7: ",
        })?;
        write!(f, "{}{}", self.acknowledges, self.outcome)?;
        if !self.log.is_empty() {
            write!(f, " (\"{}\")", self.log)?;
        }
        Ok(())
    }
}

impl fmt::Display for Acknowledgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => Ok(()),
            Self::Each(tunnel) => write!(f, "acknowledges it{tunnel}, and "),
            Self::First(tunnel) => write!(f, "acknowledges it once{tunnel}, and "),
            Self::Repeated(tunnel) => {
                write!(f, "acknowledges it{tunnel} from the second time on, and ")
            }
            Self::Nothing(tunnel) => {
                write!(f, "sends a ZLB{tunnel} that acknowledges nothing, and ")
            }
        }
    }
}

impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Assigned => Ok(()),
            Self::Id(id) => write!(f, " with Tunnel ID {id}"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closes the control connection"),
            Self::Cleared { result, error } => write!(
                f,
                "clears the control connection with a StopCCN {result}/{error} of its own"
            ),
            Self::ReadOn => {
                f.write_str("reads on in what an earlier message left: that decides what it does")
            }
            Self::Dropped => f.write_str("drops the control connection without a word"),
            Self::GaveUp {
                retransmissions,
                after,
            } => write!(
                f,
                "sends its SCCRQ {retransmissions} times more, and gives up after {after} s"
            ),
            Self::Hung => f.write_str("hangs: neither asks again nor gives up"),
            Self::Crashed => f.write_str("crashes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_a_clause() {
        let gave_up = Outcome::GaveUp {
            retransmissions: 4,
            after: 31,
        };
        for (reaction, clause) in [
            (
                Reaction::new(Acknowledgement::Each(Tunnel::Assigned), Outcome::Closed)
                    .log("peer closing"),
                "acknowledges it, and closes the control connection (\"peer closing\")",
            ),
            (
                Reaction::new(Acknowledgement::Never, gave_up),
                "sends its SCCRQ 4 times more, and gives up after 31 s",
            ),
            (
                Reaction::new(Acknowledgement::Each(Tunnel::Id(0)), Outcome::Hung)
                    .to(Case::OtherResult),
                "result 0, or above 7: acknowledges it with Tunnel ID 0, and hangs: neither asks \
                 again nor gives up",
            ),
            (
                Reaction::new(
                    Acknowledgement::Nothing(Tunnel::Id(0)),
                    Outcome::Cleared {
                        result: 2,
                        error: 3,
                    },
                ),
                "sends a ZLB with Tunnel ID 0 that acknowledges nothing, and clears the control \
                 connection with a StopCCN 2/3 of its own",
            ),
        ] {
            assert_eq!(reaction.to_string(), clause);
        }
    }

    #[test]
    fn every_refusal_is_a_case() {
        for lac in Lac::ALL {
            for result in [0, 1, 7, 8, 65535] {
                for has_error in [true, false] {
                    let reactions = lac.to_fault(FaultName::Refuse);
                    let found = reactions
                        .iter()
                        .find(|one| one.to.applies(result, has_error));
                    assert!(found.is_some(), "{lac}, result {result}");
                }
            }
        }
    }
}
