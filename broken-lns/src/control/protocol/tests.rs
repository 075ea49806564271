use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::codes::ErrorCode;
use crate::interface::AttachMode;
use crate::mode::Path;
use crate::output::tests::one_interface;
use crate::scenario::LacName;
use crate::track::findings::Reaction;

/// A scenario that is in force.
pub(crate) fn in_force() -> InForce {
    InForce {
        name: "slow.toml".to_owned(),
        changed: false,
        summary: Summary {
            lns_rules: 4,
            lac_rules: 0,
            default: "silent".to_owned(),
            groups: 0,
            redirect: 4,
            expectations: 0,
        },
    }
}

/// A responder on one interface.
pub(crate) fn status() -> Status {
    Status {
        broken_lns: "0.1.0".to_owned(),
        pid: 4711,
        uptime_ms: 3_723_900,
        interfaces: vec![InterfaceStatus {
            name: "eth1".to_owned(),
            attachment: Attachment {
                mode: AttachMode::Native,
                path: Path::Redirect,
                workers: 1,
                zero_copy: false,
            },
            remarks: vec![
                "redirect path, since native XDP_TX on a veth may lose replies".to_owned(),
            ],
            ended: None,
        }],
        scenario: in_force(),
        counters: one_interface(),
    }
}

/// A rule of these addresses.
pub(crate) fn rule(
    place: Option<(usize, usize)>,
    lns: &[&str],
    lac: &[&str],
    hits: u64,
) -> RuleLine {
    let prefixes = |texts: &[&str]| {
        let texts = texts.iter();
        texts.map(|text| text.parse().expect(text)).collect()
    };
    RuleLine {
        place: place.map(|(line, column)| Place { line, column }),
        lns: prefixes(lns),
        lac: prefixes(lac),
        lac_name: None,
        treatment: "fault = \"refuse\", result = 2".to_owned(),
        hits,
    }
}

fn reactions() -> Reactions {
    let lac = "198.51.100.2".parse().expect("an address");
    let lns = "192.0.2.1".parse().expect("an address");
    Reactions {
        last: vec![Reacted {
            lac,
            lns,
            reaction: Reaction::RetrySame,
            next: Some(lns),
            after_ns: Some(30_000_000_000),
            at_ns: 31_000_000_000,
        }],
        lacs: vec![LacLine {
            lac,
            host_name: Some("lac-1".to_owned()),
            messages: 4,
            slowest_ns: None,
        }],
    }
}

#[test]
fn a_reaction_is_told_in_a_few_words() {
    let retry = reactions().last.remove(0);
    let elsewhere = Some("192.0.2.2".parse().expect("an address"));
    for (reaction, next, after_ns, words) in [
        (
            Reaction::RetrySame,
            retry.next,
            retry.after_ns,
            "retry after 30 s",
        ),
        (
            Reaction::Failover,
            elsewhere,
            Some(12_000_000),
            "failover to 192.0.2.2 after 12 ms",
        ),
        (Reaction::GiveUp, None, None, "gave up"),
        (Reaction::Ignore, None, None, "ignored the answer"),
        (
            Reaction::Ignore,
            elsewhere,
            Some(3_000_000_000),
            "ignored the answer, then to 192.0.2.2 after 3 s",
        ),
        (
            Reaction::Ignore,
            retry.next,
            retry.after_ns,
            "ignored the answer, then again after 30 s",
        ),
    ] {
        let reacted = Reacted {
            reaction,
            next,
            after_ns,
            ..retry
        };
        assert_eq!(reacted.to_string(), words);
    }
}

fn set() -> Set {
    Set {
        result_code: Some(ResultCode(2)),
        error_code: Some(ErrorCodeChoice(Some(ErrorCode(6)))),
        error_message: Some("Oh, no!".to_owned()),
        lns: Some("192.0.2.0/24".parse().expect("a prefix")),
    }
}

