//! What workers wait for: the acknowledgements of what they sent.

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, xdp_md};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::acknowledgement::{Acknowledgement, Awaited, Peers};
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sccrq;

use super::{frame, lookup};

/// Only workers add to it, who can wait for memory: so it takes none before.
#[map]
static AWAITED: HashMap<Peers, Awaited> =
    HashMap::with_max_entries(maps::MAX_AWAITED, BPF_F_NO_PREALLOC);

/// Every StopCCN is the first message of its LNS.
const NS: u16 = 0;

/// Notes that the message in the frame acknowledges something, if a worker waits for that.
///
/// A function that the verifier walks on its own, as those in `tell` are. It finds anew what it
/// needs: whatever the caller had to keep for it, the verifier would tell apart the ways to it by.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn heed(context: *mut xdp_md) -> u32 {
    if !lookup::active().awaits() {
        return 0;
    }
    let context = XdpContext::new(context);
    let frame = frame(&context);
    let layers = sccrq::layers(frame);
    let Some(acknowledgement) = layers.and_then(|layers| Acknowledgement::of(frame, layers)) else {
        return 0;
    };
    let Some(awaited) = AWAITED.get_ptr_mut(acknowledgement.peers) else {
        return 0;
    };
    // SAFETY: the pointer is that of an entry of the map. Volatile, because workers and other
    // CPUs may write there: whoever does, an acknowledgement came about now.
    unsafe {
        if acknowledgement.is_of((&raw const (*awaited).assigned).read_volatile(), NS) {
            (&raw mut (*awaited).acknowledged).write_volatile(bpf_ktime_get_ns());
        }
    }
    0
}
