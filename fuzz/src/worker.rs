//! A worker that plays one of some scenarios, for any frames at any times. Every frame has one
//! verdict and gives its room back, what is owed comes to an end, and a reader that shares no code
//! with the writer understands every reply as one to a request that was made.
//!
//! An input is the number of a scenario, an octet of options, and steps: an octet, and where it
//! brings a frame two of its length and the frame.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail, ensure};
use broken_lns::af_xdp::{Packet, Umem};
use broken_lns::capture::Source as _;
use broken_lns::compile::Compiled;
use broken_lns::play::{
    Act, Bounds, Follow, KernelHalf, Player, Remote, WorkerEvents, WorkerFrames,
};
use broken_lns::refusal::Refusal;
use broken_lns::respond::Batch;
use broken_lns::retransmission::Acknowledgements;
use broken_lns::scenario::Scenario;
use broken_lns_ebpf::acknowledgement::{Awaited, Peers};
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::Policy;
use xtask::lab::{Avp, Checksum, ControlMessage, Datagram, StopCcn, attribute};

use crate::fixtures::{REPLIES, fixtures, request};
use crate::halves::kernel_policy;
use crate::{Input, Target, frames};

/// A worker without a socket.
pub const TARGET: Target = Target {
    name: "worker",
    seeds,
    words: frames::words,
    run,
};

/// What replies may be, beside those that are right.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replies {
    /// All are UDP and L2TP as they should be.
    Right,
    /// Some are wrong on purpose, or ICMP.
    Any,
}

/// What is played.
const SCENARIOS: [(Replies, &str); 10] = [
    (Replies::Right, ""),
    (
        Replies::Right,
        "[default]\nfault = \"refuse\"\nresult = 2\nrepeat = 3\nloss = 0.2\n",
    ),
    (
        Replies::Right,
        "[default]\nfault = \"refuse\"\ndelay = \"2s\"\njitter = \"1s\"\nrepeat = 2\n\
         retransmit = true\n",
    ),
    (
        Replies::Right,
        "[default]\nfault = \"cycle\"\nfaults = [\"silent\", \"acknowledge\", \"code-in-address\", \
         \"pass\", { fault = \"refuse\", retransmit = true, loss = 0.5 }]\n",
    ),
    (
        Replies::Right,
        "[default]\nfault = \"refuse\"\nfirst = 2\nfor = \"10s\"\n\
         then = { fault = \"acknowledge\", delay = \"1s\", first = 1, then = \"pass\" }\n",
    ),
    (
        Replies::Right,
        "[[lns]]\naddress = \"0.0.0.0/0\"\nfault = \"silent\"\n\
         [[lns.lac]]\nlac_name = \"v?*\"\nfault = \"refuse\"\n\
         [[lns.lac]]\naddress = \"10.0.0.0/8\"\nlac_name = \"*lac\"\nfault = \"refuse\"\n\
         delay = \"1ms\"\nfirst = 1\nthen = \"acknowledge\"\n",
    ),
    (
        Replies::Any,
        include_str!("../../broken-lns/scenarios/garbled-zoo.toml"),
    ),
    (
        Replies::Any,
        include_str!("../../broken-lns/scenarios/dead.toml"),
    ),
    (
        Replies::Any,
        "[default]\nfault = \"unreachable\"\ncode = \"host\"\nfrom_address = \"192.0.2.7\"\n\
         repeat = 2\ndelay = \"3s\"\n",
    ),
    (
        Replies::Any,
        "[default]\nfault = \"garble\"\nkind = \"wrong-source-port\"\nretransmit = true\n\
         probability = 0.5\notherwise = { fault = \"garble\", kind = \"truncated\" }\n",
    ),
];

/// The most copies that one of these sends of a reply, and how often one is sent altogether: once
/// and five times more (RFC 2661 §5.8).
const COPIES: usize = 3;
const TRANSMISSIONS: usize = 6;

/// Frames of the umem, and of a batch.
const FRAMES: u32 = 64;
const BATCH: usize = 16;
/// Octets that the kernel keeps free before a frame, and octets behind them.
const HEADROOM: u64 = 256;
const ROOM: usize = 3_840;

/// The longest reply: QinQ, IPv6, UDP, and the longest message.
const LONGEST: usize = 22 + 40 + 8 + 1_400;
/// The shortest: an ICMP message that quotes nothing but headers, or a ZLB.
const SHORTEST: usize = 14 + 20 + 8;

static COMPILED: LazyLock<Vec<Arc<Compiled>>> = LazyLock::new(|| {
    let compile = |text: &str| -> Result<Compiled> {
        let scenario = Scenario::parse("worker", text, &Refusal::default())?;
        Ok(Compiled::new(&scenario)?)
    };
    let compiled = SCENARIOS.iter().map(|(_, text)| compile(text));
    let compiled: Result<Vec<_>> = compiled.map(|it| it.map(Arc::new)).collect();
    compiled.expect("the scenarios are right")
});

