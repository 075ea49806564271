//! How far a worker has told what it does.
//!
//! Whoever reads has to know which events may still come that belong before those it has. A
//! worker may lose its CPU between its look at the clock and the event that it tells, for as
//! long as the system likes. So it says before what it is about to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// It has nothing in hand: what it tells next is of a time after this was read.
const IDLE: u64 = u64::MAX;
/// It is about to read the clock.
const STARTING: u64 = 0;

/// The time from which on a worker may still tell events, in nanoseconds of the monotonic
/// clock.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// That of a worker with nothing in hand.
    pub(super) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(IDLE)))
    }

    /// The worker reads the clock next.
    pub(super) fn begin(&self) {
        self.0.store(STARTING, Ordering::SeqCst);
        // The clock is read only once everybody can see that. Who still sees the worker idle has
        // read the clock before, so that the worker reads no earlier time.
        fence(Ordering::SeqCst);
    }

    /// The worker read that time, and may tell events of it and of later ones.
    pub(super) fn at(&self, now: u64) {
        // What was told before is seen by whoever sees this.
        self.0
            .store(now.clamp(STARTING, IDLE - 1), Ordering::Release);
    }

    /// The worker tells nothing until it begins again.
    pub(super) fn end(&self) {
        self.0.store(IDLE, Ordering::Release);
    }

    /// The time before which everything was told by now, where the clock said `now` before: who
    /// takes all that waits after this has taken that. 0 where it is not known.
    pub(super) fn complete_until(&self, now: u64) -> u64 {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::SeqCst).min(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_complete() {
        let progress = Progress::new();
        let seen = progress.clone();
        assert_eq!(seen.complete_until(5), 5);
        progress.begin();
        assert_eq!(seen.complete_until(6), 0);
        progress.at(7);
        // It may tell events of that time for as long as it likes.
        assert_eq!(seen.complete_until(6), 6);
        assert_eq!(seen.complete_until(1_000), 7);
        progress.at(9);
        assert_eq!(seen.complete_until(1_000), 9);
        progress.end();
        assert_eq!(seen.complete_until(1_000), 1_000);
    }
}
