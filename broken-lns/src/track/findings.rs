//! What is known of the LACs: plain data, as reports, expectations, metrics and a live view
//! read it.
//!
//! All times are nanoseconds: points of the monotonic clock where a field says when, and
//! durations where it says how long. A duration is measured where the events are made, in
//! the kernel or by a worker, and includes the network to the LAC and back.

mod lac;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use self::lac::{LacFindings, LacName, VisitFindings};
pub use super::distribution::Distribution;

/// What a LAC did about the answer of an LNS, or about the lack of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// It began the next attempt at another LNS.
    Failover,
    /// It began the next attempt at the same LNS.
    RetrySame,
    /// It began none, and sent nothing else, for as long as one is patient.
    GiveUp,
    /// It sent the same SCCRQ again, as if no answer had come: twice at the least, since a
    /// single one may have crossed the answer, or followed an answer that got lost.
    Ignore,
}

impl Reaction {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Failover, Self::RetrySame, Self::GiveUp, Self::Ignore];

    /// The name in an expectation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::RetrySame => "retry-same",
            Self::GiveUp => "give-up",
            Self::Ignore => "ignore",
        }
    }
}

/// Why nothing can be said about a reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// The end came before the LAC did anything, or before it was quiet for long enough.
    StillOpen,
    /// Events were lost while the attempt was under way, or shortly before.
    EventsLost,
    /// The memory was full, and the LAC the one that was heard of the longest ago.
    OutOfMemory,
    /// The LAC had several tunnels at once, and the next attempt may follow any of them.
    Parallel,
    /// The LAC asked its LNSs in no order, or at no regular times, as several tunnels at once do.
    Unordered,
    /// An acknowledgement came that may be for this StopCCN or for another one.
    Ambiguous,
    /// Another scenario put its LNS into another group meanwhile.
    GroupsChanged,
    /// The request was left to the host, whose answer nobody here sees.
    LeftToHost,
}

impl Doubt {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [
        Self::StillOpen,
        Self::EventsLost,
        Self::OutOfMemory,
        Self::Parallel,
        Self::Unordered,
        Self::Ambiguous,
        Self::GroupsChanged,
        Self::LeftToHost,
    ];

    /// How many there are.
    pub const COUNT: usize = 8;

    /// The name in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StillOpen => "still-open",
            Self::EventsLost => "events-lost",
            Self::OutOfMemory => "out-of-memory",
            Self::Parallel => "parallel",
            Self::Unordered => "unordered",
            Self::Ambiguous => "ambiguous",
            Self::GroupsChanged => "groups-changed",
            Self::LeftToHost => "left-to-host",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// With this reaction.
    Reaction(Reaction),
    /// That is not known.
    Unknown(Doubt),
}

impl Conclusion {
    /// The reaction, where it is known.
    pub fn reaction(self) -> Option<Reaction> {
        match self {
            Self::Reaction(reaction) => Some(reaction),
            Self::Unknown(_) => None,
        }
    }
}

/// Whether and how a LAC acknowledged the StopCCN (RFC 2661 §5.8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledgement {
    /// Not so far, or not at all once the attempt is over; or there was nothing to acknowledge.
    #[default]
    None,
    /// It may have, for that reason.
    Unknown(Doubt),
    /// By a ZLB with an Nr that does not acknowledge it.
    WrongNr,
    /// By a ZLB with the right Nr, and 0 for the tunnel id that the StopCCN assigned (§3.1).
    ZeroTunnelId,
    /// By a message of its own with the right Nr.
    Piggyback,
    /// By a ZLB with the right Nr.
    Zlb,
}

impl Acknowledgement {
    /// Whether the LAC says that it got the StopCCN. Its Tunnel ID may be right, or 0.
    pub fn is_delivered(self) -> bool {
        matches!(self, Self::ZeroTunnelId | Self::Piggyback | Self::Zlb)
    }
}

/// Which fault was met: a rule of a scenario, at an LNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct FaultKey {
    /// The number of the scenario, from 0.
    pub scenario: u32,
    /// The number of the rule in it; 0 is the default.
    pub rule: u32,
    /// The address of the virtual LNS.
    pub lns: IpAddr,
}

/// The attempt that followed another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Next {
    /// The LNS it was made at.
    pub lns: IpAddr,
    /// When its SCCRQ came.
    pub at: u64,
    /// How long that is after the answer to the last SCCRQ of the one before; after the
    /// first SCCRQ, where there was no answer.
    pub after: u64,
}

/// Something that became known of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It ended so.
    Concluded(Outcome),
    /// What was concluded before turned out to be uncertain, or not the end. Something else is
    /// concluded of the same attempt, at once or later.
    Withdrawn(Outcome),
}

