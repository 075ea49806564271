use std::num::NonZeroU16;

use super::super::Scenario;
use super::*;
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
        reaction: Some(Reaction::Failover),
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
fn all_mistakes_of_an_expectation_are_shown() {
    let shown = mistakes(
        r#"{ reaction = "give-up", to = [], acknowledge = 1, lockout = { min = "9s", max = "3s" }, xyzzy = 1 }"#,
    );
    let has = |part: &str| shown.iter().any(|line| line.contains(part));
    assert_eq!(shown.len(), 5, "{shown:#?}");
    assert!(has("`to` needs `reaction = \"failover\"` beside it"));
    assert!(has("not an empty list"));
    assert!(has("`acknowledge` has to be true or false, not 1"));
    assert!(has(
        "`max` has to be at least `min`, which is 9s, not \"3s\""
    ));
    assert!(has("unknown key `xyzzy`"));
    assert_eq!(mistakes("{}").len(), 1);
    assert_eq!(mistakes("3").len(), 1);
    assert_eq!(mistakes("{ lockout = {} }").len(), 1);
    assert!(mistakes("\"cisco\"")[0].contains("unknown profile `cisco`"));
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
fn the_expectation_is_that_of_the_rule_that_treats_the_lac() {
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
    for (lns, lac, profile) in [
        ("192.0.2.9", "10.0.0.1", Some(Profile::Junos)),
        ("192.0.2.1", "10.0.0.1", None),
        ("192.0.2.2", "10.0.0.1", Some(Profile::CiscoIos)),
        ("192.0.2.2", "10.0.0.2", Some(Profile::Junos)),
    ] {
        let lns = lns.parse().expect("an address");
        let lac = lac.parse().expect("an address");
        let expected = profile.map(Expectation::Profile);
        assert_eq!(
            scenario.expectation(lns, lac),
            expected.as_ref(),
            "{lns} {lac}"
        );
    }
}

#[test]
fn a_profile_depends_on_the_codes() {
    let id = NonZeroU16::MIN;
    let refuse = |result, error: Option<u16>| {
        let error = error.map(ErrorCode);
        Fault::Refuse(Refusal::new(ResultCode(result), error, "", id).expect("short"))
    };
    let seconds = |profile: Profile, fault: &Fault| {
        let terms = profile.terms(fault)?;
        assert_eq!(terms.reaction, Some(Reaction::Failover));
        Some(terms.lockout?.min?.as_secs())
    };
    for (fault, cisco, junos, nokia) in [
        (Fault::Silent, Some(55), Some(295), Some(295)),
        (Fault::Pass, None, None, None),
        (refuse(2, Some(4)), Some(55), Some(295), Some(295)),
        (refuse(2, Some(9)), Some(55), Some(295), Some(295)),
        (refuse(2, Some(5)), None, Some(295), Some(295)),
        (refuse(2, None), None, Some(295), Some(295)),
        (refuse(1, None), None, Some(295), Some(295)),
        (refuse(3, None), None, Some(295), None),
        (refuse(7, None), None, Some(295), None),
    ] {
        assert_eq!(seconds(Profile::CiscoIos, &fault), cisco, "{fault:?}");
        assert_eq!(seconds(Profile::Junos, &fault), junos, "{fault:?}");
        assert_eq!(seconds(Profile::NokiaSrOs, &fault), nokia, "{fault:?}");
    }
}

#[test]
fn both_bounds_of_a_lockout_are_in_it() {
    let lockout = Lockout::of_seconds(55, 65);
    let contains = |seconds| lockout.contains(Duration::from_secs(seconds));
    assert_eq!([54, 55, 65, 66].map(contains), [false, true, true, false]);
}
