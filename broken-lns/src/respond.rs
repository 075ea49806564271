//! The packets of one batch: received packets in, replies out, no system call.
//!
//! Every frame leaves with a reply or goes back to the umem, and every packet is
//! counted under exactly one verdict.

use broken_lns_ebpf::verdict::Verdict;

use crate::af_xdp::{Packet, Umem};
use crate::snapshot::VerdictCounts;

/// How many packets ahead the processor is asked to have one in its cache.
const AHEAD: usize = 8;

/// The packets that a worker has in hand.
#[derive(Debug)]
pub struct Batch {
    /// Received, and not yet looked at.
    pub received: Vec<Packet>,
    /// To be sent.
    pub replies: Vec<Packet>,
    /// Most packets that can be sent this time.
    pub room: usize,
}

impl Batch {
    /// An empty batch with room for `size` packets of each kind.
    pub fn new(size: usize) -> Self {
        Self {
            received: Vec::with_capacity(size),
            replies: Vec::with_capacity(size),
            room: size,
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
        self.each_with(umem, |mut out, packet| {
            match work(out.umem.room(packet.address), packet.len as usize) {
                Ok(len) => {
                    out.send(packet.address, len);
                    Verdict::Answered
                }
                Err(verdict) => {
                    out.umem.give(packet.address);
                    verdict
                }
            }
        })
    }

    /// The same for work that sends the frame of the packet itself, or gives it back.
    #[inline]
    pub fn each_with(
        &mut self,
        umem: &mut Umem,
        mut work: impl FnMut(Out<'_>, Packet) -> Verdict,
    ) -> VerdictCounts {
        let mut counts = [0; Verdict::COUNT];
        for (index, packet) in self.received.iter().enumerate() {
            if let Some(later) = self.received.get(index + AHEAD) {
                umem.prefetch(later);
            }
            // The packets that are left may need a place each.
            let left = self.received.len() - index;
            let out = Out {
                umem,
                replies: &mut self.replies,
                room: self.room.saturating_sub(left),
            };
            let verdict = work(out, *packet);
            if let Some(count) = counts.get_mut(verdict as usize) {
                *count += 1;
            }
        }
        self.received.clear();
        counts
    }

    /// Where packets go that answer nothing of this batch: into half of the room, so that
    /// the other half is left for what is received.
    pub fn out<'b>(&'b mut self, umem: &'b mut Umem) -> Out<'b> {
        Out {
            umem,
            replies: &mut self.replies,
            room: self.room.div_ceil(2),
        }
    }
}

/// Where replies go.
pub struct Out<'b> {
    /// Whence frames are taken, and whither they are given back.
    pub umem: &'b mut Umem,
    replies: &'b mut Vec<Packet>,
    /// Most replies there may be, of those for which a frame is taken.
    room: usize,
}

impl Out<'_> {
    /// A free frame for a packet, where it could be sent.
    #[inline]
    pub fn take(&mut self) -> Option<u64> {
        if self.replies.len() >= self.room.min(self.replies.capacity()) {
            return None;
        }
        self.umem.take()
    }

    /// Sends the first `len` octets of what is at `address`.
    #[inline]
    pub fn send(&mut self, address: u64, len: usize) {
        self.replies.push(Packet {
            address,
            len: len as u32,
        });
    }
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
}
