//! The history of one LAC.

mod acknowledge;
mod conclude;
mod turn;
mod visit;

use std::net::IpAddr;
use std::num::NonZeroU64;

use broken_lns_ebpf::verdict::Verdict;

use self::acknowledge::RIGHT_NR;
use self::conclude::Ending;
use self::visit::Visit;
use super::attempt::{Attempt, Request, Stage};
use super::fault::FaultId;
use super::findings::{Acknowledgement, Doubt, FaultKey, LacFindings, Selection};
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
/// Nanoseconds that a LAC waits for an answer before it does anything else (RFC 2661 §5.8).
const TIMEOUT: u64 = 1_000_000_000;

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
    messages: u64,
    made: u64,
    retransmissions: u64,
    /// The longest from an answer to what it did about it.
    slowest: Option<NonZeroU64>,
    attempts: Vec<Attempt>,
    visits: Vec<Visit>,
    rounds: Rounds,
    parallel: bool,
    /// Whether it met a fault that found no room.
    unjudged: bool,
}

impl Lac {
    pub(super) fn new(address: IpAddr, time: u64) -> Self {
        Self {
            address,
            alarm: None,
            first: time,
            last: time,
            active: time,
            messages: 0,
            made: 0,
            retransmissions: 0,
            slowest: None,
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
        self.messages += 1;
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
        let away = lockout.map(|(_, away)| away.get());
        self.rounds.ask(number, quiet, away);
        self.made += 1;
        ledger.count_attempt(time);
        ledger.totals.attempts_open += 1;

        let mut attempt = Attempt::new(request);
        attempt.lockout = lockout;
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
        self.visits.push(Visit::new(fault, lns as u16));
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
        let is_left = attempt.stage == Stage::Left && time > attempt.left;
        let mut joined = None;
        if is_left && is_first && attempt.left.saturating_sub(attempt.last) < TIMEOUT {
            // It was waiting for this answer when it made the other attempt.
            attempt.stage = Stage::Open;
            self.parallel = true;
            joined = Some(attempt.fault);
        }
        // An answer that is sent again by itself is none to another SCCRQ. A LAC that had an answer
        // left for that one, also where its last SCCRQ crossed it and is answered in turn.
        if is_first || !is_left && attempt.last > attempt.answered {
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

    /// How it chooses its LNS.
    pub(super) fn selection(&self) -> Selection {
        match self.parallel || self.unjudged {
            true => Selection::Unknown,
            false => self.rounds.selection(),
        }
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn slowest(&self) -> Option<u64> {
        self.slowest.map(NonZeroU64::get)
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
            messages: self.messages,
            attempts: self.made,
            retransmissions: self.retransmissions,
            slowest: self.slowest(),
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

fn key(fault: FaultId, ledger: &Ledger) -> Option<FaultKey> {
    ledger.faults.get(fault).map(|fault| fault.key)
}

/// Whether an attempt was made at an LNS.
fn is_at(attempt: &Attempt, lns: IpAddr, ledger: &Ledger) -> bool {
    key(attempt.fault, ledger).is_some_and(|key| key.lns == lns)
}
