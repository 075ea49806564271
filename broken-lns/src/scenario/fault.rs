//! What a virtual LNS does with an SCCRQ.

use std::fmt;
use std::net::IpAddr;

use super::Treatment;
use super::garble::GarbleKind;
use crate::refusal::Refusal;

/// The most faults in a cycle.
pub const CYCLE_MAX: usize = 256;

/// A fault with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A StopCCN.
    Refuse(Refusal),
    /// No answer.
    Silent,
    /// All frames between this LAC and this LNS are left to the host.
    Pass,
    /// A StopCCN with the codes that the LNS address spells.
    CodeInAddress,
    /// An ICMP or ICMPv6 destination-unreachable.
    Unreachable {
        /// What cannot be reached.
        code: UnreachableCode,
        /// The sender, instead of the LNS. Where a request is of another family, as it may be
        /// under the scenario's default, the LNS sends it after all.
        from_address: Option<IpAddr>,
    },
    /// A ZLB that acknowledges the SCCRQ, and nothing after it.
    Acknowledge,
    /// The next one of these, from 1 to [`CYCLE_MAX`], for each attempt.
    Cycle(Vec<Treatment>),
    /// A StopCCN that is wrong in one way.
    Garble {
        /// The way.
        kind: GarbleKind,
        /// The refusal that it would be otherwise.
        refusal: Refusal,
    },
}

impl Fault {
    /// Which fault it is, without its parameters.
    pub fn name(&self) -> FaultName {
        match self {
            Self::Refuse(_) => FaultName::Refuse,
            Self::Silent => FaultName::Silent,
            Self::Pass => FaultName::Pass,
            Self::CodeInAddress => FaultName::CodeInAddress,
            Self::Unreachable { .. } => FaultName::Unreachable,
            Self::Acknowledge => FaultName::Acknowledge,
            Self::Cycle(_) => FaultName::Cycle,
            Self::Garble { .. } => FaultName::Garble,
        }
    }
}

/// What cannot be reached, as an ICMP destination-unreachable has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnreachableCode {
    /// Nobody listens on that port.
    #[default]
    Port,
    /// The host does not answer on its link.
    Host,
    /// There is no route to it.
    Network,
    /// A filter forbids it.
    AdminProhibited,
}

impl UnreachableCode {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Port, Self::Host, Self::Network, Self::AdminProhibited];

    /// The name in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Host => "host",
            Self::Network => "network",
            Self::AdminProhibited => "admin-prohibited",
        }
    }

    /// The code in an ICMP message of type 3 (RFC 792, RFC 1812 §5.2.7.1).
    pub const fn icmp(self) -> u8 {
        match self {
            Self::Port => 3,
            Self::Host => 1,
            Self::Network => 0,
            Self::AdminProhibited => 13,
        }
    }

    /// The code in an ICMPv6 message of type 1 (RFC 4443 §3.1).
    pub const fn icmpv6(self) -> u8 {
        match self {
            Self::Port => 4,
            Self::Host => 3,
            Self::Network => 0,
            Self::AdminProhibited => 1,
        }
    }
}

/// A fault as a scenario calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultName {
    /// [`Fault::Refuse`].
    Refuse,
    /// [`Fault::Silent`].
    Silent,
    /// [`Fault::Pass`].
    Pass,
    /// [`Fault::CodeInAddress`].
    CodeInAddress,
    /// [`Fault::Unreachable`].
    Unreachable,
    /// [`Fault::Acknowledge`].
    Acknowledge,
    /// [`Fault::Cycle`].
    Cycle,
    /// [`Fault::Garble`].
    Garble,
}

/// What a fault sends, which decides the modifiers that make sense with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sends {
    /// A StopCCN, which a LAC can acknowledge.
    StopCcn,
    /// Something else.
    Other,
    /// Nothing.
    Nothing,
    /// What the fault sends whose turn it is.
    Members,
}

/// A key of a scenario, as the catalogue has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Knob {
    /// The key.
    pub key: &'static str,
    /// The values it takes, and in brackets what it is when left out.
    pub values: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

