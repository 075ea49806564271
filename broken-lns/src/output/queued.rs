//! An output of the process that keeps nobody waiting, however slow its reader is.
//!
//! What is written is put into a queue, from which a thread of its own takes it: whoever reads
//! from a pipe or a terminal may stop that thread, and nothing else. What the queue has no room
//! for is left out as a whole, and counted by its lines. How many those were is said as soon as
//! there is room again.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::thousands;
use crate::printable;

/// Octets that wait for a reader at the most, besides a single piece that has more of them.
const LIMIT: usize = 256 << 10;

/// Octets that are written at a time, so that a slow reader is seen to read. A pipe takes as many
/// as a whole.
const CHUNK: usize = 4096;

/// An output with its queue; clones share them.
#[derive(Clone, Debug)]
pub struct Queued(Arc<Queue>);

#[derive(Debug)]
struct Queue {
    /// What it is called.
    name: &'static str,
    limit: usize,
    /// Takes away what stands in a line of it, if it is a terminal.
    erase: &'static str,
    /// Where it is said that something was left out, if not in its place.
    told_in: Option<Queued>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What is still to be written, each written as a whole or not at all.
    waiting: VecDeque<Vec<u8>>,
    /// Octets that are not written yet, and the lines that end in them.
    octets: usize,
    lines: u64,
    /// Octets that were written, ever.
    written: u64,
    /// Lines that were left out since that was said last.
    left_out: u64,
    /// Why nothing can be written any more.
    failed: Option<Failure>,
}

/// An error that can be told more than once.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Os(i32),
    Other(io::ErrorKind),
}

impl Queued {
    /// Standard error. Where it is a terminal, `erase` takes away what stands in a line of it.
    ///
    /// # Errors
    ///
    /// Where there is no thread for it.
    pub fn stderr(erase: &'static str) -> io::Result<Self> {
        let out = io::stderr().as_fd().try_clone_to_owned()?;
        Self::start("standard error", out, LIMIT, erase, None)
    }

    /// Standard output. What is left out of it is said in `stderr`, since it may be for programs.
    ///
    /// # Errors
    ///
    /// Where there is no thread for it.
    pub fn stdout(stderr: &Self) -> io::Result<Self> {
        let out = io::stdout().as_fd().try_clone_to_owned()?;
        Self::start("standard output", out, LIMIT, "", Some(stderr.clone()))
    }

    fn start(
        name: &'static str,
        out: OwnedFd,
        limit: usize,
        erase: &'static str,
        told_in: Option<Self>,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue {
            name,
            limit,
            erase,
            told_in,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let writer = Arc::clone(&queue);
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || writer.write_to(File::from(out)))?;
        Ok(Self(queue))
    }

    /// Adds a piece, whatever waits already: nothing comes after it for which it might be left
    /// out.
    pub fn push_last(&self, piece: impl Into<Vec<u8>>) {
        let mut state = self.0.lock();
        self.0.add(&mut state, piece.into());
    }

    /// Adds a line, whoever wrote it and whatever waits already.
    pub fn say(&self, text: &str) {
        self.push_last(format!("{}{}\n", self.0.erase, printable::lines(text)));
    }

    /// Waits until all of it is written, or nothing of it was for so long.
    ///
    /// # Errors
    ///
    /// Those of the output; that its reader does not keep up is [`io::ErrorKind::TimedOut`].
    pub fn drain(&self, patience: Duration) -> io::Result<()> {
        let mut state = self.0.lock();
        loop {
            if let Some(failure) = state.failed {
                return Err(failure.into());
            }
            if state.octets == 0 {
                return Ok(());
            }
            let written = state.written;
            let is_stuck = |state: &mut State| state.written == written && state.failed.is_none();
            let waited = self.0.changed.wait_timeout_while(state, patience, is_stuck);
            let (now, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = now;
            if timeout.timed_out() {
                let lost = left_out(state.left_out + state.lines);
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("its reader does not keep up; {lost}"),
                ));
            }
        }
    }

    fn push(&self, piece: Vec<u8>) -> io::Result<()> {
        let mut state = self.0.lock();
        if let Some(failure) = state.failed {
            return Err(failure.into());
        }
        let has_room = match state.left_out {
            // A piece that has no room beside any other waits alone.
            0 => state.octets == 0 || state.octets + piece.len() <= self.0.limit,
            // One gap, and not one after every line for which there is room again.
            _ => false,
        };
        match has_room {
            true => self.0.add(&mut state, piece),
            false => state.left_out += lines(&piece),
        }
        Ok(())
    }
}

impl Write for Queued {
    /// Takes all of it as one piece.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.push(piece.to_vec())?;
        Ok(piece.len())
    }

    /// Nothing, since it is written by itself.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    fn add(&self, state: &mut State, piece: Vec<u8>) {
        if state.failed.is_none() {
            state.octets += piece.len();
            state.lines += lines(&piece);
            state.waiting.push_back(piece);
            self.changed.notify_all();
        }
    }

    /// Writes what comes, as long as that can be.
    fn write_to(&self, mut out: File) {
        let mut state = self.lock();
        loop {
            let Some(piece) = state.waiting.pop_front() else {
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            for chunk in piece.chunks(CHUNK) {
                drop(state);
                let result = write_all(&mut out, chunk);
                state = self.lock();
                if let Err(failure) = result {
                    *state = State {
                        failed: Some(failure),
                        ..State::default()
                    };
                    self.changed.notify_all();
                    return;
                }
                state.octets -= chunk.len();
                state.written += chunk.len() as u64;
                self.changed.notify_all();
            }
            state.lines -= lines(&piece);
            if state.left_out > 0 && state.octets <= self.limit / 2 {
                self.say_gap(&mut state);
            }
        }
    }

    /// Says how much was left out, now that there is room.
    fn say_gap(&self, state: &mut State) {
        let lines = left_out(std::mem::take(&mut state.left_out));
        let said = format!(
            "{}: {lines}, since its reader does not keep up\n",
            self.name
        );
        match &self.told_in {
            None => self.add(state, format!("{}{said}", self.erase).into()),
            Some(other) => {
                // It may be behind as well, and counts this line then.
                let _ = other.push(format!("{}{said}", other.0.erase).into());
            }
        }
    }

    /// A writer that panicked leaves whole pieces.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(code) => Self::Os(code),
            None => Self::Other(error.kind()),
        }
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Os(code) => Self::from_raw_os_error(code),
            Failure::Other(kind) => kind.into(),
        }
    }
}

/// Writes all of it, also to what somebody else has switched to writing without waiting.
fn write_all(out: &mut (impl Write + AsFd), mut octets: &[u8]) -> Result<(), Failure> {
    while !octets.is_empty() {
        match out.write(octets) {
            Ok(0) => return Err(Failure::Other(io::ErrorKind::WriteZero)),
            Ok(written) => octets = octets.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut fds = [PollFd::new(out.as_fd(), PollFlags::POLLOUT)];
                match poll(&mut fds, PollTimeout::NONE) {
                    Ok(_) | Err(Errno::EINTR) => {}
                    Err(errno) => return Err(Failure::Os(errno as i32)),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The lines that end in a piece. What is drawn anew each second has none.
fn lines(piece: &[u8]) -> u64 {
    piece.iter().filter(|octet| **octet == b'\n').count() as u64
}

fn left_out(lines: u64) -> String {
    match lines {
        1 => "1 line was left out".to_owned(),
        lines => format!("{} lines were left out", thousands(lines)),
    }
}

#[cfg(test)]
mod tests;
