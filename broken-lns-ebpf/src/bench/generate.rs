//! The generator: SCCRQs of many LACs, at flood or at a pace.
//!
//! The pace is kept here and not by the process, whose calls take milliseconds
//! each: the kernel runs the program without end, and until a request is due it
//! drops the frame.

use aya_ebpf::Global;
use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::{bpf_ktime_get_ns, bpf_xdp_adjust_tail};
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::wire::checksum::Sum;
use broken_lns_ebpf::wire::{ipv4, ipv6};

use crate::contract::{
    BACKLOG, FIRST_LAC, FIRST_LAC6, FLOOD, INPUT_LEN, PATTERN_LEN, Pattern, Progress, STOPPED, lns,
    port, tunnel_id,
};
use crate::kernel::{IP_VERSION, LACS, LNSS, NETWORK, PATTERN, SENT, TIMED, TUNNEL_ID_AT, frame};

#[map]
static PACE: Array<u64> = Array::with_max_entries(1, 0);
#[map]
static PROGRESS: Array<Progress> = Array::with_max_entries(1, 0);

#[unsafe(no_mangle)]
static FRAME_LEN: Global<u16> = Global::new(0);

/// The step in which the pattern is copied.
const STRIDE: usize = 32;

/// The entry point.
#[xdp]
fn generate(context: XdpContext) -> u32 {
    match offer(&context) {
        Some(()) => xdp_action::XDP_TX,
        None => xdp_action::XDP_DROP,
    }
}

/// Makes the request that is due; `None` while none is.
#[inline(always)]
fn offer(context: &XdpContext) -> Option<()> {
    let pace = PACE.get_ptr(0)?;
    // SAFETY: the value lives as long as the map; user space writes it in one word.
    let interval = unsafe { pace.read_volatile() };
    if interval == STOPPED {
        return None;
    }
    // SAFETY: one thread runs the program; user space only reads.
    let progress = unsafe { &mut *PROGRESS.get_ptr_mut(0)? };
    let is_timed = TIMED.load() != 0;
    if interval != FLOOD || is_timed {
        // SAFETY: the helper takes nothing and cannot fail.
        let now = unsafe { bpf_ktime_get_ns() };
        if now < progress.due {
            return None;
        }
        // Being late by a few requests is caught up on, by more is not: a
        // burst would look like loss.
        let earliest = now.saturating_sub(interval.wrapping_mul(BACKLOG));
        progress.due = (progress.due + interval).max(earliest);
        if is_timed && let Some(sent) = SENT.get_ptr_mut(progress.lac as u32) {
            // SAFETY: the value lives as long as the map; the counter reads it
            // only after the request was answered.
            unsafe { *sent = now };
        }
    }
    let lac = progress.lac as u32;
    progress.lac = if lac + 1 < LACS.load() {
        u64::from(lac) + 1
    } else {
        0
    };
    write(
        frame(context),
        PATTERN.get(0)?,
        lac,
        progress.offered as u32,
    )?;
    let growth = i32::from(FRAME_LEN.load()) - INPUT_LEN as i32;
    // SAFETY: the context is the one that the kernel called us with.
    if unsafe { bpf_xdp_adjust_tail(context.ctx, growth) } != 0 {
        return None;
    }
    progress.offered += 1;
    Some(())
}

/// Writes the request of `lac` over the frame, every octet of it. `turn` counts requests.
#[inline(always)]
fn write(frame: Frame<'_>, pattern: &Pattern, lac: u32, turn: u32) -> Option<()> {
    for stride in 0..PATTERN_LEN / STRIDE {
        let from: &[u64; STRIDE / 8] = pattern.words.get(stride * STRIDE / 8..)?.first_chunk()?;
        let to = frame.window::<STRIDE>(stride * STRIDE)?;
        to.set64::<0>(from[0]);
        to.set64::<8>(from[1]);
        to.set64::<16>(from[2]);
        to.set64::<24>(from[3]);
    }
    let (port, tunnel_id) = (port(lac).to_be(), tunnel_id(lac).to_be());
    let network = usize::from(NETWORK.load());
    let sum = Sum::ZERO.plus16(port).plus16(tunnel_id);
    let (transport, sum) = if IP_VERSION.load() == 4 {
        let address = FIRST_LAC.wrapping_add(lac).to_be();
        let ip = frame.window::<{ ipv4::HEADER_LEN }>(network)?;
        ip.set32::<12>(address);
        let mut addresses = Sum::ZERO.plus32(address);
        if LNSS.load() > 1 {
            let lns = lns(turn.checked_rem(LNSS.load())?).to_be();
            ip.set32::<16>(lns);
            addresses = addresses.plus32(lns);
        }
        ip.set16::<10>(addresses.plus64(pattern.ipv4_sum).checksum());
        (network + ipv4::HEADER_LEN, sum.plus(addresses))
    } else {
        let address = FIRST_LAC6.wrapping_add(u64::from(lac)).to_be();
        let ip = frame.window::<{ ipv6::HEADER_LEN }>(network)?;
        ip.set64::<16>(address);
        (network + ipv6::HEADER_LEN, sum.plus64(address))
    };
    let udp = frame.window::<8>(transport)?;
    udp.set16::<0>(port);
    udp.set16::<6>(sum.plus64(pattern.udp_sum).udp_checksum());
    frame
        .window::<2>(usize::from(TUNNEL_ID_AT.load()))?
        .set16::<0>(tunnel_id);
    Some(())
}
