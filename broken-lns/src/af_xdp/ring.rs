//! A ring of an AF_XDP socket: entries that one side puts in and the other takes out.
//!
//! Both cursors count entries ever put in and ever taken out, modulo 2^32; an
//! entry stands at its number modulo the length, a power of two. So the number
//! of entries in a ring is the difference of the cursors, before and after they
//! wrap alike. This side writes one cursor and the kernel the other, each after
//! the entries that it speaks of.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use super::mapping::Mapping;

/// The side that puts entries in.
#[derive(Debug)]
pub(crate) struct Producer<T>(Ring<T>);

/// The side that takes entries out.
#[derive(Debug)]
pub(crate) struct Consumer<T>(Ring<T>);

#[derive(Debug)]
struct Ring<T> {
    /// The cursor of this side, which nobody else writes.
    own: u32,
    /// The other side's cursor when it was last looked at.
    other: u32,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    flags: NonNull<AtomicU32>,
    entries: NonNull<T>,
    len: u32,
    /// What the pointers point into.
    _memory: Mapping,
    _entries: PhantomData<T>,
}

// SAFETY: a ring owns its memory, and the pointers point into that.
unsafe impl<T: Send> Send for Ring<T> {}

/// What can stand in a ring: every bit pattern is a value.
pub(crate) trait Entry: Copy {}
impl Entry for u64 {}
impl Entry for libc::xdp_desc {}

impl<T: Entry> Ring<T> {
    /// The ring of `len` entries, a power of two, that lies in `memory` as `at` says; `None`
    /// where it would not lie in there, or would be misaligned.
    fn new(memory: Mapping, at: &libc::xdp_ring_offset, len: u32) -> Option<Self> {
        let place = |offset: u64, octets: usize, align: usize| {
            let offset = usize::try_from(offset).ok()?;
            let fits = offset.checked_add(octets)? <= memory.len() && offset.is_multiple_of(align);
            // SAFETY: the offset is within the mapping, as was just seen.
            fits.then(|| unsafe { memory.start().add(offset) })
        };
        let word = |offset| Some(place(offset, size_of::<u32>(), align_of::<u32>())?.cast());
        let octets = size_of::<T>().checked_mul(len as usize)?;
        let ring = Self {
            own: 0,
            other: 0,
            producer: word(at.producer)?,
            consumer: word(at.consumer)?,
            flags: word(at.flags)?,
            entries: place(at.desc, octets, align_of::<T>())?.cast(),
            len: Some(len).filter(|len| len.is_power_of_two())?,
            _memory: memory,
            _entries: PhantomData,
        };
        Some(ring)
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: `new` saw that the word lies in the memory, which lives as long
        // as the ring; the kernel writes it as an atomic word, too.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as for the other cursor.
        unsafe { self.consumer.as_ref() }
    }

    /// Where the entry of this number stands.
    fn entry(&self, number: u32) -> NonNull<T> {
        let index = number & (self.len - 1);
        // SAFETY: the index is below the length, and `new` saw that so many entries
        // lie in the memory.
        unsafe { self.entries.add(index as usize) }
    }
}

impl<T: Entry> Producer<T> {
    /// This side of the ring that lies in `memory` as `at` says, with `len` entries;
    /// `None` where it would not lie in there.
    pub(crate) fn new(memory: Mapping, at: &libc::xdp_ring_offset, len: u32) -> Option<Self> {
        let mut ring = Ring::new(memory, at, len)?;
        ring.own = ring.producer().load(Ordering::Relaxed);
        ring.other = ring.own;
        Some(Self(ring))
    }

    /// How many entries can be put in.
    pub(crate) fn room(&mut self) -> u32 {
        let ring = &mut self.0;
        ring.other = ring.consumer().load(Ordering::Acquire);
        ring.len.saturating_sub(ring.own.wrapping_sub(ring.other))
    }

