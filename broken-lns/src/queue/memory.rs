//! How much memory a worker takes: by how many of them an interface has.

use crate::af_xdp::FRAME_LEN;

/// Entries of each ring of a worker, where few workers share the memory: the packets that may wait
/// for it, which has as many in hand at the most.
pub const RING_LEN_MAX: u32 = 2048;
/// Entries of each ring that a worker has in any case.
const RING_LEN_MIN: u32 = 256;
/// Entries of a ring over all workers of an interface, beyond which each gets fewer. The frames of
/// all of them take 256 MiB then.
const RING_LEN_TOTAL: u32 = 32_768;

/// Entries of each ring of a worker on an interface with so many workers: a power of two, and no
/// less than a batch of `batch_size` frames needs.
pub fn ring_len(workers: u32, batch_size: u32) -> u32 {
    let share = RING_LEN_TOTAL / workers.max(1);
    let share = share.checked_ilog2().map_or(0, |exponent| 1 << exponent);
    let batch = batch_size.min(RING_LEN_MAX).next_power_of_two();
    share.clamp(RING_LEN_MIN, RING_LEN_MAX).max(batch)
}

/// Frames of a worker: enough to fill the fill ring and the tx ring.
pub(super) const fn frames(ring_len: u32) -> u32 {
    2 * ring_len
}

/// Octets of memory that a worker locks for them.
pub const fn umem_len(ring_len: u32) -> u64 {
    frames(ring_len) as u64 * FRAME_LEN as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_workers_share_the_memory_of_a_few() {
        const MIB: u64 = 1 << 20;
        for (workers, batch_size, ring, memory) in [
            (1, 256, 2048, 16 * MIB),
            (16, 256, 2048, 256 * MIB),
            (17, 256, 1024, 136 * MIB),
            (64, 256, 512, 256 * MIB),
            (128, 256, 256, 256 * MIB),
            (256, 256, 256, 512 * MIB),
            (256, 1, 256, 512 * MIB),
            (256, 300, 512, 1024 * MIB),
            (64, 2048, 2048, 1024 * MIB),
            (0, 256, 2048, 0),
        ] {
            let len = ring_len(workers, batch_size);
            assert_eq!(
                (len, u64::from(workers) * umem_len(len)),
                (ring, memory),
                "{workers} workers, batches of {batch_size}"
            );
        }
    }
}
