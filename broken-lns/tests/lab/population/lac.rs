//! One simulated LAC, and the truth about what it did.

use std::{collections::BTreeMap, net::Ipv4Addr, time::Duration};

use xtask::lab::{Avp, ControlMessage, Sccrq, attribute, message_type};

use super::crowd::lns_address;
use super::personality::{Habit, INTERVALS, Manners, Personality};

/// A message that a LAC sends to one of its LNSs, of which the first has the number 0.
pub(super) type Sent = (u8, ControlMessage);

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reaction {
    Failover,
    RetrySame,
    GiveUp,
    Ignore,
}

impl Reaction {
    pub(super) const ALL: [Self; 4] = [Self::Failover, Self::RetrySame, Self::GiveUp, Self::Ignore];

    /// What it is called in a report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
            Self::RetrySame => "retry-same",
            Self::GiveUp => "give-up",
            Self::Ignore => "ignore",
        }
    }
}

/// The truth about what LACs did at one LNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) attempts: u64,
    pub(super) answered: u64,
    pub(super) retransmissions: u64,
    pub(super) zlb: u64,
    pub(super) piggyback: u64,
    pub(super) wrong_nr: u64,
    pub(super) reactions: BTreeMap<Reaction, u64>,
    /// By the LNS that they went to.
    pub(super) failover_to: BTreeMap<Ipv4Addr, u64>,
    /// Attempts at an LNS that the LAC had left for another one before.
    pub(super) returns: u64,
}

impl Truth {
    /// Adds what another LAC did.
    pub(super) fn add(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.answered += other.answered;
        self.retransmissions += other.retransmissions;
        self.zlb += other.zlb;
        self.piggyback += other.piggyback;
        self.wrong_nr += other.wrong_nr;
        self.returns += other.returns;
        for (reaction, count) in &other.reactions {
            *self.reactions.entry(*reaction).or_default() += count;
        }
        for (lns, count) in &other.failover_to {
            *self.failover_to.entry(*lns).or_default() += count;
        }
    }
}

/// A LAC. Its time begins with 0, and its LNSs count from 0.
pub(super) struct Lac {
    personality: Personality,
    kind: usize,
    pub(super) address: Ipv4Addr,
    /// When it does something by itself.
    pub(super) alarm: Option<Duration>,
    lns: u8,
    /// The LNS of the next attempt.
    next: Option<u8>,
    /// Whether it is known how the last attempt ended, if there was one.
    is_concluded: bool,
    tunnel_id: u16,
    /// SCCRQs of the attempt that is under way; 0 between attempts.
    sent: usize,
    /// Those of them that it sent after the answer.
    sent_after: usize,
    is_answered: bool,
    free_from: [Duration; 8],
    has_left: [bool; 8],
    pub(super) truths: Vec<Truth>,
}

impl Lac {
    pub(super) fn new(
        (kind, personality): (usize, Personality),
        address: Ipv4Addr,
        first: Duration,
    ) -> Self {
        Self {
            personality,
            kind,
            address,
            alarm: Some(first),
            lns: 0,
            next: None,
            is_concluded: true,
            tunnel_id: 0,
            sent: 0,
            sent_after: 0,
            is_answered: false,
            free_from: [Duration::ZERO; 8],
            has_left: [false; 8],
            truths: vec![Truth::default(); personality.habit.lnss().into()],
        }
    }

    fn truth(&mut self) -> &mut Truth {
        &mut self.truths[usize::from(self.lns)]
    }

    /// Whether an attempt is under way.
    pub(super) fn is_at_it(&self) -> bool {
        self.sent > 0
    }

    /// Does what it is time for.
    pub(super) fn ring(&mut self, now: Duration) -> Option<Sent> {
        if self.sent == 0 {
            return Some(self.begin(now));
        }
        let is_endless = self.personality.habit == Habit::IgnoreForEver;
        let Some(interval) = INTERVALS.get(self.sent).or(match is_endless {
            true if self.sent < 12 => INTERVALS.last(),
            _ => None,
        }) else {
            self.over(now);
            return None;
        };
        self.alarm = Some(now + *interval);
        self.sent += 1;
        self.sent_after += usize::from(self.is_answered);
        self.truth().retransmissions += 1;
        Some(self.sccrq())
    }

