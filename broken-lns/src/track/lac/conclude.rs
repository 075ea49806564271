//! How the attempts of a LAC end.

use std::num::NonZeroU64;

use super::{Lac, key};
use crate::track::attempt::{Attempt, Stage};
use crate::track::findings::{
    Acknowledgement, Conclusion, Doubt, Lockout, Next, Outcome, Reaction,
};
use crate::track::ledger::Ledger;

/// Nanoseconds for which an attempt that was left must not be repeated: more than the longest
/// interval between retransmissions, which need not be over 8 s (RFC 2661 §5.8).
const CONFIRMED_AFTER: u64 = 10_000_000_000;
/// Nanoseconds in which an acknowledgement may still come.
const ACKNOWLEDGED_WITHIN: u64 = 1_000_000_000;

/// Why an attempt is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is time.
    Due,
    /// It is too early, but there is no other time.
    Early(Doubt),
    /// Nothing can be said.
    Doubted(Doubt),
}

impl Lac {
    /// When there is something to conclude, if nothing is heard before.
    pub(in crate::track) fn deadline(&self, patience: u64) -> Option<u64> {
        self.attempts
            .iter()
            .filter_map(|attempt| self.due(attempt, patience))
            .min()
    }

    fn due(&self, attempt: &Attempt, patience: u64) -> Option<u64> {
        match attempt.stage {
            Stage::Open => {
                let quiet_since = self.active.max(attempt.last_touched());
                Some(quiet_since.saturating_add(patience))
            }
            Stage::Left => Some(attempt.left.saturating_add(CONFIRMED_AFTER)),
            Stage::Over => None,
        }
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

    /// Tells the outcome of an attempt.
    pub(super) fn conclude(&mut self, at: usize, ending: Ending, now: u64, ledger: &mut Ledger) {
        self.count(at, ledger);
        let (unjudged, parallel, active) = (self.unjudged, self.parallel, self.active);
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        if attempt.stage == Stage::Over {
            return;
        }
        let Some(fault) = key(attempt.fault, ledger) else {
            attempt.stage = Stage::Over;
            return;
        };
        // Nobody told what a worker did about it, or something that belongs to it was lost.
        let is_lost =
            !attempt.decided || ledger.lost_since(attempt.began.saturating_sub(CONFIRMED_AFTER));
        let mut next = match attempt.stage {
            Stage::Left => key(attempt.left_for, ledger).map(|to| Next {
                lns: to.lns,
                at: attempt.left,
                after: attempt.left.saturating_sub(attempt.since()),
            }),
            _ => None,
        };
        let conclusion = match ending {
            Ending::Doubted(doubt) => Conclusion::Unknown(doubt),
            _ if is_lost => Conclusion::Unknown(Doubt::EventsLost),
            _ if unjudged => Conclusion::Unknown(Doubt::OutOfMemory),
            _ if attempt.is_ignored() => Conclusion::Reaction(Reaction::Ignore),
            Ending::Early(doubt) if next.is_none() || !attempt.is_answered() => {
                Conclusion::Unknown(doubt)
            }
            _ => Conclusion::Reaction(match next {
                Some(next) if next.lns == fault.lns => Reaction::RetrySame,
                Some(_) => Reaction::Failover,
                None => Reaction::GiveUp,
            }),
        };
        if conclusion.reaction().is_none() {
            next = None;
        }
        // Of several tunnels, any may have been followed by what came last.
        let since = match parallel {
            true => attempt.since().max(active),
            false => attempt.since(),
        };
        let is_doubted = matches!(ending, Ending::Doubted(_)) || is_lost || unjudged;
        let is_quiet = attempt.stage == Stage::Open && !is_doubted;
        let quiet = is_quiet.then_some(now.saturating_sub(since));
        if let Some(next) = next {
            self.slowest = self.slowest.max(NonZeroU64::new(next.after));
        }

        let id = attempt.fault;
        let waits = attempt.is_answered()
            && attempt.acknowledgement < Acknowledgement::WrongNr
            && ledger.refuses(id);
        if waits {
            let may_come = now.saturating_sub(attempt.answered) < ACKNOWLEDGED_WITHIN;
            if is_lost || may_come {
                attempt.acknowledgement = Acknowledgement::Unknown;
            }
        }
        attempt.stage = Stage::Over;
        attempt.gave_up = conclusion == Conclusion::Reaction(Reaction::GiveUp);
        let acknowledgement = attempt.acknowledgement;
        let left_for = attempt.left_for;
        let outcome = Outcome {
            lac: self.address,
            fault,
            tunnel_id: attempt.tunnel_id,
            began: attempt.began,
            last: attempt.last,
            answered: attempt.is_answered().then_some(attempt.answered),
            retransmissions_before: attempt.before.into(),
            retransmissions_after: attempt.after.into(),
            acknowledgement,
            round_trip: attempt.round_trip.map(NonZeroU64::get),
            lockout: attempt.lockout.and_then(|(fault, length)| {
                Some(Lockout {
                    fault: key(fault, ledger)?,
                    length: length.get(),
                })
            }),
            conclusion,
            next,
            quiet,
        };

        let mut is_first = false;
        if let Some(visit) = self.visit_mut(id) {
            visit.open = visit.open.saturating_sub(1);
            visit.last = Some(conclusion);
            match conclusion {
                Conclusion::Reaction(reaction) => {
                    let count = &mut visit.reactions[reaction as usize];
                    *count += 1;
                    is_first = *count == 1;
                }
                Conclusion::Unknown(_) => visit.unknown += 1,
            }
            if let Some(next) = next
                && let Some(at) = NonZeroU64::new(next.at)
            {
                visit.next = Some((left_for, at, next.after));
            }
        }
        ledger.totals.attempts_open = ledger.totals.attempts_open.saturating_sub(1);
        ledger.faults.update(id, |sums| {
            sums.open = sums.open.saturating_sub(1);
            if waits {
                *sums.acknowledged_mut(acknowledgement) += 1;
            }
            match conclusion {
                Conclusion::Unknown(doubt) => *sums.reactions.unknown_mut(doubt) += 1,
                Conclusion::Reaction(reaction) => {
                    let share = sums.reactions.of_mut(reaction);
                    share.attempts += 1;
                    share.lacs += u64::from(is_first);
                }
            }
            match (conclusion.reaction(), next) {
                (Some(Reaction::Failover), Some(next)) => {
                    sums.failover_after.add(next.after);
                    sums.count_target(next.lns);
                }
                (Some(Reaction::RetrySame), Some(next)) => sums.retry_after.add(next.after),
                (Some(Reaction::Ignore), Some(next)) if next.lns == fault.lns => {
                    sums.reactions.ignored_then_retry_same += 1;
                }
                (Some(Reaction::Ignore), Some(_)) => sums.reactions.ignored_then_failover += 1,
                _ => (),
            }
        });
        ledger.tell(outcome);
    }
}

/// Whether something of an attempt may be lost: its first SCCRQs, or what came after them.
pub(super) fn may_miss(attempt: &Attempt, ledger: &Ledger) -> bool {
    ledger.lost_since(attempt.began.saturating_sub(CONFIRMED_AFTER))
}
