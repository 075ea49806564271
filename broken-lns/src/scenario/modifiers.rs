//! What can be done to any fault: put off, repeated, lost, left to chance, or
//! replaced by another one after a while.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU32};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Treatment;
use super::fault::Knob;

/// The longest delay, and the longest jitter.
pub const DELAY_MAX: Duration = Duration::from_secs(60 * 60);
/// The longest time of `for`.
pub const LASTING_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The most copies of a reply.
pub const REPEAT_MAX: u8 = 100;

/// The modifiers of one fault.
///
/// The phase decides first whether the fault or its successor acts, then the
/// chance decides between the fault and its alternative. Successor and
/// alternative have modifiers of their own; the others here are about the
/// reply of the fault itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Modifiers {
    /// How long the reply is put off.
    pub delay: Option<Delay>,
    /// How often the reply is sent at once, up to [`REPEAT_MAX`].
    pub repeat: NonZeroU8,
    /// Whether the StopCCN is sent again until it is acknowledged (RFC 2661 §5.8).
    pub retransmit: bool,
    /// The share of the frames to send that is lost, decided for each frame.
    pub loss: Probability,
    /// Whether an attempt meets the fault or another one.
    pub chance: Option<Chance>,
    /// How long the fault acts.
    pub phase: Option<Phase>,
}

impl Default for Modifiers {
    /// The fault as it is.
    fn default() -> Self {
        Self {
            delay: None,
            repeat: NonZeroU8::MIN,
            retransmit: false,
            loss: Probability::NEVER,
            chance: None,
            phase: None,
        }
    }
}

/// How long a reply is put off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The time in the middle; more than zero, up to [`DELAY_MAX`].
    pub mean: Duration,
    /// How far it may be off to either side, up to the mean.
    pub jitter: Duration,
}

impl Delay {
    /// The times between which each delay is picked, all with the same probability.
    pub fn range(self) -> RangeInclusive<Duration> {
        self.mean.saturating_sub(self.jitter)..=self.mean.saturating_add(self.jitter)
    }
}

/// Which attempts meet a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chance {
    /// How probable the fault is.
    pub probability: Probability,
    /// What the other attempts meet; without a phase of its own.
    pub otherwise: Box<Treatment>,
}

/// How long a fault acts, for each LAC and LNS.
///
/// With both bounds it is over as soon as one of them is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase {
    /// The attempts that meet the fault.
    pub first: Option<NonZeroU32>,
    /// The time from the first attempt that met the fault; up to [`LASTING_MAX`].
    pub lasting: Option<Duration>,
    /// What acts from then on.
    pub then: Box<Treatment>,
}

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability(f64);

// The number is never NaN.
impl Eq for Probability {}

impl Probability {
    /// Nothing of all.
    pub const NEVER: Self = Self(0.0);

    /// The probability of that number; `None` unless it is from 0 to 1.
    pub fn new(number: f64) -> Option<Self> {
        // A zero with a sign is the same as one without.
        (0.0..=1.0).contains(&number).then_some(Self(number.abs()))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The bound, up to 2^32, below which a uniform 32-bit number is with this probability.
    pub fn threshold(self) -> u64 {
        (self.0 * 4_294_967_296.0).round() as u64
    }
}

impl fmt::Display for Probability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With a decimal point even where the number is whole.
        write!(f, "{:?}", self.0)
    }
}

/// The modifiers, in the order of the catalogue.
pub const MODIFIERS: &[Knob] = &[
    Knob {
        key: "delay",
        values: "time, such as \"250ms\"",
        meaning: "puts the reply off, by up to an hour",
    },
    Knob {
        key: "jitter",
        values: "time, up to `delay` [\"0s\"]",
        meaning: "picks each delay at random, from `delay` less this to `delay` plus this",
    },
    Knob {
        key: "repeat",
        values: "1 to 100 [1]",
        meaning: "sends so many copies of the reply at once",
    },
    Knob {
        key: "retransmit",
        values: "true or false [false]",
        meaning: "sends the StopCCN again after 1, 2, 4, 8 and 8 s, until it is acknowledged",
    },
    Knob {
        key: "loss",
        values: "0 to 1 [0]",
        meaning: "loses this share of the frames to send, decided for each of them",
    },
    Knob {
        key: "probability",
        values: "0 to 1, with `otherwise`",
        meaning: "the share of the attempts that meet the fault; a retransmitted SCCRQ meets the \
                  same decision, and so does a whole run with the same `seed`",
    },
    Knob {
        key: "otherwise",
        values: "fault, with `probability`",
        meaning: "what the other attempts meet",
    },
    Knob {
        key: "first",
        values: "number, with `then`",
        meaning: "how many attempts meet the fault, counted for each LAC and LNS",
    },
    Knob {
        key: "for",
        values: "time, with `then`",
        meaning: "how long the fault acts, from the first attempt of that LAC at that LNS on; \
                  with `first`, until one of the two is over",
    },
    Knob {
        key: "then",
        values: "fault, with `first` or `for`",
        meaning: "what acts from then on",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_from_0_to_1() {
        for (number, threshold) in [
            (0.0, Some(0)),
            (-0.0, Some(0)),
            (0.1, Some(429_496_730)),
            (0.5, Some(1 << 31)),
            (1.0, Some(1 << 32)),
            (1.000_001, None),
            (-0.1, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            let probability = Probability::new(number);
            assert_eq!(probability.map(Probability::threshold), threshold);
        }
    }

    #[test]
    fn a_delay_is_off_to_both_sides() {
        let milliseconds = Duration::from_millis;
        let delay = Delay {
            mean: milliseconds(250),
            jitter: milliseconds(50),
        };
        assert_eq!(delay.range(), milliseconds(200)..=milliseconds(300));
    }

    #[test]
    fn the_catalogue_says_how_many_copies_there_may_be() {
        let repeat = MODIFIERS.iter().find(|knob| knob.key == "repeat");
        let values = format!("1 to {REPEAT_MAX} [1]");
        assert_eq!(repeat.map(|knob| knob.values), Some(values.as_str()));
    }
}
