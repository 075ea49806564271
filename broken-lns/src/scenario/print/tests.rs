use std::num::{NonZeroU8, NonZeroU32};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::expect::Profile;
use super::super::fault::UnreachableCode;
use super::super::garble::GarbleKind;
use super::super::modifiers::{Chance, Delay, Phase, Probability};
use super::super::{Groups, LacName, Place, Prefix, ScenarioError};
use super::*;
use crate::codes::{ErrorCode, ResultCode};
use crate::refusal::MESSAGE_LEN_MAX;
use crate::track::findings::Reaction;

const NOWHERE: Place = Place { line: 0, column: 0 };

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("test.toml", text, &Refusal::default())
}

/// The scenario as if it had come from no file.
fn without_places(mut scenario: Scenario) -> Scenario {
    for rule in &mut scenario.rules {
        rule.place = NOWHERE;
        for lac in &mut rule.lacs {
            lac.place = NOWHERE;
        }
    }
    scenario
}

#[test]
fn a_scenario_is_printed_with_all_it_says() {
    let text = r#"assigned_tunnel_id = 7
seed = 18446744073709551615

[default]
fault = "refuse"
result = 2
error = 6
message = "\"\\\u0007ü"

[[lns]]
address = ["192.0.2.1", "2001:db8::/32"]
fault = "unreachable"
code = "host"
delay = "250ms"
jitter = "50ms"
repeat = 2
loss = 0.5

[[lns]]
address = "198.51.100.0/24"

[[lns.lac]]
address = "10.0.0.0/8"
fault = "refuse"
result = 4
error = "none"
assigned_tunnel_id = 8
retransmit = true
probability = 0.1
otherwise = "pass"
first = 3
for = "1m 30s"
then = { fault = "cycle", faults = ["silent", { fault = "acknowledge", loss = 1.0 }] }
"#;
    let scenario = read(text).expect("all of this is right");
    assert_eq!(scenario.to_string(), text);
    assert_eq!(
        scenario.default.to_string(),
        r#"fault = "refuse", result = 2, error = 6, message = "\"\\\u0007ü", assigned_tunnel_id = 7"#
    );
}

prop_compose! {
    fn refusal()(
        result: u16,
        error: Option<u16>,
        message in "\\PC{0,20}|[\\x00-\\x7f]{0,20}",
        id: NonZeroU16,
    ) -> Refusal {
        assert!(message.len() <= MESSAGE_LEN_MAX);
        let message = error.map_or("", |_| &message);
        Refusal::new(ResultCode(result), error.map(ErrorCode), message, id).expect("short")
    }
}

fn unreachable() -> impl Strategy<Value = Fault> {
    let address = any::<std::net::IpAddr>().prop_filter("a host", |address| {
        !(address.is_unspecified()
            || address.is_multicast()
            || address.to_string() == "255.255.255.255")
    });
    let code = prop::sample::select(UnreachableCode::ALL);
    (code, option::of(address))
        .prop_map(|(code, from_address)| Fault::Unreachable { code, from_address })
}

fn garble() -> impl Strategy<Value = Fault> {
    (prop::sample::select(GarbleKind::ALL), refusal())
        .prop_filter("something to garble", |(kind, refusal)| {
            kind.check(refusal).is_ok()
        })
        .prop_map(|(kind, refusal)| Fault::Garble { kind, refusal })
}

fn probability() -> impl Strategy<Value = Probability> {
    (0.0..=1.0).prop_map(|number| Probability::new(number).expect("from 0 to 1"))
}

fn delay() -> impl Strategy<Value = Delay> {
    (1..=3_600_000_000_000_u64)
        .prop_flat_map(|mean| (Just(mean), 0..=mean))
        .prop_map(|(mean, jitter)| Delay {
            mean: Duration::from_nanos(mean),
            jitter: Duration::from_nanos(jitter),
        })
}

