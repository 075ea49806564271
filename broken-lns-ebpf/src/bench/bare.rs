//! What the responder is measured against: the least that its two paths can do.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::XskMap;
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::wire::{ethernet, ipv4, ipv6};

use crate::kernel::{IP_VERSION, NETWORK, frame};

#[map]
static SOCKETS: XskMap = XskMap::with_max_entries(1, 0);

/// Swaps the addresses of every layer and sends the frame back.
#[xdp(frags)]
fn bounce(context: XdpContext) -> u32 {
    match swap(frame(&context)) {
        Some(()) => xdp_action::XDP_TX,
        None => xdp_action::XDP_PASS,
    }
}

/// Gives the frame to the socket of its queue.
#[xdp(frags)]
fn to_socket(context: XdpContext) -> u32 {
    let queue = context.rx_queue_index();
    match SOCKETS.redirect(queue, u64::from(xdp_action::XDP_PASS)) {
        Ok(action) | Err(action) => action,
    }
}

#[inline(always)]
fn swap(frame: Frame<'_>) -> Option<()> {
    let network = usize::from(NETWORK.load());
    ethernet::Header::of(frame)?.swap_addresses();
    let transport = if IP_VERSION.load() == 4 {
        let ip = frame.window::<{ ipv4::HEADER_LEN }>(network)?;
        let (source, destination) = (ip.get32::<12>(), ip.get32::<16>());
        ip.set32::<12>(destination);
        ip.set32::<16>(source);
        network + ipv4::HEADER_LEN
    } else {
        let ip = frame.window::<{ ipv6::HEADER_LEN }>(network)?;
        let source = [ip.get64::<8>(), ip.get64::<16>()];
        let destination = [ip.get64::<24>(), ip.get64::<32>()];
        ip.set64::<8>(destination[0]);
        ip.set64::<16>(destination[1]);
        ip.set64::<24>(source[0]);
        ip.set64::<32>(source[1]);
        network + ipv6::HEADER_LEN
    };
    let ports = frame.window::<4>(transport)?;
    let (source, destination) = (ports.get16::<0>(), ports.get16::<2>());
    ports.set16::<0>(destination);
    ports.set16::<2>(source);
    Some(())
}
