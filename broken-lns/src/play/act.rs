//! The scenario that a worker plays, those that it still owes replies of, and how it
//! learns of a new one.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::parties::Parties;
use broken_lns_ebpf::sccrq;

use super::owed::Owed;
use super::record::WorkerFrames;
use super::sent::{Hits, SentCounts, SentTally};
use super::tell::WorkerEvents;
use crate::attempts::Attempts;
use crate::compile::Compiled;
use crate::pending::Pending;
use crate::retransmission::Retransmissions;

/// Most deferred replies of a worker.
pub const PENDING: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();
/// Most pairs of LAC and LNS whose attempts a worker remembers.
const PAIRS: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();
/// Most StopCCNs of a worker that wait for their acknowledgement: as many as there is room for
/// in the kernel half if it is the only one.
const WAITING: NonZeroU32 = NonZeroU32::new(maps::MAX_AWAITED).unwrap();

/// How much a worker remembers at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Deferred replies.
    pub pending: NonZeroU32,
    /// Pairs of LAC and LNS whose attempts are counted.
    pub pairs: NonZeroU32,
    /// StopCCNs that wait for their acknowledgement.
    pub waiting: NonZeroU32,
}

/// A scenario with the memory that playing it takes, of which only as much is made as
/// the scenario can use.
///
/// It is made before the worker gets it, which need not allocate then.
#[derive(Debug)]
pub struct Act {
    pub(super) compiled: Arc<Compiled>,
    /// The number of the scenario.
    pub(super) scenario: u32,
    pub(super) hits: Arc<Hits>,
    pub(super) attempts: Attempts,
    pub(super) pending: Option<Pending<Owed>>,
    pub(super) waiting: Option<Retransmissions<Owed>>,
    /// When the last of its debts is due.
    last_due: u64,
}

impl Act {
    /// The beginning of the scenario with that number, with room for so many deferred replies.
    pub fn new(compiled: Arc<Compiled>, scenario: u32, pending: NonZeroU32) -> Self {
        let bounds = Bounds {
            pending,
            pairs: PAIRS,
            waiting: WAITING,
        };
        Self::bounded(compiled, scenario, bounds)
    }

    /// The same with other bounds than those of a worker.
    pub fn bounded(compiled: Arc<Compiled>, scenario: u32, bounds: Bounds) -> Self {
        let Bounds {
            pending,
            pairs,
            waiting,
        } = bounds;
        let pairs = match compiled.counts_attempts() {
            true => pairs,
            false => NonZeroU32::MIN,
        };
        let rules = compiled.rules().len();
        Self {
            hits: Arc::new(Hits::new(rules)),
            attempts: Attempts::new(pairs),
            pending: compiled.delays().then(|| Pending::new(pending)),
            waiting: compiled
                .retransmits()
                .then(|| Retransmissions::new(waiting)),
            compiled,
            scenario,
            last_due: 0,
        }
    }
}

/// The act that is played, and the scenarios of former ones that replies are still owed of.
#[derive(Debug)]
pub(super) struct Acts {
    pub(super) current: Act,
    /// Numbered from `first` on, and the current act behind them.
    past: VecDeque<Past>,
    first: u32,
}

/// A scenario that is over but for its debts.
#[derive(Debug)]
struct Past {
    compiled: Arc<Compiled>,
    scenario: u32,
    last_due: u64,
}

impl Acts {
    pub(super) fn new(current: Act) -> Self {
        Self {
            current,
            past: VecDeque::new(),
            first: 0,
        }
    }

    /// The number of the current act.
    pub(super) fn number(&self) -> u32 {
        self.first.wrapping_add(self.past.len() as u32)
    }

    /// The scenario of the act with that number, if it is still owed of.
    pub(super) fn compiled(&self, number: u32) -> Option<&Compiled> {
        self.played(number).map(|(compiled, _)| compiled)
    }

    /// The number of its scenario, likewise.
    pub(super) fn scenario(&self, number: u32) -> Option<u32> {
        self.played(number).map(|(_, scenario)| scenario)
    }

    fn played(&self, number: u32) -> Option<(&Compiled, u32)> {
        let current = &self.current;
        match self.past.get(number.wrapping_sub(self.first) as usize) {
            Some(past) => Some((&past.compiled, past.scenario)),
            None => (number == self.number()).then_some((&current.compiled, current.scenario)),
        }
    }

    /// Something of the act with that number is due then.
    pub(super) fn owe(&mut self, number: u32, due: u64) {
        let past = self.past.get_mut(number.wrapping_sub(self.first) as usize);
        let last_due = match past {
            Some(past) => &mut past.last_due,
            None => &mut self.current.last_due,
        };
        *last_due = due.max(*last_due);
    }

