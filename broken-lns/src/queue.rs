//! One AF_XDP worker: its umem, its rings, and the loop that a pinned thread runs.
//!
//! Architecture invariant: every frame of the umem is in exactly one place: in
//! the fill ring, in the kernel's hands, received, waiting as a reply, in the tx
//! ring, or free in the umem.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread::JoinHandle;
use std::time::Duration;

use broken_lns_ebpf::answer::Answer;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::{MsgFlags, recv, send, setsockopt, sockopt};
use nix::unistd::Pid;
use xdp::nic::NicIndex;
use xdp::slab::{HeapSlab, Slab as _};
use xdp::socket::{PollTimeout, SocketError, XdpSocket, XdpSocketBuilder};
use xdp::umem::{FrameSize, UmemCfgBuilder};
use xdp::{RingConfigBuilder, Rings, Umem};

use crate::respond::{Orders, respond};
use crate::snapshot::{VerdictCounts, XdpStatistics};
use crate::socket_option;
use crate::tally::Tally;

/// Frames in the umem of a worker, of 4 KiB each.
const FRAMES: u32 = 4096;
/// Entries of each ring; every frame of the umem would fit in two of them.
const RING_LEN: u32 = 2048;
/// How long a worker sleeps at the most before it looks whether to stop.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long it waits for the kernel to go on sending, at the most.
const BREATH: Duration = Duration::from_millis(1);
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
    /// Whether it polls without ever sleeping.
    pub busy_poll: bool,
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
    /// Moves every frame from `received` to `replies` or back to the umem, as
    /// far as `replies` has room, and returns how the frames ended.
    fn work(
        &mut self,
        received: &mut HeapSlab,
        umem: &mut Umem,
        replies: &mut HeapSlab,
        announce: impl FnMut(Answer),
    ) -> VerdictCounts;
}

impl Work for Orders {
    fn work(
        &mut self,
        received: &mut HeapSlab,
        umem: &mut Umem,
        replies: &mut HeapSlab,
        announce: impl FnMut(Answer),
    ) -> VerdictCounts {
        respond(self, received, umem, replies, announce)
    }
}

/// A worker whose socket is bound, before its thread runs.
pub struct Worker<W = Orders> {
    socket: XdpSocket,
    rings: Rings,
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
    /// Binds a socket to the queue and fills its fill ring.
    ///
    /// # Errors
    ///
    /// [`QueueError`] names the interface, the queue and the step that failed.
    pub fn bind(
        interface: &str,
        nic: NicIndex,
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
        let umem = UmemCfgBuilder {
            frame_size: FrameSize::FourK,
            frame_count: FRAMES,
            ..UmemCfgBuilder::default()
        };
        let umem = umem.build().map_err(io::Error::other);
        let umem = umem.and_then(Umem::map);
        let mut umem = umem.map_err(|error| failed("cannot map the frames", error))?;

        let config = RingConfigBuilder {
            rx_count: RING_LEN,
            tx_count: RING_LEN,
            fill_count: RING_LEN,
            completion_count: RING_LEN,
        };
        let config = config.build().map_err(io::Error::other);
        let config = config.map_err(|error| failed("cannot lay out the rings", error))?;
        let mut builder = XdpSocketBuilder::new()
            .map_err(|error| failed("cannot open an AF_XDP socket", cause(error)))?;
        let (mut rings, mut flags) = builder
            .build_rings(&umem, config)
            .map_err(|error| failed("cannot map the rings", cause(error)))?;
        // SAFETY: the umem and the rings move into the worker together, and the
        // worker's fields are dropped with the socket first.
        unsafe { rings.fill_ring.enqueue(&mut umem, RING_LEN as usize) };
        if options.force_copy {
            flags.force_copy();
        }
        let socket = builder
            .bind(nic, queue, flags)
            .map_err(|error| failed("cannot bind the AF_XDP socket", cause(error)))?;

        let fd = borrow(&socket)
            .try_clone_to_owned()
            .map_err(|error| failed("cannot share the AF_XDP socket", error))?;
        tune(&fd, &options);
        let tally = Arc::new(Tally::new());
        let worker = Self {
            socket,
            rings,
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
        std::thread::Builder::new().name(name).spawn(move || {
            if let Some(cpu) = cpu {
                // Only speed depends on it, and a cpuset may forbid it.
                let _ = pin(cpu);
            }
            self.run(&stop)
        })
    }

    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut flow = Flow::new(self.options.batch_size as usize);
        let mut last_turns = LAST_TURNS;
        loop {
            let taken = self.turn(&mut flow)?;
            if stop.load(Ordering::Relaxed) {
                // What was handed over before is answered still.
                last_turns -= 1;
                if taken == 0 && flow.is_idle() || last_turns == 0 {
                    return Ok(());
                }
            }
            if taken == 0 {
                self.rest(&flow)?;
            }
        }
    }

