//! LACs with known personalities, held against what is expected of them.

use std::collections::HashSet;

use super::population::{Manners, Numbers};
use super::wire::{Talk, Way};
use super::*;
use crate::judge::{Expectations, Judge, Part, Verdict};
use crate::refusal::Refusal;
use crate::scenario::Scenario;
use crate::track::ledger::NEWS;

/// A scenario whose rules 1 to 3 are the faults that are simulated, and which expects the same
/// of whoever meets any of them.
fn scenario(expect: &str, of_silence: &str) -> Scenario {
    let text = format!(
        "[default]\nfault = \"silent\"\n\
         [[lns]]\naddress = \"192.0.2.0/24\"\n\
         [[lns.lac]]\naddress = \"10.0.1.0/24\"\nfault = \"refuse\"\nresult = 2\n\
         expect = {expect}\n\
         [[lns.lac]]\naddress = \"10.0.2.0/24\"\nfault = \"silent\"\nexpect = {of_silence}\n\
         [[lns.lac]]\naddress = \"10.0.3.0/24\"\nfault = \"refuse\"\nresult = 2\ndelay = \"4s\"\n\
         expect = {expect}\n"
    );
    Scenario::parse("test.toml", &text, &Refusal::default()).expect("all of this is right")
}

/// The judge of what a tracker makes of the events until `end`.
fn judge(expect: &Scenario, mut events: Vec<Event>, end: u64) -> Judge {
    events.sort_by_key(|event| event.time);
    let mut judge = Judge::new(0);
    judge.enter(0, Expectations::of(expect));
    let mut tracker = tracker();
    for event in events {
        tracker.observe(&event, &[]);
        tracker.advance(event.time);
        tracker.take_news().iter().for_each(|news| judge.hear(news));
    }
    tracker.advance(end);
    tracker.finish(end, |news| judge.hear(&news));
    judge
}

/// What came of the expectation after a LAC of that habit has lived for 400 s. The end comes too
/// soon to take it for one that gave up, unless that is its habit.
fn ends(fault: Fault, habit: Habit, manners: Manners, expect: &str) -> Verdict {
    let personality = Personality {
        manners,
        habit,
        fault,
        way: Way::Kernel,
        haste: 5 * MILLISECOND,
    };
    let lac = (fault as u32) << 8 | 1;
    let (events, _) = personality.live(lac, SECOND, 400 * SECOND, &mut Numbers(1));
    let scenario = match fault {
        Fault::Silent => scenario("\"junos\"", expect),
        Fault::Refuse | Fault::Late => scenario(expect, "\"junos\""),
    };
    let end = match habit {
        Habit::GiveUp => 1_100 * SECOND,
        _ => 410 * SECOND,
    };
    let judge = judge(&scenario, events, end);
    judge.judgements().all[fault as usize - 1].verdict()
}

const CISCO: &str = "\"cisco-ios\"";
const JUNOS: &str = "\"junos\"";
const NOKIA: &str = "\"nokia-sros\"";

