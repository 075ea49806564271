//! What one worker counts, and what others read of it meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

use broken_lns_ebpf::verdict::Verdict;

use crate::snapshot::VerdictCounts;

/// The verdicts that one worker reached; only that worker adds to them.
///
/// It has cache lines of its own, so that workers do not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
pub struct Tally {
    verdicts: [AtomicU64; Verdict::COUNT],
    /// How often it looked for packets and found none.
    idle: AtomicU64,
}

impl Tally {
    /// A tally with nothing counted.
    pub const fn new() -> Self {
        Self {
            verdicts: [const { AtomicU64::new(0) }; Verdict::COUNT],
            idle: AtomicU64::new(0),
        }
    }

    /// Adds what the worker counted over a batch.
    pub fn add(&self, counts: &VerdictCounts) {
        for (total, count) in self.verdicts.iter().zip(counts) {
            if *count != 0 {
                // There is one writer, so that nothing is lost between the two.
                let sum = total.load(Ordering::Relaxed).wrapping_add(*count);
                total.store(sum, Ordering::Relaxed);
            }
        }
    }

    /// Notes that there was no packet to take. Whatever had come before is counted.
    pub fn add_idle(&self) {
        let count = self.idle.load(Ordering::Relaxed).wrapping_add(1);
        self.idle.store(count, Ordering::Release);
    }

    /// How often there was no packet to take. What is counted, and read after this, holds all that
    /// had come by then.
    pub fn idle(&self) -> u64 {
        self.idle.load(Ordering::Acquire)
    }

    /// The counts so far.
    pub fn counts(&self) -> VerdictCounts {
        std::array::from_fn(|verdict| self.verdicts[verdict].load(Ordering::Relaxed))
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_add_up() {
        let tally = Tally::new();
        let mut batch = [0; Verdict::COUNT];
        batch[Verdict::Answered as usize] = 3;
        tally.add(&batch);
        batch[Verdict::Zlb as usize] = 1;
        tally.add(&batch);
        let mut expected = [0; Verdict::COUNT];
        expected[Verdict::Answered as usize] = 6;
        expected[Verdict::Zlb as usize] = 1;
        assert_eq!(tally.counts(), expected);
    }

    #[test]
    fn moments_without_packets_are_counted_apart() {
        let tally = Tally::new();
        tally.add_idle();
        tally.add_idle();
        assert_eq!(tally.idle(), 2);
        assert_eq!(tally.counts(), [0; Verdict::COUNT]);
    }
}
