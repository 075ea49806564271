//! The ring buffers in which the program tells of followed LACs, as they are read.

use std::os::fd::AsFd as _;

use aya::maps::{MapData, MapError, RingBuf};
use broken_lns_ebpf::captured::Captured;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::counters::CounterArray;
use crate::capture::Source;

/// A ring buffer that the program fills, and the counter of what found no room in it.
pub(super) struct Ring {
    pub(super) entries: RingBuf<MapData>,
    pub(super) counters: CounterArray,
    /// The number of its counter.
    pub(super) lost: u32,
}

impl Ring {
    /// Hands the octets of up to `limit` entries to `take`, in their order. Returns whether there
    /// were no more.
    fn take(&mut self, limit: usize, mut take: impl FnMut(&[u8])) -> bool {
        for _ in 0..limit {
            match self.entries.next() {
                Some(octets) => take(&octets),
                None => return true,
            }
        }
        false
    }

    fn lost(&self) -> Result<u64, MapError> {
        self.counters.sum(self.lost)
    }
}

/// The events of the LACs that are followed, for whoever looks at them.
pub struct Events(pub(super) Ring);

impl Events {
    /// Hands the octets of up to `limit` events to `take`, in the order in which the program
    /// told them. Returns whether there were no more.
    pub fn take(&mut self, limit: usize, take: impl FnMut(&[u8])) -> bool {
        self.0.take(limit, take)
    }

    /// Whether the program has told nothing that was not taken. That there is nothing to take now
    /// does not say so: an event that a CPU has made room for, and not written yet, keeps back
    /// those behind it.
    pub fn is_empty(&self) -> bool {
        let mut ready = [PollFd::new(self.0.entries.as_fd(), PollFlags::POLLIN)];
        // The kernel goes by the room that was taken.
        poll(&mut ready, PollTimeout::ZERO) == Ok(0)
    }

    /// How many events found no room so far.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn lost(&self) -> Result<u64, MapError> {
        self.0.lost()
    }
}

/// The frames that the program captured, for whoever writes them.
pub struct CapturedFrames(pub(super) Ring);

impl Source for CapturedFrames {
    fn take(&mut self, limit: usize, take: &mut dyn FnMut(&Captured, &[u8])) -> bool {
        self.0.take(limit, |octets| {
            if let Some((captured, octets)) = Captured::from_octets(octets) {
                take(&captured, octets);
            }
        })
    }

    fn lost(&self) -> u64 {
        // A map that was read before can be read again.
        self.0.lost().unwrap_or(0)
    }
}
