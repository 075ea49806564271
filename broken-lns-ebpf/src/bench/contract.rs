//! What the programs of the benchmark and the process that runs them agree on.
//!
//! The benchmark includes this file by its path: it is no part of the library,
//! since the responder has no use for it.

/// Program that makes requests, run by BPF_PROG_TEST_RUN with live frames.
pub(crate) const GENERATE: &str = "generate";
/// Program that counts answers on the LAC's side.
pub(crate) const COUNT: &str = "count";
/// Program that sends a frame back with its addresses swapped, and does nothing else.
pub(crate) const BOUNCE: &str = "bounce";
/// Program that gives every frame to the AF_XDP socket of its queue.
pub(crate) const TO_SOCKET: &str = "to_socket";

/// Array with the one [`Pattern`].
pub(crate) const PATTERN: &str = "PATTERN";
/// Array with the one number that sets the pace: nanoseconds from request to
/// request, [`FLOOD`] or [`STOPPED`].
pub(crate) const PACE: &str = "PACE";
/// Array with the one [`Progress`].
pub(crate) const PROGRESS: &str = "PROGRESS";
/// Per-CPU array of counters: [`ANSWERED`], [`MIRRORED`], [`FOREIGN`].
pub(crate) const COUNTERS: &str = "COUNTERS";
/// Array of the times at which requests were sent, by LAC, while [`TIMED`] is set.
pub(crate) const SENT: &str = "SENT";
/// Per-CPU array of round trips by [`bucket`], while [`TIMED`] is set.
pub(crate) const ROUND_TRIPS: &str = "ROUND_TRIPS";
/// AF_XDP sockets by receive queue.
pub(crate) const SOCKETS: &str = "SOCKETS";

/// Global: where the network layer begins, 14 or 22.
pub(crate) const NETWORK: &str = "NETWORK";
/// Global: 4 or 6.
pub(crate) const IP_VERSION: &str = "IP_VERSION";
/// Global: octets of a request's frame.
pub(crate) const FRAME_LEN: &str = "FRAME_LEN";
/// Global: where the value of Assigned Tunnel ID stands in a request's frame.
pub(crate) const TUNNEL_ID_AT: &str = "TUNNEL_ID_AT";
/// Global: how many LACs there are.
pub(crate) const LACS: &str = "LACS";
/// Global: how many LNSs they ask in turn: the one of the pattern, or those that [`lns`] tells.
pub(crate) const LNSS: &str = "LNSS";
/// Global: 1 to measure round trips.
pub(crate) const TIMED: &str = "TIMED";

/// The pace at which requests follow each other without a pause.
pub(crate) const FLOOD: u64 = 0;
/// The pace at which there are none.
pub(crate) const STOPPED: u64 = u64::MAX;

/// Counter of answers: StopCCN with Nr 1 for the tunnel of the LAC that it reached.
pub(crate) const ANSWERED: u32 = 0;
/// Counter of requests that came back with their addresses swapped.
pub(crate) const MIRRORED: u32 = 1;
/// Counter of all other frames.
pub(crate) const FOREIGN: u32 = 2;
/// How many counters there are.
pub(crate) const COUNTER_COUNT: u32 = 3;

/// The address of the first LAC, as a number; the others follow it.
pub(crate) const FIRST_LAC: u32 = 0x0a00_0001;
/// The last 64 bits of the first LAC's IPv6 address; the first 64 are the pattern's.
pub(crate) const FIRST_LAC6: u64 = 1;
/// The most LACs whose round trips can be measured.
pub(crate) const MAX_TIMED_LACS: u32 = 1 << 16;

/// Octets of the longest request, rounded up to what is copied at a time.
pub(crate) const PATTERN_LEN: usize = 192;
/// Octets of what the generator is run on. The kernel gives it recycled frames
/// and sets their length anew only where the program changed it: so every
/// request has to be shorter than this.
pub(crate) const INPUT_LEN: usize = 256;

/// How many requests the generator may be late and catch up on.
pub(crate) const BACKLOG: u64 = 16;

/// The request of no LAC: what depends on the LAC is 0 in it.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Pattern {
    /// The frame.
    pub(crate) words: [u64; PATTERN_LEN / 8],
    /// The sum over the IPv4 header, without what depends on the LAC.
    pub(crate) ipv4_sum: u64,
    /// The sum for the UDP checksum, likewise.
    pub(crate) udp_sum: u64,
    /// The address of the LNS in memory order; an IPv4 address is the first half of the first word.
    pub(crate) lns: [u64; 2],
    /// The first 64 bits of a LAC's IPv6 address, in memory order.
    pub(crate) lac_prefix: u64,
}

/// How far the generator is.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Progress {
    /// Requests made.
    pub(crate) offered: u64,
    /// When the next one is due, in nanoseconds of the monotonic clock.
    pub(crate) due: u64,
    /// The LAC whose turn it is.
    pub(crate) lac: u64,
}

/// The tunnel id that LAC number `lac` assigns, never 0.
#[inline(always)]
pub(crate) const fn tunnel_id(lac: u32) -> u16 {
    match lac.wrapping_mul(0x9e37) as u16 {
        0 => 0x5a5a,
        id => id,
    }
}

/// The IPv4 address of LNS number `number` as a number. They lie scattered from 128.0.0.0 to
/// 191.255.255.255, and no two of them are the same.
#[inline(always)]
pub(crate) const fn lns(number: u32) -> u32 {
    number.wrapping_add(1).wrapping_mul(0x9e37_79b1) & 0x3fff_ffff | 0x8000_0000
}

/// The port that it sends from.
#[inline(always)]
pub(crate) const fn port(lac: u32) -> u16 {
    0x8000 | lac as u16
}

/// Buckets for each doubling of a round trip: each is 1.6% wide, or narrower.
const PER_DOUBLING: u32 = 64;
/// How many buckets there are: the last one begins a little below two seconds.
pub(crate) const BUCKETS: u32 = 26 * PER_DOUBLING;

/// The bucket of a round trip of so many nanoseconds.
#[inline(always)]
pub(crate) const fn bucket(nanoseconds: u64) -> u32 {
    let nanoseconds = if nanoseconds > 0x7fff_ffff {
        0x7fff_ffff
    } else {
        nanoseconds as u32
    };
    if nanoseconds < PER_DOUBLING {
        return nanoseconds;
    }
    let shift = 31 - nanoseconds.leading_zeros() - PER_DOUBLING.trailing_zeros();
    (shift << 6) + (nanoseconds >> shift)
}

/// Where a bucket begins, in nanoseconds.
pub(crate) const fn lower(bucket: u32) -> u64 {
    if bucket < 2 * PER_DOUBLING {
        return bucket as u64;
    }
    let shift = bucket / PER_DOUBLING - 1;
    ((bucket - shift * PER_DOUBLING) as u64) << shift
}
