//! The counter on the LAC's side: what came back, judged by its content.

use aya_ebpf::bindings::xdp_action;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::{map, xdp};
use aya_ebpf::maps::PerCpuArray;
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::wire::{ipv4, ipv6, l2tp, udp};

use crate::contract::{
    ANSWERED, BUCKETS, COUNTER_COUNT, FIRST_LAC, FIRST_LAC6, FOREIGN, MIRRORED, bucket, port,
    tunnel_id,
};
use crate::kernel::{IP_VERSION, LACS, LNSS, NETWORK, PATTERN, SENT, TIMED, TUNNEL_ID_AT, frame};

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTER_COUNT, 0);
#[map]
static ROUND_TRIPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(BUCKETS, 0);

/// Message Type as the first AVP, with the value to be added: mandatory, 8 octets, IETF, type 0.
const MESSAGE_TYPE: u64 = 0x8008_0000_0000_0000;
/// The first word of a control message.
const FLAGS: u16 = 0xc802;

/// The entry point.
#[xdp(frags)]
fn count(context: XdpContext) -> u32 {
    match judge(frame(&context)) {
        Some((counter, lac)) => {
            add(&COUNTERS, counter);
            if TIMED.load() != 0 {
                time(lac);
            }
            xdp_action::XDP_DROP
        }
        None => {
            add(&COUNTERS, FOREIGN);
            xdp_action::XDP_PASS
        }
    }
}

/// What the frame is to be counted as, and the LAC that it reached.
#[inline(always)]
fn judge(frame: Frame<'_>) -> Option<(u32, u32)> {
    let pattern = PATTERN.get(0)?;
    let network = usize::from(NETWORK.load());
    let (lac, transport) = if IP_VERSION.load() == 4 {
        let ip = ipv4::Header::at(frame.place(network as u16))?;
        let is_lns = u64::from(ip.source()) == pattern.lns[0] || LNSS.load() > 1;
        if ip.protocol() != ipv4::UDP || !is_lns {
            return None;
        }
        let lac = u32::from_be(ip.destination()).wrapping_sub(FIRST_LAC);
        (lac, network + ipv4::HEADER_LEN)
    } else {
        let ip = ipv6::Header::at(frame.place(network as u16))?;
        let (lns, lac) = (ip.source(), ip.destination());
        if ip.next_header() != ipv6::UDP || lns != pattern.lns || lac[0] != pattern.lac_prefix {
            return None;
        }
        let lac = u64::from_be(lac[1]).wrapping_sub(FIRST_LAC6);
        (u32::try_from(lac).ok()?, network + ipv6::HEADER_LEN)
    };
    let ports = udp::Header::at(frame.place(transport as u16))?;
    if lac >= LACS.load()
        || ports.source_port() != l2tp::PORT
        || ports.destination_port() != port(lac)
    {
        return None;
    }
    let message = frame.window::<20>(transport + udp::HEADER_LEN)?;
    if message.number16::<0>() != FLAGS || message.get32::<6>() != 0 {
        return None;
    }
    let (to, nr) = (message.number16::<4>(), message.number16::<10>());
    match u64::from_be(message.get64::<12>()).wrapping_sub(MESSAGE_TYPE) {
        4 if to == tunnel_id(lac) && nr == 1 => Some((ANSWERED, lac)),
        1 if to == 0 && nr == 0 => {
            let assigned = frame.window::<2>(usize::from(TUNNEL_ID_AT.load()))?;
            (assigned.number16::<0>() == tunnel_id(lac)).then_some((MIRRORED, lac))
        }
        _ => None,
    }
}

/// Notes the round trip of the request of `lac`.
#[inline(always)]
fn time(lac: u32) {
    // SAFETY: the helper takes nothing and cannot fail.
    let now = unsafe { bpf_ktime_get_ns() };
    if let Some(sent) = SENT.get(lac) {
        add(&ROUND_TRIPS, bucket(now.wrapping_sub(*sent)));
    }
}

#[inline(always)]
fn add(counters: &PerCpuArray<u64>, index: u32) {
    if let Some(counter) = counters.get_ptr_mut(index) {
        // SAFETY: the value belongs to this CPU, and the program is not preempted
        // by itself; user space only reads.
        unsafe { *counter += 1 };
    }
}
