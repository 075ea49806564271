use std::time::Duration;

use super::fixture::*;
use crate::judge::room::OCTETS;
use crate::judge::{BREAKERS, Expectations, Judge, Left, Verdict};
use crate::scenario::Treatment;
use crate::track::findings::{FaultKey, Outcome};

const FAIL_OVER: &str = r#"{ reaction = "failover" }"#;
const RETRY_SAME: &str = r#"{ reaction = "retry-same" }"#;

fn over() -> Outcome {
    outcome(FAILOVER).then("192.0.2.2", SECOND)
}

/// The same under the scenario of that number.
fn under(scenario: u32, outcome: Outcome) -> Outcome {
    let fault = FaultKey {
        scenario,
        ..outcome.fault
    };
    Outcome { fault, ..outcome }
}

/// The scenario and the verdict of each expectation, and the attempts that it saw.
fn verdicts(judge: &Judge) -> Vec<(u32, Verdict, u64)> {
    let all = judge.judgements().all.iter();
    all.map(|judgement| {
        (
            judgement.scenario,
            judgement.verdict(),
            judgement.attempts.seen,
        )
    })
    .collect()
}

#[test]
fn only_rules_that_expect_something_are_judged() {
    let text = format!(
        "[default]\nfault = \"silent\"\nexpect = {FAIL_OVER}\n\
         [[lns]]\naddress = \"192.0.2.9\"\nfault = \"silent\"\n{}",
        refusing(RETRY_SAME)
    );
    let of_rule = |rule| {
        let fault = FaultKey { rule, ..FAULT };
        Outcome { fault, ..over() }
    };
    let judge = judged(&text, &[of_rule(0), of_rule(1), of_rule(2), of_rule(3)]);
    let rules: Vec<_> = judge
        .judgements()
        .all
        .iter()
        .map(|judgement| (judgement.rule, judgement.verdict()))
        .collect();
    assert_eq!(rules, [(0, Verdict::Passed), (2, Verdict::Failed)]);
    let failed = judge.judgements().check().expect_err("one failed");
    assert_eq!(
        failed.to_string(),
        "1 of 2 expectations failed; the report says who broke them"
    );
    // Whoever started the run may say more about it.
    let error = anyhow::Error::from(failed).context("the run is over");
    assert!(error.is::<crate::judge::Failed>());
    assert_eq!(judge.judgements().count(Verdict::Passed), 1);
}

#[test]
fn an_expectation_that_stays_as_it_is_goes_on() {
    let mut judge = judged(&refusing(FAIL_OVER), &[over()]);
    // The rule has another number and another place now.
    let text = format!(
        "[[lns]]\naddress = \"192.0.2.9\"\nfault = \"silent\"\n\n{}",
        refusing(FAIL_OVER)
    );
    judge.enter(1, expected(&text));
    let fault = FaultKey {
        scenario: 1,
        rule: 2,
        ..FAULT
    };
    judge.concluded(&Outcome { fault, ..over() });
    judge.concluded(&over());
    assert_eq!(verdicts(&judge), [(0, Verdict::Passed, 3)]);
    assert_eq!(judge.judgements().check(), Ok(()));
}

#[test]
fn what_came_of_a_scenario_stays_when_it_is_replaced() {
    let mut judge = judged(&refusing(RETRY_SAME), &[over()]);
    judge.enter(1, expected(&refusing(FAIL_OVER)));
    judge.concluded(&under(1, over()));
    // An attempt of before ends only now.
    judge.concluded(&over());
    assert_eq!(
        verdicts(&judge),
        [(0, Verdict::Failed, 2), (1, Verdict::Passed, 1)]
    );
    judge.enter(2, expected(""));
    judge.concluded(&under(2, over()));
    judge.concluded(&under(3, over()));
    assert_eq!(judge.judgements().all.len(), 2);
}

