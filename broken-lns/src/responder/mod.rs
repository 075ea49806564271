//! One interface that is answered on: its program, its workers, its counters.

mod attachment;
mod error;
mod workers;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;

use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::sccrq::Policy;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::ethernet::MacAddress;

use crate::capture::Source;
use crate::compile::{Compiled, rule_name};
use crate::interface::{AttachMode, DriverStatistics, Exceptions, Interface, TRANSMIT_EXCEPTIONS};
use crate::mode::{Path, Wait, XdpMode};
use crate::plan::{Attempt, Hazards, Plan, plan, remarks};
use crate::play::{Follow, Orders, Remote, Sent, WorkerEvents};
use crate::program::{AttachError, Events, Program, ProgramSettings};
use crate::queue::Socket;
use crate::snapshot::{InterfaceSnapshot, QueueSnapshot, RuleSnapshot};

pub use attachment::Attachment;
pub use error::ResponderError;
use workers::{WorkerOrder, Workers};

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
    /// Whether to take the place of another XDP program.
    pub replace: bool,
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
    remarks: Vec<String>,
    program: Program,
    workers: Workers,
    driver: DriverStatistics,
    /// What XDP_TX loses; none where the kernel does not tell, or nothing goes that way.
    exceptions: Option<Exceptions>,
    /// The scenario, and behind it those that a worker may still owe replies of: they are
    /// given up here, and not where a worker would have to give the memory back.
    scenarios: Vec<Arc<Compiled>>,
}

impl Responder {
    /// Starts the workers, then attaches the program.
    ///
    /// # Errors
    ///
    /// [`ResponderError`]; nothing stays attached then.
    pub fn start(
        interface: Interface,
        compiled: &Arc<Compiled>,
        options: &ResponderOptions,
        announcements: Option<&SyncSender<Answer>>,
    ) -> Result<Self, ResponderError> {
        if options.path == Path::Rewrite {
            check_rewritable(compiled)?;
        }
        let (path, mode) = (options.path, options.xdp_mode);
        let hazards = Hazards {
            native_transmit: interface.native_transmit(),
            checksums: interface.checksums(),
        };
        let Plan { first, fallback } = plan(path, mode, hazards);
        let driver = DriverStatistics::start(&interface);

        let start = |attempt| attach(&interface, compiled, options, attempt, announcements);
        let mut failed = None;
        let (attempt, (mut program, workers)) = match (start(first), fallback) {
            (Err(ResponderError::NotNative { cause, .. }), Some(fallback)) => {
                failed = Some(format!("generic mode, since native mode fails: {cause}"));
                (fallback, start(fallback)?)
            }
            (result, _) => (first, result?),
        };
        let of_attempt = remarks(path, mode, hazards, attempt).map(str::to_owned);
        let mut remarks: Vec<String> = failed.into_iter().chain(of_attempt).collect();
        let mut exceptions = None;
        if attempt.path != maps::Path::Redirect {
            let count = |id| Exceptions::of_program(id).map_err(|error| error.to_string());
            match program
                .id()
                .map_err(|error| error.to_string())
                .and_then(count)
            {
                Ok(counting) => exceptions = Some(counting),
                Err(cause) => remarks.push(format!(
                    "replies that XDP_TX loses are counted by the driver alone, if at all, since \
                     the tracepoint xdp:xdp_exception cannot be read: {cause}"
                )),
            }
        }
        if !interface.up {
            let name = &interface.name;
            remarks.push(format!("it is down: ip link set {name} up"));
        }
        // A veth keeps tags in the frame unless the sender leaves them beside it.
        let is_veth = interface.kind.as_deref() == Some("veth");
        if attempt.mode == AttachMode::Native && interface.strips_vlan_tags && !is_veth {
            let name = &interface.name;
            remarks.push(format!(
                "the NIC strips VLAN tags before native XDP sees them, and replies would lack \
                 them: ethtool -K {name} rxvlan off"
            ));
        }
        Ok(Self {
            interface,
            attempt,
            remarks,
            program,
            workers,
            driver,
            exceptions,
            scenarios: vec![Arc::clone(compiled)],
        })
    }

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

    /// What its user should know, each in a sentence.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
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

