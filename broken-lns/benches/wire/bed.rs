//! The test bed: a LAC and a box at the two ends of a cable, and the programs of the benchmark.

use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::maps::{Array, MapData, MapError, XskMap};
use aya::programs::links::FdLink;
use aya::programs::{ProgramError, TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode};
use aya::{Ebpf, EbpfLoader, Pod, include_bytes_aligned};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde_json::Value;
use xtask::lab::{End, Namespace, connect};

use crate::contract::{self, INPUT_LEN, Pattern, STOPPED};
use crate::meter::Meter;
use crate::traffic::{BOX_MAC, LAC_MAC, LNS, LNS6, Traffic};

/// The kernel's programs, as the build script built them.
static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/bench"));

/// The interface of the LACs.
const LAC_END: &str = "lac0";
/// The interface of the box.
pub(crate) const BOX_END: &str = "eth1";

/// How long frames under way get to arrive after the last one was sent.
const DRAIN: Duration = Duration::from_millis(30);
/// How often a generator that ought to stop is interrupted.
const NUDGE: Duration = Duration::from_millis(2);
/// How long it may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// A test bed for one kind of traffic; gone when dropped.
pub(crate) struct Bed {
    pub(crate) traffic: Traffic,
    pub(crate) cpus: Cpus,
    pub(crate) meter: Meter,
    pub(crate) sockets: XskMap<MapData>,
    _count: FdLink,
    pace: Array<MapData, u64>,
    programs: Ebpf,
    pub(crate) responder: Namespace,
    lac: Namespace,
    lac_index: u32,
}

/// Who works where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpus {
    /// The generator, and what the kernel does on its behalf.
    pub(crate) generator: usize,
    /// Whatever answers in user space.
    pub(crate) worker: usize,
}

/// How requests are made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// Nanoseconds from one to the next, or [`contract::FLOOD`].
    pub(crate) pace: u64,
    /// Frames that the kernel handles at a time; with fewer each leaves sooner.
    pub(crate) batch: u32,
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct PatternValue(Pattern);

// SAFETY: a pattern is `repr(C)` and made of 64-bit integers only.
unsafe impl Pod for PatternValue {}

impl Bed {
    /// Lays the cable and loads the programs.
    pub(crate) fn new(traffic: Traffic) -> Result<Self> {
        let lac = Namespace::new("lac")?;
        let responder = Namespace::new("box")?;
        connect(
            &End::new(&lac, LAC_END).mac(LAC_MAC),
            // With GRO the box takes the generator's frames without a program, too.
            &End::new(&responder, BOX_END)
                .mac(BOX_MAC)
                .gro(true)
                .address(&format!("{LNS}/32"))
                .address(&format!("{LNS6}/128")),
        )?;
        // A socket in the box can answer every LAC: all are behind one neighbour.
        for (family, gateway) in [("-4", "192.0.2.254"), ("-6", "fe80::1")] {
            responder.ip(&format!(
                "neighbour add {gateway} lladdr {LAC_MAC} dev {BOX_END} nud permanent"
            ))?;
            responder.ip(&format!(
                "{family} route add default via {gateway} dev {BOX_END} onlink"
            ))?;
        }

        let request = traffic.request()?;
        let timed = u8::from(traffic.timed);
        let mut programs = EbpfLoader::new()
            .override_global(contract::NETWORK, &request.network, true)
            .override_global(contract::IP_VERSION, &request.ip_version, true)
            .override_global(contract::FRAME_LEN, &request.frame_len, true)
            .override_global(contract::TUNNEL_ID_AT, &request.tunnel_id_at, true)
            .override_global(contract::LACS, &traffic.lacs, true)
            .override_global(contract::LNSS, &traffic.lnss, true)
            .override_global(contract::TIMED, &timed, true)
            .load(OBJECT)
            .context("cannot load the programs of the benchmark")?;
        let mut pattern: Array<_, PatternValue> = take(&mut programs, contract::PATTERN)?;
        pattern.set(0, PatternValue(request.pattern), 0)?;
        program(&mut programs, contract::GENERATE)?.load()?;
        Ok(Self {
            traffic,
            cpus: Cpus::choose()?,
            meter: Meter::new(&mut programs)?,
            sockets: take(&mut programs, contract::SOCKETS)?,
            _count: attach(&mut programs, contract::COUNT, &lac, LAC_END)?,
            pace: take(&mut programs, contract::PACE)?,
            programs,
            lac_index: lac.enter(|| if_nametoindex(LAC_END))??,
            responder,
            lac,
        })
    }

