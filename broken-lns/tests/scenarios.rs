//! The ready scenarios, and the two commands about scenarios.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use broken_lns::refusal::Refusal;
use broken_lns::scenario::catalogue::catalogue;
use broken_lns::scenario::garble::GarbleKind;
use broken_lns::scenario::{Fault, Scenario, Treatment};

/// A ready scenario: its file, what `broken-lns check` says of it, and how some LNS addresses
/// treat everybody.
struct Ready {
    file: &'static str,
    summary: &'static str,
    treatments: &'static [(&'static str, &'static str)],
}

const READY: &[Ready] = &[
    Ready {
        file: "all-codes.toml",
        summary: "23 LNS rules, 0 LAC rules, default silent",
        treatments: &[
            (
                "192.0.2.8",
                r#"fault = "refuse", result = 8, error = "none", assigned_tunnel_id = 12345"#,
            ),
            (
                "198.51.100.9",
                r#"fault = "refuse", result = 2, error = 9, message = "192.0.2.1,192.0.2.4", assigned_tunnel_id = 12345"#,
            ),
            (
                "198.51.100.12",
                r#"fault = "refuse", result = 2, error = 12, message = "error 12", assigned_tunnel_id = 12345"#,
            ),
            ("2001:db8::2:4", r#"fault = "code-in-address""#),
            ("2001:db8:1::2:4", r#"fault = "silent""#),
        ],
    },
    Ready {
        file: "cisco.toml",
        summary: "11 LNS rules, 0 LAC rules, default silent; 10 expectations",
        treatments: &[
            (
                "192.0.2.4",
                r#"fault = "refuse", result = 2, error = 9, message = "192.0.2.254", assigned_tunnel_id = 12345"#,
            ),
            ("192.0.2.5", r#"fault = "silent""#),
            (
                "192.0.2.15",
                r#"fault = "refuse", result = 7, error = 7, message = "Internal error", assigned_tunnel_id = 12345"#,
            ),
            ("192.0.2.254", r#"fault = "pass""#),
        ],
    },
    Ready {
        file: "dead.toml",
        summary: "6 LNS rules, 0 LAC rules, default silent; 4 treatments need the redirect path",
        treatments: &[
            ("192.0.2.1", r#"fault = "silent""#),
            ("192.0.2.2", r#"fault = "unreachable", code = "port""#),
            (
                "192.0.2.5",
                r#"fault = "unreachable", code = "admin-prohibited", from_address = "203.0.113.254""#,
            ),
            ("192.0.2.6", r#"fault = "acknowledge""#),
        ],
    },
    Ready {
        file: "failover.toml",
        summary: "2 LNS rules, 0 LAC rules, default silent",
        treatments: &[
            (
                "192.0.2.1",
                r#"fault = "refuse", result = 2, error = 4, message = "No tunnels left", assigned_tunnel_id = 12345"#,
            ),
            ("192.0.2.2", r#"fault = "pass""#),
        ],
    },
    Ready {
        file: "flaky.toml",
        summary: "0 LNS rules, 0 LAC rules, default refuse",
        treatments: &[(
            "203.0.113.1",
            r#"fault = "refuse", result = 2, error = 4, message = "Bad luck", assigned_tunnel_id = 12345, probability = 0.1, otherwise = "pass""#,
        )],
    },
    Ready {
        file: "garbled-zoo.toml",
        summary: "28 LNS rules, 0 LAC rules, default silent",
        treatments: &[
            (
                "192.0.2.2",
                r#"fault = "garble", kind = "wrong-tunnel-id", result = 2, error = 4, message = "Internal error", assigned_tunnel_id = 12345"#,
            ),
            (
                "192.0.2.100",
                r#"fault = "refuse", result = 2, error = 4, message = "Internal error", assigned_tunnel_id = 12345"#,
            ),
        ],
    },
    Ready {
        file: "juniper.toml",
        summary: "3 LNS rules, 0 LAC rules, default silent; 2 treatments need the redirect path; 2 expectations",
        treatments: &[
            (
                "192.0.2.1",
                r#"fault = "refuse", result = 2, error = 4, message = "Internal error", assigned_tunnel_id = 12345, for = "4m", then = "pass""#,
            ),
            (
                "192.0.2.2",
                r#"fault = "silent", for = "10m", then = "pass""#,
            ),
            ("192.0.2.3", r#"fault = "pass""#),
        ],
    },
    Ready {
        file: "nokia.toml",
        summary: "13 LNS rules, 0 LAC rules, default silent; 8 expectations",
        treatments: &[
            (
                "192.0.2.1",
                r#"fault = "refuse", result = 2, error = "none", assigned_tunnel_id = 12345"#,
            ),
            (
                "192.0.2.13",
                r#"fault = "refuse", result = 5, error = 1, message = "", assigned_tunnel_id = 12345"#,
            ),
            (
                "192.0.2.24",
                r#"fault = "refuse", result = 8, error = "none", assigned_tunnel_id = 12345"#,
            ),
        ],
    },
    Ready {
        file: "refuse-three-times.toml",
        summary: "0 LNS rules, 0 LAC rules, default refuse; 1 treatment needs the redirect path",
        treatments: &[(
            "203.0.113.1",
            r#"fault = "refuse", result = 2, error = 4, message = "Try again", assigned_tunnel_id = 12345, first = 3, then = "pass""#,
        )],
    },
    Ready {
        file: "slow.toml",
        summary: "4 LNS rules, 0 LAC rules, default silent; 4 treatments need the redirect path",
        treatments: &[
            (
                "192.0.2.1",
                r#"fault = "refuse", result = 2, error = 4, message = "Internal error", assigned_tunnel_id = 12345, delay = "500ms", jitter = "100ms""#,
            ),
            (
                "192.0.2.4",
                r#"fault = "refuse", result = 2, error = 4, message = "Internal error", assigned_tunnel_id = 12345, delay = "1m""#,
            ),
        ],
    },
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn load(file: &str) -> Scenario {
    let scenario = Scenario::load(&folder().join(file), &Refusal::default());
    scenario.unwrap_or_else(|error| panic!("{error}"))
}

/// How the scenario treats a LAC that no rule names.
fn at<'s>(scenario: &'s Scenario, lns: &str) -> &'s Treatment {
    let lns = lns.parse().expect(lns);
    let lac = if matches!(lns, std::net::IpAddr::V4(_)) {
        "203.0.113.7"
    } else {
        "2001:db8:ffff::7"
    };
    scenario.treatment(lns, lac.parse().expect(lac), None)
}

fn broken_lns(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broken-lns"));
    let output = command.args(arguments).current_dir(folder()).output();
    output.expect("the command was built with this test")
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).expect("the command prints text")
}

#[test]
fn every_file_of_the_folder_is_tested() {
    let files = fs::read_dir(folder()).expect("there is a folder");
    let files: BTreeSet<_> = files
        .map(|file| file.expect("it can be read").file_name())
        .collect();
    let tested: BTreeSet<_> = READY.iter().map(|ready| ready.file.into()).collect();
    assert_eq!(files, tested);
}

#[test]
fn every_ready_scenario_does_what_it_says() {
    for ready in READY {
        let scenario = load(ready.file);
        for (lns, treatment) in ready.treatments {
            let text = at(&scenario, lns).to_string();
            assert_eq!(text, *treatment, "{lns} in {}", ready.file);
        }
    }
}

#[test]
fn all_codes_are_at_their_addresses() {
    let scenario = load("all-codes.toml");
    let codes = |lns: String| match &at(&scenario, &lns).fault {
        Fault::Refuse(refusal) => (refusal.result().0, refusal.error().map(|error| error.0)),
        fault => panic!("{lns} does not refuse: {fault:?}"),
    };
    for result in 0..=8 {
        assert_eq!(codes(format!("192.0.2.{result}")), (result, None));
    }
    for error in 0..=12 {
        assert_eq!(codes(format!("198.51.100.{error}")), (2, Some(error)));
    }
}

#[test]
fn the_zoo_has_every_kind_at_its_address() {
    let scenario = load("garbled-zoo.toml");
    for (index, expected) in GarbleKind::ALL.iter().enumerate() {
        let lns = format!("192.0.2.{}", 2 * (index + 1));
        match &at(&scenario, &lns).fault {
            Fault::Garble { kind, .. } => assert_eq!(kind, expected, "{lns}"),
            fault => panic!("{lns} garbles nothing: {fault:?}"),
        }
    }
}

#[test]
fn check_says_what_is_in_a_scenario() {
    for ready in READY {
        let output = broken_lns(&["check", ready.file]);
        assert_eq!(text(&output.stderr), "");
        let expected = format!("{}: {}\n", ready.file, ready.summary);
        assert_eq!(text(&output.stdout), expected);
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn check_shows_every_mistake_and_fails() {
    let file = std::env::temp_dir().join(format!("broken-lns-{}.toml", std::process::id()));
    fs::write(&file, "[default]\nfault = \"refues\"\n\n[[lsn]]\n").expect("it can be written");
    let name = file.to_str().expect("it is text");
    let output = broken_lns(&["check", name]);
    fs::remove_file(&file).expect("it was there");
    assert_eq!(text(&output.stdout), "");
    assert_eq!(
        text(&output.stderr),
        format!(
            "broken-lns: 2 mistakes in the scenario {name}\n\
             {name}:2:9: unknown fault `refues`; did you mean `refuse`?\n     \
                2 | fault = \"refues\"\n       \
                  |         ^^^^^^^^\n\
             {name}:4:3: unknown key `lsn`; did you mean `lns`?\n     \
                4 | [[lsn]]\n       \
                  |   ^^^\n"
        )
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn faults_prints_the_catalogue() {
    let output = broken_lns(&["faults"]);
    assert_eq!(text(&output.stdout), catalogue(80));
    assert_eq!(output.status.code(), Some(0));
}
