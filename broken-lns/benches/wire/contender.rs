//! What is measured side by side.

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::programs::links::FdLink;
use broken_lns::compile::Compiled;
use broken_lns::follow::{Follower, Pace};
use broken_lns::interface::Interface;
use broken_lns::judge::Expectations;
use broken_lns::mode::{self, Wait, XdpMode};
use broken_lns::queue::{Worker, WorkerOptions, ring_len};
use broken_lns::refusal::Refusal;
use broken_lns::responder::{Responder, ResponderOptions};
use broken_lns::scenario::{Groups, LnsRule, Place, Prefix, Scenario};
use broken_lns::track::{Rule, Settings};
use broken_lns_ebpf::maps::EVENTS_SIZE;
use broken_lns_ebpf::rate_limit::Limit;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::Verdict;
use xtask::lab::{Process, pause};

use crate::bed::{BOX_END, Bed};
use crate::contract::{BOUNCE, SOCKETS, TO_SOCKET, lns};
use crate::crate_echo::CrateEcho;
use crate::echo::Echo;
use crate::meter::Expected;
use crate::reply::{Reply, stop_ccn, template};
use crate::traffic::{LNS, LNS6, Wrapping};
use crate::udp::UdpResponder;

/// Frames that a worker takes at a time, the responder's default.
const BATCH: u32 = 256;
/// How long a contender may take to start.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long is waited before it is tried again.
const STEP: Duration = Duration::from_millis(20);
/// The interpreter for which the distribution installs scapy.
const PYTHON: &str = "/usr/bin/python3";
/// Where it is then.
const SCAPY: &str = "/usr/lib/python3/dist-packages/scapy";
/// A responder on top of it.
const SCRIPT: &str = include_str!("responder.py");
/// How long the script may take to start.
const SCRIPT_LIMIT: Duration = Duration::from_secs(20);

/// The limit on replies to one source that is kept and never reached, however few LACs there are.
const NO_HINDRANCE: Limit = Limit {
    interval: 1,
    seed: 1,
};

/// One way to send something back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Contender {
    /// XDP that swaps addresses and transmits.
    Bounce,
    /// The rewrite path.
    Rewrite(Reply, XdpMode),
    /// The worker of the redirect path with nothing but swaps to do.
    Echo(Wait),
    /// The same on the rings of the `xdp` crate.
    CrateEcho,
    /// The redirect path.
    Redirect(Reply, XdpMode, Wait),
    /// The rewrite path with so many rules for LNSs.
    Rules(u32),
    /// A path with one LAC of so many followed.
    Followed(mode::Path, u32),
    /// A UDP socket with recvmmsg and sendmmsg.
    Udp(Wait),
    /// A script that uses scapy.
    Scapy,
}

/// A contender at work, until it is dropped.
pub(crate) struct Running {
    pub(crate) contender: Contender,
    held: Held,
}

impl Running {
    /// Requests that it lost so far, and that the system does not count as lost.
    pub(crate) fn lost(&self) -> Result<u64> {
        match (&self.held, self.contender) {
            // In native mode a veth counts what its program's socket had no room for.
            (Held::Responder { responder, .. }, Contender::Redirect(_, XdpMode::Generic, _)) => {
                Ok(responder.snapshot()?.count(Verdict::SocketFull))
            }
            _ => Ok(0),
        }
    }
}

/// What is at work.
enum Held {
    Program {
        _link: FdLink,
    },
    Responder {
        responder: Box<Responder>,
        _follower: Option<Follower>,
    },
    Echo {
        _worker: EchoWorker,
    },
    Udp {
        _responder: UdpResponder,
    },
    Script {
        _process: Process,
    },
}

/// The worker of the bare echo.
pub(crate) struct EchoWorker {
    link: Option<FdLink>,
    socket: OwnedFd,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<std::io::Result<()>>>,
}

impl Contender {
    /// The rewrite path as it is by default.
    pub(crate) const REWRITE: Self = Self::Rewrite(Reply::Default, XdpMode::Native);
    /// The redirect path as it is by default.
    pub(crate) const REDIRECT: Self =
        Self::Redirect(Reply::Default, XdpMode::Native, Wait::Adaptive);

