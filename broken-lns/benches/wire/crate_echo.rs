//! The same echo on the rings of the `xdp` crate, which ours are measured against.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};
use broken_lns::socket_option;
use broken_lns_ebpf::frame::Frame;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send, setsockopt};
use xdp::nic::NicIndex;
use xdp::slab::{HeapSlab, Slab as _};
use xdp::socket::{PollTimeout, XdpSocket, XdpSocketBuilder};
use xdp::umem::UmemCfgBuilder;
use xdp::{RingConfigBuilder, Rings, Umem};

use crate::bed::pin;
use crate::echo::Echo;

/// Frames in the umem, and entries of a ring: as many as a worker of ours has.
const FRAMES: u32 = 4096;
const RING_LEN: u32 = 2048;

/// A socket with its rings, before its thread runs.
pub(crate) struct CrateEcho {
    socket: XdpSocket,
    rings: Rings,
    umem: Umem,
    echo: Echo,
    batch: usize,
}

impl CrateEcho {
    /// Binds a socket to queue 0 of an interface; the descriptor is for the map of sockets.
    pub(crate) fn bind(index: u32, echo: Echo, batch: u32) -> Result<(Self, OwnedFd)> {
        let umem = UmemCfgBuilder {
            frame_count: FRAMES,
            ..UmemCfgBuilder::default()
        };
        let mut umem = Umem::map(umem.build()?)?;
        let config = RingConfigBuilder {
            rx_count: RING_LEN,
            tx_count: RING_LEN,
            fill_count: RING_LEN,
            completion_count: RING_LEN,
        };
        let mut builder = XdpSocketBuilder::new()?;
        let (mut rings, flags) = builder.build_rings(&umem, config.build()?)?;
        // SAFETY: the umem and the rings move into one value, with the socket before them.
        unsafe { rings.fill_ring.enqueue(&mut umem, RING_LEN as usize) };
        let socket = builder.bind(NicIndex::new(index), 0, flags)?;
        // SAFETY: the descriptor is open as long as the socket, which outlives the borrow.
        let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }.try_clone_to_owned()?;
        setsockopt(&fd, socket_option::MaxTxBudget, &batch)
            .context("the kernel has no budget for sending")?;
        let batch = batch as usize;
        let worker = Self {
            socket,
            rings,
            umem,
            echo,
            batch,
        };
        Ok((worker, fd))
    }

    /// Echoes in a thread on `cpu` until `stop` is set.
    pub(crate) fn spawn(self, cpu: usize, stop: Arc<AtomicBool>) -> JoinHandle<io::Result<()>> {
        std::thread::spawn(move || {
            pin(cpu).map_err(io::Error::other)?;
            self.run(&stop)
        })
    }

    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut received = HeapSlab::with_capacity(self.batch);
        let mut replies = HeapSlab::with_capacity(self.batch);
        let (mut filling, mut sending) = (RING_LEN as usize, 0usize);
        while !stop.load(Ordering::Relaxed) {
            let limit = sending.min(RING_LEN as usize);
            sending -= self.rings.completion_ring.dequeue(&mut self.umem, limit);
            let room = RING_LEN as usize - filling;
            // SAFETY: the umem lives as long as the socket, in the same value.
            filling += unsafe { self.rings.fill_ring.enqueue(&mut self.umem, room) };
            let taken = match &mut self.rings.rx_ring {
                // SAFETY: no packet leaves this value, which owns the umem.
                Some(rx) => unsafe { rx.recv(&self.umem, &mut received) },
                None => 0,
            };
            filling -= taken;
            while replies.available() > 0
                && let Some(mut packet) = received.pop_back()
            {
                match self.echo.swap(Frame::new(&mut packet)) {
                    Some(()) => {
                        replies.push_front(packet);
                    }
                    None => self.umem.free_packet(packet),
                }
            }
            let queued = match &mut self.rings.tx_ring {
                // SAFETY: the umem lives as long as the socket, in the same value.
                Some(tx) => unsafe { tx.send(&mut replies) },
                None => 0,
            };
            sending += queued;
            while queued > 0
                && let Err(Errno::EAGAIN) =
                    send(self.socket.as_raw_fd(), &[], MsgFlags::MSG_DONTWAIT)
            {
                let limit = sending.min(RING_LEN as usize);
                sending -= self.rings.completion_ring.dequeue(&mut self.umem, limit);
            }
            if taken == 0 && replies.is_empty() {
                let patience = std::time::Duration::from_millis(10);
                self.socket.poll_read(PollTimeout::new(Some(patience)))?;
            }
        }
        Ok(())
    }
}
