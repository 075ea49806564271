//! A worker's play of a scenario: batch by batch, who is answered with what, and when.
//!
//! A reply is written into the frame of its request, with the parser and the writer
//! that the kernel half runs. What is due later waits in bounded memory that was
//! reserved before; nothing here allocates, locks or asks the system for a frame. The
//! time is an argument.

mod act;
mod later;
mod owed;
mod progress;
mod record;
mod sent;
mod tell;

use std::sync::Arc;

use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::layers::Layers;
use broken_lns_ebpf::rules::Mark;
use broken_lns_ebpf::sccrq::{self, Policy, Sccrq};
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::verdict::Verdict;

use crate::af_xdp::{FRAME_LEN, Packet, Umem};
use crate::compile::{Compiled, Found, Reply, RuleId};
use crate::decide::{Decision, Request};
use crate::lac_identity;
use crate::respond::{Batch, Out};
use crate::retransmission::Acknowledgements;
use crate::snapshot::VerdictCounts;
use act::{Acts, Mailbox};
use owed::{Owed, Source};
use tell::{Teller, Told};

pub use act::{Act, Bounds, PENDING, Remote};
pub use record::WorkerFrames;
pub use sent::{Hits, Sent, SentCounts, SentTally};
pub use tell::{Follow, WorkerEvents};

/// Longer than from one retransmission to the next, in nanoseconds.
const PAUSE: u64 = 9_000_000_000;

/// What a worker answers, and with what.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Which requests are answered.
    pub policy: Policy,
    /// The scenario to begin with.
    pub compiled: Arc<Compiled>,
    /// Its number.
    pub scenario: u32,
    /// Which LACs are followed, and how.
    pub follow: Follow,
}

/// Has the kernel half leave to the host what a mark says, by that rule, and tells whether it will.
pub type LeaveToHost = Box<dyn FnMut(&Mark, RuleId) -> bool + Send>;

/// What is decided on a request, and the reply that this means.
struct Decided {
    found: Found,
    decision: Decision,
    reply: Reply,
}

/// What a worker has of the kernel half.
pub struct KernelHalf {
    /// What is left to the host from now on.
    pub leave_to_host: LeaveToHost,
    /// The acknowledgements that it notes.
    pub acknowledgements: Box<dyn Acknowledgements + Send>,
}

/// Plays a scenario for the packets of one worker.
pub struct Player {
    policy: Policy,
    acts: Acts,
    mailbox: Arc<Mailbox>,
    sent: Arc<SentTally>,
    kernel_half: Option<KernelHalf>,
    teller: Option<Teller>,
    /// A number for each frame, by which frames are lost one by one.
    frame: u32,
    /// Room for a copy of a frame.
    copy: Box<[u8]>,
}

impl Player {
    /// A player at the beginning of the first scenario, with its other end for other threads.
    /// Without a kernel half nothing is left to the host, and nothing is acknowledged.
    pub fn new(orders: Orders, kernel_half: Option<KernelHalf>) -> (Self, Remote) {
        let act = Act::new(orders.compiled, orders.scenario, PENDING);
        Self::with_act(orders.policy, orders.follow, act, kernel_half)
    }

    /// The same for an act that was made before.
    pub fn with_act(
        policy: Policy,
        follow: Follow,
        act: Act,
        kernel_half: Option<KernelHalf>,
    ) -> (Self, Remote) {
        let mailbox = Arc::default();
        let sent = Arc::default();
        let events_lost = Arc::default();
        let (teller, told) = Teller::new(follow, &events_lost).unzip();
        let (events, frames) = match told {
            Some(Told { events, frames }) => (Some(events), frames),
            None => (None, None),
        };
        let remote = Remote {
            mailbox: Arc::clone(&mailbox),
            hits: Arc::clone(&act.hits),
            sent: Arc::clone(&sent),
            events,
            frames,
            events_lost,
        };
        let player = Self {
            policy,
            acts: Acts::new(act),
            mailbox,
            sent,
            kernel_half,
            teller,
            frame: 0,
            copy: vec![0; FRAME_LEN].into(),
        };
        (player, remote)
    }

