//! The wire of a guest's NIC, whose other end is here.

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::lab::{Namespace, RawPort, Scratch};

/// The name of QEMU's end, and of the tap.
pub(super) const NAME: &str = "wire";

/// The longest frame.
const FRAME: usize = 65_536;

/// How long the one who receives waits before it looks whether to end.
const GLANCE: Duration = Duration::from_millis(100);

/// One of the two kinds of wire.
#[derive(Debug)]
pub(super) enum Wire {
    /// Sockets that carry a frame a datagram. None is lost: a side that is full makes the other
    /// one wait.
    Datagrams {
        socket: UnixDatagram,
        ours: PathBuf,
        theirs: PathBuf,
        received: Received,
    },
    /// A tap in a namespace of its own, which can have several queues.
    Tap {
        port: RawPort,
        namespace: Namespace,
        pairs: u32,
    },
}

/// What comes out of a socket, which is taken at once: a QEMU whose frames wait for us ends with a
/// failed assertion when its guest resets the NIC meanwhile.
#[derive(Debug)]
pub(super) struct Received {
    frames: Receiver<Vec<u8>>,
    held: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
}

impl Received {
    fn from(socket: UnixDatagram) -> Result<Self> {
        socket.set_read_timeout(Some(GLANCE))?;
        let (sender, frames) = mpsc::channel();
        let (held, end) = (Arc::default(), Arc::default());
        let (is_held, ends): (Arc<AtomicBool>, Arc<AtomicBool>) =
            (Arc::clone(&held), Arc::clone(&end));
        thread::spawn(move || {
            let mut frame = vec![0; FRAME];
            while !ends.load(Ordering::Relaxed) {
                if is_held.load(Ordering::Relaxed) {
                    thread::sleep(GLANCE);
                    continue;
                }
                match socket.recv(&mut frame) {
                    Ok(length) if sender.send(frame[..length].to_vec()).is_err() => return,
                    Ok(_) => {}
                    Err(error) if is_passing(&error) => {}
                    // Whoever waits for frames learns it from the closed channel.
                    Err(_) => return,
                }
            }
        });
        Ok(Self { frames, held, end })
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

impl Wire {
    /// Lays a wire with so many pairs of queues. Files of it are in `scratch`.
    pub(super) fn lay(pairs: u32, scratch: &Scratch) -> Result<Self> {
        if pairs > 1 {
            return Self::lay_tap(pairs);
        }
        let (ours, theirs) = (scratch.file("host.wire"), scratch.file("guest.wire"));
        let socket = UnixDatagram::bind(&ours)
            .with_context(|| format!("cannot bind the socket {}", ours.display()))?;
        // Nothing but a full guest keeps a frame for long.
        socket.set_write_timeout(Some(GLANCE))?;
        let received = Received::from(socket.try_clone()?)?;
        Ok(Self::Datagrams {
            socket,
            received,
            ours,
            theirs,
        })
    }

    fn lay_tap(pairs: u32) -> Result<Self> {
        let namespace = Namespace::new(NAME)?;
        namespace.ip(&format!("tuntap add dev {NAME} mode tap multi_queue"))?;
        // Nothing but what is sent here is to come from here.
        namespace.set(&format!("net/ipv6/conf/{NAME}/disable_ipv6"), "1")?;
        namespace.ip(&format!("link set {NAME} up"))?;
        let port = RawPort::open(&namespace, NAME)?;
        Ok(Self::Tap {
            port,
            namespace,
            pairs,
        })
    }

    /// A command for `program`, from where it can reach the wire.
    pub(super) fn command(&self, program: &PathBuf) -> Command {
        match self {
            Self::Datagrams { .. } => Command::new(program),
            Self::Tap { namespace, .. } => namespace.command(program),
        }
    }

    /// QEMU's option for its end.
    pub(super) fn option(&self) -> String {
        match self {
            Self::Datagrams { ours, theirs, .. } => format!(
                "dgram,id={NAME},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                theirs.display(),
                ours.display()
            ),
            Self::Tap { pairs, .. } => format!(
                "tap,id={NAME},ifname={NAME},queues={pairs},script=no,downscript=no,vhost=off"
            ),
        }
    }

    /// Takes nothing from the guest, or does again. A tap always does.
    pub(super) fn hold(&self, hold: bool) {
        if let Self::Datagrams { received, .. } = self {
            received.held.store(hold, Ordering::Relaxed);
        }
    }

    /// Sends a frame; `false` where the other side is full.
    pub(super) fn send(&self, frame: &[u8]) -> Result<bool> {
        match self {
            Self::Datagrams { socket, theirs, .. } => match socket.send_to(frame, theirs) {
                Ok(_) => Ok(true),
                Err(error) if is_full(&error) => Ok(false),
                Err(error) => Err(error).context("cannot send on the wire"),
            },
            Self::Tap { port, .. } => match port.send(frame) {
                Ok(()) => Ok(true),
                Err(error) if error.downcast_ref().is_some_and(is_full) => Ok(false),
                Err(error) => Err(error),
            },
        }
    }

    /// The next frame that the guest sent, or none if none comes within `limit`.
    pub(super) fn receive(&self, limit: Duration) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Datagrams { received, .. } => match received.frames.recv_timeout(limit) {
                Ok(frame) => Ok(Some(frame)),
                Err(RecvTimeoutError::Timeout) => Ok(None),
                Err(RecvTimeoutError::Disconnected) => bail!("the wire cannot be read any more"),
            },
            Self::Tap { port, .. } => {
                port.receive_if(limit, |frame| (!frame.outgoing).then_some(frame.bytes))
            }
        }
    }
}

/// Whether an error says no more than that there is no room now.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}

/// Whether an error says no more than that nothing came.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
