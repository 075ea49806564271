//! Speed of the parts that need no network and no privileges: the parser, the writer, a batch of
//! a worker, and the tracker.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broken_lns::af_xdp::{Packet, Umem};
use broken_lns::capture::Source as _;
use broken_lns::compile::Compiled;
use broken_lns::play::{Follow, Orders, Player};
use broken_lns::respond::Batch;
use broken_lns::track::{Settings, Tracker};
use broken_lns_ebpf::event::{Event, Kind};
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::reply;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::{self, Policy};
use broken_lns_ebpf::template::{StopCcn, Template};
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::l2tp;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use xtask::lab::{Checksum, Datagram, Mac, Sccrq};

/// Frames in a batch, as a worker takes them by default.
const BATCH: usize = 256;
/// Octets of a buffer in which any reply has room.
const BUFFER: usize = 2048;

/// Every request is answered, whatever MAC address it is for.
const POLICY: Policy = Policy {
    mac: None,
    verify_checksum: false,
    avp_limit: u32::MAX,
};

fn request() -> Vec<u8> {
    let request = Datagram {
        source_mac: Mac([2, 0, 0, 0, 0, 1]),
        destination_mac: Mac([2, 0, 0, 0, 0, 2]),
        tags: Vec::new(),
        source: ([10, 0, 0, 1], 1701).into(),
        destination: ([192, 0, 2, 1], 1701).into(),
        checksum: Checksum::Right,
        payload: Sccrq::new(0x325a).message().bytes(),
    };
    request.frame()
}

/// A StopCCN with an error message of `len` octets.
fn template(len: usize) -> Template {
    let message = vec![b'x'; len];
    let stop = StopCcn {
        result: 2,
        error: Some((4, &message)),
        assigned_tunnel_id: 12345,
    };
    Template::stop_ccn(&stop).expect("the message fits one AVP")
}

fn parse(criterion: &mut Criterion) {
    let mut bytes = request();
    for (name, verify_checksum) in [("parse", false), ("parse, checksum verified", true)] {
        let policy = Policy {
            verify_checksum,
            ..POLICY
        };
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| sccrq::parse(Frame::new(black_box(&mut bytes)), || false, || policy));
        });
    }
}

fn reply(criterion: &mut Criterion) {
    let mut bytes = [0; BUFFER];
    let mut request = request();
    bytes[..request.len()].copy_from_slice(&request);
    let sccrq =
        sccrq::parse(Frame::new(&mut request), || false, || POLICY).expect("it is a request");
    for (name, len) in [("reply", 14), ("reply, longest message", 1013)] {
        let template = template(len);
        let frame_len = reply::frame_len(&sccrq, &template);
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let frame = Frame::new(black_box(&mut bytes[..frame_len]));
                reply::write(frame, black_box(&sccrq), &template)
            });
        });
    }
}

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("respond");
    group.throughput(Throughput::Elements(BATCH as u64));
    let followed = Follow {
        sample: Sample::ALL,
        ..Follow::NOBODY
    };
    let captured = Follow {
        capture: Some(1 << 20),
        ..followed
    };
    for (name, follow) in [
        ("batch of 256", Follow::NOBODY),
        ("batch of 256, followed", followed),
        ("batch of 256, captured", captured),
    ] {
        let request = request();
        let compiled = Compiled::of_template(template(14)).expect("one template is a scenario");
        let orders = Orders {
            rate_limit: None,
            policy: POLICY,
            compiled: Arc::new(compiled),
            scenario: 0,
            follow,
        };
        let (mut player, mut remote) = Player::new(orders, None);
        let (mut events, mut frames) = (remote.take_events(), remote.take_frames());
        let mut umem = Umem::new(BATCH as u32).expect("a batch of frames fits in memory");
        let mut batch = Batch::new(BATCH);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|times| {
                let mut spent = Duration::ZERO;
                for _ in 0..times {
                    while let Some(address) = umem.take() {
                        umem.room(address)[..request.len()].copy_from_slice(&request);
                        batch.received.push(Packet {
                            address,
                            len: request.len() as u32,
                        });
                    }
                    let start = Instant::now();
                    black_box(player.respond(0, &mut umem, &mut batch, |_| {}));
                    spent += start.elapsed();
                    for reply in batch.replies.drain(..) {
                        umem.give(reply.address);
                    }
                    // Whoever is told takes all of it meanwhile.
                    if let Some(events) = &mut events {
                        events.take(usize::MAX, |event| {
                            black_box(event);
                        });
                    }
                    if let Some(frames) = &mut frames {
                        frames.take(usize::MAX, &mut |captured, octets| {
                            black_box((captured, octets));
                        });
                    }
                }
                spent
            });
        });
    }
    group.finish();
}

/// What is heard of a hundred thousand LACs, one after the other, each of which is refused by
/// five LNSs and acknowledges that: a million events, one each microsecond.
fn heard() -> Vec<Event> {
    let address = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
    let mut events = Vec::new();
    for lns in 1..=5 {
        for number in 0..100_000_u32 {
            let [_, high, middle, low] = number.to_be_bytes();
            let request = Event {
                time: events.len() as u64 * 1000,
                lac: address([10, high, middle, low]),
                lns: address([192, 0, 2, lns]),
                scenario: 0,
                rule: 0,
                frame_len: 140,
                lns_port: l2tp::PORT,
                lac_port: 1701,
                vlan: 0,
                inner_vlan: 0,
                message_type: l2tp::SCCRQ,
                tunnel_id: 0,
                assigned_tunnel_id: lns.into(),
                ns: 0,
                nr: 0,
                verdict: Verdict::Answered as u16,
                ip_version: 4,
                kind: Kind::Heard as u8,
            };
            events.push(request);
            events.push(Event {
                time: request.time + 1000,
                message_type: 0,
                tunnel_id: 12345,
                assigned_tunnel_id: 0,
                ns: 1,
                nr: 1,
                verdict: Verdict::Zlb as u16,
                ..request
            });
        }
    }
    events
}

fn track(criterion: &mut Criterion) {
    let events = heard();
    let mut group = criterion.benchmark_group("track");
    group.sample_size(10);
    group.throughput(Throughput::Elements(events.len() as u64));
    group.bench_function("100,000 LACs", |bencher| {
        bencher.iter_batched(
            || Tracker::new(Settings::default()),
            |mut tracker| {
                for (number, event) in events.iter().enumerate() {
                    tracker.observe(event, &[]);
                    if number % BATCH == 0 {
                        tracker.advance(event.time);
                        black_box(tracker.take_news());
                    }
                }
                tracker
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, parse, reply, batch, track);
criterion_main!(benches);
