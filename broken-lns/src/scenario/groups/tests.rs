use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::refusal::Refusal;
use crate::scenario::{Scenario, ScenarioError};

fn prefix(text: &str) -> Prefix {
    text.parse().expect(text)
}

fn group(name: &str, lns: &[&str]) -> Group {
    Group {
        name: name.to_owned(),
        lns: lns.iter().copied().map(prefix).collect(),
    }
}

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    Scenario::parse("test.toml", text, &Refusal::default())
}

/// Every mistake in the text, each in a line.
fn mistakes_in(text: &str) -> Vec<String> {
    let error = read(text).expect_err("something is wrong with it");
    error.mistakes()
}

#[test]
fn an_lns_is_in_the_group_that_has_its_address() {
    let groups = vec![
        group("isp-a", &["192.0.2.1", "192.0.2.2", "2001:db8::/64"]),
        // One that lies in another of the same group says nothing new.
        group("isp-b", &["198.51.100.0/24", "198.51.100.7", "192.0.2.4"]),
    ];
    let groups = Groups::new(groups).expect("nothing overlaps");
    for (lns, expected) in [
        ("192.0.2.0", None),
        ("192.0.2.1", Some(0)),
        ("192.0.2.2", Some(0)),
        ("192.0.2.3", None),
        ("192.0.2.4", Some(1)),
        ("198.51.99.255", None),
        ("198.51.100.0", Some(1)),
        ("198.51.100.7", Some(1)),
        ("198.51.100.8", Some(1)),
        ("198.51.100.255", Some(1)),
        ("198.51.101.0", None),
        ("255.255.255.255", None),
        ("::", None),
        ("2001:db8::", Some(0)),
        ("2001:db8::ffff:ffff:ffff:ffff", Some(0)),
        ("2001:db8:0:1::", None),
    ] {
        let group = groups.group_of(lns.parse().expect(lns));
        assert_eq!(group, expected, "{lns}");
    }
    let names = [0, 1, 2, u16::MAX].map(|group| groups.name(group));
    assert_eq!(names, ["isp-a", "isp-b", "", ""]);
    let nobody = Groups::default();
    assert_eq!(nobody.group_of("192.0.2.1".parse().expect("one")), None);
}

#[test]
fn an_address_is_in_one_group() {
    let overlaps = |groups: &[Group]| -> Vec<[(usize, usize); 2]> {
        match Groups::new(groups.to_vec()) {
            Err(GroupsError::Overlaps(overlaps)) => overlaps
                .iter()
                .map(|pair| pair.map(|member| (member.group, member.prefix)))
                .collect(),
            other => panic!("{other:?}"),
        }
    };
    let a = group("a", &["192.0.2.1", "192.0.2.2", "10.0.0.0/8"]);
    let b = group("b", &["192.0.2.3", "192.0.2.2"]);
    let c = group("c", &["10.1.0.0/16", "192.0.0.0/16", "10.1.2.3"]);
    assert_eq!(overlaps(&[a.clone(), b.clone()]), [[(0, 1), (1, 1)]]);
    // What overlaps several is told once.
    let all = [
        [(0, 1), (1, 1)],
        [(0, 2), (2, 0)],
        [(0, 0), (2, 1)],
        [(0, 2), (2, 2)],
    ];
    assert_eq!(overlaps(&[a, b, c]), all);
}

#[test]
fn there_is_room_for_so_many() {
    let many = |groups: usize, each: usize| {
        let mut next = 0_u32..;
        let groups = (0..groups).map(|at| Group {
            name: at.to_string(),
            lns: next
                .by_ref()
                .take(each)
                .map(|bits| IpAddr::from(bits.to_be_bytes()).into())
                .collect(),
        });
        Groups::new(groups.collect())
    };
    let full = many(GROUPS_MAX, GROUPED_MAX / GROUPS_MAX).expect("there is room");
    let last = IpAddr::from((GROUPED_MAX as u32 - 1).to_be_bytes());
    assert_eq!(full.group_of(last), Some(GROUPS_MAX as u16 - 1));
    assert_eq!(many(GROUPS_MAX + 1, 1), Err(GroupsError::TooMany));
    assert_eq!(many(1, GROUPED_MAX + 1), Err(GroupsError::TooMany));
}

