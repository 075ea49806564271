use super::fixture::*;
use crate::judge::{Breach, Judgement, Part, Verdict};
use crate::track::findings::{Acknowledgement, Conclusion, Doubt, Outcome, Reaction};

/// What came of an expectation after one outcome.
fn judged_by(expect: &str, outcome: Outcome) -> Judgement {
    let judge = judged(&refusing(expect), &[outcome]);
    let judgements = judge.judgements();
    assert_eq!(judgements.all.len(), 1);
    judgements.all[0].clone()
}

/// How an expectation ends after one outcome, and which parts it broke.
fn ends(expect: &str, outcome: Outcome) -> (Verdict, Vec<Part>) {
    let judgement = judged_by(expect, outcome);
    let breakers = judgement.breakers.iter();
    let breaches = breakers.flat_map(|breaker| &breaker.breaches);
    (judgement.verdict(), breaches.map(Breach::part).collect())
}

const FAIL_OVER: &str = r#"{ reaction = "failover" }"#;
const SOON: &str = r#"{ reaction = "failover", within = "5s" }"#;
const TO_TWO: &str = r#"{ reaction = "failover", to = ["192.0.2.2", "198.51.100.0/24"] }"#;
const RETRY_SOON: &str = r#"{ reaction = "retry-same", within = "5s" }"#;
const STAY: &str = r#"{ reaction = ["retry-same", "give-up"] }"#;
const ACKNOWLEDGE: &str = "{ acknowledge = true }";
const NO_ACKNOWLEDGEMENT: &str = "{ acknowledge = false }";
const LOCKOUT: &str = r#"{ lockout = { min = "55s", max = "65s" } }"#;

use Verdict::{Failed, NotSeen, Passed};

