use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net;
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use xtask::lab::Scratch;

use super::super::fake::{RULES, Running, SLOW, lines, say};
use super::*;

const STATUS: &[u8] = b"{\"version\":1,\"request\":\"status\"}\n";
const RULES_PLEASE: &[u8] = b"{\"version\":1,\"request\":\"rules\"}\n";
const STOP: &[u8] = b"{\"version\":1,\"request\":\"stop\"}\n";

/// Limits that a test can wait for.
fn impatient() -> Limits {
    Limits {
        patience: Duration::from_millis(200),
        ..Limits::default()
    }
}

fn running(limits: Limits) -> (Running, PathBuf) {
    let running = Running::start(&["eth1.sock"], limits);
    let path = running.path("eth1.sock");
    (running, path)
}

fn stop(running: Running, path: &Path) -> u32 {
    assert_eq!(say(path, STOP), [r#"{"version":1,"ok":"stopped"}"#]);
    running.stopped().resets
}

/// The errors of the only line that comes back.
fn errors(path: &Path, octets: &[u8]) -> Vec<String> {
    let lines = say(path, octets);
    let [line] = lines.as_slice() else {
        panic!("one line, and not {lines:?}");
    };
    errors_in(line)
}

fn errors_in(line: &str) -> Vec<String> {
    let response = Response::from_line(line.as_bytes()).expect(line);
    response.outcome().expect_err(line).errors
}

/// Whether it still answers.
fn is_well(path: &Path) -> bool {
    let lines = say(path, STATUS);
    lines.len() == 1 && lines[0].starts_with(r#"{"version":1,"ok":{"status":{"#)
}

fn within_runtime<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async { work() })
}

/// Tries to listen, where that cannot be.
fn refused(path: &Path) -> String {
    let listening = within_runtime(|| Server::listen(&[path.to_owned()], Limits::default()));
    listening.expect_err("it cannot be").to_string()
}

#[test]
fn every_request_of_a_client_has_a_response() {
    let (running, path) = running(Limits::default());
    let requests = concat!(
        r#"{"version":1,"request":"reset"}"#,
        "\n",
        r#"{"version":1,"request":{"set":{"result_code":"general-error","error_code":6}}}"#,
        "\n",
        r#"{"version":1,"request":{"load":{"name":"my.toml","path":"/my.toml","text":"seed = 1"}}}"#,
        "\n",
        r#"{"version":1,"request":"reload"}"#,
        "\n",
        "no request\n",
        r#"{"version":1,"request":"reset"}"#, // Without a newline, and still a request.
    );
    let lines = say(&path, requests.as_bytes());
    let values: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert_eq!(values.len(), 6);
    assert_eq!(values[0], json!({"version": 1, "ok": "reset"}));
    assert_eq!(
        values[1]["ok"]["changed"]["set"],
        json!({
            "lns": null,
            "treatment": "fault = \"refuse\", result = 2, error = 6, \
                          message = \"Internal error\", assigned_tunnel_id = 12345",
        })
    );
    assert_eq!(
        values[2]["ok"]["changed"]["scenario"],
        json!({
            "name": "my.toml",
            "changed": false,
            "lns_rules": 0,
            "expectations": 0,
            "lac_rules": 0,
            "default": "refuse",
            "groups": 0,
            "redirect": 0,
        })
    );
    assert_eq!(
        values[3],
        json!({"version": 1, "error": ["there is no file"]})
    );
    assert!(values[4]["error"].is_array());
    assert_eq!(values[5], json!({"version": 1, "ok": "reset"}));
    assert_eq!(stop(running, &path), 2);
    assert!(!path.exists());
}

#[test]
fn a_wrong_request_is_told_why() {
    let (running, path) = running(Limits::default());
    let example = r#"expected one object a line, such as {"version":1,"request":"status"}"#;
    for (request, error) in [
        (
            "GET / HTTP/1.1\n",
            format!("not JSON: expected value at line 1 column 1; {example}"),
        ),
        (
            "\n",
            format!("not JSON: EOF while parsing a value at line 1 column 0; {example}"),
        ),
        (
            "{\"version\":1,\"request\":\"status\"",
            format!("not JSON: EOF while parsing an object at line 1 column 31; {example}"),
        ),
        (
            "{\"version\":9,\"request\":\"status\"}\n",
            "version 9 of the protocol, but version 1 is spoken here; \
             use the broken-lns that the responder was started with"
                .to_owned(),
        ),
        (
            "{\"version\":1,\"request\":\"dance\"}\n",
            "not understood: unknown variant `dance`, expected one of `status`, `rules`, `set`, \
             `load`, `reload`, `report`, `reactions`, `reset`, `stop` at line 1 column 30"
                .to_owned(),
        ),
        (
            "{\"version\":1,\"request\":{\"set\":{\"lns\":\"192.0.2.1\"}}}\n",
            "nothing to set; give result_code, error_code or error_message".to_owned(),
        ),
        (
            "{\"version\":1,\"request\":{\"set\":{\"error_code\":\"none\",\"error_message\":\"x\"}}}\n",
            "an error message needs an error code before it: \
             give --error-code a number, or leave --error-message out"
                .to_owned(),
        ),
    ] {
        assert_eq!(errors(&path, request.as_bytes()), [error], "{request}");
    }
    assert!(is_well(&path));
    stop(running, &path);
}

#[test]
fn a_wrong_scenario_is_refused_with_every_mistake() {
    let (running, path) = running(Limits::default());
    let request = r#"{"version":1,"request":{"load":{"name":"my.toml","path":"/my.toml","text":"sed = 1\nlns = 2"}}}"#;
    assert_eq!(
        errors(&path, request.as_bytes()),
        [
            "my.toml:1:1: unknown key `sed`; did you mean `seed`?\n     \
                1 | sed = 1\n       \
                  | ^^^",
            "my.toml:2:7: `lns` has to be a list of rules, each under [[lns]], not 2\n     \
                2 | lns = 2\n       \
                  |       ^",
        ]
    );
    stop(running, &path);
}

#[test]
fn a_request_of_a_gigabyte_is_read_no_further_than_it_may_be_long() {
    let (running, path) = running(Limits::default());
    let mut stream = net::UnixStream::connect(&path).expect("it listens");
    let chunk = vec![b'x'; 1 << 20];
    let sent = (0..1024).take_while(|_| stream.write_all(&chunk).is_ok());
    let sent = sent.count();
    assert!((60..70).contains(&sent), "{sent} MiB");
    let lines = lines(stream);
    assert_eq!(
        errors_in(&lines[0]),
        ["a request has 67174400 octets at most; this one is longer, and was read no further"]
    );
    assert!(is_well(&path));
    stop(running, &path);
}

#[test]
fn long_requests_come_one_after_the_other() {
    let (running, path) = running(Limits::default());
    let text = "#".repeat(4 << 20);
    let request = format!(
        r#"{{"version":1,"request":{{"load":{{"name":"my.toml","path":"/my.toml","text":"{text}"}}}}}}"#
    );
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let lines = say(&path, request.as_bytes());
                assert!(lines[0].starts_with(r#"{"version":1,"ok":{"changed":"#));
            });
        }
    });
    stop(running, &path);
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let (running, path) = running(impatient());
    for beginning in [&b""[..], b"{\"version\":"] {
        let mut stream = net::UnixStream::connect(&path).expect("it listens");
        stream.write_all(beginning).expect("it reads");
        assert!(is_well(&path));
        let lines = lines(stream);
        assert_eq!(
            errors_in(&lines[0]),
            ["no whole request came within 200ms; send one JSON object and a newline"]
        );
    }
    stop(running, &path);
}

