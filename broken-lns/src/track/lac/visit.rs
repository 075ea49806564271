//! What one LAC did about one fault.

use std::num::NonZeroU64;

use super::key;
use crate::track::fault::FaultId;
use crate::track::findings::{Conclusion, Next, VisitFindings};
use crate::track::ledger::Ledger;

/// All that is remembered of it.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) fault: FaultId,
    /// The LNS, in the order of the LAC's first attempts at them.
    pub(super) lns: u16,
    pub(super) open: u16,
    pub(super) attempts: u32,
    pub(super) before: u32,
    pub(super) after: u32,
    pub(super) acknowledged: u32,
    pub(super) wrong_nr: u32,
    pub(super) reactions: [u32; 4],
    pub(super) unknown: u32,
    pub(super) last: Option<Conclusion>,
    /// From when it turned to another LNS, until it comes back.
    pub(super) left: Option<NonZeroU64>,
    pub(super) lockout: Option<NonZeroU64>,
    /// The fault that it met next, when, and how long after that was.
    pub(super) next: Option<(FaultId, NonZeroU64, u64)>,
}

impl Visit {
    pub(super) fn new(fault: FaultId, lns: u16) -> Self {
        Self {
            fault,
            lns,
            open: 0,
            attempts: 0,
            before: 0,
            after: 0,
            acknowledged: 0,
            wrong_nr: 0,
            reactions: [0; 4],
            unknown: 0,
            last: None,
            left: None,
            lockout: None,
            next: None,
        }
    }

    pub(super) fn findings(&self, ledger: &Ledger) -> Option<VisitFindings> {
        let next = self.next.and_then(|(fault, at, after)| {
            let lns = key(fault, ledger)?.lns;
            Some(Next {
                lns,
                at: at.get(),
                after,
            })
        });
        Some(VisitFindings {
            key: key(self.fault, ledger)?,
            attempts: self.attempts.into(),
            open: self.open.into(),
            retransmissions_before: self.before.into(),
            retransmissions_after: self.after.into(),
            acknowledged: self.acknowledged.into(),
            wrong_nr: self.wrong_nr.into(),
            reactions: self.reactions.map(u64::from),
            unknown: self.unknown.into(),
            last: self.last,
            next,
            lockout: self.lockout.map(NonZeroU64::get),
        })
    }
}