    /// The clock is read next, for all that is done until [`end_turn`](Self::end_turn).
    #[inline]
    pub fn begin_turn(&mut self) {
        if let Some(teller) = &self.teller {
            teller.begin_turn();
        }
    }

    /// Nothing is done until the next [`begin_turn`](Self::begin_turn).
    #[inline]
    pub fn end_turn(&mut self) {
        if let Some(teller) = &self.teller {
            teller.end_turn();
        }
    }

    /// Goes on to another scenario, if one was set.
    #[inline]
    pub fn notice(&mut self) {
        if let Some(act) = self.mailbox.take() {
            self.acts.next(act);
        }
    }

    /// Answers every packet that was received at `now`, a monotonic time in nanoseconds, and
    /// returns how the packets ended. Each answer is told to `announce`.
    #[inline]
    pub fn respond(
        &mut self,
        now: u64,
        umem: &mut Umem,
        batch: &mut Batch,
        mut announce: impl FnMut(Answer),
    ) -> VerdictCounts {
        if let Some(teller) = &self.teller {
            teller.at(now);
        }
        // A count of references, so that the scenario can be read while the rest changes.
        let compiled = Arc::clone(&self.acts.current.compiled);
        match compiled.only() {
            // It asks for no frame whether anybody is told of it.
            Some(template) if self.teller.is_none() => self.refuse(template, umem, batch, announce),
            _ => {
                let counts = batch.each_with(umem, |mut out, packet| {
                    let verdict = self.play(&compiled, now, &mut out, packet, &mut announce);
                    if let Some(teller) = &mut self.teller {
                        teller.decided(verdict);
                    }
                    if verdict != Verdict::Answered {
                        out.umem.give(packet.address);
                    }
                    verdict
                });
                self.count_at_bounds();
                counts
            }
        }
    }

    /// When something is due next.
    #[inline]
    pub fn next_due(&self) -> Option<u64> {
        self.acts.next_due()
    }

    /// Counts what was lost since the last time for want of memory.
    fn count_at_bounds(&mut self) {
        let act = &mut self.acts.current;
        self.sent
            .add(Sent::Forgotten, act.attempts.take_forgotten());
        if let Some(waiting) = &mut act.waiting {
            self.sent.add(Sent::NotAgain, waiting.take_dropped());
        }
    }

    /// Answers every request with the same template at once.
    #[inline]
    fn refuse(
        &mut self,
        template: &Template,
        umem: &mut Umem,
        batch: &mut Batch,
        mut announce: impl FnMut(Answer),
    ) -> VerdictCounts {
        let (policy, acts) = (self.policy, &self.acts);
        let mut hits = 0;
        let counts = batch.each(umem, |room, len| {
            let frame = Frame::new(room.get_mut(..len).ok_or(Verdict::NoRoom)?);
            let other_port = || acts.is_other_port_open(frame);
            let sccrq = sccrq::parse(frame, other_port, || policy)?;
            hits += 1;
            let len = owed::write_template(template, &sccrq, room)?;
            let reply = Frame::new(room.get_mut(..len).ok_or(Verdict::NoRoom)?);
            if let Some(answer) = Answer::of_reply(reply, &sccrq) {
                announce(answer);
            }
            Ok(len)
        });
        self.acts.current.hits.add(RuleId::DEFAULT.index(), hits);
        counts
    }

