//! How a LAC turns from one LNS to another, and comes back.

use std::num::NonZeroU64;

use super::certainty::Ending;
use super::conclude::may_miss;
use super::{Lac, is_at, key};
use crate::track::attempt::{Attempt, Request};
use crate::track::delays::Regularity;
use crate::track::fault::FaultId;
use crate::track::findings::Doubt;
use crate::track::ledger::Ledger;
use crate::track::runs::Runs;

/// Kinds of next attempts of a chain that come at no regular times before all are doubted: one
/// may be what follows when somebody dials again.
const IRREGULAR: u8 = 2;

impl Lac {
    /// What was told to be given up was not.
    pub(super) fn come_back(&mut self, chain: u16, time: u64, ledger: &mut Ledger) {
        for at in 0..self.attempts.len() {
            let Some(attempt) = self.attempts.get(at) else {
                return;
            };
            if attempt.chain != chain || !attempt.gave_up() {
                continue;
            }
            let quiet = time.saturating_sub(attempt.last_touched());
            let fault = attempt.fault;
            self.withdraw(at, ledger);
            ledger
                .faults
                .update(fault, |fault| fault.came_back.add(quiet));
        }
    }

    /// Compares how many attempts the LAC makes at each LNS, before it makes another one.
    pub(super) fn compare_runs(
        &mut self,
        chain: u16,
        request: &Request,
        is_incomplete: bool,
        ledger: &mut Ledger,
    ) {
        let in_chain = self.attempts.iter().filter(|it| it.chain == chain);
        let Some(last) = in_chain.max_by_key(|attempt| attempt.began) else {
            return;
        };
        let (fault, stays) = (last.fault, is_at(last, request.lns, ledger));
        let varies = ledger.varies(fault) || !last.decided;
        let is_incomplete = is_incomplete || may_miss(last, ledger);
        let Some(of) = self.chains.get_mut(usize::from(chain)) else {
            return;
        };
        if is_incomplete {
            of.runs = Runs::default();
            return;
        }
        let length = of.runs.follow(fault, varies, stays);
        let visit = self.visit_mut(fault, chain);
        if let (Some(length), Some(visit)) = (length, visit)
            && !visit.runs.compare(length)
        {
            self.doubt(chain, Doubt::Unordered, ledger);
        }
    }

    /// Has the LAC leave the attempt that the new one follows.
    pub(super) fn leave(&mut self, chain: u16, request: &Request, ledger: &mut Ledger) {
        // What is seen of an attempt that may miss something says nothing of others.
        self.leave_incomplete(chain, request, ledger);
        let mut several = false;
        let mut first_open = None;
        for (at, attempt) in self.attempts.iter().enumerate() {
            if attempt.chain != chain || !attempt.is_open() {
                continue;
            }
            several |= first_open.is_some() || !has_ended(attempt, request.time, ledger);
            first_open = first_open.or(Some(at));
        }
        if several || self.returns_to_port(chain, request, ledger) {
            self.doubt(chain, Doubt::Parallel, ledger);
        }
        let Some(of) = self.chains.get(usize::from(chain)) else {
            return;
        };
        match of.doubt {
            None => {
                if let Some(at) = first_open {
                    self.leave_for(at, request, None, false, ledger);
                }
            }
            Some(doubt) => self.leave_several(chain, request, doubt, ledger),
        }
    }

    /// Has it leave the attempts of which events may be lost.
    fn leave_incomplete(&mut self, chain: u16, request: &Request, ledger: &mut Ledger) {
        for at in 0..self.attempts.len() {
            let attempt = self.attempts.get(at);
            let is_incomplete = attempt.is_some_and(|attempt| {
                attempt.chain == chain && attempt.is_open() && may_miss(attempt, ledger)
            });
            if is_incomplete {
                self.leave_for(at, request, Some(Doubt::EventsLost), false, ledger);
            }
        }
    }

    /// Has it leave what is over, where the new attempt may follow any of several.
    fn leave_several(&mut self, chain: u16, request: &Request, doubt: Doubt, ledger: &mut Ledger) {
        let linked = self.linked(chain, request, ledger);
        let of = self.chains.get(usize::from(chain));
        // Each goes on from its own port.
        let keeps_ports = of.is_some_and(|of| doubt == Doubt::Parallel && of.keeps_ports());
        for at in 0..self.attempts.len() {
            let Some(attempt) = self.attempts.get(at) else {
                return;
            };
            let is_over = attempt.chain == chain
                && attempt.is_open()
                && has_ended(attempt, request.time, ledger);
            if Some(at) == linked {
                self.leave_for(at, request, None, true, ledger);
            } else if is_over && (!keeps_ports || attempt.port == request.port) {
                self.leave_for(at, request, Some(doubt), false, ledger);
            }
        }
    }

