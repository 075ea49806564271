//! The control socket, from either end. Any octets of a client get a response for each line, and
//! the next client is served as well. Any octets of a server are a reply that can be shown, or an
//! error.
//!
//! An input is an octet that says which end it is, and what that end sends.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use broken_lns::control::client::Client;
use broken_lns::control::protocol::{
    Changed, Document, InForce, Load, Reactions, Refused, Reply, Request, Response, RuleLine, Set,
    SetTreatment, Status, VERSION,
};
use broken_lns::control::{Controlled, Limits, Server};
use broken_lns::output::{Palette, reply};
use broken_lns::refusal::Refusal;
use broken_lns::report::Format;
use broken_lns::scenario::{Scenario, Treatment};
use broken_lns::snapshot::Snapshot;
use tokio::runtime::Builder;
use xtask::lab::Scratch;

use crate::Target;

/// Both ends of the control socket.
pub const TARGET: Target = Target {
    name: "control",
    seeds,
    words,
    run,
};

/// A responder that answers nobody. It knows nothing of the requests before, so that every input
/// means the same at any time.
struct Fake;

fn in_force(name: &str, scenario: &Scenario) -> InForce {
    InForce {
        name: name.to_owned(),
        changed: false,
        summary: scenario.summary(),
    }
}

fn first() -> Scenario {
    Scenario::from(Refusal::default())
}

impl Controlled for Fake {
    fn status(&mut self) -> Result<Status, Refused> {
        Ok(Status {
            broken_lns: "0".to_owned(),
            pid: 1,
            uptime_ms: 1,
            interfaces: Vec::new(),
            scenario: in_force("flags", &first()),
            counters: Snapshot::default(),
        })
    }

    fn rules(&mut self) -> Result<Vec<RuleLine>, Refused> {
        Ok(RuleLine::all(&first(), [7]))
    }

    fn set(&mut self, change: &Set) -> Result<Changed, Refused> {
        let refusal = change.applied_to(&Refusal::default())?;
        Ok(Changed {
            scenario: in_force("flags", &first()),
            set: Some(SetTreatment {
                lns: change.lns,
                treatment: Treatment::from(refusal).to_string(),
            }),
            remarks: Vec::new(),
        })
    }

    fn load(&mut self, load: &Load) -> Result<Changed, Refused> {
        let scenario = Scenario::parse(&load.name, &load.text, &Refusal::default())?;
        Ok(Changed {
            scenario: in_force(&load.name, &scenario),
            set: None,
            remarks: Vec::new(),
        })
    }

    fn reload(&mut self) -> Result<Changed, Refused> {
        Err(Refused::because("there is no file"))
    }

    fn report(&mut self, format: Format) -> Result<Document, Refused> {
        let text = "a report\n".to_owned();
        Ok(Document { format, text })
    }

    fn reactions(&mut self) -> Result<Option<Reactions>, Refused> {
        Ok(None)
    }

    fn reset(&mut self) -> Result<(), Refused> {
        Ok(())
    }
}

/// Where the server listens, and what listens in place of one.
struct Ends {
    server: PathBuf,
    client: PathBuf,
    listener: UnixListener,
    /// It is removed with its files.
    _folder: Scratch,
}

static ENDS: LazyLock<Mutex<Ends>> = LazyLock::new(|| {
    let ends = ends().expect("sockets in a folder of our own");
    Mutex::new(ends)
});

fn ends() -> Result<Ends> {
    let folder = Scratch::new("fuzz-control")?;
    let (server, client) = (folder.file("server.sock"), folder.file("client.sock"));
    let listener = UnixListener::bind(&client)?;
    let (ready, is_ready) = mpsc::channel();
    let path = server.clone();
    thread::spawn(move || serve(path, &ready));
    is_ready.recv().context("the server does not listen")?;
    Ok(Ends {
        server,
        client,
        listener,
        _folder: folder,
    })
}

/// Listens until the process ends, whoever tells it to stop.
fn serve(path: PathBuf, ready: &mpsc::Sender<()>) {
    let limits = Limits {
        // The input is far shorter than what may be sent, and a limit is to be met.
        request_len: 1 << 11,
        // A busy machine is no reason to fail.
        patience: Duration::from_secs(600),
        ..Limits::default()
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let mut server = Server::listen(&[path], limits).expect("the path is free");
        ready.send(()).expect("it is waited for");
        loop {
            let order = server.next().await;
            if let ControlFlow::Break(stop) = order.carry_out(&mut Fake) {
                stop.done(Ok(())).await;
            }
        }
    });
}

fn run(data: &[u8]) -> Result<()> {
    let Some((end, sent)) = data.split_first() else {
        return Ok(());
    };
    let ends = ENDS.lock().unwrap_or_else(PoisonError::into_inner);
    match end % 2 {
        0 => to_server(&ends, sent),
        _ => to_client(&ends, sent),
    }
}