#[test]
fn a_known_lac_passes_and_fails_what_it_should() {
    let minute = |lnss| Habit::Lockout { lnss, seconds: 60 };
    let five = |lnss| Habit::Lockout { lnss, seconds: 300 };
    let retry = Habit::Retry { after: 30 * SECOND };
    // The last of its LNSs it leaves when the first is no longer locked out.
    let soon = r#"{ reaction = "failover", to = "192.0.2.0/29", within = "61s" }"#;
    let polite = r#"{ acknowledge = true }"#;
    let rude = r#"{ acknowledge = false }"#;
    let stubborn = r#"{ reaction = "retry-same", within = "31s", lockout = { min = "29s" } }"#;
    use Verdict::{Failed, Passed};
    for (fault, habit, manners, expect, verdict) in [
        (Fault::Refuse, minute(3), Manners::Zlb, CISCO, Passed),
        (Fault::Refuse, minute(3), Manners::Zlb, JUNOS, Failed),
        (Fault::Refuse, minute(3), Manners::Zlb, NOKIA, Failed),
        (Fault::Refuse, five(2), Manners::Zlb, CISCO, Failed),
        (Fault::Refuse, five(2), Manners::Zlb, JUNOS, Passed),
        (Fault::Refuse, five(2), Manners::Zlb, NOKIA, Passed),
        // A LAC that is not answered counts from when it gave up, and not from its last SCCRQ.
        (Fault::Silent, minute(3), Manners::Zlb, CISCO, Passed),
        (Fault::Silent, five(2), Manners::Zlb, JUNOS, Passed),
        (Fault::Silent, five(2), Manners::Zlb, CISCO, Failed),
        (Fault::Late, minute(3), Manners::Zlb, CISCO, Passed),
        (Fault::Late, minute(3), Manners::Zlb, soon, Passed),
        (Fault::Refuse, minute(3), Manners::Piggyback, polite, Passed),
        (Fault::Refuse, minute(3), Manners::WrongNr, polite, Failed),
        (Fault::Refuse, minute(3), Manners::Nothing, polite, Failed),
        (Fault::Refuse, minute(3), Manners::Nothing, rude, Passed),
        (Fault::Refuse, minute(3), Manners::Zlb, rude, Failed),
        (Fault::Refuse, retry, Manners::Zlb, stubborn, Passed),
        (Fault::Refuse, retry, Manners::Zlb, CISCO, Failed),
        (Fault::Refuse, retry, Manners::Zlb, soon, Failed),
        (
            Fault::Refuse,
            Habit::GiveUp,
            Manners::Zlb,
            r#"{ reaction = "give-up" }"#,
            Passed,
        ),
        (Fault::Refuse, Habit::GiveUp, Manners::Zlb, soon, Failed),
        (
            Fault::Refuse,
            Habit::IgnoreForEver,
            Manners::Nothing,
            r#"{ reaction = "ignore", acknowledge = false }"#,
            Passed,
        ),
        (
            Fault::Refuse,
            Habit::IgnoreAndFailOver { lnss: 2 },
            Manners::Nothing,
            soon,
            Failed,
        ),
    ] {
        let ended = ends(fault, habit, manners, expect);
        assert_eq!(ended, verdict, "{fault:?} {habit:?} {manners:?} {expect}");
    }
}

