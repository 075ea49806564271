//! How often a source address is replied to.

use aya_ebpf::Global;
use aya_ebpf::bindings::{BPF_F_MMAPABLE, xdp_md};
use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::layers::Layers;
use broken_lns_ebpf::parties::Parties;
use broken_lns_ebpf::rate_limit::{self, Bucket, Limit, Limited, Sketch};
use broken_lns_ebpf::sccrq::Sccrq;

use super::frame;

#[map]
static SKETCH: PerCpuArray<Sketch> = PerCpuArray::with_max_entries(1, 0);
/// Workers have it in their memory.
#[map]
static BUCKETS: Array<Bucket> = Array::with_max_entries(rate_limit::BUCKETS, BPF_F_MMAPABLE);
#[map]
static LIMITED: PerCpuArray<Limited> = PerCpuArray::with_max_entries(1, 0);

#[unsafe(no_mangle)]
static REPLY_INTERVAL: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
static REPLY_SEED: Global<u64> = Global::new(0);

/// Whether the reply in the frame may be sent, which counts as sent then.
#[inline(always)]
pub(super) fn may_send(context: &XdpContext, sccrq: &Sccrq) -> bool {
    // Whether there is a limit is fixed when the program is loaded.
    if REPLY_INTERVAL.load() == 0 {
        return true;
    }
    let layers = Layers {
        network: sccrq.network,
        version: sccrq.version,
        transport: 0,
    };
    take_reply(context.ctx, layers.to_word()) != 0
}

/// The same, 1 or 0, where `layers` is the number of theirs.
///
/// The verifier walks it on its own, once, and not on every way that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn take_reply(context: *mut xdp_md, layers: u32) -> u32 {
    let context = XdpContext::new(context);
    let Layers {
        network, version, ..
    } = Layers::from_word(layers);
    // The reply goes from whom the request went to.
    let Some(Parties { lns: lac, .. }) = Parties::of(frame(&context), network, version) else {
        return 0;
    };
    let limit = Limit {
        interval: REPLY_INTERVAL.load(),
        seed: REPLY_SEED.load(),
    };
    let source = limit.source(lac);
    // SAFETY: the helper takes nothing and cannot fail.
    let now = unsafe { bpf_ktime_get_coarse_ns() };
    let Some(sketch) = SKETCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the value belongs to this CPU, and the program is not preempted by itself.
    let sketch = unsafe { &mut *sketch };
    let Some(place) = sketch.get_mut(source.place() as usize) else {
        return 0;
    };
    let (full_at, is_suspect) = limit.sketch(*place, now);
    *place = full_at;
    if !is_suspect {
        return 1;
    }
    let [first, second] = source.buckets();
    let (Some(first), Some(second)) = (BUCKETS.get_ptr_mut(first), BUCKETS.get_ptr_mut(second))
    else {
        return 0;
    };
    // SAFETY: the pointers are those of entries of the map, whose words may be any. Volatile,
    // because workers and other CPUs write there.
    let buckets = unsafe { (first.read_volatile(), second.read_volatile()) };
    let Some((bucket, is_second)) = limit.take(source, buckets.0, buckets.1, now) else {
        note(Limited {
            address: lac,
            ip_version: version.number().into(),
        });
        return 0;
    };
    let place = if is_second { second } else { first };
    // SAFETY: as above.
    unsafe { place.write_volatile(bucket) };
    1
}

/// Keeps who had no reply first on this CPU.
#[inline(always)]
fn note(limited: Limited) {
    if let Some(first) = LIMITED.get_ptr_mut(0) {
        // SAFETY: the value belongs to this CPU, and the program is not preempted by itself; user
        // space only reads it, once it is there.
        let first = unsafe { &mut *first };
        if first.ip_version == 0 {
            *first = limited;
        }
    }
}