    /// Puts entries in as long as there is room and `next` has one; returns how many.
    pub(crate) fn put(&mut self, mut next: impl FnMut() -> Option<T>) -> u32 {
        let room = self.room();
        let ring = &mut self.0;
        let mut put = 0;
        while put < room
            && let Some(entry) = next()
        {
            // SAFETY: the entry is in the ring's memory, and the other side does
            // not look at it before the cursor is moved over it.
            unsafe { ring.entry(ring.own.wrapping_add(put)).write(entry) };
            put += 1;
        }
        if put > 0 {
            ring.own = ring.own.wrapping_add(put);
            ring.producer().store(ring.own, Ordering::Release);
        }
        put
    }

    /// Whether the kernel wants to be told of new entries.
    pub(crate) fn needs_wakeup(&self) -> bool {
        // SAFETY: as for the cursors.
        let flags = unsafe { self.0.flags.as_ref() };
        flags.load(Ordering::Relaxed) & libc::XDP_RING_NEED_WAKEUP != 0
    }
}

impl<T: Entry> Consumer<T> {
    /// This side of the ring that lies in `memory` as `at` says, with `len` entries;
    /// `None` where it would not lie in there.
    pub(crate) fn new(memory: Mapping, at: &libc::xdp_ring_offset, len: u32) -> Option<Self> {
        let mut ring = Ring::new(memory, at, len)?;
        ring.own = ring.consumer().load(Ordering::Relaxed);
        ring.other = ring.own;
        Some(Self(ring))
    }

