//! What the programs share: globals, maps, and the way to a frame.

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::Array;
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::frame::Frame;

use crate::contract::{MAX_TIMED_LACS, Pattern};

#[map]
pub(crate) static PATTERN: Array<Pattern> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static SENT: Array<u64> = Array::with_max_entries(MAX_TIMED_LACS, 0);

#[unsafe(no_mangle)]
pub(crate) static NETWORK: Global<u8> = Global::new(14);
#[unsafe(no_mangle)]
pub(crate) static IP_VERSION: Global<u8> = Global::new(4);
#[unsafe(no_mangle)]
pub(crate) static TUNNEL_ID_AT: Global<u16> = Global::new(0);
#[unsafe(no_mangle)]
pub(crate) static LACS: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
pub(crate) static LNSS: Global<u32> = Global::new(1);
#[unsafe(no_mangle)]
pub(crate) static TIMED: Global<u8> = Global::new(0);

/// The frame of the context.
#[inline(always)]
pub(crate) fn frame(context: &XdpContext) -> Frame<'_> {
    let (start, end) = (context.data() as *mut u8, context.data_end() as *mut u8);
    // SAFETY: between the two lies the packet, which is the program's own
    // while it runs; no frame is used after the packet was resized.
    unsafe { Frame::from_range(start, end) }
}

/// Nothing in the programs panics; what LLVM keeps of it must link.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
