//! Files that cannot be read, and long ones.

use std::fs;
use std::net::Ipv4Addr;

use broken_lns_ebpf::layers::IpVersion;
use xtask::lab::Scratch;

use super::*;
use crate::compile::Compiled;

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let error = Scenario::load(Path::new("/nonexistent.toml"), &Refusal::default());
    assert_eq!(
        error.expect_err("there is no such file").to_string(),
        "cannot read the scenario /nonexistent.toml: No such file or directory (os error 2)"
    );
    let error = Scenario::load(Path::new("/dev/zero"), &Refusal::default());
    assert_eq!(
        error.expect_err("it never ends").to_string(),
        "the scenario /dev/zero is longer than 32 MiB; \
         cover addresses of the same treatment with prefixes or lists"
    );
}

/// Rules for different addresses, under different headers.
fn many_rules(header: &str, count: u32) -> String {
    let rule = |number: u32| {
        let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
        format!("{header}\naddress = \"{address}\"\nfault = \"refuse\"\nresult = 2\n\n")
    };
    (0..count).map(rule).collect()
}

#[test]
fn a_hundred_thousand_rules_are_checked() {
    let lns = many_rules("[[lns]]", 100_000);
    let lacs = many_rules("[[lns.lac]]", 100_000);
    let text = format!("{lns}[[lns]]\naddress = \"192.0.2.0/24\"\n{lacs}");
    let scenario = read(&text).expect("all rules are right");
    assert_eq!(scenario.rules.len(), 100_001);
    assert_eq!(scenario.rules[100_000].lacs.len(), 100_000);

    let line = format!(
        "lns = [{}]",
        "{ address = \"192.0.2.1\", fault = 1 },".repeat(20_000)
    );
    let error = read(&line).expect_err("every address is the same");
    assert!(
        error
            .to_string()
            .starts_with("39999 mistakes in the scenario test.toml\n")
    );
}

/// As many rules for LNSs as for LACs, with a reply each: from the text to what is played.
#[test]
fn rules_by_the_ten_thousands_are_ready() {
    const RULES: u32 = 65_536;
    let rules = |header: &str| -> String {
        let rule = |number: u32| {
            let address = Ipv4Addr::from_bits(0x0a00_0000 + number);
            format!("{header}\naddress = \"{address}\"\nfault = \"refuse\"\nresult = {number}\n\n")
        };
        (0..RULES).map(rule).collect()
    };
    let (lns, lacs) = (rules("[[lns]]"), rules("[[lns.lac]]"));
    let text = format!("{lns}[[lns]]\naddress = \"192.0.2.0/24\"\n{lacs}");
    let scenario = read(&text).expect("all rules are right");
    let compiled = Compiled::new(&scenario).expect("there is room for all of them");

    // The default comes first; an LNS without a treatment of its own has no rule but those for LACs.
    assert_eq!(compiled.rules().len(), 1 + 2 * RULES as usize);
    let memory = |address: [u8; 4]| [u32::from_ne_bytes(address).into(), 0];
    for (lac, lns, rule) in [
        ([10, 0, 0, 1], [10, 0, 0, 0], 1),
        ([10, 0, 0, 1], [10, 0, 255, 255], 65_536),
        ([10, 0, 0, 0], [192, 0, 2, 1], 65_537),
        ([10, 0, 255, 255], [192, 0, 2, 1], 131_072),
        ([10, 1, 0, 0], [192, 0, 2, 1], 0),
        ([10, 0, 0, 1], [10, 1, 0, 0], 0),
    ] {
        let found = compiled.rule_for(IpVersion::V4, memory(lns), memory(lac), || None);
        assert_eq!(found.rule.index(), rule, "{lac:?} at {lns:?}");
    }
}

/// A file may be as long as the limit, and not one octet longer.
#[test]
fn a_file_has_a_longest_length() {
    let files = Scratch::new("scenario").expect("room for a file");
    let path = files.file("long.toml");
    let limit = usize::try_from(FILE_LIMIT << 20).expect("it fits");
    let text = "#".repeat(limit);
    fs::write(&path, &text).expect("room for the text");
    let read = Scenario::read(&path).expect("as long as it may be");
    assert_eq!(read.len(), limit);
    fs::write(&path, text + "#").expect("room for the text");
    assert!(matches!(
        Scenario::read(&path),
        Err(ScenarioError::TooLong {
            limit: FILE_LIMIT,
            ..
        })
    ));
}

#[test]
fn of_very_many_mistakes_the_first_are_shown_and_the_others_counted() {
    const COUNT: usize = 100_000;
    let lines = (0..COUNT).map(|number| format!("wrong{number} = 1\n"));
    let error = read(&lines.collect::<String>()).expect_err("every line of it is wrong");
    let shown = error.each();
    assert_eq!((shown.len(), error.more()), (100, COUNT - 100));
    for (line, mistake) in (1..).zip(&shown) {
        let start = format!(
            "test.toml:{line}:1: unknown key `wrong{}`; expected one of",
            line - 1
        );
        assert!(mistake.starts_with(&start), "{mistake}");
    }
    let text = error.to_string();
    assert!(text.starts_with("100000 mistakes in the scenario test.toml\n"));
    assert!(text.ends_with("\nand 99900 more"));
}