    /// Its name in a table.
    pub(crate) fn name(self) -> String {
        let reply = |reply| match reply {
            Reply::Default => "",
            Reply::LongestMessage => ", longest message",
            Reply::LongestTemplate => ", 1,400-octet template",
        };
        let mode = |mode| match mode {
            XdpMode::Generic => ", generic",
            XdpMode::Native | XdpMode::Auto => "",
        };
        let waiting = |waiting| match waiting {
            Wait::Sleep => ", sleeping",
            Wait::Spin => ", busy",
            Wait::Adaptive => "",
        };
        match self {
            Self::Bounce => "bare bounce".to_owned(),
            Self::Rewrite(r, m) => format!("rewrite path{}{}", reply(r), mode(m)),
            Self::Echo(w) => format!("bare AF_XDP echo{}", waiting(w)),
            Self::CrateEcho => "the same on the xdp crate".to_owned(),
            Self::Redirect(r, m, w) => {
                format!("redirect path{}{}{}", reply(r), mode(m), waiting(w))
            }
            Self::Rules(0) => "a default alone".to_owned(),
            Self::Rules(1) => "1 rule".to_owned(),
            Self::Rules(rules @ ..1000) => format!("{rules} rules"),
            Self::Rules(rules) => format!("{},{:03} rules", rules / 1000, rules % 1000),
            Self::Followed(path, share) => {
                let path = match path {
                    mode::Path::Redirect => "redirect",
                    mode::Path::Rewrite | mode::Path::Auto => "rewrite",
                };
                let share = match share {
                    1 => "all LACs".to_owned(),
                    share => format!("1 LAC of {share}"),
                };
                format!("{path} path, {share} followed")
            }
            Self::Udp(Wait::Spin) => "UDP socket, busy".to_owned(),
            Self::Udp(_) => "UDP socket".to_owned(),
            Self::Scapy => "scapy".to_owned(),
        }
    }

    /// What a request comes back as.
    pub(crate) fn expected(self) -> Expected {
        match self {
            Self::Bounce | Self::Echo(_) | Self::CrateEcho => Expected::Mirrored,
            Self::Rewrite(..)
            | Self::Rules(_)
            | Self::Redirect(..)
            | Self::Followed(..)
            | Self::Udp(_)
            | Self::Scapy => Expected::Answer,
        }
    }

    /// Whether a thread of this process answers.
    pub(crate) fn is_in_thread(self) -> bool {
        matches!(
            self,
            Self::Echo(_)
                | Self::CrateEcho
                | Self::Redirect(..)
                | Self::Followed(mode::Path::Redirect, _)
                | Self::Udp(_)
        )
    }

    /// Whether the system counts everything that it does not get to see.
    pub(crate) fn is_accounted(self) -> bool {
        self != Self::Scapy
    }

    /// Whether there is what it needs.
    pub(crate) fn is_here(self) -> bool {
        self != Self::Scapy || Path::new(SCAPY).exists()
    }

    /// Whether the kernel answers on the CPU on which it was asked.
    pub(crate) fn is_in_kernel(self) -> bool {
        matches!(
            self,
            Self::Bounce
                | Self::Rewrite(..)
                | Self::Rules(_)
                | Self::Followed(mode::Path::Rewrite, _)
        )
    }

    /// Sets it to work on the box of `bed`.
    pub(crate) fn start(self, bed: &mut Bed) -> Result<Running> {
        // The kernel frees a queue some time after the socket that held it was closed.
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.try_start(bed) {
                Err(_) if Instant::now() < deadline => pause(STEP)?,
                result => return result,
            }
        }
    }

    fn try_start(self, bed: &mut Bed) -> Result<Running> {
        let held = match self {
            Self::Bounce => Held::Program {
                _link: bed.attach(BOUNCE)?,
            },
            Self::Rewrite(reply, mode) => {
                let compiled = Compiled::of_template(template(reply)?)?;
                respond(
                    bed,
                    mode::Path::Rewrite,
                    mode,
                    compiled,
                    Wait::Sleep,
                    Sample::NONE,
                )?
            }
            Self::Rules(rules) => {
                let (path, mode) = (mode::Path::Rewrite, XdpMode::Native);
                respond(
                    bed,
                    path,
                    mode,
                    with_rules(rules)?,
                    Wait::Sleep,
                    Sample::NONE,
                )?
            }
            Self::Followed(path, share) => {
                let compiled = Compiled::of_template(template(Reply::Default)?)?;
                let sample = Sample::one_of(share);
                respond(bed, path, XdpMode::Native, compiled, Wait::Adaptive, sample)?
            }
            Self::Redirect(reply, mode, waiting) => {
                let compiled = Compiled::of_template(template(reply)?)?;
                respond(
                    bed,
                    mode::Path::Redirect,
                    mode,
                    compiled,
                    waiting,
                    Sample::NONE,
                )?
            }
            Self::CrateEcho => Held::Echo {
                _worker: EchoWorker::start_crate(bed)?,
            },
            Self::Echo(waiting) => Held::Echo {
                _worker: EchoWorker::start(bed, waiting)?,
            },
            Self::Udp(waiting) => {
                let address = match bed.traffic.wrapping {
                    Wrapping::Ipv4 | Wrapping::QinQ => LNS.into(),
                    Wrapping::Ipv6 => LNS6.into(),
                };
                let cpu = bed.cpus.worker;
                let spin = waiting == Wait::Spin;
                let start = || UdpResponder::start(address, stop_ccn().bytes(), cpu, spin);
                Held::Udp {
                    _responder: bed.responder.enter(start)??,
                }
            }
            Self::Scapy => {
                let mut command = bed.responder.command(PYTHON);
                let answer: String = stop_ccn()
                    .bytes()
                    .iter()
                    .map(|octet| format!("{octet:02x}"))
                    .collect();
                let cpu = bed.cpus.worker.to_string();
                command.args(["-c", SCRIPT, BOX_END, &LNS.to_string(), &cpu, &answer]);
                let process = Process::spawn("the scapy script", command)?;
                process.wait_for_line("ready", SCRIPT_LIMIT)?;
                Held::Script { _process: process }
            }
        };
        Ok(Running {
            contender: self,
            held,
        })
    }
}

