//! A responder that answers nobody, for the tests of both sides.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use xtask::lab::Scratch;

use super::protocol::tests::{in_force, rule, status};
use super::protocol::{
    Changed, Document, Load, Reactions, Refused, RuleLine, SetTreatment, Status,
};
use super::{Change, Controlled, Limits, Requests, Server, Work};
use crate::refusal::Refusal;
use crate::report::Format;
use crate::scenario::{Scenario, Treatment};

/// How many rules there are: more than a socket takes without being read.
pub(super) const RULES: usize = 20_000;

/// The path of a scenario whose load does not end before somebody wrote to the pipe that it has
/// as a name.
pub(super) const SLOW: &str = "/slow.toml";

/// The responder, and what it was told.
#[derive(Debug, Default)]
pub(super) struct Fake {
    /// How often it was told to begin at zero.
    pub(super) resets: u32,
    /// The names of the scenarios that came into force.
    pub(super) changes: Vec<String>,
}

impl Controlled for Fake {
    type Prepared = Changed;

    fn status(&mut self) -> Result<Status, Refused> {
        Ok(status())
    }

    fn rules(&mut self) -> Result<Work<Vec<RuleLine>>, Refused> {
        Ok(Box::new(|| Ok(vec![rule(None, &[], &[], 7); RULES])))
    }

    fn prepare(&mut self, change: Change) -> Work<Changed> {
        Box::new(move || match change {
            Change::Set(change) => {
                let refusal = change.applied_to(&Refusal::default())?;
                Ok(Changed {
                    scenario: in_force(),
                    set: Some(SetTreatment {
                        lns: change.lns,
                        treatment: Treatment::from(refusal).to_string(),
                    }),
                    remarks: Vec::new(),
                })
            }
            Change::Load(Load { name, text, path }) => {
                if path == Path::new(SLOW) {
                    // Until the test has seen what it wants to see meanwhile.
                    let _ = fs::read(&name);
                }
                let scenario = Scenario::parse(&name, &text, &Refusal::default())?;
                let mut in_force = in_force();
                in_force.name = name;
                in_force.summary = scenario.summary();
                Ok(Changed {
                    scenario: in_force,
                    set: None,
                    remarks: Vec::new(),
                })
            }
            Change::Reload => Err(Refused::because("there is no file")),
        })
    }

    fn put_in_force(&mut self, changed: Changed) -> Result<Changed, Refused> {
        self.changes.push(changed.scenario.name.clone());
        Ok(changed)
    }

    fn report(&mut self, format: Format) -> Result<Work<Document>, Refused> {
        Ok(Box::new(move || {
            // More than a socket takes without being read.
            let text = "a line\n".repeat(1 << 20);
            Ok(Document { format, text })
        }))
    }

    fn reactions(&mut self) -> Work<Option<Reactions>> {
        Box::new(|| Ok(None))
    }

    fn reset(&mut self) -> Result<(), Refused> {
        self.resets += 1;
        Ok(())
    }
}

/// A fake that listens, until it is told to stop.
pub(super) struct Running {
    scratch: Scratch,
    thread: Option<JoinHandle<Fake>>,
}

impl Running {
    /// Starts one that listens at sockets of these names.
    pub(super) fn start(names: &[&str], limits: Limits) -> Self {
        let scratch = Scratch::new("control").expect("a directory");
        let paths: Vec<_> = names.iter().map(|name| scratch.file(name)).collect();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime");
            let fake = runtime.block_on(async {
                let mut server = Server::listen(&paths, limits).expect("the paths are free");
                ready.send(()).expect("the test waits for it");
                let mut fake = Fake::default();
                let mut requests = Requests::default();
                loop {
                    tokio::select! {
                        order = server.next() => {
                            if let ControlFlow::Break(stop) = requests.begin(order, &mut fake) {
                                server.close();
                                drop(requests);
                                stop.done(Ok(())).await;
                                return fake;
                            }
                        }
                        ready = requests.next() => {
                            requests.finish(ready, &mut fake);
                        }
                    }
                }
            });
            // Whatever takes long is not waited for.
            runtime.shutdown_background();
            fake
        });
        is_ready.recv().expect("it listens");
        Self {
            scratch,
            thread: Some(thread),
        }
    }

    /// The directory of its sockets.
    pub(super) fn directory(&self) -> PathBuf {
        self.scratch.file("")
    }

    /// The path of a socket.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.file(name)
    }

    /// What is left of it after it was told to stop.
    pub(super) fn stopped(mut self) -> Fake {
        let thread = self.thread.take().expect("it runs until now");
        thread.join().expect("it does not panic")
    }
}

/// Sends octets and nothing after them, and returns what comes back, line by line.
pub(super) fn say(path: &Path, octets: &[u8]) -> Vec<String> {
    let mut stream = UnixStream::connect(path).expect("it listens");
    // It may have read enough before the end.
    let _ = stream.write_all(octets);
    let _ = stream.shutdown(Shutdown::Write);
    lines(stream)
}

/// All that comes.
pub(super) fn lines(mut stream: UnixStream) -> Vec<String> {
    let mut text = Vec::new();
    // Where the other end leaves something unread, the end is an error.
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).expect("responses are text");
    text.lines().map(str::to_owned).collect()
}
