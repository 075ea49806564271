//! What is wrong with a scenario is told where it stands, and all of it at once.

use super::*;

#[test]
fn every_mistake_is_shown_at_once_with_its_line() {
    let error = read(
        r#"asigned_tunnel_id = 1
seed = -1

[default]
fault = "refuse"
reslt = 2
error = "try-anoter"

[[lns]]
address = ["192.0.2.7/24", 1]
fault = "silence"

[[lns]]
address = "192.0.2.1"
fault = "refuse"
message = 7
	[[lns.lac]]
	address = "10.0.0.0/8"
"#,
    )
    .expect_err("a lot is wrong");
    assert_eq!(
        error.to_string(),
        r#"9 mistakes in the scenario test.toml
test.toml:1:1: unknown key `asigned_tunnel_id`; did you mean `assigned_tunnel_id`?
     1 | asigned_tunnel_id = 1
       | ^^^^^^^^^^^^^^^^^
test.toml:2:8: `seed` has to be a number from 0 to 18446744073709551615, not -1
     2 | seed = -1
       |        ^^
test.toml:6:1: unknown key `reslt`; did you mean `result`?
     6 | reslt = 2
       | ^^^^^
test.toml:7:9: `try-anoter` is neither a number from 0 to 65535 nor the name of an error code; did you mean `try-another` or `try-another-directed`?
     7 | error = "try-anoter"
       |         ^^^^^^^^^^^^
test.toml:10:12: 192.0.2.7/24 has bits beyond its length; did you mean the network 192.0.2.0/24 or the address 192.0.2.7?
    10 | address = ["192.0.2.7/24", 1]
       |            ^^^^^^^^^^^^^^
test.toml:10:28: `address` has to be an address, a prefix, or a list of them, not 1
    10 | address = ["192.0.2.7/24", 1]
       |                            ^
test.toml:11:9: unknown fault `silence`; did you mean `silent`?
    11 | fault = "silence"
       |         ^^^^^^^^^
test.toml:16:11: `message` has to be a text, not 7
    16 | message = 7
       |           ^
test.toml:17:2: `fault` is missing; expected a fault of `broken-lns faults`, such as "refuse"
    17 |  [[lns.lac]]
       |  ^^^^^^^^^^^"#
    );
}

