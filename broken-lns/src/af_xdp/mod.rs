//! AF_XDP: a socket with its rings, in memory that it shares with the kernel.
//!
//! Architecture invariant: all raw pointers of the user half are in here, and
//! what leaves is a slice within one frame, or an entry of a ring.

mod mapping;
mod ring;
mod umem;

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};

use ring::{Consumer, Producer};

use crate::socket_option;
pub(crate) use mapping::Mapping;
use nix::sys::socket::{getsockopt, setsockopt};

pub use umem::{FRAME_LEN, Packet, Umem};

/// A bound socket with its rings.
#[derive(Debug)]
pub struct XskSocket {
    fd: OwnedFd,
    fill: Producer<u64>,
    completion: Consumer<u64>,
    rx: Consumer<libc::xdp_desc>,
    tx: Producer<libc::xdp_desc>,
}

/// What a socket is bound to, and how.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The index of the interface.
    pub interface: u32,
    /// The number of the NIC queue.
    pub queue: u32,
    /// Entries of each ring, a power of two.
    pub ring_len: u32,
    /// Whether frames have to be copied, as under generic XDP.
    pub force_copy: bool,
}

/// The step in which a socket could not be made, and why.
#[derive(Debug)]
pub struct SetupError {
    /// What was being done.
    pub step: &'static str,
    /// What the system said.
    pub cause: io::Error,
}

impl XskSocket {
    /// Opens a socket over the frames of `umem`, puts as many of them into the
    /// fill ring as it holds, and binds it.
    ///
    /// # Errors
    ///
    /// [`SetupError`] says which step failed.
    pub fn bind(umem: &mut Umem, binding: &Binding) -> Result<Self, SetupError> {
        let failed = |step| move |cause| SetupError { step, cause };
        let fd = open().map_err(failed("cannot open an AF_XDP socket"))?;
        register(&fd, umem).map_err(failed("cannot share the frames with the kernel"))?;
        let mut socket =
            Self::with_rings(fd, binding.ring_len).map_err(failed("cannot map the rings"))?;
        socket.refill(umem);
        socket
            .bind_to(binding)
            .map_err(failed("cannot bind the AF_XDP socket"))?;
        Ok(socket)
    }

    fn with_rings(fd: OwnedFd, len: u32) -> io::Result<Self> {
        setsockopt(&fd, socket_option::FillRing, &len)?;
        setsockopt(&fd, socket_option::CompletionRing, &len)?;
        setsockopt(&fd, socket_option::RxRing, &len)?;
        setsockopt(&fd, socket_option::TxRing, &len)?;
        let offsets = getsockopt(&fd, socket_option::MmapOffsets)?;
        let map = |at: &libc::xdp_ring_offset, entry: usize, page_offset: i64| {
            Mapping::of(
                fd.as_fd(),
                at.desc as usize + len as usize * entry,
                page_offset,
            )
        };
        let address = size_of::<u64>();
        let descriptor = size_of::<libc::xdp_desc>();
        let fill = map(&offsets.fr, address, libc::XDP_UMEM_PGOFF_FILL_RING as i64)?;
        let completion = libc::XDP_UMEM_PGOFF_COMPLETION_RING as i64;
        let completion = map(&offsets.cr, address, completion)?;
        let rx = map(&offsets.rx, descriptor, libc::XDP_PGOFF_RX_RING)?;
        let tx = map(&offsets.tx, descriptor, libc::XDP_PGOFF_TX_RING)?;
        let strange = || io::Error::other("the kernel lays rings out in an unknown way");
        Ok(Self {
            fill: Producer::new(fill, &offsets.fr, len).ok_or_else(strange)?,
            completion: Consumer::new(completion, &offsets.cr, len).ok_or_else(strange)?,
            rx: Consumer::new(rx, &offsets.rx, len).ok_or_else(strange)?,
            tx: Producer::new(tx, &offsets.tx, len).ok_or_else(strange)?,
            fd,
        })
    }

    fn bind_to(&self, binding: &Binding) -> io::Result<()> {
        let copy = if binding.force_copy {
            libc::XDP_COPY
        } else {
            0
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: libc::XDP_USE_NEED_WAKEUP | copy,
            sxdp_ifindex: binding.interface,
            sxdp_queue_id: binding.queue,
            sxdp_shared_umem_fd: 0,
        };
        // SAFETY: the address is one of AF_XDP, of the length that is given.
        let result = unsafe {
            libc::bind(
                self.fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of_val(&address) as u32,
            )
        };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The descriptor of the socket.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Gives free frames to the kernel, to receive into.
    #[inline]
    pub fn refill(&mut self, umem: &mut Umem) {
        self.fill.put(|| umem.take());
    }

    /// Takes back the frames that were sent.
    #[inline]
    pub fn reap(&mut self, umem: &mut Umem) {
        self.completion.take(u32::MAX, |address| umem.give(address));
    }

    /// Takes up to `limit` packets that were received, and returns how many.
    #[inline]
    pub fn receive(&mut self, limit: u32, received: &mut Vec<Packet>) -> u32 {
        self.rx.take(limit, |packet| {
            received.push(Packet {
                address: packet.addr,
                len: packet.len,
            });
        })
    }

    /// Whether nothing was received.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.rx.is_empty()
    }

    /// How many packets can be sent.
    #[inline]
    pub fn room(&mut self) -> u32 {
        self.tx.room()
    }

    /// Hands packets to the kernel as far as there is room, and returns how many.
    #[inline]
    pub fn send(&mut self, packets: &mut Vec<Packet>) -> u32 {
        let mut packets = packets.drain(..);
        self.tx.put(|| {
            packets.next().map(|packet| libc::xdp_desc {
                addr: packet.address,
                len: packet.len,
                options: 0,
            })
        })
    }

    /// Whether the kernel sends only when it is told to.
    #[inline]
    pub fn send_needs_wakeup(&self) -> bool {
        self.tx.needs_wakeup()
    }

    /// Whether the kernel receives on only when it is told to.
    #[inline]
    pub fn receive_needs_wakeup(&self) -> bool {
        self.fill.needs_wakeup()
    }
}

fn open() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes numbers only.
    let fd = unsafe { libc::socket(libc::AF_XDP, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was opened just now, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn register(fd: &OwnedFd, umem: &Umem) -> io::Result<()> {
    let memory = umem.memory();
    let region = libc::xdp_umem_reg {
        addr: memory.start().as_ptr().addr() as u64,
        len: memory.len() as u64,
        chunk_size: FRAME_LEN as u32,
        headroom: 0,
        flags: 0,
        tx_metadata_len: 0,
    };
    Ok(setsockopt(fd, socket_option::UmemRegion, &region)?)
}
