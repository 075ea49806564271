//! One AF_XDP worker: its umem, its rings, and the loop that a pinned thread runs.
//!
//! Architecture invariant: every frame of the umem is in exactly one place: in
//! the fill ring, in the kernel's hands, received, in the tx ring, or free in the
//! umem.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use broken_lns_ebpf::answer::Answer;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};
use nix::unistd::Pid;

use crate::af_xdp::{Binding, SetupError, Umem, XskSocket};
use crate::clock;
use crate::mode::Wait;
use crate::play::Player;
use crate::privilege::capabilities::spawn;
use crate::respond::Batch;
use crate::snapshot::{VerdictCounts, XdpStatistics};
use crate::socket_option;
use crate::tally::Tally;

/// Frames in the umem of a worker, of 4 KiB each: enough to fill the fill ring and the tx ring.
const FRAMES: u32 = 2 * RING_LEN;
/// Entries of each ring.
const RING_LEN: u32 = 2048;
/// How long a worker sleeps at the most before it looks whether to stop, in milliseconds.
const PATIENCE: u8 = 100;
/// How long it waits for the kernel to go on sending, at the most.
const BREATH: u8 = 1;
/// For how long an adaptive worker looks for more frames after the last one before it sleeps:
/// more than from one frame to the next at 10,000 a second.
const SPIN: Duration = Duration::from_micros(250);
/// How often a worker asks the kernel in a row to go on sending.
const MAX_KICKS: u32 = 128;
/// How many batches a worker takes at the most after it was told to stop.
const LAST_TURNS: u32 = 4096;
/// Microseconds for which the kernel polls the driver on behalf of a busy worker.
const BUSY_POLL_TIME: u32 = 20;

/// How a worker works.
#[derive(Clone, Copy, Debug)]
pub struct WorkerOptions {
    /// Most frames that are answered at a time, from 1 to 2,048.
    pub batch_size: u32,
    /// What it does while there are no frames.
    pub wait: Wait,
    /// Whether frames have to be copied, as under generic XDP.
    pub force_copy: bool,
}

/// Why a worker could not start.
#[derive(Debug, thiserror::Error)]
#[error("queue {queue} of {interface}: {step}: {cause}{hint}")]
pub struct QueueError {
    interface: String,
    queue: u32,
    step: &'static str,
    cause: io::Error,
    hint: &'static str,
}

impl QueueError {
    /// Whether another socket holds the queue, or held it a moment ago.
    pub fn is_busy(&self) -> bool {
        self.cause.raw_os_error() == Some(libc::EBUSY)
    }
}

/// What a worker does with a batch, without a system call.
///
/// A worker is generic over it so that the loop and the rings can be measured
/// apart from the answering.
pub trait Work: Send + 'static {
    /// Turns every packet that was received into a reply or gives its frame back
    /// to the umem, and returns how the packets ended.
    ///
    /// `now` is in nanoseconds of the monotonic clock, as it is below, and later than all of
    /// these packets came.
    fn work(
        &mut self,
        now: u64,
        umem: &mut Umem,
        batch: &mut Batch,
        announce: impl FnMut(Answer),
    ) -> VerdictCounts;

    /// Sends what is due at `now`, as far as there is room in the batch.
    fn send_due(
        &mut self,
        _now: u64,
        _umem: &mut Umem,
        _batch: &mut Batch,
        _announce: impl FnMut(Answer),
    ) {
    }

    /// When something is due next.
    fn next_due(&self) -> Option<u64> {
        None
    }

    /// Called before the clock is read for what is done until [`end_turn`](Self::end_turn).
    fn begin_turn(&mut self) {}

    /// Called when all was done that is of the time that was read last.
    fn end_turn(&mut self) {}

    /// Notices what was changed from outside; called between receiving a batch and its work.
    fn notice(&mut self) {}
}

impl Work for Player {
    fn work(
        &mut self,
        now: u64,
        umem: &mut Umem,
        batch: &mut Batch,
        announce: impl FnMut(Answer),
    ) -> VerdictCounts {
        self.respond(now, umem, batch, announce)
    }

    fn send_due(
        &mut self,
        now: u64,
        umem: &mut Umem,
        batch: &mut Batch,
        announce: impl FnMut(Answer),
    ) {
        Self::send_due(self, now, umem, batch, announce);
    }

    fn next_due(&self) -> Option<u64> {
        Self::next_due(self)
    }

    fn begin_turn(&mut self) {
        Self::begin_turn(self);
    }

    fn end_turn(&mut self) {
        Self::end_turn(self);
    }

    fn notice(&mut self) {
        Self::notice(self);
    }
}

/// A worker whose socket is bound, before its thread runs.
pub struct Worker<W = Player> {
    socket: XskSocket,
    umem: Umem,
    work: W,
    options: WorkerOptions,
    tally: Arc<Tally>,
    announcements: Option<SyncSender<Answer>>,
}

