//! The commands that talk to a running responder, against one that says what it is told to.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};
use xtask::lab::Scratch;

/// Runs the command with a responder that gives this response, and returns what was asked too.
fn asked(arguments: &[&str], response: &Value) -> (Value, Output) {
    let scratch = Scratch::new("control").expect("a directory");
    let path = scratch.file("eth1.sock");
    let listener = UnixListener::bind(&path).expect("the path is free");
    let response = format!("{response}\n");
    let responder = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the command connects");
        let mut request = String::new();
        BufReader::new(&stream)
            .read_line(&mut request)
            .expect("the command asks");
        stream
            .write_all(response.as_bytes())
            .expect("the command reads");
        serde_json::from_str(&request).expect("a request is JSON")
    });
    let path = path.to_str().expect("it is text");
    let output = broken_lns(&[arguments, &["--control", path]].concat());
    (responder.join().expect("it does not panic"), output)
}

fn broken_lns(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broken-lns"));
    command.args(arguments).output().expect("it is built")
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).expect("it prints text")
}

fn ok(reply: Value) -> Value {
    json!({"version": 1, "ok": reply})
}

fn changed(set: Value) -> Value {
    ok(json!({"changed": {
        "scenario": {
            "name": "my.toml",
            "changed": !set.is_null(),
            "lns_rules": 1,
            "expectations": 0,
            "lac_rules": 0,
            "default": "silent",
            "groups": 0,
            "redirect": 0,
        },
        "set": set,
        "remarks": [],
    }}))
}

#[test]
fn set_says_what_was_set() {
    let set = json!({"lns": "192.0.2.0/24", "treatment": "fault = \"refuse\", result = 2"});
    let (request, output) = asked(
        &[
            "set",
            "--result-code",
            "2",
            "--error-code",
            "6",
            "--error-message",
            "Oh, no!",
            "--lns",
            "192.0.2.0/24",
        ],
        &changed(set),
    );
    let change = json!({
        "result_code": 2,
        "error_code": 6,
        "error_message": "Oh, no!",
        "lns": "192.0.2.0/24",
    });
    assert_eq!(request, json!({"version": 1, "request": {"set": change}}));
    assert_eq!(
        text(&output.stdout),
        "192.0.2.0/24: fault = \"refuse\", result = 2\n"
    );
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn load_sends_the_text_and_where_it_is() {
    let scratch = Scratch::new("load").expect("a directory");
    let file = scratch.file("my.toml");
    fs::write(&file, "[default]\nfault = \"silent\"\n").expect("it can be written");
    let file = file.to_str().expect("it is text");
    let (request, output) = asked(&["load", file], &changed(Value::Null));
    assert_eq!(
        request["request"]["load"],
        json!({"name": file, "path": file, "text": "[default]\nfault = \"silent\"\n"})
    );
    assert_eq!(
        text(&output.stdout),
        "in force: my.toml: 1 LNS rule, 0 LAC rules, default silent\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_refused_change_shows_every_mistake() {
    let response = json!({"version": 1, "error": ["my.toml:1:1: one", "my.toml:2:1: two"]});
    for json_too in [&[][..], &["--json"]] {
        let (request, output) = asked(&[&["reload"], json_too].concat(), &response);
        assert_eq!(request, json!({"version": 1, "request": "reload"}));
        assert_eq!(
            text(&output.stderr),
            "broken-lns: the scenario stays as it is: 2 mistakes\n\
             my.toml:1:1: one\n\
             my.toml:2:1: two\n"
        );
        assert_eq!(output.status.code(), Some(1));
        match json_too {
            [] => assert_eq!(text(&output.stdout), ""),
            _ => assert_eq!(text(&output.stdout), format!("{response}\n")),
        }
    }
}

#[test]
fn the_other_commands_ask_for_what_they_are_called() {
    for (command, reply, said) in [
        ("reset", json!("reset"), "the counters are at zero\n"),
        ("stop", json!("stopped"), "stopped\n"),
        (
            "rules",
            json!({"rules": []}),
            "place  lns  lac  hits  treatment\n",
        ),
    ] {
        let response = ok(reply);
        let (request, output) = asked(&[command], &response);
        assert_eq!(request, json!({"version": 1, "request": command}));
        assert_eq!(text(&output.stdout), said);
        let (_, output) = asked(&[command, "--json"], &response);
        assert_eq!(text(&output.stdout), format!("{response}\n"));
        assert_eq!(output.status.code(), Some(0));
    }
}

#[test]
fn without_a_responder_there_is_an_error() {
    let scratch = Scratch::new("nobody").expect("a directory");
    let path = scratch.file("eth1.sock");
    let path = path.to_str().expect("it is text");
    let output = broken_lns(&["status", "--control", path]);
    assert_eq!(
        text(&output.stderr),
        format!(
            "broken-lns: there is no control socket {path}; is `broken-lns run` running, \
             and was it started with this --interface or --control?\n"
        )
    );
    assert_eq!(output.status.code(), Some(1));
}
