//! What is told of the LACs that are followed.
//!
//! The kernel half tells that it handed a message over, and the worker what became of it. An
//! event is begun before its frame is looked at for an answer, which overwrites it, and told
//! when the verdict is known. It takes neither a lock nor memory to tell one. Where frames are
//! captured, that goes along with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broken_lns_ebpf::event::{Event, Kind};
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::layers::Layers;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::Verdict;
use rtrb::{Consumer, Producer, RingBuffer};

use super::progress::Progress;
use super::record::{Recorder, WorkerFrames};

/// Events of one worker that wait to be taken, at the most. The system provides the memory as
/// it is used.
const WAITING: usize = 1 << 16;

/// Whom a worker follows, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follow {
    /// Which LACs are followed.
    pub sample: Sample,
    /// Octets of the ring for captured frames of these LACs; nothing is captured without it.
    pub capture: Option<u32>,
}

impl Follow {
    /// Nobody.
    pub const NOBODY: Self = Self {
        sample: Sample::NONE,
        capture: None,
    };
}

/// The other end of a [`Teller`].
#[derive(Debug)]
pub(super) struct Told {
    pub(super) events: WorkerEvents,
    pub(super) frames: Option<WorkerFrames>,
}

/// Tells what one worker does about the LACs that are followed.
pub(super) struct Teller {
    sample: Sample,
    /// The event of the frame that the worker looks at.
    begun: Option<Event>,
    events: Producer<Event>,
    progress: Progress,
    lost: Arc<AtomicU64>,
    recorder: Option<Recorder>,
}

/// What one worker tells of the LACs that are followed, for whoever follows them.
#[derive(Debug)]
pub struct WorkerEvents {
    told: Consumer<Event>,
    progress: Progress,
    lost: Arc<AtomicU64>,
}

impl WorkerEvents {
    /// Hands up to `limit` events to `take`, in the order in which the worker told them. Returns
    /// whether there were no more.
    pub fn take(&mut self, limit: usize, mut take: impl FnMut(&Event)) -> bool {
        for _ in 0..limit {
            match self.told.pop() {
                Ok(event) => take(&event),
                Err(_) => return true,
            }
        }
        false
    }

    /// The time before which the worker has told everything, where the clock said `now` before
    /// this was asked: it is known once all has been taken that waits after it. 0 where nothing is
    /// known.
    pub fn complete_until(&self, now: u64) -> u64 {
        self.progress.complete_until(now)
    }

    /// How many events found no room so far, since too many had not been taken.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Teller {
    /// Both ends; `None` where nobody is followed. Events that find no room add to `lost`.
    pub(super) fn new(follow: Follow, lost: &Arc<AtomicU64>) -> Option<(Self, Told)> {
        if follow.sample == Sample::NONE {
            return None;
        }
        let (events, told) = RingBuffer::new(WAITING);
        let progress = Progress::new();
        let (recorder, frames) = follow.capture.map(Recorder::new).unzip();
        let teller = Self {
            sample: follow.sample,
            begun: None,
            events,
            progress: progress.clone(),
            lost: Arc::clone(lost),
            recorder,
        };
        let events = WorkerEvents {
            told,
            progress,
            lost: Arc::clone(lost),
        };
        Some((teller, Told { events, frames }))
    }

    /// The clock is read next, for what is told until the end of the turn.
    pub(super) fn begin_turn(&self) {
        self.progress.begin();
    }

    /// What is told from now on is of that time or of a later one.
    pub(super) fn at(&self, now: u64) {
        self.progress.at(now);
    }

    /// Nothing is told until the next turn.
    pub(super) fn end_turn(&self) {
        self.progress.end();
    }

    /// Begins the event of a frame of `len` octets.
    pub(super) fn listen(&mut self, frame: Frame<'_>, layers: Layers, now: u64, len: u32) {
        self.begun = Event::heard(frame, layers, self.sample, || now, || len);
    }

    /// Keeps the request of the event that was begun as it came, where it is captured.
    pub(super) fn keep(&mut self, request: &[u8]) {
        if let (Some(recorder), Some(_)) = (&mut self.recorder, &self.begun) {
            recorder.keep(request);
        }
    }

    /// Completes it with the rule that was met, and the tunnel id of the SCCRQ.
    pub(super) fn note(&mut self, scenario: u32, rule: u32, tunnel_id: u16) {
        if let Some(event) = &mut self.begun {
            event.scenario = scenario;
            event.rule = rule;
            event.assigned_tunnel_id = tunnel_id;
        }
    }

    /// Captures a reply to the SCCRQ of the event that was begun, with the verdict on that.
    pub(super) fn replied(&mut self, verdict: Verdict, reply: &[u8]) {
        if let (Some(recorder), Some(event)) = (&mut self.recorder, &self.begun) {
            recorder.reply(event, verdict, reply);
        }
    }

    /// Tells the event that was begun, if one was.
    pub(super) fn decided(&mut self, verdict: Verdict) {
        if let (Some(recorder), Some(event)) = (&mut self.recorder, &self.begun) {
            recorder.request(event, verdict);
        }
        self.tell(Kind::Decided, verdict);
    }

    /// Tells that a reply was sent to the SCCRQ of the event that was begun.
    pub(super) fn sent(&mut self) {
        self.tell(Kind::Sent, Verdict::Answered);
    }

    fn tell(&mut self, kind: Kind, verdict: Verdict) {
        let Some(event) = self.begun.take() else {
            return;
        };
        let told = self.events.push(Event {
            kind: kind as u8,
            verdict: verdict as u16,
            ..event
        });
        if told.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Teller {
    /// Nobody waits for a worker that ended, however it did.
    fn drop(&mut self) {
        self.progress.end();
    }
}