#[test]
fn reactions() {
    let over = outcome(FAILOVER).then("192.0.2.2", SECOND);
    let again = outcome(RETRY).then("192.0.2.1", SECOND);
    let up = outcome(GIVE_UP).quiet(600 * SECOND);
    let ignored = outcome(IGNORE).then("192.0.2.2", 30 * SECOND);
    for (expect, outcome, verdict) in [
        (FAIL_OVER, over, Passed),
        (FAIL_OVER, again, Failed),
        (FAIL_OVER, up, Failed),
        (FAIL_OVER, ignored, Failed),
        (STAY, over, Failed),
        (STAY, again, Passed),
        (STAY, up, Passed),
        (STAY, ignored, Failed),
        (r#"{ reaction = "ignore" }"#, ignored, Passed),
        (r#"{ reaction = "ignore" }"#, over, Failed),
        (r#"{ reaction = "give-up" }"#, up, Passed),
        (r#"{ reaction = "give-up" }"#, again, Failed),
    ] {
        let broken = match verdict {
            Failed => vec![Part::Reaction],
            _ => Vec::new(),
        };
        assert_eq!(
            ends(expect, outcome),
            (verdict, broken),
            "{expect} {outcome:?}"
        );
    }
}

#[test]
fn what_is_unknown_breaks_nothing() {
    for doubt in Doubt::ALL {
        let unknown = outcome(Conclusion::Unknown(doubt));
        for expect in [FAIL_OVER, SOON, TO_TWO, STAY, LOCKOUT] {
            let judgement = judged_by(expect, unknown);
            assert_eq!(judgement.verdict(), NotSeen, "{expect} {doubt:?}");
            let counted = u64::from(expect != LOCKOUT);
            assert_eq!(judgement.attempts.unknown(doubt), counted, "{expect}");
        }
        for expect in [ACKNOWLEDGE, NO_ACKNOWLEDGEMENT] {
            let doubtful = unknown.acknowledged(Acknowledgement::Unknown(doubt));
            assert_eq!(ends(expect, doubtful), (NotSeen, vec![]), "{doubt:?}");
        }
    }
}

#[test]
fn where_to() {
    for (lns, verdict) in [
        ("192.0.2.2", Passed),
        ("198.51.100.77", Passed),
        ("192.0.2.3", Failed),
        ("2001:db8::1", Failed),
    ] {
        let broken = if verdict == Failed {
            vec![Part::To]
        } else {
            vec![]
        };
        let outcome = outcome(FAILOVER).then(lns, SECOND);
        assert_eq!(ends(TO_TWO, outcome), (verdict, broken), "{lns}");
    }
    // Where it turns to does not matter to one that tries again.
    let either = r#"{ reaction = ["failover", "retry-same"], to = "192.0.2.2" }"#;
    let again = outcome(RETRY).then("192.0.2.1", SECOND);
    assert_eq!(ends(either, again), (Passed, vec![]));
}

#[test]
fn how_soon() {
    let late = (Failed, vec![Part::Within]);
    let soon = (Passed, vec![]);
    let over = |after| outcome(FAILOVER).then("192.0.2.2", after);
    assert_eq!(ends(SOON, over(5 * SECOND)), soon);
    assert_eq!(ends(SOON, over(5 * SECOND + 1)), late);
    let again = |after| outcome(RETRY).then("192.0.2.1", after);
    assert_eq!(ends(RETRY_SOON, again(5 * SECOND)), soon);
    assert_eq!(ends(RETRY_SOON, again(5 * SECOND + 1)), late);
    // Another reaction is not late on top of it.
    let expected = (Failed, vec![Part::Reaction]);
    assert_eq!(ends(SOON, again(9 * SECOND)), expected);
}

#[test]
fn who_is_quiet_for_too_long_is_late_whatever_comes() {
    let quiet = |quiet| outcome(OPEN).quiet(quiet);
    let late = (Failed, vec![Part::Within]);
    assert_eq!(ends(SOON, quiet(5 * SECOND)), (NotSeen, vec![]));
    assert_eq!(ends(SOON, quiet(5 * SECOND + 1)), late);
    assert_eq!(ends(RETRY_SOON, quiet(6 * SECOND)), late);
    // Nothing says how soon.
    assert_eq!(ends(FAIL_OVER, quiet(500 * SECOND)), (NotSeen, vec![]));
    // It may be giving up, which is all right.
    let either = r#"{ reaction = ["failover", "give-up"], within = "5s" }"#;
    assert_eq!(ends(either, quiet(6 * SECOND)), (NotSeen, vec![]));
    let judgement = judged_by(SOON, quiet(6 * SECOND));
    let breach = Breach::Quiet { quiet: 6 * SECOND };
    assert_eq!(judgement.breakers[0].breaches, [breach]);
}

#[test]
fn who_may_wait_longer_than_others_are_patient_has_not_given_up() {
    let up = outcome(GIVE_UP).quiet(600 * SECOND);
    let slow = r#"{ reaction = "retry-same", within = "20m" }"#;
    let judgement = judged_by(slow, up);
    assert_eq!(judgement.verdict(), NotSeen);
    assert_eq!(judgement.attempts.unknown(Doubt::StillOpen), 1);
    let away = r#"{ reaction = "retry-same", lockout = { min = "15m" } }"#;
    assert_eq!(ends(away, up).0, NotSeen);
    let fast = r#"{ reaction = "retry-same", within = "10m" }"#;
    assert_eq!(ends(fast, up), (Failed, vec![Part::Reaction]));
    // A lockout does not keep a LAC from another LNS.
    let over = r#"{ reaction = "failover", lockout = { min = "15m" } }"#;
    assert_eq!(ends(over, up), (Failed, vec![Part::Reaction]));
}

#[test]
fn acknowledgements() {
    use Acknowledgement::{None as Nothing, Piggyback, WrongNr, Zlb};
    for (seen, yes, no) in [
        (Zlb, Passed, Failed),
        (Piggyback, Passed, Failed),
        (WrongNr, Failed, Passed),
        (Nothing, Failed, Passed),
    ] {
        // That it is not known what a LAC does next does not matter.
        for conclusion in [FAILOVER, OPEN, Conclusion::Unknown(Doubt::Parallel)] {
            let outcome = outcome(conclusion).acknowledged(seen);
            assert_eq!(ends(ACKNOWLEDGE, outcome).0, yes, "{seen:?} {conclusion:?}");
            assert_eq!(
                ends(NO_ACKNOWLEDGEMENT, outcome).0,
                no,
                "{seen:?} {conclusion:?}"
            );
        }
        for doubt in [Doubt::EventsLost, Doubt::OutOfMemory, Doubt::LeftToHost] {
            let outcome = outcome(Conclusion::Unknown(doubt)).acknowledged(seen);
            for expect in [ACKNOWLEDGE, NO_ACKNOWLEDGEMENT] {
                assert_eq!(ends(expect, outcome).0, NotSeen, "{seen:?} {doubt:?}");
            }
        }
    }
    // There was nothing to acknowledge.
    let unanswered = outcome(FAILOVER).unanswered();
    assert_eq!(ends(ACKNOWLEDGE, unanswered).0, NotSeen);
    assert_eq!(ends(NO_ACKNOWLEDGEMENT, unanswered).0, NotSeen);
}

#[test]
fn lockouts() {
    let back = |length| outcome(OPEN).back(FAULT, length);
    let broken = (Failed, vec![Part::Lockout]);
    for (length, expected) in [
        (55 * SECOND - 1, &broken),
        (55 * SECOND, &(Passed, vec![])),
        (65 * SECOND, &(Passed, vec![])),
        (65 * SECOND + 1, &broken),
    ] {
        assert_eq!(&ends(LOCKOUT, back(length)), expected, "{length}");
        // Who tries the same again comes back to it just as well.
        let again = outcome(RETRY).then("192.0.2.1", length);
        assert_eq!(&ends(LOCKOUT, again), expected, "{length}");
    }
    assert_eq!(
        ends(LOCKOUT, outcome(FAILOVER).then("192.0.2.2", SECOND)).0,
        NotSeen
    );
    // Without an answer it counts from the last SCCRQ, not from the first.
    let mut unanswered = outcome(RETRY).then("192.0.2.1", 80 * SECOND).unanswered();
    unanswered.last += 20 * SECOND;
    assert_eq!(ends(LOCKOUT, unanswered).0, Passed);
}

#[test]
fn all_parts_have_to_be_seen() {
    let all = r#"{ reaction = "failover", acknowledge = true, lockout = { min = "55s" } }"#;
    let over = outcome(FAILOVER).then("192.0.2.2", SECOND);
    let judgement = judged_by(all, over);
    assert_eq!(judgement.verdict(), NotSeen);
    assert_eq!(judgement.missing().collect::<Vec<_>>(), [Part::Lockout]);
    assert_eq!(
        (judgement.attempts.fulfilled, judgement.attempts.seen),
        (1, 1)
    );
    let judge = judged(
        &refusing(all),
        &[over, outcome(OPEN).back(FAULT, 60 * SECOND)],
    );
    let judgement = &judge.judgements().all[0];
    assert_eq!(judgement.verdict(), Passed);
    let counts = |part| {
        let tally = judgement.part(part);
        (tally.expected, tally.fulfilled, tally.broken)
    };
    assert_eq!(
        Part::ALL.map(counts),
        [(2, 1, 0), (0, 0, 0), (0, 0, 0), (2, 2, 0), (2, 1, 0)]
    );
    assert_eq!(judgement.attempts.unknown(Doubt::StillOpen), 1);
}

#[test]
fn a_breaker_is_told_with_all_that_it_broke() {
    let all = r#"{ reaction = "failover", to = "192.0.2.2", within = "5s", acknowledge = true }"#;
    let bad = outcome(FAILOVER)
        .then("192.0.2.3", 7_200 * MILLISECOND)
        .acknowledged(Acknowledgement::None);
    let judge = judged(&refusing(all), &[bad, bad]);
    let judgement = &judge.judgements().all[0];
    let [breaker] = judgement.breakers.as_slice() else {
        panic!("one LAC, and not {:?}", judgement.breakers);
    };
    assert_eq!((breaker.lac, breaker.lns), (address("10.0.0.1"), FAULT.lns));
    assert_eq!((breaker.at, breaker.times), (SECOND, 2));
    assert_eq!(
        breaker.breaches,
        [
            Breach::Target {
                lns: address("192.0.2.3")
            },
            Breach::Late {
                after: 7_200 * MILLISECOND
            },
            Breach::Acknowledgement(Acknowledgement::None),
        ]
    );
    assert_eq!((judgement.attempts.broken, judgement.attempts.seen), (2, 2));
    // What else it breaks is told as well.
    let up = outcome(GIVE_UP).quiet(600 * SECOND);
    let judge = judged(&refusing(all), &[bad, up]);
    let breaches: Vec<_> = judge.judgements().all[0]
        .breakers
        .iter()
        .map(|breaker| breaker.breaches.len())
        .collect();
    assert_eq!(breaches, [3, 1]);
    let other = Breach::Reaction {
        reaction: Reaction::GiveUp,
        next: None,
        quiet: Some(600 * SECOND),
    };
    assert_eq!(judge.judgements().all[0].breakers[1].breaches, [other]);
}

#[test]
fn a_profile_is_judged_by_the_fault() {
    let text = "[[lns]]\naddress = \"192.0.0.0/16\"\nfault = \"code-in-address\"\n\
                expect = \"cisco-ios\"\n";
    let at = |lns: &str, outcome: Outcome| {
        let lns = address(lns);
        let fault = crate::track::findings::FaultKey { lns, ..FAULT };
        let judge = judged(text, &[Outcome { fault, ..outcome }]);
        let judgement = &judge.judgements().all[0];
        (judgement.verdict(), judgement.missing().collect::<Vec<_>>())
    };
    let over = outcome(FAILOVER).then("198.51.100.1", SECOND);
    let again = outcome(RETRY).then("192.0.1.4", SECOND);
    // Result 2 and error 4, then result 1 and error 4.
    assert_eq!(at("192.0.2.4", over), (NotSeen, vec![Part::Lockout]));
    assert_eq!(at("192.0.1.4", over), (Failed, vec![]));
    assert_eq!(at("192.0.1.4", again), (Passed, vec![]));
}
