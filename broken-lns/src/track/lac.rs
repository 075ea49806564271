//! The history of one LAC.

use std::net::IpAddr;
use std::num::NonZeroU64;

use broken_lns_ebpf::verdict::Verdict;

use super::attempt::{Attempt, RETRANSMISSION_CYCLE, Request, Stage};
use super::fault::FaultId;
use super::findings::{
    Acknowledgement, Conclusion, Doubt, FaultKey, LacFindings, LacMessage, Next, Outcome, Reaction,
    Selection, VisitFindings,
};
use super::ledger::Ledger;
use super::rounds::Rounds;

/// Attempts of one LAC that are remembered; the one that was repeated the longest ago is
/// forgotten at the bound.
const ATTEMPTS: usize = 64;
/// By how many there is room for more.
const ATTEMPTS_STEP: usize = 4;
/// Faults that one LAC may meet.
const VISITS: usize = 256;
/// By how many there is room for more.
const VISITS_STEP: usize = 2;
/// Nanoseconds within which no LAC can have got an answer and made its next attempt: one
/// that comes sooner was on its way already.
const ON_ITS_WAY: u64 = 50_000;
/// Nanoseconds for which an attempt that was left must not be repeated: more than the longest
/// interval between retransmissions, which need not be over 8 s (RFC 2661 §5.8).
const CONFIRMED_AFTER: u64 = 10_000_000_000;
/// Nanoseconds that a LAC waits for an answer before it does anything else (RFC 2661 §5.8).
const TIMEOUT: u64 = 1_000_000_000;
/// Nanoseconds in which an acknowledgement may still come.
const ACKNOWLEDGED_WITHIN: u64 = 1_000_000_000;
/// The Nr that acknowledges our StopCCN, whose Ns is 0.
const RIGHT_NR: u16 = 1;

/// All that is remembered of a LAC.
#[derive(Debug)]
pub(super) struct Lac {
    pub(super) address: IpAddr,
    /// When it is to be looked at again.
    pub(super) alarm: Option<u64>,
    first: u64,
    last: u64,
    /// When its last SCCRQ came.
    active: u64,
    made: u64,
    retransmissions: u64,
    attempts: Vec<Attempt>,
    visits: Vec<Visit>,
    rounds: Rounds,
    parallel: bool,
    /// Whether it met a fault that found no room.
    unjudged: bool,
}

/// What it did about one fault.
#[derive(Clone, Debug)]
struct Visit {
    fault: FaultId,
    /// The LNS, in the order of the LAC's first attempts at them.
    lns: u16,
    open: u16,
    attempts: u32,
    before: u32,
    after: u32,
    acknowledged: u32,
    wrong_nr: u32,
    reactions: [u32; 4],
    unknown: u32,
    last: Option<Conclusion>,
    /// From when it turned to another LNS, until it comes back.
    left: Option<NonZeroU64>,
    lockout: Option<NonZeroU64>,
    /// The fault that it met next, when, and how long after that was.
    next: Option<(FaultId, NonZeroU64, u64)>,
}

/// Why an attempt is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It is time.
    Due,
    /// It is too early, but there is no other time.
    Early(Doubt),
    /// Nothing can be said.
    Doubted(Doubt),
}

impl Lac {
    pub(super) fn new(address: IpAddr, time: u64) -> Self {
        Self {
            address,
            alarm: None,
            first: time,
            last: time,
            active: time,
            made: 0,
            retransmissions: 0,
            attempts: Vec::new(),
            visits: Vec::new(),
            rounds: Rounds::default(),
            parallel: false,
            unjudged: false,
        }
    }

    /// Octets on the heap, with what an allocator adds to two of them.
    pub(super) fn heap_bytes(&self) -> usize {
        self.attempts.capacity() * size_of::<Attempt>()
            + self.visits.capacity() * size_of::<Visit>()
            + 2 * 16
    }

    /// An SCCRQ came. `verdict` is that of the half that got it, if it reached one.
    pub(super) fn request(
        &mut self,
        request: &Request,
        verdict: Option<Verdict>,
        ledger: &mut Ledger,
    ) {
        self.last = self.last.max(request.time);
        self.active = self.active.max(request.time);
        let at = match self.find(request, ledger) {
            Some(at) => {
                self.repeat(at, request, ledger);
                at
            }
            None => self.begin(request, ledger),
        };
        if let Some(verdict) = verdict {
            self.meet(at, request, verdict, ledger);
        }
    }

