//! Arrays of counters of the kernel half, as they are read: summed up over all CPUs.

use std::io;
use std::os::fd::AsFd as _;

use aya::maps::{IterableMap as _, Map, MapData, MapError, PerCpuArray};
use aya::util::nr_cpus;

use crate::bpf::lookup_batch;

/// Counters that are read at a time.
const BATCH: u32 = 4096;

/// A per-CPU array of counters.
pub(crate) struct CounterArray {
    array: PerCpuArray<MapData, u64>,
    /// The CPUs that are possible, of each of which the kernel tells.
    cpus: usize,
}

impl CounterArray {
    pub(crate) fn new(map: MapData) -> Result<Self, MapError> {
        let cpus = nr_cpus().map_err(|(_, cause)| MapError::IoError(cause))?;
        Ok(Self {
            array: Map::PerCpuArray(map).try_into()?,
            cpus,
        })
    }

    /// The same array once more.
    pub(crate) fn try_clone(&self) -> Result<Self, MapError> {
        let fd = self.array.map().fd().as_fd().try_clone_to_owned();
        let map = MapData::from_fd(fd.map_err(MapError::IoError)?)?;
        Self::new(map)
    }

    /// One counter.
    pub(crate) fn sum(&self, index: u32) -> Result<u64, MapError> {
        Ok(self.sums(index, 1)?.iter().sum())
    }

    /// `count` counters from the number `first` on, in a few system calls. No file is opened for
    /// it, so that it goes on where there are too many open ones.
    pub(crate) fn sums(&self, first: u32, count: u32) -> Result<Vec<u64>, MapError> {
        let mut sums = Vec::with_capacity(count as usize);
        let room = count.min(BATCH) as usize;
        let mut keys = vec![0; room];
        let mut values = vec![0_u64; room * self.cpus];
        let end = first.saturating_add(count);
        let mut next = first;
        while next < end {
            let len = (end - next).min(BATCH);
            keys.truncate(len as usize);
            values.truncate(len as usize * self.cpus);
            match self.read(next, &mut keys, &mut values) {
                Ok(()) => sums.extend(values.chunks_exact(self.cpus).map(total)),
                // The kernel has no batches, or no memory for one.
                Err(_) => self.read_each(next, len, &mut sums)?,
            }
            next += len;
        }
        Ok(sums)
    }

    fn read(&self, first: u32, keys: &mut [u32], values: &mut [u64]) -> io::Result<()> {
        let map = self.array.map().fd().as_fd();
        // SAFETY: aya saw that the map is a per-CPU array of 8 octets each, of which the kernel
        // has one for each possible CPU.
        unsafe { lookup_batch(map, first, keys, values, self.cpus) }
    }

    /// The same by one system call for each.
    fn read_each(&self, first: u32, count: u32, sums: &mut Vec<u64>) -> Result<(), MapError> {
        for index in first..first.saturating_add(count) {
            sums.push(total(&self.array.get(&index, 0)?));
        }
        Ok(())
    }
}

/// A counter over all CPUs.
fn total(counts: &[u64]) -> u64 {
    counts.iter().copied().fold(0, u64::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_all_cpus_are_added_up() {
        assert_eq!(total(&[1, 2, 3]), 6);
        assert_eq!(total(&[]), 0);
    }
}
