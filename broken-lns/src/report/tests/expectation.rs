use super::fixture::{SECOND, judgements};
use crate::judge::tests::fixture::{
    FAILOVER, GIVE_UP, IGNORE, OPEN, RETRY, expected, judged, outcome, refusing,
};
use crate::judge::{Judge, Verdict};
use crate::report::{Expected, expectations};
use crate::track::findings::{Acknowledgement, Conclusion, Doubt, Outcome};

#[test]
fn expectations_are_said_with_what_came_of_them() {
    let said = |name: &str, verdict, clauses: &[&str], breakers: &[&str]| {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Expected {
            name: name.to_owned(),
            verdict,
            clauses: texts(clauses),
            breakers: texts(breakers),
        }
    };
    assert_eq!(
        expectations(&judgements()),
        [
            said(
                "other LNSs, silent: do as junos does",
                Verdict::NotSeen,
                &["no attempt met it"],
                &[],
            ),
            said(
                "LNS 192.0.2.1, refuse 2/4: fail over to 192.0.2.2 within 5s, \
                 acknowledge the StopCCN, stay away for 55s to 1m 5s",
                Verdict::Failed,
                &[
                    "3 of 5 attempts as expected",
                    "1 of 2 lockouts as expected",
                    "1 attempt unknown: events were lost",
                ],
                &[
                    "LAC 10.0.0.7 at 12.3 s, LNS 192.0.2.1: failed over to 192.0.2.3 \
                     (192.0.2.2 expected), next attempt after 7.2 s (within 5s expected), \
                     not acknowledged (acknowledgement expected); 2 times in all",
                    "LAC 10.0.0.1 at 21.0 s, LNS 192.0.2.1: came back after 20 s \
                     (55s to 1m 5s expected)",
                ],
            ),
            said(
                "LNS 192.0.2.3 and 1 more, LAC 10.0.0.0/8, silent: retry the same LNS or give up",
                Verdict::Passed,
                &["1 of 1 attempt as expected"],
                &[],
            ),
        ]
    );
}

/// What is said of the first expectation.
fn said(judge: &Judge) -> Expected {
    expectations(judge.judgements()).swap_remove(0)
}

#[test]
fn every_breach_is_said() {
    let any = r#"{ reaction = ["failover", "retry-same"], to = ["192.0.2.2", "192.0.2.4"], within = "5s" }"#;
    let no = "{ acknowledge = false }";
    let long = r#"{ lockout = { min = "1m" } }"#;
    let short = r#"{ lockout = { max = "1m" } }"#;
    let only = r#"{ reaction = "failover" }"#;
    let yes = "{ acknowledge = true }";
    let wrong = outcome(OPEN).acknowledged(Acknowledgement::WrongNr);
    for (expect, outcome, breach) in [
        (
            any,
            outcome(GIVE_UP).quiet(600 * SECOND),
            "gave up, nothing for 10m (fail over or retry the same LNS expected)",
        ),
        (
            any,
            outcome(IGNORE).then("192.0.2.2", 30 * SECOND),
            "ignored the answer, next attempt after 30 s (fail over or retry the same LNS expected)",
        ),
        (
            any,
            outcome(RETRY).then("192.0.2.1", 6 * SECOND),
            "next attempt after 6 s (within 5s expected)",
        ),
        (
            any,
            outcome(FAILOVER).then("192.0.2.3", SECOND),
            "failed over to 192.0.2.3 (192.0.2.2 or 192.0.2.4 expected)",
        ),
        (
            any,
            outcome(OPEN).quiet(8 * SECOND),
            "no next attempt for 8 s (within 5s expected)",
        ),
        (
            only,
            outcome(RETRY).then("192.0.2.1", 6 * SECOND),
            "retried the same LNS, next attempt after 6 s (fail over expected)",
        ),
        (
            r#"{ reaction = "give-up" }"#,
            outcome(FAILOVER).then("192.0.2.3", SECOND),
            "failed over to 192.0.2.3 after 1 s (give up expected)",
        ),
        (
            no,
            outcome(OPEN),
            "acknowledged (no acknowledgement expected)",
        ),
        (
            yes,
            wrong,
            "acknowledged with a wrong Nr (acknowledgement expected)",
        ),
        (
            long,
            outcome(RETRY).then("192.0.2.1", 6 * SECOND),
            "came back after 6 s (at least 1m expected)",
        ),
        (
            short,
            outcome(RETRY).then("192.0.2.1", 90 * SECOND),
            "came back after 1m 30s (at most 1m expected)",
        ),
    ] {
        let judge = judged(&refusing(expect), &[outcome]);
        let expected = format!("LAC 10.0.0.1 at 1.0 s, LNS 192.0.2.1: {breach}");
        assert_eq!(said(&judge).breakers, [expected], "{expect}");
    }
}

