//! What a real LAC does with the faults and garbles: xl2tpd, as it was seen to.
//!
//! The catalogue tells it, and a test has the LAC do it again, by its log and on the wire.

use std::fmt;

/// The LAC that was watched.
pub const LAC: &str = "xl2tpd 1.3.18";

/// What the LAC did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// To what, where it is not always the same; empty otherwise.
    pub to: &'static str,
    /// Whether it sent a ZLB for each answer that it got.
    pub acknowledges: bool,
    /// What it did with its control connection.
    pub outcome: Outcome,
    /// What it said in its log, or the part of it that does not differ from one attempt to the next.
    pub log: &'static str,
}

/// What became of a control connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was closed, as a StopCCN asks for.
    Closed,
    /// It was cleared with a StopCCN of the LAC's own.
    Cleared,
    /// The SCCRQ was sent five times, until the LAC gave up with a StopCCN of its own.
    TimedOut,
    /// Nothing more, for longer than the LAC waits for an answer.
    Hung,
}

impl Reaction {
    /// It took the StopCCN for what it is.
    pub(super) const CLOSED: Self = Self {
        to: "",
        acknowledges: true,
        outcome: Outcome::Closed,
        log: "peer closing for reason",
    };

    /// It heard nothing.
    pub(super) const TIMED_OUT: Self = Self {
        to: "",
        acknowledges: false,
        outcome: Outcome::TimedOut,
        log: "Maximum retries exceeded for tunnel",
    };

    /// It acknowledged the answer all the same.
    pub(super) const fn cleared(log: &'static str) -> Self {
        Self {
            outcome: Outcome::Cleared,
            log,
            ..Self::CLOSED
        }
    }

    /// It discarded the answer.
    pub(super) const fn discarded(log: &'static str) -> Self {
        Self {
            log,
            ..Self::TIMED_OUT
        }
    }

    /// It was content with the acknowledgement in the answer, and discarded the rest.
    pub(super) const fn hung(log: &'static str) -> Self {
        Self {
            outcome: Outcome::Hung,
            log,
            ..Self::CLOSED
        }
    }
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.to.is_empty() {
            write!(f, "{}: ", self.to)?;
        }
        if self.acknowledges {
            f.write_str("acknowledges it, and ")?;
        }
        f.write_str(match self.outcome {
            Outcome::Closed => "closes the control connection",
            Outcome::Cleared => "clears the control connection with a StopCCN of its own",
            Outcome::TimedOut => "sends its SCCRQ four times more, and gives up after 31 s",
            Outcome::Hung => "hangs: neither asks again nor gives up",
        })?;
        if !self.log.is_empty() {
            write!(f, " (\"{}\")", self.log)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_a_clause() {
        let to_zero = Reaction {
            to: "result 0",
            ..Reaction::hung("out of range")
        };
        for (reaction, clause) in [
            (
                Reaction::CLOSED,
                "acknowledges it, and closes the control connection (\"peer closing for reason\")",
            ),
            (
                Reaction::discarded(""),
                "sends its SCCRQ four times more, and gives up after 31 s",
            ),
            (
                to_zero,
                "result 0: acknowledges it, and hangs: neither asks again nor gives up \
                 (\"out of range\")",
            ),
        ] {
            assert_eq!(reaction.to_string(), clause);
        }
    }
}
