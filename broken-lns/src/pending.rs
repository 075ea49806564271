//! What is due later: debts by the time at which they are due, of a bounded number.
//!
//! An implicit binary heap holds the order, and a slab what is owed, so that only
//! 16 octets move within the heap however large a reply is. A timer wheel would
//! take the same time at any number, but it tells a due time only up to its tick,
//! and finds the debt to drop only by a search. The heap is exact. To take one
//! debt of a million and owe another measured 0.1 us where all delays are the
//! same, since a push leaves the heap as it is then, and 0.7 us where they are
//! picked at random; wider heaps were no faster.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

/// Debts by due time; debts that are due at the same time keep their order.
///
/// All memory is reserved at construction. The system provides it as far as it
/// was used, which is for the most debts there ever were at a time.
#[derive(Debug)]
pub struct Pending<T> {
    order: BinaryHeap<Reverse<Debt>>,
    /// What is owed; `None` in the slots that are free.
    owed: Vec<Option<T>>,
    free: Vec<u32>,
    capacity: usize,
    pushed: u32,
}

/// One debt: due time, number and slot, in one word that is ordered by due time
/// and then by age. Numbers wrap, so that two debts of one time change places
/// every 2^32 debts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Debt(u128);

impl Debt {
    fn new(due: u64, number: u32, slot: u32) -> Self {
        Self(u128::from(due) << 64 | u128::from(number) << 32 | u128::from(slot))
    }

    fn due(self) -> u64 {
        (self.0 >> 64) as u64
    }

    fn slot(self) -> u32 {
        self.0 as u32
    }
}

impl<T> Pending<T> {
    /// No debts, and room for `capacity`.
    pub fn new(capacity: NonZeroU32) -> Self {
        let capacity = capacity.get() as usize;
        Self {
            order: BinaryHeap::with_capacity(capacity),
            owed: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            capacity,
            pushed: 0,
        }
    }

    /// Owes `reply` from `due` on, a monotonic time in nanoseconds.
    ///
    /// At the bound the debt that is due first is dropped and returned, for the
    /// caller to count. That may be the new one.
    #[must_use = "a debt that is dropped has to be counted"]
    pub fn push(&mut self, due: u64, reply: T) -> Option<T> {
        let mut dropped = None;
        if self.order.len() >= self.capacity {
            if self.next_due().is_none_or(|first| due < first) {
                return Some(reply);
            }
            dropped = self.pop();
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                // The capacity has 32 bits, and so has every slot below it.
                let slot = self.owed.len() as u32;
                self.owed.push(None);
                slot
            }
        };
        if let Some(place) = self.owed.get_mut(slot as usize) {
            *place = Some(reply);
        }
        self.order.push(Reverse(Debt::new(due, self.pushed, slot)));
        self.pushed = self.pushed.wrapping_add(1);
        dropped
    }

    /// The next debt that is due at `now` or before, a monotonic time in nanoseconds.
    pub fn pop_due(&mut self, now: u64) -> Option<T> {
        if self.next_due()? > now {
            return None;
        }
        self.pop()
    }

    /// When the next debt is due.
    pub fn next_due(&self) -> Option<u64> {
        self.order.peek().map(|Reverse(debt)| debt.due())
    }

    /// How many debts there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// How many debts there can be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The debt that is due first.
    fn pop(&mut self) -> Option<T> {
        let Reverse(debt) = self.order.pop()?;
        self.free.push(debt.slot());
        self.owed.get_mut(debt.slot() as usize)?.take()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pending<T>(capacity: u32) -> Pending<T> {
        Pending::new(NonZeroU32::new(capacity).expect("not zero"))
    }

    fn all<T>(pending: &mut Pending<T>) -> Vec<T> {
        std::iter::from_fn(|| pending.pop_due(u64::MAX)).collect()
    }

    #[test]
    fn debts_come_when_they_are_due() {
        let mut pending = pending(4);
        for (due, reply) in [(30, "late"), (10, "first"), (20, "second")] {
            assert_eq!(pending.push(due, reply), None);
        }
        assert_eq!((pending.len(), pending.next_due()), (3, Some(10)));
        assert_eq!(pending.pop_due(9), None);
        assert_eq!(pending.pop_due(10), Some("first"));
        assert_eq!(pending.pop_due(10), None);
        assert_eq!(pending.pop_due(100), Some("second"));
        assert_eq!(pending.pop_due(100), Some("late"));
        assert_eq!(pending.pop_due(u64::MAX), None);
        assert!(pending.is_empty() && pending.next_due().is_none());
    }

    #[test]
    fn debts_of_one_time_keep_their_order() {
        let mut pending = pending(100);
        for reply in 0..100 {
            assert_eq!(pending.push(7, reply), None);
        }
        assert_eq!(all(&mut pending), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn at_the_bound_the_debt_that_is_due_first_is_dropped() {
        let mut pending = pending(2);
        assert_eq!(pending.push(10, "first"), None);
        assert_eq!(pending.push(20, "second"), None);
        assert_eq!(pending.push(30, "third"), Some("first"));
        assert_eq!(pending.push(19, "too early"), Some("too early"));
        assert_eq!(pending.push(20, "fourth"), Some("second"));
        assert_eq!((pending.len(), pending.capacity()), (2, 2));
        assert_eq!(all(&mut pending), ["fourth", "third"]);
    }

    #[test]
    fn memory_is_only_reserved_once() {
        let mut pending = pending(1000);
        let reserved = |pending: &Pending<u64>| {
            (
                pending.order.capacity(),
                pending.owed.capacity(),
                pending.free.capacity(),
            )
        };
        let before = reserved(&pending);
        for turn in 0..10_000 {
            let _ = pending.push(turn * 7919 % 5000, turn);
            if turn % 3 == 0 {
                pending.pop_due(turn);
            }
        }
        assert_eq!(reserved(&pending), before);
    }

    #[test]
    fn a_million_debts_are_kept() {
        let mut pending = pending(1_000_000);
        for number in 0..1_000_000u64 {
            assert_eq!(pending.push(number * 7919 % 1_000_003, number), None);
        }
        assert_eq!(pending.len(), 1_000_000);
        let first = (0..1000).map(|_| pending.pop_due(u64::MAX));
        let dues = first.map(|number| number.map(|number| number * 7919 % 1_000_003));
        assert!(dues.is_sorted());
    }

    /// What is done to debts in the test below.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Push { due: u64 },
        Pop { now: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..50u64).prop_map(|due| Step::Push { due }),
            1 => any::<u64>().prop_map(|due| Step::Push { due }),
            3 => (0..60u64).prop_map(|now| Step::Pop { now }),
            1 => Just(Step::Pop { now: u64::MAX }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn it_is_a_sorted_list(capacity in 1u32..20, steps in prop::collection::vec(step(), 0..200)) {
            let mut pending = pending(capacity);
            let mut list: Vec<(u64, usize)> = Vec::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push { due } => {
                        let behind = list.partition_point(|(other, _)| *other <= due);
                        list.insert(behind, (due, number));
                        let full = list.len() > capacity as usize;
                        let dropped = full.then(|| list.remove(0).1);
                        prop_assert_eq!(pending.push(due, number), dropped);
                    }
                    Step::Pop { now } => {
                        let due = list.first().is_some_and(|(due, _)| *due <= now);
                        let popped = due.then(|| list.remove(0).1);
                        prop_assert_eq!(pending.pop_due(now), popped);
                    }
                }
                prop_assert_eq!(pending.len(), list.len());
                prop_assert_eq!(pending.next_due(), list.first().map(|(due, _)| *due));
            }
        }
    }
}