    /// Attaches one of the benchmark's own programs to the box, until the link is dropped.
    pub(crate) fn attach(&mut self, program: &'static str) -> Result<FdLink> {
        attach(&mut self.programs, program, &self.responder, BOX_END)
    }

    /// Makes requests while `during` runs, then waits for what is still under way.
    ///
    /// `during` gets the meter and the clock that runs while the generator does.
    pub(crate) fn offer<T>(
        &mut self,
        offer: Offer,
        during: impl FnOnce(&Meter, ClockId) -> Result<T>,
    ) -> Result<T> {
        make_interruptible()?;
        self.meter.reset()?;
        self.pace.set(0, offer.pace, 0)?;
        let generator = program(&mut self.programs, contract::GENERATE)?;
        let (lac, lac_index, cpu) = (&self.lac, self.lac_index, self.cpus.generator);
        let (meter, pace) = (&self.meter, &mut self.pace);
        thread::scope(|scope| {
            let (thread_id, started) = mpsc::channel();
            let run = scope.spawn(move || {
                lac.enter(|| {
                    pin(cpu)?;
                    // Whoever waits for it is there until the thread ends.
                    let _ = thread_id.send(pthread_self());
                    generate(generator, lac_index, offer.batch)
                })
            });
            let thread_id = started.recv();
            let result = match thread_id {
                Ok(thread_id) => cpu_clock(thread_id).and_then(|clock| during(meter, clock)),
                Err(_) => Err(anyhow!("the generator did not start")),
            };
            pace.set(0, STOPPED, 0)?;
            thread::sleep(DRAIN);
            let deadline = Instant::now() + STOP_LIMIT;
            while !run.is_finished() {
                if Instant::now() > deadline {
                    // Its thread cannot be left behind, and nothing else would end it.
                    eprintln!("the generator does not stop; waiting for it to run out of frames");
                    break;
                }
                if let Ok(thread_id) = thread_id {
                    // It may have ended just now.
                    let _ = pthread_kill(thread_id, Signal::SIGUSR1);
                }
                thread::sleep(NUDGE);
            }
            match run.join() {
                Ok(ended) => ended??,
                Err(_) => bail!("the thread of the generator panicked"),
            }
            result
        })
    }

    /// Frames that the box lost so far: its cable, its program's socket, its UDP sockets.
    pub(crate) fn lost(&self) -> Result<u64> {
        let shown = self
            .responder
            .ip(&format!("-stats -json link show dev {BOX_END}"))?;
        let shown: Value = serde_json::from_str(&shown)?;
        // A veth counts a full AF_XDP socket here, too.
        let cable = ["/0/stats64/rx/dropped", "/0/stats64/tx/dropped"]
            .iter()
            .map(|at| shown.pointer(at).and_then(Value::as_u64))
            .sum::<Option<u64>>()
            .with_context(|| format!("`ip` does not tell what {BOX_END} dropped"))?;
        Ok(cable + self.responder.enter(dropped_by_sockets)??)
    }
}

impl Cpus {
    fn choose() -> Result<Self> {
        let allowed = sched_getaffinity(Pid::from_raw(0))?;
        let mut cpus = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu) == Ok(true));
        let generator = cpus.next().context("this process may run on no CPU")?;
        Ok(Self {
            generator,
            worker: cpus.next_back().unwrap_or(generator),
        })
    }
}

/// Keeps the calling thread on one CPU.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .with_context(|| format!("cannot run on CPU {cpu}"))
}

