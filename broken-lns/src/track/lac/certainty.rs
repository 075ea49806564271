//! What may be said of an attempt: the one place that decides what the traffic shows.
//!
//! The documentation has a paragraph for each reaction, on what proves it and what makes it
//! unknown.

use crate::track::findings::{Conclusion, Doubt, Reaction};

/// Why an attempt is concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is time.
    Due,
    /// It is too early, but there is no other time, for that reason.
    Early(Doubt),
    /// The request was left to the host.
    LeftToHost,
}

/// What was seen of an attempt by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    pub(super) ending: Ending,
    /// Whether an event that belongs to it may be lost.
    pub(super) is_lost: bool,
    /// Whether the LAC met a fault that found no room.
    pub(super) is_unjudged: bool,
    /// Whether its LNS is in another group now.
    pub(super) groups_changed: bool,
    /// Whether its SCCRQ came again and again after the answer.
    pub(super) is_ignored: bool,
    /// Whether nothing of it can come any more: the LAC ended it by a message, or the answer was
    /// too long ago to be acknowledged or ignored.
    pub(super) is_settled: bool,
    /// Why the next attempt of its chain may not follow it.
    pub(super) doubt: Option<Doubt>,
    /// What it was left for.
    pub(super) next: Option<Followed>,
    /// Whether it is the last attempt of its chain.
    pub(super) is_last: bool,
}

/// The LNS of the attempt that followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followed {
    BySameLns,
    ByOtherLns,
}

/// What an attempt came to.
pub(super) fn conclude(evidence: &Evidence) -> Conclusion {
    match reaction(evidence) {
        Ok(reaction) => Conclusion::Reaction(reaction),
        Err(doubt) => Conclusion::Unknown(doubt),
    }
}

fn reaction(evidence: &Evidence) -> Result<Reaction, Doubt> {
    let Evidence {
        ending,
        is_lost,
        is_unjudged,
        groups_changed,
        is_ignored,
        is_settled,
        doubt,
        next,
        is_last,
    } = *evidence;
    match ending {
        Ending::LeftToHost => return Err(Doubt::LeftToHost),
        // Whatever came next, it may have come after something that nobody saw.
        _ if is_lost => return Err(Doubt::EventsLost),
        _ if is_unjudged => return Err(Doubt::OutOfMemory),
        // That is seen in its own messages, and needs no next attempt.
        _ if is_ignored => return Ok(Reaction::Ignore),
        _ if groups_changed => return Err(Doubt::GroupsChanged),
        Ending::Due | Ending::Early(_) => {}
    }
    match next {
        Some(next) => match (doubt, ending) {
            (Some(doubt), _) => Err(doubt),
            // It may still be repeated, or acknowledged late, and was then not over when the
            // next one began.
            (None, Ending::Early(doubt)) if !is_settled => Err(doubt),
            (None, _) => Ok(match next {
                Followed::BySameLns => Reaction::RetrySame,
                Followed::ByOtherLns => Reaction::Failover,
            }),
        },
        // Any later attempt may be what it was left for.
        None if !is_last => Err(doubt.unwrap_or(Doubt::Parallel)),
        None => match ending {
            Ending::Early(doubt) => Err(doubt),
            _ => Ok(Reaction::GiveUp),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An attempt that the LAC acknowledged, and that nothing followed.
    const QUIET: Evidence = Evidence {
        ending: Ending::Due,
        is_lost: false,
        is_unjudged: false,
        groups_changed: false,
        is_ignored: false,
        is_settled: true,
        doubt: None,
        next: None,
        is_last: true,
    };
    /// One that was followed by an attempt at another LNS.
    const MOVED: Evidence = Evidence {
        next: Some(Followed::ByOtherLns),
        is_last: false,
        ..QUIET
    };
    const EARLY: Ending = Ending::Early(Doubt::StillOpen);

    fn known(evidence: &Evidence) -> Option<Reaction> {
        conclude(evidence).reaction()
    }

    fn doubt(evidence: &Evidence) -> Option<Doubt> {
        match conclude(evidence) {
            Conclusion::Unknown(doubt) => Some(doubt),
            Conclusion::Reaction(_) => None,
        }
    }

    #[test]
    fn what_is_proved() {
        let stayed = Evidence {
            next: Some(Followed::BySameLns),
            ..MOVED
        };
        let ignored = Evidence {
            is_ignored: true,
            is_settled: false,
            doubt: Some(Doubt::Parallel),
            ..MOVED
        };
        assert_eq!(known(&QUIET), Some(Reaction::GiveUp));
        assert_eq!(known(&MOVED), Some(Reaction::Failover));
        assert_eq!(known(&stayed), Some(Reaction::RetrySame));
        assert_eq!(known(&ignored), Some(Reaction::Ignore));
        // What is settled needs no confirmation.
        assert_eq!(
            known(&Evidence {
                ending: EARLY,
                ..MOVED
            }),
            Some(Reaction::Failover)
        );
        // Nothing followed it, whatever came before.
        let last_of_several = Evidence {
            doubt: Some(Doubt::Parallel),
            ..QUIET
        };
        assert_eq!(known(&last_of_several), Some(Reaction::GiveUp));
    }

    #[test]
    fn what_is_not() {
        for (evidence, expected) in [
            (
                Evidence {
                    ending: EARLY,
                    ..QUIET
                },
                Doubt::StillOpen,
            ),
            (
                Evidence {
                    ending: EARLY,
                    is_settled: false,
                    ..MOVED
                },
                Doubt::StillOpen,
            ),
            (
                Evidence {
                    is_last: false,
                    ..QUIET
                },
                Doubt::Parallel,
            ),
            (
                Evidence {
                    doubt: Some(Doubt::Unordered),
                    ..MOVED
                },
                Doubt::Unordered,
            ),
            (
                Evidence {
                    groups_changed: true,
                    ..MOVED
                },
                Doubt::GroupsChanged,
            ),
            (
                Evidence {
                    is_unjudged: true,
                    ..MOVED
                },
                Doubt::OutOfMemory,
            ),
            (
                Evidence {
                    is_lost: true,
                    is_ignored: true,
                    ..MOVED
                },
                Doubt::EventsLost,
            ),
            (
                Evidence {
                    ending: Ending::LeftToHost,
                    is_lost: true,
                    ..QUIET
                },
                Doubt::LeftToHost,
            ),
        ] {
            assert_eq!(doubt(&evidence), Some(expected), "{evidence:?}");
        }
    }
}