#[test]
fn groups_are_read_and_printed() {
    let text = r#"
[[group]]
name = "isp-a"
lns = ["192.0.2.1", "192.0.2.2"]

[[group]]
name = "isp \"b\""
lns = "2001:db8::/32"
"#;
    let scenario = read(text).expect("all of this is right");
    let expected = [
        group("isp-a", &["192.0.2.1", "192.0.2.2"]),
        group("isp \"b\"", &["2001:db8::/32"]),
    ];
    assert_eq!(scenario.groups.all(), expected);
    let printed = scenario.to_string();
    assert!(printed.contains(text.trim()), "{printed}");
    assert_eq!(read(&printed).expect("as printed"), scenario);
    let summary = scenario.summary().to_string();
    assert_eq!(
        summary,
        "0 LNS rules, 0 LAC rules, default refuse; 2 groups"
    );
}

#[test]
fn every_mistake_in_groups_is_shown() {
    let shown = mistakes_in(
        r#"[[group]]
lns = []
[[group]]
name = ""
lsn = "192.0.2.1"
[[group]]
name = "a"
lns = ["192.0.2.1", "192.0.2.0/33"]
[[group]]
name = "a"
lns = ["192.0.2.4", "192.0.2.0/30", "192.0.2.1"]
[[group]]
name = "\u001b[2J"
lns = 7
"#,
    );
    let name = "`name` has to be a text of 1 to 64 characters, none of them a control character";
    let overlaps = |what: &str| {
        format!("{what} overlaps 192.0.2.1 of group `a`, at 8:8; an LNS is in one group at most")
    };
    assert_eq!(
        shown,
        [
            "1:1: `name` is missing; expected a text of 1 to 64 characters, none of them a \
             control character"
                .to_owned(),
            "2:7: `lns` has to be an address, a prefix, or a list of them, not an empty list"
                .to_owned(),
            "3:1: `lns` is missing; expected an address, a prefix, or a list of them".to_owned(),
            format!("4:8: {name}, not \"\""),
            "5:1: unknown key `lsn`; did you mean `lns`?".to_owned(),
            "8:21: `33` is not the length of a prefix; expected a number from 0 to 32".to_owned(),
            "10:8: there is a group `a` already, at 7:8; join the two, or name one otherwise"
                .to_owned(),
            format!("11:21: {}", overlaps("192.0.2.0/30")),
            format!("11:37: {}", overlaps("192.0.2.1")),
            format!("13:8: {name}, not \"\u{fffd}[2J\""),
            "14:7: `lns` has to be an address, a prefix, or a list of them, not 7".to_owned(),
        ]
    );
    assert_eq!(
        mistakes_in("group = 1"),
        ["1:9: `group` has to be a list of groups, each under [[group]], not 1"]
    );
    assert_eq!(
        mistakes_in("[[gruop]]\nname = 1"),
        ["1:3: unknown key `gruop`; did you mean `group`?"]
    );
}

#[test]
fn what_is_in_no_group_is_told_where_there_are_groups() {
    let rules = r#"
[[lns]]
address = ["192.0.2.1", "192.0.2.9"]
fault = "silent"
[[lns]]
address = ["192.0.2.0/24", "198.51.100.0/24"]
fault = "silent"
"#;
    let ungrouped = |text: &str| read(text).expect("all of this is right").ungrouped();
    assert_eq!(ungrouped(rules), []);
    let group = "[[group]]\nname = \"a\"\nlns = [\"192.0.2.1\", \"192.0.2.2\"]\n";
    assert_eq!(
        ungrouped(&format!("{group}{rules}")),
        ["192.0.2.9", "198.51.100.0/24"].map(prefix)
    );
}

/// The mistakes of a rule that expects something, where `a` has two LNSs, `b` has one and `c`
/// has a prefix.
fn expecting(address: &str, expect: &str) -> Vec<String> {
    let text = format!(
        "[[group]]\nname = \"a\"\nlns = [\"192.0.2.1\", \"192.0.2.2\"]\n\
         [[group]]\nname = \"b\"\nlns = \"192.0.2.7\"\n\
         [[group]]\nname = \"c\"\nlns = \"198.51.100.0/24\"\n\
         [[lns]]\naddress = {address}\nfault = \"silent\"\nexpect = {expect}\n"
    );
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(_) => mistakes_in(&text),
    }
}

