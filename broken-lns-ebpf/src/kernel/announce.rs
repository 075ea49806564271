//! Lines for a person: what is told of single answers, and of what has none, while that is wanted.

use aya_ebpf::Global;
use aya_ebpf::bindings::xdp_md;
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{PerCpuArray, RingBuf};
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sccrq::{self, Sccrq};
use broken_lns_ebpf::twist::Twist;
use broken_lns_ebpf::unanswered::Unanswered;

#[map]
static ANSWERS: RingBuf = RingBuf::with_byte_size(maps::ANSWERS_SIZE, 0);
#[map]
static UNANSWERED: RingBuf = RingBuf::with_byte_size(maps::ANSWERS_SIZE, 0);
/// What this CPU announced of [`ANSWERED`] and of [`WITHOUT_ANSWER`].
#[map]
static ANNOUNCED: PerCpuArray<Announced> = PerCpuArray::with_max_entries(2, 0);

#[unsafe(no_mangle)]
static ANNOUNCE: Global<u8> = Global::new(0);

const ANSWERED: u32 = 0;
const WITHOUT_ANSWER: u32 = 1;

/// How much this CPU announced since when.
#[repr(C)]
struct Announced {
    /// Nanoseconds of the monotonic clock.
    since: u64,
    count: u64,
}

/// Whether this CPU announced less of that kind in this second than it may. It counts as one more
/// then.
#[inline(always)]
fn is_room(kind: u32) -> bool {
    let Some(announced) = ANNOUNCED.get_ptr_mut(kind) else {
        return false;
    };
    // SAFETY: as for a counter, the value belongs to this CPU and this run.
    let announced = unsafe { &mut *announced };
    // SAFETY: the helper takes nothing and cannot fail.
    let now = unsafe { bpf_ktime_get_ns() };
    if now.wrapping_sub(announced.since) >= 1_000_000_000 {
        *announced = Announced {
            since: now,
            count: 0,
        };
    }
    if announced.count >= maps::ANSWERS_PER_SECOND {
        return false;
    }
    announced.count += 1;
    true
}

/// Announces an answer, unless this CPU announced enough in this second.
#[inline(always)]
pub(super) fn announce(reply: Frame<'_>, sccrq: &Sccrq, twist: Twist) {
    if ANNOUNCE.load() == 0 {
        return;
    }
    let Some(answer) = Answer::of_reply(reply, sccrq).filter(|_| is_room(ANSWERED)) else {
        return;
    };
    if let Some(mut entry) = ANSWERS.reserve::<Answer>(0) {
        entry.write(answer.untwisted(twist));
        entry.submit(0);
    }
}

/// Announces likewise a control message that has no answer because of its Length, or of what it
/// is encapsulated in.
#[inline(always)]
pub(super) fn announce_unanswered(context: &XdpContext) {
    if ANNOUNCE.load() != 0 {
        tell_unanswered(context.ctx);
    }
}

/// A function that the verifier walks on its own, as `heed` is.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn tell_unanswered(context: *mut xdp_md) -> u32 {
    let context = XdpContext::new(context);
    let frame = super::frame(&context);
    let unanswered = match sccrq::layers(frame) {
        Some(layers) => Unanswered::of(frame, layers),
        None => Unanswered::encapsulated(frame),
    };
    let Some(unanswered) = unanswered.filter(|_| is_room(WITHOUT_ANSWER)) else {
        return 0;
    };
    if let Some(mut entry) = UNANSWERED.reserve::<Unanswered>(0) {
        entry.write(unanswered);
        entry.submit(0);
    }
    0
}
