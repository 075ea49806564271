//! The thread that writes.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use super::files::Files;
use super::{Counts, Frame, Order};

/// Writes frames as they come, and goes on whatever happens to the files.
pub(super) struct Writer {
    files: Files,
    counts: Arc<Counts>,
    said: Sender<String>,
    /// How long no file is begun after one could not be written.
    pause: Duration,
    /// When that was.
    failed: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        files: Files,
        counts: Arc<Counts>,
        said: Sender<String>,
        pause: Duration,
    ) -> Self {
        Self {
            files,
            counts,
            said,
            pause,
            failed: None,
        }
    }

    /// Writes until it is told to end, or nobody is left who could tell.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(Order::Write(frame)) = orders.recv() {
            self.write(&frame);
            // As long as more is there it is written together, and at once after that.
            for order in orders.try_iter() {
                match order {
                    Order::Write(frame) => self.write(&frame),
                    Order::End => {
                        self.flush();
                        return;
                    }
                }
            }
            self.flush();
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
        match self.files.begin_next() {
            Ok(()) => {
                if self.failed.take().is_some() {
                    self.say(format!(
                        "captures again, to {}",
                        self.files.path().display()
                    ));
                }
                true
            }
            Err(error) => {
                self.fail(&self.files.path(), &error);
                false
            }
        }
    }

    fn flush(&mut self) {
        let path = self.files.path();
        match self.files.flush() {
            Ok(frames) => count(&self.counts.written, frames),
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