    /// A worker reached a verdict on an SCCRQ.
    pub(super) fn decided(&mut self, request: &Request, verdict: Verdict, ledger: &mut Ledger) {
        match self.find(request, ledger) {
            Some(at) => self.meet(at, request, verdict, ledger),
            // That it came was not told, but it must have.
            None => self.request(request, Some(verdict), ledger),
        }
    }

    /// A worker sent a reply that was not due at once, or sent it again. Whether it fits.
    pub(super) fn sent(&mut self, request: &Request, ledger: &mut Ledger) -> bool {
        let at = self.attempts.iter().position(|attempt| {
            attempt.tunnel_id == request.tunnel_id
                && attempt.may_repeat(request.time)
                && is_at(attempt, request.lns, ledger)
        });
        if let Some(at) = at {
            self.meet(at, request, Verdict::Answered, ledger);
        }
        at.is_some()
    }

    /// It met a fault that found no room.
    pub(super) fn leave_out(&mut self, time: u64) {
        self.last = self.last.max(time);
        self.unjudged = true;
    }

    fn find(&self, request: &Request, ledger: &Ledger) -> Option<usize> {
        self.attempts.iter().position(|attempt| {
            attempt.tunnel_id == request.tunnel_id
                && attempt.ns == request.ns
                && attempt.may_repeat(request.time)
                && is_at(attempt, request.lns, ledger)
        })
    }

    /// An SCCRQ came again.
    fn repeat(&mut self, at: usize, request: &Request, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        let is_after = attempt.is_answered() && attempt.answered < request.time;
        match is_after {
            true => attempt.after = attempt.after.saturating_add(1),
            false => attempt.before = attempt.before.saturating_add(1),
        }
        attempt.last = attempt.last.max(request.time);
        attempt.port = request.port;
        let (fault, is_counted) = (attempt.fault, attempt.counted);
        let was_left = attempt.stage == Stage::Left;
        if was_left {
            // Then the next attempt did not follow this one.
            attempt.stage = Stage::Open;
            self.parallel = true;
        }
        self.retransmissions += 1;
        ledger.totals.retransmissions += 1;
        if is_counted {
            ledger.faults.update(fault, |fault| match is_after {
                true => fault.after += 1,
                false => fault.before += 1,
            });
            if let Some(visit) = self.visit_mut(fault) {
                visit.before += u32::from(!is_after);
                visit.after += u32::from(is_after);
                if was_left {
                    visit.left = None;
                }
            }
        }
        if is_after && request.nr == RIGHT_NR && ledger.refuses(fault) {
            self.acknowledge(at, Acknowledgement::Piggyback, ledger);
        }
    }

    /// A new attempt; returns its place.
    fn begin(&mut self, request: &Request, ledger: &mut Ledger) -> usize {
        let time = request.time;
        self.come_back(time, ledger);
        let quiet = self.attempts.iter().map(Attempt::last_touched).max();
        let is_first = quiet.is_none();
        let quiet = time.saturating_sub(quiet.unwrap_or(time));
        self.leave(request, ledger);
        let lockout = self.return_to(request, ledger);

        if !is_first && ledger.lost_since(time.saturating_sub(quiet)) {
            // Attempts may be missing in the round.
            self.rounds = Rounds::default();
        }
        let number = self.number_of(request.lns, ledger);
        self.rounds.ask(number, quiet, lockout);
        self.made += 1;
        ledger.count_attempt(time);
        ledger.totals.attempts_open += 1;

        let mut attempt = Attempt::new(request);
        attempt.lockout = lockout.and_then(NonZeroU64::new);
        attempt.reuses = self
            .attempts
            .iter()
            .any(|other| other.tunnel_id == request.tunnel_id && is_at(other, request.lns, ledger));
        ledger.totals.tunnel_ids_reused += u64::from(attempt.reuses);
        self.make_room(time, ledger);
        self.attempts.push(attempt);
        self.attempts.len() - 1
    }

