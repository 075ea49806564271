//! The wire of a guest's NIC, whose other end is here.

use std::{
    io,
    os::{fd::AsFd as _, unix::net::UnixDatagram},
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::lab::{Namespace, RawPort, Scratch};

/// The name of QEMU's end, and of the tap.
pub(super) const NAME: &str = "wire";

/// The longest frame.
const FRAME: usize = 65_536;

/// One of the two kinds of wire.
#[derive(Debug)]
pub(super) enum Wire {
    /// Sockets that carry a frame a datagram. None is lost: a side that is full makes the other
    /// one wait.
    Datagrams {
        socket: UnixDatagram,
        ours: PathBuf,
        theirs: PathBuf,
    },
    /// A tap in a namespace of its own, which can have several queues.
    Tap {
        port: RawPort,
        namespace: Namespace,
        pairs: u32,
    },
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
        socket.set_nonblocking(true)?;
        Ok(Self::Datagrams {
            socket,
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

    /// The next frame that the guest sent, or none if none comes within `limit`, which is short.
    pub(super) fn receive(&self, limit: Duration) -> Result<Option<Vec<u8>>> {
        match self {
            Self::Datagrams { socket, .. } => {
                let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
                match poll(&mut ready, PollTimeout::from(limit.as_millis() as u16)) {
                    Ok(_) | Err(nix::Error::EINTR) => {}
                    Err(error) => bail!("cannot wait for a frame on the wire: {error}"),
                }
                let mut frame = vec![0; FRAME];
                match socket.recv(&mut frame) {
                    Ok(length) => {
                        frame.truncate(length);
                        Ok(Some(frame))
                    }
                    Err(error) if is_full(&error) => Ok(None),
                    Err(error) => Err(error).context("cannot receive from the wire"),
                }
            }
            Self::Tap { port, .. } => {
                port.receive_if(limit, |frame| (!frame.outgoing).then_some(frame.bytes))
            }
        }
    }
}

/// Whether an error passes: nothing is there, or no room.
fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(libc::ENOBUFS)
}
