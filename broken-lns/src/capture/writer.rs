//! The thread that writes.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::files::Files;
use super::rules::Rules;
use super::source::{Intake, Taken};
use super::{Counts, Direction, Entered, Frame, Prepared};
use crate::clock;

/// How long the thread sleeps at the most once it has taken all frames there were.
const INTERVAL: Duration = Duration::from_millis(10);

/// Nanoseconds by which a frame may come after one of a later time from another source.
const DISORDER: u64 = 50_000_000;

/// Writes frames in the order of time, and goes on whatever happens to the files.
pub(super) struct Writer {
    intake: Intake,
    rules: Rules,
    files: Files,
    counts: Arc<Counts>,
    said: Sender<String>,
    /// How long no file is opened after one could not be written.
    pause: Duration,
    /// When that was.
    failed: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        prepared: Prepared,
        counts: Arc<Counts>,
        said: Sender<String>,
        pause: Duration,
    ) -> Self {
        let Prepared {
            files,
            intake,
            rules,
        } = prepared;
        Self {
            intake,
            rules,
            files,
            counts,
            said,
            pause,
            failed: None,
        }
    }

    /// Writes until nobody is left who could tell anything, and all that waits then.
    pub(super) fn run(mut self, entered: &Receiver<Entered>) {
        let mut pause = INTERVAL;
        loop {
            let is_over = self.heed(entered, pause);
            let began = clock::monotonic();
            let until = self.intake.take();
            // The rules that these frames met were entered before they met them.
            self.heed(entered, Duration::ZERO);
            let is_last = is_over && until.is_none();
            let settled = match is_last {
                true => u64::MAX,
                false => until.unwrap_or(began).min(began).saturating_sub(DISORDER),
            };
            while let Some(taken) = self.intake.pop_before(settled) {
                self.write(&self.frame(taken));
            }
            self.flush();
            self.counts
                .lost
                .store(self.intake.lost(), Ordering::Relaxed);
            if is_last {
                return;
            }
            pause = match until {
                None => INTERVAL,
                Some(_) => Duration::ZERO,
            };
        }
    }

    /// Heeds what it is told within that time. Returns whether nobody is left who could tell.
    fn heed(&mut self, entered: &Receiver<Entered>, mut pause: Duration) -> bool {
        loop {
            match entered.recv_timeout(pause) {
                Ok((scenario, rules)) => self.rules.enter(scenario, rules),
                Err(RecvTimeoutError::Timeout) => return false,
                Err(RecvTimeoutError::Disconnected) => return true,
            }
            pause = Duration::ZERO;
        }
    }

    fn frame(&self, taken: Taken) -> Frame {
        let Taken {
            interface,
            captured,
            octets,
            ..
        } = taken;
        Frame {
            time: captured.time,
            interface,
            direction: captured.direction().unwrap_or(Direction::Request),
            len: captured.len,
            octets,
            comment: self.rules.comment(&captured),
        }
    }

    fn write(&mut self, frame: &Frame) {
        if !self.is_ready() || self.files.add(frame).is_err() {
            count(&self.counts.failed, 1);
        } else if self.files.is_enough() {
            self.flush();
        }
    }

    /// Sees that there is a file with room, unless the last failure was a moment ago.
    fn is_ready(&mut self) -> bool {
        if self.files.is_open() && !self.files.is_full() {
            return true;
        }
        if self.failed.is_some_and(|at| at.elapsed() < self.pause) {
            return false;
        }
        let opened = self.files.open_next();
        if let Err(error) = &opened {
            self.fail(&self.files.path(), error);
        }
        opened.is_ok()
    }

    fn flush(&mut self) {
        let path = self.files.path();
        match self.files.flush() {
            Ok(0) => {}
            Ok(frames) => {
                if self.failed.take().is_some() {
                    self.say(format!("captures again, to {}", path.display()));
                }
                count(&self.counts.written, frames);
            }
            Err((frames, error)) => {
                count(&self.counts.failed, frames);
                self.fail(&path, &error);
            }
        }
    }

    /// Says so, unless that was said since the last success.
    fn fail(&mut self, path: &Path, error: &io::Error) {
        if self.failed.replace(Instant::now()).is_none() {
            self.say(format!(
                "cannot capture to {}: {error}; frames are counted as failed until that is over",
                path.display()
            ));
        }
    }

    fn say(&self, line: String) {
        // Where nobody listens any more, nobody wants to know.
        let _ = self.said.send(line);
    }
}

fn count(counter: &AtomicU64, frames: u64) {
    counter.fetch_add(frames, Ordering::Relaxed);
}
