//! Where captured frames wait to be written.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use broken_lns_ebpf::captured::Captured;

/// Frames that are taken from a source at a time.
const BATCH: usize = 4096;

/// Where frames wait that the kernel half captured, or a worker.
pub trait Source: Send {
    /// Hands up to `limit` frames to `take`, in the order in which they were captured: what is
    /// known of each, and its octets. Returns whether there were no more.
    fn take(&mut self, limit: usize, take: &mut dyn FnMut(&Captured, &[u8])) -> bool;

    /// How many frames found no room there so far.
    fn lost(&self) -> u64;
}

/// The frames of all sources, in the order of time.
#[derive(Default)]
pub(super) struct Intake {
    sources: Vec<(u32, Box<dyn Source>)>,
    waiting: BinaryHeap<Taken>,
    /// Frames that were taken so far.
    taken: u64,
}

/// A frame that was taken from its source.
#[derive(Debug)]
pub(super) struct Taken {
    /// Which of them it is.
    number: u64,
    /// The number of its interface.
    pub(super) interface: u32,
    pub(super) captured: Captured,
    pub(super) octets: Vec<u8>,
}

impl Intake {
    /// Takes the frames of that interface there, too.
    pub(super) fn add(&mut self, interface: u32, source: Box<dyn Source>) {
        self.sources.push((interface, source));
    }

    /// Takes what waits, as far as that is not too much at a time. Where it was not all, returns
    /// the time up to which it was, in nanoseconds of the monotonic clock: that of the last frame
    /// of the source that is the furthest behind.
    pub(super) fn take(&mut self) -> Option<u64> {
        let Self {
            sources,
            waiting,
            taken,
        } = self;
        let mut until: Option<u64> = None;
        for (interface, source) in sources {
            let mut last = 0;
            let is_all = source.take(BATCH, &mut |captured, octets| {
                last = captured.time;
                waiting.push(Taken {
                    number: *taken,
                    interface: *interface,
                    captured: *captured,
                    octets: octets.to_vec(),
                });
                *taken += 1;
            });
            if !is_all {
                until = Some(until.map_or(last, |until| until.min(last)));
            }
        }
        until
    }

    /// The earliest frame, if it was captured before `time`, in nanoseconds of the monotonic
    /// clock.
    pub(super) fn pop_before(&mut self, time: u64) -> Option<Taken> {
        let earliest = self.waiting.peek()?;
        match earliest.captured.time < time {
            true => self.waiting.pop(),
            false => None,
        }
    }

    /// How many frames found no room in their sources so far.
    pub(super) fn lost(&self) -> u64 {
        self.sources.iter().map(|(_, source)| source.lost()).sum()
    }
}

impl Taken {
    /// Frames of one time keep their order: a reply comes after its request.
    fn order(&self) -> (u64, u64) {
        (self.captured.time, self.number)
    }
}

impl PartialEq for Taken {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Taken {}

impl PartialOrd for Taken {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Taken {
    /// The earliest one is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.order().cmp(&self.order())
    }
}