#[test]
fn requests_are_written_as_documented_and_read_again() {
    let load = Load {
        name: "mine.toml".to_owned(),
        path: "/etc/mine.toml".into(),
        text: "[default]\nfault = \"silent\"\n".to_owned(),
    };
    for (request, written) in [
        (Request::Status, json!("status")),
        (Request::Rules, json!("rules")),
        (
            Request::Set(set()),
            json!({"set": {
                "result_code": 2,
                "error_code": 6,
                "error_message": "Oh, no!",
                "lns": "192.0.2.0/24",
            }}),
        ),
        (
            Request::Load(load),
            json!({"load": {
                "name": "mine.toml",
                "path": "/etc/mine.toml",
                "text": "[default]\nfault = \"silent\"\n",
            }}),
        ),
        (Request::Reload, json!("reload")),
        (
            Request::Report(Report {
                format: Format::Markdown,
            }),
            json!({"report": {"format": "md"}}),
        ),
        (Request::Reactions, json!("reactions")),
        (Request::Reset, json!("reset")),
        (Request::Stop, json!("stop")),
    ] {
        let line = request.to_line().expect("text");
        let value: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(value, json!({"version": 1, "request": written}));
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        assert_eq!(Request::from_line(line.as_bytes()).expect(&line), request);
    }
}

#[test]
fn what_is_left_out_of_a_change_is_left_out_of_its_line() {
    let request = Request::Set(Set::default());
    assert_eq!(
        request.to_line().expect("text"),
        "{\"version\":1,\"request\":{\"set\":{}}}\n"
    );
}

#[test]
fn codes_may_be_names() {
    let line =
        br#"{"version":1,"request":{"set":{"result_code":"general-error","error_code":"none"}}}"#;
    let change = Set {
        result_code: Some(ResultCode(2)),
        error_code: Some(ErrorCodeChoice(None)),
        ..Set::default()
    };
    let request = Request::from_line(line).expect("a request");
    assert_eq!(request, Request::Set(change));
}

