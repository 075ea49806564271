//! What is captured of the LACs that are followed: their requests as they came, and the replies
//! to them.
//!
//! A request is kept when its event is begun, before the answer is written over it, and put out
//! with its verdict; one that is handed over is captured by its worker. As with events, these
//! are functions that the verifier walks on their own.

use core::slice;

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, xdp_md};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::captured::{Captured, Direction, SNAP_LEN};
use broken_lns_ebpf::maps;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use broken_lns_ebpf::verifier::pin;

use super::{buffer_len, count, load};

#[map]
static CAPTURED: RingBuf = RingBuf::with_byte_size(maps::CAPTURED_SIZE, 0);
/// One for each [`Direction`].
#[map]
static KEPT: PerCpuArray<Kept> = PerCpuArray::with_max_entries(2, 0);

#[unsafe(no_mangle)]
static CAPTURE: Global<u8> = Global::new(0);

/// Room for the octets of a frame: a power of two.
const ROOM: usize = SNAP_LEN.next_power_of_two();

/// A frame that is put out when its verdict is known.
#[repr(C)]
struct Kept {
    captured: Captured,
    octets: [u64; ROOM / 8],
}

/// Keeps a request as it came. `scenario` and `rule` are numbers.
#[inline(always)]
pub(super) fn keep_request(context: &XdpContext, scenario: u32, rule: u32) {
    // Whether anything is captured is fixed when the program is loaded.
    if CAPTURE.load() != 0 {
        keep(context.ctx, Direction::Request as u32, scenario, rule);
    }
}

/// Notes by which rule the request is treated that was kept.
#[inline(always)]
pub(super) fn note_rule(rule: u32) {
    if CAPTURE.load() != 0 {
        with_kept(Direction::Request as u32, |kept| kept.captured.rule = rule);
    }
}

/// Puts out the request that was kept, and the reply that its frame has become.
#[inline(always)]
pub(super) fn put_out(context: &XdpContext, verdict: Verdict) {
    if CAPTURE.load() == 0 {
        return;
    }
    put(Direction::Request as u32, verdict as u32);
    if verdict.disposition() == Disposition::Transmit {
        keep_reply(context.ctx);
        put(Direction::Reply as u32, verdict as u32);
    }
}

/// Has `act` do something with the frame that is kept of that direction.
#[inline(always)]
fn with_kept(direction: u32, act: impl FnOnce(&mut Kept)) {
    if let Some(kept) = KEPT.get_ptr_mut(direction) {
        // SAFETY: the value belongs to this CPU, the program is not preempted by itself, and
        // nothing in `act` comes here again.
        act(unsafe { &mut *kept });
    }
}

/// Keeps the frame as it is now. `direction`, `scenario` and `rule` are numbers.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn keep(context: *mut xdp_md, direction: u32, scenario: u32, rule: u32) -> u32 {
    let context = XdpContext::new(context);
    with_kept(direction, |kept| {
        // SAFETY: the helper takes nothing and cannot fail.
        let time = unsafe { bpf_ktime_get_ns() };
        kept.captured = Captured {
            time,
            scenario,
            rule,
            len: buffer_len(&context),
            snap_len: load(&context, 0, SNAP_LEN, &mut kept.octets),
            verdict: 0,
            direction,
        };
    });
    0
}

/// Keeps the reply, which has scenario and rule of the request that is kept.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn keep_reply(context: *mut xdp_md) -> u32 {
    let mut of_request = (0, 0);
    with_kept(Direction::Request as u32, |kept| {
        of_request = (kept.captured.scenario, kept.captured.rule);
    });
    let (scenario, rule) = of_request;
    keep(context, Direction::Reply as u32, scenario, rule)
}

/// Puts out what is kept of that direction, with the verdict as a number.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn put(direction: u32, verdict: u32) -> u32 {
    with_kept(direction, |kept| {
        kept.captured.verdict = verdict;
        let is_out = kept.captured.snap_len > 0 && {
            let snap_len = (pin(kept.captured.snap_len as usize - 1) & (ROOM - 1)) + 1;
            let start = (&raw const *kept).cast::<u8>();
            // SAFETY: behind the value that begins there is room for its octets, by the mask.
            let entry = unsafe { slice::from_raw_parts(start, Captured::LEN + snap_len) };
            let flags = u64::from(BPF_RB_NO_WAKEUP);
            CAPTURED.output::<[u8]>(entry, flags).is_ok()
        };
        if !is_out {
            count(maps::CAPTURED_LOST);
        }
    });
    0
}
