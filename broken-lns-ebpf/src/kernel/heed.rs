//! What workers wait for: the acknowledgements of what they sent.

use aya_ebpf::bindings::{BPF_F_NO_PREALLOC, xdp_md};
use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::map;
use aya_ebpf::maps::HashMap;
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::acknowledgement::{Acknowledgement, Awaited, Peers};
use broken_lns_ebpf::layers::Layers;
use broken_lns_ebpf::maps;

use super::frame;

/// Only workers add to it, who can wait for memory: so it takes none before.
#[map]
static AWAITED: HashMap<Peers, Awaited> =
    HashMap::with_max_entries(maps::MAX_AWAITED, BPF_F_NO_PREALLOC);

/// Every StopCCN is the first message of its LNS.
const NS: u16 = 0;

/// Notes that the message in the frame acknowledges something, if a worker waits for that.
/// `layers` is the number of its layers.
///
/// A function that the verifier walks on its own, as those in `tell` are.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) extern "C" fn heed(context: *mut xdp_md, layers: u32) -> u32 {
    let context = XdpContext::new(context);
    let layers = Layers::from_word(layers);
    let Some(acknowledgement) = Acknowledgement::of(frame(&context), layers) else {
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