#[test]
fn a_client_that_does_not_read_is_left() {
    let (running, path) = running(impatient());
    let mut stream = net::UnixStream::connect(&path).expect("it listens");
    stream.write_all(RULES_PLEASE).expect("it reads");
    assert!(is_well(&path));
    // Its time begins with the first octet.
    std::io::Read::read_exact(&mut stream, &mut [0]).expect("it responds");
    thread::sleep(2 * impatient().patience);
    let octets: usize = lines(stream).iter().map(String::len).sum();
    let whole = say(&path, RULES_PLEASE)[0].len();
    assert!(octets < whole && whole > RULES, "{octets} of {whole}");
    stop(running, &path);
}

#[test]
fn a_newcomer_takes_the_place_of_the_client_that_is_idle_the_longest() {
    let (running, path) = running(Limits {
        clients: 2,
        ..Limits::default()
    });
    let respond = |stream: &mut net::UnixStream| {
        stream.write_all(STATUS).expect("it reads");
        let mut octet = [0];
        while octet != *b"\n" {
            stream.read_exact(&mut octet).expect("it responds");
        }
    };
    let client = || {
        let mut stream = net::UnixStream::connect(&path).expect("it listens");
        respond(&mut stream);
        stream
    };
    let [mut first, second] = [(); 2].map(|()| client());
    respond(&mut first);
    let mut third = client();
    let said = lines(second);
    assert_eq!(
        errors_in(&said[0]),
        [
            "2 clients are connected, of which this one was idle the longest, and another one \
             came; connect again"
        ]
    );
    for stream in [&mut first, &mut third] {
        respond(stream);
    }
    stop(running, &path);
}