#[test]
fn keys_that_do_not_go_together_are_told_why() {
    let long = format!("message = \"{}\"", "x".repeat(1014));
    for (keys, mistake) in [
        (
            "fault = \"refuse\"\nkind = \"wrong-ns\"",
            "3:1: `kind` does not belong to fault `refuse`, but to `garble`",
        ),
        (
            "fault = \"silent\"\nresult = 2",
            "3:1: `result` does not belong to fault `silent`, but to `refuse` or `garble`",
        ),
        (
            "fault = \"silent\"\nxyzzy = 2",
            "3:1: unknown key `xyzzy`; expected one of `expect`, `fault`, `delay`, `jitter`, `repeat`, \
             `retransmit`, `loss`, `probability`, `otherwise`, `first`, `for`, `then`",
        ),
        (
            "result = 2",
            "1:1: `fault` is missing; expected a fault of `broken-lns faults`, such as \"refuse\"",
        ),
        (
            "fault = 2",
            "2:9: `fault` has to be the name of a fault, not 2",
        ),
        (
            "fault = \"xyzzy\"\nkind = 2",
            "2:9: unknown fault `xyzzy`; expected one of `refuse`, `silent`, `pass`, \
             `code-in-address`, `unreachable`, `acknowledge`, `cycle`, `garble`",
        ),
        (
            "fault = \"refuse\"\nresult = 65536",
            "3:10: `65536` is neither a number from 0 to 65535 nor the name of a result code; \
             `broken-lns codes` lists the names",
        ),
        (
            "fault = \"refuse\"\nerror = true",
            "3:9: `error` has to be a number from 0 to 65535, the name of a code, or \"none\", \
             not true",
        ),
        (
            "fault = \"refuse\"\nerror = \"none\"\nmessage = \"text\"",
            "4:11: a message needs an error code before it; \
             leave it out, or give `error` a number",
        ),
        (
            &format!("fault = \"refuse\"\n{long}"),
            "3:11: the message is 1014 octets long, but one AVP holds 1013; shorten it",
        ),
        (
            "fault = \"refuse\"\nassigned_tunnel_id = 0",
            "3:22: `assigned_tunnel_id` has to be a number from 1 to 65535, not 0",
        ),
        (
            "fault = \"unreachable\"\ncode = \"prot\"",
            "3:8: unknown unreachable code `prot`; did you mean `port`?",
        ),
        (
            "fault = \"unreachable\"\nfrom_address = \"224.0.0.1\"",
            "3:16: `from_address` has to be the address of one host, such as \"192.0.2.254\", \
             not \"224.0.0.1\"",
        ),
        (
            "fault = \"garble\"",
            "1:1: `kind` is missing; \
             expected a kind of `broken-lns faults`, such as \"wrong-tunnel-id\"",
        ),
        (
            "fault = \"garble\"\nkind = \"truncate\"",
            "3:8: unknown garble kind `truncate`; did you mean `truncated`?",
        ),
        (
            "fault = \"garble\"\nkind = \"byte-swapped-result\"\nresult = 257",
            "3:8: `byte-swapped-result` changes nothing in result 257 (not assigned), \
             of which both octets are the same; give another `result`",
        ),
        (
            "fault = \"cycle\"",
            "1:1: `faults` is missing; expected a list of 1 to 256 faults",
        ),
        (
            "fault = \"cycle\"\nfaults = []",
            "3:10: `faults` has to be a list of 1 to 256 faults, not an empty list",
        ),
        (
            "fault = \"cycle\"\nfaults = [{ fault = \"cycle\", faults = [\"pass\"] }]",
            "3:11: fault `cycle` cannot stand within another `cycle`; \
             write its faults into that one",
        ),
        (
            "fault = \"cycle\"\nfaults = [1]",
            "3:11: `faults` has to be the name of a fault, or a table with a `fault`, not 1",
        ),
        (
            "fault = \"cycle\"\nfaults = [{ fault = \"silent\", first = 1, then = \"pass\" }]",
            "3:39: `first` cannot stand within a `cycle`; put the cycle into a `then`",
        ),
        (
            "fault = \"cycle\"\nfaults = [\"pass\"]\ndelay = \"1s\"",
            "4:9: `delay` does nothing to fault `cycle`, \
             which sends what the faults in its list send; give it to those",
        ),
        (
            "fault = \"silent\"\nloss = 0.1",
            "3:8: `loss` does nothing to fault `silent`, which sends nothing",
        ),
        (
            "fault = \"acknowledge\"\nretransmit = true",
            "3:14: `retransmit` does nothing to fault `acknowledge`, which sends no StopCCN",
        ),
        (
            "fault = \"refuse\"\nretransmit = 1",
            "3:14: `retransmit` has to be true or false, not 1",
        ),
        (
            "fault = \"refuse\"\nrepeat = 0",
            "3:10: `repeat` has to be a number from 1 to 100, not 0",
        ),
        (
            "fault = \"refuse\"\ndelay = 250",
            "3:9: `delay` has to be a time with its unit, such as \"250ms\", of up to 1h, not 250",
        ),
        (
            "fault = \"refuse\"\ndelay = \"2h\"",
            "3:9: `delay` has to be a time with its unit, such as \"250ms\", of up to 1h, \
             not \"2h\"",
        ),
        (
            "fault = \"refuse\"\njitter = \"1s\"",
            "3:10: `jitter` needs `delay` beside it",
        ),
        (
            "fault = \"refuse\"\ndelay = \"1s\"\njitter = \"2s\"",
            "4:10: `jitter` is longer than `delay`; expected up to 1s",
        ),
        (
            "fault = \"refuse\"\nloss = 1.5",
            "3:8: `loss` has to be a number from 0 to 1, not 1.5",
        ),
        (
            "fault = \"refuse\"\nprobability = nan\notherwise = \"pass\"",
            "3:15: `probability` has to be a number from 0 to 1, not nan",
        ),
        (
            "fault = \"refuse\"\nprobability = 0.5",
            "3:15: `probability` needs `otherwise` beside it",
        ),
        (
            "fault = \"refuse\"\notherwise = \"pass\"",
            "3:13: `otherwise` needs `probability` beside it",
        ),
        (
            "fault = \"refuse\"\nfirst = 3",
            "3:9: `first` needs `then` beside it",
        ),
        (
            "fault = \"refuse\"\nthen = \"pass\"",
            "3:8: `then` needs `first` or `for` beside it",
        ),
        (
            "fault = \"refuse\"\nfirst = 0\nthen = \"pass\"",
            "3:9: `first` has to be a number from 1 to 4294967295, not 0",
        ),
        (
            "fault = \"refuse\"\nprobability = 0.5\n\
             otherwise = { fault = \"silent\", for = \"1s\", then = \"pass\" }",
            "4:39: `for` cannot stand within `otherwise`; put it beside `probability`",
        ),
    ] {
        assert_eq!(mistakes_in(&format!("[default]\n{keys}")), [mistake]);
    }
}

