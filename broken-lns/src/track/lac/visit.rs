//! What one LAC did about one fault.

use std::num::NonZeroU64;

use super::key;
use crate::track::delays::Delays;
use crate::track::fault::FaultId;
use crate::track::findings::{Conclusion, Outcome, VisitFindings};
use crate::track::ledger::Ledger;
use crate::track::runs::Lengths;

/// All that is remembered of it.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) fault: FaultId,
    /// The place of the chain of the attempts that met it.
    pub(super) chain: u16,
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
    /// How many attempts in a row met it.
    pub(super) runs: Lengths,
    /// How long it took to the next attempt at the same LNS, and at another one.
    pub(super) delays: [Delays; 2],
    /// From when it turned to another LNS, until it comes back.
    pub(super) left: Option<NonZeroU64>,
    pub(super) lockout: Option<NonZeroU64>,
    /// How long after an answer it met the next fault, and which one.
    pub(super) next_after: Option<NonZeroU64>,
    pub(super) next: FaultId,
}

impl Visit {
    pub(super) fn new(fault: FaultId, chain: u16, lns: u16) -> Self {
        Self {
            fault,
            chain,
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
            runs: Lengths::default(),
            delays: [Delays::default(); 2],
            left: None,
            lockout: None,
            next_after: None,
            next: 0,
        }
    }

    /// Counts what came of an attempt, and keeps what it was left for.
    pub(super) fn count(&mut self, outcome: &Outcome, left_for: FaultId) {
        self.open = self.open.saturating_sub(1);
        self.last = Some(outcome.conclusion);
        match outcome.conclusion {
            Conclusion::Reaction(reaction) => self.reactions[reaction as usize] += 1,
            Conclusion::Unknown(_) => self.unknown += 1,
        }
        if let Some(next) = outcome.next {
            (self.next_after, self.next) = (NonZeroU64::new(next.after), left_for);
        }
    }

    /// Takes that back.
    pub(super) fn uncount(&mut self, outcome: &Outcome) {
        self.open = self.open.saturating_add(1);
        self.last = None;
        let count = match outcome.conclusion {
            Conclusion::Reaction(reaction) => &mut self.reactions[reaction as usize],
            Conclusion::Unknown(_) => &mut self.unknown,
        };
        *count = count.saturating_sub(1);
        if outcome.next.is_some() {
            self.next_after = None;
        }
    }

    pub(super) fn findings(&self, ledger: &Ledger) -> Option<VisitFindings> {
        let next = self.next_after.and_then(|after| {
            let lns = key(self.next, ledger)?.lns;
            Some((lns, after.get()))
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
