//! One interface that is answered on: its program, its workers, its counters.

mod attachment;
mod error;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use aya::maps::{MapData, MapError, RingBuf};
use aya_log::EbpfLogger;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sccrq::Policy;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::ethernet::MacAddress;

use crate::attempts::Pair;
use crate::compile::{Compiled, rule_name};
use crate::interface::{AttachMode, DriverStatistics, Interface};
use crate::mode::{Path, Wait, XdpMode};
use crate::plan::{Attempt, Plan, plan};
use crate::play::{Orders, Player, Remote, Sent};
use crate::program::{AttachError, Program, ProgramSettings};
use crate::queue::{QueueError, Socket, Worker, WorkerOptions, cpus};
use crate::refusal::Refusal;
use crate::snapshot::{InterfaceSnapshot, QueueSnapshot, RuleSnapshot};

pub use attachment::Attachment;
pub use error::ResponderError;

/// How often a busy queue is tried again.
const BIND_RETRIES: u32 = 20;
/// How long it is left alone in between.
const BIND_PAUSE: Duration = Duration::from_millis(50);
/// How many healed LACs can wait to be fetched.
const HEALED: usize = 4096;

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
    /// The scenario, and behind it those that a worker may still owe replies of: they are
    /// given up here, and not where a worker would have to give the memory back.
    scenarios: Vec<Arc<Compiled>>,
    healed: Receiver<Pair>,
}

/// The workers of an interface; they end when this is dropped.
#[derive(Debug, Default)]
struct Workers {
    sockets: Vec<Socket>,
    players: Vec<Remote>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    stop: Arc<AtomicBool>,
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
        let path = path_for(compiled, options.path)?;
        let Plan {
            first,
            fallback,
            warning,
        } = plan(path, options.xdp_mode, interface.native_transmit());
        let mut remarks: Vec<String> = warning.map(str::to_owned).into_iter().collect();
        if !interface.up {
            let name = &interface.name;
            remarks.push(format!("it is down: ip link set {name} up"));
        }
        let driver = DriverStatistics::start(&interface);

