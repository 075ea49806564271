//! The messages of a LAC other than SCCRQs, and which StopCCN they acknowledge.

use std::num::NonZeroU64;

use super::{Lac, is_at};
use crate::track::attempt::{Attempt, RETRANSMISSION_CYCLE, Request, Stage};
use crate::track::fault::Fault;
use crate::track::findings::{Acknowledgement, LacMessage};
use crate::track::ledger::Ledger;

/// The Nr that acknowledges our StopCCN, whose Ns is 0.
pub(super) const RIGHT_NR: u16 = 1;

impl Lac {
    /// A message of another type came, a ZLB where it has no `message`. Whether it fits.
    pub(in crate::track) fn message(
        &mut self,
        request: &Request,
        message: Option<LacMessage>,
        ledger: &mut Ledger,
    ) -> bool {
        self.last = self.last.max(request.time);
        self.messages += 1;
        let latest = self.attempts.iter().enumerate();
        let latest = latest
            .filter(|(_, attempt)| is_at(attempt, request.lns, ledger))
            .max_by_key(|(_, attempt)| (attempt.port == request.port, attempt.last));
        let Some((at, _)) = latest else {
            return false;
        };
        let how = match (message.is_some(), request.nr == RIGHT_NR) {
            (false, true) => Some(Acknowledgement::Zlb),
            (false, false) => Some(Acknowledgement::WrongNr),
            (true, true) => Some(Acknowledgement::Piggyback),
            (true, false) => None,
        };
        if let Some(message) = message
            && let Some(attempt) = self.attempts.get_mut(at)
        {
            let sent = Some((message.message_type, request.ns));
            if std::mem::replace(&mut attempt.message, sent) != sent {
                let fault = attempt.fault;
                ledger
                    .faults
                    .update(fault, |fault| fault.count_message(message));
            }
        }
        if let Some(how) = how {
            self.find_acknowledged(request, how, ledger);
        }
        true
    }

    /// Finds the attempt whose StopCCN was acknowledged.
    ///
    /// All our StopCCNs may claim the same tunnel id, so that only LNS, port and time tell.
    fn find_acknowledged(&mut self, request: &Request, how: Acknowledgement, ledger: &mut Ledger) {
        let may_be = |attempt: &Attempt| {
            attempt.is_answered()
                && attempt.answered <= request.time
                && request.time - attempt.answered <= RETRANSMISSION_CYCLE
                && is_at(attempt, request.lns, ledger)
                && ledger.refuses(attempt.fault)
        };
        let waiting = |attempt: &Attempt| may_be(attempt) && !attempt.acknowledgement.is_right();
        let places = self.attempts.iter().enumerate();
        let found = places
            .filter(|(_, attempt)| waiting(attempt))
            .max_by_key(|(_, attempt)| (attempt.port == request.port, attempt.answered));
        let Some((at, attempt)) = found else {
            return;
        };
        let answered = attempt.answered;
        let is_only = self.attempts.iter().filter(|other| waiting(other)).count() == 1;
        // A StopCCN that was sent twice is acknowledged twice.
        let is_repeated = self.attempts.iter().any(|other| {
            may_be(other)
                && other.acknowledgement.is_right()
                && other.answered > answered
                && other.answers > 1
        });
        if is_repeated {
            if let Some(attempt) = self.attempts.get_mut(at)
                && attempt.acknowledgement == Acknowledgement::None
                && attempt.stage != Stage::Over
            {
                attempt.acknowledgement = Acknowledgement::Unknown;
            }
            return;
        }
        if let Some(attempt) = self.attempts.get_mut(at)
            && is_only
            && attempt.answers == 1
            && how.is_right()
        {
            let round_trip = request.time - answered;
            attempt.round_trip = NonZeroU64::new(round_trip);
            let round_trips = |fault: &mut Fault| {
                fault.acknowledged.round_trip.add(round_trip);
            };
            ledger.faults.update(attempt.fault, round_trips);
        }
        self.acknowledge(at, how, ledger);
    }

    /// Keeps how an attempt was acknowledged, unless it was so before, or better.
    pub(super) fn acknowledge(&mut self, at: usize, how: Acknowledgement, ledger: &mut Ledger) {
        self.count(at, ledger);
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        let old = attempt.acknowledgement;
        if old.is_right() || old == how {
            return;
        }
        attempt.acknowledgement = how;
        let was_counted = attempt.stage == Stage::Over || old == Acknowledgement::WrongNr;
        let fault = attempt.fault;
        let mut is_first = false;
        if let Some(visit) = self.visit_mut(fault) {
            match how.is_right() {
                true => visit.acknowledged += 1,
                false => visit.wrong_nr += 1,
            }
            if old == Acknowledgement::WrongNr {
                visit.wrong_nr = visit.wrong_nr.saturating_sub(1);
            }
            is_first = how.is_right() && visit.acknowledged == 1;
        }
        ledger.faults.update(fault, |fault| {
            if was_counted {
                let count = fault.acknowledged_mut(old);
                *count = count.saturating_sub(1);
            }
            *fault.acknowledged_mut(how) += 1;
            fault.acknowledged.lacs += u64::from(is_first);
        });
    }
}