    /// Reads the request in a frame; what is to be told of it is begun.
    #[inline]
    fn read(&mut self, octets: &mut [u8], now: u64) -> Result<Sccrq, Verdict> {
        let len = octets.len() as u32;
        let frame = Frame::new(octets);
        let Self {
            policy,
            teller,
            acts,
            ..
        } = self;
        let listen = |layers| {
            if let Some(teller) = teller {
                teller.listen(frame, layers, now, len);
            }
            Some(frame)
        };
        let sccrq = sccrq::parse_unless(
            frame,
            || acts.is_other_port_open(frame),
            || *policy,
            listen,
            sccrq::has_right_checksum,
        );
        if let Some(teller) = &mut self.teller {
            teller.keep(octets);
        }
        sccrq
    }

    /// Captures a reply, where that is wanted, with the verdict on its request.
    #[inline]
    fn replied(&mut self, verdict: Verdict, reply: &[u8]) {
        if let Some(teller) = &mut self.teller {
            teller.replied(verdict, reply);
        }
    }

    /// Notes which rule a request met, for what is told of it.
    #[inline]
    fn note(&mut self, rule: RuleId, sccrq: &Sccrq) {
        if let Some(teller) = &mut self.teller {
            let scenario = self.acts.current.scenario;
            teller.note(scenario, rule.index() as u32, sccrq.tunnel_id);
        }
    }

    /// Treats one packet as its rule has it. Its frame was sent if it was answered, and is
    /// still to be given back if not.
    fn play(
        &mut self,
        compiled: &Compiled,
        now: u64,
        out: &mut Out<'_>,
        packet: Packet,
        announce: &mut impl FnMut(Answer),
    ) -> Verdict {
        let len = packet.len as usize;
        let room = out.umem.room(packet.address);
        let Some(octets) = room.get_mut(..len) else {
            return Verdict::NoRoom;
        };
        let sccrq = match self.read(octets, now) {
            Ok(sccrq) => sccrq,
            Err(verdict) => return verdict,
        };
        let Some(request) = owed::request(Frame::new(octets), &sccrq) else {
            return Verdict::NoRoom;
        };
        let Some(decided) = self.decide(compiled, octets, &sccrq, request, now) else {
            return Verdict::Silent;
        };
        let Decided {
            found: Found { rule, .. },
            decision,
            reply,
        } = decided;
        match reply {
            Reply::Silent => return Verdict::Silent,
            Reply::Pass => return self.pass(&request, &decided),
            Reply::Template { .. } | Reply::CodeInAddress { .. } | Reply::Unreachable(_) => {}
        }
        self.sent.add(Sent::Lost, decision.lost.into());
        if decision.delay > 0 || decision.retransmit {
            let owed = Owed {
                copies: decision.copies,
                retransmit: decision.retransmit,
                verdict: match (decision.copies, decision.delay) {
                    (0, _) => Verdict::Lost,
                    (_, 0) => Verdict::Answered,
                    _ => Verdict::Deferred,
                },
                ..Owed::new(octets, sccrq, self.acts.number(), rule, decision.leaf)
            };
            if decision.delay > 0 {
                return self.defer(owed, now.saturating_add(decision.delay));
            }
            self.wait_for_acknowledgement(&owed, &request, reply, now);
        }
        if decision.copies == 0 {
            return Verdict::Lost;
        }
        let source = Source::InPlace(len, &mut self.copy);
        match owed::write(compiled, reply, &request, &sccrq, source, room) {
            Ok(len) => {
                let copies = decision.copies;
                self.send(out, packet.address, len, copies, Verdict::Answered);
                announce(owed::answer(&request, &sccrq));
                Verdict::Answered
            }
            Err(verdict) => verdict,
        }
    }

