//! How the attempts of a LAC end, and how that is told and taken back.

use std::num::NonZeroU64;

use super::certainty::{self, Ending, Evidence, Followed};
use super::{Lac, key};
use crate::track::attempt::{Attempt, Told};
use crate::track::findings::{
    Acknowledgement, Conclusion, Doubt, Lockout, News, Next, Outcome, Reaction,
};
use crate::track::ledger::Ledger;

/// Nanoseconds for which an attempt that was left must not be repeated: more than the longest
/// interval between retransmissions, which need not be over 8 s (RFC 2661 §5.8).
const CONFIRMED_AFTER: u64 = 10_000_000_000;
/// Nanoseconds in which an acknowledgement may still come.
const ACKNOWLEDGED_WITHIN: u64 = 1_000_000_000;

impl Lac {
    /// Nanoseconds from anything that happens until something has to be concluded because of it.
    pub(in crate::track) const LEAST_DELAY: u64 = CONFIRMED_AFTER;

    /// When there is something to conclude, if nothing is heard before.
    pub(in crate::track) fn deadline(&self, patience: u64) -> Option<u64> {
        self.attempts
            .iter()
            .filter_map(|attempt| self.due(attempt, patience))
            .min()
    }

    fn due(&self, attempt: &Attempt, patience: u64) -> Option<u64> {
        if attempt.is_over() {
            return None;
        }
        if attempt.is_left() {
            return Some(attempt.left.saturating_add(CONFIRMED_AFTER));
        }
        let chain = self.chains.get(usize::from(attempt.chain));
        let active = chain.map_or(self.last, |chain| chain.active);
        let quiet_since = match self.is_last(attempt) {
            true => active.max(attempt.last_touched()),
            false => attempt.last_touched(),
        };
        Some(quiet_since.saturating_add(patience))
    }

    /// Concludes what is due.
    pub(in crate::track) fn review(&mut self, now: u64, ledger: &mut Ledger) {
        for at in 0..self.attempts.len() {
            let attempt = self.attempts.get(at);
            let due = attempt.and_then(|attempt| self.due(attempt, ledger.patience));
            if due.is_some_and(|due| due <= now) {
                self.conclude(at, Ending::Due, now, ledger);
            }
        }
    }

    /// Concludes everything, due or not; that which cannot be known is so because of `doubt`.
    pub(in crate::track) fn close(&mut self, doubt: Doubt, now: u64, ledger: &mut Ledger) {
        self.review(now, ledger);
        for at in 0..self.attempts.len() {
            self.conclude(at, Ending::Early(doubt), now, ledger);
        }
    }

    /// Whether no attempt of its chain began after it.
    fn is_last(&self, attempt: &Attempt) -> bool {
        let chain = self.chains.get(usize::from(attempt.chain));
        chain.is_none_or(|chain| chain.newest <= attempt.began)
    }

    /// Concludes an attempt that is not over, and tells that.
    pub(super) fn conclude(&mut self, at: usize, ending: Ending, now: u64, ledger: &mut Ledger) {
        self.count(at, ledger);
        let Some(attempt) = self.attempts.get(at).filter(|attempt| !attempt.is_over()) else {
            return;
        };
        // Nobody told what a worker did about it, or something that belongs to it was lost.
        let is_lost = !attempt.decided || may_miss(attempt, ledger);
        let chain = self.chains.get(usize::from(attempt.chain));
        let conclusion = certainty::conclude(&Evidence {
            ending,
            is_lost,
            is_unjudged: self.unjudged,
            groups_changed: ledger.changed_groups(attempt.fault),
            is_ignored: attempt.is_ignored(),
            is_settled: attempt.is_settled(now),
            doubt: match attempt.is_left() {
                true => attempt.doubt,
                false => chain.and_then(|chain| chain.doubt),
            },
            next: attempt.is_left().then(|| self.followed(attempt, ledger)),
            is_last: self.is_last(attempt),
        });
        let is_known = conclusion.reaction().is_some();
        let is_quiet = !attempt.is_left()
            && self.is_last(attempt)
            && !is_lost
            && !self.unjudged
            && ending != Ending::LeftToHost;
        let told = Told {
            conclusion,
            has_next: is_known && attempt.is_left() && attempt.doubt.is_none(),
        };
        let quiet = match is_quiet {
            true => NonZeroU64::new(now.saturating_sub(attempt.since())),
            false => None,
        };
        let doubt = match ending {
            _ if is_lost => Some(Doubt::EventsLost),
            Ending::LeftToHost => Some(Doubt::LeftToHost),
            Ending::Early(doubt) => {
                let may_come = now.saturating_sub(attempt.answered) < ACKNOWLEDGED_WITHIN;
                may_come.then_some(doubt)
            }
            Ending::Due => None,
        };
        let waits = self.waits(attempt, ledger);
        if let Some(attempt) = self.attempts.get_mut(at) {
            attempt.quiet = quiet;
            if let Some(doubt) = doubt.filter(|_| waits) {
                attempt.acknowledgement = Acknowledgement::Unknown(doubt);
            }
        }
        self.tell(at, told, ledger);
    }

    /// The LNS of what an attempt was left for.
    fn followed(&self, attempt: &Attempt, ledger: &Ledger) -> Followed {
        let lns = |fault| key(fault, ledger).map(|key| key.lns);
        match lns(attempt.fault) == lns(attempt.left_for) {
            true => Followed::BySameLns,
            false => Followed::ByOtherLns,
        }
    }

