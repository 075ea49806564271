//! What is told of the control messages of the LACs that are followed.
//!
//! An event is begun before the frame is looked at for an answer, which overwrites
//! it, and told when its verdict is known.

use aya_ebpf::Global;
use aya_ebpf::bindings::BPF_RB_NO_WAKEUP;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::frame::{Frame, Place};
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::Datagram;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use broken_lns_ebpf::wire::l2tp;

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(maps::EVENTS_SIZE, 0);
#[map]
static TOLD: PerCpuArray<Told> = PerCpuArray::with_max_entries(1, 0);

#[unsafe(no_mangle)]
static SAMPLE: Global<u64> = Global::new(0);

/// Octets of a message that are told of it.
const HEAD_LEN: usize = 128;

/// An event, and behind it the beginning of the message, where that is told, too.
#[repr(C)]
struct Told {
    event: Event,
    head: [u64; HEAD_LEN / 8],
}

/// Whether anybody is followed: this is fixed when the program is loaded.
#[inline(always)]
pub(super) fn is_on() -> bool {
    SAMPLE.load() != 0
}

/// Begins the event of a frame; whether there is one to be told.
#[inline(always)]
pub(super) fn listen(
    frame: Frame<'_>,
    datagram: &Datagram<'_>,
    frame_len: u32,
    scenario: u32,
) -> bool {
    // SAFETY: the helper takes nothing and cannot fail.
    let now = unsafe { bpf_ktime_get_ns() };
    let Some((event, message)) = Event::heard(frame, datagram, now, frame_len) else {
        return false;
    };
    if !Sample::from_word(SAMPLE.load()).has(event.lac) {
        return false;
    }
    let Some(told) = TOLD.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: the value belongs to this CPU, and the program is not preempted by itself.
    let told = unsafe { &mut *told };
    told.event = Event { scenario, ..event };
    if has_head(&told.event) {
        told.head = [0; HEAD_LEN / 8];
        copy(message, &mut told.head);
    }
    true
}

/// Whether the beginning of the message is told, too: where it may say what the LAC thinks.
#[inline(always)]
fn has_head(event: &Event) -> bool {
    event.message_type != 0 && event.message_type != l2tp::SCCRQ
}

/// Copies the beginning of a message, as far as it goes in whole words.
#[inline(always)]
fn copy(message: Place<'_>, head: &mut [u64; HEAD_LEN / 8]) {
    let mut place = message;
    for word in head {
        let Some(octets) = place.window::<8>() else {
            return;
        };
        *word = octets.get64::<0>();
        place = octets.skip(8);
    }
}

/// Completes the event with the rule that was met, and the tunnel id of the SCCRQ.
#[inline(always)]
pub(super) fn note(rule: u32, tunnel_id: u16) {
    if !is_on() {
        return;
    }
    if let Some(told) = TOLD.get_ptr_mut(0) {
        // SAFETY: as above.
        let told = unsafe { &mut *told };
        told.event.rule = rule;
        told.event.assigned_tunnel_id = tunnel_id;
    }
}

/// Tells the event that was begun. Returns whether there was room for it.
#[inline(always)]
pub(super) fn tell(verdict: Option<Verdict>) -> bool {
    let is_ours = match verdict {
        None => true,
        Some(verdict) => {
            verdict.disposition() != Disposition::Pass
                || matches!(verdict, Verdict::Passed | Verdict::NoSocket)
        }
    };
    let Some(told) = TOLD.get_ptr_mut(0).filter(|_| is_ours) else {
        return true;
    };
    // SAFETY: as above.
    let told = unsafe { &mut *told };
    told.event.verdict = verdict.map_or(Event::HANDED_OVER, |verdict| verdict as u16);
    let flags = u64::from(BPF_RB_NO_WAKEUP);
    match has_head(&told.event) {
        true => EVENTS.output::<Told>(&*told, flags).is_ok(),
        false => EVENTS.output::<Event>(&told.event, flags).is_ok(),
    }
}
