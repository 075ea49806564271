//! The maps and globals through which the halves meet: names, values, capacities.

use crate::verdict::Verdict;
#[cfg(doc)]
use crate::wire::ethernet::MacAddress;

/// Name of the XDP program.
pub const PROGRAM: &str = "responder";

/// Array with the one word that says what is [`Active`](crate::rules::Active).
pub const ACTIVE: &str = "ACTIVE";
/// Array of [`Scenario`](crate::rules::Scenario)s, one for each bank.
pub const SCENARIOS: &str = "SCENARIOS";
/// Array of [`Rule`](crate::rules::Rule)s; of this and of the arrays that follow, each bank has
/// one half.
pub const RULES: &str = "RULES";
/// Array of the [`Step`](crate::rules::Step)s to which rules lead by chance.
pub const STEPS: &str = "STEPS";
/// Array of [`Slice`](crate::ranges::Slice)s of [`RANGES_V4`]: the index of IPv4 LNSs.
pub const INDEX: &str = "INDEX";
/// Array of [`Range`](crate::ranges::Range)s of IPv4 addresses.
pub const RANGES_V4: &str = "RANGES_V4";
/// The same for IPv6.
pub const RANGES_V6: &str = "RANGES_V6";
/// Hash of [`Mark`](crate::rules::Mark)s, of which the least used ones give way.
pub const MARKS: &str = "MARKS";
/// Hash of what is [`Awaited`](crate::acknowledgement::Awaited) by workers, by the
/// [`Peers`](crate::acknowledgement::Peers).
pub const AWAITED: &str = "AWAITED";
/// Per-CPU array of the requests that met each rule, by the number of the rule.
pub const HITS: &str = "HITS";
/// Array of [`Template`](crate::template::Template)s that are answered with.
pub const TEMPLATES: &str = "TEMPLATES";
/// Array of [`Bucket`](crate::rate_limit::Bucket)s, which can be mapped.
pub const BUCKETS: &str = "BUCKETS";
/// Per-CPU array of one [`Limited`](crate::rate_limit::Limited).
pub const LIMITED: &str = "LIMITED";
/// Per-CPU array of counters: one for each [`Verdict`], then [`HANDED_OVER`].
pub const COUNTERS: &str = "COUNTERS";
/// Array of what may change of the interface while the program runs: one word for [`OWN_MAC`] and
/// one for [`OWN_MTU`].
pub const INTERFACE: &str = "INTERFACE";
/// AF_XDP sockets by receive queue.
pub const SOCKETS: &str = "SOCKETS";
/// Ring buffer of [`Answer`](crate::answer::Answer)s, while [`ANNOUNCE`] is set.
pub const ANSWERS: &str = "ANSWERS";

/// Ring buffer of [`Unanswered`](crate::unanswered::Unanswered), while [`ANNOUNCE`] is set.
pub const UNANSWERED: &str = "UNANSWERED";

/// Ring buffer of [`Event`](crate::event::Event)s of the LACs in [`SAMPLE`].
pub const EVENTS: &str = "EVENTS";
/// Ring buffer of frames of these LACs, while [`CAPTURE`] is set: of a
/// [`Captured`](crate::captured::Captured) each, and the octets behind it.
pub const CAPTURED: &str = "CAPTURED";

/// Global: the path that frames take, a [`Path`] as a number.
pub const PATH: &str = "PATH";
/// Global: 1 to answer for every MAC address.
pub const ANY_MAC: &str = "ANY_MAC";
/// Global: 1 to refuse control messages whose UDP checksum is wrong.
pub const VERIFY_CHECKSUM: &str = "VERIFY_CHECKSUM";
/// Global: [`Limit::interval`](crate::rate_limit::Limit::interval).
pub const REPLY_INTERVAL: &str = "REPLY_INTERVAL";
/// Global: [`Limit::seed`](crate::rate_limit::Limit::seed).
pub const REPLY_SEED: &str = "REPLY_SEED";
/// Global: which LACs are followed, a [`Sample`](crate::sample::Sample) as a word.
pub const SAMPLE: &str = "SAMPLE";
/// Global: 1 to capture in [`CAPTURED`].
pub const CAPTURE: &str = "CAPTURE";
/// Global: 1 to announce answers in [`ANSWERS`], and what has none in [`UNANSWERED`].
pub const ANNOUNCE: &str = "ANNOUNCE";

/// The entry of [`INTERFACE`] with the MAC address that is answered for, as [`MacAddress::to_word`]
/// gives it.
pub const OWN_MAC: u32 = 0;
/// The entry of [`INTERFACE`] with the octets of the largest IP packet that may be sent.
pub const OWN_MTU: u32 = 1;
/// How many entries [`INTERFACE`] has.
pub const INTERFACE_LEN: u32 = OWN_MTU + 1;

/// The counter of frames handed to a worker, which counts the verdict.
pub const HANDED_OVER: u32 = Verdict::COUNT as u32;
/// The counter of events for which the ring buffer had no room.
pub const EVENTS_LOST: u32 = HANDED_OVER + 1;
/// The counter of frames that were not captured, since the ring buffer had no room.
pub const CAPTURED_LOST: u32 = EVENTS_LOST + 1;
/// The counter of replies that were sent though they are longer than the MTU.
pub const OVER_MTU: u32 = CAPTURED_LOST + 1;
/// How many counters there are.
pub const COUNTER_COUNT: u32 = OVER_MTU + 1;
/// Rules of a scenario with its default: enough for 65,536 LNSs and as many LACs.
pub const MAX_RULES: u32 = (1 << 17) + 1;
/// Entries of [`RULES`] for a bank: a rule with rules for LACs has one more.
pub const MAX_RULE_ENTRIES: u32 = MAX_RULES + (1 << 16);
/// Steps of a bank.
pub const MAX_STEPS: u32 = 1 << 17;
/// Templates of a bank. Rules whose reply is none of them are for a worker.
pub const MAX_TEMPLATES: u32 = 4096;
/// Marks of workers that are remembered.
pub const MAX_MARKS: u32 = 1 << 16;
/// Pairs of a LAC's port and an LNS whose acknowledgements the workers of an interface wait for.
pub const MAX_AWAITED: u32 = 1 << 18;
/// Receive queues beyond this one have no socket.
pub const MAX_QUEUES: u32 = 256;
/// Octets of the ring buffer of events: some 80,000 of usual SCCRQs.
pub const EVENTS_SIZE: u32 = 1 << 24;
/// Octets of the ring buffer of captured frames where something is captured: some 40,000 of them.
pub const CAPTURED_SIZE: u32 = 1 << 23;
/// Octets of the ring buffer of answers, and of that of what has none.
pub const ANSWERS_SIZE: u32 = 1 << 16;
/// How many answers a CPU announces in a second, at the most, and how much that has none.
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
