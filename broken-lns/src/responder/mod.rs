//! One interface that is answered on: its program, its workers, its counters.

mod attachment;
mod delivery;
mod error;
mod start;
mod watch;
mod workers;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::rate_limit::Limit;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::Verdict;

use crate::capture::Source;
use crate::compile::{Compiled, rule_name};
use crate::interface::{
    DriverStatistics, Exceptions, Interface, Keeper, Promiscuous, TRANSMIT_EXCEPTIONS,
};
use crate::mode::{Path, Wait, XdpMode};
use crate::plan::Attempt;
use crate::play::{Remote, Sent, WorkerEvents};
use crate::program::{Events, KernelCounts, Program};
use crate::queue::Socket;
use crate::rate_limit::RateLimit;
use crate::snapshot::{InterfaceSnapshot, QueueSnapshot, RuleSnapshot};
use delivery::Delivery;
use watch::Watch;
use workers::Workers;

pub use attachment::Attachment;
pub use error::ResponderError;

/// How an interface is answered on.
#[derive(Clone, Copy, Debug)]
pub struct ResponderOptions {
    /// The path that was asked for.
    pub path: Path,
    /// The attach mode that was asked for.
    pub xdp_mode: XdpMode,
    /// Whether every MAC address is answered for.
    pub any_mac: bool,
    /// Whether control messages must have a right UDP checksum.
    pub verify_checksum: bool,
    /// How often a source is replied to.
    pub limit: Limit,
    /// Whether to take the place of another XDP program.
    pub replace: bool,
    /// Whether the program is attached again that was detached by somebody else.
    pub keep_attached: bool,
    /// The number of queues with a worker; all of the interface where none is given.
    pub queues: Option<u32>,
    /// Most frames that a worker answers at a time.
    pub batch_size: u32,
    /// What workers do while there are no frames.
    pub wait: Wait,
    /// Which LACs are followed.
    pub sample: Sample,
    /// Octets of the ring buffer for what is heard of them: a power of two, and a page at the
    /// least.
    pub events_size: u32,
    /// Octets of each ring for captured frames of these LACs: a power of two, and a page at the
    /// least. Nothing is captured without it.
    pub capture: Option<u32>,
    /// Whether answers are announced.
    pub announce: bool,
    /// The least important messages that the program logs.
    pub log_level: log::LevelFilter,
}

/// An interface that is answered on, until it is stopped or dropped.
pub struct Responder {
    interface: Interface,
    attempt: Attempt,
    any_mac: bool,
    replace: bool,
    keep_attached: bool,
    /// What is so from the start on.
    remarks: Vec<String>,
    program: Program,
    workers: Workers,
    driver: DriverStatistics,
    /// What XDP_TX loses; none where the kernel does not tell, or nothing goes that way.
    exceptions: Option<Exceptions>,
    watch: Watch,
    delivery: Delivery,
    /// Why nothing is answered here any more.
    ended: Option<String>,
    promiscuous: Option<Promiscuous>,
    /// Puts back what was switched for VLAN tags, after the program is gone.
    _keeper: Option<Keeper>,
    /// The scenario, and behind it those that a worker may still owe replies of: they are
    /// given up here, and not where a worker would have to give the memory back.
    scenarios: Vec<Arc<Compiled>>,
}

impl Responder {
    /// Puts another scenario in force, by whose number what is told of a frame is known; that of
    /// the first one is 0. Attempts and the hits of rules are counted anew; what is owed of the
    /// old one is still sent.
    ///
    /// The workers are told first, so that they have it for whatever the kernel half hands over
    /// because of it. They go on with it from their next batch on, the kernel half at one instant.
    ///
    /// # Errors
    ///
    /// As for [`can_play`](Self::can_play), where nothing has changed then; and
    /// [`ResponderError::Install`], where the kernel half goes on with the old one.
    pub fn set_scenario(
        &mut self,
        compiled: Arc<Compiled>,
        number: u32,
    ) -> Result<(), ResponderError> {
        if self.ended.is_some() {
            // What was met of the old one is of no rule of this one.
            self.scenarios.clear();
            return Ok(());
        }
        self.can_play(&compiled)?;
        let refused = |cause| ResponderError::Install {
            interface: self.interface.name.clone(),
            cause,
        };
        if compiled.retransmits() {
            self.program.await_acknowledgements().map_err(refused)?;
        }
        for player in &mut self.workers.players {
            player.set(Arc::clone(&compiled), number);
        }
        let installed = self.program.install(&compiled, number);
        installed.map_err(refused)?;
        self.scenarios
            .retain(|scenario| Arc::strong_count(scenario) > 1);
        self.scenarios.insert(0, compiled);
        Ok(())
    }