impl EchoWorker {
    fn start(bed: &mut Bed, waiting: Wait) -> Result<Self> {
        let echo = Echo::of(bed)?;
        let options = WorkerOptions {
            batch_size: BATCH,
            wait: waiting,
            force_copy: false,
            ring_len: ring_len(1, BATCH),
        };
        let bind = || {
            let index = Interface::by_name(BOX_END)?.index;
            anyhow::Ok(Worker::bind(BOX_END, index, 0, echo, options, None)?)
        };
        let (worker, socket) = bed.responder.enter(bind)??;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = worker.spawn("echo".to_owned(), Some(bed.cpus.worker), Arc::clone(&stop))?;
        Self::attach(bed, socket.as_fd().try_clone_to_owned()?, stop, thread)
    }

    fn start_crate(bed: &mut Bed) -> Result<Self> {
        let echo = Echo::of(bed)?;
        let bind = || CrateEcho::bind(Interface::by_name(BOX_END)?.index, echo, BATCH);
        let (worker, socket) = bed.responder.enter(bind)??;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = worker.spawn(bed.cpus.worker, Arc::clone(&stop));
        Self::attach(bed, socket, stop, thread)
    }

    fn attach(
        bed: &mut Bed,
        socket: OwnedFd,
        stop: Arc<AtomicBool>,
        thread: JoinHandle<std::io::Result<()>>,
    ) -> Result<Self> {
        let mut worker = Self {
            link: None,
            socket,
            stop,
            thread: Some(thread),
        };
        bed.sockets
            .set(0, worker.socket.as_raw_fd(), 0)
            .with_context(|| format!("cannot put the echo's socket into {SOCKETS}"))?;
        worker.link = Some(bed.attach(TO_SOCKET)?);
        Ok(worker)
    }
}

impl Drop for EchoWorker {
    fn drop(&mut self) {
        self.link = None;
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the bare echo failed: {error}");
        }
    }
}

/// Starts the responder as its command does.
fn respond(
    bed: &Bed,
    path: mode::Path,
    xdp_mode: XdpMode,
    compiled: Compiled,
    waiting: Wait,
    sample: Sample,
) -> Result<Held> {
    let options = ResponderOptions {
        path,
        xdp_mode,
        any_mac: false,
        verify_checksum: false,
        limit: NO_HINDRANCE,
        replace: false,
        keep_attached: false,
        queues: None,
        batch_size: BATCH,
        wait: waiting,
        sample,
        events_size: EVENTS_SIZE,
        capture: None,
        announce: false,
        log_level: log::LevelFilter::Off,
    };
    let compiled = Arc::new(compiled);
    let mut responder = bed.responder.enter(|| {
        let interface = Interface::by_name(BOX_END)?;
        anyhow::Ok(Responder::start(interface, &compiled, &options, None)?)
    })??;
    let follower = (sample != Sample::NONE)
        .then(|| follow(&mut responder, sample))
        .transpose()?;
    Ok(Held::Responder {
        responder: Box::new(responder),
        _follower: follower,
    })
}

/// Follows LACs as the command does.
fn follow(responder: &mut Responder, sample: Sample) -> Result<Follower> {
    let rule = Rule {
        fault: "refuse 0/4".to_owned(),
        refuses: true,
        ..Rule::default()
    };
    let settings = Settings {
        sample,
        ..Settings::default()
    };
    let follower = Follower::start(
        Pace::new(1),
        settings,
        vec![rule],
        Groups::default(),
        Expectations::default(),
    )?;
    follower.hear(responder.events()?, responder.worker_events())?;
    Ok(follower)
}

/// A scenario with so many rules for scattered LNSs, and the default reply for all.
fn with_rules(rules: u32) -> Result<Compiled> {
    let refusal = Refusal::default();
    let rules = (0..rules).map(|number| {
        // The first one is that of the LNS which is asked where it is a single one.
        let address = match number {
            0 => LNS,
            number => Ipv4Addr::from_bits(lns(number)),
        };
        Ok(LnsRule {
            prefixes: vec![Prefix::new(address.into(), 32)?],
            treatment: Some(refusal.clone().into()),
            expect: None,
            lacs: Vec::new(),
            place: Place::NOWHERE,
        })
    });
    let rules = rules.collect::<Result<_>>()?;
    let scenario = Scenario {
        rules,
        ..Scenario::from(refusal.clone())
    };
    Ok(Compiled::new(&scenario)?)
}
