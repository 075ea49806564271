//! One frame through both halves: the kernel half's program itself, by BPF_PROG_TEST_RUN, and a
//! worker. They have to reach the same verdict and to write the same reply, and the library that
//! both are made of has to reach it on a copy of the frame with nothing behind its end.
//!
//! An input is the number of a setting and a frame.

use std::cell::RefCell;

use anyhow::{Context as _, Result, ensure};
use broken_lns::compile::Compiled;
use broken_lns::refusal::Refusal;
use broken_lns::scenario::Scenario;
use broken_lns::snapshot::VerdictCounts;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::reply;
use broken_lns_ebpf::sccrq::{self, Policy};
use broken_lns_ebpf::verdict::Verdict;
use xtask::lab;

use crate::fixtures::{REPLIES, fixtures, template};
use crate::halves::{KernelHalf, Outcome, Path, Worker, kernel_policy};
use crate::{Input, Target};

/// Both halves on any frame.
pub const TARGET: Target = Target {
    name: "frames",
    seeds,
    words,
    run,
};

/// The shortest frame that the kernel runs a program on, and the longest that fits a buffer of its
/// own there.
const LEAST: usize = 14;
const MOST: usize = 2_000;

/// What differs from a refusal of everybody: in the policy, and in the scenario.
const SETTINGS: [(Change, &str); 8] = [
    (|_| {}, ""),
    (|policy| policy.verify_checksum = true, ""),
    (|policy| policy.mac = None, ""),
    (|_| {}, "[default]\nfault = \"code-in-address\"\n"),
    (|_| {}, "[default]\nfault = \"acknowledge\"\n"),
    (
        |_| {},
        "[default]\nfault = \"garble\"\nkind = \"wrong-source-port\"\n",
    ),
    (
        |_| {},
        "[default]\nfault = \"silent\"\nprobability = 0.5\n\
         otherwise = { fault = \"garble\", kind = \"bad-ip-checksum\" }\n",
    ),
    (
        |_| {},
        "[[lns]]\naddress = \"10.0.0.0/8\"\nfault = \"refuse\"\nresult = 7\nerror = \"none\"\n\
         [[lns.lac]]\naddress = \"10.77.0.0/31\"\nfault = \"garble\"\nkind = \"wrong-nr\"\n\
         [[lns]]\naddress = \"2001:db8::/32\"\nfault = \"silent\"\n",
    ),
];

type Change = fn(&mut Policy);

/// What runs under one setting.
struct Bed {
    policy: Policy,
    worker: Worker,
    /// Missing where it may not be loaded.
    kernel: Option<KernelHalf>,
    /// What the kernel half has counted.
    counts: VerdictCounts,
}

impl Bed {
    fn new(change: Change, text: &str) -> Result<Self> {
        let mut policy = kernel_policy();
        change(&mut policy);
        let compiled = match text {
            "" => Compiled::of_template(template(&REPLIES[0]))?,
            text => Compiled::new(&Scenario::parse("frames", text, &Refusal::default())?)?,
        };
        let kernel = match lab::obstacle(&[]) {
            None => Some(KernelHalf::with_scenario(
                &compiled,
                Path::Rewrite,
                &policy,
            )?),
            Some(_) => None,
        };
        Ok(Self {
            worker: Worker::with_scenario(compiled, policy),
            kernel,
            policy,
            counts: [0; Verdict::COUNT],
        })
    }
}

thread_local! {
    /// The beds that were made so far, since each takes the verifier a second.
    static BEDS: RefCell<[Option<Bed>; SETTINGS.len()]> =
        const { RefCell::new([const { None }; SETTINGS.len()]) };
}

fn run(data: &[u8]) -> Result<()> {
    let mut input = Input(data);
    let setting = usize::from(input.octet()) % SETTINGS.len();
    let frame = input.octets(MOST);
    if frame.len() < LEAST {
        return Ok(());
    }
    BEDS.with_borrow_mut(|beds| {
        let bed = match &mut beds[setting] {
            Some(bed) => bed,
            empty => {
                let (change, text) = SETTINGS[setting];
                empty.insert(Bed::new(change, text)?)
            }
        };
        try_frame(bed, setting, frame)
    })
}

fn try_frame(bed: &mut Bed, setting: usize, frame: &[u8]) -> Result<()> {
    let by_worker = bed.worker.respond(frame)?;
    // Where every request gets the same reply, the library is all that it takes.
    if SETTINGS[setting].1.is_empty() {
        let by_library = by_library(frame, bed.policy)?;
        ensure!(
            by_library == by_worker,
            "the library: {by_library:02x?}\nthe worker: {by_worker:02x?}"
        );
    }
    let Some(kernel) = &mut bed.kernel else {
        return Ok(());
    };
    let verdict = by_worker.verdict;
    let left = kernel.run_as(frame, verdict.disposition())?;
    let expected = by_worker.reply.as_deref().unwrap_or(frame);
    ensure!(
        left == expected,
        "the worker: {} {expected:02x?}\nthe kernel half: {left:02x?}",
        verdict.label()
    );
    bed.counts[verdict as usize] += 1;
    let counts = kernel.counts()?;
    ensure!(
        counts == bed.counts,
        "the kernel half does not call it {}: {counts:?}",
        verdict.label()
    );
    for (event, _) in kernel.events() {
        ensure!(event.verdict() == Some(verdict), "told of as {event:?}");
    }
    Ok(())
}

/// What parser and writer make of a copy of the frame that ends where the frame does.
fn by_library(frame: &[u8], policy: Policy) -> Result<Outcome> {
    let mut copy = Box::<[u8]>::from(frame);
    let sccrq = match sccrq::parse(Frame::new(&mut copy), || false, || policy) {
        Ok(sccrq) => sccrq,
        Err(verdict) => {
            return Ok(Outcome {
                verdict,
                reply: None,
            });
        }
    };
    let template = template(&REPLIES[0]);
    let mut room = frame.to_vec();
    room.resize(reply::frame_len(&sccrq, &template), 0);
    let mut room = room.into_boxed_slice();
    reply::write(Frame::new(&mut room), &sccrq, &template).context("it has no room")?;
    Ok(Outcome {
        verdict: Verdict::Answered,
        reply: Some(room.into()),
    })
}

/// Every fixture under the first settings, and those that are answered under all.
fn seeds() -> Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    for setting in 0..SETTINGS.len() as u8 {
        for fixture in fixtures(&REPLIES[0]) {
            let is_answered = fixture.verdict == Verdict::Answered;
            if fixture.frame.len() <= MOST && (setting < 2 || is_answered) {
                seeds.push([&[setting], fixture.frame.as_slice()].concat());
            }
        }
    }
    Ok(seeds)
}

/// What a frame is known by.
pub(crate) fn words() -> Vec<Vec<u8>> {
    let words: [&[u8]; 14] = [
        &crate::halves::OWN_MAC,
        &[0x08, 0x00],
        &[0x86, 0xdd],
        &[0x81, 0x00],
        &[0x88, 0xa8],
        &[0x45, 0x00],
        &[0x60, 0, 0, 0],
        &[0x40, 0x11],
        &[0x11, 0x40],
        &[0x06, 0xa5, 0x06, 0xa5],
        &[0x06, 0xa6],
        &[0xc8, 0x02],
        &[0x80, 0x08, 0, 0, 0, 0, 0, 1],
        &[0x80, 0x08, 0, 0, 0, 9, 0, 7],
    ];
    words.map(<[u8]>::to_vec).to_vec()
}
