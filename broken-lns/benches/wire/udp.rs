//! The responder that one would write without XDP: a UDP socket, recvmmsg and sendmmsg.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::bed::pin;

/// Messages that one system call takes or sends.
const BATCH: usize = 64;
/// Octets of the longest message.
const MESSAGE_LEN: usize = 1500;
/// How long a call waits at the most before it looks whether to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// A running responder, ended when dropped.
pub(crate) struct UdpResponder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl UdpResponder {
    /// Answers at `address` from a thread on `cpu`. Has to be called in the box.
    pub(crate) fn start(address: IpAddr, reply: Vec<u8>, cpu: usize, spin: bool) -> Result<Self> {
        let socket = UdpSocket::bind(SocketAddr::new(address, 1701))
            .with_context(|| format!("cannot bind UDP port 1701 of {address}"))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("udp".to_owned())
            .spawn(move || {
                // Only speed depends on it.
                let _ = pin(cpu);
                serve(&socket, &reply, spin, &stopped)
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for UdpResponder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(Ok(Err(error))) = self.thread.take().map(JoinHandle::join) {
            eprintln!("the UDP responder failed: {error}");
        }
    }
}

fn serve(socket: &UdpSocket, reply: &[u8], spin: bool, stop: &AtomicBool) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    let mut buffers = vec![[0u8; MESSAGE_LEN]; BATCH];
    // SAFETY: addresses and vectors of plain data, for which all zeros is a value.
    let mut addresses: Vec<libc::sockaddr_storage> = vec![unsafe { mem::zeroed() }; BATCH];
    let mut vectors: Vec<libc::iovec> = buffers
        .iter_mut()
        .map(|buffer| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: MESSAGE_LEN,
        })
        .collect();
    let mut messages: Vec<libc::mmsghdr> = vectors
        .iter_mut()
        .zip(&mut addresses)
        .map(|(vector, address)| {
            // SAFETY: plain data, as above.
            let mut message: libc::mmsghdr = unsafe { mem::zeroed() };
            message.msg_hdr.msg_name = ptr::from_mut(address).cast();
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let mut replies: Vec<libc::mmsghdr> = Vec::with_capacity(BATCH);
    let wait = if spin {
        libc::MSG_DONTWAIT
    } else {
        libc::MSG_WAITFORONE
    };
    while !stop.load(Ordering::Relaxed) {
        for (message, vector) in messages.iter_mut().zip(&mut vectors) {
            message.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            vector.iov_len = MESSAGE_LEN;
        }
        // SAFETY: the headers point to buffers, addresses and vectors that live as long as
        // this function, and nothing else uses them during the call.
        let received = unsafe {
            libc::recvmmsg(
                fd,
                messages.as_mut_ptr(),
                BATCH as u32,
                wait,
                ptr::null_mut(),
            )
        };
        if received < 0 {
            match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::WouldBlock => continue,
                error if error.kind() == io::ErrorKind::Interrupted => continue,
                error => return Err(error),
            }
        }
        replies.clear();
        for index in 0..received as usize {
            let len = messages[index].msg_len as usize;
            let Some((tunnel_id, ns)) = parse(&buffers[index][..len]) else {
                continue;
            };
            let buffer = &mut buffers[index];
            buffer[..reply.len()].copy_from_slice(reply);
            buffer[4..6].copy_from_slice(&tunnel_id);
            buffer[10..12].copy_from_slice(&ns.wrapping_add(1).to_be_bytes());
            vectors[index].iov_len = reply.len();
            replies.push(messages[index]);
        }
        let mut sent = 0;
        while sent < replies.len() && !stop.load(Ordering::Relaxed) {
            let rest = &mut replies[sent..];
            // SAFETY: as for recvmmsg.
            let count = unsafe { libc::sendmmsg(fd, rest.as_mut_ptr(), rest.len() as u32, 0) };
            match count {
                // The first of them cannot be sent: it is lost, the others are not.
                ..0 => sent += 1,
                count => sent += count as usize,
            }
        }
    }
    Ok(())
}

/// The tunnel id and the Ns of an SCCRQ.
fn parse(message: &[u8]) -> Option<([u8; 2], u16)> {
    let number = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?));
    if number(0)? != 0xc802 || usize::from(number(2)?) > message.len() {
        return None;
    }
    let mut at = 12;
    let mut tunnel_id = None;
    while at < message.len() {
        let len = usize::from(number(at)? & 0x3ff);
        let attribute = (number(at + 2)?, number(at + 4)?);
        if len < 6 || (at == 12 && (attribute != (0, 0) || number(18)? != 1)) {
            return None;
        }
        if attribute == (0, 9) {
            tunnel_id = message.get(at + 6..)?.first_chunk().copied();
        }
        at += len;
    }
    Some((tunnel_id?, number(8)?))
}
