//! The maps and globals through which the halves meet: names, values, capacities.

use crate::verdict::Verdict;
#[cfg(doc)]
use crate::wire::ethernet::MacAddress;

/// Name of the XDP program.
pub const PROGRAM: &str = "responder";

/// Array with the one [`Template`](crate::template::Template) that is answered with.
pub const TEMPLATES: &str = "TEMPLATES";
/// Per-CPU array of counters: one for each [`Verdict`], then [`HANDED_OVER`].
pub const COUNTERS: &str = "COUNTERS";
/// AF_XDP sockets by receive queue.
pub const SOCKETS: &str = "SOCKETS";
/// Ring buffer of [`Answer`](crate::answer::Answer)s, while [`ANNOUNCE`] is set.
pub const ANSWERS: &str = "ANSWERS";

/// Global: the path that frames take, a [`Path`] as a number.
pub const PATH: &str = "PATH";
/// Global: the MAC address that is answered for, as [`MacAddress::to_word`] gives it.
pub const MAC: &str = "MAC";
/// Global: 1 to answer for every MAC address.
pub const ANY_MAC: &str = "ANY_MAC";
/// Global: 1 to refuse control messages whose UDP checksum is wrong.
pub const VERIFY_CHECKSUM: &str = "VERIFY_CHECKSUM";
/// Global: 1 to announce answers in [`ANSWERS`].
pub const ANNOUNCE: &str = "ANNOUNCE";

/// The counter of frames handed to a worker, which counts the verdict.
pub const HANDED_OVER: u32 = Verdict::COUNT as u32;
/// How many counters there are.
pub const COUNTER_COUNT: u32 = HANDED_OVER + 1;
/// Receive queues beyond this one have no socket.
pub const MAX_QUEUES: u32 = 256;
/// Octets of the ring buffer of answers.
pub const ANSWERS_SIZE: u32 = 1 << 16;
/// How many answers a CPU announces in a second, at the most.
pub const ANSWERS_PER_SECOND: u64 = 100;

/// The path of an SCCRQ through the kernel half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Path {
    /// Every SCCRQ is rewritten in place; what cannot be is not answered.
    Rewrite = 0,
    /// Every SCCRQ goes to the worker of its queue.
    Redirect = 1,
    /// What can be is rewritten, the rest goes to the worker.
    RewriteElseRedirect = 2,
}