    /// Makes room for one more attempt.
    fn make_room(&mut self, now: u64, ledger: &mut Ledger) {
        if self.attempts.len() < self.attempts.capacity() {
            return;
        }
        let oldest = |attempts: &[Attempt], over: bool| {
            let places = attempts.iter().enumerate();
            let places = places.filter(|(_, attempt)| {
                !over || (attempt.stage == Stage::Over && !attempt.may_repeat(now))
            });
            places
                .min_by_key(|(_, attempt)| attempt.last)
                .map(|(at, _)| at)
        };
        if let Some(at) = oldest(&self.attempts, true) {
            self.attempts.swap_remove(at);
        } else if self.attempts.len() < ATTEMPTS {
            self.attempts.reserve_exact(ATTEMPTS_STEP);
        } else if let Some(at) = oldest(&self.attempts, false) {
            self.conclude(at, Ending::Early(Doubt::OutOfMemory), now, ledger);
            let attempt = self.attempts.swap_remove(at);
            ledger.totals.attempts_forgotten += u64::from(attempt.may_repeat(now));
        }
    }

    /// The number of an LNS, in the order of the LAC's first attempts at them.
    fn number_of(&self, lns: IpAddr, ledger: &Ledger) -> usize {
        let mut count = 0;
        for visit in &self.visits {
            let number = usize::from(visit.lns);
            if key(visit.fault, ledger).is_some_and(|key| key.lns == lns) {
                return number;
            }
            count = count.max(number + 1);
        }
        count
    }

    /// What was told to be given up was not.
    fn come_back(&mut self, time: u64, ledger: &mut Ledger) {
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
    fn leave(&mut self, request: &Request, ledger: &mut Ledger) {
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

    /// The LAC is at an LNS again from which it had turned away; returns for how long.
    fn return_to(&mut self, request: &Request, ledger: &mut Ledger) -> Option<u64> {
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
            lockout = Some(away);
            ledger
                .faults
                .update(visit.fault, |fault| fault.lockout.add(away));
        }
        lockout
    }

    /// The fault that an SCCRQ met is known.
    fn meet(&mut self, at: usize, request: &Request, verdict: Verdict, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        if !attempt.counted {
            attempt.fault = request.fault;
        }
        attempt.decided = true;
        self.count(at, ledger);
        match verdict {
            Verdict::Answered => self.answer(at, request.time, ledger),
            Verdict::Passed | Verdict::NoSocket => {
                let doubt = Ending::Doubted(Doubt::LeftToHost);
                self.conclude(at, doubt, request.time, ledger);
            }
            _ => (),
        }
    }

    /// Tells the fault of an attempt, and keeps that the LAC met it.
    fn count(&mut self, at: usize, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        if std::mem::replace(&mut attempt.counted, true) {
            return;
        }
        let (id, before, after) = (attempt.fault, attempt.before, attempt.after);
        let reuses = attempt.reuses;
        let is_new = self.visit_mut(id).is_none();
        if is_new && self.visits.len() < VISITS {
            self.add_visit(id, ledger);
        } else if is_new {
            self.unjudged = true;
            ledger.totals.faults_left_out += 1;
        }
        if let Some(visit) = self.visit_mut(id) {
            visit.attempts += 1;
            visit.open = visit.open.saturating_add(1);
            visit.before += u32::from(before);
            visit.after += u32::from(after);
        }
        ledger.faults.update(id, |fault| {
            fault.lacs += u64::from(is_new);
            fault.attempts += 1;
            fault.open += 1;
            fault.before += u64::from(before);
            fault.after += u64::from(after);
            fault.tunnel_ids_reused += u64::from(reuses);
        });
    }

    fn add_visit(&mut self, fault: FaultId, ledger: &Ledger) {
        let lns = key(fault, ledger).map_or(0, |key| self.number_of(key.lns, ledger));
        if self.visits.len() == self.visits.capacity() {
            self.visits.reserve_exact(VISITS_STEP);
        }
        self.visits.push(Visit {
            fault,
            lns: lns as u16,
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
        });
    }

    fn visit_mut(&mut self, fault: FaultId) -> Option<&mut Visit> {
        self.visits.iter_mut().find(|visit| visit.fault == fault)
    }

    /// An answer was sent.
    fn answer(&mut self, at: usize, time: u64, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        let is_first = !attempt.is_answered();
        let mut joined = None;
        if attempt.stage == Stage::Left
            && time > attempt.left
            && attempt.left.saturating_sub(attempt.last) < TIMEOUT
        {
            // It was waiting for this answer when it made the other attempt.
            attempt.stage = Stage::Open;
            self.parallel = true;
            joined = Some(attempt.fault);
        }
        // An answer that is sent again by itself is none to another SCCRQ.
        if is_first || attempt.last > attempt.answered {
            attempt.answered = time;
        }
        attempt.answers = attempt.answers.saturating_add(1);
        if is_first {
            ledger
                .faults
                .update(attempt.fault, |fault| fault.answered += 1);
        }
        if let Some(visit) = joined.and_then(|fault| self.visit_mut(fault)) {
            visit.left = None;
        }
    }

    /// A message of another type came, a ZLB where it has no `message`. Whether it fits.
    pub(super) fn message(
        &mut self,
        request: &Request,
        message: Option<LacMessage>,
        ledger: &mut Ledger,
    ) -> bool {
        self.last = self.last.max(request.time);
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
            let round_trips = |fault: &mut super::fault::Fault| {
                fault.acknowledged.round_trip.add(round_trip);
            };
            ledger.faults.update(attempt.fault, round_trips);
        }
        self.acknowledge(at, how, ledger);
    }

