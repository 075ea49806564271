//! Promiscuous mode for as long as somebody wants it.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use super::Interface;

/// An interface's promiscuous mode, in which its NIC receives frames to any MAC address. It ends
/// when this is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Promiscuous {
    _socket: OwnedFd,
}

impl Promiscuous {
    /// Joins promiscuous mode, which others may have joined, too.
    ///
    /// # Errors
    ///
    /// Those of the kernel, which wants CAP_NET_RAW for it.
    pub fn join(interface: &Interface) -> io::Result<Self> {
        // Of no protocol, so that it receives nothing.
        // SAFETY: the call takes numbers only.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was opened just now, and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        let membership = libc::packet_mreq {
            mr_ifindex: i32::try_from(interface.index).map_err(io::Error::other)?,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        // SAFETY: the option takes a `struct packet_mreq`, and this is one of the length given.
        let result = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const membership).cast(),
                size_of_val(&membership) as u32,
            )
        };
        match result {
            0 => Ok(Self { _socket: socket }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}