    /// What was counted so far.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn snapshot(&self) -> Result<InterfaceSnapshot, ResponderError> {
        let kernel = self.program.counts();
        let kernel = kernel.map_err(|error| self.uncounted(io::Error::other(error)))?;
        let mut snapshot = InterfaceSnapshot {
            name: self.interface.name.clone(),
            verdicts: kernel.verdicts,
            rewritten: kernel.verdicts[Verdict::Answered as usize],
            redirected: 0,
            sent: [0; Sent::COUNT],
            events_lost: kernel.events_lost,
            rules: self.rules()?,
            queues: Vec::with_capacity(self.workers.sockets.len()),
            driver: self.driver.since_start(),
        };
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

    /// How many requests met each rule, the default first, then in the order of the scenario.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn hits(&self) -> Result<Vec<u64>, ResponderError> {
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

    /// Sees whether the interface and every worker are still there.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Gone`] or [`ResponderError::WorkerEnded`].
    pub fn check(&mut self) -> Result<(), ResponderError> {
        if !self.interface.is_present()? {
            return Err(ResponderError::Gone(self.interface.name.clone()));
        }
        let Workers {
            sockets, threads, ..
        } = &mut self.workers;
        let Some(ended) = threads.iter().position(JoinHandle::is_finished) else {
            return Ok(());
        };
        let cause = match threads.swap_remove(ended).join() {
            Ok(Ok(())) => io::Error::other("it was told to"),
            Ok(Err(error)) => error,
            Err(_) => io::Error::other("it panicked"),
        };
        Err(ResponderError::WorkerEnded {
            interface: self.interface.name.clone(),
            queue: sockets.get(ended).map_or(0, Socket::queue),
            cause,
        })
    }

    /// Detaches the program, lets the workers answer what was handed over, and
    /// returns the last counts.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Counters`], where the kernel does not tell.
    pub fn stop(mut self) -> Result<InterfaceSnapshot, ResponderError> {
        self.program.detach();
        self.workers.end();
        self.snapshot()
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

/// Loads the program, starts the workers, and attaches.
fn attach(
    interface: &Interface,
    compiled: &Arc<Compiled>,
    options: &ResponderOptions,
    attempt: Attempt,
    announcements: Option<&SyncSender<Answer>>,
) -> Result<(Program, Workers), ResponderError> {
    let mac = (!options.any_mac).then_some(interface.mac);
    let settings = ProgramSettings {
        path: attempt.path,
        mac,
        verify_checksum: options.verify_checksum,
        sample: options.sample,
        events_size: options.events_size,
        capture: options.capture,
        announce: options.announce,
        log_level: options.log_level,
    };
    let occupants = interface.attached_programs()?;
    if let Some(program) = occupants.first().filter(|_| !options.replace) {
        return Err(ResponderError::occupied(interface, program));
    }
    let mut program = Program::load(&settings, compiled)
        .map_err(|cause| ResponderError::load(interface, cause))?;
    let workers = match attempt.path {
        maps::Path::Rewrite => Workers::default(),
        maps::Path::Redirect | maps::Path::RewriteElseRedirect => {
            let orders = Orders {
                policy: Policy {
                    mac: mac.map(MacAddress::new),
                    verify_checksum: options.verify_checksum,
                    avp_limit: u32::MAX,
                },
                compiled: Arc::clone(compiled),
                scenario: 0,
                follow: Follow {
                    sample: options.sample,
                    capture: options.capture,
                },
            };
            let order = WorkerOrder {
                orders,
                options,
                attempt,
                announcements,
            };
            Workers::start(interface, &mut program, &order)?
        }
    };
    for occupant in &occupants {
        interface.detach(occupant)?;
    }
    match program.attach(interface, attempt.mode) {
        Ok(()) => Ok((program, workers)),
        Err(AttachError::Busy) => match interface.attached_programs()?.first() {
            Some(program) => Err(ResponderError::occupied(interface, program)),
            None => Err(ResponderError::attach(
                interface,
                attempt.mode,
                AttachError::Busy,
            )),
        },
        Err(cause) => Err(ResponderError::attach(interface, attempt.mode, cause)),
    }
}
