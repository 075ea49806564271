//! What is known of one LAC.

use std::net::IpAddr;

use crate::lac_identity::{Identity, Text};

use super::{Conclusion, FaultKey, Reaction, Selection};

/// What a LAC says of itself in an SCCRQ (RFC 2661 §4.4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LacName {
    /// Its Host Name.
    pub host_name: Option<Text>,
    /// Its Vendor Name.
    pub vendor_name: Option<Text>,
    /// Its Firmware Revision.
    pub firmware: Option<u16>,
}

impl LacName {
    /// The name in an SCCRQ.
    pub(crate) fn of(identity: &Identity) -> Self {
        Self {
            host_name: identity.host_name,
            vendor_name: identity.vendor_name,
            firmware: identity.firmware,
        }
    }
}

/// What is known of one LAC.
#[derive(Clone, Debug, PartialEq)]
pub struct LacFindings {
    /// The LAC.
    pub lac: IpAddr,
    /// What it calls itself, in its last SCCRQ.
    pub name: Option<LacName>,
    /// When it was heard of first, and last.
    pub span: (u64, u64),
    /// Its messages, of any type and repeated ones, too.
    pub messages: u64,
    /// Its attempts.
    pub attempts: u64,
    /// SCCRQs that repeated one.
    pub retransmissions: u64,
    /// The longest that it took for its next attempt after an answer, or after the SCCRQ where
    /// there was none; of the attempts that are over.
    pub slowest: Option<u64>,
    /// Its LNSs, in the order of its first attempts at them: its preference, as far as one
    /// can see it.
    pub order: Vec<IpAddr>,
    /// How it chooses among them.
    pub selection: Selection,
    /// Whether it had several tunnels under way at the same time.
    pub parallel: bool,
    /// Whether events may have been lost since it was heard of first.
    pub events_lost: bool,
    /// What it did about each fault, in the order in which it met them.
    pub visits: Vec<VisitFindings>,
}

/// What one LAC did about one fault.
#[derive(Clone, Debug, PartialEq)]
pub struct VisitFindings {
    /// Which fault.
    pub key: FaultKey,
    /// The LAC's attempts.
    pub attempts: u64,
    /// Attempts that are not over.
    pub open: u64,
    /// How often an SCCRQ came again before the first answer.
    pub retransmissions_before: u64,
    /// How often it came again after that.
    pub retransmissions_after: u64,
    /// Attempts that were acknowledged rightly.
    pub acknowledged: u64,
    /// Attempts that were acknowledged with a wrong Nr only.
    pub wrong_nr: u64,
    /// Attempts by reaction, in the order of [`Reaction::ALL`].
    pub reactions: [u64; 4],
    /// Attempts whose reaction is not known.
    pub unknown: u64,
    /// The last conclusion.
    pub last: Option<Conclusion>,
    /// What it did after the last attempt that is known to be followed by another one: the LNS
    /// of that, and the nanoseconds until then, as in [`Next::after`](super::Next::after).
    pub next: Option<(IpAddr, u64)>,
    /// The last time that it stayed away from the LNS once it had turned to another one.
    pub lockout: Option<u64>,
}

impl VisitFindings {
    /// Attempts with that reaction.
    pub fn reaction(&self, reaction: Reaction) -> u64 {
        self.reactions[reaction as usize]
    }

    /// The one reaction of all attempts whose reaction is known.
    pub fn only_reaction(&self) -> Option<Reaction> {
        let mut seen = Reaction::ALL
            .into_iter()
            .filter(|reaction| self.reaction(*reaction) > 0);
        seen.next().filter(|_| seen.next().is_none())
    }
}
