use std::num::NonZeroU16;

use super::super::{Scenario, ScenarioError};
use super::*;
use crate::codes::{ErrorCode, ResultCode};
use crate::refusal::Refusal;

fn read(expect: &str) -> Result<Scenario, Vec<String>> {
    let text = format!("[default]\nfault = \"refuse\"\nexpect = {expect}\n");
    Scenario::parse("test.toml", &text, &Refusal::default()).map_err(|error| error.each())
}

/// The first line of each mistake, without its file.
fn mistakes(expect: &str) -> Vec<String> {
    let mistakes = read(expect).expect_err("there are mistakes");
    let first = mistakes.iter().filter_map(|text| text.lines().next());
    first.map(|line| line.replace("test.toml:", "")).collect()
}

#[test]
fn an_expectation_has_the_terms_that_it_names() {
    let scenario = read(
        r#"{ reaction = "failover", to = ["192.0.2.2", "2001:db8::/32"], within = "5s", acknowledge = true, lockout = { min = "55s", max = "65s" } }"#,
    );
    let expected = Terms {
        reactions: vec![Reaction::Failover],
        to: vec![
            "192.0.2.2".parse().expect("an address"),
            "2001:db8::/32".parse().expect("a prefix"),
        ],
        within: Some(Duration::from_secs(5)),
        acknowledge: Some(true),
        lockout: Some(Lockout::of_seconds(55, 65)),
    };
    let expect = scenario.expect("all of this is right").default_expect;
    assert_eq!(expect, Some(Expectation::Terms(expected)));
}

