//! What is told of the LACs that are followed.
//!
//! The kernel half tells that it handed a message over, and the worker what became of it. An
//! event is begun before its frame is looked at for an answer, which overwrites it, and told
//! when the verdict is known. It takes neither a lock nor memory to tell one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broken_lns_ebpf::event::{Event, Kind};
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::Layers;
use broken_lns_ebpf::verdict::Verdict;
use rtrb::{Consumer, Producer, RingBuffer};

/// Events of one worker that wait to be taken, at the most. The system provides the memory as
/// it is used.
const WAITING: usize = 1 << 16;

/// Tells what one worker does about the LACs that are followed.
pub(super) struct Teller {
    sample: Sample,
    /// The event of the frame that the worker looks at.
    begun: Option<Event>,
    events: Producer<Event>,
    lost: Arc<AtomicU64>,
}

/// What one worker tells of the LACs that are followed, for whoever follows them.
#[derive(Debug)]
pub struct WorkerEvents {
    told: Consumer<Event>,
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

    /// How many events found no room so far, since too many had not been taken.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Teller {
    /// Both ends; `None` where nobody is followed. Events that find no room add to `lost`.
    pub(super) fn new(sample: Sample, lost: &Arc<AtomicU64>) -> Option<(Self, WorkerEvents)> {
        if sample == Sample::NONE {
            return None;
        }
        let (events, told) = RingBuffer::new(WAITING);
        let teller = Self {
            sample,
            begun: None,
            events,
            lost: Arc::clone(lost),
        };
        let events = WorkerEvents {
            told,
            lost: Arc::clone(lost),
        };
        Some((teller, events))
    }

    /// Begins the event of a frame of `len` octets.
    pub(super) fn listen(&mut self, frame: Frame<'_>, layers: Layers, now: u64, len: u32) {
        let heard = Event::heard(frame, layers, now, len);
        self.begun = heard.filter(|event| self.sample.has(event.lac));
    }

    /// Completes it with the rule that was met, and the tunnel id of the SCCRQ.
    pub(super) fn note(&mut self, scenario: u32, rule: u32, tunnel_id: u16) {
        if let Some(event) = &mut self.begun {
            event.scenario = scenario;
            event.rule = rule;
            event.assigned_tunnel_id = tunnel_id;
        }
    }

    /// Tells the event that was begun, if one was.
    pub(super) fn decided(&mut self, verdict: Verdict) {
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
