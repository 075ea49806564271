//! Where events wait, and how they are taken from there.

use broken_lns_ebpf::event::Event;

use super::clock::Clock;
use super::watch::Watch;
use crate::program::Events;

/// Events that are taken from an interface at a time.
const BATCH: usize = 4096;

/// The events of all interfaces.
pub(super) struct Intake {
    clock: Clock,
    interfaces: Vec<Interface>,
    batch: Batch,
    /// The events that were known to be lost the last time.
    lost: u64,
}

/// What waits of one interface.
struct Interface {
    events: Events,
    /// What it had lost the last time.
    lost: u64,
}

/// Events that were taken, and are not looked at yet.
#[derive(Debug, Default)]
struct Batch {
    octets: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// When the last one was made.
    last: u64,
}

impl Intake {
    /// Nothing waits yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            interfaces: Vec::new(),
            batch: Batch::default(),
            lost: 0,
        }
    }

    /// Takes the events of one more interface.
    pub(super) fn add(&mut self, events: Events) {
        self.interfaces.push(Interface { events, lost: 0 });
    }

    /// Takes a batch of each interface and has it looked at. Returns whether there was no more.
    pub(super) fn turn(&mut self, watch: &mut Watch) -> bool {
        self.batch.clear();
        // The time is read before what waits, so that whatever was told by then has been taken
        // once there is no more.
        let clock = self.clock;
        let mut complete_until = clock.now();
        let mut was_all = true;
        for Interface { events, .. } in &mut self.interfaces {
            if !events.take(BATCH, |octets| self.batch.push(octets)) {
                was_all = false;
                complete_until = complete_until.min(clock.at(self.batch.last));
            }
        }
        // Only now: what got lost before one of these events is told before it is looked at.
        for Interface { events, lost } in &mut self.interfaces {
            // The kernel always tells; if it did not, the next turn would make up for it.
            *lost = events.lost().unwrap_or(*lost);
        }
        let lost = self.interfaces.iter().map(|interface| interface.lost).sum();
        watch.lost(lost - self.lost, clock.now());
        self.lost = lost;
        for (mut event, message) in self.batch.events() {
            event.time = clock.at(event.time);
            watch.observe(&event, message);
        }
        watch.advance(complete_until);
        was_all
    }
}

impl Batch {
    fn clear(&mut self) {
        self.octets.clear();
        self.ends.clear();
    }

    fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
        self.ends.push(self.octets.len());
        if let Some((event, _)) = Event::from_octets(octets) {
            self.last = event.time;
        }
    }

    /// The events, each with the beginning of its message.
    fn events(&self) -> impl Iterator<Item = (Event, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let octets = starts
            .zip(&self.ends)
            .filter_map(|(start, end)| self.octets.get(start..*end));
        octets.filter_map(Event::from_octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_into_it() {
        let mut batch = Batch::default();
        let octets = |first: u8, more: usize| {
            let mut octets = vec![0; Event::LEN];
            octets[0] = first;
            octets.extend(std::iter::repeat_n(first, more));
            octets
        };
        for (first, more) in [(1, 0), (2, 128), (3, 0)] {
            batch.push(&octets(first, more));
        }
        // What is too short is no event.
        batch.push(&[9; Event::LEN - 1]);
        let taken: Vec<_> = batch.events().collect();
        let expected: Vec<(u64, &[u8])> = vec![(1, &[]), (2, &[2; 128]), (3, &[])];
        let got: Vec<_> = taken
            .iter()
            .map(|(event, message)| (u64::from_le(event.time), *message))
            .collect();
        assert_eq!(got, expected);
        assert_eq!(u64::from_le(batch.last), 3);
        batch.clear();
        assert_eq!(batch.events().count(), 0);
    }
}