#[test]
fn several_reactions_may_be_all_right() {
    let scenario = read(r#"{ reaction = ["retry-same", "give-up"], within = "1m" }"#);
    let expect = scenario.expect("all of this is right").default_expect;
    let expected = Terms {
        reactions: vec![Reaction::RetrySame, Reaction::GiveUp],
        within: Some(Duration::from_secs(60)),
        ..Terms::default()
    };
    assert_eq!(expect, Some(Expectation::Terms(expected)));
}

#[test]
fn every_mistake_of_an_expectation_is_shown_where_it_is() {
    let shown = mistakes(
        r#"{ reaction = "give-up", to = [], acknowledge = 1, lockout = { min = "9s", max = "3s" }, xyzzy = 1 }"#,
    );
    assert_eq!(
        shown,
        [
            "3:39: `to` needs `reaction = \"failover\"` beside it",
            "3:39: `to` has to be an address, a prefix, or a list of them, not an empty list",
            "3:57: `acknowledge` has to be true or false, not 1",
            "3:70: `lockout` needs `reaction = \"failover\"` or `reaction = \"retry-same\"` \
             beside it",
            "3:90: `max` has to be at least `min`, which is 9s, not \"3s\"",
            "3:98: unknown key `xyzzy`; expected one of `reaction`, `to`, `within`, \
             `acknowledge`, `lockout`",
        ]
    );
    for (expect, mistake) in [
        (
            "{}",
            "3:10: `expect` has to be a table with at least one of its keys, not an empty table",
        ),
        (
            "3",
            "3:10: `expect` has to be the name of a profile, or a table of what LACs shall do, \
             not 3",
        ),
        (
            "{ lockout = {} }",
            "3:22: `lockout` has to be a table with `min`, `max`, or both, not an empty table",
        ),
        (
            "{ reaction = [] }",
            "3:23: `reaction` has to be the name of a reaction, or a list of them, \
             not an empty list",
        ),
        (
            "{ within = \"5s\" }",
            "3:21: `within` needs `reaction = \"failover\"` or `reaction = \"retry-same\"` \
             beside it",
        ),
        (
            "\"cisco\"",
            "3:10: unknown profile `cisco`; did you mean `cisco-ios`?",
        ),
    ] {
        assert_eq!(mistakes(expect), [mistake]);
    }
}

/// The mistakes of that treatment with that expectation beside it.
fn mistakes_beside(treatment: &str, expect: &str) -> Vec<String> {
    let text = format!("[[lns]]\naddress = \"::\"\n{treatment}\nexpect = {expect}\n");
    match Scenario::parse("test.toml", &text, &Refusal::default()) {
        Ok(_) => Vec::new(),
        Err(ScenarioError::Mistakes { mistakes, .. }) => {
            let reasons = mistakes.into_iter();
            reasons.map(|mistake| mistake.reason.to_string()).collect()
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_nothing_could_fulfil_is_a_mistake() {
    const ACKNOWLEDGE: &str = "{ acknowledge = true }";
    const IGNORE: &str = "{ reaction = \"ignore\" }";
    const CISCO: &str = "\"cisco-ios\"";
    const NOKIA: &str = "\"nokia-sros\"";
    let refuse = "fault = \"refuse\"\nresult = 2";
    let half = |fault: &str| format!("{fault}\nprobability = 0.5\notherwise =");
    for (treatment, expect, mistake) in [
        (refuse.to_owned(), ACKNOWLEDGE, None),
        (format!("{} \"silent\"", half(refuse)), ACKNOWLEDGE, None),
        (format!("{} \"pass\"", half(refuse)), IGNORE, None),
        (
            "fault = \"garble\"\nkind = \"wrong-nr\"".into(),
            ACKNOWLEDGE,
            None,
        ),
        ("fault = \"acknowledge\"".into(), IGNORE, None),
        (
            "fault = \"silent\"".into(),
            ACKNOWLEDGE,
            Some(
                "`acknowledge` cannot be expected of LACs that meet fault `silent`, which sends no StopCCN",
            ),
        ),
        (
            format!("{} \"acknowledge\"", half(refuse)),
            ACKNOWLEDGE,
            Some(
                "`acknowledge` cannot be expected of LACs that meet fault `acknowledge`, which sends no StopCCN",
            ),
        ),
        (
            "fault = \"silent\"".into(),
            IGNORE,
            Some(
                "`reaction` cannot be expected of LACs that meet fault `silent`, which sends nothing that could be ignored",
            ),
        ),
        (
            "fault = \"pass\"".into(),
            IGNORE,
            Some(
                "`expect` cannot be expected of LACs that meet fault `pass`, which leaves LACs to the host",
            ),
        ),
        (refuse.to_owned(), CISCO, None),
        (format!("{} \"pass\"", half(refuse)), CISCO, None),
        ("fault = \"code-in-address\"".into(), NOKIA, None),
        (
            "fault = \"refuse\"\nresult = 3".into(),
            NOKIA,
            Some(
                "profile `nokia-sros` does not say what LACs do about this fault; leave `expect` out, or expect it with a table",
            ),
        ),
        (
            "fault = \"acknowledge\"".into(),
            CISCO,
            Some(
                "profile `cisco-ios` does not say what LACs do about this fault; leave `expect` out, or expect it with a table",
            ),
        ),
        (
            "fault = \"pass\"".into(),
            CISCO,
            Some(
                "profile `cisco-ios` does not say what LACs do about this fault; leave `expect` out, or expect it with a table",
            ),
        ),
        (
            format!("{} {{ fault = \"refuse\", result = 1 }}", half(refuse)),
            CISCO,
            Some(
                "profile `cisco-ios` expects something else of each fault here, and which of them an attempt met is not told; give each a rule of its own, or expect it with a table",
            ),
        ),
    ] {
        assert_eq!(
            mistakes_beside(&treatment, expect),
            Vec::from_iter(mistake),
            "{treatment}"
        );
    }
}

#[test]
fn an_expectation_needs_a_fault_beside_it() {
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nexpect = \"junos\"\n\
                [[lns.lac]]\naddress = \"10.0.0.1\"\nfault = \"silent\"\n";
    let error = Scenario::parse("test.toml", text, &Refusal::default()).expect_err("no fault");
    assert!(error.to_string().contains("`fault` is missing"), "{error}");
}

#[test]
fn a_fault_within_another_expects_nothing() {
    let text = "[default]\nfault = \"refuse\"\nfirst = 1\nthen = { fault = \"silent\", expect = \"junos\" }";
    let error = Scenario::parse("test.toml", text, &Refusal::default()).expect_err("misplaced");
    assert!(
        error.to_string().contains("unknown key `expect`"),
        "{error}"
    );
}

#[test]
fn rules_are_numbered_with_what_they_expect() {
    let text = r#"
[default]
fault = "silent"
expect = "junos"
[[lns]]
address = "192.0.2.1"
fault = "refuse"
[[lns]]
address = "192.0.2.2"
[[lns.lac]]
address = "10.0.0.1"
fault = "silent"
expect = "cisco-ios"
"#;
    let scenario = Scenario::parse("test.toml", text, &Refusal::default()).expect("right");
    let rules = scenario.in_order();
    let rules: Vec<_> = rules
        .map(|rule| (rule.lns.len(), rule.lac.len(), rule.expect.cloned()))
        .collect();
    let profile = |profile| Some(Expectation::Profile(profile));
    assert_eq!(
        rules,
        [
            (0, 0, profile(Profile::Junos)),
            (1, 0, None),
            (1, 1, profile(Profile::CiscoIos)),
        ]
    );
}

#[test]
fn a_profile_depends_on_the_codes() {
    let id = NonZeroU16::MIN;
    let refuse = |result, error: Option<u16>| {
        let error = error.map(ErrorCode);
        Fault::Refuse(Refusal::new(ResultCode(result), error, "", id).expect("short"))
    };
    let lns = "192.0.2.1".parse().expect("an address");
    // The bounds of the lockout that follows a failover; `None` where something else is expected.
    let failover = |profile: Profile, fault: &Fault| {
        let terms = profile.terms(fault, lns)?;
        if terms.reactions != [Reaction::Failover] {
            assert_eq!(terms.lockout, None);
            let others = [Reaction::RetrySame, Reaction::GiveUp, Reaction::Ignore];
            assert_eq!(terms.reactions, others);
            return Some(None);
        }
        let lockout = terms.lockout?;
        Some(Some((lockout.min?.as_secs(), lockout.max?.as_secs())))
    };
    let (minute, five) = (Some(Some((55, 65))), Some(Some((295, 305))));
    let stays = Some(None);
    for (fault, cisco, junos, nokia) in [
        (
            Fault::Silent,
            Some(Some((55, 73))),
            Some(Some((295, 313))),
            Some(Some((295, 313))),
        ),
        (Fault::Pass, None, None, None),
        (Fault::Acknowledge, None, None, None),
        (refuse(2, Some(4)), minute, five, five),
        (refuse(2, Some(9)), minute, five, five),
        (refuse(2, Some(5)), stays, five, five),
        (refuse(2, None), stays, five, five),
        (refuse(1, Some(4)), stays, five, five),
        (refuse(4, None), stays, five, five),
        (refuse(5, None), stays, five, five),
        (refuse(6, None), stays, five, five),
        (refuse(0, None), stays, five, None),
        (refuse(3, None), stays, five, None),
        (refuse(7, None), stays, five, None),
        (refuse(8, None), stays, five, None),
    ] {
        assert_eq!(failover(Profile::CiscoIos, &fault), cisco, "{fault:?}");
        assert_eq!(failover(Profile::Junos, &fault), junos, "{fault:?}");
        assert_eq!(failover(Profile::NokiaSrOs, &fault), nokia, "{fault:?}");
    }
}

#[test]
fn a_profile_reads_the_codes_in_an_address() {
    let fails_over = |lns: &str| {
        let lns = lns.parse().expect("an address");
        let terms = Profile::CiscoIos.terms(&Fault::CodeInAddress, lns);
        terms.expect("of every StopCCN").reactions == [Reaction::Failover]
    };
    let lnss = [
        "10.0.2.4",
        "10.0.2.5",
        "10.0.1.4",
        "2001:db8::2:7",
        "2001:db8:2:7::",
    ];
    assert_eq!(lnss.map(fails_over), [true, false, false, true, false]);
}

#[test]
fn both_bounds_of_a_lockout_are_in_it() {
    let lockout = Lockout::of_seconds(55, 65);
    let contains = |seconds| lockout.contains(Duration::from_secs(seconds));
    assert_eq!([54, 55, 65, 66].map(contains), [false, true, true, false]);
}
