//! A table of a bounded number of entries that forgets the one that was used least recently.
//!
//! Entries lie in a slab, linked in the order of their use. An index finds them:
//! open addressing with linear probing, half full at the most, whose gaps are
//! closed as entries leave, so that no rebuilding is ever due. No operation
//! allocates, and each takes the same time at any number of entries.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;

/// Values by key. The keys are hashed with a secret, for those who pick them
/// may be strangers.
///
/// All memory is reserved at construction. The system provides it as far as it
/// was used, which is for the most entries there ever were at a time, apart from
/// the index with its 16 to 32 octets an entry.
#[derive(Debug)]
pub struct Lru<K, V> {
    hasher: RandomState,
    index: Index,
    entries: Vec<Entry<K, V>>,
    capacity: usize,
    len: usize,
    /// The entry that was used last, and the one whose use is the longest ago.
    newest: u32,
    oldest: u32,
    /// The first of the free entries, which are linked by `older`.
    free: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    newer: u32,
    older: u32,
}

/// No entry; the capacity has 32 bits, so that no slot is as high as this.
const NONE: u32 = u32::MAX;

impl<K: Copy + Eq + Hash, V: Copy> Lru<K, V> {
    /// An empty table with room for `capacity` entries.
    pub fn new(capacity: NonZeroU32) -> Self {
        let capacity = capacity.get() as usize;
        Self {
            hasher: RandomState::new(),
            index: Index::new(capacity),
            entries: Vec::with_capacity(capacity),
            capacity,
            len: 0,
            newest: NONE,
            oldest: NONE,
            free: NONE,
        }
    }

    /// The value of a key, which counts as a use of it.
    pub fn get(&mut self, key: &K) -> Option<V> {
        let slot = self.find(self.tag(key), key)?;
        self.renew(slot);
        self.entry(slot).map(|entry| entry.value)
    }

    /// Puts a value under a key, in place of the one that it had.
    ///
    /// At the bound the entry whose use is the longest ago is forgotten and returned.
    pub fn put(&mut self, key: K, value: V) -> Option<(K, V)> {
        let tag = self.tag(&key);
        if let Some(slot) = self.find(tag, &key) {
            self.renew(slot);
            if let Some(entry) = self.entry_mut(slot) {
                entry.value = value;
            }
            return None;
        }
        let forgotten = match self.len >= self.capacity {
            true => self.pop_oldest(),
            false => None,
        };
        let entry = Entry {
            key,
            value,
            newer: NONE,
            older: NONE,
        };
        let slot = self.free;
        let slot = match self.entry_mut(slot) {
            Some(place) => {
                let next = place.older;
                *place = entry;
                self.free = next;
                slot
            }
            None => {
                self.entries.push(entry);
                // The capacity has 32 bits, and so has every slot below it.
                (self.entries.len() - 1) as u32
            }
        };
        self.link(slot);
        self.index.insert(tag, slot);
        self.len += 1;
        forgotten
    }

    /// Takes a key and its value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let tag = self.tag(key);
        let slot = self.find(tag, key)?;
        self.index.remove(tag, slot);
        self.unlink(slot);
        self.len -= 1;
        let free = std::mem::replace(&mut self.free, slot);
        let entry = self.entry_mut(slot)?;
        entry.older = free;
        Some(entry.value)
    }

    /// Takes the entry out whose use is the longest ago.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        if self.len == 0 {
            return None;
        }
        let key = self.entry(self.oldest)?.key;
        self.remove(&key).map(|value| (key, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many entries there can be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    fn tag(&self, key: &K) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }

    fn find(&self, tag: u32, key: &K) -> Option<u32> {
        self.index.find(tag, |slot| {
            self.entry(slot).is_some_and(|entry| entry.key == *key)
        })
    }

    fn entry(&self, slot: u32) -> Option<&Entry<K, V>> {
        self.entries.get(slot as usize)
    }

    fn entry_mut(&mut self, slot: u32) -> Option<&mut Entry<K, V>> {
        self.entries.get_mut(slot as usize)
    }

    /// Makes an entry the newest one.
    fn renew(&mut self, slot: u32) {
        if self.newest != slot {
            self.unlink(slot);
            self.link(slot);
        }
    }

    /// Links an entry as the newest one.
    fn link(&mut self, slot: u32) {
        let older = std::mem::replace(&mut self.newest, slot);
        if let Some(entry) = self.entry_mut(slot) {
            entry.newer = NONE;
            entry.older = older;
        }
        match self.entry_mut(older) {
            Some(entry) => entry.newer = slot,
            None => self.oldest = slot,
        }
    }

    /// Links the neighbours of an entry with each other.
    fn unlink(&mut self, slot: u32) {
        let Some(&Entry { newer, older, .. }) = self.entry(slot) else {
            return;
        };
        match self.entry_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
        match self.entry_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
    }
}

