//! LACs with known personalities, and the truth about what they did.

use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::verdict::Verdict;

use super::wire::{MICROSECOND, MILLISECOND, SECOND, Talk, Way};
use crate::track::findings::{Acknowledgement, Reaction, Selection};

/// What the LNSs do, each by a rule of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Refuse = 1,
    Silent = 2,
    Late = 3,
}

/// After how long a late answer comes.
const LATE: u64 = 4 * SECOND;

/// How a LAC acknowledges a StopCCN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    Zlb,
    Piggyback,
    WrongNr,
    Nothing,
}

/// What a LAC does when an LNS refuses it or does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// It asks its LNSs by preference; one that failed is locked out for so many seconds.
    Lockout { lnss: u8, seconds: u64 },
    /// It asks one after the other, each some seconds after the last one.
    RoundRobin { lnss: u8 },
    /// It asks the same again after so long.
    Retry { after: u64 },
    /// It gives up.
    GiveUp,
    /// It does not heed a StopCCN, and asks the next one when its retransmissions are over.
    IgnoreAndFailOver { lnss: u8 },
    /// Likewise, but asks the same again.
    IgnoreAndRetry,
    /// It sends the same again and again without end.
    IgnoreForEver,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Personality {
    pub(super) manners: Manners,
    pub(super) habit: Habit,
    pub(super) fault: Fault,
    pub(super) way: Way,
    /// How long it takes from an answer to the next attempt.
    pub(super) haste: u64,
}

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truth {
    pub(super) lac: u32,
    pub(super) lns: u8,
    pub(super) id: u16,
    pub(super) began: u64,
    pub(super) before: u32,
    pub(super) after: u32,
    pub(super) acknowledgement: Acknowledgement,
    /// The reaction, or `None` where the end came first.
    pub(super) reaction: Option<Reaction>,
    /// The next attempt, and how long after.
    pub(super) next: Option<(u8, u64)>,
    pub(super) lockout: Option<u64>,
    /// When it began to be over.
    pub(super) over: u64,
}

/// Numbers that look random and are the same every time.
#[derive(Clone, Debug)]
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// The intervals between retransmissions, as xl2tpd has them, and until it gives up.
const INTERVALS: [u64; 6] = [1, 2, 4, 8, 8, 8];

impl Personality {
    /// The `number`th personality; they repeat after [`Self::COUNT`].
    pub(super) fn of(number: u32, numbers: &mut Numbers) -> Self {
        let habits = [
            Habit::Lockout {
                lnss: 3,
                seconds: 60,
            },
            Habit::Lockout {
                lnss: 2,
                seconds: 300,
            },
            Habit::RoundRobin { lnss: 4 },
            Habit::Retry { after: 30 * SECOND },
            // A storm.
            Habit::Retry {
                after: 400 * MILLISECOND,
            },
            Habit::GiveUp,
            Habit::IgnoreAndFailOver { lnss: 2 },
            Habit::IgnoreAndRetry,
            Habit::IgnoreForEver,
        ];
        let manners = [
            Manners::Zlb,
            Manners::Piggyback,
            Manners::WrongNr,
            Manners::Nothing,
        ];
        let faults = [Fault::Refuse, Fault::Silent, Fault::Late];
        let pick = |number: &mut u32, count: usize| {
            let picked = *number as usize % count;
            *number /= count as u32;
            picked
        };
        let mut number = number;
        let habit = habits[pick(&mut number, habits.len())];
        let fault = faults[pick(&mut number, faults.len())];
        let manners = manners[pick(&mut number, manners.len())];
        let way = [Way::Kernel, Way::Worker][pick(&mut number, 2)];
        Self {
            // Who does not heed a StopCCN does not acknowledge it either.
            manners: match habit.ignores() {
                true => Manners::Nothing,
                false => manners,
            },
            habit,
            fault,
            way,
            haste: 200 * MICROSECOND + numbers.below(20 * MILLISECOND),
        }
    }

    /// How many there are.
    pub(super) const COUNT: u32 = 9 * 3 * 4 * 2;

    /// How it chooses its LNSs, as far as it shows within the time that is simulated.
    pub(super) fn selection(&self) -> Selection {
        match self.habit {
            // Where every attempt times out, a lockout of a minute and none look the same.
            Habit::Lockout { seconds: 60, .. } | Habit::RoundRobin { .. }
                if self.fault == Fault::Silent =>
            {
                Selection::Unknown
            }
            Habit::Lockout { .. } => Selection::Preference,
            Habit::RoundRobin { .. } => Selection::RoundRobin,
            Habit::Retry { .. } | Habit::IgnoreAndRetry => Selection::Single,
            Habit::GiveUp | Habit::IgnoreForEver => Selection::Unknown,
            Habit::IgnoreAndFailOver { .. } => Selection::RoundRobin,
        }
    }

