//! What a simulated LAC is like: how it acknowledges, repeats, and goes on.

use std::time::Duration;

/// What an LNS does to it, by the rule that is for its LNSs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A StopCCN at once.
    Refuse,
    /// Nothing.
    Silent,
    /// A StopCCN some seconds later, which only a worker can do.
    Late,
}

impl Fault {
    /// In the words of a scenario, where time runs so much faster.
    pub(super) fn rule(self, rate: u32) -> String {
        match self {
            Self::Refuse => "fault = \"refuse\"\nresult = 2\nerror = 4".to_owned(),
            Self::Silent => "fault = \"silent\"".to_owned(),
            Self::Late => format!(
                "{}\ndelay = \"{}ms\"",
                Self::Refuse.rule(rate),
                4_000 / rate
            ),
        }
    }
}

/// How it acknowledges a StopCCN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manners {
    /// By a ZLB.
    Zlb,
    /// By a StopCCN of its own, with the right Nr.
    Piggyback,
    /// By a ZLB that acknowledges nothing.
    WrongNr,
    /// Not at all.
    Nothing,
}

/// What it does when an LNS refuses it or does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// It asks the first of so many LNSs that is not locked out, which one that failed is.
    Lockout { lnss: u8, seconds: u64 },
    /// It asks one after the other, each some seconds after the last one.
    RoundRobin { lnss: u8 },
    /// It asks the same again, after so many milliseconds.
    Retry { after: u64 },
    /// It gives up.
    GiveUp,
    /// It does not heed a StopCCN, and asks the next one when its retransmissions are over.
    IgnoreAndFailOver { lnss: u8 },
    /// It does not heed a StopCCN, and sends the same again and again.
    IgnoreForEver,
}

impl Habit {
    /// Whether it heeds a StopCCN.
    pub(super) fn heeds(self) -> bool {
        !matches!(self, Self::IgnoreAndFailOver { .. } | Self::IgnoreForEver)
    }

    /// How many LNSs it has.
    pub(super) fn lnss(self) -> u8 {
        match self {
            Self::Lockout { lnss, .. }
            | Self::RoundRobin { lnss }
            | Self::IgnoreAndFailOver { lnss } => lnss,
            Self::Retry { .. } | Self::GiveUp | Self::IgnoreForEver => 1,
        }
    }
}

/// A kind of LAC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Personality {
    pub(super) fault: Fault,
    pub(super) manners: Manners,
    pub(super) habit: Habit,
}

/// How long a LAC waits before it repeats an SCCRQ, as xl2tpd does, and before it takes the LNS
/// for dead.
pub(super) const INTERVALS: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(8),
    Duration::from_secs(8),
];

/// Every kind of LAC that there is.
pub(super) fn personalities() -> Vec<Personality> {
    use Fault::{Late, Refuse, Silent};
    use Manners::{Nothing, Piggyback, WrongNr, Zlb};
    let minute = |lnss| Habit::Lockout { lnss, seconds: 60 };
    let five_minutes = |lnss| Habit::Lockout { lnss, seconds: 300 };
    let storm = Habit::Retry { after: 2_000 };
    let patient = Habit::Retry { after: 30_000 };
    [
        (Refuse, Zlb, minute(3)),
        (Refuse, Piggyback, minute(2)),
        (Refuse, Zlb, five_minutes(2)),
        (Refuse, Nothing, five_minutes(4)),
        (Refuse, WrongNr, Habit::RoundRobin { lnss: 4 }),
        (Refuse, Zlb, Habit::RoundRobin { lnss: 2 }),
        (Refuse, Zlb, patient),
        (Refuse, Piggyback, patient),
        (Refuse, Zlb, storm),
        (Refuse, Nothing, storm),
        (Refuse, Zlb, Habit::GiveUp),
        (Refuse, Nothing, Habit::GiveUp),
        (Refuse, Nothing, Habit::IgnoreAndFailOver { lnss: 2 }),
        (Refuse, Nothing, Habit::IgnoreForEver),
        (Silent, Nothing, five_minutes(2)),
        (Silent, Nothing, Habit::RoundRobin { lnss: 3 }),
        (Silent, Nothing, patient),
        (Silent, Nothing, Habit::GiveUp),
        (Late, Zlb, minute(2)),
        (Late, Nothing, Habit::RoundRobin { lnss: 3 }),
        (Late, Piggyback, patient),
        (Late, WrongNr, Habit::GiveUp),
    ]
    .map(|(fault, manners, habit)| Personality {
        fault,
        manners,
        habit,
    })
    .to_vec()
}

impl Personality {
    /// How the report says that it chooses among its LNSs.
    pub(super) fn selection(&self) -> &'static str {
        match self.habit {
            // Where every attempt times out, nobody sees what follows from a lockout.
            Habit::RoundRobin { .. } if self.fault == Fault::Silent => "unknown",
            Habit::Lockout { .. } => "preference",
            Habit::RoundRobin { .. } | Habit::IgnoreAndFailOver { .. } => "round-robin",
            Habit::Retry { .. } => "single",
            Habit::GiveUp | Habit::IgnoreForEver => "unknown",
        }
    }
}