    /// Whether a StopCCN was sent that nobody acknowledged so far.
    fn waits(&self, attempt: &Attempt, ledger: &Ledger) -> bool {
        attempt.is_answered()
            && attempt.acknowledgement < Acknowledgement::WrongNr
            && ledger.refuses(attempt.fault)
    }

    /// Changes an attempt. What was told of it is taken back before, and told as it is then.
    pub(super) fn amend(
        &mut self,
        at: usize,
        ledger: &mut Ledger,
        change: impl FnOnce(&mut Attempt),
    ) {
        let told = self.attempts.get(at).and_then(|attempt| attempt.told);
        if told.is_some() {
            self.withdraw(at, ledger);
        }
        if let Some(attempt) = self.attempts.get_mut(at) {
            change(attempt);
        }
        if let Some(told) = told {
            self.tell(at, told, ledger);
        }
    }

    /// Tells what came of an attempt.
    fn tell(&mut self, at: usize, told: Told, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        attempt.told = Some(told);
        let (id, chain, left_for) = (attempt.fault, attempt.chain, attempt.left_for);
        let Some((outcome, waits)) = self.outcome(at, ledger) else {
            return;
        };
        let is_first = self.is_first(id, outcome.conclusion);
        if let Some(next) = outcome.next {
            self.slowest = self.slowest.max(NonZeroU64::new(next.after));
        }
        if let Some(visit) = self.visit_mut(id, chain) {
            visit.count(&outcome, left_for);
        }
        ledger.totals.attempts_open = ledger.totals.attempts_open.saturating_sub(1);
        ledger.faults.update(id, |fault| {
            fault.open = fault.open.saturating_sub(1);
            if waits {
                *fault.acknowledged_mut(outcome.acknowledgement) += 1;
            }
            fault.count(&outcome, is_first);
        });
        ledger.tell(News::Concluded(outcome));
    }

    /// Takes back what was told of an attempt, which is not over then.
    pub(super) fn withdraw(&mut self, at: usize, ledger: &mut Ledger) {
        let Some((outcome, waits)) = self.outcome(at, ledger) else {
            return;
        };
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        attempt.told = None;
        if matches!(attempt.acknowledgement, Acknowledgement::Unknown(_)) {
            attempt.acknowledgement = Acknowledgement::None;
        }
        let (id, chain) = (attempt.fault, attempt.chain);
        if let Some(visit) = self.visit_mut(id, chain) {
            visit.uncount(&outcome);
        }
        let is_last = self.is_first(id, outcome.conclusion);
        ledger.totals.attempts_open += 1;
        ledger.faults.update(id, |fault| {
            fault.open += 1;
            if waits {
                let count = fault.acknowledged_mut(outcome.acknowledgement);
                *count = count.saturating_sub(1);
            }
            fault.uncount(&outcome, is_last);
        });
        ledger.tell(News::Withdrawn(outcome));
    }

    /// Whether none of the LAC's attempts that met the fault is counted with that reaction.
    fn is_first(&self, fault: u32, conclusion: Conclusion) -> bool {
        let Conclusion::Reaction(reaction) = conclusion else {
            return false;
        };
        let visits = self.visits.iter().filter(|visit| visit.fault == fault);
        visits
            .map(|visit| visit.reactions[reaction as usize])
            .sum::<u32>()
            == 0
    }

    /// The outcome of an attempt that is over, and whether its StopCCN was not acknowledged.
    fn outcome(&self, at: usize, ledger: &Ledger) -> Option<(Outcome, bool)> {
        let attempt = self.attempts.get(at)?;
        let told = attempt.told?;
        let to = key(attempt.left_for, ledger).filter(|_| told.has_next);
        let lockout = attempt.lockout.and_then(|length| {
            Some(Lockout {
                fault: key(attempt.lockout_for, ledger)?,
                length: length.get(),
            })
        });
        let outcome = Outcome {
            lac: self.address,
            fault: key(attempt.fault, ledger)?,
            tunnel_id: attempt.tunnel_id,
            port: attempt.port,
            began: attempt.began,
            last: attempt.last,
            answered: attempt.is_answered().then_some(attempt.answered),
            retransmissions_before: attempt.before.into(),
            retransmissions_after: attempt.after.into(),
            acknowledgement: attempt.acknowledgement,
            round_trip: attempt.round_trip.map(NonZeroU64::get),
            lockout,
            conclusion: told.conclusion,
            next: to.map(|to| Next {
                lns: to.lns,
                at: attempt.left,
                after: attempt.left.saturating_sub(attempt.since()),
            }),
            quiet: attempt.quiet.map(NonZeroU64::get),
        };
        Some((outcome, self.waits(attempt, ledger)))
    }
}

impl Attempt {
    /// Whether nothing can come any more that speaks against what followed an answer.
    fn is_settled(&self, now: u64) -> bool {
        let since_answer = now.saturating_sub(self.answered);
        let is_forgotten = since_answer >= CONFIRMED_AFTER && !self.may_repeat(now);
        self.is_closed || self.is_answered() && is_forgotten
    }

    /// Whether it was told that the LAC gave up after it.
    pub(super) fn gave_up(&self) -> bool {
        let give_up = Conclusion::Reaction(Reaction::GiveUp);
        self.told.is_some_and(|told| told.conclusion == give_up)
    }
}

/// Whether something of an attempt may be lost: its first SCCRQs, or what came after them.
pub(super) fn may_miss(attempt: &Attempt, ledger: &Ledger) -> bool {
    ledger.lost_since(attempt.began.saturating_sub(CONFIRMED_AFTER))
}
