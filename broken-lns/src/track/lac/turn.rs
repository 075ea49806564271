//! How a LAC turns from one LNS to another, and comes back.

use std::num::NonZeroU64;

use super::conclude::{Ending, may_miss};
use super::{Lac, ON_ITS_WAY, is_at, key};
use crate::track::attempt::{Attempt, Request, Stage};
use crate::track::fault::FaultId;
use crate::track::findings::{Doubt, Reaction};
use crate::track::ledger::Ledger;

impl Lac {
    /// What was told to be given up was not.
    pub(super) fn come_back(&mut self, time: u64, ledger: &mut Ledger) {
        for at in 0..self.attempts.len() {
            let Some(attempt) = self.attempts.get_mut(at) else {
                return;
            };
            if !std::mem::take(&mut attempt.gave_up) {
                continue;
            }
            let fault = attempt.fault;
            let quiet = time.saturating_sub(attempt.last_touched());
            let mut is_last = false;
            if let Some(visit) = self.visit_mut(fault) {
                let count = &mut visit.reactions[Reaction::GiveUp as usize];
                *count = count.saturating_sub(1);
                is_last = *count == 0;
                visit.last = None;
            }
            ledger.faults.update(fault, |fault| {
                let share = fault.reactions.of_mut(Reaction::GiveUp);
                share.attempts = share.attempts.saturating_sub(1);
                share.lacs = share.lacs.saturating_sub(u64::from(is_last));
                fault.came_back.add(quiet);
            });
        }
    }

    /// Finds the attempt that the LAC left for the new one.
    pub(super) fn leave(&mut self, request: &Request, ledger: &mut Ledger) {
        let is_over = |attempt: &Attempt| {
            let since = match attempt.is_answered() {
                true => attempt.answered,
                false => attempt.last,
            };
            attempt.stage == Stage::Open && since.saturating_add(ON_ITS_WAY) <= request.time
        };
        let open = |attempt: &&Attempt| attempt.stage == Stage::Open;
        let several = self.attempts.iter().filter(open).count();
        if several == 0 {
            return;
        }
        let over = self.attempts.iter().enumerate();
        let over = || over.clone().filter(|(_, attempt)| is_over(attempt));
        let same = over()
            .filter(|(_, attempt)| is_at(attempt, request.lns, ledger))
            .min_by_key(|(_, attempt)| attempt.last)
            .map(|(at, _)| at);
        let only = over().next().map(|(at, _)| at);
        // The attempt that follows no other one, as no other one was over, is one beside it.
        let is_parallel = several > 1 || only.is_none();
        self.parallel |= is_parallel;
        if let Some(at) = same.or(only.filter(|_| !self.parallel)) {
            self.leave_for(at, request, ledger);
            return;
        }
        while let Some(at) = self.attempts.iter().position(is_over) {
            self.conclude(at, Ending::Doubted(Doubt::Parallel), request.time, ledger);
        }
    }

    /// The LAC left an attempt for a new one.
    fn leave_for(&mut self, at: usize, request: &Request, ledger: &mut Ledger) {
        self.count(at, ledger);
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        attempt.stage = Stage::Left;
        attempt.left = request.time;
        attempt.left_for = request.fault;
        // When it gave up an LNS that does not answer is not known, but when it asked last.
        let since = match attempt.is_answered() {
            true => attempt.answered,
            false => attempt.last,
        };
        let fault = attempt.fault;
        // An answer may be among what was lost.
        let is_known = attempt.decided && !may_miss(attempt, ledger);
        let elsewhere = is_known && key(fault, ledger).is_some_and(|key| key.lns != request.lns);
        if elsewhere && let Some(visit) = self.visit_mut(fault) {
            visit.left = NonZeroU64::new(since);
        }
    }

    /// The LAC is at an LNS again from which it had turned away; returns the fault for which it
    /// had, and for how long.
    pub(super) fn return_to(
        &mut self,
        request: &Request,
        ledger: &mut Ledger,
    ) -> Option<(FaultId, NonZeroU64)> {
        let mut lockout = None;
        for visit in &mut self.visits {
            if key(visit.fault, ledger).is_none_or(|key| key.lns != request.lns) {
                continue;
            }
            let Some(left) = visit.left.take().map(NonZeroU64::get) else {
                continue;
            };
            if ledger.lost_since(left) || self.parallel || self.unjudged {
                continue;
            }
            let away = request.time.saturating_sub(left);
            visit.lockout = NonZeroU64::new(away);
            lockout = visit.lockout.map(|away| (visit.fault, away));
            ledger
                .faults
                .update(visit.fault, |fault| fault.lockout.add(away));
        }
        lockout
    }
}
