use std::net::IpAddr;

use broken_lns_ebpf::chance::Draw;
use broken_lns_ebpf::rules::{Course, Leaves};
use proptest::prelude::*;

use super::*;
use crate::scenario::{LacName, LacRule, LnsRule, Prefix};

fn compiled(text: &str) -> Compiled {
    let scenario = Scenario::parse("test", text, &Refusal::default()).expect(text);
    Compiled::new(&scenario).expect(text)
}

/// An address in memory order.
fn memory(address: IpAddr) -> (IpVersion, Address) {
    match address {
        IpAddr::V4(v4) => {
            let word = u32::from_ne_bytes(v4.octets());
            (IpVersion::V4, [word.into(), 0])
        }
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            let words = [(bits >> 64) as u64, bits as u64];
            (IpVersion::V6, words.map(u64::to_be))
        }
    }
}

/// An address among few, so that prefixes meet.
fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0..4_u32, 0..4_u32).prop_map(|(high, low)| IpAddr::V4((high << 30 | low).into())),
        (0..4_u128, 0..4_u128).prop_map(|(high, low)| IpAddr::V6((high << 126 | low).into())),
        any::<IpAddr>(),
    ]
}

fn prefix() -> impl Strategy<Value = Prefix> {
    let lengths = prop_oneof![0..=4_u8, 30..=32_u8, 126..=128_u8, 0..=128_u8];
    (address(), lengths).prop_map(|(address, length)| {
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let length = length.min(longest);
        let shift = u32::from(longest - length);
        let network = match address {
            IpAddr::V4(v4) => {
                let bits = v4.to_bits().checked_shr(shift).unwrap_or(0);
                IpAddr::V4(bits.checked_shl(shift).unwrap_or(0).into())
            }
            IpAddr::V6(v6) => {
                let bits = v6.to_bits().checked_shr(shift).unwrap_or(0);
                IpAddr::V6(bits.checked_shl(shift).unwrap_or(0).into())
            }
        };
        Prefix::new(network, length).expect("no host bits")
    })
}

/// The `number`th treatment, which can be told from all others.
fn treatment(number: u16) -> Treatment {
    let refusal = Refusal::default().with_assigned_tunnel_id(number.try_into().expect("not 0"));
    refusal.into()
}