const RESULT: Knob = Knob {
    key: "result",
    values: "number or name [0]",
    meaning: "the result code, one of `broken-lns codes` or any number up to 65535",
};
const GARBLED_RESULT: Knob = Knob {
    values: "number or name [2]",
    ..RESULT
};
const ERROR: Knob = Knob {
    key: "error",
    values: "number, name or \"none\" [4]",
    meaning: "the error code; \"none\" leaves error code and message out",
};
const MESSAGE: Knob = Knob {
    key: "message",
    values: "text [\"Internal error\"]",
    meaning: "the error message; an empty one is left out",
};
const ASSIGNED_TUNNEL_ID: Knob = Knob {
    key: "assigned_tunnel_id",
    values: "1 to 65535 [the scenario's]",
    meaning: "the tunnel id that the LNS claims to have assigned",
};

impl FaultName {
    /// All of them, in the order of the catalogue.
    pub const ALL: &[Self] = &[
        Self::Refuse,
        Self::Silent,
        Self::Pass,
        Self::CodeInAddress,
        Self::Unreachable,
        Self::Acknowledge,
        Self::Cycle,
        Self::Garble,
    ];

    /// The name in a scenario.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Silent => "silent",
            Self::Pass => "pass",
            Self::CodeInAddress => "code-in-address",
            Self::Unreachable => "unreachable",
            Self::Acknowledge => "acknowledge",
            Self::Cycle => "cycle",
            Self::Garble => "garble",
        }
    }

    /// What the LNS does.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Refuse => "Answers with a StopCCN.",
            Self::Silent => "Swallows the SCCRQ without an answer.",
            Self::Pass => {
                "Leaves all that this LAC sends to this LNS to the host, so that a real LNS on it \
                 can answer."
            }
            Self::CodeInAddress => {
                "Answers with a StopCCN whose codes are in the LNS address: in IPv4 the third \
                 octet is the result code and the fourth the error code, or none where it is 255; \
                 in IPv6 the last two 16-bit groups are. The error message says both."
            }
            Self::Unreachable => {
                "Answers with the ICMP or ICMPv6 destination-unreachable that tells of a dead LNS."
            }
            Self::Acknowledge => {
                "Acknowledges the SCCRQ with a ZLB, and says nothing after it: the LAC has no \
                 reason to send it again, and no answer."
            }
            Self::Cycle => "Takes the next one of several faults for each attempt of a LAC.",
            Self::Garble => {
                "Answers with a StopCCN that is wrong in one way, and right in everything else."
            }
        }
    }

    /// What it sends.
    pub const fn sends(self) -> Sends {
        match self {
            Self::Refuse | Self::CodeInAddress | Self::Garble => Sends::StopCcn,
            Self::Unreachable | Self::Acknowledge => Sends::Other,
            Self::Silent | Self::Pass => Sends::Nothing,
            Self::Cycle => Sends::Members,
        }
    }

    /// The keys that belong to it.
    pub const fn knobs(self) -> &'static [Knob] {
        match self {
            Self::Refuse => &[RESULT, ERROR, MESSAGE, ASSIGNED_TUNNEL_ID],
            Self::Silent | Self::Pass | Self::CodeInAddress | Self::Acknowledge => &[],
            Self::Unreachable => &[
                Knob {
                    key: "code",
                    values: "\"port\", \"host\", \"network\" or \"admin-prohibited\" [\"port\"]",
                    meaning: "what cannot be reached",
                },
                Knob {
                    key: "from_address",
                    values: "address [the LNS]",
                    meaning: "who says so, such as the last-hop router",
                },
            ],
            Self::Cycle => &[Knob {
                key: "faults",
                values: "list of faults",
                meaning: "from 1 to 256 of them, each a name or a table with its own keys",
            }],
            Self::Garble => &[
                Knob {
                    key: "kind",
                    values: "name",
                    meaning: "the way in which it is wrong, one of those below",
                },
                GARBLED_RESULT,
                ERROR,
                MESSAGE,
                ASSIGNED_TUNNEL_ID,
            ],
        }
    }
}

impl fmt::Display for FaultName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for UnreachableCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_says_how_long_a_cycle_may_be() {
        let cycle = FaultName::Cycle.knobs()[0].meaning;
        assert!(cycle.contains(&format!("from 1 to {CYCLE_MAX} of them")));
    }

    #[test]
    fn the_codes_of_both_families() {
        let codes = UnreachableCode::ALL.iter();
        let codes: Vec<_> = codes
            .map(|code| (code.name(), code.icmp(), code.icmpv6()))
            .collect();
        assert_eq!(
            codes,
            [
                ("port", 3, 4),
                ("host", 1, 3),
                ("network", 0, 0),
                ("admin-prohibited", 13, 1),
            ]
        );
    }
}
