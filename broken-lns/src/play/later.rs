//! What a worker sends when it is due: replies that were deferred, and StopCCNs once more.

use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::layers::Layers;

use super::owed::{self, Owed, Source};
use super::{PAUSE, Player, Sent};
use crate::af_xdp::Umem;
use crate::compile::Compiled;
use crate::decide::Request;
use crate::respond::{Batch, Out};

impl Player {
    /// Sends what is due at `now`, as far as there is room.
    pub fn send_due(
        &mut self,
        now: u64,
        umem: &mut Umem,
        batch: &mut Batch,
        mut announce: impl FnMut(Answer),
    ) {
        if let Some(teller) = &self.teller {
            teller.at(now);
        }
        let mut out = batch.out(umem);
        // A debt is taken only with a frame in hand, so that it waits for one.
        while let Some(address) = out.take() {
            let pending = self.acts.current.pending.as_mut();
            if let Some(owed) = pending.and_then(|pending| pending.pop_due(now)) {
                self.pay(&owed, now, &mut out, address, &mut announce);
                continue;
            }
            let waiting = self.acts.current.waiting.as_mut();
            let again =
                waiting
                    .zip(self.kernel_half.as_mut())
                    .and_then(|(waiting, kernel_half)| {
                        waiting.due(now, &mut *kernel_half.acknowledgements)
                    });
            let Some(again) = again else {
                out.umem.give(address);
                break;
            };
            self.acts.owe(again.reply.act, now.saturating_add(PAUSE));
            self.send_again(&again.reply, now, &mut out, address);
        }
        self.count_at_bounds();
        if self.acts.has_past() {
            self.acts.forget();
        }
    }

    /// Sends a reply that is due, from the free frame at `address`.
    fn pay(
        &mut self,
        owed: &Owed,
        now: u64,
        out: &mut Out<'_>,
        address: u64,
        announce: &mut impl FnMut(Answer),
    ) {
        let copies = self.allowed_of(owed, owed.copies, now);
        if copies == 0 && owed.copies > 0 {
            out.umem.give(address);
            return;
        }
        let reply = self
            .acts
            .compiled(owed.act)
            .and_then(|it| it.reply(owed.leaf));
        if owed.retransmit
            && let Some(request) = owed.request()
            && let Some(reply) = reply
        {
            self.wait_for_acknowledgement(owed, &request, reply, now);
        }
        if copies == 0 {
            out.umem.give(address);
        } else if let Some((len, request)) = self.write_owed(owed, out, address) {
            self.sent.add(Sent::Later, 1);
            self.begin_sent(owed, now);
            self.send(out, address, len, copies, owed.verdict);
            self.tell_sent();
            announce(owed::answer(&request, &owed.sccrq));
        }
    }

    /// Sends a StopCCN again, unless it is lost.
    fn send_again(&mut self, owed: &Owed, now: u64, out: &mut Out<'_>, address: u64) {
        self.frame = self.frame.wrapping_add(1);
        let plan = self.acts.compiled(owed.act).map(Compiled::plan);
        let lost = plan.zip(owed.request()).map_or(0, |(plan, request)| {
            plan.lost(owed.leaf, &request, self.frame, 1)
        });
        if lost > 0 {
            self.sent.add(Sent::Lost, 1);
            out.umem.give(address);
        } else if self.allowed_of(owed, 1, now) == 0 {
            out.umem.give(address);
        } else if let Some((len, _)) = self.write_owed(owed, out, address) {
            self.sent.add(Sent::Again, 1);
            self.begin_sent(owed, now);
            self.send(out, address, len, 1, owed.verdict);
            self.tell_sent();
        }
    }

    /// How many of so many frames may be sent for what is owed. All others are held back.
    fn allowed_of(&mut self, owed: &Owed, copies: u8, now: u64) -> u8 {
        // Without its request nothing can be written either.
        let Some(request) = owed.request() else {
            return copies;
        };
        let allowed = self.allowed(owed.sccrq.version, &request, copies, now);
        if allowed == 0 {
            self.sent.add(Sent::HeldBack, copies.into());
        }
        allowed
    }

    /// Begins what is to be told of a reply that was owed.
    fn begin_sent(&mut self, owed: &Owed, now: u64) {
        let (Some(teller), Some(scenario)) = (&mut self.teller, self.acts.scenario(owed.act))
        else {
            return;
        };
        let mut beginning = owed.beginning;
        let frame = Frame::new(&mut beginning);
        if let Some(layers) = Layers::of(frame, &owed.sccrq) {
            teller.listen(frame, layers, now, owed.frame_len.into());
            teller.note(scenario, owed.rule.index() as u32, owed.sccrq.tunnel_id);
        }
    }

    /// Tells that it was sent.
    fn tell_sent(&mut self) {
        if let Some(teller) = &mut self.teller {
            teller.sent();
        }
    }

    /// Writes a reply that is owed into a free frame, which is given back where that fails.
    fn write_owed(&self, owed: &Owed, out: &mut Out<'_>, address: u64) -> Option<(usize, Request)> {
        let room = out.umem.room(address);
        let written = self.acts.compiled(owed.act).and_then(|compiled| {
            let reply = compiled.reply(owed.leaf)?;
            let request = owed.request()?;
            let source = Source::Kept(owed.beginning());
            let len = owed::write(compiled, reply, &request, &owed.sccrq, source, room).ok()?;
            Some((len, request))
        });
        if written.is_none() {
            self.sent.add(Sent::NotWritten, 1);
            out.umem.give(address);
        }
        written
    }
}
