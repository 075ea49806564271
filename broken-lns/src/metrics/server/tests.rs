use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::thread;
use std::time::Instant;

use tokio::runtime::Builder;

use super::*;
use crate::output::tests::one_interface;

const LIMITS: Limits = Limits {
    connections: 2,
    patience: Duration::from_millis(400),
};

/// Runs `client` beside a server that answers every scrape with this.
fn serve<T: Send + 'static>(
    answer: Result<(), &'static str>,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    serve_within(LIMITS, answer, client)
}

/// The same with other limits.
fn serve_within<T: Send + 'static>(
    limits: Limits,
    answer: Result<(), &'static str>,
    client: impl FnOnce(SocketAddr) -> T + Send + 'static,
) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let anywhere = (Ipv4Addr::LOCALHOST, 0).into();
        let mut server = Server::listen(anywhere, limits).expect("a port is free");
        let address = server.address().expect("it listens");
        let mut client = tokio::task::spawn_blocking(move || client(address));
        loop {
            tokio::select! {
                result = &mut client => return result.expect("the client does not panic"),
                scrape = server.next() => scrape.answer(answer.map(|()| Exposition {
                    started: std::time::UNIX_EPOCH,
                    snapshot: one_interface(),
                    rules: Vec::new(),
                    times: None,
                })),
            }
        }
    })
}

/// Sends octets and returns what comes back until the end.
fn say(address: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    // It may have enough before the end.
    let _ = stream.write_all(octets);
    read(stream)
}

/// Everything that comes until the end.
fn read(mut stream: TcpStream) -> String {
    let limit = Some(Duration::from_secs(10));
    stream.set_read_timeout(limit).expect("not zero");
    let mut response = Vec::new();
    // Where the other end leaves something unread, the end is an error.
    let _ = stream.read_to_end(&mut response);
    String::from_utf8(response).expect("responses are text")
}

fn get(address: SocketAddr, path: &str) -> String {
    say(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: lns\r\n\r\n").as_bytes(),
    )
}

#[test]
fn metrics_are_text_of_their_type() {
    let response = serve(Ok(()), |address| get(address, "/metrics"));
    let (head, body) = response.split_once("\r\n\r\n").expect(&response);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    for field in [
        "content-type: text/plain; version=0.0.4; charset=utf-8",
        "cache-control: no-store",
        "connection: close",
        &format!("content-length: {}", body.len()),
    ] {
        assert!(head.lines().any(|line| line == field), "{field} in {head}");
    }
    assert!(
        body.contains("broken_lns_frames_total{interface=\"eth1\",verdict=\"answered\"} 12345\n"),
        "{body}"
    );
}

#[test]
fn each_path_has_its_methods() {
    let responses = serve(Ok(()), |address| {
        let ask = |request: &str| {
            let request = format!("{request} HTTP/1.1\r\nHost: lns\r\nContent-Length: 0\r\n\r\n");
            say(address, request.as_bytes())
        };
        [
            "GET /healthz",
            "HEAD /metrics",
            "GET /metrics?a=b",
            "POST /metrics",
            "GET /",
            "PUT /other",
        ]
        .map(ask)
    });
    let [health, head, query, post, root, put] = &responses;
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
    assert!(health.ends_with("\r\n\r\nok\n"), "{health}");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert!(query.starts_with("HTTP/1.1 200 OK\r\n"), "{query}");
    assert!(
        post.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"),
        "{post}"
    );
    assert!(post.contains("\r\nallow: GET, HEAD\r\n"), "{post}");
    for response in [root, put] {
        assert!(
            response.starts_with("HTTP/1.1 404 Not Found\r\n"),
            "{response}"
        );
    }
}

#[test]
fn a_reason_is_told_instead_of_metrics() {
    let response = serve(Err("the interface is gone"), |address| {
        get(address, "/metrics")
    });
    assert!(response.starts_with("HTTP/1.1 500 "), "{response}");
    assert!(
        response.ends_with("\r\n\r\nthe interface is gone\n"),
        "{response}"
    );
}

