//! One attempt of a LAC, as long as it is remembered.

use std::net::IpAddr;
use std::num::NonZeroU64;

use super::fault::FaultId;
use super::findings::{Acknowledgement, Conclusion, Doubt};

/// Nanoseconds of a millisecond and of a second.
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of silence after which the same SCCRQ stands for a new attempt in any case: a
/// whole cycle of retransmissions (RFC 2661 §5.7, §5.8).
pub(super) const RETRANSMISSION_CYCLE: u64 = 31 * SECOND;
/// A retransmission comes within that time, or within so many times the interval before it.
/// Intervals double (§5.8). The slowest LAC that is known begins with 10 s.
const INTERVAL: u64 = 12 * SECOND;
const INTERVAL_GROWTH: u64 = 3;
/// An SCCRQ that repeats so often after the first answer says that the LAC ignores it. One
/// may have crossed the answer, or followed an answer that got lost.
const IGNORES: u16 = 2;
/// Nanoseconds within which no LAC can have got an answer and made its next attempt: one
/// that comes sooner was on its way already.
const MINIMUM_REACTION: u64 = 50_000;
/// Nanoseconds that a LAC waits for an answer before it does anything else (RFC 2661 §5.8).
pub(super) const TIMEOUT: u64 = SECOND;

/// What an SCCRQ says that matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) time: u64,
    /// The fault; one that is not decided yet has the right LNS at least.
    pub(super) fault: FaultId,
    pub(super) lns: IpAddr,
    pub(super) tunnel_id: u16,
    pub(super) ns: u16,
    pub(super) nr: u16,
    pub(super) port: u16,
    /// A hash of its octets, or 0 where they are not known.
    pub(super) digest: u32,
    /// A hash of its Host Name, or 0 where that is not known.
    pub(super) host_name: u32,
}

/// What was told of an attempt that is over, so that it can be withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) conclusion: Conclusion,
    /// Whether it was told what the LAC did next.
    pub(super) has_next: bool,
}

/// An attempt. All times are nanoseconds of the monotonic clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    pub(super) began: u64,
    /// When its last SCCRQ came.
    pub(super) last: u64,
    /// When that was answered, or one before it; meaningless before the first answer.
    pub(super) answered: u64,
    /// When the attempt came that it was left for, or 0.
    pub(super) left: u64,
    /// How long this LNS had been locked out, because of the fault `lockout_for`.
    pub(super) lockout: Option<NonZeroU64>,
    pub(super) round_trip: Option<NonZeroU64>,
    /// How long it was quiet, where that was told.
    pub(super) quiet: Option<NonZeroU64>,
    /// Milliseconds from the SCCRQ before its last one to that.
    pub(super) interval: u32,
    /// A hash of the octets of its SCCRQ, or 0.
    pub(super) digest: u32,
    pub(super) fault: FaultId,
    /// The fault that the attempt met that it was left for.
    pub(super) left_for: FaultId,
    pub(super) lockout_for: FaultId,
    pub(super) tunnel_id: u16,
    pub(super) ns: u16,
    pub(super) port: u16,
    /// The place of its chain.
    pub(super) chain: u16,
    /// Answers, repeated ones included.
    pub(super) answers: u16,
    /// SCCRQs that came again before the first answer, and after it.
    pub(super) before: u16,
    pub(super) after: u16,
    /// Message type and Ns of the LAC's last message of another type.
    pub(super) message: Option<(u16, u16)>,
    pub(super) acknowledgement: Acknowledgement,
    /// Why the attempt that came next may not follow this one.
    pub(super) doubt: Option<Doubt>,
    /// What was told of it once it was over.
    pub(super) told: Option<Told>,
    /// Whether it was left for an attempt of the same port, among several tunnels.
    pub(super) is_linked: bool,
    /// Whether it is known what was done about it.
    pub(super) decided: bool,
    /// Whether the sums have it.
    pub(super) counted: bool,
    /// Whether the LAC ended it by a message: an acknowledgement or a StopCCN.
    pub(super) is_closed: bool,
    /// Whether it assigned the tunnel id of an earlier one.
    pub(super) reuses: bool,
}

impl Attempt {
    pub(super) fn new(request: &Request, chain: u16) -> Self {
        Self {
            began: request.time,
            last: request.time,
            digest: request.digest,
            fault: request.fault,
            tunnel_id: request.tunnel_id,
            ns: request.ns,
            port: request.port,
            chain,
            ..Self::default()
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answers > 0
    }

    /// Whether its outcome was told.
    pub(super) fn is_over(&self) -> bool {
        self.told.is_some()
    }

    /// Whether the LAC made another attempt since.
    pub(super) fn is_left(&self) -> bool {
        self.left != 0
    }

    /// Whether the LAC may still do anything about it.
    pub(super) fn is_open(&self) -> bool {
        !self.is_over() && !self.is_left()
    }

    /// What the LAC's next step is counted from. An answer that came after it had left is
    /// not what it left for.
    pub(super) fn since(&self) -> u64 {
        match self.is_answered() && (!self.is_left() || self.answered <= self.left) {
            true => self.answered,
            false => self.began,
        }
    }

    /// An SCCRQ came again.
    pub(super) fn repeat(&mut self, time: u64, is_after: bool) {
        match is_after {
            true => self.after = self.after.saturating_add(1),
            false => self.before = self.before.saturating_add(1),
        }
        let interval = time.saturating_sub(self.last) / MILLISECOND;
        self.interval = u32::try_from(interval).unwrap_or(u32::MAX);
        self.last = self.last.max(time);
    }

    /// The last time that anything was heard or said.
    pub(super) fn last_touched(&self) -> u64 {
        match self.is_answered() {
            true => self.last.max(self.answered),
            false => self.last,
        }
    }

    /// Whether the LAC repeated it as if no answer had come.
    pub(super) fn is_ignored(&self) -> bool {
        self.after >= IGNORES && !self.acknowledgement.is_delivered()
    }

    /// Whether an SCCRQ with the same tunnel id, Ns and port belongs to it.
    ///
    /// A retransmission has the same octets. None comes once the LAC knows that the attempt is
    /// over, nor after a gap that is too long for the one before it.
    pub(super) fn is_repeated_by(&self, request: &Request) -> bool {
        let is_same = self.digest == request.digest || self.digest == 0 || request.digest == 0;
        is_same && !self.is_closed && self.may_repeat(request.time)
    }

    /// Whether a retransmission of it may still come.
    pub(super) fn may_repeat(&self, now: u64) -> bool {
        let longest = u64::from(self.interval) * MILLISECOND * INTERVAL_GROWTH;
        let longest = longest.max(INTERVAL);
        now.saturating_sub(self.last) <= longest.min(RETRANSMISSION_CYCLE)
    }

    /// Whether it can have ended for the LAC by that time, as far as was seen by then.
    ///
    /// An acknowledgement or a StopCCN of the LAC proves it. A LAC that acknowledges nothing may
    /// end it with the answer, where `ends_at_once`; should it acknowledge or repeat it later, it
    /// had not. Without an answer it waits for one at least.
    pub(super) fn can_have_ended(&self, now: u64, ends_at_once: bool) -> bool {
        self.is_closed
            || match self.is_answered() && ends_at_once {
                true => self.answered.saturating_add(MINIMUM_REACTION) <= now,
                false => self.last_touched().saturating_add(TIMEOUT) <= now,
            }
    }
}
