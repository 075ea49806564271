//! What is captured of the LACs that are followed.
//!
//! A frame goes, with what is known of it, into a ring of octets that was reserved before: it
//! takes neither a lock nor memory to capture one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use broken_lns_ebpf::captured::{Captured, Direction, SNAP_LEN};
use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::verdict::Verdict;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::capture::Source;

/// Captures frames of one worker.
pub(super) struct Recorder {
    ring: Ring,
    /// The length of a request whose verdict is not known yet, and its octets.
    kept: Option<usize>,
    room: Box<[u8; SNAP_LEN]>,
}

/// Where captured frames go.
struct Ring {
    frames: Producer<u8>,
    lost: Arc<AtomicU64>,
}

/// The frames that one worker captured, for whoever writes them.
#[derive(Debug)]
pub struct WorkerFrames {
    frames: Consumer<u8>,
    lost: Arc<AtomicU64>,
    /// One of them in one piece.
    entry: Vec<u8>,
}

impl Recorder {
    /// Both ends of a ring of so many octets.
    pub(super) fn new(octets: u32) -> (Self, WorkerFrames) {
        let (frames, taken) = RingBuffer::new(octets as usize);
        let lost = Arc::default();
        let captured = WorkerFrames {
            frames: taken,
            lost: Arc::clone(&lost),
            entry: Vec::with_capacity(Captured::LEN + SNAP_LEN),
        };
        let recorder = Self {
            ring: Ring { frames, lost },
            kept: None,
            room: Box::new([0; SNAP_LEN]),
        };
        (recorder, captured)
    }

    /// Keeps a request as it came, before an answer is written over it.
    pub(super) fn keep(&mut self, request: &[u8]) {
        for (to, from) in self.room.iter_mut().zip(request) {
            *to = *from;
        }
        self.kept = Some(request.len());
    }

    /// Captures the request that was kept, unless it was before.
    pub(super) fn request(&mut self, event: &Event, verdict: Verdict) {
        if let Some(len) = self.kept.take() {
            let snap = self.room.get(..len).unwrap_or(self.room.as_slice());
            let captured = captured(event, verdict, Direction::Request, len, snap);
            self.ring.put(&captured, snap);
        }
    }

    /// Captures a reply, behind the request that it answers, whose verdict that is.
    pub(super) fn reply(&mut self, event: &Event, verdict: Verdict, reply: &[u8]) {
        self.request(event, verdict);
        let snap = reply.get(..SNAP_LEN).unwrap_or(reply);
        let captured = captured(event, verdict, Direction::Reply, reply.len(), snap);
        self.ring.put(&captured, snap);
    }
}

fn captured(
    event: &Event,
    verdict: Verdict,
    direction: Direction,
    len: usize,
    snap: &[u8],
) -> Captured {
    Captured {
        time: event.time,
        scenario: event.scenario,
        rule: event.rule,
        len: len as u32,
        snap_len: snap.len() as u32,
        verdict: verdict as u32,
        direction: direction as u32,
    }
}

impl Ring {
    /// Puts in a frame, all of it or nothing.
    fn put(&mut self, captured: &Captured, octets: &[u8]) {
        let Self { frames, lost } = self;
        let is_put = frames.slots() >= Captured::LEN + octets.len()
            && frames.push_entire_slice(&captured.to_octets()).is_ok()
            && frames.push_entire_slice(octets).is_ok();
        if !is_put {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl WorkerFrames {
    /// Takes the next frame in one piece, if there is one, all of it.
    fn next(&mut self) -> Option<(Captured, &[u8])> {
        let mut beginning = [0; Captured::LEN];
        let waiting = self.frames.read_chunk(Captured::LEN).ok()?;
        let (first, second) = waiting.as_slices();
        for (to, from) in beginning.iter_mut().zip(first.iter().chain(second)) {
            *to = *from;
        }
        let whole = Captured::LEN + Captured::read(&beginning)?.0.snap_len as usize;
        let waiting = self.frames.read_chunk(whole).ok()?;
        let (first, second) = waiting.as_slices();
        self.entry.clear();
        self.entry.extend_from_slice(first);
        self.entry.extend_from_slice(second);
        waiting.commit_all();
        Captured::from_octets(&self.entry)
    }
}

impl Source for WorkerFrames {
    fn take(&mut self, limit: usize, take: &mut dyn FnMut(&Captured, &[u8])) -> bool {
        for _ in 0..limit {
            match self.next() {
                Some((captured, octets)) => take(&captured, octets),
                None => return true,
            }
        }
        false
    }

    fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
