use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::thread;

use xtask::lab::Scratch;

use super::super::Limits;
use super::super::fake::Running;
use super::super::protocol::Reply;
use super::*;

const TWO: [&str; 2] = ["eth1.sock", "eth2.sock"];

fn stop(running: Running) {
    let path = running.path(TWO[0]);
    let client = Client::connect(&path).expect("it listens");
    let (response, line) = client.ask(&Request::Stop).expect("it answers");
    assert_eq!(response.outcome(), Ok(Reply::Stopped));
    assert_eq!(line, "{\"version\":1,\"ok\":\"stopped\"}\n");
    assert!(!path.exists(), "the place is free once the client knows");
    running.stopped();
}

fn error_of(whom: &Whom, directory: &Path) -> String {
    let found = Client::find(whom, directory);
    found.expect_err("nobody is there").to_string()
}

/// What a client says of a responder that does this with the request.
fn said_of(respond: impl FnOnce(UnixStream) + Send + 'static) -> (String, String) {
    let scratch = Scratch::new("client").expect("a directory");
    let path = scratch.file("eth1.sock");
    let listener = UnixListener::bind(&path).expect("the path is free");
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client comes");
        respond(stream);
    });
    let mut client = Client::connect(&path).expect("it listens");
    client.patience = Duration::from_millis(100);
    let error = client.ask(&Request::Status).expect_err("no response");
    thread.join().expect("it does not panic");
    (error.to_string(), path.display().to_string())
}

#[test]
fn a_responder_is_found_by_interface_by_socket_and_as_the_only_one() {
    let running = Running::start(&TWO, Limits::default());
    let directory = running.directory();
    // What a killed responder left is not in the way.
    drop(UnixListener::bind(directory.join("eth0.sock")).expect("the path is free"));
    for whom in [
        Whom::Only,
        Whom::Interface("eth1".to_owned()),
        Whom::Interface("eth2".to_owned()),
        Whom::Socket(running.path("eth2.sock")),
    ] {
        let client = Client::find(&whom, &directory).expect("it listens");
        let (response, _) = client.ask(&Request::Status).expect("it answers");
        let reply = response.outcome().expect("it does not refuse");
        assert!(matches!(reply, Reply::Status(_)), "{whom:?}");
    }
    stop(running);
}

#[test]
fn a_responder_that_refuses_says_why() {
    let running = Running::start(&TWO, Limits::default());
    let client = Client::connect(&running.path("eth1.sock")).expect("it listens");
    let (response, line) = client.ask(&Request::Reload).expect("it answers");
    let refused = response.outcome().expect_err("it refuses");
    assert_eq!(refused.to_string(), "there is no file");
    assert_eq!(line, "{\"version\":1,\"error\":[\"there is no file\"]}\n");
    stop(running);
}

#[test]
fn a_request_that_is_too_long_has_a_response_too() {
    let limits = Limits {
        request_len: 100,
        ..Limits::default()
    };
    let running = Running::start(&TWO, limits);
    let client = Client::connect(&running.path("eth1.sock")).expect("it listens");
    let scenario = super::super::protocol::Load {
        name: "long.toml".to_owned(),
        path: "/long.toml".into(),
        text: "#".repeat(10 << 20),
    };
    let (response, _) = client.ask(&Request::Load(scenario)).expect("it answers");
    assert_eq!(
        response.outcome().expect_err("it refuses").to_string(),
        "a request has 100 octets at most; this one is longer, and was read no further"
    );
    stop(running);
}

#[test]
fn nobody_to_talk_to_is_an_error_with_a_way_out() {
    let scratch = Scratch::new("nobody").expect("a directory");
    let directory = scratch.file("");
    let shown = directory.display();
    let nobody = format!(
        "no responder has a control socket in {shown}; \
         start one with `broken-lns run`, or say with --control PATH where its socket is"
    );
    assert_eq!(error_of(&Whom::Only, &directory), nobody);
    let stale = scratch.file("eth1.sock");
    drop(UnixListener::bind(&stale).expect("the path is free"));
    assert_eq!(error_of(&Whom::Only, &directory), nobody);
    assert_eq!(
        error_of(&Whom::Interface("eth1".to_owned()), &directory),
        format!(
            "nobody listens at {shown}eth1.sock any more, since the responder was killed; \
             start it again with `broken-lns run`"
        )
    );
    assert_eq!(
        error_of(&Whom::Interface("eth7".to_owned()), &directory),
        format!(
            "there is no control socket {shown}eth7.sock; is `broken-lns run` running, \
             and was it started with this --interface or --control?"
        )
    );
}

