//! Where events wait, and how they are taken from there.

use std::ops::Range;
use std::sync::mpsc::Receiver;

use broken_lns_ebpf::event::Event;

use super::pace::Pace;
use super::watch::Watch;
use crate::judge::Expectations;
use crate::play::WorkerEvents;
use crate::program::Events;
use crate::scenario::Groups;
use crate::track::Rule;

/// Events that are taken from one place at a time: enough for the loss to be asked for now and
/// then only, and few enough that nobody who asks waits for long.
const BATCH: usize = 2048;

/// A scenario that comes into force.
#[derive(Debug)]
pub(super) struct Entered {
    pub(super) scenario: u32,
    pub(super) rules: Vec<Rule>,
    pub(super) groups: Groups,
    pub(super) expectations: Expectations,
}

/// The places where events wait, of all interfaces.
pub(super) struct Intake {
    pace: Pace,
    entered: Receiver<Entered>,
    kernel: Vec<Kernel>,
    workers: Vec<WorkerEvents>,
    batch: Batch,
    /// The events that were known to be lost the last time.
    lost: u64,
}

/// What waits of the kernel half of one interface.
struct Kernel {
    events: Events,
    /// How many were lost, as far as that was told the last time.
    lost: u64,
}

/// Events that were taken, and are not looked at yet.
#[derive(Debug, Default)]
struct Batch {
    /// Each with the place of the beginning of its message.
    events: Vec<(Event, Range<usize>)>,
    octets: Vec<u8>,
}

impl Intake {
    /// Nothing waits yet.
    pub(super) fn new(pace: Pace, entered: Receiver<Entered>) -> Self {
        Self {
            pace,
            entered,
            kernel: Vec::new(),
            workers: Vec::new(),
            batch: Batch::default(),
            lost: 0,
        }
    }

    /// Takes the events of one more interface.
    pub(super) fn add(&mut self, events: Events, workers: Vec<WorkerEvents>) {
        self.kernel.push(Kernel { events, lost: 0 });
        self.workers.extend(workers);
    }

    /// Takes a batch from each place and has it looked at. Returns whether there was no more.
    pub(super) fn turn(&mut self, watch: &mut Watch) -> bool {
        let (pace, batch) = (self.pace, &mut self.batch);
        batch.clear();
        // The time is read before what waits, so that whatever was told by then has been taken
        // once there is no more.
        let mut complete_until = pace.now();
        let mut was_all = true;
        let mut took = |all: bool, batch: &Batch| {
            if !all {
                was_all = false;
                complete_until = complete_until.min(batch.last().unwrap_or(0));
            }
        };
        for Kernel { events, .. } in &mut self.kernel {
            let all = events.take(BATCH, |octets| {
                if let Some((event, message)) = Event::from_octets(octets) {
                    batch.push(pace, event, message);
                }
            });
            took(all, batch);
        }
        for events in &mut self.workers {
            let all = events.take(BATCH, |event| batch.push(pace, *event, &[]));
            took(all, batch);
        }
        // Only now: what got lost before one of these events, and the scenario that it is of, are
        // told before it is looked at.
        for entered in self.entered.try_iter() {
            let Entered {
                scenario,
                rules,
                groups,
                expectations,
            } = entered;
            watch.enter(scenario, rules, groups, expectations);
        }
        // Where nothing waited there was room, and nothing was lost since something did.
        if !self.batch.is_empty() {
            let lost = self.lost();
            watch.lost(lost.saturating_sub(self.lost), pace.now());
            self.lost = lost;
        }
        for (event, message) in self.batch.each() {
            watch.observe(event, message);
        }
        watch.advance(complete_until);
        was_all
    }

    /// The events that are known to be lost.
    fn lost(&mut self) -> u64 {
        for Kernel { events, lost } in &mut self.kernel {
            // The kernel always tells; if it did not, the next turn would make up for it.
            *lost = events.lost().unwrap_or(*lost);
        }
        let workers = self.workers.iter().map(WorkerEvents::lost);
        let kernel = self.kernel.iter().map(|kernel| kernel.lost);
        kernel.chain(workers).sum()
    }
}

impl Batch {
    fn clear(&mut self) {
        self.events.clear();
        self.octets.clear();
    }

    fn push(&mut self, pace: Pace, mut event: Event, message: &[u8]) {
        event.time = pace.at(event.time);
        let start = self.octets.len();
        self.octets.extend_from_slice(message);
        self.events.push((event, start..self.octets.len()));
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// When the last one was made.
    fn last(&self) -> Option<u64> {
        self.events.last().map(|(event, _)| event.time)
    }

    /// The events, each with the beginning of its message.
    fn each(&self) -> impl Iterator<Item = (&Event, &[u8])> {
        let events = self.events.iter();
        events.map(|(event, place)| (event, self.octets.get(place.clone()).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_into_it() {
        let event = |time: u64| {
            let mut octets = [0; Event::LEN];
            octets[..8].copy_from_slice(&time.to_ne_bytes());
            Event::from_octets(&octets).expect("it is long enough").0
        };
        let mut batch = Batch::default();
        assert_eq!(batch.last(), None);
        for (time, message) in [(1, &[][..]), (2, &[7; 128]), (3, &[])] {
            batch.push(Pace::new(1), event(time), message);
        }
        let taken: Vec<_> = batch
            .each()
            .map(|(event, rest)| (event.time, rest))
            .collect();
        assert_eq!(taken, [(1, &[][..]), (2, &[7; 128]), (3, &[])]);
        assert_eq!(batch.last(), Some(3));
        batch.clear();
        assert!(batch.is_empty() && batch.each().count() == 0);
    }
}
