//! One frame at a time through either half.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use aya::programs::{TestRun as _, TestRunOptions};
use broken_lns::af_xdp::{Packet, Umem};
use broken_lns::capture::{Captured, Source as _};
use broken_lns::compile::Compiled;
use broken_lns::play::{Follow, Orders, Player};
use broken_lns::program::{AwaitedMap, CapturedFrames, Events, Program, ProgramSettings};
use broken_lns::respond::Batch;
use broken_lns::snapshot::VerdictCounts;
use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::rate_limit::Limit;
use broken_lns_ebpf::rules::Mark;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::{KERNEL_AVP_LIMIT, Policy};
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use broken_lns_ebpf::wire::ethernet::MacAddress;

use broken_lns_ebpf::maps::EVENTS_SIZE;
pub(crate) use broken_lns_ebpf::maps::Path;

/// The MAC address that both halves answer for.
pub(crate) const OWN_MAC: [u8; 6] = [0x6e, 0xd6, 0xbf, 0x94, 0xa7, 0x91];

/// Octets that the kernel keeps free before a packet that it received.
const HEADROOM: u64 = 256;
/// More than the largest frame of a run without an interface.
const BUFFER: usize = 4096;

/// A limit on replies to one source that is never reached.
const NO_HINDRANCE: Limit = Limit {
    interval: 1,
    seed: 1,
};

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// The frame that is sent back, if one is.
    pub(crate) reply: Option<Vec<u8>>,
}

/// The policy of the kernel half.
pub(crate) fn kernel_policy() -> Policy {
    Policy {
        mac: Some(MacAddress::new(OWN_MAC)),
        verify_checksum: false,
        avp_limit: KERNEL_AVP_LIMIT,
    }
}

/// A worker without a socket.
pub(crate) struct Worker {
    player: Player,
    umem: Umem,
}

impl Worker {
    /// A worker as the responder starts it.
    pub(crate) fn new(template: Template) -> Self {
        Self::with_policy(
            template,
            Policy {
                avp_limit: u32::MAX,
                ..kernel_policy()
            },
        )
    }

    pub(crate) fn with_policy(template: Template, policy: Policy) -> Self {
        let compiled = Compiled::of_template(template).expect("one template is a scenario");
        Self::with_scenario(compiled, policy)
    }

    /// A worker that plays a scenario.
    pub(crate) fn with_scenario(compiled: Compiled, policy: Policy) -> Self {
        let orders = Orders {
            rate_limit: None,
            policy,
            compiled: Arc::new(compiled),
            scenario: 0,
            follow: Follow::NOBODY,
        };
        let (player, _) = Player::new(orders, None);
        Self {
            player,
            umem: Umem::new(8).expect("eight frames fit in memory"),
        }
    }

    pub(crate) fn respond(&mut self, frame: &[u8]) -> Result<Outcome> {
        let mut batch = Batch::new(1);
        let address = self.umem.take();
        let address = address.context("the worker lost a frame of its umem")? + HEADROOM;
        let room = self.umem.room(address).get_mut(..frame.len());
        room.context("the frame is too long")?
            .copy_from_slice(frame);
        batch.received.push(Packet {
            address,
            len: frame.len() as u32,
        });
        let counts = self.player.respond(0, &mut self.umem, &mut batch, |_| {});
        let reply = batch.replies.pop().map(|packet| {
            let bytes = self.umem.room(packet.address)[..packet.len as usize].to_vec();
            self.umem.give(packet.address);
            bytes
        });
        Ok(Outcome {
            verdict: counted(&[0; Verdict::COUNT], &counts)?,
            reply,
        })
    }
}

/// The kernel half, without an interface.
pub(crate) struct KernelHalf {
    program: Program,
    events: Events,
    frames: CapturedFrames,
    /// The number of the scenario.
    scenario: u32,
}

impl KernelHalf {
    /// The kernel half as `--path rewrite` loads it.
    pub(crate) fn load(template: Template) -> Result<Self> {
        Self::with_policy(template, Path::Rewrite, &kernel_policy())
    }

    pub(crate) fn with_policy(template: Template, path: Path, policy: &Policy) -> Result<Self> {
        Self::with_scenario(&Compiled::of_template(template)?, path, policy)
    }

    pub(crate) fn with_scenario(compiled: &Compiled, path: Path, policy: &Policy) -> Result<Self> {
        Self::with_sample(compiled, path, policy, Sample::ALL)
    }

    pub(crate) fn with_sample(
        compiled: &Compiled,
        path: Path,
        policy: &Policy,
        sample: Sample,
    ) -> Result<Self> {
        Self::with_settings(compiled, path, policy, sample, None)
    }

    /// One with all that can be had of it, which captures frames in a ring buffer of this size.
    pub(crate) fn capturing(
        compiled: &Compiled,
        path: Path,
        policy: &Policy,
        size: u32,
    ) -> Result<Self> {
        Self::with_settings(compiled, path, policy, Sample::ALL, Some(size))
    }