#[test]
fn a_lockout_is_judged_by_what_it_was_for() {
    let away = |min| format!(r#"{{ lockout = {{ min = "{min}s" }} }}"#);
    let mut judge = judged(&refusing(&away(50)), &[]);
    judge.enter(1, expected(&refusing(&away(70))));
    // It was refused under the first scenario, and comes back under the second.
    judge.concluded(&under(1, outcome(OPEN)).back(FAULT, 60 * SECOND));
    assert_eq!(
        verdicts(&judge),
        [(0, Verdict::Passed, 0), (1, Verdict::NotSeen, 1)]
    );
}

#[test]
fn breakers_are_the_first_ones_and_the_others_are_counted() {
    let again = outcome(RETRY).then("192.0.2.1", SECOND);
    let of_lac = |number: u32| Outcome {
        lac: std::net::Ipv4Addr::from_bits(10 << 24 | number).into(),
        ..again
    };
    let outcomes: Vec<_> = (0..50).map(|number| of_lac(number % 25)).collect();
    let judge = judged(&refusing(FAIL_OVER), &outcomes);
    let judgement = &judge.judgements().all[0];
    let breakers: Vec<_> = judgement
        .breakers
        .iter()
        .map(|breaker| (breaker.lac, breaker.times))
        .collect();
    let first: Vec<_> = (0..20).map(|number| (of_lac(number).lac, 2)).collect();
    assert_eq!(breakers.len(), BREAKERS);
    assert_eq!(breakers, first);
    assert_eq!(judgement.breakers_left_out, 10);
}

#[test]
fn scenarios_of_long_ago_are_forgotten_and_what_comes_of_them_is_counted() {
    let mut judge = judged("", &[]);
    let text = |number: usize| {
        let result = 1 + number % 2;
        format!("[default]\nfault = \"refuse\"\nresult = {result}\nexpect = {FAIL_OVER}\n")
    };
    let [one, other] = [0, 1].map(|number| expected(&text(number)));
    for number in 1..=super::super::SCENARIOS as u32 + 1 {
        let entered = if number % 2 == 0 { &one } else { &other };
        judge.enter(number, entered.clone());
    }
    let fault = |scenario| FaultKey {
        scenario,
        rule: 0,
        ..FAULT
    };
    for scenario in [0, 1, 2] {
        judge.concluded(&Outcome {
            fault: fault(scenario),
            ..over()
        });
    }
    assert_eq!(judge.judgements().too_late, 2);
    assert_eq!(
        verdicts(&judge),
        [(1, Verdict::NotSeen, 0), (2, Verdict::Passed, 1)]
    );
}

#[test]
fn there_is_room_for_the_largest_scenario_and_not_for_more() {
    let rules = |first: u32| {
        let mut all = scenario("");
        let rule = scenario(&refusing(FAIL_OVER)).rules.remove(0);
        all.rules = (first..first + 70_000)
            .map(|number| {
                let mut rule = rule.clone();
                rule.prefixes =
                    vec![std::net::IpAddr::from(std::net::Ipv4Addr::from(number)).into()];
                rule
            })
            .collect();
        Expectations::of(&all)
    };
    let mut judge = Judge::new(0);
    judge.enter(0, rules(0));
    judge.enter(1, rules(1_000_000));
    let judgements = judge.judgements();
    // Those in force are all there, and of the others as many as have room.
    let of = |scenario| {
        let all = judgements.all.iter();
        all.filter(|judgement| judgement.scenario == scenario)
            .count() as u64
    };
    assert_eq!((of(1), judgements.left_out), (70_000, 0));
    assert!(of(0) > 0 && judge.has_room(0, 0), "{}", of(0));
    let former = Left {
        not_seen: 70_000 - of(0),
        ..Left::default()
    };
    assert_eq!((judgements.former, judgements.total()), (former, 140_000));
    judge.enter(2, rules(0));
    let judgements = judge.judgements();
    assert_eq!(judgements.left_out, 0);
    assert!(judgements.all.len() <= super::super::EXPECTATIONS);
}

#[test]
fn patience_is_for_whoever_may_wait() {
    for (expect, seconds) in [
        (FAIL_OVER, 0),
        (
            r#"{ reaction = "failover", within = "5s", lockout = { max = "1h" } }"#,
            5,
        ),
        (
            r#"{ reaction = "retry-same", lockout = { max = "1h" } }"#,
            3600,
        ),
        (r#"{ reaction = "retry-same", within = "20m" }"#, 1200),
    ] {
        let patience = expected(&refusing(expect)).patience();
        assert_eq!(patience, Duration::from_secs(seconds), "{expect}");
    }
    assert_eq!(expected("").patience(), Duration::ZERO);
}

#[test]
fn the_octets_of_expectations_are_bounded_too() {
    let of = |members: usize, expect: &str| {
        let members = vec!["\"silent\""; members].join(", ");
        let text =
            format!("[default]\nfault = \"cycle\"\nfaults = [{members}]\nexpect = {expect}\n");
        expected(&text)
    };
    let mut judge = Judge::new(0);
    judge.enter(0, of(16, FAIL_OVER));
    // As if so many others were in force beside it.
    judge.octets = OCTETS;
    judge.enter(1, of(16, FAIL_OVER));
    let judgements = judge.judgements();
    assert_eq!((judgements.all.len(), judgements.left_out), (1, 0));
}

/// Former scenarios whose faults take far more memory than their text: what came of them stays
/// known where it does not have room.
#[test]
fn expectations_of_former_scenarios_make_room() {
    const MEMBERS: usize = 64;
    let members = vec!["\"silent\""; MEMBERS].join(", ");
    let of = |number: u32| {
        let rule = format!(
            "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"cycle\"\nfaults = [{members}]\n\
             expect = {FAIL_OVER}\n"
        );
        let mut all = scenario(&rule);
        let rule = all.rules.remove(0);
        all.rules = (0..400)
            .map(|at| {
                let address = std::net::Ipv4Addr::from(number * 400 + at);
                let mut rule = rule.clone();
                rule.prefixes = vec![std::net::IpAddr::from(address).into()];
                rule
            })
            .collect();
        Expectations::of(&all)
    };
    let mut judge = Judge::new(0);
    for number in 0..100 {
        judge.enter(number, of(number));
        assert!(judge.octets <= OCTETS, "{}", judge.octets);
        let sizes: usize = judge.sizes.iter().sum();
        assert_eq!(judge.octets, sizes);
        let treatments = judge.judgements.all.len() * MEMBERS * size_of::<Treatment>();
        assert!(treatments < OCTETS, "they take more than is counted");
    }
    let judgements = judge.judgements();
    assert_eq!((judgements.total(), judgements.left_out), (40_000, 0));
    assert_eq!(judgements.former.count(), judgements.former.not_seen);
    assert!(judgements.former.count() > 0);
    let last = judgements.all.last().map(|judgement| judgement.scenario);
    assert_eq!(last, Some(99));
}