#[test]
fn addresses_are_checked() {
    for (rules, mistakes) in [
        (
            "[[lns]]\nfault = \"silent\"",
            &["1:1: `address` is missing; expected an address, a prefix, or a list of them"][..],
        ),
        (
            "[[lns]]\naddress = []\nfault = \"silent\"",
            &[
                "2:11: `address` has to be an address, a prefix, or a list of them, \
               not an empty list",
            ],
        ),
        (
            "[[lns]]\naddress = [\"192.0.2.1\", \"192.0.2.1/32\"]\nfault = \"silent\"\n\
             [[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"",
            &[
                "2:25: 192.0.2.1 has a rule already, at 2:12; join the two",
                "5:11: 192.0.2.1 has a rule already, at 2:12; join the two",
            ],
        ),
        (
            "[[lns]]\naddress = \"192.0.2.1\"\n\
             [[lns.lac]]\naddress = \"10.0.0.0/8\"\nfault = \"silent\"\n\
             [[lns.lac]]\naddress = \"10.0.0.0/8\"\nfault = \"pass\"",
            &["7:11: 10.0.0.0/8 has a rule already, at 4:11; join the two"],
        ),
        (
            "[[lns]]\naddress = \"192.0.2.1\"",
            &[
                "1:1: `fault` is missing; expected a fault of `broken-lns faults`, \
               such as \"refuse\"",
            ],
        ),
        (
            "[[lns]]\naddress = \"2001:db8::1\"\nfault = \"unreachable\"\n\
             from_address = \"192.0.2.1\"",
            &[
                "4:16: `from_address` 192.0.2.1 cannot send to the LACs of 2001:db8::1; \
               expected an IPv6 address",
            ],
        ),
        (
            "[lns]\naddress = \"192.0.2.1\"",
            &["1:1: `lns` has to be a list of rules, each under [[lns]], not a table"],
        ),
        (
            "lns = [1]",
            &["1:8: `lns` has to be a rule, under [[lns]], not 1"],
        ),
    ] {
        assert_eq!(mistakes_in(rules), mistakes);
    }
}

#[test]
fn faults_stand_in_each_other_up_to_a_depth() {
    let nested = |depth: usize| {
        let then = "{ fault = \"silent\", first = 1, then = ".repeat(depth);
        read(&format!("default = {then}\"pass\"{}", " }".repeat(depth)))
    };
    assert!(nested(8).is_ok());
    let error = nested(9).expect_err("one too deep").to_string();
    assert!(
        error.contains(
            "faults stand in each other 8 deep at most; use fewer `then` and `otherwise`"
        )
    );
}

#[test]
fn what_is_no_toml_is_told_where() {
    assert_eq!(
        mistakes_in("[default]\nfault = refuse\n\n[[lns]\naddress = \"192.0.2.1\"\n"),
        [
            "2:9: not TOML: string values must be quoted, expected literal string",
            "4:7: not TOML: unclosed array table, expected `]`",
        ]
    );
}

#[test]
fn what_an_error_quotes_cannot_write_to_the_terminal() {
    let mistakes = mistakes_in("default = \"\\u001b[2J\"\n");
    assert_eq!(mistakes.len(), 1);
    assert!(mistakes[0].starts_with("1:11: unknown fault `\u{fffd}[2J`; expected one of"));
    let long = format!("{} = 1", "x".repeat(1000));
    let hint = "expected one of `assigned_tunnel_id`, `seed`, `default`, `group`, `lns`";
    assert_eq!(
        mistakes_in(&long),
        [format!("1:1: unknown key `{}…`; {hint}", "x".repeat(100))]
    );
}
