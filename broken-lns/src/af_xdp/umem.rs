//! The frames of a worker, in memory that the kernel shares.

use std::io;

use super::mapping::Mapping;

/// Octets of a frame, of which the kernel keeps the first 256 free.
pub const FRAME_LEN: usize = 4096;

/// Octets of a cache line.
const CACHE_LINE: usize = 64;
/// Cache lines of a frame that are read of a usual request.
const LINES: usize = 3;

/// The memory with its frames, and the list of those that are free.
#[derive(Debug)]
pub struct Umem {
    memory: Mapping,
    /// Where free frames begin; the last one is used next, since it is in a cache still.
    free: Vec<u64>,
}

/// A part of a frame that holds a packet, as it stands in a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Where the packet begins, in octets from the beginning of the umem.
    pub address: u64,
    /// Octets of the packet.
    pub len: u32,
}

impl Umem {
    /// A umem of so many frames, all free.
    ///
    /// # Errors
    ///
    /// Where there is no memory for it.
    pub fn new(frames: u32) -> io::Result<Self> {
        let memory = Mapping::anonymous(frames as usize * FRAME_LEN)?;
        let free = (0..u64::from(frames)).rev();
        Ok(Self {
            memory,
            free: free.map(|frame| frame * FRAME_LEN as u64).collect(),
        })
    }

    /// The memory that the frames are in.
    pub(super) fn memory(&self) -> &Mapping {
        &self.memory
    }

    /// Takes a free frame, and says where it begins.
    #[inline]
    pub fn take(&mut self) -> Option<u64> {
        self.free.pop()
    }

    /// Gives back the frame that `address` lies in.
    #[inline]
    pub fn give(&mut self, address: u64) {
        // There are never more than there were at first, so that nothing is allocated.
        if self.free.len() < self.free.capacity() {
            self.free.push(address - address % FRAME_LEN as u64);
        }
    }

    /// How many frames are free.
    pub fn free(&self) -> usize {
        self.free.len()
    }

    /// The octets from `address` to the end of its frame; none where there is no such frame.
    #[inline]
    pub fn room(&mut self, address: u64) -> &mut [u8] {
        let start = usize::try_from(address).unwrap_or(usize::MAX);
        if start >= self.memory.len() {
            return &mut [];
        }
        let len = FRAME_LEN - start % FRAME_LEN;
        // SAFETY: the memory is a whole number of frames, so that it holds the rest
        // of this one; it is borrowed through the umem, and the kernel touches
        // no frame that a ring did not give it.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start().add(start).as_ptr(), len) }
    }

    /// Asks the processor to have the beginning of a packet in its cache soon.
    #[inline]
    pub fn prefetch(&self, packet: &Packet) {
        let start = usize::try_from(packet.address).unwrap_or(usize::MAX);
        if start >= self.memory.len() {
            return;
        }
        for line in 0..LINES {
            let at = self
                .memory
                .start()
                .as_ptr()
                .wrapping_add(start + line * CACHE_LINE);
            prefetch(at);
        }
    }
}

/// Asks for the cache line of `at`, which may be anywhere.
#[inline(always)]
fn prefetch(at: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction reads nothing that the program could see, and
    // does not fault; every x86-64 processor has it.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_and_given_back() {
        let mut umem = Umem::new(2).unwrap();
        assert_eq!(
            (umem.take(), umem.take(), umem.take()),
            (Some(0), Some(4096), None)
        );
        umem.give(4096 + 256);
        assert_eq!((umem.free(), umem.take()), (1, Some(4096)));
    }

    #[test]
    fn the_room_of_a_packet_ends_with_its_frame() {
        let mut umem = Umem::new(2).unwrap();
        for (address, len) in [(0, 4096), (256, 3840), (4095, 1), (4096, 4096), (8191, 1)] {
            assert_eq!(umem.room(address).len(), len, "{address}");
        }
        for address in [8192, u64::MAX] {
            assert_eq!(umem.room(address).len(), 0, "{address}");
            umem.prefetch(&Packet { address, len: 60 });
        }
        umem.room(4096)[0] = 7;
        assert_eq!((umem.room(4095)[0], umem.room(4096)[0]), (0, 7));
    }

    #[test]
    fn more_frames_than_there_are_cannot_be_given() {
        let mut umem = Umem::new(1).unwrap();
        umem.give(0);
        assert_eq!(umem.free(), 1);
    }
}