    fn with_settings(
        compiled: &Compiled,
        path: Path,
        policy: &Policy,
        sample: Sample,
        capture: Option<u32>,
    ) -> Result<Self> {
        let limit = match capture {
            Some(_) => NO_HINDRANCE,
            None => Limit::OFF,
        };
        let settings = ProgramSettings {
            path,
            mac: policy.mac.map(|_| OWN_MAC),
            mtu: u32::MAX,
            verify_checksum: policy.verify_checksum,
            limit,
            sample,
            events_size: EVENTS_SIZE,
            capture,
            announce: false,
            log_level: log::LevelFilter::Off,
        };
        let mut program = Program::load(&settings, compiled)?;
        Ok(Self {
            events: program.events()?,
            frames: program.captured()?,
            program,
            scenario: 0,
        })
    }

    /// Goes on with another scenario.
    pub(crate) fn install(&mut self, compiled: &Compiled) -> Result<()> {
        self.scenario += 1;
        Ok(self.program.install(compiled, self.scenario)?)
    }

    /// How many requests met each rule.
    pub(crate) fn hits(&self) -> Result<Vec<u64>> {
        Ok(self.program.hits()?)
    }

    /// Marks something as a worker does by the rule of that number.
    pub(crate) fn mark(&self, mark: &Mark, rule: u32) -> Result<()> {
        Ok(self.program.marks()?.set(mark, rule)?)
    }

    /// What workers wait for.
    pub(crate) fn awaited(&self) -> Result<AwaitedMap> {
        Ok(self.program.awaited()?)
    }

    /// Has acknowledgements noted from now on.
    pub(crate) fn await_acknowledgements(&mut self) -> Result<()> {
        Ok(self.program.await_acknowledgements()?)
    }

    /// How many instructions the verifier walked.
    pub(crate) fn verified_instructions(&mut self) -> Result<u32> {
        let count = self.program.verified_instructions()?;
        count.context("the kernel does not tell what it verified")
    }

    pub(crate) fn counts(&self) -> Result<VerdictCounts> {
        Ok(self.program.counts()?.verdicts)
    }

    pub(crate) fn respond(&mut self, frame: &[u8]) -> Result<Outcome> {
        let before = self.counts()?;
        let (action, left) = self.test_run(frame)?;
        let verdict = counted(&before, &self.counts()?)?;
        ensure!(
            action == action_of(verdict.disposition()),
            "{} has action {action}",
            verdict.label()
        );
        let is_reply = verdict.disposition() == Disposition::Transmit;
        Ok(Outcome {
            verdict,
            reply: is_reply.then_some(left),
        })
    }

    /// What was told since the last time, with what follows each event.
    pub(crate) fn events(&mut self) -> Vec<(Event, Vec<u8>)> {
        let mut events = Vec::new();
        self.events.take(usize::MAX, |octets| {
            let event = Event::from_octets(octets);
            events.extend(event.map(|(event, rest)| (event, rest.to_vec())));
        });
        events
    }

    /// How many events did not fit.
    pub(crate) fn events_lost(&self) -> Result<u64> {
        Ok(self.program.counts()?.events_lost)
    }

    /// What was captured since the last time.
    pub(crate) fn captured(&mut self) -> Vec<(Captured, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut take = |captured: &Captured, octets: &[u8]| {
            frames.push((*captured, octets.to_vec()));
        };
        self.frames.take(usize::MAX, &mut take);
        frames
    }

    /// How many frames did not fit.
    pub(crate) fn captured_lost(&self) -> u64 {
        self.frames.lost()
    }

    /// Has the kernel half look at a frame that it leaves as it is, many times.
    pub(crate) fn repeat(&mut self, frame: &[u8], times: u32) -> Result<()> {
        self.program.xdp()?.test_run(TestRunOptions {
            data_in: Some(frame),
            repeat: times,
            ..TestRunOptions::new()
        })?;
        Ok(())
    }

    /// The frame as the kernel half leaves it.
    pub(crate) fn run(&mut self, frame: &[u8]) -> Result<Vec<u8>> {
        Ok(self.test_run(frame)?.1)
    }

    /// The same, where the action must be that of `disposition`.
    pub(crate) fn run_as(&mut self, frame: &[u8], disposition: Disposition) -> Result<Vec<u8>> {
        let (action, left) = self.test_run(frame)?;
        ensure!(
            action == action_of(disposition),
            "action {action} where {disposition:?} is due: {frame:02x?}"
        );
        Ok(left)
    }

    fn test_run(&mut self, frame: &[u8]) -> Result<(u32, Vec<u8>)> {
        let mut left = vec![0; BUFFER];
        let result = self.program.xdp()?.test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut left),
            ..TestRunOptions::new()
        })?;
        left.truncate(result.data_size_out as usize);
        Ok((result.return_value, left))
    }
}

/// The XDP action of `linux/bpf.h` for each disposition.
fn action_of(disposition: Disposition) -> u32 {
    match disposition {
        Disposition::Consume => 1,
        Disposition::Pass => 2,
        Disposition::Transmit => 3,
    }
}

/// The one verdict under which one frame was counted.
fn counted(before: &VerdictCounts, after: &VerdictCounts) -> Result<Verdict> {
    let mut changed = Verdict::ALL
        .iter()
        .filter(|verdict| before[**verdict as usize] != after[**verdict as usize]);
    let verdict = *changed.next().context("the frame was not counted")?;
    ensure!(
        changed.next().is_none() && after[verdict as usize] == before[verdict as usize] + 1,
        "the frame was counted more than once"
    );
    Ok(verdict)
}
