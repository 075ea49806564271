//! The bare AF_XDP echo: the responder's own worker and rings, with nothing but swaps to do.

use anyhow::Result;
use broken_lns::af_xdp::Umem;
use broken_lns::queue::Work;
use broken_lns::respond::Batch;
use broken_lns::snapshot::VerdictCounts;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::{ethernet, ipv4, ipv6};

use crate::bed::Bed;

/// Sends every frame back with its addresses swapped.
pub(crate) struct Echo {
    /// Where the network layer begins.
    pub(crate) network: usize,
    pub(crate) ip_version: u8,
}

impl Work for Echo {
    fn work(
        &mut self,
        _now: u64,
        umem: &mut Umem,
        batch: &mut Batch,
        _announce: impl FnMut(Answer),
    ) -> VerdictCounts {
        batch.each(umem, |room, len| {
            let packet = room.get_mut(..len).ok_or(Verdict::NoRoom)?;
            let swapped = self.swap(Frame::new(packet));
            swapped.map(|()| len).ok_or(Verdict::OtherTraffic)
        })
    }
}

impl Echo {
    /// The echo for the requests of a test bed.
    pub(crate) fn of(bed: &Bed) -> Result<Self> {
        let request = bed.traffic.request()?;
        Ok(Self {
            network: usize::from(request.network),
            ip_version: request.ip_version,
        })
    }

    /// Swaps the addresses of every layer; `None` where the frame is too short.
    pub(crate) fn swap(&self, frame: Frame<'_>) -> Option<()> {
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
