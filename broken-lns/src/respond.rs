//! The work on one batch: received packets in, replies out, no system call.
//!
//! A reply is written into the frame of its request, with the parser and the
//! writer that the kernel half runs. Every frame leaves with a reply or goes
//! back to the umem, and every packet is counted under exactly one verdict.

use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::reply;
use broken_lns_ebpf::sccrq::{self, Policy};
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::verdict::Verdict;

use crate::af_xdp::{Packet, Umem};
use crate::snapshot::VerdictCounts;

/// How many packets ahead the processor is asked to have one in its cache.
const AHEAD: usize = 8;

/// What a worker answers, and with what.
#[derive(Clone, Copy, Debug)]
pub struct Orders {
    /// Which requests are answered.
    pub policy: Policy,
    /// The reply.
    pub template: Template,
}

/// The packets that a worker has in hand.
#[derive(Debug)]
pub struct Batch {
    /// Received, and not yet looked at.
    pub received: Vec<Packet>,
    /// To be sent.
    pub replies: Vec<Packet>,
}

impl Batch {
    /// An empty batch with room for `size` packets of each kind.
    pub fn new(size: usize) -> Self {
        Self {
            received: Vec::with_capacity(size),
            replies: Vec::with_capacity(size),
        }
    }

    /// Takes every packet that was received: `work` makes it a reply of so many octets in the
    /// room that it is given, or says why not. Returns how the packets ended.
    #[inline]
    pub fn each(
        &mut self,
        umem: &mut Umem,
        mut work: impl FnMut(&mut [u8], usize) -> Result<usize, Verdict>,
    ) -> VerdictCounts {
        let mut counts = [0; Verdict::COUNT];
        for (index, packet) in self.received.iter().enumerate() {
            if let Some(later) = self.received.get(index + AHEAD) {
                umem.prefetch(later);
            }
            let verdict = match work(umem.room(packet.address), packet.len as usize) {
                Ok(len) => {
                    self.replies.push(Packet {
                        len: len as u32,
                        ..*packet
                    });
                    Verdict::Answered
                }
                Err(verdict) => {
                    umem.give(packet.address);
                    verdict
                }
            };
            if let Some(count) = counts.get_mut(verdict as usize) {
                *count += 1;
            }
        }
        self.received.clear();
        counts
    }
}

/// Answers every packet that was received, and returns how the packets ended. Each
/// answer is told to `announce`.
pub fn respond(
    orders: &Orders,
    umem: &mut Umem,
    batch: &mut Batch,
    mut announce: impl FnMut(Answer),
) -> VerdictCounts {
    batch.each(umem, |room, len| {
        let (len, answer) = answer(orders, room, len)?;
        if let Some(answer) = answer {
            announce(answer);
        }
        Ok(len)
    })
}

/// Turns the packet of `len` octets at the beginning of `room` into the reply, and
/// returns the length of that.
///
/// # Errors
///
/// The verdict on a packet that is not answered, and stays as it is.
pub fn answer(
    orders: &Orders,
    room: &mut [u8],
    len: usize,
) -> Result<(usize, Option<Answer>), Verdict> {
    let Orders { policy, template } = orders;
    let request = room.get_mut(..len).ok_or(Verdict::NoRoom)?;
    let sccrq = sccrq::parse(Frame::new(request), || *policy)?;
    let len = reply::frame_len(&sccrq, template);
    let reply = Frame::new(room.get_mut(..len).ok_or(Verdict::NoRoom)?);
    reply::write(reply, &sccrq, template).ok_or(Verdict::NoRoom)?;
    Ok((len, Answer::of_reply(reply, &sccrq)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_answered_or_its_frame_given_back() {
        let mut umem = Umem::new(4).unwrap();
        let mut batch = Batch::new(4);
        for len in [60, 61, 62, 63] {
            let address = umem.take().unwrap() + 256;
            batch.received.push(Packet { address, len });
        }
        let mut rooms = Vec::new();
        let counts = batch.each(&mut umem, |room, len| {
            rooms.push((room.len(), len));
            match len % 2 {
                0 => Ok(len + 100),
                _ => Err(Verdict::Zlb),
            }
        });
        assert_eq!(rooms, [(3840, 60), (3840, 61), (3840, 62), (3840, 63)]);
        let replies: Vec<_> = batch.replies.iter().map(|reply| reply.len).collect();
        assert_eq!(replies, [160, 162]);
        assert_eq!(counts[Verdict::Answered as usize], 2);
        assert_eq!(counts[Verdict::Zlb as usize], 2);
        assert_eq!(counts.iter().sum::<u64>(), 4);
        assert!(batch.received.is_empty());
        assert_eq!(umem.free(), 2);
    }

    #[test]
    fn a_packet_that_is_longer_than_its_room_has_none() {
        let orders = Orders {
            policy: Policy {
                mac: None,
                verify_checksum: false,
                avp_limit: u32::MAX,
            },
            template: Template::new(&[0; 12]).unwrap(),
        };
        assert_eq!(answer(&orders, &mut [0; 10], 11), Err(Verdict::NoRoom));
    }
}
