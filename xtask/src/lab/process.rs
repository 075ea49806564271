//! Programs that run in the lab while it does.

use std::{
    io::{BufRead as _, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{interrupt, wait};

/// How long a program has to end by itself when it is dropped.
const GRACE: Duration = Duration::from_secs(2);

/// A running program, ended and waited for when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: Arc<Output>,
}

/// One line that a program printed.
#[derive(Clone, Debug)]
pub struct Line {
    /// When we read it.
    pub at: SystemTime,
    /// Where it was printed to.
    pub stream: Stream,
    /// The line without its end.
    pub text: String,
}

/// Where a line was printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What was printed so far, filled by a thread for each stream.
#[derive(Debug, Default)]
struct Output {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<Line>,
    open_streams: usize,
}

impl Process {
    /// Starts `command` with no standard input and reads what it prints; `name` is for messages.
    pub fn spawn(name: &str, mut command: Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let output = Arc::new(Output::default());
        if let Some(stdout) = child.stdout.take() {
            output.follow(stdout, Stream::Stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            output.follow(stderr, Stream::Stderr);
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            output,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it printed so far, in the order in which we read it.
    pub fn lines(&self) -> Vec<Line> {
        self.output.lock().lines.clone()
    }

    /// How many lines it printed so far: the place to start a later [`Process::wait_for`] from.
    pub fn mark(&self) -> usize {
        self.output.lock().lines.len()
    }

    /// Waits for a line that contains `pattern`, those that were printed before included.
    pub fn wait_for_line(&self, pattern: &str, limit: Duration) -> Result<Line> {
        self.wait_for(&format!("{pattern:?}"), 0, limit, |line| {
            line.text.contains(pattern).then(|| line.clone())
        })
    }

    /// Waits until `choose` takes one of the lines from number `mark` on. Fails, with the last
    /// lines, after `limit`, when the program ended without it, or when we are interrupted.
    pub fn wait_for<T>(
        &self,
        what: &str,
        mark: usize,
        limit: Duration,
        choose: impl Fn(&Line) -> Option<T>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        let mut next = mark;
        let mut state = self.output.lock();
        loop {
            if let Some(found) = state.lines.iter().skip(next).find_map(&choose) {
                return Ok(found);
            }
            next = next.max(state.lines.len());
            interrupt::check()?;
            if state.open_streams == 0 {
                bail!("{} ended without {what}{}", self.name, state.tail());
            }
            if Instant::now() >= deadline {
                bail!(
                    "{} did not print {what} in {limit:?}{}",
                    self.name,
                    state.tail()
                );
            }
            state = self.output.wait_a_step(state);
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid().cast_signed()), signal)
            .with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ended by itself and everything it printed was read.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let (child, output) = (&mut self.child, &self.output);
        wait::until(&format!("the end of {}", self.name), limit, || {
            Ok(child
                .try_wait()?
                .filter(|_| output.lock().open_streams == 0))
        })
        .with_context(|| format!("{} still runs{}", self.name, self.output.lock().tail()))
    }

    /// Sends it SIGINT, as Ctrl-C does, and waits until it ended.
    pub fn stop(&mut self, limit: Duration) -> Result<ExitStatus> {
        if self.is_running() {
            self.signal(Signal::SIGINT)?;
        }
        self.wait(limit)
    }

    /// Waits without heed to interrupts, for cleaning up after one.
    fn ends_within(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_running() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(wait::STEP);
        }
        true
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process id stays ours until it was waited for, so this never hits another one.
        if self.is_running() && self.signal(Signal::SIGTERM).is_ok() && self.ends_within(GRACE) {
            return;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Output {
    fn follow(self: &Arc<Self>, from: impl Read + Send + 'static, stream: Stream) {
        self.lock().open_streams += 1;
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut reader = BufReader::new(from);
            let mut bytes = Vec::new();
            while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                bytes.clear();
                let at = SystemTime::now();
                output.lock().lines.push(Line { at, stream, text });
                output.changed.notify_all();
            }
            output.lock().open_streams -= 1;
            output.changed.notify_all();
        });
    }

    /// A reader that panicked leaves lines that are whole, so a poisoned lock is no harm.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up the lock until something changed, or shortly, so that an interrupt is seen.
    fn wait_a_step<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, wait::STEP);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl State {
    /// The last lines, for the end of an error message.
    fn tail(&self) -> String {
        if self.lines.is_empty() {
            return "; it printed nothing".to_owned();
        }
        let first = self.lines.len().saturating_sub(12);
        let lines = self.lines[first..]
            .iter()
            .map(|line| format!("\n  {}", line.text));
        format!("; its last lines:{}", lines.collect::<String>())
    }
}
