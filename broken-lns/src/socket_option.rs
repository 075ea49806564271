//! The options of an AF_XDP socket that `nix` does not know.

use std::ffi::c_int;

// The first macro is written in terms of the other two.
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

/// `XDP_MAX_TX_SKB_BUDGET` of `linux/if_xdp.h`.
const XDP_MAX_TX_SKB_BUDGET: c_int = 9;

sockopt_impl!(
    /// The memory of the frames.
    UmemRegion, SetOnly, libc::SOL_XDP, libc::XDP_UMEM_REG, libc::xdp_umem_reg
);
sockopt_impl!(
    /// Entries of the ring of frames to receive into.
    FillRing, SetOnly, libc::SOL_XDP, libc::XDP_UMEM_FILL_RING, u32
);
sockopt_impl!(
    /// Entries of the ring of frames that were sent.
    CompletionRing, SetOnly, libc::SOL_XDP, libc::XDP_UMEM_COMPLETION_RING, u32
);
sockopt_impl!(
    /// Entries of the ring of packets that were received.
    RxRing, SetOnly, libc::SOL_XDP, libc::XDP_RX_RING, u32
);
sockopt_impl!(
    /// Entries of the ring of packets to send.
    TxRing, SetOnly, libc::SOL_XDP, libc::XDP_TX_RING, u32
);
sockopt_impl!(
    /// Where in their memory the parts of the rings lie.
    MmapOffsets, GetOnly, libc::SOL_XDP, libc::XDP_MMAP_OFFSETS, libc::xdp_mmap_offsets
);
sockopt_impl!(
    /// The kernel's counters of the socket.
    Statistics, GetOnly, libc::SOL_XDP, libc::XDP_STATISTICS, libc::xdp_statistics
);
sockopt_impl!(
    /// Whether the socket is in zero-copy mode.
    Options, GetOnly, libc::SOL_XDP, libc::XDP_OPTIONS, libc::xdp_options
);
sockopt_impl!(
    /// Frames that one call sends in copy mode, since Linux 6.17.
    MaxTxBudget, SetOnly, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, u32
);
sockopt_impl!(
    /// Whether the driver is polled by this socket's calls rather than by interrupts.
    PreferBusyPoll, SetOnly, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, u32
);
sockopt_impl!(
    /// Microseconds for which a call polls the driver.
    BusyPoll, SetOnly, libc::SOL_SOCKET, libc::SO_BUSY_POLL, u32
);
sockopt_impl!(
    /// Frames that a call takes from the driver.
    BusyPollBudget, SetOnly, libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, u32
);