#[test]
fn a_lac_fails_over_within_the_group() {
    let to = |to: &str| format!("{{ reaction = \"failover\", to = {to} }}");
    let other = |lns: &str, whereabouts: &str| {
        vec![format!(
            "13:40: `to` holds no alternative to {lns}, which is {whereabouts}; \
             expected another LNS of the same group"
        )]
    };
    for (address, targets, expected) in [
        (r#""192.0.2.1""#, r#""192.0.2.2""#, vec![]),
        (r#""192.0.2.1""#, r#"["192.0.2.7", "192.0.2.0/24"]"#, vec![]),
        (
            r#""192.0.2.1""#,
            r#""192.0.2.1""#,
            other("192.0.2.1", "in group `a`"),
        ),
        (
            r#""192.0.2.1""#,
            r#"["192.0.2.7", "192.0.2.9", "198.51.100.0/24"]"#,
            other("192.0.2.1", "in group `a`"),
        ),
        // Both have to lead somewhere.
        (
            r#"["192.0.2.1", "198.51.100.1"]"#,
            r#""192.0.2.2""#,
            other("198.51.100.1", "in group `c`"),
        ),
        // Those without a group are alternatives to each other, though not to themselves.
        (r#""192.0.2.9""#, r#""192.0.2.10""#, vec![]),
        (r#""192.0.2.9""#, r#""192.0.2.8/31""#, vec![]),
        (
            r#""192.0.2.9""#,
            r#"["192.0.2.9", "192.0.2.2"]"#,
            other("192.0.2.9", "in no group"),
        ),
        // Where some LNSs of a prefix have an alternative, their LACs can do it.
        (r#""192.0.2.0/24""#, r#""192.0.2.1""#, vec![]),
        (r#""192.0.2.0/24""#, r#""203.0.113.1""#, vec![]),
        (
            r#""192.0.2.0/24""#,
            r#""198.51.100.7""#,
            other("192.0.2.0/24", "in more than one group"),
        ),
        (
            r#""198.51.100.0/25""#,
            r#""192.0.2.1""#,
            other("198.51.100.0/25", "in group `c`"),
        ),
    ] {
        assert_eq!(
            expecting(address, &to(targets)),
            expected,
            "{address} {targets}"
        );
    }
}

#[test]
fn no_lac_fails_over_where_there_is_one_lns() {
    let alone = "no LAC fails over from 192.0.2.7, which is alone in group `b`; \
                 give the group its other LNSs, or expect another reaction";
    let seven = r#""192.0.2.7""#;
    for (address, expect, expected) in [
        (seven, r#"{ reaction = "failover" }"#, Some((23, alone))),
        (seven, r#""junos""#, Some((10, alone))),
        (seven, r#"{ reaction = ["failover", "give-up"] }"#, None),
        (seven, r#"{ reaction = "retry-same" }"#, None),
        (r#""192.0.2.1""#, r#"{ reaction = "failover" }"#, None),
        (r#""192.0.2.9""#, r#"{ reaction = "failover" }"#, None),
        (r#""192.0.2.9""#, r#""junos""#, None),
    ] {
        let expected = expected.map(|(column, what)| format!("13:{column}: {what}"));
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(expecting(address, expect), expected, "{address} {expect}");
    }
}

proptest! {
    /// Every address is found in the group with a prefix that contains it, or is in none.
    #[test]
    fn a_group_is_found_as_by_a_look_at_all_of_them(
        octets in vec((0_u8..4, 0_u8..=255, 24_u8..=32), 0..40),
        asked in vec((0_u8..=255, any::<bool>()), 1..40),
    ) {
        let mut groups: Vec<Group> = (0..4).map(|at| group(&at.to_string(), &[])).collect();
        for (at, octet, length) in octets {
            let mask = u8::MAX.checked_shl(u32::from(32 - length)).unwrap_or(0);
            let address = IpAddr::from([192, 0, 2, octet & mask]);
            let prefix = Prefix::new(address, length).expect("no host bits");
            groups[usize::from(at)].lns.push(prefix);
        }
        let found = |address: IpAddr| {
            let has = |group: &Group| group.lns.iter().any(|prefix| prefix.contains(address));
            let found = groups.iter().enumerate().filter(|(_, group)| has(group));
            found.map(|(at, _)| at as u16).collect::<Vec<_>>()
        };
        let is_shared = (0..=255).any(|octet| found([192, 0, 2, octet].into()).len() > 1);
        match Groups::new(groups.clone()) {
            Ok(made) => {
                prop_assert!(!is_shared);
                for (octet, is_v4) in asked {
                    let v4 = IpAddr::from([192, 0, 2, octet]);
                    let v6 = std::net::Ipv4Addr::new(192, 0, 2, octet).to_ipv6_mapped().into();
                    let address = if is_v4 { v4 } else { v6 };
                    let expected = found(address);
                    prop_assert_eq!(made.group_of(address), expected.first().copied());
                }
            }
            Err(error) => {
                prop_assert!(is_shared);
                prop_assert!(matches!(error, GroupsError::Overlaps(_)));
            }
        }
    }
}
