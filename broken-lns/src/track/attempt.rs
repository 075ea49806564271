//! One attempt of a LAC, as long as it is remembered.

use std::net::IpAddr;
use std::num::NonZeroU64;

use super::fault::FaultId;
use super::findings::Acknowledgement;

/// Nanoseconds of silence after which the same tunnel id stands for a new attempt: a whole
/// cycle of retransmissions (RFC 2661 §5.7, §5.8).
pub(super) const RETRANSMISSION_CYCLE: u64 = 31_000_000_000;

/// An SCCRQ that repeats so often after the first answer says that the LAC ignores it. One
/// may have crossed the answer, or followed an answer that got lost.
const IGNORES: u16 = 2;

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
}

/// How far an attempt is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The LAC may still do anything.
    #[default]
    Open,
    /// The LAC made another attempt; if this one is repeated all the same, that one did not
    /// follow this one.
    Left,
    /// Its outcome was told.
    Over,
}

/// An attempt. All times are nanoseconds of the monotonic clock.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    pub(super) began: u64,
    /// When its last SCCRQ came.
    pub(super) last: u64,
    /// When that was answered, or one before it; meaningless before the first answer.
    pub(super) answered: u64,
    /// When the attempt came that it was left for.
    pub(super) left: u64,
    /// How long this LNS had been locked out, and the fault that it was for.
    pub(super) lockout: Option<(FaultId, NonZeroU64)>,
    pub(super) round_trip: Option<NonZeroU64>,
    pub(super) fault: FaultId,
    /// The fault that the attempt met that it was left for.
    pub(super) left_for: FaultId,
    pub(super) tunnel_id: u16,
    pub(super) ns: u16,
    pub(super) port: u16,
    /// Answers, repeated ones included.
    pub(super) answers: u16,
    /// SCCRQs that came again before the first answer, and after it.
    pub(super) before: u16,
    pub(super) after: u16,
    /// Message type and Ns of the LAC's last message of another type.
    pub(super) message: Option<(u16, u16)>,
    pub(super) acknowledgement: Acknowledgement,
    pub(super) stage: Stage,
    /// Whether it is known what was done about it.
    pub(super) decided: bool,
    /// Whether the sums have it.
    pub(super) counted: bool,
    /// Whether it was told to be given up, and nothing spoke against it so far.
    pub(super) gave_up: bool,
    /// Whether it assigned the tunnel id of an earlier one.
    pub(super) reuses: bool,
}

impl Attempt {
    pub(super) fn new(request: &Request) -> Self {
        Self {
            began: request.time,
            last: request.time,
            fault: request.fault,
            tunnel_id: request.tunnel_id,
            ns: request.ns,
            port: request.port,
            ..Self::default()
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answers > 0
    }

    /// What the LAC's next step is counted from. An answer that came after it had left is
    /// not what it left for.
    pub(super) fn since(&self) -> u64 {
        match self.is_answered() && (self.stage != Stage::Left || self.answered <= self.left) {
            true => self.answered,
            false => self.began,
        }
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
        self.after >= IGNORES && !self.acknowledgement.is_right()
    }

    /// Whether a retransmission of it may still come.
    pub(super) fn may_repeat(&self, now: u64) -> bool {
        now.saturating_sub(self.last) <= RETRANSMISSION_CYCLE
    }
}