#[test]
fn a_client_that_does_not_read_loses_its_place_without_a_word_within_its_response() {
    let (running, path) = running(Limits {
        clients: 1,
        ..Limits::default()
    });
    let mut stream = net::UnixStream::connect(&path).expect("it listens");
    stream.write_all(RULES_PLEASE).expect("it reads");
    let mut octet = [0];
    stream.read_exact(&mut octet).expect("it responds");
    assert!(is_well(&path));
    let lines = lines(stream);
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains("idle the longest"));
    stop(running, &path);
}

#[test]
fn idle_clients_delay_nobody() {
    let (running, path) = running(Limits::default());
    let idle: Vec<_> = (0..200)
        .map(|_| net::UnixStream::connect(&path).expect("it listens"))
        .collect();
    assert!(is_well(&path));
    stop(running, &path);
    drop(idle);
}

#[test]
fn many_clients_are_served_at_once() {
    let (running, path) = running(Limits::default());
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let requests = STATUS.repeat(20);
                assert_eq!(say(&path, &requests).len(), 20);
            });
        }
    });
    stop(running, &path);
}

/// A load that is under way until something is written to the pipe that comes with it. The pipe
/// is open once it is.
fn slow_load(path: &Path, pipe: &Path) -> (net::UnixStream, fs::File) {
    nix::unistd::mkfifo(pipe, nix::sys::stat::Mode::S_IRWXU).expect("room for a pipe");
    let load = json!({"version": 1, "request": {"load": {
        "name": pipe.to_str().expect("text"),
        "path": SLOW,
        "text": "seed = 1",
    }}});
    let mut client = net::UnixStream::connect(path).expect("it listens");
    let line = format!("{load}\n");
    client.write_all(line.as_bytes()).expect("it reads");
    let pipe = fs::OpenOptions::new().write(true).open(pipe);
    (client, pipe.expect("somebody reads it"))
}