    /// The attempt that a new one follows by its port, where each of several tunnels keeps one
    /// of its own.
    fn linked(&mut self, chain: u16, request: &Request, ledger: &Ledger) -> Option<usize> {
        let attempts = self.attempts.iter().enumerate();
        let mut on_port = attempts.filter(|(_, attempt)| {
            attempt.chain == chain && attempt.port == request.port && attempt.is_open()
        });
        let (at, attempt) = on_port.next()?;
        let is_only = on_port.next().is_none() && has_ended(attempt, request.time, ledger);
        let of = self.chains.get_mut(usize::from(chain))?;
        if !is_only {
            of.share_port(request.port);
            self.unlink(chain, request.port);
            return None;
        }
        let may_be =
            of.doubt == Some(Doubt::Parallel) && of.keeps_ports() && !of.is_shared(request.port);
        may_be.then_some(at)
    }

    /// Several tunnels use a port: what follows by it may belong to any of them.
    fn unlink(&mut self, chain: u16, port: u16) {
        for attempt in &mut self.attempts {
            if attempt.chain == chain && attempt.port == port && !attempt.is_over() {
                attempt.is_linked = false;
                attempt.doubt = attempt.doubt.or(Some(Doubt::Parallel));
            }
        }
    }

    /// Whether an attempt goes back to a port at the same LNS that was left for another port, so
    /// that two sockets are in use at once.
    fn returns_to_port(&self, chain: u16, request: &Request, ledger: &Ledger) -> bool {
        let same = || {
            let attempts = self.attempts.iter();
            attempts.filter(|it| {
                it.chain == chain && is_at(it, request.lns, ledger) && !may_miss(it, ledger)
            })
        };
        let from_port = same().filter(|attempt| attempt.port == request.port);
        let Some(before) = from_port.map(|attempt| attempt.began).max() else {
            return false;
        };
        same().any(|attempt| attempt.port != request.port && attempt.began > before)
    }

