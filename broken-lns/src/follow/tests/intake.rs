//! Workers that lose their CPU while they have something in hand.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};

use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::Policy;

use super::*;
use crate::af_xdp::{Packet, Umem};
use crate::clock::monotonic;
use crate::compile::Compiled;
use crate::play::{Follow, Orders, Player};
use crate::refusal::Refusal;
use crate::respond::Batch;
use crate::scenario::Scenario;
use crate::track::Settings;
use crate::track::findings::Reaction;

/// From 10.0.0.1:1701 to 192.0.2.1, tunnel id 7, without a checksum.
const SCCRQ: [u8; 70] = [
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
    0x45, 0, 0, 56, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 1, // IPv4
    0x06, 0xa5, 0x06, 0xa5, 0, 36, 0, 0, // UDP
    0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, // L2TP
    0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type: SCCRQ
    0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID: 7
];

/// The request of one LAC to an LNS, by the last octets of their addresses.
fn request(lac: u8, lns: u8) -> [u8; 70] {
    let mut frame = SCCRQ;
    frame[29] = lac;
    frame[33] = lns;
    frame
}

/// A worker that refuses, without its loop.
struct Hand {
    player: Player,
    umem: Umem,
    batch: Batch,
}

impl Hand {
    fn new() -> (Self, WorkerEvents) {
        let text = "[default]\nfault = \"refuse\"";
        let scenario = Scenario::parse("test", text, &Refusal::default()).expect(text);
        let orders = Orders {
            rate_limit: None,
            policy: Policy {
                mac: None,
                verify_checksum: false,
                avp_limit: u32::MAX,
            },
            compiled: Arc::new(Compiled::new(&scenario).expect(text)),
            scenario: 0,
            follow: Follow {
                sample: Sample::ALL,
                ..Follow::NOBODY
            },
        };
        let (player, mut remote) = Player::new(orders, None);
        let events = remote.take_events().expect("LACs are followed");
        let hand = Self {
            player,
            umem: Umem::new(4).expect("a few frames"),
            batch: Batch::new(4),
        };
        (hand, events)
    }

    fn begin(&mut self) -> u64 {
        self.player.begin_turn();
        monotonic()
    }

    fn answer(&mut self, now: u64, frame: &[u8]) {
        let address = self.umem.take().expect("a free frame") + 256;
        self.umem.room(address)[..frame.len()].copy_from_slice(frame);
        let len = frame.len() as u32;
        self.batch.received.push(Packet { address, len });
        let (umem, batch) = (&mut self.umem, &mut self.batch);
        self.player.respond(now, umem, batch, |_| {});
        for reply in self.batch.replies.drain(..) {
            self.umem.give(reply.address);
        }
    }

    fn end(&mut self) {
        self.player.end_turn();
    }

    /// A whole turn.
    fn turn(&mut self, frame: &[u8]) {
        let now = self.begin();
        self.answer(now, frame);
        self.end();
    }
}

/// A worker in a thread, which goes a step further when it is told.
struct Slow {
    steps: Sender<()>,
    thread: JoinHandle<()>,
}

impl Slow {
    /// Returns once it has read the clock.
    fn start(mut hand: Hand, frame: [u8; 70]) -> Self {
        let (steps, to_go) = channel();
        let (began, has_begun) = channel();
        let thread = thread::spawn(move || {
            let now = hand.begin();
            began.send(()).expect("the test waits");
            if to_go.recv().is_ok() {
                hand.answer(now, &frame);
                hand.end();
            }
        });
        has_begun.recv().expect("it begins");
        Self { steps, thread }
    }

    fn go_on(self) {
        self.steps.send(()).expect("it waits");
        self.thread.join().expect("it works");
    }
}

/// What is followed of these workers, with so many octets for what waits.
fn follow(workers: Vec<WorkerEvents>, waiting: usize) -> (Intake, Watch) {
    let (_, entered) = channel();
    let mut intake = Intake::new(Pace::new(1), entered, waiting);
    intake.add_workers(workers);
    (intake, Watch::new(Settings::default(), 0))
}

fn seen(watch: &Watch) -> u64 {
    watch.known(0).findings.totals.events
}