/// What the kernel half is to wait for.
#[derive(Clone, Default)]
struct Noted(Arc<Mutex<HashMap<Peers, Awaited>>>);

impl Noted {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Peers, Awaited>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Acknowledgements for Noted {
    fn get(&mut self, peers: &Peers) -> Option<Awaited> {
        self.with(|noted| noted.get(peers).copied())
    }

    fn set(&mut self, peers: &Peers, awaited: Awaited) -> bool {
        self.with(|noted| noted.insert(*peers, awaited));
        true
    }

    fn remove(&mut self, peers: &Peers) {
        self.with(|noted| noted.remove(peers));
    }
}

/// A worker, and what came of it.
struct Bed {
    player: Player,
    remote: Remote,
    events: Option<WorkerEvents>,
    captured: Option<WorkerFrames>,
    noted: Noted,
    umem: Umem,
    batch: Batch,
    /// Nanoseconds of the monotonic clock.
    now: u64,
    replies: Replies,
    /// Every frame that was received.
    received: Vec<Vec<u8>>,
    sent: usize,
}

fn run(data: &[u8]) -> Result<()> {
    let mut input = Input(data);
    let scenario = usize::from(input.octet()) % SCENARIOS.len();
    let mut bed = Bed::new(scenario, input.octet())?;
    while !input.is_empty() {
        let step = input.octet();
        bed.now = bed.now.saturating_add(1 << (step & 0x3f).min(40));
        match step >> 6 {
            0 | 1 => {
                let len = usize::from(input.number()).min(ROOM);
                bed.receive(input.octets(len))?;
                if step >> 6 == 0 {
                    bed.respond()?;
                }
            }
            2 => bed.send_due()?,
            _ => {
                let now = bed.now;
                bed.noted.with(|noted| {
                    noted
                        .values_mut()
                        .for_each(|awaited| awaited.acknowledged = now);
                });
                bed.send_due()?;
            }
        }
    }
    bed.respond()?;
    bed.end()
}

impl Bed {
    fn new(scenario: usize, options: u8) -> Result<Self> {
        let is_set = |bit: u8| options & 1 << bit != 0;
        let policy = Policy {
            mac: kernel_policy().mac.filter(|_| !is_set(0)),
            verify_checksum: is_set(1),
            avp_limit: u32::MAX,
        };
        let follow = Follow {
            sample: if is_set(2) { Sample::ALL } else { Sample::NONE },
            capture: is_set(3).then_some(1 << 12),
        };
        // So few that a single input comes to the bounds.
        let few = NonZeroU32::new(if is_set(4) { 2 } else { 64 }).context("more than none")?;
        let bounds = Bounds {
            pending: few,
            pairs: few,
            waiting: few,
        };
        let act = Act::bounded(Arc::clone(&COMPILED[scenario]), 0, bounds);
        let noted = Noted::default();
        let is_left = is_set(5);
        let kernel_half = KernelHalf {
            leave_to_host: Box::new(move |_, _| is_left),
            acknowledgements: Box::new(noted.clone()),
        };
        let (player, mut remote) = Player::with_act(policy, follow, act, Some(kernel_half));
        Ok(Self {
            player,
            events: remote.take_events(),
            captured: remote.take_frames(),
            remote,
            noted,
            umem: Umem::new(FRAMES)?,
            batch: Batch::new(BATCH),
            now: 1_000_000_000,
            replies: SCENARIOS[scenario].0,
            received: Vec::new(),
            sent: 0,
        })
    }

    fn receive(&mut self, frame: &[u8]) -> Result<()> {
        if self.batch.received.len() == BATCH {
            self.respond()?;
        }
        let address = self.umem.take().context("a frame of the umem is lost")? + HEADROOM;
        let room = self.umem.room(address).get_mut(..frame.len());
        room.context("the frame is too long")?
            .copy_from_slice(frame);
        self.batch.received.push(Packet {
            address,
            len: frame.len() as u32,
        });
        self.received.push(frame.to_vec());
        Ok(())
    }

    fn respond(&mut self) -> Result<()> {
        let frames = self.batch.received.len() as u64;
        self.player.begin_turn();
        let counts = self
            .player
            .respond(self.now, &mut self.umem, &mut self.batch, |_| {});
        self.player.end_turn();
        let counted: u64 = counts.iter().sum();
        ensure!(counted == frames, "{counted} verdicts on {frames} frames");
        self.take_replies()
    }

    fn send_due(&mut self) -> Result<()> {
        self.respond()?;
        self.player.begin_turn();
        self.player
            .send_due(self.now, &mut self.umem, &mut self.batch, |_| {});
        self.player.end_turn();
        self.take_replies()
    }