/// The clock that runs while a thread of ours does.
fn cpu_clock(thread: Pthread) -> Result<ClockId> {
    let mut clock = 0;
    // SAFETY: the thread has not been joined, and the clock is ours to write.
    match unsafe { libc::pthread_getcpuclockid(thread, &raw mut clock) } {
        0 => Ok(ClockId::from_raw(clock)),
        error => Err(Errno::from_raw(error)).context("a thread has no clock"),
    }
}

/// Takes a map out of the loaded object.
pub(crate) fn take<M>(programs: &mut Ebpf, name: &str) -> Result<M>
where
    M: TryFrom<aya::maps::Map, Error = MapError>,
{
    let map = programs.take_map(name);
    let map = map.with_context(|| format!("the benchmark's programs have no map {name}"))?;
    Ok(map.try_into()?)
}

fn program<'a>(programs: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    let program = programs.program_mut(name);
    let program = program.with_context(|| format!("there is no program {name}"))?;
    Ok(program.try_into()?)
}

/// Datagrams that the UDP sockets of the calling thread's namespace had no room for.
fn dropped_by_sockets() -> Result<u64> {
    let shown = fs::read_to_string("/proc/thread-self/net/snmp")?;
    let mut rows = shown.lines().filter(|line| line.starts_with("Udp:"));
    let columns = rows.next().zip(rows.next());
    let (names, values) = columns.context("the kernel does not count UDP datagrams")?;
    let mut columns = names.split_whitespace().zip(values.split_whitespace());
    let column = columns.find(|(name, _)| *name == "RcvbufErrors");
    let over_ipv4 = column.map_or(Ok(0), |(_, value)| value.parse::<u64>())?;

    // There is no such file without IPv6.
    let shown = fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
    let row = shown
        .lines()
        .find_map(|line| line.strip_prefix("Udp6RcvbufErrors"));
    let over_ipv6 = row.map_or(Ok(0), |value| value.trim().parse::<u64>())?;
    Ok(over_ipv4 + over_ipv6)
}

/// Attaches a program in native mode, and loads it first where it is not yet.
fn attach(
    programs: &mut Ebpf,
    name: &'static str,
    namespace: &Namespace,
    interface: &str,
) -> Result<FdLink> {
    let xdp = program(programs, name)?;
    if xdp.fd().is_err() {
        xdp.load()
            .with_context(|| format!("cannot load the program {name}"))?;
    }
    let link = namespace.enter(|| {
        let index = if_nametoindex(interface)?;
        let id = xdp.attach_to_if_index(index, XdpMode::Driver)?;
        anyhow::Ok(FdLink::try_from(xdp.take_link(id)?)?)
    })?;
    link.with_context(|| format!("cannot attach the program {name} to {interface}"))
}

/// Runs the generator until a signal ends it.
fn generate(generator: &Xdp, interface: u32, batch: u32) -> Result<()> {
    let frame = [0; INPUT_LEN];
    // linux/bpf.h: struct xdp_md, with data_end and ingress_ifindex.
    let fields = [0, INPUT_LEN as u32, 0, interface, 0, 0];
    let context: Vec<u8> = fields
        .iter()
        .flat_map(|field| field.to_ne_bytes())
        .collect();
    let run = generator.test_run(TestRunOptions {
        data_in: Some(&frame),
        ctx_in: Some(&context),
        repeat: u32::MAX,
        attrs: TestRunAttrs::new().xdp_live_frames(batch),
        ..TestRunOptions::new()
    });
    match run {
        Ok(_) => Ok(()),
        Err(ProgramError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(Errno::EINTR as i32) =>
        {
            Ok(())
        }
        Err(error) => Err(error).context("the generator failed"),
    }
}

/// Lets SIGUSR1 interrupt a system call, and do nothing else.
fn make_interruptible() -> Result<()> {
    extern "C" fn ignore(_signal: i32) {}
    let action = SigAction::new(
        SigHandler::Handler(ignore),
        SaFlags::empty(),
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.context("cannot handle SIGUSR1")?;
    Ok(())
}