    /// Goes on to the next act. Debts stay, and so does the memory in which they are.
    pub(super) fn next(&mut self, mut act: Act) {
        act.pending = self.current.pending.take().or(act.pending);
        act.waiting = self.current.waiting.take().or(act.waiting);
        let past = std::mem::replace(&mut self.current, act);
        self.past.push_back(Past {
            compiled: past.compiled,
            scenario: past.scenario,
            last_due: past.last_due,
        });
        self.forget();
    }

    /// Lets go of the scenarios of which nothing is owed any more.
    pub(super) fn forget(&mut self) {
        let next = self.next_due().unwrap_or(u64::MAX);
        while self
            .past
            .pop_front_if(|past| past.last_due < next)
            .is_some()
        {
            self.first = self.first.wrapping_add(1);
        }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<u64> {
        let Act {
            pending, waiting, ..
        } = &self.current;
        let pending = pending.as_ref().and_then(Pending::next_due);
        let waiting = waiting.as_ref().and_then(Retransmissions::next_due);
        pending.into_iter().chain(waiting).min()
    }

    /// Whether the frame holds a control message to the other port, from which its LNS replies
    /// by the scenario that is played, or by one that is owed of.
    #[inline]
    pub(super) fn is_other_port_open(&self, frame: Frame<'_>) -> bool {
        sccrq::to_other_port(frame).is_some_and(|layers| {
            let parties = Parties::of(frame, layers.network, layers.version);
            parties.is_some_and(|Parties { lac, lns }| {
                let mut all = self.all();
                all.any(|compiled| compiled.uses_other_port(layers.version, lns, lac))
            })
        })
    }

    /// The scenario that is played, and those that are owed of.
    fn all(&self) -> impl Iterator<Item = &Compiled> {
        let past = self.past.iter().map(|past| &*past.compiled);
        std::iter::once(&*self.current.compiled).chain(past)
    }

    /// Whether a scenario of the past is owed of.
    pub(super) fn has_past(&self) -> bool {
        !self.past.is_empty()
    }
}

/// Where the next act waits for its worker.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    full: AtomicBool,
    act: Mutex<Option<Act>>,
}

impl Mailbox {
    fn put(&self, act: Act) {
        let mut place = self.act.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(act);
        drop(place);
        self.full.store(true, Ordering::Release);
    }

    /// The next act. While there is none, that takes one look at a flag.
    #[inline]
    pub(super) fn take(&self) -> Option<Act> {
        if !self.full.load(Ordering::Relaxed) {
            return None;
        }
        self.full.store(false, Ordering::Relaxed);
        let mut place = self.act.lock().unwrap_or_else(PoisonError::into_inner);
        place.take()
    }
}

/// A player as other threads have it: they set its scenario, and read what it counts.
#[derive(Debug)]
pub struct Remote {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) hits: Arc<Hits>,
    pub(super) sent: Arc<SentTally>,
    pub(super) events: Option<WorkerEvents>,
    pub(super) frames: Option<WorkerFrames>,
    pub(super) events_lost: Arc<AtomicU64>,
}

impl Remote {
    /// Has the player go on with another scenario from its next batch on. Attempts and hits are
    /// counted anew; what it owes of the old one is still sent.
    ///
    /// Whoever sets scenarios keeps them until nobody else does, so that no player has to
    /// give memory back.
    pub fn set(&mut self, compiled: Arc<Compiled>, scenario: u32) {
        let act = Act::new(compiled, scenario, PENDING);
        self.hits = Arc::clone(&act.hits);
        self.mailbox.put(act);
    }

    /// The requests that met each rule of the scenario that was set last, in the order of the rules.
    pub fn hits(&self) -> impl Iterator<Item = u64> {
        self.hits.counts()
    }

    /// What was done beside answering at once.
    pub fn sent(&self) -> SentCounts {
        self.sent.counts()
    }

    /// The events of the LACs that are followed, where any are; they can be taken once.
    pub fn take_events(&mut self) -> Option<WorkerEvents> {
        self.events.take()
    }

    /// The frames of these LACs, where they are captured; they can be taken once.
    pub fn take_frames(&mut self) -> Option<WorkerFrames> {
        self.frames.take()
    }

    /// The events that found no room, since too many were not taken yet.
    pub fn events_lost(&self) -> u64 {
        self.events_lost.load(Ordering::Relaxed)
    }
}