    /// Whether a port was seen in the chain before.
    pub(super) fn is_known_port(&self, chain: u16, port: u16) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.any(|attempt| attempt.chain == chain && attempt.port == port)
    }

    /// Begins to doubt which attempt of a chain follows which. What was told of those that are
    /// remembered is taken back.
    pub(super) fn doubt(&mut self, chain: u16, doubt: Doubt, ledger: &mut Ledger) {
        match self.chains.get_mut(usize::from(chain)) {
            Some(of) if of.doubt.is_none_or(|known| known == Doubt::Unordered) => {
                of.doubt = Some(doubt);
            }
            _ => return,
        }
        self.slowest = None;
        for visit in &mut self.visits {
            if visit.chain == chain {
                visit.left = None;
            }
        }
        for at in 0..self.attempts.len() {
            let Some(attempt) = self.attempts.get(at) else {
                return;
            };
            if attempt.chain != chain || attempt.is_linked {
                continue;
            }
            if let Some(length) = attempt.lockout {
                let fault = attempt.lockout_for;
                ledger
                    .faults
                    .update(fault, |fault| fault.lockout.remove(length.get()));
                self.amend(at, ledger, |attempt| attempt.lockout = None);
            }
            self.doubt_attempt(at, doubt, ledger);
        }
    }

    /// Doubts what an attempt was left for.
    fn doubt_attempt(&mut self, at: usize, doubt: Doubt, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        let is_told = attempt.is_over();
        if !attempt.is_left() || attempt.doubt.is_some() {
            return;
        }
        if is_told {
            self.withdraw(at, ledger);
        }
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        attempt.doubt = Some(doubt);
        let left = attempt.left;
        if is_told {
            self.conclude(at, Ending::Due, left, ledger);
        }
    }

    /// An attempt that was left goes on: the next one did not follow it.
    pub(super) fn refute(&mut self, at: usize, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get(at).filter(|attempt| attempt.is_left()) else {
            return;
        };
        if may_miss(attempt, ledger) {
            self.doubt_attempt(at, Doubt::EventsLost, ledger);
            return;
        }
        let (chain, port, is_linked) = (attempt.chain, attempt.port, attempt.is_linked);
        if is_linked {
            if let Some(of) = self.chains.get_mut(usize::from(chain)) {
                of.share_port(port);
            }
            self.unlink(chain, port);
        }
        self.doubt(chain, Doubt::Parallel, ledger);
        self.doubt_attempt(at, Doubt::Parallel, ledger);
    }

    /// The LAC left an attempt for a new one.
    fn leave_for(
        &mut self,
        at: usize,
        request: &Request,
        doubt: Option<Doubt>,
        is_linked: bool,
        ledger: &mut Ledger,
    ) {
        self.count(at, ledger);
        let Some(attempt) = self.attempts.get_mut(at) else {
            return;
        };
        attempt.left = request.time;
        attempt.left_for = request.fault;
        attempt.doubt = doubt;
        attempt.is_linked = is_linked;
        // When it gave up an LNS that does not answer is not known, but when it asked last.
        let since = match attempt.is_answered() {
            true => attempt.answered,
            false => attempt.last,
        };
        let (fault, chain) = (attempt.fault, attempt.chain);
        // A LAC that acknowledges late also goes on late.
        let acknowledged = attempt.round_trip.map_or(0, NonZeroU64::get);
        let delay = request.time.saturating_sub(attempt.since() + acknowledged);
        // An answer may be among what was lost.
        let is_known = doubt.is_none()
            && !is_linked
            && attempt.decided
            && !may_miss(attempt, ledger)
            && !ledger.changed_groups(fault);
        if is_known && !ledger.varies(fault) {
            self.compare_delays(at, delay, ledger);
        }
        let is_known = is_known && self.attempts.get(at).is_some_and(|it| it.doubt.is_none());
        let elsewhere = is_known && key(fault, ledger).is_some_and(|key| key.lns != request.lns);
        if elsewhere && let Some(visit) = self.visit_mut(fault, chain) {
            visit.left = NonZeroU64::new(since);
        }
    }

    /// Compares how long the LAC took from an attempt to the next one with how long it took
    /// before. What was told of these is taken back where that is not regular.
    fn compare_delays(&mut self, at: usize, delay: u64, ledger: &mut Ledger) {
        let Some(attempt) = self.attempts.get(at) else {
            return;
        };
        let stays = |attempt: &Attempt| {
            let lns = |fault| key(fault, ledger).map(|key| key.lns);
            lns(attempt.fault) == lns(attempt.left_for)
        };
        let (fault, chain, is_same) = (attempt.fault, attempt.chain, stays(attempt));
        let alike: Vec<usize> = (0..self.attempts.len())
            .filter(|at| {
                let attempt = self.attempts.get(*at);
                attempt.is_some_and(|it| {
                    it.is_left()
                        && (it.fault, it.chain) == (fault, chain)
                        && stays(it) == is_same
                        && !it.is_linked
                })
            })
            .collect();
        let jitter = ledger.jitter;
        let Some(visit) = self.visit_mut(fault, chain) else {
            return;
        };
        let regularity = visit.delays[usize::from(!is_same)].add(delay, jitter);
        if regularity == Regularity::Regular {
            return;
        }
        if !is_same {
            visit.left = None;
        }
        if let (Regularity::Ends, Some(of)) = (regularity, self.chains.get_mut(usize::from(chain)))
        {
            of.irregular += 1;
            if of.irregular >= IRREGULAR {
                self.doubt(chain, Doubt::Unordered, ledger);
            }
        }
        for at in alike {
            self.doubt_attempt(at, Doubt::Unordered, ledger);
        }
    }

    /// The LAC is at an LNS again from which it had turned away; returns the fault for which it
    /// had, and for how long.
    pub(super) fn return_to(
        &mut self,
        chain: u16,
        request: &Request,
        ledger: &mut Ledger,
    ) -> Option<(FaultId, NonZeroU64)> {
        let mut lockout = None;
        let unjudged = self.unjudged;
        for visit in &mut self.visits {
            if visit.chain != chain
                || key(visit.fault, ledger).is_none_or(|key| key.lns != request.lns)
            {
                continue;
            }
            let Some(left) = visit.left.take().map(NonZeroU64::get) else {
                continue;
            };
            if ledger.lost_since(left) || unjudged {
                continue;
            }
            let away = request.time.saturating_sub(left);
            visit.lockout = NonZeroU64::new(away);
            lockout = visit.lockout.map(|away| (visit.fault, away));
            ledger.count_lockout(visit.fault, away);
        }
        lockout
    }
}

/// Whether an attempt can have ended for its LAC by then.
fn has_ended(attempt: &Attempt, now: u64, ledger: &Ledger) -> bool {
    attempt.can_have_ended(now, ledger.ends_at_once(attempt.fault))
}
