//! Where events wait, and how they are taken from there.

use std::sync::mpsc::Receiver;

use broken_lns_ebpf::event::Event;

use super::merge::{Merge, Told};
use super::names::Names;
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
    workers: Vec<Worker>,
    merge: Merge,
    names: Names,
    /// The events that were known to be lost the last time.
    lost: u64,
}

/// What waits of the kernel half of one interface.
struct Kernel {
    source: usize,
    events: Events,
    /// How many were lost, as far as that was told the last time.
    lost: u64,
}

/// What waits of one worker.
struct Worker {
    source: usize,
    events: WorkerEvents,
}

impl Intake {
    /// Nothing waits yet; so many octets of events may wait for others.
    pub(super) fn new(pace: Pace, entered: Receiver<Entered>, waiting: usize) -> Self {
        Self {
            pace,
            entered,
            kernel: Vec::new(),
            workers: Vec::new(),
            merge: Merge::new(waiting),
            names: Names::default(),
            lost: 0,
        }
    }

    /// What LACs call themselves, as soon as their SCCRQs are taken.
    pub(super) fn names(&self) -> Names {
        self.names.clone()
    }

    /// Takes the events of one more interface.
    pub(super) fn add(&mut self, events: Events, workers: Vec<WorkerEvents>) {
        self.kernel.push(Kernel {
            source: self.merge.add_source(),
            events,
            lost: 0,
        });
        self.add_workers(workers);
    }

    fn add_workers(&mut self, workers: Vec<WorkerEvents>) {
        for events in workers {
            let source = self.merge.add_source();
            self.workers.push(Worker { source, events });
        }
    }

    /// Takes a batch from each place, where the monotonic clock said `now` before, and has those
    /// looked at whose turn has come. Returns whether there was no more to take.
    pub(super) fn turn(&mut self, now: u64, watch: &mut Watch) -> bool {
        let taken = self.take(now);
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
        if taken.count > 0 {
            let lost = self.lost();
            watch.lost(lost.saturating_sub(self.lost), self.pace.now());
            self.lost = lost;
        }
        let pace = self.pace;
        let settled = self.merge.hand_on(|told| observe(watch, pace, told));
        while let Some(told) = self.merge.hand_on_excess() {
            watch.forced(pace.now());
            observe(watch, pace, told);
        }
        watch.advance(pace.at(settled.min(now)));
        taken.was_all
    }

    /// Has all looked at that was told, where nobody tells anything any more.
    pub(super) fn finish(mut self, now: impl Fn() -> u64, watch: &mut Watch) {
        while !self.turn(now(), watch) {}
        while let Some(told) = self.merge.hand_on_next() {
            observe(watch, self.pace, told);
        }
        watch.finish(self.pace.at(now()));
    }

    /// Takes a batch from each place, where the clock said `now` before.
    fn take(&mut self, now: u64) -> Taken {
        let Self {
            kernel,
            workers,
            merge,
            names,
            ..
        } = self;
        let mut taken = Taken {
            count: 0,
            was_all: true,
        };
        for Kernel { source, events, .. } in kernel {
            let was_all = events.take(BATCH, |octets| {
                if let Some((event, message)) = Event::from_octets(octets) {
                    taken.count += 1;
                    names.learn(&event, message);
                    let message = message.into();
                    merge.push(*source, Told { event, message });
                }
            });
            if was_all && events.is_empty() {
                merge.complete(*source, now);
            }
            taken.was_all &= was_all;
        }
        for Worker { source, events } in workers {
            let until = events.complete_until(now);
            let was_all = events.take(BATCH, |event| {
                taken.count += 1;
                let (event, message) = (*event, Box::default());
                merge.push(*source, Told { event, message });
            });
            if was_all {
                merge.complete(*source, until);
            }
            taken.was_all &= was_all;
        }
        taken
    }

    /// The events that are known to be lost.
    fn lost(&mut self) -> u64 {
        for Kernel { events, lost, .. } in &mut self.kernel {
            // The kernel always tells; if it did not, the next turn would make up for it.
            *lost = events.lost().unwrap_or(*lost);
        }
        let workers = self.workers.iter().map(|worker| worker.events.lost());
        let kernel = self.kernel.iter().map(|kernel| kernel.lost);
        kernel.chain(workers).sum()
    }
}

/// What was taken at a time.
struct Taken {
    count: usize,
    /// Whether there was no more.
    was_all: bool,
}

/// Has an event looked at, at the time of LACs.
fn observe(watch: &mut Watch, pace: Pace, Told { mut event, message }: Told) {
    event.time = pace.at(event.time);
    watch.observe(&event, &message);
}

#[cfg(test)]
#[path = "tests/intake.rs"]
mod tests;