#[test]
fn a_lac_that_does_nothing_in_a_short_run_is_too_late_and_not_unknown() {
    let mut events = Vec::new();
    let talk = super::wire::Talk {
        lac: 1 << 8,
        lns: 1,
        rule: 1,
        way: Way::Worker,
        port: 1701,
    };
    let verdict = broken_lns_ebpf::verdict::Verdict::Answered;
    talk.request(&mut events, SECOND, 7, verdict);
    for (expect, verdict) in [
        (
            r#"{ reaction = "failover", within = "5s" }"#,
            Verdict::Failed,
        ),
        (
            r#"{ reaction = "failover", within = "30s" }"#,
            Verdict::NotSeen,
        ),
        (r#"{ reaction = "failover" }"#, Verdict::NotSeen),
    ] {
        let judge = judge(&scenario(expect, JUNOS), events.clone(), 20 * SECOND);
        assert_eq!(judge.judgements().all[0].verdict(), verdict, "{expect}");
    }
}

/// What is expected of the whole population.
const ALL: &str = r#"{ reaction = "failover", within = "10s", acknowledge = true, lockout = { min = "59s", max = "110s" } }"#;
const ALL_OF_SILENCE: &str =
    r#"{ reaction = "failover", within = "40s", lockout = { min = "59s", max = "110s" } }"#;

#[test]
fn every_attempt_is_counted_as_what_it_was() {
    let population = population(0x1704);
    let judge = judge(
        &scenario(ALL, ALL_OF_SILENCE),
        population.events.clone(),
        END,
    );
    for (judgement, fault) in judge.judgements().all.iter().zip([1, 2, 3]) {
        let met =
            |truth: &&Truth| population.personalities[truth.lac as usize].fault as u32 == fault;
        let truths: Vec<&Truth> = population.truths.values().filter(met).collect();
        assert_eq!(judgement.attempts.seen, truths.len() as u64);
        assert!(
            Doubt::ALL
                .iter()
                .all(|doubt| judgement.attempts.unknown(*doubt) == 0)
        );

        let over = |truth: &&&Truth| conclusion(truth) == Conclusion::Reaction(Reaction::Failover);
        let fulfilled = truths.iter().filter(over).count() as u64;
        let tally = judgement.part(Part::Reaction);
        let broken = truths.len() as u64 - fulfilled;
        assert_eq!((tally.fulfilled, tally.broken), (fulfilled, broken));

        let within = if fault == 2 { 40 * SECOND } else { 10 * SECOND };
        let late = |truth: &&&Truth| truth.next.is_some_and(|(_, after)| after > within);
        let late = truths.iter().filter(over).filter(late).count() as u64;
        let tally = judgement.part(Part::Within);
        assert_eq!((tally.fulfilled, tally.broken), (fulfilled - late, late));

        let right = truths
            .iter()
            .filter(|truth| truth.acknowledgement.is_delivered());
        let right = right.count() as u64;
        let tally = judgement.part(Part::Acknowledge);
        let expected = match fault {
            2 => (0, 0),
            _ => (right, truths.len() as u64 - right),
        };
        assert_eq!((tally.fulfilled, tally.broken), expected);
    }
}

/// The LACs that broke a part of an expectation, as far as they are told.
fn breakers(judge: &Judge, part: Part) -> HashSet<IpAddr> {
    let all = judge.judgements().all.iter();
    let breakers = all.flat_map(|judgement| &judgement.breakers);
    let guilty = breakers.filter(|breaker| breaker.breaches.iter().any(|of| of.part() == part));
    guilty.map(|breaker| breaker.lac).collect()
}

#[test]
fn nothing_is_broken_that_lost_events_would_have_kept() {
    let population = population(0x1705);
    let scenario = scenario(ALL, ALL_OF_SILENCE);
    let mut numbers = Numbers(11);
    let mut judge = Judge::new(0);
    judge.enter(0, Expectations::of(&scenario));
    let mut tracker = tracker();
    let during = 100 * SECOND..120 * SECOND;
    let (outcomes, _) = follow_with_losses(&mut tracker, &population, during, &mut numbers);

    let mut lost = 0;
    for outcome in &outcomes {
        let key = (outcome.lac, outcome.fault.lns, outcome.tunnel_id);
        let truth = &population.truths[&key];
        let before = judge.judgements().all.clone();
        judge.hear(&News::Concluded(*outcome));
        for (before, after) in before.iter().zip(&judge.judgements().all) {
            lost += after.attempts.unknown(Doubt::EventsLost)
                - before.attempts.unknown(Doubt::EventsLost);
            let broken = |part| after.part(part).broken > before.part(part).broken;
            if broken(Part::Reaction) {
                assert_ne!(truth.reaction, Some(Reaction::Failover), "{outcome:?}");
            }
            if broken(Part::Acknowledge) {
                assert!(!truth.acknowledgement.is_delivered(), "{outcome:?}");
            }
            if broken(Part::Lockout)
                && let Some(lockout) = outcome.lockout
            {
                assert_eq!(Some(lockout.length), truth.lockout, "{outcome:?}");
            }
        }
    }
    assert!(lost > 1000, "{lost}");
    assert!(!breakers(&judge, Part::Acknowledge).is_empty());
}

#[test]
fn every_lac_is_judged_at_the_end_however_many_there_are() {
    let lacs = NEWS as u32 + 1;
    let mut events = Vec::new();
    for lac in 0..lacs {
        let talk = Talk {
            lac,
            lns: 1,
            rule: Fault::Silent as u32,
            way: Way::Kernel,
            port: 1701,
        };
        // Only the first one has been quiet for too long when the end comes.
        let time = if lac == 0 { SECOND } else { 100 * SECOND };
        talk.request(
            &mut events,
            time,
            7,
            broken_lns_ebpf::verdict::Verdict::Silent,
        );
    }
    let scenario = scenario(CISCO, r#"{ reaction = "failover", within = "5s" }"#);
    let judge = judge(&scenario, events, 102 * SECOND);
    let judgement = &judge.judgements().all[Fault::Silent as usize - 1];
    assert_eq!(judgement.attempts.seen, u64::from(lacs));
    assert_eq!(judgement.attempts.broken, 1);
    assert_eq!(judgement.breakers[0].lac, lac_address(0));
    assert_eq!(judgement.verdict(), Verdict::Failed);
}