/// LACs among few: of some addresses, of some names, or of both.
fn lacs() -> impl Strategy<Value = (Option<Prefix>, Option<LacName>)> {
    let name = prop::option::weighted(0.7, prop::sample::select(&["a", "a*", "?b", "*"][..]));
    let name = name.prop_map(|name| name.map(|name| LacName::new(name).expect(name)));
    let lacs = (prop::option::weighted(0.7, prefix()), name);
    lacs.prop_filter("somebody", |(prefix, name)| {
        prefix.is_some() || name.is_some()
    })
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let lacs = prop::collection::hash_set(lacs(), 0..8);
    let rules = prop::collection::btree_map(prefix(), (any::<bool>(), lacs), 0..12);
    rules.prop_map(|rules| {
        let place = Place { line: 1, column: 1 };
        let mut number = 1;
        let mut next = || {
            number += 1;
            treatment(number)
        };
        let rules = rules.into_iter().map(|(prefix, (own, lacs))| LnsRule {
            prefixes: vec![prefix],
            treatment: own.then(&mut next),
            expect: None,
            lacs: lacs
                .into_iter()
                .map(|(prefix, name)| LacRule {
                    prefixes: prefix.into_iter().collect(),
                    name,
                    treatment: next(),
                    expect: None,
                    place,
                })
                .collect(),
            place,
        });
        Scenario {
            rules: rules.collect(),
            ..Scenario::from(Refusal::default())
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_rule_is_that_of_the_longest_prefixes(
        scenario in scenario(),
        addresses in prop::collection::vec(address(), 1..12),
    ) {
        let compiled = Compiled::new(&scenario).expect("small");
        let treatments: Vec<_> = scenario.treatments().collect();
        let pairs = addresses
            .iter()
            .flat_map(|lns| addresses.iter().map(move |lac| (*lns, *lac)));
        // Both ends of a packet are of one family.
        for (lns, lac) in pairs.filter(|(lns, lac)| lns.is_ipv4() == lac.is_ipv4()) {
            let (version, lns_words) = memory(lns);
            let (_, lac_words) = memory(lac);
            for name in [None, Some(&b"a"[..]), Some(b"ab"), Some(b"c"), Some(b"")] {
                let found = compiled.rule_for(version, lns_words, lac_words, || name);
                let (_, treatment) = treatments[found.rule.index()];
                prop_assert_eq!(treatment, scenario.treatment(lns, lac, name));
                let rule = compiled.rule(found.rule).expect("it is one of ours");
                prop_assert!(rule.is_by_name || !found.is_by_name);
                let is_named = rule.needs_redirect == Some("lac_name");
                prop_assert_eq!(found.is_named, is_named);
            }
        }
    }
}

#[test]
fn only_a_plain_refusal_needs_no_lookup() {
    assert!(compiled("").only().is_some());
    assert!(compiled("default = \"acknowledge\"").only().is_some());
    for text in [
        "default = \"silent\"",
        "default = \"code-in-address\"",
        "[default]\nfault = \"refuse\"\ndelay = \"1s\"",
        "[default]\nfault = \"refuse\"\nloss = 0.5",
        "[default]\nfault = \"refuse\"\nfirst = 1\nthen = \"pass\"",
        "[default]\nfault = \"refuse\"\nprobability = 0.5\notherwise = \"silent\"",
        "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"",
    ] {
        assert!(compiled(text).only().is_none(), "{text}");
    }
}

#[test]
fn a_rule_says_what_the_kernel_half_does_for_it() {
    let course = |text: &str| {
        let compiled = compiled(&format!("[default]\n{text}"));
        let rules = compiled.kernel_rules();
        rules.rules[0].step.course()
    };
    for (text, expected) in [
        ("fault = \"refuse\"", Course::Template(0)),
        ("fault = \"refuse\"\nloss = 0.5", Course::Template(0)),
        (
            "fault = \"garble\"\nkind = \"wrong-nr\"",
            Course::Template(0),
        ),
        ("fault = \"acknowledge\"", Course::Template(0)),
        ("fault = \"silent\"", Course::Silent),
        ("fault = \"pass\"", Course::Pass),
        ("fault = \"code-in-address\"", Course::Codes(0, 1)),
        (
            "fault = \"refuse\"\nprobability = 0.5\notherwise = \"pass\"",
            Course::Choice {
                salt: Draw::Choice.salt(0),
                then: 0,
                otherwise: 1,
            },
        ),
        ("fault = \"unreachable\"", Course::Redirect),
        ("fault = \"refuse\"\nrepeat = 2", Course::Redirect),
        ("fault = \"refuse\"\nretransmit = true", Course::Redirect),
        ("fault = \"cycle\"\nfaults = [\"silent\"]", Course::Redirect),
        (
            "fault = \"refuse\"\nfirst = 3\nthen = \"pass\"",
            Course::Redirect,
        ),
    ] {
        assert_eq!(course(text), expected, "{text}");
    }
}

#[test]
fn a_rule_says_what_is_left_to_the_host() {
    let leaves = |text: &str| {
        let compiled = compiled(&format!("[default]\n{text}"));
        let rules = compiled.kernel_rules();
        assert!(!rules.extent.has_rules);
        rules.rules[0].leaves
    };
    let partly = Leaves::OTHERS.and(Leaves::MARKED);
    for (text, expected) in [
        ("fault = \"refuse\"", Leaves::NOTHING),
        ("fault = \"pass\"", Leaves::ALL),
        (
            "fault = \"refuse\"\nprobability = 0.5\notherwise = \"pass\"",
            partly,
        ),
        ("fault = \"cycle\"\nfaults = [\"refuse\", \"pass\"]", partly),
        (
            "fault = \"refuse\"\nfirst = 3\nthen = \"silent\"",
            Leaves::NOTHING,
        ),
        (
            "fault = \"refuse\"\nfirst = 3\nthen = \"pass\"",
            Leaves::HEALED,
        ),
        (
            "fault = \"pass\"\nfirst = 3\nthen = \"pass\"",
            partly.and(Leaves::HEALED),
        ),
    ] {
        assert_eq!(leaves(text), expected, "{text}");
    }
}

/// What the kernel half does at 192.0.2.1, for LACs of 10.0.0.0/8 and for others.
fn at_an_lns(text: &str) -> [(Course, u32, Leaves); 2] {
    let compiled = compiled(text);
    let rules = compiled.kernel_rules();
    let (version, lac) = memory("10.0.0.1".parse().expect("an address"));
    let (_, other) = memory("172.16.0.1".parse().expect("an address"));
    let entry = &compiled.entries[0];
    [lac, other].map(|lac| {
        let choice = entry.lacs.as_ref().and_then(|lacs| lacs.find(version, lac));
        let rule = &rules.rules[choice.unwrap_or(entry.own.0) as usize];
        (rule.step.course(), rule.number, rule.leaves)
    })
}

#[test]
fn where_the_name_decides_a_worker_looks() {
    let lns = "[[lns]]\naddress = \"192.0.2.1\"\n";
    let lac = "[[lns.lac]]\nlac_name = \"a\"\n";
    let of_ten = "address = \"10.0.0.0/8\"\n";
    let partly = Leaves::OTHERS.and(Leaves::MARKED);
    for (text, expected) in [
        (
            format!("{lns}fault = \"silent\"\n{lac}fault = \"refuse\"\n"),
            [(Course::Redirect, 1, Leaves::NOTHING); 2],
        ),
        (
            format!("{lns}fault = \"silent\"\n{lac}{of_ten}fault = \"refuse\"\n"),
            [
                (Course::Redirect, 1, Leaves::NOTHING),
                (Course::Silent, 1, Leaves::NOTHING),
            ],
        ),
        // No rule that the name decides on leaves all of an address to the host.
        (
            format!("{lns}fault = \"pass\"\n{lac}{of_ten}fault = \"refuse\"\n"),
            [
                (Course::Redirect, 1, partly),
                (Course::Pass, 1, Leaves::ALL),
            ],
        ),
        (
            format!("{lns}fault = \"refuse\"\n{lac}{of_ten}fault = \"pass\"\n"),
            [
                (Course::Redirect, 1, partly),
                (Course::Template(0), 1, Leaves::NOTHING),
            ],
        ),
        (
            format!(
                "{lns}fault = \"refuse\"\n{lac}fault = \"refuse\"\nfirst = 1\nthen = \"pass\"\n"
            ),
            [(Course::Redirect, 1, partly); 2],
        ),
        // A link that leads to another one.
        (
            format!("{lns}{lac}fault = \"pass\"\n{lac}{of_ten}fault = \"refuse\"\n"),
            [(Course::Redirect, 0, partly); 2],
        ),
    ] {
        assert_eq!(at_an_lns(&text), expected, "{text}");
    }
}

#[test]
fn a_rule_by_name_needs_a_worker() {
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"\n\
        [[lns.lac]]\nlac_name = \"a\"\nfault = \"silent\"\n";
    let compiled = compiled(text);
    let (rule, what) = compiled.needs_redirect().expect("the second one");
    let place = Place { line: 4, column: 1 };
    assert_eq!((rule.place, what), (Some(place), "lac_name"));
}

#[test]
fn a_rule_that_passes_only_by_a_worker_is_known() {
    let lac = |name: &str, fault: &str| format!("[[lns.lac]]\n{name}\nfault = \"{fault}\"\n");
    let name = "lac_name = \"a\"";
    for (rest, expected) in [
        (
            format!(
                "fault = \"pass\"\n{}",
                lac("address = \"10.0.0.1\"", "pass")
            ),
            None,
        ),
        (
            format!("fault = \"pass\"\n{}", lac(name, "refuse")),
            Some(1),
        ),
        (
            format!("fault = \"refuse\"\n{}", lac(name, "pass")),
            Some(4),
        ),
        (format!("fault = \"refuse\"\n{}", lac(name, "silent")), None),
        (
            "fault = \"cycle\"\nfaults = [\"pass\"]\n".to_owned(),
            Some(1),
        ),
    ] {
        let compiled = compiled(&format!("[[lns]]\naddress = \"192.0.2.1\"\n{rest}"));
        let place = compiled.passes_late().and_then(|rule| rule.place);
        assert_eq!(place.map(|place| place.line), expected, "{rest}");
    }
}

#[test]
fn it_is_known_which_rules_answer_from_the_other_port() {
    let garble = "fault = \"garble\"\nkind = \"wrong-source-port\"";
    for (text, expected) in [
        ("fault = \"refuse\"".to_owned(), 0),
        (
            "fault = \"garble\"\nkind = \"wrong-source-address\"".to_owned(),
            0,
        ),
        (garble.to_owned(), 1),
        (format!("{garble}\ndelay = \"1s\""), 1),
        (
            format!("{garble}\nprobability = 0.5\notherwise = \"silent\""),
            1,
        ),
        (format!("{garble}\nfirst = 3\nthen = \"pass\""), 1),
    ] {
        let compiled = compiled(&format!("[default]\n{text}"));
        let rules = compiled.kernel_rules();
        assert_eq!(rules.rules[0].other_port, expected, "{text}");
        assert_eq!(compiled.has_other_port(), expected != 0, "{text}");
    }
}

#[test]
fn the_rule_that_needs_a_worker_is_named() {
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"\n\n\
        [[lns]]\naddress = \"192.0.2.2\"\nfault = \"refuse\"\ndelay = \"1s\"\n";
    let compiled = compiled(text);
    let (rule, what) = compiled.needs_redirect().expect("the second one");
    let place = Place { line: 5, column: 1 };
    assert_eq!((rule.place, what), (Some(place), "delay"));
    assert_eq!(compiled.rules().len(), 3);
}

#[test]
fn a_reply_that_does_not_fit_is_named_by_its_rule() {
    let text = format!(
        "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\nmessage = \"{}\"",
        "x".repeat(500)
    );
    let compiled = compiled(&text);
    assert_eq!(compiled.check_mtu("eth1", 586), Ok(()));
    assert_eq!(
        compiled
            .check_mtu("eth1", 585)
            .expect_err("one too long")
            .to_string(),
        "the rule at 1:1: the reply takes 586 octets over IPv6, but interface eth1 has an MTU \
         of 585: shorten the message or raise the MTU"
    );
}

#[test]
fn replies_that_are_alike_share_a_template() {
    let rule = |number: u8, code: u8| {
        format!("[[lns]]\naddress = \"192.0.2.{number}\"\nfault = \"refuse\"\nresult = {code}\n")
    };
    let text = format!("{}{}{}", rule(1, 1), rule(2, 1), rule(3, 2));
    // The default is the third one.
    assert_eq!(compiled(&text).templates.len(), 3);
}

#[test]
fn more_rules_than_there_is_room_for_are_an_error() {
    let place = Place { line: 1, column: 1 };
    let rules = (0..131_073_u32).map(|number| LnsRule {
        prefixes: vec![Prefix::new(IpAddr::V4(number.into()), 32).expect("one host")],
        treatment: Some(treatment(1)),
        expect: None,
        lacs: Vec::new(),
        place,
    });
    let scenario = Scenario {
        rules: rules.collect(),
        ..Scenario::from(Refusal::default())
    };
    let error = Compiled::new(&scenario).expect_err("one too many");
    let expected =
        "the scenario has too many rules: there is room for 65,536 LNSs and as many LACs";
    assert_eq!(error.to_string(), expected);
}