#[test]
fn a_client_without_permission_is_told_the_way_out() {
    let cause = io::Error::from(io::ErrorKind::PermissionDenied);
    assert_eq!(
        not_connected("/run/broken-lns/eth1.sock".into(), cause).to_string(),
        "may not connect to /run/broken-lns/eth1.sock, which is for the user alone who started \
         the responder; be that user, or root: sudo broken-lns …"
    );
}

#[test]
fn a_stranger_is_not_believed() {
    let path = Path::new("/run/broken-lns/eth1.sock");
    let ours = nix::unistd::geteuid().as_raw();
    for trusted in [0, ours] {
        assert!(check_user(path, trusted).is_ok());
    }
    let stranger = ours + 4711;
    let error = check_user(path, stranger).expect_err("somebody else");
    assert_eq!(
        error.to_string(),
        format!(
            "user {stranger} listens at /run/broken-lns/eth1.sock, who is neither root nor you, \
             and might say anything; if you trust that user, be that user: sudo -u '#{stranger}' \
             broken-lns …"
        )
    );
}

#[test]
fn no_response_moves_the_cursor() {
    let scratch = Scratch::new("client").expect("a directory");
    let path = scratch.file("eth1.sock");
    let listener = UnixListener::bind(&path).expect("the path is free");
    for (line, said) in [
        (
            "{\"version\":1,\"error\":[\"a\\u001b[2Jb\\rc\\nd\u{9b}\"]}\n",
            "a\u{fffd}[2Jb\u{fffd}c\nd\u{fffd}",
        ),
        (
            "{\"version\":1,\"ok\":\"\\u001b[2J\"}\n",
            "not understood: unknown variant `\u{fffd}[2J`",
        ),
    ] {
        let client = Client::connect(&path).expect("it listens");
        let (mut stream, _) = listener.accept().expect("a client comes");
        stream.write_all(line.as_bytes()).expect("it reads");
        let told = match client.ask(&Request::Status) {
            Ok((response, shown)) => {
                assert!(!shown.trim_end().contains(char::is_control), "{shown:?}");
                response.outcome().expect_err("it refuses").to_string()
            }
            Err(error) => error.to_string(),
        };
        assert!(told.contains(said), "{told:?}");
    }
}

#[test]
fn of_several_responders_one_has_to_be_chosen() {
    for (found, error) in [
        (&[][..], None),
        (&[("eth1", Some(1))], None),
        (&[("eth1", None)], None),
        (&[("eth1", Some(1)), ("eth2", Some(1))], None),
        (
            &[("eth1", Some(1)), ("eth2", Some(1)), ("eth3", Some(2))],
            Some("there are responders on eth1, eth3; choose one with --interface NAME"),
        ),
        (
            &[("eth1", None), ("eth2", None)],
            Some("there are responders on eth1, eth2; choose one with --interface NAME"),
        ),
        (
            &[("eth1", Some(1)), ("eth2", None)],
            Some("there are responders on eth1, eth2; choose one with --interface NAME"),
        ),
    ] {
        let said = check_only(found).err().map(|error| error.to_string());
        assert_eq!(said.as_deref(), error, "{found:?}");
    }
}

#[test]
fn a_responder_that_ends_or_hangs_is_told_from_one_that_answers() {
    let (said, path) = said_of(drop);
    assert_eq!(
        said,
        format!("the responder at {path} ended before it answered")
    );
    let (said, path) = said_of(|mut stream| {
        let mut request = Vec::new();
        stream.read_to_end(&mut request).expect("the client leaves");
    });
    assert_eq!(
        said,
        format!(
            "the responder at {path} did not answer within 100ms; \
             it may be suspended, or the machine busy"
        )
    );
    let (said, path) = said_of(|mut stream| {
        stream.write_all(b"{\"version\":2}\n").expect("it reads");
    });
    assert_eq!(
        said,
        format!(
            "the response of {path} is version 2 of the protocol, but version 1 is spoken here; \
             use the broken-lns that the responder was started with"
        )
    );
}