#[test]
fn ill_health_says_what_is_wrong() {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime without threads");
    let _guard = runtime.enter();
    let server = Server::listen((Ipv4Addr::LOCALHOST, 0).into(), LIMITS).expect("a free port");
    let address = server.address().expect("it listens");
    let ask = || {
        let asked = thread::spawn(move || get(address, "/healthz"));
        runtime.block_on(async {
            while !asked.is_finished() {
                tokio::task::yield_now().await;
            }
        });
        asked.join().expect("it does not panic")
    };
    for (troubles, status, body) in [
        (&[][..], "200 OK", "ok\n"),
        (
            &["eth1: it is down", "eth2: it is gone"],
            "503 Service Unavailable",
            "eth1: it is down\neth2: it is gone\n",
        ),
        (&[], "200 OK", "ok\n"),
    ] {
        let troubles: Vec<_> = troubles.iter().map(|&text| text.to_owned()).collect();
        server.set_troubles(&troubles);
        let response = ask();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n")),
            "{response}"
        );
        assert!(response.ends_with(&format!("\r\n\r\n{body}")), "{response}");
    }
}

#[test]
fn what_is_no_http_is_refused() {
    let responses = serve(Ok(()), |address| {
        let endless = [b"GET /".to_vec(), vec![b'a'; 1 << 20]].concat();
        let fields: String = (0..1000).map(|n| format!("a{n}: b\r\n")).collect();
        let fields = format!("GET /metrics HTTP/1.1\r\n{fields}\r\n");
        [
            say(
                address,
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            ),
            say(address, &endless),
            say(address, fields.as_bytes()),
            get(address, "/healthz"),
        ]
    });
    let [tls, endless, fields, after] = &responses;
    assert!(tls.starts_with("HTTP/1.1 400 "), "{tls}");
    // What is left unread at the end may take the response away with it.
    assert!(
        endless.is_empty() || endless.starts_with("HTTP/1.1 4"),
        "{endless}"
    );
    assert!(
        fields.is_empty() || fields.starts_with("HTTP/1.1 431 "),
        "{fields}"
    );
    assert!(after.starts_with("HTTP/1.1 200 OK\r\n"), "{after}");
}

#[test]
fn a_silent_client_is_left_after_a_limited_time() {
    let (idle, waited) = serve(Ok(()), |address| {
        let start = Instant::now();
        let idle = [(); 2].map(|()| TcpStream::connect(address).expect("it listens"));
        (idle.map(read), start.elapsed())
    });
    assert!(waited >= LIMITS.patience, "{waited:?}");
    assert_eq!(idle, ["", ""]);
}

#[test]
fn neither_idle_nor_stuck_clients_delay_another_one() {
    // Longer than the test takes, however busy the machine is.
    let limits = Limits {
        connections: 2,
        patience: Duration::from_secs(3600),
    };
    let responses = serve_within(limits, Ok(()), |address| {
        let idle: Vec<_> = (0..50)
            .map(|_| TcpStream::connect(address).expect("it listens"))
            .collect();
        // These have asked, and read nothing.
        let stuck: Vec<_> = (0..50)
            .map(|_| {
                let mut stream = TcpStream::connect(address).expect("it listens");
                let request = b"GET /metrics HTTP/1.1\r\nHost: lns\r\n\r\n";
                stream.write_all(request).expect("it reads");
                stream
            })
            .collect();
        let responses = ["/healthz", "/metrics"].map(|path| get(address, path));
        drop((idle, stuck));
        responses
    });
    for response in responses {
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
    }
}

#[test]
fn a_request_may_end_before_its_response() {
    let response = serve(Ok(()), |address| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        let written = stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n");
        written.expect("it reads");
        stream.shutdown(Shutdown::Write).expect("it is connected");
        read(stream)
    });
    assert!(response.starts_with("HTTP/1.0 200 OK\r\n"), "{response}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    let runtime = Builder::new_current_thread().enable_all().build();
    let error = runtime
        .expect("a runtime")
        .block_on(async { Server::listen(address, LIMITS).expect_err("the port is taken") });
    let error = error.to_string();
    let start = format!("cannot serve metrics at {address}: Address already in use");
    assert!(error.starts_with(&start), "{error}");
    assert!(
        error.ends_with("; choose another place with --metrics ADDR:PORT"),
        "{error}"
    );
}
