//! Long texts, and texts that are nothing.

use std::time::Instant;

use proptest::prelude::*;

use super::*;

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
        let address = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number);
        format!("{header}\naddress = \"{address}\"\nfault = \"refuse\"\nresult = 2\n\n")
    };
    (0..count).map(rule).collect()
}

#[test]
fn a_hundred_thousand_rules_are_checked_soon() {
    let lns = many_rules("[[lns]]", 100_000);
    let lacs = many_rules("[[lns.lac]]", 100_000);
    let text = format!("{lns}[[lns]]\naddress = \"192.0.2.0/24\"\n{lacs}");
    let start = Instant::now();
    let scenario = read(&text).expect("all rules are right");
    assert_eq!(scenario.rules.len(), 100_001);
    assert_eq!(scenario.rules[100_000].lacs.len(), 100_000);
    // The bound is for a build without optimisation on a busy machine; a release build takes
    // a fraction of a second.
    assert!(start.elapsed() < Duration::from_secs(60));

    let line = format!(
        "lns = [{}]",
        "{ address = \"192.0.2.1\", fault = 1 },".repeat(20_000)
    );
    let start = Instant::now();
    let error = read(&line).expect_err("every address is the same");
    assert!(
        error
            .to_string()
            .starts_with("39999 mistakes in the scenario test.toml\n")
    );
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Pieces that texts are made of which are nearly right.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "[default]",
        "[[lns]]",
        "[[lns.lac]]",
        "\n",
        "\n",
        "\n",
        " = ",
        " = ",
        "fault",
        "\"refuse\"",
        "\"cycle\"",
        "faults",
        "[",
        "]",
        "{",
        "}",
        ",",
        "\"garble\"",
        "kind",
        "\"wrong-ns\"",
        "address",
        "\"192.0.2.1/24\"",
        "\"::/0\"",
        "-1",
        "99999999999999999999999999999999999999999",
        "1e999",
        "nan",
        "0x7f",
        "true",
        "1979-05-27",
        "\"\"\"",
        "'",
        "\\u0000",
        "delay",
        "\"1s\"",
        "jitter",
        "then",
        "otherwise",
        "probability",
        "0.5",
        "first",
        "for",
        "\u{85}",
        "ü",
    ];
    proptest::collection::vec(prop::sample::select(PIECES), 0..60)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_text_is_a_scenario_or_not(text in "\\PC*|(.|\n)*") {
        let _ = read(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn any_text_of_likely_pieces_is_a_scenario_or_not(text in pieces()) {
        let _ = read(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn any_value_behind_any_key_is_right_or_not(
        key in prop::sample::select(&["fault", "result", "error", "message", "kind", "code",
            "from_address", "faults", "delay", "jitter", "repeat", "retransmit", "loss",
            "probability", "otherwise", "first", "for", "then", "assigned_tunnel_id"][..]),
        fault in prop::sample::select(&["refuse", "silent", "unreachable", "cycle", "garble"][..]),
        value in prop::sample::select(&["1", "-1", "0.5", "\"\"", "\"silent\"", "[]", "[1]", "{}",
            "true", "1979-05-27", "nan", "\"99999999999999y\"", "{ fault = \"pass\" }",
            "99999999999999999999999999999999999999999999"][..]),
    ) {
        let text = format!("[default]\nfault = \"{fault}\"\n{key} = {value}\n");
        let _ = read(&text).map_err(|error| error.to_string());
    }
}
