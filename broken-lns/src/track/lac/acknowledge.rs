//! The messages of a LAC other than SCCRQs, and which StopCCN they acknowledge.

use std::net::IpAddr;
use std::num::NonZeroU64;

use super::Lac;
use crate::track::attempt::{Attempt, RETRANSMISSION_CYCLE};
use crate::track::findings::{Acknowledgement, Doubt, LacMessage};
use crate::track::ledger::Ledger;

/// The Nr that acknowledges our StopCCN, whose Ns is 0.
pub(super) const RIGHT_NR: u16 = 1;

/// A message of a LAC that is no SCCRQ.
#[derive(Clone, Debug)]
pub(in crate::track) struct Message {
    pub(in crate::track) time: u64,
    /// Where it went: the LNS, or where its answer came from.
    pub(in crate::track) lns: IpAddr,
    pub(in crate::track) lns_port: u16,
    /// The port that it came from.
    pub(in crate::track) port: u16,
    /// The Tunnel ID of its header: the one that the StopCCN assigned, as the LAC has it.
    pub(in crate::track) tunnel_id: u16,
    pub(in crate::track) ns: u16,
    pub(in crate::track) nr: u16,
    /// What it says; nothing where it is a ZLB.
    pub(in crate::track) said: Option<LacMessage>,
    /// The tunnel id that the LAC assigned, where it says that (§4.4.3).
    pub(in crate::track) assigned_tunnel_id: Option<u16>,
}

impl Message {
    fn is_stop_ccn(&self) -> bool {
        let said = self.said.as_ref();
        said.is_some_and(|said| said.message_type == broken_lns_ebpf::wire::l2tp::STOP_CCN)
    }

    /// How it acknowledges a StopCCN of ours, if it does.
    fn acknowledgement(&self) -> Option<Acknowledgement> {
        match (&self.said, self.nr == RIGHT_NR, self.tunnel_id) {
            (None, true, 0) => Some(Acknowledgement::ZeroTunnelId),
            (None, true, _) => Some(Acknowledgement::Zlb),
            (None, false, _) => Some(Acknowledgement::WrongNr),
            (Some(_), true, _) => Some(Acknowledgement::Piggyback),
            (Some(_), false, _) => None,
        }
    }
}

impl Lac {
    /// A message of another type came. Whether it fits an attempt.
    pub(in crate::track) fn message(&mut self, message: Message, ledger: &mut Ledger) -> bool {
        self.last = self.last.max(message.time);
        self.messages += 1;
        let Some(at) = self.addressee(&message, ledger) else {
            return false;
        };
        if let Some(attempt) = self.attempts.get(at) {
            self.touch(attempt.chain, message.time);
        }
        if let Some(how) = message.acknowledgement() {
            self.find_acknowledged(&message, how, ledger);
        }
        let sent = message.said.as_ref();
        let sent = sent.map(|said| (said.message_type, message.ns));
        if message.is_stop_ccn() {
            self.end(at, message.time, ledger);
        }
        let Some(attempt) = self.attempts.get_mut(at) else {
            return true;
        };
        let fault = attempt.fault;
        if let Some(said) = message.said
            && std::mem::replace(&mut attempt.message, sent) != sent
        {
            ledger
                .faults
                .update(fault, |fault| fault.count_message(said));
        }
        true
    }

    /// The attempt that a message belongs to: the one that it names, or the last one there.
    fn addressee(&self, message: &Message, ledger: &Ledger) -> Option<usize> {
        let attempts = self.attempts.iter().enumerate();
        let there = attempts.filter(|(_, attempt)| is_addressed(attempt, message, ledger));
        let names = |attempt: &Attempt| message.assigned_tunnel_id == Some(attempt.tunnel_id);
        there
            .max_by_key(|(_, attempt)| (attempt.port == message.port, names(attempt), attempt.last))
            .map(|(at, _)| at)
    }