/// A fault without others in it, and with the modifiers that it can have.
fn simple() -> BoxedStrategy<Treatment> {
    let nothing = prop_oneof![Just(Fault::Silent), Just(Fault::Pass)];
    let stop_ccn = prop_oneof![
        refusal().prop_map(Fault::Refuse),
        Just(Fault::CodeInAddress),
        garble()
    ];
    let other = prop_oneof![Just(Fault::Acknowledge), unreachable()];
    let modified = (
        prop_oneof![(stop_ccn, any::<bool>()), (other, Just(false))],
        option::of(delay()),
        1..=100_u8,
        probability(),
    );
    prop_oneof![
        nothing.prop_map(Treatment::from),
        modified.prop_map(|((fault, retransmit), delay, repeat, loss)| Treatment {
            fault,
            modifiers: Modifiers {
                delay,
                repeat: NonZeroU8::new(repeat).expect("not zero"),
                retransmit,
                loss,
                ..Modifiers::default()
            },
        })
    ]
    .boxed()
}

/// A treatment in which attempts are not counted.
fn uncounted() -> BoxedStrategy<Treatment> {
    let chance = option::of((probability(), simple()));
    (simple(), chance)
        .prop_map(|(treatment, chance)| Treatment {
            modifiers: Modifiers {
                chance: chance.map(|(probability, otherwise)| Chance {
                    probability,
                    otherwise: Box::new(otherwise),
                }),
                ..treatment.modifiers
            },
            ..treatment
        })
        .boxed()
}

fn treatment() -> BoxedStrategy<Treatment> {
    let cycle = vec(uncounted(), 1..4).prop_map(|members| Fault::Cycle(members).into());
    let bounds = prop_oneof![
        (1..=u32::MAX).prop_map(|first| (NonZeroU32::new(first), None)),
        (1..=31_536_000_000_u64).prop_map(|time| (None, Some(Duration::from_millis(time)))),
        Just((NonZeroU32::new(1), Some(Duration::from_nanos(1)))),
    ];
    prop_oneof![uncounted(), cycle]
        .prop_recursive(4, 8, 1, move |inner| {
            (uncounted(), bounds.clone(), inner).prop_map(|(treatment, (first, lasting), then)| {
                Treatment {
                    modifiers: Modifiers {
                        phase: Some(Phase {
                            first,
                            lasting,
                            then: Box::new(then),
                        }),
                        ..treatment.modifiers
                    },
                    ..treatment
                }
            })
        })
        .boxed()
}

/// As many prefixes as there are treatments, all of them different.
fn prefix(number: usize) -> Prefix {
    let text = match number % 3 {
        0 => format!("10.{}.{}.0/24", number / 256, number % 256),
        1 => format!("2001:db8:{number:x}::/48"),
        _ => format!("192.0.2.{number}"),
    };
    text.parse().expect("a prefix")
}

fn length() -> impl Strategy<Value = Duration> {
    (1..=31_536_000_000_000_000_u64).prop_map(Duration::from_nanos)
}

fn terms() -> impl Strategy<Value = Terms> {
    let lockout = prop_oneof![
        length().prop_map(|min| (Some(min), None)),
        length().prop_map(|max| (None, Some(max))),
        (length(), length()).prop_map(|(one, other)| (Some(one.min(other)), Some(one.max(other)))),
    ];
    let lockout = lockout.prop_map(|(min, max)| Lockout { min, max });
    let to = vec((0..99_usize).prop_map(prefix), 0..3);
    let reactions = vec(prop::sample::select(&Reaction::ALL[..]), 0..3);
    let within = option::of(length());
    let terms = (reactions, to, within, any::<bool>(), option::of(lockout));
    terms.prop_map(|(reactions, to, within, acknowledge, lockout)| {
        let fails_over = reactions.contains(&Reaction::Failover);
        let moves = fails_over || reactions.contains(&Reaction::RetrySame);
        Terms {
            to: to.into_iter().filter(|_| fails_over).collect(),
            within: within.filter(|_| moves),
            acknowledge: Some(acknowledge),
            lockout: lockout.filter(|_| moves || reactions.is_empty()),
            reactions,
        }
    })
}