    fn begin(&mut self, now: Duration) -> Sent {
        if let Some(next) = self.next.take() {
            self.conclude(Some(next));
            self.lns = next;
        }
        self.tunnel_id = self.tunnel_id % 65_000 + 1;
        (self.sent, self.sent_after, self.is_answered) = (1, 0, false);
        self.is_concluded = false;
        self.alarm = Some(now + INTERVALS[0]);
        self.truth().attempts += 1;
        if std::mem::take(&mut self.has_left[usize::from(self.lns)]) {
            self.truth().returns += 1;
        }
        self.sccrq()
    }

    fn sccrq(&self) -> Sent {
        (self.lns, Sccrq::new(self.tunnel_id).message())
    }

    /// Hears a message from one of its LNSs, and says what it has to say about it.
    pub(super) fn hear(
        &mut self,
        now: Duration,
        lns: u8,
        message: &ControlMessage,
    ) -> Option<Sent> {
        let is_ours = lns == self.lns && message.tunnel_id == self.tunnel_id && self.sent > 0;
        if !is_ours || message.message_type() != Some(message_type::STOPCCN) {
            return None;
        }
        if !self.is_answered {
            self.is_answered = true;
            self.truth().answered += 1;
        }
        if !self.personality.habit.heeds() {
            return None;
        }
        let peer = message.attribute(attribute::ASSIGNED_TUNNEL_ID);
        let peer = peer.and_then(Avp::number).unwrap_or(0);
        let said = match self.personality.manners {
            Manners::Zlb => {
                self.truth().zlb += 1;
                Some(ControlMessage::zlb(peer, 1, 1))
            }
            Manners::WrongNr => {
                self.truth().wrong_nr += 1;
                Some(ControlMessage::zlb(peer, 1, 0))
            }
            Manners::Piggyback => {
                self.truth().piggyback += 1;
                Some(ControlMessage {
                    avps: vec![
                        Avp::new(attribute::MESSAGE_TYPE, [0, 4]),
                        Avp::new(attribute::ASSIGNED_TUNNEL_ID, self.tunnel_id.to_be_bytes()),
                        Avp::new(attribute::RESULT_CODE, [0, 6]),
                    ],
                    ..ControlMessage::zlb(peer, 1, 1)
                })
            }
            Manners::Nothing => None,
        };
        let said = said.map(|message| (self.lns, message));
        self.over(now);
        said
    }

    /// The attempt is over: what comes next.
    fn over(&mut self, now: Duration) {
        // The time in which the LAC makes up its mind, so that attempts do not come as one.
        let haste = Duration::from_millis(100);
        let next = match self.personality.habit {
            Habit::GiveUp | Habit::IgnoreForEver => None,
            Habit::Retry { after } => Some((now + Duration::from_millis(after), self.lns)),
            Habit::RoundRobin { lnss } => {
                Some((now + Duration::from_secs(5), (self.lns + 1) % lnss))
            }
            Habit::IgnoreAndFailOver { lnss } => Some((now + haste, (self.lns + 1) % lnss)),
            Habit::Lockout { lnss, seconds } => {
                self.free_from[usize::from(self.lns)] = now + Duration::from_secs(seconds);
                let free = |lns: u8| (self.free_from[usize::from(lns)].max(now + haste), lns);
                (0..lnss).map(free).min()
            }
        };
        self.sent = 0;
        self.alarm = next.map(|(at, _)| at);
        self.next = next.map(|(_, lns)| lns);
    }

    /// The end of all: whoever does nothing more has given up.
    pub(super) fn end(&mut self) {
        self.alarm = None;
        if !self.is_concluded {
            self.conclude(None);
        }
    }

    /// The last attempt has ended, and that was or was not the next LNS.
    fn conclude(&mut self, next: Option<u8>) {
        // Twice at the least: one may have crossed the answer.
        let reaction = match next {
            _ if self.sent_after >= 2 => Reaction::Ignore,
            None => Reaction::GiveUp,
            Some(lns) if lns == self.lns => Reaction::RetrySame,
            Some(_) => Reaction::Failover,
        };
        *self.truth().reactions.entry(reaction).or_default() += 1;
        if let Some(lns) = next.filter(|lns| *lns != self.lns) {
            self.has_left[usize::from(self.lns)] = true;
            if reaction == Reaction::Failover {
                let to = lns_address(self.kind, lns);
                *self.truth().failover_to.entry(to).or_default() += 1;
            }
        }
        self.is_concluded = true;
    }
}