        let (sender, healed) = sync_channel(HEALED);
        let reports = Reports {
            announcements,
            healed: &sender,
        };
        let start = |attempt| attach(&interface, compiled, options, attempt, &reports);
        let (attempt, (program, workers)) = match (start(first), fallback) {
            (Err(ResponderError::NotNative { cause, .. }), Some(fallback)) => {
                remarks.push(format!("generic mode, since native mode fails: {cause}"));
                (fallback, start(fallback)?)
            }
            (result, _) => (first, result?),
        };
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
            scenarios: vec![Arc::clone(compiled)],
            healed,
        })
    }

    /// Has the workers go on with another scenario, each from its next batch on. Attempts and
    /// the hits of rules are counted anew; what is owed of the old one is still sent.
    ///
    /// # Errors
    ///
    /// As for [`can_play`](Self::can_play). Nothing has changed then.
    pub fn set_scenario(&mut self, compiled: Arc<Compiled>) -> Result<(), ResponderError> {
        self.can_play()?;
        for player in &mut self.workers.players {
            player.set(Arc::clone(&compiled));
        }
        self.scenarios
            .retain(|scenario| Arc::strong_count(scenario) > 1);
        self.scenarios.insert(0, compiled);
        Ok(())
    }

    /// Whether the scenario can be another one.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Rewrites`], where the kernel half answers: it goes by the template that
    /// it was loaded with.
    pub fn can_play(&self) -> Result<(), ResponderError> {
        match self.attempt.path {
            maps::Path::Redirect => Ok(()),
            maps::Path::Rewrite | maps::Path::RewriteElseRedirect => {
                Err(ResponderError::Rewrites(self.interface.name.clone()))
            }
        }
    }

    /// The LACs that a rule healed at an LNS since the last time: they are left to the host.
    pub fn healed(&self) -> impl Iterator<Item = Pair> {
        self.healed.try_iter()
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
        let failed = |cause| ResponderError::Counters {
            interface: self.interface.name.clone(),
            cause,
        };
        let kernel = self.program.counts();
        let kernel = kernel.map_err(|error: MapError| failed(io::Error::other(error)))?;
        let mut snapshot = InterfaceSnapshot {
            name: self.interface.name.clone(),
            verdicts: kernel.verdicts,
            rewritten: kernel.verdicts[Verdict::Answered as usize],
            redirected: 0,
            sent: [0; Sent::COUNT],
            rules: self.rules(),
            queues: Vec::with_capacity(self.workers.sockets.len()),
            driver: self.driver.since_start(),
        };
        for player in &self.workers.players {
            for (sum, count) in snapshot.sent.iter_mut().zip(player.sent()) {
                *sum += count;
            }
        }
        for socket in &self.workers.sockets {
            let counts = socket.tally().counts();
            for (sum, count) in snapshot.verdicts.iter_mut().zip(&counts) {
                *sum += count;
            }
            let answered = counts[Verdict::Answered as usize];
            snapshot.redirected += answered;
            let statistics = socket.statistics().map_err(failed)?;
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

    /// How many requests met each rule on a worker, the default first, then in the order of
    /// the scenario.
    pub fn hits(&self) -> Vec<u64> {
        let rules = self
            .scenarios
            .first()
            .map_or(0, |scenario| scenario.rules().len());
        let mut hits = vec![0; rules];
        for player in &self.workers.players {
            for (sum, count) in hits.iter_mut().zip(player.hits()) {
                *sum += count;
            }
        }
        hits
    }

    /// The rules that were met on a worker.
    fn rules(&self) -> Vec<RuleSnapshot> {
        let Some(compiled) = self.scenarios.first() else {
            return Vec::new();
        };
        let rules = compiled.rules().zip(self.hits());
        let rules = rules.map(|((_, rule), hits)| RuleSnapshot {
            place: rule.place,
            hits,
        });
        rules.filter(|rule| rule.hits > 0).collect()
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

impl Workers {
    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // An error of a worker that ends anyway changes nothing any more.
            let _ = thread.join();
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whither the workers tell of single frames.
struct Reports<'r> {
    announcements: Option<&'r SyncSender<Answer>>,
    healed: &'r SyncSender<Pair>,
}

/// The path on which a scenario can run, as long as the kernel half knows a single template.
fn path_for(compiled: &Compiled, path: Path) -> Result<Path, ResponderError> {
    match (compiled.only(), path) {
        (Some(_), path) => Ok(path),
        (None, Path::Auto | Path::Redirect) => Ok(Path::Redirect),
        (None, Path::Rewrite) => Err(not_rewritable(compiled)),
    }
}

/// Why the kernel half cannot play a scenario.
fn not_rewritable(compiled: &Compiled) -> ResponderError {
    match compiled.needs_redirect() {
        Some((rule, what)) => ResponderError::NeedsRedirect {
            rule: rule_name(rule.place),
            what,
        },
        None => ResponderError::NeedsWorker,
    }
}

/// Loads the program, starts the workers, and attaches.
fn attach(
    interface: &Interface,
    compiled: &Arc<Compiled>,
    options: &ResponderOptions,
    attempt: Attempt,
    reports: &Reports<'_>,
) -> Result<(Program, Workers), ResponderError> {
    let mac = (!options.any_mac).then_some(interface.mac);
    let settings = ProgramSettings {
        path: attempt.path,
        mac,
        verify_checksum: options.verify_checksum,
        announce: options.announce,
        log_level: options.log_level,
    };
    let occupants = interface.attached_programs()?;
    if let Some(program) = occupants.first().filter(|_| !options.replace) {
        return Err(ResponderError::occupied(interface, program));
    }
    // On the redirect path the kernel half answers nothing, and any template will do.
    let default = Refusal::default().template()?;
    let template = compiled.only().copied().unwrap_or(default);
    let mut program = Program::load(&settings, &template)
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
            };
            start_workers(
                interface,
                &mut program,
                orders,
                options,
                attempt.mode,
                reports,
            )?
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

fn start_workers(
    interface: &Interface,
    program: &mut Program,
    orders: Orders,
    options: &ResponderOptions,
    mode: AttachMode,
    reports: &Reports<'_>,
) -> Result<Workers, ResponderError> {
    let has = interface.rx_queues.min(maps::MAX_QUEUES);
    let queues = options.queues.unwrap_or(has);
    if queues > has {
        return Err(ResponderError::TooManyQueues {
            interface: interface.name.clone(),
            has,
        });
    }
    let worker_options = WorkerOptions {
        batch_size: options.batch_size,
        wait: options.wait,
        force_copy: mode == AttachMode::Generic,
    };
    let cpus = cpus();
    let mut workers = Workers::default();
    for queue in 0..queues {
        let bind = || {
            let (player, remote) = Player::new(orders.clone(), Some(reports.healed.clone()));
            let (worker, socket) = Worker::bind(
                &interface.name,
                interface.index,
                queue,
                player,
                worker_options,
                reports.announcements.cloned(),
            )?;
            Ok((worker, socket, remote))
        };
        let (worker, socket, player) = unless_busy(bind)?;
        let failed = |cause| ResponderError::WorkerEnded {
            interface: interface.name.clone(),
            queue,
            cause,
        };
        program
            .add_socket(queue, &socket)
            .map_err(|error| failed(io::Error::other(error)))?;
        let cpu = cpus.get(queue as usize % cpus.len().max(1)).copied();
        let name = format!("{}-{queue}", interface.name);
        let thread = worker.spawn(name, cpu, Arc::clone(&workers.stop));
        workers.threads.push(thread.map_err(failed)?);
        workers.sockets.push(socket);
        workers.players.push(player);
    }
    Ok(workers)
}

/// Binds, again and again while the queue is busy, for a second: the kernel
/// sets a queue free some time after its last socket was closed.
fn unless_busy<T>(bind: impl Fn() -> Result<T, QueueError>) -> Result<T, QueueError> {
    for _ in 0..BIND_RETRIES {
        match bind() {
            Err(error) if error.is_busy() => std::thread::sleep(BIND_PAUSE),
            result => return result,
        }
    }
    bind()
}
