//! What holds whatever is expected, and whatever LACs do.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::fixture::*;
use crate::judge::measure::{self, Found, measure};
use crate::judge::{Breach, Part};
use crate::scenario::expect::{Lockout, Terms};
use crate::track::findings::{Acknowledgement, Conclusion, Doubt, Next, Outcome, Reaction};

/// A time in which bounds and what is held against them often meet.
fn time() -> impl Strategy<Value = u64> {
    (0..8_u64).prop_map(|seconds| seconds * SECOND)
}

fn duration() -> impl Strategy<Value = Duration> {
    time().prop_map(Duration::from_nanos)
}

fn terms() -> impl Strategy<Value = Terms> {
    let to = prop::sample::select(&["192.0.2.2", "192.0.2.0/24"][..]);
    let to = to.prop_map(|prefix| prefix.parse().expect("a prefix"));
    let lockout = (option::of(duration()), option::of(duration()));
    (
        prop::sample::subsequence(&Reaction::ALL[..], 0..4),
        option::of(to),
        option::of(duration()),
        option::of(any::<bool>()),
        option::of(lockout.prop_map(|(min, max)| Lockout { min, max })),
    )
        .prop_map(|(reactions, to, within, acknowledge, lockout)| Terms {
            reactions,
            to: to.into_iter().collect(),
            within,
            acknowledge,
            lockout,
        })
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    let conclusion = prop_oneof![
        prop::sample::select(&Reaction::ALL[..]).prop_map(Conclusion::Reaction),
        prop::sample::select(&Doubt::ALL[..]).prop_map(Conclusion::Unknown),
    ];
    let acknowledgement = prop::sample::select(
        &[
            Acknowledgement::None,
            Acknowledgement::Unknown(Doubt::EventsLost),
            Acknowledgement::ZeroTunnelId,
            Acknowledgement::WrongNr,
            Acknowledgement::Piggyback,
            Acknowledgement::Zlb,
        ][..],
    );
    let next = option::of((1..4_u8, time()));
    let quiet = option::of(time());
    (conclusion, acknowledgement, next, quiet, any::<bool>()).prop_map(
        |(conclusion, acknowledgement, next, quiet, is_answered)| {
            let is_known = conclusion.reaction().is_some();
            let next = next.filter(|_| is_known).map(|(lns, after)| Next {
                lns: std::net::Ipv4Addr::new(192, 0, 2, lns).into(),
                at: 10 * SECOND + after,
                after,
            });
            Outcome {
                acknowledgement,
                next,
                quiet: quiet.filter(|_| next.is_none()),
                answered: is_answered.then_some(10 * SECOND),
                ..outcome(conclusion)
            }
        },
    )
}

proptest! {
    #[test]
    fn each_part_that_is_expected_is_found_once_at_the_most(
        terms in terms(),
        outcome in any_outcome(),
    ) {
        let expected: Vec<Part> = measure::expected(&terms).collect();
        let found = measure(&terms, &outcome);
        let parts: Vec<Part> = found
            .iter()
            .map(|found| match found {
                Found::Fulfilled(part) | Found::Unknown(part, _) => *part,
                Found::Broken(breach) => breach.part(),
            })
            .collect();
        prop_assert!(parts.is_sorted_by(|one, other| one < other), "{found:?}");
        prop_assert!(parts.iter().all(|part| expected.contains(part)), "{found:?}");
    }

    #[test]
    fn of_what_is_unknown_only_the_certain_is_broken(
        terms in terms(),
        outcome in any_outcome(),
    ) {
        let Conclusion::Unknown(doubt) = outcome.conclusion else {
            return Ok(());
        };
        for found in measure(&terms, &outcome) {
            match found {
                Found::Broken(Breach::Quiet { quiet }) => {
                    prop_assert_eq!(outcome.quiet, Some(quiet));
                    prop_assert!(terms.within.is_some_and(|w| Duration::from_nanos(quiet) > w));
                }
                Found::Broken(Breach::Acknowledgement(how)) => {
                    let unsure = matches!(doubt, Doubt::EventsLost | Doubt::OutOfMemory);
                    prop_assert!(!unsure && doubt != Doubt::LeftToHost);
                    prop_assert!(!matches!(how, Acknowledgement::Unknown(_)));
                    prop_assert!(outcome.answered.is_some());
                }
                Found::Broken(breach) => prop_assert!(false, "{breach:?}"),
                Found::Fulfilled(part) => prop_assert_eq!(part, Part::Acknowledge),
                Found::Unknown(Part::Acknowledge, why) => {
                    let seen = outcome.acknowledgement == Acknowledgement::Unknown(why);
                    prop_assert!(why == doubt || seen);
                }
                Found::Unknown(_, why) => prop_assert_eq!(why, doubt),
            }
        }
    }
}
