//! What LACs of a known make do.

use std::net::IpAddr;

use broken_lns_ebpf::code_in_address::Codes;
use broken_lns_ebpf::layers::IpVersion;

use super::{Lockout, Terms};
use crate::codes::{ErrorCode, ResultCode};
use crate::scenario::Fault;
use crate::track::findings::Reaction;

/// A make of LACs, with the timers that it comes with.
///
/// The bounds of its lockout presume that there is always somebody who wants to dial: without,
/// a LAC comes back late, though it would have come back in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Cisco IOS and IOS-XE: fails over on silence, and on result 2 with error 4, 6, 7 or 9,
    /// but on no other StopCCN; marks the peer busy for 60 s.
    CiscoIos,
    /// Juniper Junos and JunosE: fails over on silence and on a StopCCN, and locks the
    /// destination out for 300 s.
    Junos,
    /// Nokia SR OS, where its denylist takes up both `stop-ccn-err-code` and `stop-ccn-other`:
    /// puts the tunnel on it for 5 minutes on silence and on result 1, 2, 4, 5 or 6, and fails
    /// over. Other results never put it there; what it does about them instead is not known.
    NokiaSrOs,
}

/// Seconds by which a lockout may be off to either side, as neither clocks nor timers of LACs
/// are exact.
const TOLERANCE: u64 = 5;

/// Seconds that a lockout lasts longer where there was no answer. It is measured from the last
/// SCCRQ, but begins when the LAC has waited for an answer to that one, for which 8 s are usual
/// (RFC 2661 §5.8).
const TIMEOUT: u64 = 8;

impl Profile {
    /// All of them.
    pub const ALL: &[Self] = &[Self::CiscoIos, Self::Junos, Self::NokiaSrOs];

    /// The name in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CiscoIos => "cisco-ios",
            Self::Junos => "junos",
            Self::NokiaSrOs => "nokia-sros",
        }
    }

    /// Seconds for which it keeps away from an LNS that failed.
    const fn lockout(self) -> u64 {
        match self {
            Self::CiscoIos => 60,
            Self::Junos | Self::NokiaSrOs => 300,
        }
    }

    /// What such a LAC does where it meets that fault at that LNS; `None` where that is not
    /// known.
    pub fn terms(self, fault: &Fault, lns: IpAddr) -> Option<Terms> {
        match fault {
            Fault::Silent => Some(self.failover(TIMEOUT)),
            Fault::Refuse(refusal) => self.refused(refusal.result(), refusal.error()),
            Fault::CodeInAddress => {
                let Codes { result, error } = codes(lns);
                self.refused(ResultCode(result), error.map(ErrorCode))
            }
            _ => None,
        }
    }

    /// What it does about a StopCCN with these codes (RFC 2661 §4.4.2).
    fn refused(self, result: ResultCode, error: Option<ErrorCode>) -> Option<Terms> {
        let stays = Terms {
            reactions: vec![Reaction::RetrySame, Reaction::GiveUp, Reaction::Ignore],
            ..Terms::default()
        };
        match (self, result.0) {
            (Self::CiscoIos, 2) if matches!(error, Some(ErrorCode(4 | 6 | 7 | 9))) => {
                Some(self.failover(0))
            }
            (Self::CiscoIos, _) => Some(stays),
            (Self::Junos, _) | (Self::NokiaSrOs, 1 | 2 | 4 | 5 | 6) => Some(self.failover(0)),
            (Self::NokiaSrOs, _) => None,
        }
    }

    /// A failover with the usual lockout, or up to so many seconds more.
    fn failover(self, more: u64) -> Terms {
        let lockout = self.lockout();
        Terms {
            reactions: vec![Reaction::Failover],
            lockout: Some(Lockout::of_seconds(
                lockout - TOLERANCE,
                lockout + TOLERANCE + more,
            )),
            ..Terms::default()
        }
    }
}

/// The codes that an LNS address spells.
fn codes(lns: IpAddr) -> Codes {
    match lns {
        IpAddr::V4(v4) => Codes::of(IpVersion::V4, [v4.to_bits().to_be().into(), 0]),
        IpAddr::V6(v6) => Codes::of(IpVersion::V6, [0, (v6.to_bits() as u64).to_be()]),
    }
}