#[test]
fn a_wrong_line_is_told_what_is_wrong() {
    let example = r#"expected one object a line, such as {"version":1,"request":"status"}"#;
    for (line, message) in [
        (
            "",
            format!("not JSON: EOF while parsing a value at line 1 column 0; {example}"),
        ),
        (
            "status",
            format!("not JSON: expected value at line 1 column 1; {example}"),
        ),
        (
            r#"{"version":1,"request":"status"} now"#,
            format!("not JSON: trailing characters at line 1 column 34; {example}"),
        ),
        (
            "{}",
            "not understood: missing field `version` at line 1 column 2".to_owned(),
        ),
        (
            "7",
            "not understood: invalid type: integer `7`, expected an object \
             at line 1 column 1"
                .to_owned(),
        ),
        (
            r#"{"version":2,"request":"dance"}"#,
            "version 2 of the protocol, but version 1 is spoken here; \
             use the broken-lns that the responder was started with"
                .to_owned(),
        ),
        (
            r#"{"version":1}"#,
            "not understood: missing field `request` at line 1 column 13".to_owned(),
        ),
        (
            r#"{"version":1,"request":"dance"}"#,
            "not understood: unknown variant `dance`, expected one of `status`, `rules`, `set`, \
             `load`, `reload`, `report`, `reactions`, `reset`, `stop` at line 1 column 30"
                .to_owned(),
        ),
        (
            r#"{"version":1,"request":"status","please":true}"#,
            "not understood: unknown field `please`, expected `version` or `request` \
             at line 1 column 40"
                .to_owned(),
        ),
        (
            r#"{"version":1,"request":{"set":{"lns":"192.0.2.7/24"}}}"#,
            "not understood: 192.0.2.7/24 has bits beyond its length; did you mean the network \
             192.0.2.0/24 or the address 192.0.2.7? at line 1 column 52"
                .to_owned(),
        ),
    ] {
        let error = Request::from_line(line.as_bytes()).expect_err(line);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn an_error_does_not_repeat_a_long_line() {
    let line = format!(r#"{{"version":1,"request":"{}"}}"#, "x".repeat(1 << 20));
    let error = Request::from_line(line.as_bytes()).expect_err("unknown");
    assert!(error.to_string().len() < 400);
}

#[test]
fn responses_are_written_as_documented_and_read_again() {
    let changed = Changed {
        scenario: in_force(),
        set: Some(SetTreatment {
            lns: None,
            treatment: "fault = \"silent\"".to_owned(),
        }),
        remarks: Vec::new(),
    };
    let scenario = json!({
        "name": "slow.toml",
        "changed": false,
        "lns_rules": 4,
        "lac_rules": 0,
        "default": "silent",
        "groups": 0,
        "redirect": 4,
        "expectations": 0,
    });
    for (outcome, written) in [
        (
            Ok(Reply::Rules(vec![rule(
                Some((12, 1)),
                &["192.0.2.0/24"],
                &["10.0.0.0/8"],
                7,
            )])),
            json!({"version": 1, "ok": {"rules": [{
                "place": {"line": 12, "column": 1},
                "lns": ["192.0.2.0/24"],
                "lac": ["10.0.0.0/8"],
                "treatment": "fault = \"refuse\", result = 2",
                "hits": 7,
            }]}}),
        ),
        (
            Ok(Reply::Changed(changed)),
            json!({"version": 1, "ok": {"changed": {
                "scenario": scenario,
                "set": {"lns": null, "treatment": "fault = \"silent\""},
                "remarks": [],
            }}}),
        ),
        (
            Ok(Reply::Report(Document {
                format: Format::Text,
                text: "1 LAC\n".to_owned(),
            })),
            json!({"version": 1, "ok": {"report": {"format": "text", "text": "1 LAC\n"}}}),
        ),
        (
            Ok(Reply::Reactions(None)),
            json!({"version": 1, "ok": {"reactions": null}}),
        ),
        (
            Ok(Reply::Reactions(Some(reactions()))),
            json!({"version": 1, "ok": {"reactions": {
                "last": [{
                    "lac": "198.51.100.2",
                    "lns": "192.0.2.1",
                    "reaction": "retry-same",
                    "next": "192.0.2.1",
                    "after_ns": 30_000_000_000_u64,
                    "at_ns": 31_000_000_000_u64,
                }],
                "lacs": [{"lac": "198.51.100.2", "host_name": "lac-1", "messages": 4, "slowest_ns": null}],
            }}}),
        ),
        (Ok(Reply::Reset), json!({"version": 1, "ok": "reset"})),
        (Ok(Reply::Stopped), json!({"version": 1, "ok": "stopped"})),
        (
            Err(refused(&["one", "two"], 0)),
            json!({"version": 1, "error": ["one", "two"]}),
        ),
        (
            Err(refused(&["one", "two"], 7)),
            json!({"version": 1, "error": ["one", "two"], "more": 7}),
        ),
    ] {
        let response = Response::from(outcome);
        let line = response.to_line().expect("text");
        let value: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(value, written);
        assert_eq!(Response::from_line(line.as_bytes()).expect(&line), response);
    }
}

#[test]
fn a_status_is_written_as_documented_and_read_again() {
    let response = Response::from(Ok(Reply::Status(Box::new(status()))));
    let line = response.to_line().expect("text");
    let value: Value = serde_json::from_str(&line).expect(&line);
    let written = &value["ok"]["status"];
    assert_eq!(written["broken_lns"], json!("0.1.0"));
    assert_eq!(written["pid"], json!(4711));
    assert_eq!(written["uptime_ms"], json!(3_723_900));
    assert_eq!(
        written["interfaces"],
        json!([{
            "name": "eth1",
            "mode": "native",
            "path": "redirect",
            "workers": 1,
            "zero_copy": false,
            "remarks": ["redirect path, since native XDP_TX on a veth may lose replies"],
        }])
    );
    assert_eq!(written["counters"]["answered"], json!(12_345));
    assert_eq!(written["counters"]["verdicts"]["zlb"], json!(1_005));
    assert_eq!(Response::from_line(line.as_bytes()).expect(&line), response);
}

#[test]
fn a_change_leaves_alone_what_it_does_not_name() {
    let present = Refusal::default();
    let changed = |change: &Set, present: &Refusal| {
        let refusal = change.applied_to(present).expect("they fit together");
        let error = refusal.error().map(|code| code.0);
        (refusal.result().0, error, refusal.message().to_owned())
    };
    let only_result = Set {
        result_code: Some(ResultCode(3)),
        ..Set::default()
    };
    let only_error = |choice| Set {
        error_code: Some(ErrorCodeChoice(choice)),
        ..Set::default()
    };
    let message = |text: &str| text.to_owned();
    assert_eq!(changed(&set(), &present), (2, Some(6), message("Oh, no!")));
    assert_eq!(
        changed(&only_result, &present),
        (3, Some(4), message("Internal error"))
    );
    assert_eq!(
        changed(&only_error(Some(ErrorCode(6))), &present),
        (0, Some(6), message("Internal error"))
    );
    assert_eq!(changed(&only_error(None), &present), (0, None, message("")));
    let bare = only_error(None).applied_to(&present).expect("it is one");
    assert_eq!(changed(&only_result, &bare), (3, None, message("")));
    let only_message = Set {
        error_message: Some(message("why")),
        ..Set::default()
    };
    assert_eq!(
        only_message.applied_to(&bare),
        Err(RefusalError::MessageWithoutError)
    );
    assert!(Set::default().is_empty() && !set().is_empty());
}

fn refused(errors: &[&str], more: u64) -> Refused {
    Refused {
        errors: errors.iter().map(|error| (*error).to_owned()).collect(),
        more,
    }
}

#[test]
fn several_mistakes_stand_below_their_number() {
    let two = refused(&["one", "two"], 0);
    assert_eq!(two.to_string(), "2 mistakes\none\ntwo");
    let nine = refused(&["one", "two"], 7);
    assert_eq!(nine.to_string(), "9 mistakes\none\ntwo\nand 7 more");
    assert_eq!(Refused::because("one").to_string(), "one");
}

#[test]
fn a_scenario_is_refused_with_every_mistake() {
    let text = "[default]\nfault = \"refues\"\n\n[[lsn]]\n";
    let error = Scenario::parse("mine.toml", text, &Refusal::default()).expect_err("wrong");
    assert_eq!(
        Refused::from(error),
        refused(
            &[
                "mine.toml:2:9: unknown fault `refues`; did you mean `refuse`?\n     \
                    2 | fault = \"refues\"\n       \
                      |         ^^^^^^^^",
                "mine.toml:4:3: unknown key `lsn`; did you mean `lns`?\n     \
                    4 | [[lsn]]\n       \
                      |   ^^^",
            ],
            0
        )
    );
}

#[test]
fn the_rules_of_a_scenario_are_in_its_order() {
    let text = r#"
[default]
fault = "silent"

[[lns]]
address = ["192.0.2.1", "192.0.2.2"]
fault = "pass"

  [[lns.lac]]
  address = "10.0.0.0/8"
  fault = "acknowledge"

[[lns]]
address = "2001:db8::/32"

  [[lns.lac]]
  address = "2001:db8:1::/48"
  lac_name = "isp-*"
  fault = "code-in-address"
"#;
    let scenario = Scenario::parse("mine.toml", text, &Refusal::default()).expect("right");
    let line = |place, lns: &[&str], lac: &[&str], fault: &str, hits| RuleLine {
        treatment: format!("fault = \"{fault}\""),
        ..rule(place, lns, lac, hits)
    };
    assert_eq!(
        RuleLine::all(&scenario, [5, 6, 7]),
        [
            line(None, &[], &[], "silent", 5),
            line(Some((5, 1)), &["192.0.2.1", "192.0.2.2"], &[], "pass", 6),
            line(
                Some((9, 3)),
                &["192.0.2.1", "192.0.2.2"],
                &["10.0.0.0/8"],
                "acknowledge",
                7
            ),
            RuleLine {
                lac_name: LacName::new("isp-*"),
                ..line(
                    Some((16, 3)),
                    &["2001:db8::/32"],
                    &["2001:db8:1::/48"],
                    "code-in-address",
                    0
                )
            },
        ]
    );
}

proptest! {
    #[test]
    fn any_line_is_a_request_or_not(line: Vec<u8>) {
        let _ = Request::from_line(&line);
        let _ = Response::from_line(&line);
    }

    #[test]
    fn a_damaged_request_is_a_request_or_not(at in 0_usize..200, octet: u8) {
        let mut line = Request::Set(set()).to_line().expect("text").into_bytes();
        let at = at % line.len();
        line[at] = octet;
        let _ = Request::from_line(&line);
    }
}
