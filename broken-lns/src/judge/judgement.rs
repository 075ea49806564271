//! What came of an expectation: plain data, as reports read it.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::scenario::expect::Terms;
use crate::scenario::{Expectation, LacName, Place, Prefix, Treatment};
use crate::track::findings::{Acknowledgement, Doubt, Next, Reaction};

/// All expectations that came into force, and what came of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgements {
    /// In the order in which they came into force, those of one scenario in the order of its
    /// rules.
    pub all: Vec<Judgement>,
    /// Expectations that found no room.
    pub left_out: u64,
    /// Attempts that were not judged, since the scenario that they met was left so long ago.
    pub too_late: u64,
    /// Expectations of former scenarios that had to make room for others, and are not among all.
    pub former: Left,
}

/// Expectations that were left out, by how they had ended by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Those that had passed.
    pub passed: u64,
    /// Those that had failed.
    pub failed: u64,
    /// Those of which not all was seen.
    pub not_seen: u64,
    /// Attempts that were taken back later: what they had come to is in these numbers.
    pub withdrawn: u64,
}

impl Left {
    /// How many there are.
    pub fn count(&self) -> u64 {
        self.passed + self.failed + self.not_seen
    }
}

impl Judgements {
    /// How many ended so, with those that were left out.
    pub fn count(&self, verdict: Verdict) -> u64 {
        let former = match verdict {
            Verdict::Passed => self.former.passed,
            Verdict::Failed => self.former.failed,
            Verdict::NotSeen => self.former.not_seen,
        };
        let all = self.all.iter();
        let count = all.filter(|judgement| judgement.verdict() == verdict);
        count.count() as u64 + former
    }

    /// How many there are, with those that were left out.
    pub fn total(&self) -> u64 {
        self.all.len() as u64 + self.former.count()
    }

    /// Fails as a test does, for the command to end with.
    ///
    /// # Errors
    ///
    /// [`Failed`], where one failed.
    pub fn check(&self) -> Result<(), Failed> {
        let (failed, all) = (self.count(Verdict::Failed), self.total());
        match failed {
            0 => Ok(()),
            failed => Err(Failed { failed, all }),
        }
    }

    /// Whether nothing was expected.
    pub fn is_empty(&self) -> bool {
        self.total() == 0 && self.left_out == 0
    }
}

/// LACs did something else than what was expected of them. Everything else went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{failed} of {all} expectations failed; the report says who broke them")]
pub struct Failed {
    /// Expectations that failed.
    pub failed: u64,
    /// All of them.
    pub all: u64,
}

impl Failed {
    /// What the command exits with, to be told from one that could not do its work.
    pub const STATUS: u8 = 3;
}

/// How an expectation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every part of it was seen, and none was broken.
    Passed,
    /// Some part of it was broken, and that is certain.
    Failed,
    /// Nobody broke it, but some part was not seen.
    NotSeen,
}

impl Verdict {
    /// The name in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotSeen => "not-seen",
        }
    }
}

/// What can be expected of a LAC, each for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What it does about the answer.
    Reaction,
    /// Where it fails over to.
    To,
    /// How soon it makes its next attempt.
    Within,
    /// Whether it acknowledges the StopCCN.
    Acknowledge,
    /// How long it stays away from the LNS.
    Lockout,
}

impl Part {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Reaction,
        Self::To,
        Self::Within,
        Self::Acknowledge,
        Self::Lockout,
    ];

    /// The key in an expectation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reaction => "reaction",
            Self::To => "to",
            Self::Within => "within",
            Self::Acknowledge => "acknowledge",
            Self::Lockout => "lockout",
        }
    }

    /// Whether it has to be seen before an expectation has passed. Where and how soon are about
    /// a reaction that may be another one.
    const fn has_to_be_seen(self) -> bool {
        matches!(self, Self::Reaction | Self::Acknowledge | Self::Lockout)
    }
}

/// How often a part was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts of which it was expected.
    pub expected: u64,
    /// How often it was as expected.
    pub fulfilled: u64,
    /// How often it was not.
    pub broken: u64,
}

/// Attempts by what came of all parts together, the lockout apart: that shows only when a LAC
/// comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// All that came to their end and of which something was expected.
    pub seen: u64,
    /// Those that were as expected.
    pub fulfilled: u64,
    /// Those that were not.
    pub broken: u64,
    /// Those of which that is not known, in the order of [`Doubt::ALL`].
    pub(super) unknown: [u64; Doubt::COUNT],
}

