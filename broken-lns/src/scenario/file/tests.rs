use std::time::Duration;

use super::super::modifiers::Probability;
use super::super::{Fault, Place};
use super::*;
use crate::codes::{ErrorCode, ResultCode};

mod arbitrary;
mod bounds;
mod mistakes;
mod names;

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("test.toml", text, &Refusal::default())
}

/// Every mistake in the text, each in a line.
fn mistakes_in(text: &str) -> Vec<String> {
    let error = read(text).expect_err("something is wrong with it");
    error.mistakes()
}

/// The treatment of any LAC at an address of the scenario.
fn at(scenario: &Scenario, lns: &str) -> String {
    from("203.0.113.1", scenario, lns)
}

fn from(lac: &str, scenario: &Scenario, lns: &str) -> String {
    let treatment = scenario.treatment(lns.parse().expect(lns), lac.parse().expect(lac), None);
    treatment.to_string()
}

#[test]
fn the_longest_lns_prefix_wins_and_then_the_longest_lac_prefix_in_it() {
    let scenario = read(
        r#"
        [default]
        fault = "acknowledge"

        [[lns]]
        address = ["192.0.2.1", "198.51.100.1"]
        fault = "code-in-address"

        [[lns]]
        address = "192.0.2.0/24"
        fault = "silent"

            [[lns.lac]]
            address = "10.0.0.0/8"
            fault = "pass"

            [[lns.lac]]
            address = "10.1.0.0/16"
            fault = "unreachable"

        [[lns]]
        address = "2001:db8::/32"

            [[lns.lac]]
            address = "2001:db8::/64"
            fault = "silent"
        "#,
    )
    .expect("all of this is right");
    for (lac, lns, treatment) in [
        ("10.1.1.1", "203.0.113.1", "fault = \"acknowledge\""),
        ("10.1.1.1", "192.0.2.1", "fault = \"code-in-address\""),
        ("10.1.1.1", "198.51.100.1", "fault = \"code-in-address\""),
        ("172.16.0.1", "192.0.2.2", "fault = \"silent\""),
        ("10.2.0.1", "192.0.2.2", "fault = \"pass\""),
        (
            "10.1.0.1",
            "192.0.2.2",
            "fault = \"unreachable\", code = \"port\"",
        ),
        ("2001:db8::1", "2001:db8::2", "fault = \"silent\""),
        ("2001:db8:1::1", "2001:db8::2", "fault = \"acknowledge\""),
    ] {
        assert_eq!(from(lac, &scenario, lns), treatment, "{lac} at {lns}");
    }
    let places: Vec<_> = scenario.rules.iter().map(|rule| rule.place).collect();
    let place = |line| Place { line, column: 9 };
    assert_eq!(places, [place(5), place(9), place(21)]);
    let place = |line| Place { line, column: 13 };
    let lacs: Vec<_> = scenario.rules[1]
        .lacs
        .iter()
        .map(|rule| rule.place)
        .collect();
    assert_eq!(lacs, [place(13), place(17)]);
}

#[test]
fn what_a_refusal_leaves_out_is_as_in_the_flags() {
    let scenario = read(
        r#"
        assigned_tunnel_id = 7

        [[lns]]
        address = "192.0.2.1"
        fault = "refuse"

        [[lns]]
        address = "192.0.2.2"
        fault = "refuse"
        result = "general-error"
        error = "none"

        [[lns]]
        address = "192.0.2.3"
        fault = "refuse"
        result = "65535"
        error = 0x10
        message = ""
        assigned_tunnel_id = 8

        [[lns]]
        address = "192.0.2.4"
        fault = "garble"
        kind = "wrong-ns"
        "#,
    )
    .expect("all of this is right");
    for (lns, treatment) in [
        (
            "192.0.2.1",
            r#"fault = "refuse", result = 0, error = 4, message = "Internal error", assigned_tunnel_id = 7"#,
        ),
        (
            "192.0.2.2",
            r#"fault = "refuse", result = 2, error = "none", assigned_tunnel_id = 7"#,
        ),
        (
            "192.0.2.3",
            r#"fault = "refuse", result = 65535, error = 16, message = "", assigned_tunnel_id = 8"#,
        ),
        (
            "192.0.2.4",
            r#"fault = "garble", kind = "wrong-ns", result = 2, error = 4, message = "Internal error", assigned_tunnel_id = 7"#,
        ),
    ] {
        assert_eq!(at(&scenario, lns), treatment);
    }
}

