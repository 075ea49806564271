//! What is told of the control messages of the LACs that are followed.
//!
//! An event is begun before the frame is looked at for an answer, which overwrites it, and
//! told when its verdict is known. Both are functions that the verifier walks on their own,
//! once, and not on every way that leads to them: it believes nothing of their arguments but
//! what they are, and nothing of what they return.

use core::slice;

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_RB_NO_WAKEUP, xdp_md};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::event::{Event, HEAD_LEN};
use broken_lns_ebpf::layers::Layers;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::Sccrq;
use broken_lns_ebpf::verifier::pin;

use super::lookup::{self, Place};
use super::{End, buffer_len, capture, count, frame, load};

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(maps::EVENTS_SIZE, 0);
#[map]
static TOLD: PerCpuArray<Told> = PerCpuArray::with_max_entries(1, 0);

#[unsafe(no_mangle)]
static SAMPLE: Global<u64> = Global::new(0);

/// An event, and behind it the beginning of the message, where that is told, too.
#[repr(C)]
struct Told {
    event: Event,
    head: [u64; HEAD_LEN / 8],
    /// Octets of the beginning.
    head_len: u64,
}

/// The event of a frame that was begun, and what the rest of it is known by.
#[derive(Clone, Copy)]
pub(super) struct Begun(u32);

impl Begun {
    const IS_TOLD: u32 = 1 << 16;

    /// There is none.
    pub(super) const NOTHING: Self = Self(0);

    /// The same of an SCCRQ, which assigns a tunnel id.
    #[inline(always)]
    pub(super) fn of(self, sccrq: &Sccrq) -> Self {
        Self(self.0 & Self::IS_TOLD | u32::from(sccrq.tunnel_id))
    }
}

/// Begins the event of a frame, if its LAC is followed.
#[inline(always)]
pub(super) fn listen(context: &XdpContext, layers: Layers, place: Place) -> Begun {
    // Whether anybody is followed is fixed when the program is loaded.
    if SAMPLE.load() == 0 {
        return Begun::NOTHING;
    }
    Begun(begin_event(context.ctx, layers.to_word(), place.to_word()) & Begun::IS_TOLD)
}

/// Tells the event that was begun, if one was.
#[inline(always)]
pub(super) fn tell(context: &XdpContext, begun: Begun, end: &End) {
    if SAMPLE.load() == 0 || begun.0 & Begun::IS_TOLD == 0 {
        return;
    }
    match end {
        End::Verdict(verdict) => {
            end_event(begun.0, *verdict as u32);
            capture::put_out(context, *verdict);
        }
        End::HandedOver => {
            end_event(begun.0, Event::HANDED_OVER.into());
        }
    }
}

/// Notes by which rule the request is treated whose event was begun, if one was.
#[inline(always)]
pub(super) fn met(rule: u32) {
    if SAMPLE.load() != 0 {
        note_rule(rule);
    }
}

/// Puts the number of another rule into the event that was begun last, and into what is captured.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn note_rule(rule: u32) -> u32 {
    if let Some(told) = TOLD.get_ptr_mut(0) {
        // SAFETY: the value belongs to this CPU, and the program is not preempted by itself.
        let told = unsafe { &mut *told };
        told.event.rule = rule;
    }
    capture::note_rule(rule);
    0
}

/// Notes what is heard, before the frame changes. `layers` and `place` are the numbers of theirs.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn begin_event(context: *mut xdp_md, layers: u32, place: u32) -> u32 {
    let context = XdpContext::new(context);
    let layers = Layers::from_word(layers);
    let sample = Sample::from_word(SAMPLE.load());
    let frame_len = || buffer_len(&context);
    // SAFETY: the helper takes nothing and cannot fail.
    let now = || unsafe { bpf_ktime_get_ns() };
    let Some(event) = Event::heard(frame(&context), layers, sample, now, frame_len) else {
        return 0;
    };
    let place = Place::from_word(place);
    let scenario = lookup::scenario(place.bank()).map_or(0, |scenario| scenario.number);
    let rule = place.rule().map_or(0, |rule| rule.number);
    capture::keep_request(&context, scenario, rule);
    let Some(told) = TOLD.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the value belongs to this CPU, and the program is not preempted by itself.
    let told = unsafe { &mut *told };
    told.event = Event {
        scenario,
        rule,
        ..event
    };
    told.head_len = match event.message_type {
        // A ZLB says no more than its header.
        0 => 0,
        _ => load(&context, layers.message().into(), HEAD_LEN, &mut told.head).into(),
    };
    Begun::IS_TOLD
}

/// Tells what was noted, with the tunnel id in `begun`, and the verdict as a number.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn end_event(begun: u32, verdict: u32) -> u32 {
    let Some(told) = TOLD.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the value belongs to this CPU, and the program is not preempted by itself.
    let told = unsafe { &mut *told };
    told.event.assigned_tunnel_id = begun as u16;
    told.event.verdict = verdict as u16;
    let head_len = match told.head_len as usize {
        0 => 0,
        len => (pin(len - 1) & (HEAD_LEN - 1)) + 1,
    };
    let start = (&raw const *told).cast::<u8>();
    // SAFETY: behind the event there is room for the beginning, by the mask.
    let entry = unsafe { slice::from_raw_parts(start, Event::LEN + head_len) };
    if EVENTS
        .output::<[u8]>(entry, BPF_RB_NO_WAKEUP.into())
        .is_err()
    {
        count(maps::EVENTS_LOST);
    }
    0
}
