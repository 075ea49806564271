//! Puts the events of several sources in one order, from what is known of how far each of them
//! has told.
//!
//! Every source is a queue: what it tells later comes later. Its events have a time that was
//! read before they were told, and it is known up to which time it has told everything. So the
//! first event of all is that with the earliest time, once no source without an event in hand
//! can still tell an earlier one.
//!
//! A source may tell an event of an earlier time than one it told before, as the kernel half
//! does, where one CPU reads the clock first and another one tells first. Such an event keeps
//! its place in its source, and comes after everything that was handed on before. That is the
//! order of what caused what: an answer leaves, and a frame is handed over, only after the
//! event was told. What follows from it is of a time after that, which nothing has that was
//! handed on by then.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use broken_lns_ebpf::event::{Event, Kind};

/// An event, and the beginning of the message that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) event: Event,
    pub(super) message: Box<[u8]>,
}

/// A place in the order: a time, and whether it is of what follows from an event, which comes
/// after it also where the clock is coarse.
type Place = (u64, bool);

/// Events that wait for their turn.
#[derive(Debug)]
pub(super) struct Merge {
    sources: Vec<Source>,
    /// The first event of each source that has one: its place in the order, and its source.
    first: BinaryHeap<Reverse<(Place, usize)>>,
    /// Nothing is put before what was handed on.
    handed_on: Place,
    /// Octets that wait.
    octets: usize,
    /// Octets that may wait.
    limit: usize,
}

#[derive(Debug, Default)]
struct Source {
    /// With their places in the order, which never decrease.
    waiting: VecDeque<(Place, Told)>,
    /// What it tells from now on has no earlier place.
    complete_until: Place,
}

impl Merge {
    /// Without sources, and with room for so many octets of events.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            sources: Vec::new(),
            first: BinaryHeap::new(),
            handed_on: (0, false),
            octets: 0,
            limit,
        }
    }

    /// One more source, by the number that is returned.
    pub(super) fn add_source(&mut self) -> usize {
        self.sources.push(Source::default());
        self.sources.len() - 1
    }

    /// The next event of a source.
    pub(super) fn push(&mut self, source: usize, told: Told) {
        let number = source;
        let Some(source) = self.sources.get_mut(number) else {
            return;
        };
        let place = (told.event.time, told.event.kind() != Some(Kind::Heard));
        let place = place.max(source.complete_until).max(self.handed_on);
        source.complete_until = place;
        if source.waiting.is_empty() {
            self.first.push(Reverse((place, number)));
        }
        self.octets += octets(&told);
        source.waiting.push_back((place, told));
    }

    /// All events of a source that are of a time before `until` were pushed.
    pub(super) fn complete(&mut self, source: usize, until: u64) {
        if let Some(source) = self.sources.get_mut(source) {
            source.complete_until = source.complete_until.max((until, false));
        }
    }

    /// Hands on the events whose turn has come. Returns the time before which everything was
    /// handed on.
    pub(super) fn hand_on(&mut self, mut take: impl FnMut(Told)) -> u64 {
        let silent = self.sources.iter().filter(|it| it.waiting.is_empty());
        let settled = silent.map(|it| it.complete_until).min();
        let mut settled = settled.unwrap_or((u64::MAX, true));
        while let Some(&Reverse((place, source))) = self.first.peek()
            && place < settled
        {
            let Some((told, source)) = self.pop(source) else {
                break;
            };
            if source.waiting.is_empty() {
                settled = settled.min(source.complete_until);
            }
            take(told);
        }
        settled.0
    }

    /// Hands on the first event though its turn has not come, where more wait than there is
    /// room for.
    pub(super) fn hand_on_excess(&mut self) -> Option<Told> {
        match self.octets > self.limit {
            true => self.hand_on_next(),
            false => None,
        }
    }

    /// Hands on the first event, where no source tells anything any more.
    pub(super) fn hand_on_next(&mut self) -> Option<Told> {
        let Reverse((_, source)) = *self.first.peek()?;
        self.pop(source).map(|(told, _)| told)
    }

    /// Takes the first event of all, which is of that source.
    fn pop(&mut self, number: usize) -> Option<(Told, &Source)> {
        let source = self.sources.get_mut(number)?;
        let (place, told) = source.waiting.pop_front()?;
        let mut first = self.first.peek_mut()?;
        match source.waiting.front() {
            Some((next, _)) => *first = Reverse((*next, number)),
            None => drop(PeekMut::pop(first)),
        }
        self.handed_on = place;
        self.octets = self.octets.saturating_sub(octets(&told));
        Some((told, source))
    }
}

/// Octets of an event that waits: its place in a queue that may be half empty, and its message.
fn octets(told: &Told) -> usize {
    2 * size_of::<(Place, Told)>() + told.message.len()
}

#[cfg(test)]
#[path = "tests/merge.rs"]
mod tests;