    fn take_replies(&mut self) -> Result<()> {
        let packets: Vec<_> = self.batch.replies.drain(..).collect();
        for packet in packets {
            let room = self.umem.room(packet.address);
            let reply = room.get(..packet.len as usize);
            let reply = reply.context("a reply is beyond its frame")?.to_vec();
            self.umem.give(packet.address);
            self.sent += 1;
            self.check(&reply)
                .with_context(|| format!("the reply {reply:02x?}"))?;
        }
        if let Some(events) = &mut self.events {
            events.take(usize::MAX, |_| {});
        }
        if let Some(captured) = &mut self.captured {
            captured.take(usize::MAX, &mut |_, _| {});
        }
        Ok(())
    }

    /// Waits until nothing is owed any more.
    fn end(mut self) -> Result<()> {
        let most = self.received.len() * COPIES * TRANSMISSIONS;
        for _ in 0..=2 * most {
            let Some(due) = self.player.next_due() else {
                let free = self.umem.free();
                ensure!(
                    free == FRAMES as usize,
                    "{free} frames of {FRAMES} are left"
                );
                ensure!(self.sent <= most, "{} replies, not {most}", self.sent);
                // Reading it is not to fail either.
                self.remote.sent();
                return Ok(());
            };
            self.now = self.now.max(due);
            self.send_due()?;
        }
        bail!("what is owed never ends")
    }

    /// Reads a reply.
    fn check(&self, reply: &[u8]) -> Result<()> {
        let len = reply.len();
        ensure!((SHORTEST..=LONGEST).contains(&len), "{len} octets");
        let is_asked_from = |frame: &&Vec<u8>| {
            let macs = frame.get(..12).zip(reply.get(..12));
            macs.is_some_and(|(asked, reply)| asked[..6] == reply[6..] && asked[6..] == reply[..6])
        };
        let mut requests = self.received.iter().filter(is_asked_from).peekable();
        ensure!(
            requests.peek().is_some(),
            "nobody of that MAC address asked"
        );
        if self.replies == Replies::Any {
            return Ok(());
        }
        let datagram = Datagram::parse(reply)?;
        ensure!(
            datagram.checksum == Checksum::Right,
            "{:?}",
            datagram.checksum
        );
        let message = ControlMessage::parse(&datagram.payload)?;
        if !message.avps.is_empty() {
            StopCcn::parse(&datagram.payload)?;
        }
        ensure!(
            requests.any(|request| answers(&datagram, &message, request)),
            "nobody asked for {message:?}"
        );
        Ok(())
    }
}

/// Whether a reply may be one to this frame. A frame that the strict reader does not understand may
/// be anything, as long as the writer did.
fn answers(reply: &Datagram, message: &ControlMessage, frame: &[u8]) -> bool {
    let Ok(request) = Datagram::parse(frame) else {
        return true;
    };
    if (reply.source, reply.destination, &reply.tags)
        != (request.destination, request.source, &request.tags)
    {
        return false;
    }
    let Ok(asked) = ControlMessage::parse(&request.payload) else {
        return true;
    };
    // Of several the last one counts.
    let is_id = |avp: &&Avp| avp.vendor == 0 && avp.attribute == attribute::ASSIGNED_TUNNEL_ID;
    let id = asked.avps.iter().rev().find(is_id);
    id.and_then(Avp::number) == Some(message.tunnel_id)
        && message.nr == asked.ns.wrapping_add(1)
        && message.session_id == 0
}

/// A step that brings a frame, some nanoseconds later.
fn step(frame: &[u8], batched: bool, exponent: u8) -> Vec<u8> {
    let len = (frame.len() as u16).to_le_bytes();
    [&[u8::from(batched) << 6 | exponent], &len[..], frame].concat()
}

/// Every fixture by itself, and requests with time between them under each scenario.
fn seeds() -> Result<Vec<Vec<u8>>> {
    const SECOND_OR_SO: u8 = 30;
    let usable = |frame: &[u8]| frame.len() <= ROOM;
    let mut seeds = Vec::new();
    for fixture in fixtures(&REPLIES[0]) {
        if usable(&fixture.frame) {
            seeds.push([vec![1, 0], step(&fixture.frame, false, 0)].concat());
        }
    }
    let answered = fixtures(&REPLIES[0]).into_iter();
    let answered = answered.filter(|fixture| fixture.reply.is_some() && usable(&fixture.frame));
    let answered: Vec<_> = answered.map(|fixture| fixture.frame).collect();
    for scenario in 0..SCENARIOS.len() as u8 {
        for options in [0, 0b00_1101, 0b11_0101] {
            let mut seed = vec![scenario, options];
            seed.extend(step(&request(), true, 0));
            for frame in answered.iter().take(6) {
                seed.extend(step(frame, false, SECOND_OR_SO));
            }
            seed.extend([2 << 6 | SECOND_OR_SO, 3 << 6 | SECOND_OR_SO]);
            seeds.push(seed);
        }
    }
    Ok(seeds)
}