impl Attempts {
    /// Attempts of which nothing is known for that reason.
    pub fn unknown(&self, doubt: Doubt) -> u64 {
        self.unknown[doubt as usize]
    }
}

/// An expectation, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The number of the scenario in which it stood first.
    pub scenario: u32,
    /// The number of its rule there; 0 is the default.
    pub rule: u32,
    /// Where that rule began in its file.
    pub place: Option<Place>,
    /// The LNS addresses that it is for; none where it is for all that have no rule.
    pub lns: Vec<Prefix>,
    /// The LACs that it is for; none where it is for all that have no rule.
    pub lac: Vec<Prefix>,
    /// The names of those LACs, where it is for some only.
    pub lac_name: Option<LacName>,
    /// What they meet.
    pub treatment: Treatment,
    /// What is expected of them.
    pub expectation: Expectation,
    /// The attempts that met it.
    pub attempts: Attempts,
    /// In the order of [`Part::ALL`].
    pub(super) parts: [Tally; 5],
    /// The first that broke it, in the order in which they did.
    pub breakers: Vec<Breaker>,
    /// How often it was broken beside those.
    pub breakers_left_out: u64,
}

impl Judgement {
    /// How it ended, as far as that is known.
    pub fn verdict(&self) -> Verdict {
        if self.parts.iter().any(|part| part.broken > 0) {
            return Verdict::Failed;
        }
        let is_seen = self.parts.iter().any(|part| part.fulfilled > 0);
        match is_seen && self.missing().next().is_none() {
            true => Verdict::Passed,
            false => Verdict::NotSeen,
        }
    }

    /// What has to be seen before it has passed, and was not.
    pub fn missing(&self) -> impl Iterator<Item = Part> {
        let missing = |part: &Part| {
            let Tally {
                expected,
                fulfilled,
                broken,
            } = self.part(*part);
            part.has_to_be_seen() && expected > 0 && fulfilled + broken == 0
        };
        Part::ALL.into_iter().filter(missing)
    }

    /// How often a part was looked at.
    pub fn part(&self, part: Part) -> Tally {
        self.parts[part as usize]
    }

    /// What is expected at one of its LNSs.
    pub fn terms(&self, lns: IpAddr) -> Option<Cow<'_, Terms>> {
        self.expectation.terms(&self.treatment, lns)
    }
}

/// A LAC that broke an expectation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breaker {
    /// The LAC.
    pub lac: IpAddr,
    /// The LNS at which it did so first.
    pub lns: IpAddr,
    /// When it made that attempt, or came back where it broke only the lockout: in nanoseconds
    /// since the start.
    pub at: u64,
    /// What it did instead.
    pub breaches: Vec<Breach>,
    /// How often it broke the same parts, at any LNS.
    pub times: u64,
}

/// What a LAC did instead of what was expected. All times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It reacted in another way.
    Reaction {
        /// The way.
        reaction: Reaction,
        /// What it did next.
        next: Option<Next>,
        /// For how long it did nothing, where it did nothing next.
        quiet: Option<u64>,
    },
    /// It failed over to another LNS.
    Target {
        /// Which one.
        lns: IpAddr,
    },
    /// It made its next attempt later.
    Late {
        /// After so long.
        after: u64,
    },
    /// It has made none so far, and now it would be too late.
    Quiet {
        /// After so long.
        quiet: u64,
    },
    /// It acknowledged in another way, or not.
    Acknowledgement(Acknowledgement),
    /// It came back sooner or later.
    Lockout {
        /// After so long.
        length: u64,
    },
}

impl Breach {
    /// How long it took, where it took too long or was too short.
    pub fn measured(&self) -> Option<u64> {
        match *self {
            Self::Late { after: time } | Self::Quiet { quiet: time } => Some(time),
            Self::Lockout { length } => Some(length),
            Self::Reaction { .. } | Self::Target { .. } | Self::Acknowledgement(_) => None,
        }
    }

    /// What was broken.
    pub fn part(&self) -> Part {
        match self {
            Self::Reaction { .. } => Part::Reaction,
            Self::Target { .. } => Part::To,
            Self::Late { .. } | Self::Quiet { .. } => Part::Within,
            Self::Acknowledgement(_) => Part::Acknowledge,
            Self::Lockout { .. } => Part::Lockout,
        }
    }
}
