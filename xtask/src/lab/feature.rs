//! Offloads of an interface, switched as `ethtool -K` does: the lab needs no ethtool for it.

use std::{io, net::UdpSocket, os::fd::AsRawFd as _, ptr};

use anyhow::{Context as _, Result};

/// An offload that matters to what the responder sees and what its peer receives.
#[derive(Clone, Copy, Debug)]
pub(super) enum Feature {
    /// Generic receive offload. A veth runs NAPI only while it is on, or an XDP program attached.
    Gro,
    /// Transmit checksum offload. While on, a local socket's frames leave with an unfinished sum.
    TxChecksum,
}

impl Feature {
    /// The command of linux/ethtool.h that sets it.
    fn command(self) -> u32 {
        match self {
            Self::Gro => 0x2c,
            Self::TxChecksum => 0x17,
        }
    }
}

/// linux/ethtool.h: struct ethtool_value.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Switches `feature` of `interface` in the namespace of the calling thread.
pub(super) fn switch(interface: &str, feature: Feature, on: bool) -> Result<()> {
    set(interface, feature, on).with_context(|| format!("cannot set {feature:?} of {interface}"))
}

fn set(interface: &str, feature: Feature, on: bool) -> io::Result<()> {
    // Any socket of the namespace will do for asking its interfaces.
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut value = Value {
        command: feature.command(),
        data: on.into(),
    };
    // SAFETY: ifreq is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last octet stays 0 and ends the name.
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name[..room].iter_mut().zip(interface.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = ptr::from_mut(&mut value).cast();
    // SAFETY: the request points to a value of the type that this command reads, and both outlive
    // the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