    /// Whether there is nothing to be taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.producer().load(Ordering::Relaxed) == self.0.own
    }

    /// Takes up to `limit` entries and gives them to `each`; returns how many.
    pub(crate) fn take(&mut self, limit: u32, mut each: impl FnMut(T)) -> u32 {
        let ring = &mut self.0;
        ring.other = ring.producer().load(Ordering::Acquire);
        let taken = limit.min(ring.other.wrapping_sub(ring.own)).min(ring.len);
        for number in 0..taken {
            // SAFETY: the entry is in the ring's memory, and the other side wrote
            // it before it moved the cursor over it.
            each(unsafe { ring.entry(ring.own.wrapping_add(number)).read() });
        }
        if taken > 0 {
            ring.own = ring.own.wrapping_add(taken);
            ring.consumer().store(ring.own, Ordering::Release);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    const LEN: u32 = 8;
    const AT: libc::xdp_ring_offset = libc::xdp_ring_offset {
        producer: 0,
        consumer: 64,
        desc: 192,
        flags: 128,
    };

    /// Both sides of one ring whose cursors stand at `cursor`.
    struct Both {
        producer: Producer<u64>,
        consumer: Consumer<u64>,
    }

    impl Both {
        fn at(cursor: u32) -> Self {
            let memory = Mapping::anonymous(4096).unwrap();
            let start = memory.start();
            let [producer, consumer] = [AT.producer, AT.consumer].map(|offset| {
                // SAFETY: both words lie in the page.
                unsafe { start.add(offset as usize).cast::<AtomicU32>().as_ref() }
            });
            producer.store(cursor, Ordering::Relaxed);
            consumer.store(cursor, Ordering::Relaxed);
            let producer = Producer::new(memory, &AT, LEN).unwrap();
            // The other side has the same pointers, and memory of its own to hold.
            let mut other = Ring::new(Mapping::anonymous(4096).unwrap(), &AT, LEN).unwrap();
            (other.own, other.other) = (cursor, cursor);
            other.producer = producer.0.producer;
            other.consumer = producer.0.consumer;
            other.entries = producer.0.entries;
            Self {
                producer,
                consumer: Consumer(other),
            }
        }

        fn put(&mut self, entries: impl IntoIterator<Item = u64>) -> u32 {
            let mut entries = entries.into_iter();
            self.producer.put(|| entries.next())
        }

        fn take(&mut self, limit: u32) -> Vec<u64> {
            let mut taken = Vec::new();
            let count = self.consumer.take(limit, |entry| taken.push(entry));
            assert_eq!(count as usize, taken.len());
            taken
        }
    }

    #[test]
    fn a_full_ring_takes_no_more_and_an_empty_one_gives_none() {
        let mut ring = Both::at(0);
        assert!(ring.consumer.is_empty() && ring.take(1).is_empty());
        assert_eq!(ring.put(1..=100), LEN);
        assert_eq!((ring.producer.room(), ring.put([9])), (0, 0));
        assert_eq!(ring.take(3), [1, 2, 3]);
        assert_eq!((ring.producer.room(), ring.put([9, 10])), (3, 2));
        assert_eq!(ring.take(100), [4, 5, 6, 7, 8, 9, 10]);
        assert!(ring.consumer.is_empty());
    }

    #[test]
    fn an_entry_that_has_no_room_is_not_asked_for() {
        let mut ring = Both::at(0);
        let mut asked = 0;
        ring.producer.put(|| {
            asked += 1;
            Some(asked)
        });
        assert_eq!(asked, u64::from(LEN));
    }

    #[test]
    fn the_cursors_cross_2_to_the_32() {
        let mut ring = Both::at(u32::MAX - 2);
        for round in 0..4 {
            let entries: Vec<u64> = (0..6).map(|entry| round * 6 + entry).collect();
            assert_eq!(ring.put(entries.iter().copied()), 6);
            assert_eq!(ring.producer.room(), 2);
            assert_eq!(ring.take(LEN), entries);
            assert_eq!(ring.producer.room(), LEN);
        }
        assert_eq!(ring.producer.0.own, 21);
    }

    /// What an interpreter that knows the memory model, or a sanitizer, has to look at.
    #[test]
    fn an_entry_is_there_when_its_cursor_says_so() {
        // A few times round, and over the end of the cursors.
        const ENTRIES: u64 = 5 * LEN as u64;
        let Both {
            mut producer,
            mut consumer,
        } = Both::at(u32::MAX - LEN);
        let taken = std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut next = 0;
                while next < ENTRIES {
                    producer.put(|| {
                        let entry = next;
                        next += u64::from(entry < ENTRIES);
                        (entry < ENTRIES).then_some(entry)
                    });
                    std::thread::yield_now();
                }
            });
            let mut taken = Vec::new();
            while taken.len() < ENTRIES as usize {
                consumer.take(3, |entry| taken.push(entry));
                std::thread::yield_now();
            }
            taken
        });
        assert!(taken.into_iter().eq(0..ENTRIES));
    }

    #[test]
    fn a_ring_that_does_not_lie_in_its_memory_is_refused() {
        let memory = || Mapping::anonymous(4096).unwrap();
        let with = |change: fn(&mut libc::xdp_ring_offset), len| {
            let mut at = AT;
            change(&mut at);
            Consumer::<u64>::new(memory(), &at, len).is_some()
        };
        assert!(with(|_| {}, LEN));
        assert!(with(|_| {}, 256));
        assert!(!with(|_| {}, 512), "too long for a page");
        assert!(!with(|_| {}, 7), "no power of two");
        assert!(!with(|_| {}, 0));
        assert!(!with(|at| at.producer = 4093, LEN));
        assert!(!with(|at| at.consumer = 2, LEN), "misaligned");
        assert!(!with(|at| at.desc = u64::MAX, LEN));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out_in_order(
            start: u32,
            steps in prop::collection::vec((0u32..12, 0u32..12), 1..60),
        ) {
            let mut ring = Both::at(start);
            let mut model = VecDeque::new();
            let mut next = 0u64;
            for (put, take) in steps {
                let fits = put.min(LEN - model.len() as u32);
                prop_assert_eq!(ring.put((0..u64::from(put)).map(|entry| next + entry)), fits);
                model.extend((0..u64::from(fits)).map(|entry| next + entry));
                next += u64::from(fits);
                let expected: Vec<u64> = model.drain(..model.len().min(take as usize)).collect();
                prop_assert_eq!(ring.take(take), expected);
            }
        }
    }
}