    /// Keeps how an attempt was acknowledged, unless it was so before, or better.
    fn acknowledge(&mut self, at: usize, how: Acknowledgement, ledger: &mut Ledger) {
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

    /// When there is something to conclude, if nothing is heard before.
    pub(super) fn deadline(&self, patience: u64) -> Option<u64> {
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
    pub(super) fn review(&mut self, now: u64, ledger: &mut Ledger) {
        for at in 0..self.attempts.len() {
            let attempt = self.attempts.get(at);
            let due = attempt.and_then(|attempt| self.due(attempt, ledger.patience));
            if due.is_some_and(|due| due <= now) {
                self.conclude(at, Ending::Due, now, ledger);
            }
        }
    }

    /// Concludes everything, due or not; that which cannot be known is so because of `doubt`.
    pub(super) fn close(&mut self, doubt: Doubt, now: u64, ledger: &mut Ledger) {
        self.review(now, ledger);
        for at in 0..self.attempts.len() {
            self.conclude(at, Ending::Early(doubt), now, ledger);
        }
    }

    /// Tells the outcome of an attempt.
    fn conclude(&mut self, at: usize, ending: Ending, now: u64, ledger: &mut Ledger) {
        self.count(at, ledger);
        let unjudged = self.unjudged;
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        if attempt.stage == Stage::Over {
            return;
        }
        let Some(fault) = key(attempt.fault, ledger) else {
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
            answered: attempt.is_answered().then_some(attempt.answered),
            retransmissions_before: attempt.before.into(),
            retransmissions_after: attempt.after.into(),
            acknowledgement,
            round_trip: attempt.round_trip.map(NonZeroU64::get),
            lockout: attempt.lockout.map(NonZeroU64::get),
            conclusion,
            next,
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

    /// How it chooses its LNS.
    pub(super) fn selection(&self) -> Selection {
        match self.parallel || self.unjudged {
            true => Selection::Unknown,
            false => self.rounds.selection(),
        }
    }

    pub(super) fn attempts(&self) -> u64 {
        self.made
    }

    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn findings(&self, ledger: &Ledger) -> LacFindings {
        let mut order = Vec::new();
        for key in self
            .visits
            .iter()
            .filter_map(|visit| key(visit.fault, ledger))
        {
            if !order.contains(&key.lns) {
                order.push(key.lns);
            }
        }
        LacFindings {
            lac: self.address,
            span: (self.first, self.last),
            attempts: self.made,
            retransmissions: self.retransmissions,
            order,
            selection: self.selection(),
            parallel: self.parallel,
            events_lost: ledger.lost_since(self.first),
            visits: self
                .visits
                .iter()
                .filter_map(|visit| visit.findings(ledger))
                .collect(),
        }
    }
}

impl Visit {
    fn findings(&self, ledger: &Ledger) -> Option<VisitFindings> {
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

fn key(fault: FaultId, ledger: &Ledger) -> Option<FaultKey> {
    ledger.faults.get(fault).map(|fault| fault.key)
}

/// Whether something of an attempt may be lost: its first SCCRQs, or what came after them.
fn may_miss(attempt: &Attempt, ledger: &Ledger) -> bool {
    ledger.lost_since(attempt.began.saturating_sub(CONFIRMED_AFTER))
}

/// Whether an attempt was made at an LNS.
fn is_at(attempt: &Attempt, lns: IpAddr, ledger: &Ledger) -> bool {
    key(attempt.fault, ledger).is_some_and(|key| key.lns == lns)
}