#[test]
fn nobody_overtakes_a_worker_that_read_the_clock() {
    let (slow, slow_events) = Hand::new();
    let (mut fast, fast_events) = Hand::new();
    let (mut intake, mut watch) = follow(vec![slow_events, fast_events], 1 << 20);
    fast.turn(&request(2, 1));
    assert!(intake.turn(monotonic(), &mut watch));
    let slow = Slow::start(slow, request(1, 1));
    // Until it goes on, the LAC turned to others.
    for lns in 2..10 {
        fast.turn(&request(1, lns));
        assert!(intake.turn(monotonic(), &mut watch));
    }
    assert_eq!(seen(&watch), 1);
    slow.go_on();
    assert!(intake.turn(monotonic(), &mut watch));
    assert_eq!(seen(&watch), 10);
    let known = watch.known(1);
    let totals = known.findings.totals;
    assert_eq!((totals.events_forced, totals.events_lost), (0, 0));
    let order: Vec<_> = known.lacs[0]
        .order
        .iter()
        .map(ToString::to_string)
        .collect();
    let expected: Vec<_> = (1..10).map(|lns| format!("192.0.2.{lns}")).collect();
    assert_eq!(order, expected);
}

#[test]
fn nobody_waits_for_a_worker_that_ended() {
    let (slow, slow_events) = Hand::new();
    let (mut fast, fast_events) = Hand::new();
    let (mut intake, mut watch) = follow(vec![slow_events, fast_events], 1 << 20);
    let slow = Slow::start(slow, request(1, 1));
    fast.turn(&request(2, 1));
    intake.turn(monotonic(), &mut watch);
    assert_eq!(seen(&watch), 0);
    drop(slow.steps);
    slow.thread.join().expect("it ends");
    intake.turn(monotonic(), &mut watch);
    assert_eq!(seen(&watch), 1);
}

#[test]
fn what_could_not_wait_proves_nothing() {
    let (slow, slow_events) = Hand::new();
    let (mut fast, fast_events) = Hand::new();
    let (mut intake, mut watch) = follow(vec![slow_events, fast_events], 4096);
    let slow = Slow::start(slow, request(1, 1));
    for lns in 2..102 {
        fast.turn(&request(1, lns));
        intake.turn(monotonic(), &mut watch);
    }
    let forced = watch.known(0).findings.totals.events_forced;
    assert!(
        (1..100).contains(&forced) && forced == seen(&watch),
        "{forced}"
    );
    slow.go_on();
    intake.finish(monotonic, &mut watch);
    let known = watch.known(1);
    let totals = known.findings.totals;
    assert_eq!((totals.events, totals.events_forced), (101, forced));
    assert!(known.lacs[0].events_lost);
    for fault in &known.findings.faults {
        for reaction in Reaction::ALL {
            assert_eq!(fault.reactions.of(reaction).attempts, 0, "{fault:?}");
        }
    }
}

/// They run as the system lets them, and so does the thread that follows.
#[test]
fn the_order_is_right_however_threads_run() {
    const WORKERS: u8 = 4;
    const TURNS: u32 = 5_000;
    let (hands, events): (Vec<_>, Vec<_>) = (0..WORKERS).map(|_| Hand::new()).unzip();
    let (mut intake, _) = follow(events, usize::MAX);
    let threads: Vec<_> = hands
        .into_iter()
        .zip(0..)
        .map(|(mut hand, lac)| {
            thread::spawn(move || {
                for turn in 0..TURNS {
                    let now = hand.begin();
                    if turn % 3 == u32::from(lac) % 3 {
                        // Whoever runs on this CPU now may read and tell far later times.
                        thread::yield_now();
                    }
                    hand.answer(now, &request(lac, 1));
                    hand.end();
                }
            })
        })
        .collect();
    let (mut count, mut last) = (0, 0);
    while count < u32::from(WORKERS) * TURNS {
        intake.take(monotonic());
        intake.merge.hand_on(|told| {
            assert!(told.event.time >= last, "{} after {last}", told.event.time);
            last = told.event.time;
            count += 1;
        });
    }
    for thread in threads {
        thread.join().expect("it works");
    }
}