/// The socket of a worker, for those who watch it from other threads.
#[derive(Debug)]
pub struct Socket {
    queue: u32,
    fd: OwnedFd,
    tally: Arc<Tally>,
}

impl<W: Work> Worker<W> {
    /// Binds a socket to a queue of the interface of this name and index.
    ///
    /// # Errors
    ///
    /// [`QueueError`] names the interface, the queue and the step that failed.
    pub fn bind(
        interface: &str,
        index: u32,
        queue: u32,
        work: W,
        options: WorkerOptions,
        announcements: Option<SyncSender<Answer>>,
    ) -> Result<(Self, Socket), QueueError> {
        let failed = |step, cause: io::Error| QueueError {
            interface: interface.to_owned(),
            queue,
            step,
            hint: hint(&cause),
            cause,
        };
        let mut umem = Umem::new(FRAMES).map_err(|cause| failed("cannot map the frames", cause))?;
        let binding = Binding {
            interface: index,
            queue,
            ring_len: RING_LEN,
            force_copy: options.force_copy,
        };
        let socket = XskSocket::bind(&mut umem, &binding)
            .map_err(|SetupError { step, cause }| failed(step, cause))?;
        let fd = socket
            .fd()
            .try_clone()
            .map_err(|cause| failed("cannot share the AF_XDP socket", cause))?;
        tune(&fd, &options);
        let tally = Arc::new(Tally::new());
        let worker = Self {
            socket,
            umem,
            work,
            options,
            tally: Arc::clone(&tally),
            announcements,
        };
        Ok((worker, Socket { queue, fd, tally }))
    }

