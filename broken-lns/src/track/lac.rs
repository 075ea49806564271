//! The history of one LAC.

mod acknowledge;
mod certainty;
mod chain;
mod conclude;
mod turn;
mod visit;

use std::net::IpAddr;
use std::num::NonZeroU64;

use broken_lns_ebpf::verdict::Verdict;

pub(super) use self::acknowledge::Message;
use self::acknowledge::RIGHT_NR;
use self::certainty::Ending;
use self::chain::{Chain, Key};
use self::visit::Visit;
use super::attempt::{Attempt, Request, TIMEOUT};
use super::fault::FaultId;
use super::findings::{Acknowledgement, Doubt, FaultKey, LacFindings, LacName, Selection};
use super::ledger::Ledger;

/// Attempts of one LAC that are remembered; at the bound the one that says the least is
/// forgotten.
const ATTEMPTS: usize = 256;
/// By how many there is room for more: memory is for as many LACs as possible.
const ATTEMPTS_STEP: usize = 1;
/// Faults that one LAC may meet.
const VISITS: usize = 256;
/// By how many there is room for more.
const VISITS_STEP: usize = 1;
/// Chains of one LAC; the last one is for all that find no room.
const CHAINS: usize = 64;

/// All that is remembered of a LAC.
#[derive(Debug)]
pub(super) struct Lac {
    pub(super) address: IpAddr,
    /// When it is to be looked at again.
    pub(super) alarm: Option<u64>,
    first: u64,
    last: u64,
    messages: u64,
    made: u64,
    retransmissions: u64,
    /// The longest from an answer to what it did about it.
    slowest: Option<NonZeroU64>,
    attempts: Vec<Attempt>,
    visits: Vec<Visit>,
    chains: Vec<Chain>,
    name: Option<Box<LacName>>,
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
            messages: 0,
            made: 0,
            retransmissions: 0,
            slowest: None,
            attempts: Vec::new(),
            visits: Vec::new(),
            chains: Vec::new(),
            name: None,
            unjudged: false,
        }
    }

    /// Octets on the heap, with what an allocator adds to each of them.
    pub(super) fn heap_bytes(&self) -> usize {
        self.attempts.capacity() * size_of::<Attempt>()
            + self.visits.capacity() * size_of::<Visit>()
            + self.chains.capacity() * size_of::<Chain>()
            + self.chains.iter().map(Chain::heap_bytes).sum::<usize>()
            + self.name.as_ref().map_or(0, |_| size_of::<LacName>() + 16)
            + 3 * 16
    }

    /// Keeps the name that it gave itself last.
    pub(super) fn set_name(&mut self, name: LacName) {
        match &mut self.name {
            Some(known) => **known = name,
            None => self.name = Some(Box::new(name)),
        }
    }

    /// An SCCRQ came. `verdict` is that of the half that got it, if it reached one.
    pub(super) fn request(
        &mut self,
        request: &Request,
        verdict: Option<Verdict>,
        ledger: &mut Ledger,
    ) {
        self.last = self.last.max(request.time);
        self.messages += 1;
        let latest = self.latest(request, ledger);
        let repeated = latest.filter(|at| {
            let attempt = self.attempts.get(*at);
            attempt.is_some_and(|attempt| attempt.is_repeated_by(request))
        });
        let at = match repeated {
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
        match self.latest(request, ledger) {
            Some(at) => self.meet(at, request, verdict, ledger),
            // That it came was not told, but it must have.
            None => self.request(request, Some(verdict), ledger),
        }
    }

    /// A worker sent a reply that was not due at once, or sent it again. Whether it fits.
    pub(super) fn sent(&mut self, request: &Request, ledger: &mut Ledger) -> bool {
        let latest = self.latest(request, ledger);
        if let Some(at) = latest {
            self.meet(at, request, Verdict::Answered, ledger);
        }
        latest.is_some()
    }

    /// It met a fault that found no room.
    pub(super) fn leave_out(&mut self, time: u64) {
        self.last = self.last.max(time);
        self.unjudged = true;
    }

    /// The last attempt at that LNS, from that port, with that tunnel id and Ns.
    fn latest(&self, request: &Request, ledger: &Ledger) -> Option<usize> {
        let attempts = self.attempts.iter().enumerate();
        let same = attempts.filter(|(_, attempt)| {
            attempt.tunnel_id == request.tunnel_id
                && attempt.port == request.port
                && attempt.ns == request.ns
                && is_at(attempt, request.lns, ledger)
        });
        same.max_by_key(|(_, attempt)| attempt.began)
            .map(|(at, _)| at)
    }

    /// An SCCRQ came again.
    fn repeat(&mut self, at: usize, request: &Request, ledger: &mut Ledger) {
        // An attempt that goes on was neither left for the next one nor given up.
        self.refute(at, ledger);
        if self.attempts.get(at).is_some_and(Attempt::gave_up) {
            self.withdraw(at, ledger);
        }
        let Some(attempt) = self.attempts.get(at) else {
            return;
        };
        let is_after = attempt.is_answered() && attempt.answered < request.time;
        let (fault, is_counted, chain) = (attempt.fault, attempt.counted, attempt.chain);
        self.amend(at, ledger, |attempt| attempt.repeat(request.time, is_after));
        self.touch(chain, request.time);
        self.retransmissions += 1;
        ledger.totals.retransmissions += 1;
        if is_counted {
            ledger.faults.update(fault, |fault| match is_after {
                true => fault.after += 1,
                false => fault.before += 1,
            });
            if let Some(visit) = self.visit_mut(fault, chain) {
                visit.before += u32::from(!is_after);
                visit.after += u32::from(is_after);
            }
        }
        if is_after && request.nr == RIGHT_NR && ledger.refuses(fault) {
            self.acknowledge(at, Acknowledgement::Piggyback, ledger);
        }
    }

    /// A new attempt; returns its place.
    fn begin(&mut self, request: &Request, ledger: &mut Ledger) -> usize {
        let time = request.time;
        let chain = self.chain(request, ledger);
        self.come_back(chain, time, ledger);
        let in_chain = self.attempts.iter().filter(|it| it.chain == chain);
        let quiet = in_chain.map(Attempt::last_touched).max();
        let is_first = quiet.is_none();
        let quiet = time.saturating_sub(quiet.unwrap_or(time));
        let is_incomplete = !is_first && ledger.lost_since(time.saturating_sub(quiet));
        self.compare_runs(chain, request, is_incomplete, ledger);
        self.leave(chain, request, ledger);
        let lockout = self.return_to(chain, request, ledger);

        let number = self.number_of(request.lns, ledger);
        let away = lockout.map(|(_, away)| away.get());
        let is_known_port = self.is_known_port(chain, request.port);
        if let Some(chain) = self.chains.get_mut(usize::from(chain)) {
            if is_incomplete {
                // Attempts may be missing in the round.
                chain.rounds = Default::default();
            }
            chain.rounds.ask(number, quiet, away);
            chain.count_port(is_known_port);
            chain.newest = chain.newest.max(time);
            chain.active = chain.active.max(time);
        }
        self.made += 1;
        ledger.count_attempt(time);
        ledger.totals.attempts_open += 1;

        let mut attempt = Attempt::new(request, chain);
        if let Some((fault, away)) = lockout {
            (attempt.lockout_for, attempt.lockout) = (fault, Some(away));
        }
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
        let oldest = |attempts: &[Attempt], may_go: &dyn Fn(&Attempt) -> bool| {
            let places = attempts.iter().enumerate();
            places
                .filter(|(_, attempt)| may_go(attempt))
                .min_by_key(|(_, attempt)| attempt.last)
                .map(|(at, _)| at)
        };
        let is_done =
            |attempt: &Attempt| attempt.is_over() && !attempt.gave_up() && !attempt.may_repeat(now);
        let done = oldest(&self.attempts, &is_done);
        if let Some(at) = done.filter(|_| self.attempts.len() >= ledger.remembered) {
            self.attempts.swap_remove(at);
        } else if self.attempts.len() < ATTEMPTS {
            self.attempts.reserve_exact(ATTEMPTS_STEP);
        } else if let Some(at) = oldest(&self.attempts, &|attempt| attempt.is_closed)
            .or_else(|| oldest(&self.attempts, &|_| true))
        {
            self.conclude(at, Ending::Early(Doubt::OutOfMemory), now, ledger);
            let attempt = self.attempts.swap_remove(at);
            let may_repeat = !attempt.is_closed && attempt.may_repeat(now);
            ledger.totals.attempts_forgotten += u64::from(may_repeat);
        }
    }

    /// The place of the chain that an attempt is in.
    fn chain(&mut self, request: &Request, ledger: &Ledger) -> u16 {
        let key = Key {
            group: ledger.group_of(request.fault),
            host_name: request.host_name,
        };
        let known = self.chains.iter().position(|chain| chain.key == key);
        let at = known.unwrap_or_else(|| {
            if self.chains.len() < CHAINS {
                self.chains.reserve_exact(1);
                self.chains.push(Chain::new(key));
            }
            self.chains.len() - 1
        });
        if at + 1 == CHAINS {
            // It has attempts of several groups or names.
            if let Some(chain) = self.chains.get_mut(at) {
                chain.doubt = Some(Doubt::OutOfMemory);
            }
        }
        at as u16
    }

    /// Something was heard of a chain.
    fn touch(&mut self, chain: u16, time: u64) {
        if let Some(chain) = self.chains.get_mut(usize::from(chain)) {
            chain.active = chain.active.max(time);
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
                self.conclude(at, Ending::LeftToHost, request.time, ledger);
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
        let (id, chain, reuses) = (attempt.fault, attempt.chain, attempt.reuses);
        let (before, after) = (attempt.before, attempt.after);
        let is_new_in_chain = self.visit_mut(id, chain).is_none();
        let is_new = !self.visits.iter().any(|visit| visit.fault == id);
        if is_new_in_chain && self.visits.len() < VISITS {
            self.add_visit(id, chain, ledger);
        } else if is_new_in_chain {
            self.unjudged = true;
            ledger.totals.faults_left_out += 1;
        }
        if let Some(visit) = self.visit_mut(id, chain) {
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

    fn add_visit(&mut self, fault: FaultId, chain: u16, ledger: &Ledger) {
        let lns = key(fault, ledger).map_or(0, |key| self.number_of(key.lns, ledger));
        if self.visits.len() == self.visits.capacity() {
            self.visits.reserve_exact(VISITS_STEP);
        }
        self.visits.push(Visit::new(fault, chain, lns as u16));
    }

    fn visit_mut(&mut self, fault: FaultId, chain: u16) -> Option<&mut Visit> {
        let mut visits = self.visits.iter_mut();
        visits.find(|visit| visit.fault == fault && visit.chain == chain)
    }

    /// An answer was sent.
    fn answer(&mut self, at: usize, time: u64, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get(at) else {
            return;
        };
        let (is_first, fault) = (!attempt.is_answered(), attempt.fault);
        let is_left = attempt.is_left() && time > attempt.left;
        if is_left && is_first && attempt.left.saturating_sub(attempt.last) < TIMEOUT {
            // It was waiting for this answer when it made the other attempt.
            self.refute(at, ledger);
        }
        self.amend(at, ledger, |attempt| {
            // An answer that is sent again by itself is none to another SCCRQ. A LAC that had an
            // answer left for that one, also where its last SCCRQ crossed it and is answered in
            // turn.
            if is_first || !is_left && attempt.last > attempt.answered {
                attempt.answered = time;
            }
            attempt.answers = attempt.answers.saturating_add(1);
        });
        if is_first {
            ledger.faults.update(fault, |fault| fault.answered += 1);
        }
    }

    /// How it chooses its LNS, where all of its chains do so alike.
    pub(super) fn selection(&self) -> Selection {
        let mut selections = self.chains.iter().map(|chain| match chain.doubt {
            None => chain.rounds.selection(),
            Some(_) => Selection::Unknown,
        });
        let first = selections.next().unwrap_or_default();
        match self.unjudged || selections.any(|selection| selection != first) {
            true => Selection::Unknown,
            false => first,
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
            name: self.name.as_deref().copied(),
            span: (self.first, self.last),
            messages: self.messages,
            attempts: self.made,
            retransmissions: self.retransmissions,
            slowest: self.slowest(),
            order,
            selection: self.selection(),
            parallel: self
                .chains
                .iter()
                .any(|it| it.doubt == Some(Doubt::Parallel)),
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
