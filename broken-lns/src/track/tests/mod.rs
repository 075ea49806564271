mod any;
mod bound;
mod expected;
mod population;
mod single;
mod wire;

use std::collections::HashMap;
use std::ops::Range;

use broken_lns_ebpf::event::Event;

use self::population::{Fault, Habit, Numbers, Personality, Truth};
use self::wire::{MILLISECOND, SECOND, lac_address, lns_address};
use super::*;
use crate::track::Source;
use crate::track::findings::{Acknowledgement, Conclusion, Lockout, Reaction};

/// LACs that live at once: every personality several times.
const LACS: u32 = 10 * Personality::COUNT;
/// When they have their last attempt at the latest, and when the test ends.
const LAST: u64 = 1_000 * SECOND;
const END: u64 = 2_000 * SECOND;

fn rules() -> Vec<Rule> {
    [
        ("silent", false),
        ("refuse 2/4", true),
        ("silent", false),
        ("refuse 2/4 after 4 s", true),
    ]
    .map(|(fault, refuses)| Rule {
        fault: fault.to_owned(),
        refuses,
        source: Source::RIGHT,
    })
    .to_vec()
}

fn tracker() -> Tracker {
    let mut tracker = Tracker::new(Settings::default());
    tracker.enter(0, rules());
    tracker
}

/// A population, what is seen of it in the order of time, and the truth.
struct Population {
    personalities: Vec<Personality>,
    events: Vec<Event>,
    truths: HashMap<(IpAddr, IpAddr, u16), Truth>,
}

fn population(seed: u64) -> Population {
    let mut numbers = Numbers(seed);
    let mut all = Population {
        personalities: Vec::new(),
        events: Vec::new(),
        truths: HashMap::new(),
    };
    for lac in 0..LACS {
        let personality = Personality::of(lac, &mut numbers);
        let begin = SECOND + numbers.below(5 * SECOND);
        // A storm for a minute says as much as one for longer.
        let end = match personality.habit {
            Habit::Retry { after } if after < SECOND && personality.fault == Fault::Refuse => {
                30 * SECOND
            }
            _ => LAST,
        };
        let (events, truths) = personality.live(lac, begin, end, &mut numbers);
        all.personalities.push(personality);
        all.events.extend(events);
        let truths = truths.into_iter().map(|truth| {
            let key = (lac_address(lac), lns_address(truth.lns), truth.id);
            (key, truth)
        });
        all.truths.extend(truths);
    }
    all.events.sort_by_key(|event| event.time);
    all
}

/// Follows the events, each at the time with which it comes.
fn follow(tracker: &mut Tracker, events: impl Iterator<Item = (u64, Event)>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (now, event) in events {
        tracker.observe(&event, &[]);
        tracker.advance(now);
        outcomes.extend(tracker.take_outcomes());
    }
    tracker.finish(END, |outcome| outcomes.push(outcome));
    outcomes
}

/// Follows the events of a population to the end, while half of those are lost that were made at
/// that time. Also returns how many.
fn follow_with_losses(
    tracker: &mut Tracker,
    population: &Population,
    during: Range<u64>,
    numbers: &mut Numbers,
) -> (Vec<Outcome>, u64) {
    let mut lost = 0;
    let mut outcomes = Vec::new();
    for event in &population.events {
        if during.contains(&event.time) && numbers.below(2) == 0 {
            lost += 1;
            tracker.lost(1, event.time);
            continue;
        }
        tracker.observe(event, &[]);
        tracker.advance(event.time);
        outcomes.extend(tracker.take_outcomes());
    }
    tracker.finish(END, |outcome| outcomes.push(outcome));
    (outcomes, lost)
}

/// What the truth of an attempt is, once its LAC was quiet for long enough.
fn conclusion(truth: &Truth) -> Conclusion {
    Conclusion::Reaction(truth.reaction.unwrap_or(Reaction::GiveUp))
}

fn assert_true(outcome: &Outcome, truth: &Truth) {
    let next = outcome.next.map(|next| (next.lns, next.after));
    let true_next = truth.next.map(|(lns, after)| (lns_address(lns), after));
    assert_eq!(
        outcome.conclusion,
        conclusion(truth),
        "{outcome:?}\n{truth:?}"
    );
    assert_eq!(next, true_next, "{outcome:?}\n{truth:?}");
    assert_eq!(outcome.began, truth.began, "{outcome:?}\n{truth:?}");
    assert_eq!(
        (
            outcome.retransmissions_before,
            outcome.retransmissions_after,
            outcome.acknowledgement,
            outcome.lockout.map(|lockout| lockout.length),
        ),
        (
            truth.before,
            truth.after,
            truth.acknowledgement,
            truth.lockout
        ),
        "{outcome:?}\n{truth:?}"
    );
}