    /// Lives from `time` until `end`: what is seen of it, and the truth.
    pub(super) fn live(
        &self,
        lac: u32,
        time: u64,
        end: u64,
        numbers: &mut Numbers,
    ) -> (Vec<Event>, Vec<Truth>) {
        let (mut events, mut truths) = (Vec::new(), Vec::<Truth>::new());
        let mut free_from = [0; 16];
        let mut left: [Option<u64>; 16] = [None; 16];
        let (mut time, mut lns) = (time, 1);
        let mut id = 1 + numbers.below(60_000) as u16;
        while time < end {
            let (mut truth, since) = self.attempt(&mut events, lac, lns, id, time, numbers);
            truth.lockout = left[usize::from(lns)].take().map(|left| time - left);
            let over = truth.over;
            let next = match self.habit {
                Habit::GiveUp | Habit::IgnoreForEver => None,
                Habit::Retry { after } => Some((over + after, lns)),
                Habit::IgnoreAndRetry => Some((over + self.haste, lns)),
                Habit::RoundRobin { lnss } => {
                    Some((over + 5 * SECOND + self.haste, lns % lnss + 1))
                }
                Habit::IgnoreAndFailOver { lnss } => Some((over + self.haste, lns % lnss + 1)),
                Habit::Lockout { lnss, seconds } => {
                    free_from[usize::from(lns)] = over + seconds * SECOND;
                    let at = over + self.haste;
                    let ready = |lns: u8| free_from[usize::from(lns)].max(at);
                    (1..=lnss).map(|lns| (ready(lns), lns)).min()
                }
            };
            let next = next.filter(|(at, _)| *at < end);
            let is_ignored = truth.after >= 2;
            truth.next = next.map(|(at, next)| (next, at - since));
            truth.reaction = match next {
                _ if is_ignored => Some(Reaction::Ignore),
                Some((_, next)) if next == lns => Some(Reaction::RetrySame),
                Some(_) => Some(Reaction::Failover),
                None => None,
            };
            if let Some((_, next)) = next
                && next != lns
            {
                let last = over.saturating_sub(INTERVALS[5] * SECOND);
                let is_answered = self.fault != Fault::Silent;
                left[usize::from(lns)] = Some(if is_answered { since } else { last });
            }
            truths.push(truth);
            let Some((at, next)) = next else {
                break;
            };
            (time, lns) = (at, next);
            id = id % 65_000 + 1;
        }
        (events, truths)
    }

    /// One attempt: the truth but for what follows, and what that is counted from.
    fn attempt(
        &self,
        events: &mut Vec<Event>,
        lac: u32,
        lns: u8,
        id: u16,
        time: u64,
        numbers: &mut Numbers,
    ) -> (Truth, u64) {
        let talk = Talk {
            lac,
            lns,
            rule: self.fault as u32,
            way: self.way,
            port: 1701,
        };
        let verdict = match self.fault {
            Fault::Refuse => Verdict::Answered,
            Fault::Silent => Verdict::Silent,
            Fault::Late => Verdict::Deferred,
        };
        let mut truth = Truth {
            lac,
            lns,
            id,
            began: time,
            before: 0,
            after: 0,
            acknowledgement: Acknowledgement::None,
            reaction: None,
            next: None,
            lockout: None,
            over: time,
        };
        let heeds = !self.habit.ignores();
        let answered = talk.request(events, time, id, verdict);
        let answered = match self.fault {
            Fault::Refuse => Some(answered),
            Fault::Late => {
                talk.sent(events, time + LATE, id);
                Some(time + LATE)
            }
            Fault::Silent => None,
        };
        if heeds && self.fault == Fault::Refuse {
            let since = answered.unwrap_or(time);
            truth.over = since;
            truth.acknowledgement = self.acknowledge(events, talk, since, numbers);
            return (truth, since);
        }

        let mut since = answered.unwrap_or(time);
        let mut at = time;
        let endless = self.habit == Habit::IgnoreForEver;
        let intervals = INTERVALS.iter().chain(std::iter::repeat_n(
            &INTERVALS[5],
            if endless { 4 } else { 0 },
        ));
        let count = if endless { 9 } else { 5 };
        for (number, interval) in intervals.enumerate() {
            at += interval * SECOND;
            if let Some(answered) = answered.filter(|answered| heeds && *answered <= at) {
                truth.over = answered;
                truth.acknowledgement = self.acknowledge(events, talk, answered, numbers);
                return (truth, answered);
            }
            if number == count {
                break;
            }
            let again = talk.request(events, at, id, verdict);
            match answered {
                Some(answered) if answered < at => truth.after += 1,
                _ => truth.before += 1,
            }
            if self.fault == Fault::Refuse {
                since = again;
            }
        }
        truth.over = at;
        (truth, since)
    }

    fn acknowledge(
        &self,
        events: &mut Vec<Event>,
        talk: Talk,
        answered: u64,
        numbers: &mut Numbers,
    ) -> Acknowledgement {
        // Before it goes on: what comes from elsewhere does not tell which it belongs to.
        let at = answered + 100 * MICROSECOND + numbers.below(100 * MICROSECOND);
        match self.manners {
            Manners::Zlb => {
                talk.zlb(events, at, 1);
                Acknowledgement::Zlb
            }
            Manners::WrongNr => {
                talk.zlb(events, at, 0);
                Acknowledgement::WrongNr
            }
            Manners::Piggyback => {
                talk.stop_ccn(events, at, 1);
                Acknowledgement::Piggyback
            }
            Manners::Nothing => Acknowledgement::None,
        }
    }
}

impl Habit {
    pub(super) fn ignores(self) -> bool {
        matches!(
            self,
            Self::IgnoreAndFailOver { .. } | Self::IgnoreAndRetry | Self::IgnoreForEver
        )
    }
}