#[test]
fn who_asks_is_answered_while_a_scenario_is_read() {
    let (running, path) = running(Limits::default());
    let pipe = running.path("pipe");
    let (client, _pipe) = slow_load(&path, &pipe);
    assert!(is_well(&path));
    assert_eq!(say(&path, RULES_PLEASE).len(), 1);
    let report = b"{\"version\":1,\"request\":{\"report\":{\"format\":\"text\"}}}\n";
    assert_eq!(say(&path, report).len(), 1);
    assert_eq!(say(&path, STOP), [r#"{"version":1,"ok":"stopped"}"#]);
    // It would not end before the pipe does.
    assert_eq!(running.stopped().changes, Vec::<String>::new());
    assert_eq!(errors_in(&lines(client)[0]), ["the responder is ending"]);
}

#[test]
fn changes_come_into_force_in_their_order() {
    let (running, path) = running(Limits::default());
    let pipe = running.path("pipe");
    let (client, mut writer) = slow_load(&path, &pipe);
    let mut others = Vec::new();
    for name in ["second.toml", "third.toml"] {
        let load = json!({"version": 1, "request": {"load": {
            "name": name, "path": "/my.toml", "text": "seed = 1",
        }}});
        let mut client = net::UnixStream::connect(&path).expect("it listens");
        let line = format!("{load}\n");
        client.write_all(line.as_bytes()).expect("it reads");
        others.push(client);
        // Asked after it, by one who has to wait for nobody.
        assert!(is_well(&path));
    }
    writer.write_all(b"go on").expect("it is read");
    drop(writer);
    for client in [client].into_iter().chain(others) {
        client
            .shutdown(std::net::Shutdown::Write)
            .expect("it is open");
        let lines = lines(client);
        assert!(
            lines[0].starts_with(r#"{"version":1,"ok":{"changed""#),
            "{lines:?}"
        );
    }
    assert_eq!(say(&path, STOP), [r#"{"version":1,"ok":"stopped"}"#]);
    let changes = running.stopped().changes;
    assert_eq!(
        changes,
        [pipe.to_str().expect("text"), "second.toml", "third.toml"]
    );
}

#[test]
fn nobody_but_the_owner_may_connect() {
    let (running, path) = running(Limits::default());
    let mode = fs::metadata(&path).expect("it is there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    stop(running, &path);
}

#[test]
fn two_cannot_have_the_same_socket() {
    let (running, path) = running(Limits::default());
    let (shown, pid) = (path.display(), std::process::id());
    assert_eq!(
        refused(&path),
        format!(
            "process {pid} listens at {shown} already; stop it with \
             `broken-lns stop --control {shown}`, or choose another place with --control PATH"
        )
    );
    assert!(is_well(&path));
    stop(running, &path);
}

#[test]
fn a_directory_of_others_is_refused() {
    let scratch = Scratch::new("directory").expect("a directory");
    let directory = scratch.file("broken-lns");
    let listen = || {
        let path = directory.join("eth1.sock");
        let listening =
            within_runtime(|| Server::listen_in(&directory, &[path], Limits::default()).map(drop));
        listening.map_err(|error| error.to_string())
    };
    let set_mode = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode));
    assert_eq!(listen(), Ok(()));
    let shown = directory.display();
    for (mode, reason) in [
        (0o700, None),
        (0o755, None),
        (
            0o775,
            Some("others than its owner may write there (mode 0775)"),
        ),
        (
            0o1777,
            Some("others than its owner may write there (mode 1777)"),
        ),
    ] {
        set_mode(mode).expect("it is ours");
        let refused = reason.map(|reason| {
            format!(
                "the directory {shown} is not safe for a control socket, since {reason}: put that \
                 right with `chown root {shown} && chmod 755 {shown}`, or choose another place \
                 with --control PATH"
            )
        });
        assert_eq!(listen().err(), refused);
    }
    fs::remove_dir(&directory).expect("it is empty");
    std::os::unix::fs::symlink(scratch.file(""), &directory).expect("the name is free");
    let said = listen().expect_err("a link is none");
    assert!(said.contains(", since it is none: "), "{said}");
}

#[test]
fn a_stale_socket_is_replaced() {
    let scratch = Scratch::new("stale").expect("a directory");
    let path = scratch.file("eth1.sock");
    drop(net::UnixListener::bind(&path).expect("the path is free"));
    within_runtime(|| {
        let server = Server::listen(std::slice::from_ref(&path), Limits::default());
        let server = server.expect("nobody listens there");
        assert!(net::UnixStream::connect(&path).is_ok());
        drop(server);
        assert!(!path.exists());
    });
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let scratch = Scratch::new("file").expect("a directory");
    let path = scratch.file("eth1.sock");
    fs::write(&path, "precious").expect("it can be written");
    assert_eq!(
        refused(&path),
        format!(
            "{} is there already, and is not a socket; \
             remove it, or choose another place with --control PATH",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
}

#[test]
fn a_place_that_cannot_be_is_told_why() {
    let scratch = Scratch::new("nowhere").expect("a directory");
    let directory = scratch.file("missing");
    assert_eq!(
        refused(&directory.join("eth1.sock")),
        format!(
            "cannot use the directory {} for a control socket: \
             No such file or directory (os error 2); \
             choose another place with --control PATH, or none with --control none",
            directory.display()
        )
    );
    let long = scratch.file(&"x".repeat(200));
    assert_eq!(
        refused(&long),
        format!(
            "cannot make the control socket {}: File name too long (os error 36); \
             choose another place with --control PATH, or none with --control none",
            long.display()
        )
    );
}

#[test]
fn a_file_that_took_our_place_stays() {
    let scratch = Scratch::new("place").expect("a directory");
    let path = scratch.file("eth1.sock");
    within_runtime(|| {
        let server = Server::listen(std::slice::from_ref(&path), Limits::default());
        let server = server.expect("the path is free");
        fs::rename(&path, scratch.file("ours")).expect("it is there");
        fs::write(&path, "theirs").expect("it can be written");
        drop(server);
        assert!(path.exists());
    });
}

#[test]
fn the_first_of_several_sockets_is_removed_when_the_second_cannot_be() {
    let scratch = Scratch::new("several").expect("a directory");
    let paths = [scratch.file("eth1.sock"), scratch.file("eth2.sock")];
    fs::write(&paths[1], "").expect("it can be written");
    within_runtime(|| {
        assert!(Server::listen(&paths, Limits::default()).is_err());
    });
    assert!(!paths[0].exists());
}

#[test]
fn the_directory_is_made_when_it_is_not_there() {
    let scratch = Scratch::new("directory").expect("a directory");
    let directory = scratch.file("broken-lns");
    let path = directory.join("eth1.sock");
    within_runtime(|| {
        for _ in 0..2 {
            let paths = std::slice::from_ref(&path);
            let server = Server::listen_in(&directory, paths, Limits::default());
            assert!(server.is_ok() && path.exists());
        }
    });
}

/// Lines that are nearly requests, and others.
fn octets() -> impl Strategy<Value = Vec<u8>> {
    let request = Just(
        b"{\"version\":1,\"request\":{\"set\":{\"result_code\":2,\"lns\":\"192.0.2.1\"}}}\n"
            .to_vec(),
    );
    let damaged = (request, any::<(usize, u8)>()).prop_map(|(mut request, (at, octet))| {
        let at = at % request.len();
        request[at] = octet;
        request
    });
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..300),
        proptest::collection::vec(damaged, 1..4).prop_map(|requests| requests.concat()),
    ]
}

#[test]
fn any_octets_have_a_response_for_each_line() {
    let (running, path) = running(Limits::default());
    let mut runner = TestRunner::default();
    let result = runner.run(&octets(), |octets| {
        let newlines = octets.iter().filter(|octet| **octet == b'\n').count();
        let is_last_open = octets.last() != Some(&b'\n');
        let lines = say(&path, &octets);
        prop_assert_eq!(lines.len(), newlines + usize::from(is_last_open));
        for line in lines {
            prop_assert!(Response::from_line(line.as_bytes()).is_ok(), "{}", line);
        }
        Ok(())
    });
    result.expect("no octets disturb it");
    assert!(is_well(&path));
    stop(running, &path);
}