    /// Gives frames back, takes a batch, answers it, and sends; returns how many it took.
    fn turn(&mut self, flow: &mut Flow) -> io::Result<usize> {
        // Giving frames back before taking new ones measured faster than after.
        self.reap(flow);
        let room = RING_LEN as usize - flow.filling;
        // SAFETY: the umem lives as long as the socket, in the same worker.
        flow.filling += unsafe { self.rings.fill_ring.enqueue(&mut self.umem, room) };

        let taken = match &mut self.rings.rx_ring {
            // SAFETY: no packet leaves the worker, which owns the umem.
            Some(rx) => unsafe { rx.recv(&self.umem, &mut flow.received) },
            None => 0,
        };
        flow.filling -= taken;
        let counts = self.work.work(
            &mut flow.received,
            &mut self.umem,
            &mut flow.replies,
            |answer| {
                if let Some(announcements) = &self.announcements {
                    // A full channel means that enough is being shown.
                    let _ = announcements.try_send(answer);
                }
            },
        );
        self.tally.add(&counts);

        let queued = match &mut self.rings.tx_ring {
            // The ring takes all replies or none; with none they wait for the next turn.
            // SAFETY: the umem lives as long as the socket, in the same worker.
            Some(tx) => unsafe { tx.send(&mut flow.replies) },
            None => 0,
        };
        flow.sending += queued;
        if queued > 0 || flow.unfinished {
            flow.unfinished = !self.kick(flow)?;
        }
        Ok(taken)
    }

    /// Takes back the frames that were sent.
    fn reap(&mut self, flow: &mut Flow) {
        let limit = flow.sending.min(RING_LEN as usize);
        flow.sending -= self.rings.completion_ring.dequeue(&mut self.umem, limit);
    }

    /// Has the kernel send what is in the tx ring; `false` where it wants to be asked again later.
    ///
    /// In copy mode one call sends only a part of the ring, and says EAGAIN
    /// where more is left.
    fn kick(&mut self, flow: &mut Flow) -> io::Result<bool> {
        for _ in 0..MAX_KICKS {
            match send(self.socket.as_raw_fd(), &[], MsgFlags::MSG_DONTWAIT) {
                Ok(_) => return Ok(true),
                Err(Errno::EAGAIN | Errno::EBUSY | Errno::ENOBUFS | Errno::EINTR) => {
                    self.reap(flow);
                }
                // The interface is down: it may come up again.
                Err(Errno::ENETDOWN) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(false)
    }

    /// Waits for frames, but not long.
    fn rest(&self, flow: &Flow) -> io::Result<()> {
        if self.options.busy_poll {
            // Lets the kernel poll the driver, where it can; elsewhere the call costs little.
            let _ = recv(self.socket.as_raw_fd(), &mut [], MsgFlags::MSG_DONTWAIT);
            return Ok(());
        }
        let limit = if flow.is_idle() { PATIENCE } else { BREATH };
        self.socket.poll_read(PollTimeout::new(Some(limit)))?;
        Ok(())
    }
}

/// Where the frames of a worker are, apart from those that are free.
struct Flow {
    /// In the fill ring, or with the kernel to be filled.
    filling: usize,
    /// Received, and not yet answered.
    received: HeapSlab,
    /// Answered, and not yet in the tx ring.
    replies: HeapSlab,
    /// In the tx ring, or with the kernel to be sent.
    sending: usize,
    /// Whether the kernel has to be asked again to send.
    unfinished: bool,
}

impl Flow {
    /// All frames that the fill ring holds are in it, and none elsewhere.
    fn new(batch_size: usize) -> Self {
        Self {
            filling: RING_LEN as usize,
            received: HeapSlab::with_capacity(batch_size),
            replies: HeapSlab::with_capacity(batch_size),
            sending: 0,
            unfinished: false,
        }
    }

    /// Whether there is nothing to do but to wait for frames.
    fn is_idle(&self) -> bool {
        self.replies.is_empty() && !self.unfinished
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
    if options.busy_poll {
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

fn borrow(socket: &XdpSocket) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is open as long as the socket, which is borrowed as long.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

/// The system's error in one of the `xdp` crate's.
fn cause(error: SocketError) -> io::Error {
    match error {
        SocketError::SocketCreation(error)
        | SocketError::Bind(error)
        | SocketError::SetSockOpt { inner: error, .. }
        | SocketError::GetSockOpt { inner: error, .. }
        | SocketError::RingMap { inner: error, .. } => error,
    }
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