    /// Whether the scenario can be this one.
    ///
    /// # Errors
    ///
    /// [`ResponderError::NeedsRedirect`], where there are no workers and it needs one.
    pub fn can_play(&self, compiled: &Compiled) -> Result<(), ResponderError> {
        match self.attempt.path {
            _ if self.ended.is_some() => Ok(()),
            maps::Path::Rewrite => check_rewritable(compiled),
            maps::Path::Redirect | maps::Path::RewriteElseRedirect => Ok(()),
        }
    }

    /// Octets that a packet on the interface may have.
    pub fn mtu(&self) -> u32 {
        self.interface.mtu
    }

    /// The name of the interface.
    pub fn interface(&self) -> &str {
        &self.interface.name
    }

    /// What its user should know now, each in a sentence.
    pub fn remarks(&self) -> Vec<String> {
        let condition = &self.watch.condition;
        let name = &condition.name;
        let mut remarks = self.remarks.clone();
        if !condition.up {
            remarks.push(format!("it is down: ip link set {name} up"));
        } else if !condition.carrier {
            remarks.push("it has no carrier: is its other end connected, and up?".to_owned());
        }
        remarks.extend(self.left_queues(name, condition.rx_queues));
        remarks
    }

    /// Why nothing is answered here any more, if so.
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }

    /// How it is attached.
    pub fn attachment(&self) -> Attachment {
        let sockets = &self.workers.sockets;
        Attachment {
            mode: self.attempt.mode,
            path: match self.attempt.path {
                maps::Path::Rewrite => Path::Rewrite,
                maps::Path::Redirect => Path::Redirect,
                maps::Path::RewriteElseRedirect => Path::Auto,
            },
            workers: sockets.len(),
            zero_copy: !sockets.is_empty() && sockets.iter().all(Socket::is_zero_copy),
        }
    }

    /// The ring buffer in which the program announces answers; it can be taken once.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Load`] the second time.
    pub fn answers(&mut self) -> Result<RingBuf<MapData>, ResponderError> {
        let answers = self.program.answers();
        answers.map_err(|cause| ResponderError::load(&self.interface, cause))
    }

    /// The ring buffer in which it announces what has no answer; it can be taken once.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Load`] the second time.
    pub fn unanswered(&mut self) -> Result<RingBuf<MapData>, ResponderError> {
        let unanswered = self.program.unanswered();
        unanswered.map_err(|cause| ResponderError::load(&self.interface, cause))
    }

    /// The events of the LACs that are followed; they can be taken once.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Load`] the second time.
    pub fn events(&mut self) -> Result<Events, ResponderError> {
        let events = self.program.events();
        events.map_err(|cause| ResponderError::load(&self.interface, cause))
    }

    /// What the workers tell of the LACs in the sample, for each worker its own; it can be taken
    /// once.
    pub fn worker_events(&mut self) -> Vec<WorkerEvents> {
        let players = self.workers.players.iter_mut();
        players.filter_map(Remote::take_events).collect()
    }

    /// Where the frames of the LACs in the sample wait that are captured; they can be taken once.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Load`] the second time.
    pub fn captured(&mut self) -> Result<Vec<Box<dyn Source>>, ResponderError> {
        let kernel = self.program.captured();
        let kernel = kernel.map_err(|cause| ResponderError::load(&self.interface, cause))?;
        let mut sources: Vec<Box<dyn Source>> = vec![Box::new(kernel)];
        for player in &mut self.workers.players {
            if let Some(frames) = player.take_frames() {
                sources.push(Box::new(frames));
            }
        }
        Ok(sources)
    }

    /// The messages of the program, for `logger`; they can be taken once.
    ///
    /// # Errors
    ///
    /// The second time.
    pub fn messages<L: log::Log>(&mut self, logger: L) -> Result<EbpfLogger<L>, aya_log::Error> {
        self.program.messages(logger)
    }

    /// What was counted so far, with the rules that were met: there may be many, and each of
    /// them is looked at.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn snapshot_with_rules(&self) -> Result<InterfaceSnapshot, ResponderError> {
        let rules = self.rules()?;
        let snapshot = self.snapshot()?;
        Ok(InterfaceSnapshot { rules, ..snapshot })
    }

    /// What was counted so far, without the rules.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn snapshot(&self) -> Result<InterfaceSnapshot, ResponderError> {
        let kernel = self.kernel_counts()?;
        let mut snapshot = InterfaceSnapshot {
            name: self.interface.name.clone(),
            verdicts: kernel.verdicts,
            rewritten: kernel.verdicts[Verdict::Answered as usize],
            redirected: 0,
            sent: [0; Sent::COUNT],
            events_lost: kernel.events_lost,
            undelivered: self.delivery.undelivered(),
            ended: self.ended.clone(),
            rules: Vec::new(),
            queues: Vec::with_capacity(self.workers.sockets.len()),
            driver: self.driver.since_start(),
        };
        snapshot.sent[Sent::OverMtu as usize] = kernel.over_mtu;
        if let Some(exceptions) = &self.exceptions {
            let lost = exceptions.count().map_err(|cause| self.uncounted(cause))?;
            if lost > 0 {
                let name = TRANSMIT_EXCEPTIONS.to_owned();
                snapshot.driver.push((name, lost));
            }
        }
        for player in &self.workers.players {
            for (sum, count) in snapshot.sent.iter_mut().zip(player.sent()) {
                *sum += count;
            }
            snapshot.events_lost += player.events_lost();
        }
        for socket in &self.workers.sockets {
            let counts = socket.tally().counts();
            for (sum, count) in snapshot.verdicts.iter_mut().zip(&counts) {
                *sum += count;
            }
            let answered = counts[Verdict::Answered as usize];
            snapshot.redirected += answered;
            let statistics = socket.statistics().map_err(|cause| self.uncounted(cause))?;
            snapshot.verdicts[Verdict::SocketFull as usize] +=
                statistics.rx_dropped + statistics.rx_ring_full;
            snapshot.queues.push(QueueSnapshot {
                queue: socket.queue(),
                answered,
                xdp_statistics: statistics,
            });
        }
        Ok(snapshot)
    }

    /// Whom a half did not reply to first, since it had as many replies as it may have.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn limited(&self) -> Result<Option<IpAddr>, ResponderError> {
        let of_workers = self.workers.rate_limit.as_ref();
        if let Some(first) = of_workers.and_then(RateLimit::first) {
            return Ok(Some(first));
        }
        let limited = self.program.limited();
        limited.map_err(|error| self.uncounted(io::Error::other(error)))
    }

    /// How many requests met each rule, the default first, then in the order of the scenario.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn hits(&self) -> Result<Vec<u64>, ResponderError> {
        if self.scenarios.is_empty() {
            return Ok(Vec::new());
        }
        let hits = self.program.hits();
        let mut hits = hits.map_err(|error| self.uncounted(io::Error::other(error)))?;
        for player in &self.workers.players {
            for (sum, count) in hits.iter_mut().zip(player.hits()) {
                *sum += count;
            }
        }
        Ok(hits)
    }

    /// The rules that were met.
    fn rules(&self) -> Result<Vec<RuleSnapshot>, ResponderError> {
        let rules = self.scenarios.first().map(|compiled| compiled.rules());
        let rules = rules.into_iter().flatten().zip(self.hits()?);
        let rules = rules.map(|((_, rule), hits)| RuleSnapshot {
            place: rule.place,
            hits,
        });
        Ok(rules.filter(|rule| rule.hits > 0).collect())
    }

    fn uncounted(&self, cause: io::Error) -> ResponderError {
        ResponderError::Counters {
            interface: self.interface.name.clone(),
            cause,
        }
    }

    fn kernel_counts(&self) -> Result<KernelCounts, ResponderError> {
        let counts = self.program.counts();
        counts.map_err(|error| self.uncounted(io::Error::other(error)))
    }

    /// Answers nothing any more, for that reason. What was counted stays.
    pub fn end(&mut self, reason: &ResponderError) {
        self.detach();
        self.ended = Some(reason.to_string());
    }

    /// Detaches the program, lets the workers answer what was handed over, and
    /// returns the last counts.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn stop(mut self) -> Result<InterfaceSnapshot, ResponderError> {
        if self.ended.is_none() {
            self.detach();
        }
        self.snapshot_with_rules()
    }

    /// Detaches the program, and lets the workers answer what was handed over.
    fn detach(&mut self) {
        self.program.detach();
        self.promiscuous = None;
        self.workers.end();
        // Where they do not tell, what was missed before is all that is known.
        if let (Ok(counts), Ok(arrived)) = (self.kernel_counts(), self.arrived()) {
            self.delivery.end(counts.handed_over, arrived);
        }
    }
}

/// Why the kernel half alone cannot play a scenario, if it cannot.
fn check_rewritable(compiled: &Compiled) -> Result<(), ResponderError> {
    match compiled.needs_redirect() {
        Some((rule, what)) => Err(ResponderError::NeedsRedirect {
            rule: rule_name(rule.place),
            what,
        }),
        None => Ok(()),
    }
}