#[test]
fn what_was_not_seen_is_said() {
    let all = r#"{ reaction = "failover", acknowledge = true, lockout = { min = "55s" } }"#;
    let judge = judged(&refusing(all), &[outcome(OPEN).unanswered()]);
    assert_eq!(
        said(&judge).clauses,
        [
            "1 attempt unknown: the end came before",
            "no reaction was seen",
            "nothing to acknowledge was seen",
            "nobody came back",
        ]
    );
    let doubts = Doubt::ALL.map(|doubt| outcome(Conclusion::Unknown(doubt)));
    let judge = judged(&refusing(r#"{ reaction = "failover" }"#), &doubts);
    assert_eq!(said(&judge).clauses.len(), 1 + Doubt::COUNT);
}

#[test]
fn a_rule_for_names_says_so() {
    let lac = |who: &str| format!("[[lns.lac]]\n{who}\nfault = \"silent\"\nexpect = \"junos\"\n");
    let text = [
        "[[lns]]\naddress = \"192.0.2.1\"\n".to_owned(),
        lac("lac_name = \"isp-*\""),
        lac("address = \"10.0.0.0/8\"\nlac_name = \"isp-*\""),
        lac("address = \"10.0.0.0/8\""),
    ];
    let judge = judged(&text.concat(), &[]);
    let all = expectations(judge.judgements());
    let names: Vec<_> = all.iter().map(|expected| expected.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "LNS 192.0.2.1, LAC \"isp-*\", silent: do as junos does",
            "LNS 192.0.2.1, LAC 10.0.0.0/8 \"isp-*\", silent: do as junos does",
            "LNS 192.0.2.1, LAC 10.0.0.0/8, silent: do as junos does",
        ]
    );
}

#[test]
fn no_two_have_the_same_name() {
    let rule = |lns: &str, message: &str| {
        format!(
            "[[lns]]\naddress = [{lns}]\nfault = \"refuse\"\nmessage = \"{message}\"\n\
             expect = \"junos\"\n"
        )
    };
    let text = [
        rule("\"192.0.2.1\", \"192.0.2.2\"", "a"),
        rule("\"192.0.2.3\"", "a"),
    ];
    let mut judge = judged(&text.concat(), &[]);
    let next = [rule("\"192.0.2.3\"", "b")];
    judge.enter(1, expected(&next.concat()));
    let all = expectations(judge.judgements());
    let names: Vec<_> = all.iter().map(|expected| expected.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "LNS 192.0.2.1 and 1 more, refuse 0/4: do as junos does",
            "LNS 192.0.2.3, refuse 0/4: do as junos does (rule 2 of scenario 0)",
            "LNS 192.0.2.3, refuse 0/4: do as junos does (rule 1 of scenario 1)",
        ]
    );
}

#[test]
fn breakers_beyond_the_first_ones_are_summed_up() {
    let outcomes: Vec<_> = (0..30_u32)
        .map(|number| Outcome {
            lac: std::net::Ipv4Addr::from(number).into(),
            ..outcome(RETRY).then("192.0.2.1", SECOND)
        })
        .collect();
    let judge = judged(&refusing(r#"{ reaction = "failover" }"#), &outcomes);
    let breakers = said(&judge).breakers;
    assert_eq!(breakers.len(), 21);
    assert_eq!(
        breakers.last().map(String::as_str),
        Some("others, 10 times")
    );
}
