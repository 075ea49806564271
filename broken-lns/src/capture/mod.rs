//! Writes captured frames to pcapng files, each with a comment on what became of it.
//!
//! Nothing on the way of a frame waits for it: what finds no room where it was captured is
//! counted there, and so is what the disk has no room for. A thread of its own takes frames from
//! every `source` and writes them in the order of time; `files` says to which file, `section`
//! what stands there, `comment` what is said of each, by the names of the `rules`. Times come by
//! the monotonic clock, and are brought to the clock on the wall by one offset for all of them,
//! so that no step of that clock brings them out of order.

mod comment;
mod files;
mod limit;
mod rules;
mod section;
mod source;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use broken_lns_ebpf::captured::{Captured, Direction};
pub use files::KEPT;
pub use limit::{FileLimit, TooSmall};
pub use rules::RuleName;
pub use source::Source;

pub use crate::clock::WallClock;
pub use crate::output_file::OutputMode;

use crate::output_file::OutputFile;
use files::Files;
use rules::Rules;
use source::Intake;
use writer::Writer;

/// How long no file is opened after one could not be written.
const PAUSE: Duration = Duration::from_secs(10);

/// A frame with all that a file says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    /// Nanoseconds of the monotonic clock.
    time: u64,
    /// Which of the interfaces that the capture was started with, from 0.
    interface: u32,
    /// Which way it went.
    direction: Direction,
    /// Octets that it had on the wire, which may be more than were captured.
    len: u32,
    /// The captured octets, from the Ethernet header on.
    octets: Vec<u8>,
    /// What became of it.
    comment: String,
}

/// What to capture to.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// The file. With a limit it is the first one: `x.pcapng` is followed by `x.1.pcapng`,
    /// `x.2.pcapng` and so on, of which the newest [`KEPT`] are kept. One of an earlier capture is
    /// written over. It has to be a regular file or `/dev/null`: a pipe takes a part of a block
    /// where it is full, and whoever reads it cannot go on from there.
    ///
    /// Where a write fails, the frames of that write are failed, and so are those of the next ten
    /// seconds. Then the same file is gone on with, after the last frame that it has whole.
    pub file: PathBuf,
    /// The mode that files get.
    pub mode: OutputMode,
    /// The octets after which a file is closed and the next begun.
    pub limit: Option<FileLimit>,
    /// The names of the interfaces.
    pub interfaces: Vec<String>,
    /// What the times of frames mean.
    pub clock: WallClock,
}

/// Why nothing can be captured.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The file cannot be written.
    #[error(
        "cannot write the capture file {}: {cause}; choose another place with --capture FILE",
        path.display()
    )]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },

    /// There is no thread for it.
    #[error("cannot start the thread that writes the capture file: {0}")]
    Thread(io::Error),
}

/// Frames by what became of them, from the start on. They are monotonic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaptureCounts {
    /// Written to a file.
    pub written: u64,
    /// Not captured, since too many waited to be written.
    pub lost: u64,
    /// Captured and not written, since the file could not be.
    pub failed: u64,
}

/// A capture that is not begun yet. Nothing is written before, so that what the file has from
/// an earlier one stays where nothing comes of this one.
pub struct Prepared {
    files: Files,
    intake: Intake,
    rules: Rules,
}

/// A running capture, ended when dropped.
#[derive(Debug)]
pub struct Capture {
    /// Where scenarios are told that come into force; `None` once it is over.
    entered: Option<Sender<Entered>>,
    counts: Arc<Counts>,
    said: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

/// A scenario that comes into force, by its number, and its rules.
type Entered = (u32, Vec<RuleName>);

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    lost: AtomicU64,
    failed: AtomicU64,
}

/// Whether a capture file can be written there, as far as one can tell without one.
///
/// # Errors
///
/// What the file system says.
pub fn attempt(path: &Path, mode: OutputMode) -> io::Result<()> {
    let file = OutputFile {
        path,
        mode,
        is_ours: section::begins_capture,
    };
    file.check()
}

impl Prepared {
    /// Sees that the first file can be written.
    ///
    /// # Errors
    ///
    /// [`CaptureError::File`], where it cannot.
    pub fn new(options: CaptureOptions) -> Result<Self, CaptureError> {
        let path = options.file.clone();
        let files = Files::prepare(options).map_err(|cause| CaptureError::File { path, cause })?;
        Ok(Self {
            files,
            intake: Intake::default(),
            rules: Rules::default(),
        })
    }

    /// Writes the frames of that source, too. `interface` is the place of its interface in
    /// [`CaptureOptions::interfaces`], from 0.
    pub fn hear(&mut self, interface: u32, source: Box<dyn Source>) {
        self.intake.add(interface, source);
    }

    /// The scenario that is in force from the start on, as [`Capture::enter`] takes it.
    pub fn enter(&mut self, scenario: u32, rules: Vec<RuleName>) {
        self.rules.enter(scenario, rules);
    }

    /// Begins the first file, and starts the thread that writes it.
    ///
    /// # Errors
    ///
    /// [`CaptureError`]. Whatever happens to files later is counted, and told by
    /// [`said`](Capture::said).
    pub fn start(self) -> Result<Capture, CaptureError> {
        self.start_pausing(PAUSE)
    }

    /// Does that, with another pause after a failure.
    fn start_pausing(mut self, pause: Duration) -> Result<Capture, CaptureError> {
        self.files.open_next().map_err(|cause| CaptureError::File {
            path: self.files.path(),
            cause,
        })?;
        let (entered, to_enter) = channel();
        let (sayer, said) = channel();
        let counts = Arc::new(Counts::default());
        let writer = Writer::new(self, Arc::clone(&counts), sayer, pause);
        let thread = thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || writer.run(&to_enter))
            .map_err(CaptureError::Thread)?;
        Ok(Capture {
            entered: Some(entered),
            counts,
            said,
            thread: Some(thread),
        })
    }
}

impl Capture {
    /// Another scenario is going to come into force, with its rules in order, the default one
    /// first. Frames that meet one of them must not be captured before.
    pub fn enter(&self, scenario: u32, rules: Vec<RuleName>) {
        if let Some(entered) = &self.entered {
            // It fails only where the writer panicked, which has been seen then.
            let _ = entered.send((scenario, rules));
        }
    }

    /// What became of the frames so far.
    pub fn counts(&self) -> CaptureCounts {
        self.counts.read()
    }

    /// What has to be said of the files since the last time: that one cannot be written, once
    /// until one can be again.
    pub fn said(&self) -> impl Iterator<Item = String> {
        self.said.try_iter()
    }

    /// Writes what was captured until now, and ends. What has to be said comes with the counts.
    pub fn finish(mut self) -> (CaptureCounts, Vec<String>) {
        self.end();
        (self.counts(), self.said().collect())
    }

    fn end(&mut self) {
        self.entered = None;
        if let Some(thread) = self.thread.take() {
            // As above.
            let _ = thread.join();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.end();
    }
}

impl CaptureCounts {
    /// Every counter with its name.
    pub fn entries(&self) -> [(&'static str, u64); 3] {
        [
            ("written", self.written),
            ("lost", self.lost),
            ("failed", self.failed),
        ]
    }

    /// What was counted since an earlier time.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            written: self.written.saturating_sub(earlier.written),
            lost: self.lost.saturating_sub(earlier.lost),
            failed: self.failed.saturating_sub(earlier.failed),
        }
    }
}

impl Counts {
    fn read(&self) -> CaptureCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CaptureCounts {
            written: count(&self.written),
            lost: count(&self.lost),
            failed: count(&self.failed),
        }
    }
}

#[cfg(test)]
mod tests;
