//! Rules for LACs by their names.

use super::*;

/// Rules for LACs, each with a treatment that is known by its result code.
fn rules(lacs: &[&str]) -> String {
    let lacs = lacs.iter().zip(1..).map(|(lac, result)| {
        format!("[[lns.lac]]\n{lac}\nfault = \"refuse\"\nresult = {result}\n")
    });
    let lns = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"\n";
    lns.to_owned() + &lacs.collect::<String>()
}

#[test]
fn the_longest_prefix_comes_before_the_name_and_the_name_before_none() {
    let text = rules(&[
        "address = \"10.0.0.0/8\"",
        "address = [\"10.0.0.0/8\", \"10.1.0.0/16\"]\nlac_name = \"a*\"",
        "address = \"10.0.0.0/8\"\nlac_name = \"ab\"",
        "address = \"10.1.0.0/16\"",
        "lac_name = \"*\"",
        "address = \"10.1.2.0/24\"\nlac_name = \"z\"",
    ]);
    let scenario = read(&text).expect("all of this is right");
    for (lac, name, expected) in [
        ("10.0.0.1", None, Some(1)),
        ("10.0.0.1", Some("b"), Some(1)),
        // The first one of the file.
        ("10.0.0.1", Some("ab"), Some(2)),
        ("10.1.0.1", Some("ab"), Some(2)),
        ("10.1.0.1", Some("b"), Some(4)),
        ("10.1.2.3", Some("z"), Some(6)),
        // One of another name leaves it to the next shorter prefix.
        ("10.1.2.3", Some("ab"), Some(2)),
        ("10.1.2.3", None, Some(4)),
        ("172.16.0.1", Some("b"), Some(5)),
        ("172.16.0.1", Some(""), Some(5)),
        ("172.16.0.1", None, None),
    ] {
        let lns = "192.0.2.1".parse().expect("an address");
        let lac_address = lac.parse().expect(lac);
        let treatment = scenario.treatment(lns, lac_address, name.map(str::as_bytes));
        let result = match &treatment.fault {
            Fault::Refuse(refusal) => Some(refusal.result().0),
            _ => None,
        };
        assert_eq!(result, expected, "{lac} {name:?}");
    }
    assert_eq!(
        scenario.summary().to_string(),
        "1 LNS rule, 6 LAC rules, default refuse; 4 treatments need the redirect path"
    );
}

#[test]
fn every_mistake_in_names_is_shown() {
    let long = format!("lac_name = \"{}\"", "x".repeat(65));
    let text = rules(&[
        "lac_name = \"a\"",
        "lac_name = \"a\"",
        "address = \"10.0.0.1\"\nlac_name = \"a\"",
        "address = \"10.0.0.1\"\nlac_name = \"a\"",
        "address = \"10.0.0.1\"\nlac_name = \"b\"",
        "lac_name = \"\"",
        "lac_name = [\"a\", \"b\"]",
        &long,
        "address = []\nlac_name = \"c\"",
        "lac_nmae = \"c\"",
    ]);
    let has_to_be = "`lac_name` has to be a text of 1 to 64 octets without control characters, \
                     in which `*` stands for any octets and `?` for any one";
    let shown = mistakes_in(&text);
    let same = |first: &str| {
        format!("there is a rule for these LACs with the same `lac_name`, at {first}; join the two")
    };
    assert_eq!(
        shown,
        [
            format!("8:1: {}", same("4:1")),
            format!("18:11: {}", same("13:11")),
            format!("28:12: {has_to_be}, not \"\""),
            format!("32:12: {has_to_be}, not a list"),
            format!("36:12: {has_to_be}, not \"{}\"", "x".repeat(65)),
            "40:11: `address` has to be an address, a prefix, or a list of them, not an empty list"
                .to_owned(),
            "44:1: `address` is missing; expected an address, a prefix, or a list of them"
                .to_owned(),
            "45:1: unknown key `lac_nmae`; did you mean `lac_name`?".to_owned(),
        ]
    );
}

#[test]
fn there_are_so_many_names_at_an_lns() {
    let names = |count: usize| {
        let lacs: Vec<_> = (0..count)
            .map(|at| format!("lac_name = \"{at}\""))
            .collect();
        rules(&lacs.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert!(read(&names(256)).is_ok());
    assert_eq!(
        mistakes_in(&names(257)),
        [
            "1:1: an LNS takes 256 rules with a `lac_name`; use `*` and `?`, or give LACs of \
             different addresses rules of their own"
        ]
    );
}