/// One attempt of a LAC at an LNS that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The LAC.
    pub lac: IpAddr,
    /// The fault it met.
    pub fault: FaultKey,
    /// The tunnel id that the LAC assigned.
    pub tunnel_id: u16,
    /// The UDP port that it sent from.
    pub port: u16,
    /// When the first SCCRQ came.
    pub began: u64,
    /// When its last SCCRQ came.
    pub last: u64,
    /// When its last SCCRQ was answered, if any was.
    pub answered: Option<u64>,
    /// How often the SCCRQ came again before the first answer.
    pub retransmissions_before: u32,
    /// How often it came again after that.
    pub retransmissions_after: u32,
    /// Whether the LAC acknowledged the StopCCN.
    pub acknowledgement: Acknowledgement,
    /// From the StopCCN to its acknowledgement, where it was sent only once before, so that
    /// it is known which one was acknowledged.
    pub round_trip: Option<u64>,
    /// How long the LAC locked this LNS out before it made this attempt, where it had turned
    /// to another one.
    pub lockout: Option<Lockout>,
    /// What the LAC did about the answer.
    pub conclusion: Conclusion,
    /// What it did next, also after it had ignored the answer.
    pub next: Option<Next>,
    /// Where it did nothing next: for how long it is known not to have, counted as in
    /// [`Next::after`] or from later on.
    pub quiet: Option<u64>,
}

/// How long a LAC stayed away from an LNS once it had turned to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lockout {
    /// The fault that it met there before.
    pub fault: FaultKey,
    /// From the answer to its last SCCRQ there, or from that SCCRQ where there was no answer,
    /// until it came back.
    pub length: u64,
}

/// How long LACs took, over all faults, as it was told at first: what turned out to be
/// uncertain later is still in it, so that a counter never goes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// As in [`Acknowledged::round_trip`].
    pub acknowledgement: Distribution,
    /// As in [`FaultFindings::failover_after`].
    pub failover: Distribution,
    /// As in [`FaultFindings::lockout`].
    pub lockout: Distribution,
}

/// How many attempts, and how many LACs with at least one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Attempts.
    pub attempts: u64,
    /// LACs; one that was closed and came back counts again.
    pub lacs: u64,
}

/// All that is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Findings {
    /// When the first event was made, and the last one.
    pub span: Option<(u64, u64)>,
    /// What does not depend on a fault.
    pub totals: Totals,
    /// What LACs did about each fault that was met, in the order of their keys.
    pub faults: Vec<FaultFindings>,
    /// Attempts over time.
    pub attempts_over_time: OverTime,
    /// How LACs choose their LNS.
    pub selections: Selections,
}

/// What does not depend on a fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Events that were looked at.
    pub events: u64,
    /// Events that are known to be lost.
    pub events_lost: u64,
    /// Events that were looked at while others might still come that belonged before them, since
    /// too many waited. What the others would have told is not known, as with events that are lost.
    pub events_forced: u64,
    /// Events that fit nothing, as a message of a LAC that never sent an SCCRQ.
    pub events_unmatched: u64,
    /// LACs that were followed, those that are closed included; one that was closed at the
    /// bound and came back counts again.
    pub lacs: u64,
    /// LACs that are followed now.
    pub lacs_open: u64,
    /// LACs that were closed at the bound of the memory.
    pub lacs_closed: u64,
    /// Attempts.
    pub attempts: u64,
    /// SCCRQs that repeated one.
    pub retransmissions: u64,
    /// Attempts that are not over.
    pub attempts_open: u64,
    /// Attempts with the tunnel id of an earlier one of the LAC at the same LNS.
    pub tunnel_ids_reused: u64,
    /// Attempts that were forgotten before a retransmission of theirs became impossible,
    /// because a LAC had too many under way. A retransmission would count as an attempt.
    pub attempts_forgotten: u64,
    /// Faults that found no room. LACs that met one are not judged any more.
    pub faults_left_out: u64,
    /// Outcomes that nobody fetched in time.
    pub outcomes_left_out: u64,
    /// Octets in use.
    pub memory: u64,
    /// Octets that may be in use.
    pub memory_limit: u64,
}

/// What LACs did about one fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultFindings {
    /// Which one.
    #[serde(flatten)]
    pub key: FaultKey,
    /// What it is, in the words of whoever entered the scenario.
    pub fault: String,
    /// LACs that met it.
    pub lacs: u64,
    /// Attempts that met it.
    pub attempts: u64,
    /// Attempts that got an answer.
    pub answered: u64,
    /// Attempts that are not over.
    pub open: u64,
    /// How often an SCCRQ came again before the first answer.
    pub retransmissions_before: u64,
    /// How often it came again after that.
    pub retransmissions_after: u64,
    /// Attempts by the acknowledgement of the StopCCN.
    pub acknowledged: Acknowledged,
    /// Attempts by reaction.
    pub reactions: Reactions,
    /// From the answer to the attempt at another LNS, of those that reacted by failover.
    pub failover_after: Distribution,
    /// Where they went, the most frequent one first.
    pub failover_to: Vec<(IpAddr, u64)>,
    /// Failovers to addresses beyond those that are listed.
    pub failover_to_others: u64,
    /// From the answer to the next attempt at the same LNS, of those that reacted by retry.
    pub retry_after: Distribution,
    /// How long LACs stayed away from the LNS once they had turned to another one, as in
    /// [`Lockout`].
    pub lockout: Distribution,
    /// How long LACs had been quiet that were taken for given up and came back after all.
    /// What they did then is the reaction of that attempt.
    pub came_back: Distribution,
    /// Attempts with the tunnel id of an earlier one of the LAC at this LNS.
    pub tunnel_ids_reused: u64,
    /// Messages of LACs other than SCCRQs, the most frequent one first.
    pub messages: Vec<MessageCount>,
    /// Messages beyond those that are listed.
    pub messages_left_out: u64,
}