/// Sends octets to the server and nothing after them, and returns what comes back.
fn say(ends: &Ends, sent: &[u8]) -> Result<Vec<u8>> {
    let mut stream = UnixStream::connect(&ends.server)?;
    // It may have read enough before the end.
    let _ = stream.write_all(sent);
    let _ = stream.shutdown(Shutdown::Write);
    let mut responses = Vec::new();
    // Where it leaves something unread, the end is an error.
    let _ = stream.read_to_end(&mut responses);
    Ok(responses)
}

/// Sends octets to the server, and then asks what any client may.
fn to_server(ends: &Ends, sent: &[u8]) -> Result<()> {
    let text = String::from_utf8(say(ends, sent)?).context("a response is no text")?;
    let responses: Vec<&str> = text.split_terminator('\n').collect();
    ensure!(text.is_empty() || text.ends_with('\n'), "half a response");
    let requests = sent.split(|octet| *octet == b'\n').count();
    let requests = requests - usize::from(sent.is_empty() || sent.ends_with(b"\n"));
    ensure!(
        responses.len() <= requests && responses.is_empty() == (requests == 0),
        "{} responses to {requests} requests",
        responses.len()
    );
    for response in responses {
        Response::from_line(response.as_bytes()).with_context(|| format!("in {response:?}"))?;
    }
    let (response, _) = Client::connect(&ends.server)?.ask(&Request::Status)?;
    let outcome = response.outcome();
    ensure!(
        matches!(&outcome, Ok(Reply::Status(_))),
        "the next client is told {outcome:?}"
    );
    Ok(())
}

/// Answers a client with octets.
fn to_client(ends: &Ends, sent: &[u8]) -> Result<()> {
    let client = Client::connect(&ends.client)?;
    let (mut stream, _) = ends.listener.accept()?;
    stream.write_all(sent)?;
    stream.shutdown(Shutdown::Write)?;
    let Ok((response, _)) = client.ask(&Request::Status) else {
        return Ok(());
    };
    let line = response.to_line().context("it cannot be written")?;
    let again = Response::from_line(line.as_bytes()).context("it cannot be read again")?;
    ensure!(again == response, "it is another one when read again");
    match response.outcome() {
        Ok(outcome) => drop(reply(&outcome, &Palette::default())),
        Err(refused) => drop(refused.to_string()),
    }
    Ok(())
}

/// A request of each kind, and what is said in return.
fn seeds() -> Result<Vec<Vec<u8>>> {
    let load = |text: &str| {
        Request::Load(Load {
            name: "a.toml".to_owned(),
            path: "/a.toml".into(),
            text: text.to_owned(),
        })
    };
    let requests = [
        Request::Status,
        Request::Rules,
        Request::Set(Set::default()),
        Request::Set(serde_json::from_str(
            r#"{"result_code":"general-error","error_code":6,"error_message":"no","lns":"192.0.2.1"}"#,
        )?),
        load("[default]\nfault = \"silent\"\n"),
        load("[[lns]]\naddress = 1\n"),
        Request::Reload,
        Request::Report(serde_json::from_str(r#"{"format":"md"}"#)?),
        Request::Reactions,
        Request::Reset,
        Request::Stop,
    ];
    let ends = ENDS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seeds = Vec::new();
    let mut all = vec![0];
    for request in requests {
        let line = request.to_line()?;
        seeds.push([&[0], line.as_bytes()].concat());
        seeds.push([&[1], say(&ends, line.as_bytes())?.as_slice()].concat());
        all.extend(line.as_bytes());
    }
    seeds.push(all);
    seeds.push([&[0], [b'a'; 1 << 12].as_slice()].concat());
    let reactions = r#"{"reactions":{"last":[{"lac":"198.51.100.2","lns":"192.0.2.1","reaction":"retry-same","next":"192.0.2.1"}],"lacs":[]}}"#;
    for reply in [
        reactions,
        r#"{"reactions":null}"#,
        r#""reset""#,
        r#""stopped""#,
    ] {
        let line = format!("\x01{{\"version\":{VERSION},\"ok\":{reply}}}\n");
        seeds.push(line.into_bytes());
    }
    Ok(seeds)
}

/// The words of the protocol.
fn words() -> Vec<Vec<u8>> {
    const WORDS: [&str; 20] = [
        "{\"version\":1,\"request\":",
        "{\"version\":1,\"ok\":",
        "{\"version\":1,\"error\":[",
        "\"status\"",
        "\"rules\"",
        "{\"set\":{",
        "{\"load\":{\"name\":\"a\",\"path\":\"a\",\"text\":\"",
        "\"reload\"",
        "{\"report\":{\"format\":\"html\"}}",
        "\"reactions\"",
        "\"reset\"",
        "\"stop\"",
        "\"result_code\":",
        "\"error_code\":\"none\"",
        "\"error_message\":\"",
        "\"lns\":\"192.0.2.0/24\"",
        "}}\n",
        "\\ud800",
        "\\u001b[2J",
        "1e400",
    ];
    WORDS.map(|word| word.as_bytes().to_vec()).to_vec()
}