    /// Finds the attempt whose StopCCN was acknowledged.
    ///
    /// All our StopCCNs may claim the same tunnel id, so that only LNS, port and time tell.
    fn find_acknowledged(&mut self, message: &Message, how: Acknowledgement, ledger: &mut Ledger) {
        let time = message.time;
        let may_be = |attempt: &Attempt| {
            attempt.is_answered()
                && attempt.answered <= time
                && time - attempt.answered <= RETRANSMISSION_CYCLE
                && is_addressed(attempt, message, ledger)
                && ledger.refuses(attempt.fault)
        };
        let waiting =
            |attempt: &Attempt| may_be(attempt) && !attempt.acknowledgement.is_delivered();
        let places = self.attempts.iter().enumerate();
        let found = places
            .filter(|(_, attempt)| waiting(attempt))
            .max_by_key(|(_, attempt)| (attempt.port == message.port, attempt.answered));
        let Some((at, attempt)) = found else {
            return;
        };
        let answered = attempt.answered;
        let is_only = self.attempts.iter().filter(|other| waiting(other)).count() == 1;
        // A StopCCN that was sent twice is acknowledged twice.
        let is_repeated = self.attempts.iter().any(|other| {
            may_be(other)
                && other.acknowledgement.is_delivered()
                && other.answered > answered
                && other.answers > 1
        });
        if is_repeated {
            if attempt.acknowledgement == Acknowledgement::None {
                self.amend(at, ledger, |attempt| {
                    attempt.acknowledgement = Acknowledgement::Unknown(Doubt::Ambiguous);
                });
            }
            return;
        }
        if is_only && attempt.answers == 1 && how.is_delivered() {
            let (fault, round_trip) = (attempt.fault, time - answered);
            self.amend(at, ledger, |attempt| {
                attempt.round_trip = NonZeroU64::new(round_trip);
            });
            ledger.durations.acknowledgement.add(round_trip);
            ledger.faults.update(fault, |fault| {
                fault.acknowledged.round_trip.add(round_trip);
            });
        }
        self.acknowledge(at, how, ledger);
        if how.is_delivered() {
            self.end(at, time, ledger);
        }
    }

    /// The LAC ended an attempt by a message.
    fn end(&mut self, at: usize, time: u64, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        let was_closed = std::mem::replace(&mut attempt.is_closed, true);
        if !was_closed && attempt.is_left() && attempt.left < time {
            // It was not over when the next one began.
            self.refute(at, ledger);
        }
    }

    /// Keeps how an attempt was acknowledged, unless it was so before, or better.
    pub(super) fn acknowledge(&mut self, at: usize, how: Acknowledgement, ledger: &mut Ledger) {
        self.count(at, ledger);
        let Some(attempt) = self.attempts.get(at) else {
            return;
        };
        let (old, fault, chain) = (attempt.acknowledgement, attempt.fault, attempt.chain);
        if old.is_delivered() || old == how {
            return;
        }
        // What is told of an attempt that nobody acknowledged counts it as such.
        self.amend(at, ledger, |attempt| attempt.acknowledgement = how);
        let was_wrong = old == Acknowledgement::WrongNr;
        let visits = self.visits.iter();
        let before: u32 = visits
            .filter(|visit| visit.fault == fault)
            .map(|visit| visit.acknowledged)
            .sum();
        if let Some(visit) = self.visit_mut(fault, chain) {
            match how.is_delivered() {
                true => visit.acknowledged += 1,
                false => visit.wrong_nr += 1,
            }
            visit.wrong_nr = visit.wrong_nr.saturating_sub(was_wrong.into());
        }
        ledger.faults.update(fault, |fault| {
            if was_wrong {
                let count = fault.acknowledged_mut(old);
                *count = count.saturating_sub(1);
            }
            *fault.acknowledged_mut(how) += 1;
            fault.acknowledged.lacs += u64::from(how.is_delivered() && before == 0);
        });
    }
}

/// Whether a message went to the LNS of an attempt, or to where its answer came from.
fn is_addressed(attempt: &Attempt, message: &Message, ledger: &Ledger) -> bool {
    ledger.is_addressed(attempt.fault, message.lns, message.lns_port)
}