/// Where entries are, by 32 bits of the hashes of their keys, the tags.
///
/// A cell holds a tag in its high half and one more than a slot in its low half,
/// or is 0. A tag belongs into the cell of its low bits; it is in that one or in
/// one behind it, with no empty cell between.
#[derive(Debug)]
struct Index {
    cells: Vec<u64>,
    mask: usize,
}

impl Index {
    /// An empty index, which stays at least half empty with `capacity` entries.
    fn new(capacity: usize) -> Self {
        let len = (capacity * 2).next_power_of_two();
        Self {
            // Zeros, so that the system provides the memory as it is used.
            cells: vec![0; len],
            mask: len - 1,
        }
    }

    /// The slot with that tag which `is` the right one.
    fn find(&self, tag: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mut at = tag as usize & self.mask;
        loop {
            let cell = self.cell(at);
            let slot = slot_of(cell)?;
            if tag_of(cell) == tag && is(slot) {
                return Some(slot);
            }
            at = (at + 1) & self.mask;
        }
    }

    fn insert(&mut self, tag: u32, slot: u32) {
        let mut at = tag as usize & self.mask;
        while self.cell(at) != 0 {
            at = (at + 1) & self.mask;
        }
        self.set(at, u64::from(tag) << 32 | (u64::from(slot) + 1));
    }

    fn remove(&mut self, tag: u32, slot: u32) {
        let gone = u64::from(tag) << 32 | (u64::from(slot) + 1);
        let mut gap = tag as usize & self.mask;
        while self.cell(gap) != gone {
            if self.cell(gap) == 0 {
                return;
            }
            gap = (gap + 1) & self.mask;
        }
        // A cell behind the gap moves into it, unless it belongs behind it.
        let mut at = gap;
        loop {
            at = (at + 1) & self.mask;
            let cell = self.cell(at);
            if cell == 0 {
                break;
            }
            let home = tag_of(cell) as usize & self.mask;
            if at.wrapping_sub(home) & self.mask >= at.wrapping_sub(gap) & self.mask {
                self.set(gap, cell);
                gap = at;
            }
        }
        self.set(gap, 0);
    }

    fn cell(&self, at: usize) -> u64 {
        self.cells.get(at).copied().unwrap_or(0)
    }

    fn set(&mut self, at: usize, cell: u64) {
        if let Some(place) = self.cells.get_mut(at) {
            *place = cell;
        }
    }
}

fn tag_of(cell: u64) -> u32 {
    (cell >> 32) as u32
}

