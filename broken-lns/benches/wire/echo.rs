//! The bare AF_XDP echo: the responder's own worker and rings, with nothing but swaps to do.

use broken_lns::queue::Work;
use broken_lns::snapshot::VerdictCounts;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::{ethernet, ipv4, ipv6};
use xdp::Umem;
use xdp::slab::{HeapSlab, Slab as _};

/// Sends every frame back with its addresses swapped.
pub(crate) struct Echo {
    /// Where the network layer begins.
    pub(crate) network: usize,
    pub(crate) ip_version: u8,
}

impl Work for Echo {
    fn work(
        &mut self,
        received: &mut HeapSlab,
        umem: &mut Umem,
        replies: &mut HeapSlab,
        _announce: impl FnMut(Answer),
    ) -> VerdictCounts {
        let mut counts = [0; Verdict::COUNT];
        while replies.available() > 0
            && let Some(mut packet) = received.pop_back()
        {
            match self.swap(Frame::new(&mut packet)) {
                Some(()) => {
                    replies.push_front(packet);
                    counts[Verdict::Answered as usize] += 1;
                }
                None => {
                    umem.free_packet(packet);
                    counts[Verdict::OtherTraffic as usize] += 1;
                }
            }
        }
        counts
    }
}

impl Echo {
    fn swap(&self, frame: Frame<'_>) -> Option<()> {
        let transport = if self.ip_version == 4 {
            let ip = frame.window::<{ ipv4::HEADER_LEN }>(self.network)?;
            let (source, destination) = (ip.get32::<12>(), ip.get32::<16>());
            ip.set32::<12>(destination);
            ip.set32::<16>(source);
            self.network + ipv4::HEADER_LEN
        } else {
            let ip = frame.window::<{ ipv6::HEADER_LEN }>(self.network)?;
            let source = [ip.get64::<8>(), ip.get64::<16>()];
            let destination = [ip.get64::<24>(), ip.get64::<32>()];
            ip.set64::<8>(destination[0]);
            ip.set64::<16>(destination[1]);
            ip.set64::<24>(source[0]);
            ip.set64::<32>(source[1]);
            self.network + ipv6::HEADER_LEN
        };
        let ports = frame.window::<4>(transport)?;
        let (source, destination) = (ports.get16::<0>(), ports.get16::<2>());
        ports.set16::<0>(destination);
        ports.set16::<2>(source);
        ethernet::Header::of(frame)?.swap_addresses();
        Some(())
    }
}