/// That the outcome of every attempt is the truth, and what is said of every LAC as well.
fn assert_all_true(population: &Population, tracker: &Tracker, outcomes: &[Outcome]) {
    assert_eq!(outcomes.len(), population.truths.len());
    for outcome in outcomes {
        let key = (outcome.lac, outcome.fault.lns, outcome.tunnel_id);
        assert_true(outcome, &population.truths[&key]);
    }

    let findings: HashMap<IpAddr, LacFindings> = tracker.lacs().map(|lac| (lac.lac, lac)).collect();
    assert_eq!(findings.len(), population.personalities.len());
    for (lac, personality) in population.personalities.iter().enumerate() {
        let findings = &findings[&lac_address(lac as u32)];
        assert!(!findings.parallel && !findings.events_lost);
        assert_eq!(
            findings.selection,
            personality.selection(),
            "{personality:?} {findings:?}"
        );
        let (reaction, lnss) = match personality.habit {
            Habit::Lockout { lnss, .. } | Habit::RoundRobin { lnss } => (Reaction::Failover, lnss),
            Habit::Retry { .. } => (Reaction::RetrySame, 1),
            Habit::GiveUp => (Reaction::GiveUp, 1),
            // Who is not answered does not ignore it.
            Habit::IgnoreAndFailOver { lnss } if personality.fault == Fault::Silent => {
                (Reaction::Failover, lnss)
            }
            Habit::IgnoreAndRetry if personality.fault == Fault::Silent => (Reaction::RetrySame, 1),
            Habit::IgnoreForEver if personality.fault == Fault::Silent => (Reaction::GiveUp, 1),
            Habit::IgnoreAndFailOver { lnss } => (Reaction::Ignore, lnss),
            Habit::IgnoreAndRetry | Habit::IgnoreForEver => (Reaction::Ignore, 1),
        };
        let order: Vec<IpAddr> = (1..=lnss).map(lns_address).collect();
        assert_eq!(findings.order, order, "{personality:?}");
        for visit in &findings.visits {
            // The last attempt of all ended with quiet, whatever the habit.
            let others = visit.attempts - visit.reaction(reaction);
            assert!(
                others <= 1 && visit.unknown == 0,
                "{personality:?} {visit:?}"
            );
            if let Habit::Lockout { seconds, .. } = personality.habit
                && let Some(lockout) = visit.lockout
            {
                let least = seconds * SECOND;
                assert!((least..least + 50 * SECOND).contains(&lockout), "{visit:?}");
            }
        }
    }
}

#[test]
fn every_reaction_of_every_lac_is_the_one_that_was_simulated() {
    let population = population(0x1701);
    let mut tracker = tracker();
    let events = population.events.iter();
    let outcomes = follow(&mut tracker, events.map(|event| (event.time, *event)));
    assert_all_true(&population, &tracker, &outcomes);

    let findings = tracker.findings();
    let totals = findings.totals;
    assert_eq!(totals.lacs, u64::from(LACS));
    assert_eq!(totals.attempts, population.truths.len() as u64);
    assert_eq!((totals.events_lost, totals.events_forced), (0, 0));
    assert_eq!((totals.events_unmatched, totals.attempts_open), (0, 0));
    let truths = population.truths.values();
    let retransmissions: u32 = truths.map(|truth| truth.before + truth.after).sum();
    assert_eq!(totals.retransmissions, u64::from(retransmissions));
    let over_time: u64 = findings.attempts_over_time.counts.iter().sum();
    assert_eq!(over_time, totals.attempts);

    for fault in &findings.faults {
        let met = |truth: &&Truth| {
            let personality = &population.personalities[truth.lac as usize];
            lns_address(truth.lns) == fault.key.lns && personality.fault as u32 == fault.key.rule
        };
        let truths: Vec<&Truth> = population.truths.values().filter(met).collect();
        assert_eq!(fault.attempts, truths.len() as u64);
        for reaction in Reaction::ALL {
            let those = || {
                let truths = truths.iter();
                truths.filter(|truth| conclusion(truth) == Conclusion::Reaction(reaction))
            };
            let lacs: std::collections::HashSet<u32> = those().map(|truth| truth.lac).collect();
            let share = fault.reactions.of(reaction);
            assert_eq!(share.attempts, those().count() as u64, "{reaction:?}");
            assert_eq!(share.lacs, lacs.len() as u64, "{reaction:?}");
        }
        let acknowledged = |how| {
            let truths = truths.iter();
            truths.filter(|truth| truth.acknowledgement == how).count() as u64
        };
        let expected = match fault.key.rule {
            2 => (0, 0, 0, 0, 0),
            _ => (
                acknowledged(Acknowledgement::Zlb),
                acknowledged(Acknowledgement::Piggyback),
                acknowledged(Acknowledgement::WrongNr),
                acknowledged(Acknowledgement::None),
                0,
            ),
        };
        let counted = &fault.acknowledged;
        assert_eq!(
            (
                counted.zlb,
                counted.piggyback,
                counted.wrong_nr,
                counted.none,
                counted.unknown
            ),
            expected
        );
    }
}

#[test]
fn nothing_is_claimed_that_lost_events_would_have_told() {
    let population = population(0x1703);
    let (from, until) = (100 * SECOND, 120 * SECOND);
    let mut numbers = Numbers(9);
    let mut tracker = tracker();
    let (outcomes, lost) = follow_with_losses(&mut tracker, &population, from..until, &mut numbers);

    assert!(lost > 1000);
    assert_eq!(tracker.findings().totals.events_lost, lost);
    let (mut known, mut unknown) = (0, 0);
    for outcome in &outcomes {
        let key = (outcome.lac, outcome.fault.lns, outcome.tunnel_id);
        let truth = &population.truths[&key];
        match outcome.conclusion {
            Conclusion::Reaction(_) => {
                known += 1;
                let lockout = outcome.lockout.or(truth.lockout.map(|length| Lockout {
                    fault: outcome.fault,
                    length,
                }));
                assert_true(
                    &Outcome {
                        lockout,
                        ..*outcome
                    },
                    truth,
                );
            }
            Conclusion::Unknown(doubt) => {
                unknown += 1;
                assert_eq!(doubt, Doubt::EventsLost);
                // A retransmission may be the first that was seen of an attempt.
                assert!(outcome.began <= until + 10 * SECOND, "{outcome:?}");
                if outcome.answered.is_some() {
                    assert_ne!(
                        outcome.acknowledgement,
                        Acknowledgement::None,
                        "{outcome:?}"
                    );
                }
            }
        }
    }
    assert!(known > 10_000 && unknown > 1000, "{known} {unknown}");
}