fn slot_of(cell: u64) -> Option<u32> {
    (cell as u32).checked_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table<K: Copy + Eq + Hash, V: Copy>(capacity: u32) -> Lru<K, V> {
        Lru::new(NonZeroU32::new(capacity).expect("not zero"))
    }

    #[test]
    fn a_value_is_found_by_its_key() {
        let mut table = table(4);
        assert_eq!(table.put("one", 1), None);
        assert_eq!(table.put("two", 2), None);
        assert_eq!(table.put("one", 11), None);
        assert_eq!(table.get(&"one"), Some(11));
        assert_eq!(table.get(&"two"), Some(2));
        assert_eq!(table.get(&"three"), None);
        assert_eq!((table.len(), table.capacity()), (2, 4));
        assert_eq!(table.remove(&"one"), Some(11));
        assert_eq!(table.remove(&"one"), None);
        assert_eq!(table.get(&"one"), None);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn at_the_bound_the_entry_used_least_recently_is_forgotten() {
        let mut table = table(3);
        for key in [1, 2, 3] {
            assert_eq!(table.put(key, ()), None);
        }
        assert_eq!(table.get(&1), Some(()));
        assert_eq!(table.put(2, ()), None);
        assert_eq!(table.put(4, ()), Some((3, ())));
        assert_eq!(table.put(5, ()), Some((1, ())));
        assert_eq!(table.remove(&4), Some(()));
        assert_eq!(table.put(6, ()), None);
        assert_eq!(table.put(7, ()), Some((2, ())));
        assert_eq!(table.pop_oldest(), Some((5, ())));
        assert_eq!(table.pop_oldest(), Some((6, ())));
        assert_eq!(table.pop_oldest(), Some((7, ())));
        assert_eq!(table.pop_oldest(), None);
    }

    #[test]
    fn gaps_in_the_index_are_closed() {
        let mut index = Index::new(4);
        let found = |index: &Index, tag, slot| index.find(tag, |found| found == slot);
        // Eight cells: the first three tags belong into the last cell, and go on in the first.
        for (slot, tag) in [(0, 7), (1, 15), (2, 23), (3, 0)] {
            index.insert(tag, slot);
        }
        index.remove(7, 0);
        assert_eq!(found(&index, 7, 0), None);
        for (slot, tag) in [(1, 15), (2, 23), (3, 0)] {
            assert_eq!(found(&index, tag, slot), Some(slot));
        }
        index.remove(23, 2);
        index.remove(23, 2);
        assert_eq!(found(&index, 0, 3), Some(3));
        assert_eq!(index.cells.iter().filter(|cell| **cell != 0).count(), 2);
        assert_eq!(index.cell(0), 4);
    }

    #[test]
    fn memory_is_only_reserved_once() {
        let mut table = table(100);
        let before = (table.entries.capacity(), table.index.cells.capacity());
        for key in 0..10_000u32 {
            table.put(key, key);
            if key % 3 == 0 {
                table.remove(&(key / 2));
            }
        }
        let after = (table.entries.capacity(), table.index.cells.capacity());
        assert_eq!(before, after);
    }

    /// What is done to a table in the test below, with a key.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Get(u8),
        Put(u8),
        Remove(u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = 0..24u8;
        prop_oneof![
            1 => key.clone().prop_map(Step::Get),
            3 => key.clone().prop_map(Step::Put),
            1 => key.prop_map(Step::Remove),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn it_is_a_list_in_order_of_use(capacity in 1u32..16, steps in prop::collection::vec(step(), 0..300)) {
            let mut table = table(capacity);
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (value, step) in steps.into_iter().enumerate() {
                let mut take = |key| {
                    let at = list.iter().position(|(other, _)| *other == key)?;
                    Some(list.remove(at))
                };
                match step {
                    Step::Get(key) => {
                        let entry = take(key);
                        list.extend(entry);
                        prop_assert_eq!(table.get(&key), entry.map(|(_, value)| value));
                    }
                    Step::Put(key) => {
                        take(key);
                        list.push((key, value));
                        let full = list.len() > capacity as usize;
                        let forgotten = full.then(|| list.remove(0));
                        prop_assert_eq!(table.put(key, value), forgotten);
                    }
                    Step::Remove(key) => {
                        let entry = take(key);
                        prop_assert_eq!(table.remove(&key), entry.map(|(_, value)| value));
                    }
                }
                prop_assert_eq!(table.len(), list.len());
            }
        }
    }
}
