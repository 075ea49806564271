//! Reads lines from a client, and never more of one than it may be long.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::seats::Seat;

/// Octets that are read at a time, and the longest line that needs no permit.
pub(super) const CHUNK: usize = 64 << 10;

/// How long one that needs a permit, which others may wait for, may pause.
const PAUSE: Duration = Duration::from_secs(5);

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLine {
    /// The line is too long.
    #[error("a request has {limit} octets at most; this one is longer, and was read no further")]
    TooLong {
        /// How long it may be.
        limit: usize,
    },

    /// The line did not come.
    #[error(
        "no whole request came within {}; send one JSON object and a newline",
        humantime::format_duration(*.0)
    )]
    Late(Duration),

    /// The client is gone.
    #[error(transparent)]
    Gone(#[from] io::Error),
}

/// The lines that a client sends.
#[derive(Debug)]
pub(super) struct Lines<'s> {
    stream: &'s UnixStream,
    seat: &'s Seat,
    /// The longest line.
    limit: usize,
    /// How long one may take.
    patience: Duration,
    /// What was read, and belongs to no line yet.
    read: Vec<u8>,
    /// Whether nothing comes after that.
    ended: bool,
    /// Gives out the one permit for a long line, so that many clients have
    /// no more memory together than one of them.
    permits: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<'s> Lines<'s> {
    pub(super) fn new(
        stream: &'s UnixStream,
        seat: &'s Seat,
        limit: usize,
        patience: Duration,
        permits: Arc<Semaphore>,
    ) -> Self {
        Self {
            stream,
            seat,
            limit,
            patience,
            read: Vec::new(),
            ended: false,
            permits,
            permit: None,
        }
    }

    /// The next line, without its newline; `None` after the last one.
    ///
    /// What stands behind the last newline is a line, too. A permit is kept until the next line
    /// is asked for.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, NoLine> {
        self.permit = None;
        let mut searched = 0;
        let mut deadline = Instant::now() + self.patience;
        loop {
            let unsearched = self.read.get(searched..).unwrap_or_default();
            let newline = unsearched.iter().position(|octet| *octet == b'\n');
            let end = newline.map(|at| searched + at);
            searched = self.read.len();
            if end.unwrap_or(searched) > self.limit {
                return Err(NoLine::TooLong { limit: self.limit });
            }
            if let Some(end) = end {
                let rest = self.read.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.read, rest);
                line.pop();
                return Ok(Some(line));
            }
            if self.ended {
                let line = std::mem::take(&mut self.read);
                return Ok((!line.is_empty()).then_some(line));
            }
            if searched > CHUNK && self.permit.is_none() {
                // The semaphore is never closed.
                self.permit = Arc::clone(&self.permits).acquire_owned().await.ok();
                // That others took their time is not held against this one.
                deadline = Instant::now() + self.patience;
            }
            let pause = match self.permit {
                Some(_) => PAUSE.min(self.patience),
                None => self.patience,
            };
            let next = deadline.min(Instant::now() + pause);
            match timeout_at(next, self.read_more()).await {
                Ok(result) => result?,
                Err(_) => return Err(NoLine::Late(pause)),
            }
        }
    }

    /// Reads what is there, or waits until something is.
    async fn read_more(&mut self) -> Result<(), io::Error> {
        let had = self.read.len();
        self.read.resize(had + CHUNK, 0);
        let room = self.read.get_mut(had..).unwrap_or_default();
        let read = loop {
            self.stream.readable().await?;
            match self.stream.try_read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break result,
            }
        };
        self.read.truncate(had + *read.as_ref().unwrap_or(&0));
        self.ended = read? == 0;
        self.seat.heard();
        Ok(())
    }
}