/// A treatment, and something that can be expected of whoever meets it.
fn rule() -> impl Strategy<Value = (Treatment, Option<Expectation>)> {
    let profile = prop::sample::select(Profile::ALL).prop_map(Expectation::Profile);
    let nothing_to_acknowledge = |(treatment, terms): (Treatment, Terms)| {
        let all_pass = treatment
            .faults()
            .iter()
            .all(|fault| **fault == Fault::Pass);
        let mut reactions = terms.reactions;
        reactions.retain(|reaction| *reaction != Reaction::Ignore);
        let moves = !reactions.is_empty() && reactions != [Reaction::GiveUp];
        let terms = Terms {
            acknowledge: None,
            lockout: terms.lockout.filter(|_| moves || reactions.is_empty()),
            reactions,
            ..terms
        };
        let expects = !all_pass && terms != Terms::default();
        (treatment, expects.then_some(Expectation::Terms(terms)))
    };
    let refused = refusal().prop_map(Treatment::from);
    prop_oneof![
        treatment().prop_map(|treatment| (treatment, None)),
        (treatment(), terms()).prop_map(nothing_to_acknowledge),
        (refused, terms())
            .prop_map(|(refused, terms)| { (refused, Some(Expectation::Terms(terms))) }),
        profile.prop_map(|profile| (Fault::Silent.into(), Some(profile))),
    ]
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let lacs = vec(
        (rule(), option::of("[a-z*?\"\\\\ü]{1,9}"), any::<bool>()),
        0..3,
    );
    let rules = vec((option::of(rule()), lacs, 1..3_usize), 0..4);
    let default = rule();
    (any::<NonZeroU16>(), any::<u64>(), default, rules)
        .prop_map(
            |(assigned_tunnel_id, seed, (default, default_expect), rules)| {
                let mut numbers = 0..;
                let mut take = |count| numbers.by_ref().take(count).map(prefix).collect::<Vec<_>>();
                let rules = rules.into_iter().map(|(own, lacs, count)| {
                    // A rule without any treatment is none.
                    let own = match (own, lacs.is_empty()) {
                        (None, true) => Some((Fault::Silent.into(), None)),
                        (own, _) => own,
                    };
                    let (treatment, expect) = own.unzip();
                    LnsRule {
                        expect: expect.flatten(),
                        prefixes: take(count),
                        treatment,
                        lacs: lacs
                            .into_iter()
                            .zip(0..)
                            .map(|(((treatment, expect), name, anywhere), number)| LacRule {
                                expect,
                                // Only one that has a name is for all addresses.
                                prefixes: match (&name, anywhere) {
                                    (Some(_), true) => Vec::new(),
                                    _ => take(1),
                                },
                                // No two of them are the same.
                                name: name
                                    .and_then(|name| LacName::new(&format!("{name}{number}"))),
                                treatment,
                                place: NOWHERE,
                            })
                            .collect(),
                        place: NOWHERE,
                    }
                });
                Scenario {
                    assigned_tunnel_id,
                    seed,
                    default,
                    default_expect,
                    groups: Groups::default(),
                    rules: rules.collect(),
                }
            },
        )
        .prop_filter("senders of the right family", |scenario| {
            let mut treatments = scenario.treatments();
            treatments.all(|(place, treatment)| place.is_none() || !names_sender(treatment))
        })
}

/// Whether an ICMP message in it comes from somebody else than the LNS.
fn names_sender(treatment: &Treatment) -> bool {
    let named = matches!(
        treatment.fault,
        Fault::Unreachable {
            from_address: Some(_),
            ..
        }
    );
    named || treatment.nested().any(names_sender)
}

proptest! {
    #[test]
    fn a_scenario_printed_and_read_again_is_the_same(scenario in scenario()) {
        let text = scenario.to_string();
        match read(&text) {
            Ok(again) => prop_assert_eq!(without_places(again), scenario),
            Err(error) => prop_assert!(false, "{}\n{}", error, text),
        }
    }
}