    /// Decides on the request in a frame.
    fn decide(
        &mut self,
        compiled: &Compiled,
        octets: &mut [u8],
        sccrq: &Sccrq,
        mut request: Request,
        now: u64,
    ) -> Option<Decided> {
        let layers = Layers::of(Frame::new(octets), sccrq)?;
        let message = octets.get(layers.message().into()..)?;
        let mut name = None;
        let found = compiled.rule_for(sccrq.version, request.lns, request.lac, || {
            name = lac_identity::host_name(message);
            name
        });
        if let (true, Some(name)) = (found.is_named, name) {
            request.name = lac_identity::hash(name);
        }
        let rule = found.rule;
        self.note(rule, sccrq);
        let act = &mut self.acts.current;
        act.hits.add(rule.index(), 1);
        self.frame = self.frame.wrapping_add(1);
        let treatment = compiled.rule(rule)?.treatment;
        let attempts = &mut act.attempts;
        let plan = compiled.plan();
        let decision = plan.decide(treatment, &request, now, self.frame, attempts)?;
        Some(Decided {
            found,
            decision,
            reply: compiled.reply(decision.leaf)?,
        })
    }

    /// Has a request be left to the host when it comes again: what a socket got does not come
    /// back to the host.
    fn pass(&mut self, request: &Request, decided: &Decided) -> Verdict {
        let Decided {
            found, decision, ..
        } = decided;
        let mark = Mark {
            lac: request.lac,
            lns: request.lns,
            scenario: self.acts.current.scenario,
            // All that the LAC sends, where it is healed. One of another name at the same address
            // may not be.
            tunnel_id: match decision.healed && !found.is_by_name {
                true => 0,
                false => request.tunnel_id.into(),
            },
        };
        let kernel_half = self.kernel_half.as_mut();
        let is_left =
            kernel_half.is_some_and(|kernel_half| (kernel_half.leave_to_host)(&mark, found.rule));
        let sent = match is_left {
            true => Sent::PassesNext,
            false => Sent::NotPassed,
        };
        self.sent.add(sent, 1);
        Verdict::Silent
    }

    /// Owes a reply until it is due.
    fn defer(&mut self, owed: Owed, due: u64) -> Verdict {
        let verdict = owed.verdict;
        let Some(pending) = &mut self.acts.current.pending else {
            self.sent.add(Sent::Dropped, 1);
            return Verdict::Deferred;
        };
        let dropped = pending.push(due, owed);
        self.sent.add(Sent::Dropped, dropped.map_or(0, |_| 1));
        self.acts.owe(owed.act, due);
        verdict
    }

    /// Has a StopCCN that is sent now be sent again until it is acknowledged.
    fn wait_for_acknowledgement(&mut self, owed: &Owed, request: &Request, reply: Reply, now: u64) {
        let (Some(waiting), Some(kernel_half)) =
            (&mut self.acts.current.waiting, &mut self.kernel_half)
        else {
            self.sent.add(Sent::NotAgain, 1);
            return;
        };
        let tunnel = owed::tunnel(request, &owed.sccrq, reply);
        waiting.sent(tunnel, *owed, now, &mut *kernel_half.acknowledgements);
        self.acts.owe(owed.act, now.saturating_add(PAUSE));
    }

    /// Sends a reply, and its copies from free frames. The verdict is that on its request.
    fn send(&mut self, out: &mut Out<'_>, address: u64, len: usize, copies: u8, verdict: Verdict) {
        let reply = out.umem.room(address).get(..len);
        self.replied(verdict, reply.unwrap_or_default());
        out.send(address, len);
        if copies <= 1 {
            return;
        }
        let reply = out.umem.room(address).get(..len);
        if let Some((copy, reply)) = self.copy.get_mut(..len).zip(reply) {
            copy.copy_from_slice(reply);
        }
        let copy = self.copy.get(..len).unwrap_or_default();
        for number in 1..copies {
            let Some(address) = out.take() else {
                let missing = u64::from(copies - number);
                self.sent.add(Sent::NoFrame, missing);
                return;
            };
            if let Some(room) = out.umem.room(address).get_mut(..len) {
                room.copy_from_slice(copy);
            }
            if let Some(teller) = &mut self.teller {
                teller.replied(verdict, copy);
            }
            out.send(address, len);
            self.sent.add(Sent::Copies, 1);
        }
    }
}

#[cfg(test)]
mod tests;