#[test]
fn the_flags_say_what_the_file_does_not() {
    let id = NonZeroU16::new(99).expect("not zero");
    let flags = Refusal::new(ResultCode(6), Some(ErrorCode(7)), "gone", id).expect("short");
    let read = |text| Scenario::parse("test.toml", text, &flags).expect("right");

    let empty = read("");
    assert_eq!(empty.assigned_tunnel_id, id);
    assert_eq!(empty.default, flags.clone().into());
    assert_eq!((empty.seed, empty.rules), (0, vec![]));

    let own = read("assigned_tunnel_id = 7\nseed = 3\ndefault = \"silent\"");
    assert_eq!(own.assigned_tunnel_id.get(), 7);
    assert_eq!((own.default, own.seed), (Fault::Silent.into(), 3));

    let id = NonZeroU16::new(7).expect("not zero");
    let only_id = read("assigned_tunnel_id = 7");
    assert_eq!(only_id.default, flags.with_assigned_tunnel_id(id).into());
}

#[test]
fn modifiers_are_read() {
    let scenario = read(
        r#"
        [default]
        fault = "refuse"
        delay = "250ms"
        jitter = "50ms"
        repeat = 2
        retransmit = true
        loss = 1
        probability = 0.25
        otherwise = "silent"
        first = 3
        for = "30s"
        then = { fault = "cycle", faults = ["pass", { fault = "refuse", error = "none" }] }
        "#,
    )
    .expect("all of this is right");
    let modifiers = scenario.default.modifiers;
    let delay = modifiers.delay.expect("there is a delay");
    assert_eq!(
        (delay.mean, delay.jitter),
        (Duration::from_millis(250), Duration::from_millis(50))
    );
    assert_eq!((modifiers.repeat.get(), modifiers.retransmit), (2, true));
    assert_eq!(Some(modifiers.loss), Probability::new(1.0));
    let chance = modifiers.chance.expect("it is left to chance");
    assert_eq!(chance.probability.get(), 0.25);
    assert_eq!(*chance.otherwise, Fault::Silent.into());
    let phase = modifiers.phase.expect("it is for a while");
    assert_eq!(phase.first.map(|first| first.get()), Some(3));
    assert_eq!(phase.lasting, Some(Duration::from_secs(30)));
    assert_eq!(
        phase.then.to_string(),
        "fault = \"cycle\", faults = [\"pass\", { fault = \"refuse\", result = 0, \
         error = \"none\", assigned_tunnel_id = 12345 }]"
    );
}

#[test]
fn what_takes_time_or_memory_needs_the_redirect_path() {
    for (treatment, needs) in [
        (r#""refuse""#, None),
        (r#""silent""#, None),
        (r#""code-in-address""#, None),
        (r#"{ fault = "garble", kind = "truncated" }"#, None),
        (
            r#"{ fault = "refuse", loss = 0.5, probability = 0.5, otherwise = "pass" }"#,
            None,
        ),
        (r#"{ fault = "refuse", delay = "1s" }"#, Some("delay")),
        (r#"{ fault = "refuse", repeat = 2 }"#, Some("repeat")),
        (r#"{ fault = "refuse", repeat = 1 }"#, None),
        (
            r#"{ fault = "refuse", retransmit = true }"#,
            Some("retransmit"),
        ),
        (r#""unreachable""#, Some("unreachable")),
        (r#"{ fault = "cycle", faults = ["silent"] }"#, Some("cycle")),
        (
            r#"{ fault = "silent", first = 1, then = "pass" }"#,
            Some("first"),
        ),
        (
            r#"{ fault = "unreachable", for = "1s", then = "pass" }"#,
            Some("for"),
        ),
        (
            r#"{ fault = "refuse", probability = 0.5, otherwise = "unreachable" }"#,
            Some("unreachable"),
        ),
    ] {
        let scenario = read(&format!("default = {treatment}")).expect(treatment);
        assert_eq!(scenario.default.needs_redirect(), needs, "{treatment}");
    }
}