/// Attempts that were answered with a StopCCN, by its acknowledgement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Acknowledged {
    /// By a ZLB with the right Nr.
    pub zlb: u64,
    /// By another message with the right Nr.
    pub piggyback: u64,
    /// By a ZLB with the right Nr and Tunnel ID 0.
    pub zero_tunnel_id: u64,
    /// By a ZLB with a wrong Nr only.
    pub wrong_nr: u64,
    /// Not at all, and the attempt is over.
    pub none: u64,
    /// Unknown, in the order of [`Doubt::ALL`].
    pub unknown: [u64; Doubt::COUNT],
    /// LACs that acknowledged at least once so that the StopCCN counts as delivered.
    pub lacs: u64,
    /// From the StopCCN to its acknowledgement.
    pub round_trip: Distribution,
}

impl Acknowledged {
    /// Attempts of which it is not known, for that reason.
    pub fn unknown(&self, doubt: Doubt) -> u64 {
        self.unknown[doubt as usize]
    }

    /// Whether there was nothing to acknowledge.
    pub fn is_empty(&self) -> bool {
        let Self {
            zlb,
            piggyback,
            zero_tunnel_id,
            wrong_nr,
            none,
            unknown,
            lacs: _,
            round_trip: _,
        } = self;
        let known = [zlb, piggyback, zero_tunnel_id, wrong_nr, none];
        known.into_iter().chain(unknown).all(|count| *count == 0)
    }
}

/// Attempts by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reactions {
    /// In the order of [`Reaction::ALL`].
    counts: [Share; 4],
    /// In the order of [`Doubt::ALL`].
    unknown: [u64; Doubt::COUNT],
    /// Of those that ignored the answer, how many made the next attempt at another LNS, and
    /// how many at the same one.
    pub ignored_then_failover: u64,
    /// See `ignored_then_failover`.
    pub ignored_then_retry_same: u64,
}

impl Reactions {
    /// Those with a reaction.
    pub fn of(&self, reaction: Reaction) -> Share {
        self.counts[reaction as usize]
    }

    /// Attempts whose reaction is not known, for that reason.
    pub fn unknown(&self, doubt: Doubt) -> u64 {
        self.unknown[doubt as usize]
    }

    /// Attempts whose reaction is not known, for any reason.
    pub fn unknown_total(&self) -> u64 {
        self.unknown.iter().sum()
    }

    pub(crate) fn of_mut(&mut self, reaction: Reaction) -> &mut Share {
        &mut self.counts[reaction as usize]
    }

    /// The count of attempts that ignored the answer, and were followed by one at the same LNS
    /// or at another one.
    pub(crate) fn ignored_then_mut(&mut self, is_same: bool) -> &mut u64 {
        match is_same {
            true => &mut self.ignored_then_retry_same,
            false => &mut self.ignored_then_failover,
        }
    }

    pub(crate) fn unknown_mut(&mut self, doubt: Doubt) -> &mut u64 {
        &mut self.unknown[doubt as usize]
    }
}

/// A message of a LAC other than an SCCRQ, with what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct LacMessage {
    /// The number of the message type (RFC 2661 §3.2): 4 for a StopCCN.
    pub message_type: u16,
    /// The result code, where it has one (§4.4.2).
    pub result: Option<u16>,
    /// The error code, where it has one.
    pub error: Option<u16>,
    /// The error message, where it has one; the beginning of it, where it is long.
    pub text: Option<String>,
}

/// How often a message came, its retransmissions not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageCount {
    /// The message.
    #[serde(flatten)]
    pub message: LacMessage,
    /// How often.
    pub count: u64,
}

/// Attempts over time, in a bounded number of equal steps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OverTime {
    /// When the first step began.
    pub began: u64,
    /// How long a step is: a power of two of seconds.
    pub step_seconds: u64,
    /// The attempts in each step.
    pub counts: Vec<u64>,
}

/// How a LAC chooses the LNS of its next attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Too little was seen, or it follows none of the others.
    #[default]
    Unknown,
    /// It only ever asks one LNS, which it did more than once.
    Single,
    /// It asks its LNSs in the same order in every round, and pauses between rounds.
    Preference,
    /// It asks one after the other without a pause, or begins each round one further.
    RoundRobin,
}

/// LACs that are followed now, by how they choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Selections {
    /// See [`Selection::Unknown`].
    pub unknown: u64,
    /// See [`Selection::Single`].
    pub single: u64,
    /// See [`Selection::Preference`].
    pub preference: u64,
    /// See [`Selection::RoundRobin`].
    pub round_robin: u64,
}
