//! Whole Ethernet frames in and out of an interface, as they are on the wire.

use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    net::if_::if_nametoindex,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{Namespace, frame::ADDRESSES, interrupt, wait};

/// linux/if_packet.h: the auxiliary data hold a tag that was stripped, and its EtherType.
const VLAN_VALID: u32 = 1 << 4;
const VLAN_PROTOCOL_VALID: u32 = 1 << 6;

/// Octets that may wait to be received: bursts of a few thousand frames lose none.
const BACKLOG: i32 = 16 << 20;

/// A packet socket on one interface. It sees what arrives there and what others send there, not
/// what it sends itself.
#[derive(Debug)]
pub struct RawPort {
    socket: OwnedFd,
    name: String,
}

/// A frame that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// The whole frame; a VLAN tag that the kernel took off is back in its place.
    pub bytes: Vec<u8>,
    /// When the kernel saw it; for the first few milliseconds of a port, when it was received.
    pub at: SystemTime,
    /// Whether it was on its way out of the interface.
    pub outgoing: bool,
}

impl RawPort {
    /// Opens a port on the interface `name` in `namespace`.
    pub fn open(namespace: &Namespace, name: &str) -> Result<Self> {
        let socket = namespace
            .enter(|| open(name))?
            .with_context(|| format!("cannot open a packet socket on {name}"))?;
        Ok(Self {
            socket,
            name: name.to_owned(),
        })
    }

    /// Sends a whole frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        // SAFETY: the pointer and the length are those of one slice.
        let sent = unsafe {
            libc::send(
                self.socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error())
                .with_context(|| format!("cannot send {} octets on {}", frame.len(), self.name));
        }
        Ok(())
    }

    /// The next frame, or none if nothing comes within `limit`.
    pub fn receive(&self, limit: Duration) -> Result<Option<RawFrame>> {
        self.receive_if(limit, Some)
    }

    /// The first thing that `choose` makes of a frame, or none if nothing comes within `limit`.
    /// Frames that it makes nothing of are gone.
    pub fn receive_if<T>(
        &self,
        limit: Duration,
        choose: impl Fn(RawFrame) -> Option<T>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(frame) = self.take()? {
                if let Some(chosen) = choose(frame) {
                    return Ok(Some(chosen));
                }
            }
            interrupt::check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // A short step, since a signal may come just before the poll.
            let step = left.min(wait::GLANCE).as_millis() as u16;
            let mut ready = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::from(step.max(1))) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(error) => bail!("cannot wait for a frame on {}: {error}", self.name),
            }
        }
    }

    /// Takes a frame that is there already.
    fn take(&self) -> Result<Option<RawFrame>> {
        match receive(self.socket.as_raw_fd()) {
            Ok(frame) => Ok(Some(frame)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("cannot receive a frame on {}", self.name))
            }
        }
    }
}

fn open(name: &str) -> io::Result<OwnedFd> {
    let index = if_nametoindex(name)?;
    // Protocol 0 keeps frames of other interfaces out until the socket is bound.
    let kind = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is involved.
    let descriptor = checked(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
    set(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // Beyond the limit for everybody, which root may.
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BACKLOG)?;
    // SAFETY: sockaddr_ll is plain data, for which all zeros is a value.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = index.cast_signed();
    // SAFETY: the pointer and the length are those of one value.
    checked(unsafe {
        libc::bind(
            descriptor,
            ptr::from_ref(&address).cast(),
            mem::size_of_val(&address) as u32,
        )
    })?;
    Ok(socket)
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and the length are those of one value.
    checked(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            ptr::from_ref(&value).cast(),
            mem::size_of_val(&value) as u32,
        )
    })
    .map(drop)
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn receive(descriptor: i32) -> io::Result<RawFrame> {
    let mut bytes = vec![0; 65_536];
    let mut control = [0_u64; 32];
    // SAFETY: both are plain data, for which all zeros is a value.
    let (mut address, mut header): (libc::sockaddr_ll, libc::msghdr) =
        unsafe { (mem::zeroed(), mem::zeroed()) };
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    header.msg_name = ptr::from_mut(&mut address).cast();
    header.msg_namelen = mem::size_of_val(&address) as u32;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&control);
    // SAFETY: every pointer in the header is to a value of the length beside it, and all of them
    // outlive the call.
    let length = unsafe { libc::recvmsg(descriptor, &raw mut header, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    bytes.truncate(length);

    let mut frame = RawFrame {
        bytes,
        at: SystemTime::now(),
        outgoing: address.sll_pkttype == libc::PACKET_OUTGOING,
    };
    // SAFETY: the kernel filled the header, and the control messages it points to are still there.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !next.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return pointers to whole control messages, and
        // the data of each is of the type that its level and type stand for.
        unsafe {
            let data = libc::CMSG_DATA(next);
            match ((*next).cmsg_level, (*next).cmsg_type) {
                (libc::SOL_PACKET, libc::PACKET_AUXDATA) => {
                    frame.restore_tag(&data.cast::<libc::tpacket_auxdata>().read_unaligned());
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    frame.at = SystemTime::UNIX_EPOCH
                        + Duration::new(time.tv_sec as u64, time.tv_nsec as u32);
                }
                _ => {}
            }
            next = libc::CMSG_NXTHDR(&raw const header, next);
        }
    }
    Ok(frame)
}

impl RawFrame {
    fn restore_tag(&mut self, data: &libc::tpacket_auxdata) {
        if data.tp_status & VLAN_VALID == 0 || self.bytes.len() < ADDRESSES {
            return;
        }
        let protocol = if data.tp_status & VLAN_PROTOCOL_VALID != 0 {
            data.tp_vlan_tpid
        } else {
            0x8100
        };
        let tag = [protocol.to_be_bytes(), data.tp_vlan_tci.to_be_bytes()];
        self.bytes.splice(ADDRESSES..ADDRESSES, tag.concat());
    }
}