    /// Runs the worker in a thread of its own, on a CPU of its own where there are enough.
    ///
    /// It ends soon after `stop` is set; its result says whether the socket failed.
    ///
    /// # Errors
    ///
    /// Where the system has no room for a thread.
    pub fn spawn(
        self,
        name: String,
        cpu: Option<usize>,
        stop: Arc<AtomicBool>,
    ) -> io::Result<JoinHandle<io::Result<()>>> {
        spawn(name, move || {
            if let Some(cpu) = cpu {
                // Only speed depends on it, and a cpuset may forbid it.
                let _ = pin(cpu);
            }
            self.run(&stop)
        })
    }

    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut batch = Batch::new(RING_LEN as usize);
        let mut unfinished = false;
        let mut last_turns = LAST_TURNS;
        loop {
            let taken = self.turn(&mut batch, &mut unfinished)?;
            if stop.load(Ordering::Relaxed) {
                // What was handed over before is answered still.
                last_turns -= 1;
                if taken == 0 && !unfinished || last_turns == 0 {
                    return Ok(());
                }
            }
            if taken == 0 {
                self.rest(unfinished)?;
            }
        }
    }

    /// Gives frames back, takes a batch, answers it, and sends; returns how many it took.
    fn turn(&mut self, batch: &mut Batch, unfinished: &mut bool) -> io::Result<u32> {
        // Giving frames back before taking new ones measured faster than after.
        self.socket.reap(&mut self.umem);
        self.socket.refill(&mut self.umem);
        // No more than can be sent, so that no reply has to wait.
        let room = self.socket.room();
        batch.room = room as usize;
        self.work.begin_turn();
        let now = clock::monotonic();
        let announce = |answer| {
            if let Some(announcements) = &self.announcements {
                // A full channel means that enough is being shown.
                let _ = announcements.try_send(answer);
            }
        };
        if self.work.next_due().is_some_and(|due| due <= now) {
            self.work.send_due(now, &mut self.umem, batch, announce);
        }
        let room = room.saturating_sub(batch.replies.len() as u32);
        let limit = self.options.batch_size.min(room);
        let taken = self.socket.receive(limit, &mut batch.received);
        // After receiving, so that no frame that came behind a change is treated as before it.
        self.work.notice();
        if taken > 0 {
            // The kernel half noted when each of them came: what is done about it comes after.
            let now = clock::monotonic();
            let counts = self.work.work(now, &mut self.umem, batch, announce);
            self.tally.add(&counts);
        }
        self.work.end_turn();
        let queued = self.socket.send(&mut batch.replies);
        if queued > 0 || *unfinished {
            *unfinished = !self.kick()?;
        }
        Ok(taken)
    }

    /// Has the kernel send what is in the tx ring; `false` where it wants to be asked again later.
    ///
    /// In copy mode one call sends only a part of the ring, and says EAGAIN
    /// where more is left.
    fn kick(&mut self) -> io::Result<bool> {
        for _ in 0..MAX_KICKS {
            if !self.socket.send_needs_wakeup() {
                return Ok(true);
            }
            match send(self.fd(), &[], MsgFlags::MSG_DONTWAIT) {
                Ok(_) => return Ok(true),
                Err(Errno::EAGAIN | Errno::EBUSY | Errno::ENOBUFS | Errno::EINTR) => {
                    self.socket.reap(&mut self.umem);
                }
                // The interface is down: it may come up again.
                Err(Errno::ENETDOWN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// How long there is nothing to send.
    fn leisure(&self) -> Duration {
        let due = self.work.next_due().unwrap_or(u64::MAX);
        Duration::from_nanos(due.saturating_sub(clock::monotonic()))
    }

    /// Waits for frames, but not long, and not beyond what is due next.
    fn rest(&mut self, unfinished: bool) -> io::Result<()> {
        // Until the kernel takes something out of a full tx ring nothing can be done, whatever
        // came or is due; with the interface down that may be long.
        let is_full = self.socket.room() == 0;
        match self.options.wait {
            Wait::Spin => {
                // Lets the kernel poll the driver, where it can; elsewhere the call costs little.
                let _ = recv(self.fd(), &mut [], MsgFlags::MSG_DONTWAIT);
                return Ok(());
            }
            Wait::Adaptive if !is_full && self.spin() => return Ok(()),
            Wait::Adaptive | Wait::Sleep => {}
        }
        let (event, limit) = match is_full {
            true => (PollFlags::POLLOUT, BREATH),
            false => {
                let limit = if unfinished { BREATH } else { PATIENCE };
                // Rounded down: for less than a millisecond the worker stays awake.
                let limit = self.leisure().as_millis().min(limit.into()) as u8;
                (PollFlags::POLLIN, limit)
            }
        };
        let mut ready = [PollFd::new(self.socket.fd().as_fd(), event)];
        match poll(&mut ready, PollTimeout::from(limit)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks for frames for a while; `false` where none came.
    fn spin(&self) -> bool {
        let start = Instant::now();
        let limit = SPIN.min(self.leisure());
        while self.socket.is_empty() {
            if start.elapsed() >= limit {
                return false;
            }
            std::hint::spin_loop();
        }
        true
    }

    fn fd(&self) -> RawFd {
        self.socket.fd().as_raw_fd()
    }
}

impl Socket {
    /// The number of the NIC queue.
    pub const fn queue(&self) -> u32 {
        self.queue
    }

    /// What the worker of this socket counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What the kernel counted on this socket.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn statistics(&self) -> io::Result<XdpStatistics> {
        let statistics = nix::sys::socket::getsockopt(&self.fd, socket_option::Statistics)?;
        Ok(XdpStatistics {
            rx_dropped: statistics.rx_dropped,
            rx_invalid_descs: statistics.rx_invalid_descs,
            tx_invalid_descs: statistics.tx_invalid_descs,
            rx_ring_full: statistics.rx_ring_full,
            rx_fill_ring_empty_descs: statistics.rx_fill_ring_empty_descs,
            tx_ring_empty_descs: statistics.tx_ring_empty_descs,
        })
    }

    /// Whether the driver works on the frames of the umem itself.
    pub fn is_zero_copy(&self) -> bool {
        let options = nix::sys::socket::getsockopt(&self.fd, socket_option::Options);
        options.is_ok_and(|options| options.flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Sets what makes the socket faster; it works without.
fn tune(fd: &OwnedFd, options: &WorkerOptions) {
    let budget = options.batch_size.clamp(32, RING_LEN);
    let _ = setsockopt(fd, socket_option::MaxTxBudget, &budget);
    // The kernel clips it to net.core.wmem_max; a batch of long replies wants more than the default.
    let _ = setsockopt(fd, sockopt::SndBuf, &(1 << 22));
    if options.wait == Wait::Spin {
        let _ = setsockopt(fd, socket_option::PreferBusyPoll, &1);
        let _ = setsockopt(fd, socket_option::BusyPoll, &BUSY_POLL_TIME);
        let _ = setsockopt(fd, socket_option::BusyPollBudget, &options.batch_size);
    }
}

/// The CPUs for workers, best first: from the last one that this process may use, since
/// interrupts and the rest of the system tend to the first ones.
pub fn cpus() -> Vec<usize> {
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    (0..CpuSet::count())
        .rev()
        .filter(|cpu| allowed.is_set(*cpu) == Ok(true))
        .collect()
}

fn pin(cpu: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// The way out of a known error.
fn hint(cause: &io::Error) -> &'static str {
    match cause.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY) => "; another AF_XDP socket holds this queue: end its program first",
        Some(Errno::ENETDOWN) => "; set the interface up first: ip link set NAME up",
        Some(Errno::ENOBUFS) => {
            "; its frames are locked in memory: run with sudo, grant CAP_IPC_LOCK, or raise \
             `ulimit -l`"
        }
        Some(Errno::EPERM) => "; CAP_NET_RAW is needed: run with sudo",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_can_be_pinned_to_every_cpu_that_is_offered() {
        let offered = cpus();
        assert!(!offered.is_empty());
        for cpu in offered {
            std::thread::spawn(move || pin(cpu))
                .join()
                .unwrap()
                .unwrap();
        }
    }
}
