//! Writes captured frames to pcapng files, each with a comment on what became of it.
//!
//! A [`Sink`] takes frames and never waits: what the writer has no room for is counted, and so is
//! what the disk has no room for. The writer is a thread of its own; `files` says which file it
//! writes to, `section` what stands there. Times come as the kernel half takes them, by the
//! monotonic clock, and are brought to the clock on the wall by one offset for all of them, so
//! that no step of that clock brings them out of order.

mod comment;
mod files;
mod limit;
mod section;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use broken_lns_ebpf::captured::Direction;
pub use comment::comment;
pub use files::KEPT;
pub use limit::{FileLimit, FileLimitError};

pub use crate::clock::WallClock;

use files::Files;
use writer::Writer;

/// Frames that wait for the writer, at the most: six megabytes of the longest.
const WAITING: usize = 4096;

/// How long no file is begun after one could not be written.
const PAUSE: Duration = Duration::from_secs(10);

/// A captured frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Nanoseconds of the monotonic clock.
    pub time: u64,
    /// Which of the interfaces that the capture was started with, from 0.
    pub interface: u32,
    /// Which way it went.
    pub direction: Direction,
    /// Octets that it had on the wire, which may be more than were captured.
    pub len: u32,
    /// The captured octets, from the Ethernet header on.
    pub octets: Vec<u8>,
    /// What became of it, as [`comment`] puts it.
    pub comment: String,
}

/// What to capture to.
#[derive(Clone, Debug)]
pub struct CaptureOptions {
    /// The file. With a limit it is the first one: `x.pcapng` is followed by `x.1.pcapng`,
    /// `x.2.pcapng` and so on, of which the newest [`KEPT`] are kept. One that is there already
    /// is written over.
    pub file: PathBuf,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Written to a file.
    pub written: u64,
    /// Not taken, since too many waited for the writer.
    pub no_room: u64,
    /// Taken and not written, since the file could not be.
    pub failed: u64,
}

/// A running capture, ended when dropped.
#[derive(Debug)]
pub struct Capture {
    orders: SyncSender<Order>,
    counts: Arc<Counts>,
    said: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

/// Where frames are handed in; it may be cloned, and go to other threads.
#[derive(Clone, Debug)]
pub struct Sink {
    orders: SyncSender<Order>,
    counts: Arc<Counts>,
}

/// What the writer is told.
#[derive(Debug)]
enum Order {
    /// To write a frame.
    Write(Frame),
    /// To end.
    End,
}

#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    no_room: AtomicU64,
    failed: AtomicU64,
}

impl Capture {
    /// Begins the first file, and starts the thread that writes it.
    ///
    /// # Errors
    ///
    /// [`CaptureError`]. Whatever happens to later files is counted, and told by
    /// [`said`](Self::said).
    pub fn start(options: CaptureOptions) -> Result<Self, CaptureError> {
        Self::pausing(options, PAUSE)
    }

    /// Does that, with another pause after a failure.
    fn pausing(options: CaptureOptions, pause: Duration) -> Result<Self, CaptureError> {
        let (orders, receiver) = sync_channel(WAITING);
        let (sayer, said) = channel();
        let counts = Arc::new(Counts::default());
        let path = options.file.clone();
        let files = Files::begin(options).map_err(|cause| CaptureError::File { path, cause })?;
        let writer = Writer::new(files, Arc::clone(&counts), sayer, pause);
        let thread = thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || writer.run(&receiver))
            .map_err(CaptureError::Thread)?;
        Ok(Self {
            orders,
            counts,
            said,
            thread: Some(thread),
        })
    }

    /// Hands in a frame, unless too many wait: then it is counted, and the answer is false.
    pub fn offer(&self, frame: Frame) -> bool {
        offer(&self.orders, &self.counts, frame)
    }

    /// Another place to hand in frames.
    pub fn sink(&self) -> Sink {
        Sink {
            orders: self.orders.clone(),
            counts: Arc::clone(&self.counts),
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

    /// Writes what was handed in until now, and ends. Sinks take no more then.
    pub fn finish(mut self) -> CaptureCounts {
        self.end();
        self.counts()
    }

    fn end(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Neither fails unless the writer panicked, which has been seen then.
            let _ = self.orders.send(Order::End);
            let _ = thread.join();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.end();
    }
}

impl Sink {
    /// Hands in a frame, unless too many wait: then it is counted, and the answer is false.
    pub fn offer(&self, frame: Frame) -> bool {
        offer(&self.orders, &self.counts, frame)
    }
}

fn offer(orders: &SyncSender<Order>, counts: &Counts, frame: Frame) -> bool {
    let taken = orders.try_send(Order::Write(frame)).is_ok();
    if !taken {
        counts.no_room.fetch_add(1, Ordering::Relaxed);
    }
    taken
}

impl Counts {
    fn read(&self) -> CaptureCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CaptureCounts {
            written: count(&self.written),
            no_room: count(&self.no_room),
            failed: count(&self.failed),
        }
    }
}

#[cfg(test)]
mod tests;
