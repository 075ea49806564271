//! The work on one batch: received frames in, reply frames out, no system call.
//!
//! A reply is written into the frame of its request, with the parser and the
//! writer that the kernel half runs. Every frame leaves as a reply or goes back
//! to the umem, and every frame is counted under exactly one verdict.

use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::reply;
use broken_lns_ebpf::sccrq::{self, Policy};
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::verdict::Verdict;
use xdp::slab::Slab;
use xdp::{Packet, Umem};

use crate::snapshot::VerdictCounts;

/// What a worker answers, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// Which requests are answered.
    pub policy: Policy,
    /// The reply.
    pub template: Template,
}

/// Answers every frame in `received`, and returns how the frames ended.
///
/// At most as many frames are taken as `replies` has room for; the rest stays
/// in `received`. Each answer is told to `announce`.
pub fn respond(
    orders: &Orders,
    received: &mut impl Slab,
    umem: &mut Umem,
    replies: &mut impl Slab,
    mut announce: impl FnMut(Answer),
) -> VerdictCounts {
    let mut counts = [0; Verdict::COUNT];
    while replies.available() > 0
        && let Some(mut packet) = received.pop_back()
    {
        let verdict = match answer(orders, &mut packet) {
            Ok(answer) => {
                if let Some(answer) = answer {
                    announce(answer);
                }
                replies.push_front(packet);
                Verdict::Answered
            }
            Err(verdict) => {
                umem.free_packet(packet);
                verdict
            }
        };
        if let Some(count) = counts.get_mut(verdict as usize) {
            *count += 1;
        }
    }
    counts
}

/// Turns the packet into the reply, or says why it stays as it is.
fn answer(orders: &Orders, packet: &mut Packet) -> Result<Option<Answer>, Verdict> {
    let Orders { policy, template } = orders;
    let sccrq = sccrq::parse(Frame::new(packet), || *policy)?;
    resize(packet, reply::frame_len(&sccrq, template)).ok_or(Verdict::NoRoom)?;
    let frame = Frame::new(packet);
    reply::write(frame, &sccrq, template).ok_or(Verdict::NoRoom)?;
    Ok(Answer::of_reply(frame, &sccrq))
}

/// Makes the packet `length` octets long; `None` where its frame is too short for that.
fn resize(packet: &mut Packet, length: usize) -> Option<()> {
    let growth = i32::try_from(length).ok()? - i32::try_from(packet.len()).ok()?;
    packet.adjust_tail(growth).ok()
}
