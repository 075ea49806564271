//! Ends the run when a signal says so, whatever the run is busy with.
//!
//! Signals are heard on a thread of the runtime, and not on that of the run. The first one asks
//! for an orderly end, which has [`LIMIT`]; a second one, or the end of that time, ends the process
//! where it stands. The kernel detaches everything then. As long as nothing is attached and nothing
//! was counted, the first one ends the process already.

use std::future::pending;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::exit;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{self, SigHandler};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::output::Queued;

/// How long an orderly end may take.
const LIMIT: Duration = Duration::from_secs(60);

/// After that long an end says what it is about.
const SILENCE: Duration = Duration::from_secs(3);

/// Signals within that time are one: `timeout` and others send theirs to the process and to its
/// group.
const AT_ONCE: Duration = Duration::from_millis(250);

/// How long the last words may wait for a reader.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What signals ask for.
#[derive(Debug)]
pub(super) struct Signals(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// What an end would have to do; `None` where there is nothing to lose.
    to_do: Mutex<Option<Vec<String>>>,
    end: Notify,
    reload: Notify,
    /// The end has begun, with a signal or without one.
    began: Notify,
    stderr: Queued,
}

/// What a signal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    End(signal::Signal),
    Reload,
}

/// The signals that are heard.
struct Heard {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// Whether standard error was a terminal, which can be closed.
    on_terminal: bool,
}

impl Signals {
    /// Hears them from now on; this has to be within a tokio runtime with a thread of its own.
    ///
    /// # Errors
    ///
    /// Where the system has no handler for them.
    pub(super) fn hear(stderr: Queued) -> io::Result<Self> {
        let heard = Heard {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            on_terminal: io::stderr().is_terminal(),
        };
        let shared = Arc::new(Shared {
            to_do: Mutex::default(),
            end: Notify::new(),
            reload: Notify::new(),
            began: Notify::new(),
            stderr,
        });
        tokio::spawn(watch(heard, Arc::clone(&shared)));
        Ok(Self(shared))
    }

    /// From now on an end has all this to do, and a signal asks for it.
    pub(super) fn begin(&self, to_do: Vec<String>) {
        *self.0.to_do() = Some(to_do);
    }

    /// Nothing is there any more that a signal could take away.
    pub(super) fn nothing_to_lose(&self) {
        *self.0.to_do() = None;
    }

    /// Whether there is, or was until now.
    pub(super) fn has_begun(&self) -> bool {
        self.0.to_do().is_some()
    }

    /// The end has begun.
    pub(super) fn ending(&self) {
        self.0.began.notify_one();
    }

    /// One thing less is to be done.
    pub(super) fn done(&self, what: &str) {
        if let Some(to_do) = &mut *self.0.to_do() {
            to_do.retain(|other| other != what);
        }
    }

    /// Waits until a signal asks for the end.
    pub(super) async fn end(&self) {
        self.0.end.notified().await;
    }

    /// Waits until a signal asks for the scenario to be read once more.
    pub(super) async fn reload(&self) {
        self.0.reload.notified().await;
    }
}

/// The last counters, among what an end has to do.
pub(super) const COUNTERS: &str = "the last counters";

/// The same of a capture.
pub(super) const CAPTURE: &str = "the capture";

/// The same of a report.
pub(super) fn report(file: &Path) -> String {
    format!("the report \"{}\"", file.display())
}

impl Heard {
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::End(signal::Signal::SIGINT),
            _ = self.terminate.recv() => Asked::End(signal::Signal::SIGTERM),
            // A terminal that was closed sends the same signal, and means an end.
            _ = self.hangup.recv() => match self.on_terminal && !io::stderr().is_terminal() {
                true => Asked::End(signal::Signal::SIGHUP),
                false => Asked::Reload,
            },
        }
    }
}

/// Hears signals for ever.
async fn watch(mut heard: Heard, shared: Arc<Shared>) {
    let mut first: Option<Instant> = None;
    let mut began: Option<Instant> = None;
    let mut is_silent = true;
    loop {
        let next = began.map(|began| began + if is_silent { SILENCE } else { LIMIT });
        tokio::select! {
            asked = heard.next() => match (asked, first) {
                (Asked::Reload, _) => shared.reload.notify_one(),
                (Asked::End(signal), _) if shared.to_do().is_none() => die_of(signal),
                (Asked::End(_), None) => {
                    let now = Instant::now();
                    first = Some(now);
                    began.get_or_insert(now);
                    shared.end.notify_one();
                }
                (Asked::End(_), Some(first)) if first.elapsed() < AT_ONCE => {}
                (Asked::End(_), Some(_)) => shared.exit("a second signal ends it at once"),
            },
            () = shared.began.notified() => {
                began.get_or_insert(Instant::now());
            }
            () = until(next) => match is_silent {
                true => {
                    is_silent = false;
                    shared.say_what_is_to_do(first.is_some());
                }
                false => shared.exit(&format!(
                    "its end takes longer than {}",
                    humantime::format_duration(LIMIT)
                )),
            },
        }
    }
}

/// Waits for that instant, or for ever.
async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

impl Shared {
    fn to_do(&self) -> std::sync::MutexGuard<'_, Option<Vec<String>>> {
        // Nothing panics with half of a change made.
        self.to_do.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever waits for the end what it waits for.
    fn say_what_is_to_do(&self, by_signal: bool) {
        let to_do = self.to_do().clone().unwrap_or_default();
        if to_do.is_empty() {
            return;
        }
        let how = match by_signal {
            true => "another signal ends",
            false => "two signals end",
        };
        let line = format!("ending: {} to come; {how} it at once", to_do.join(", "));
        self.stderr.say(&line);
    }

    /// Ends the process where it stands.
    fn exit(&self, why: &str) -> ! {
        let to_do = self.to_do().clone().unwrap_or_default();
        let lost = match to_do.is_empty() {
            true => String::new(),
            false => format!("; not written: {}", to_do.join(", ")),
        };
        self.stderr.say(&format!("broken-lns: {why}{lost}"));
        let _ = self.stderr.drain(LAST_WORDS);
        exit(1)
    }
}

/// Ends the process as the signal does that nobody handles.
fn die_of(which: signal::Signal) -> ! {
    // SAFETY: the default action runs no code of this process.
    let _ = unsafe { signal::signal(which, SigHandler::SigDfl) };
    let _ = signal::raise(which);
    // It is not blocked anywhere, so this is never reached; 128 and its number are what a shell
    // makes of it.
    exit(128 + which as i32)
}
