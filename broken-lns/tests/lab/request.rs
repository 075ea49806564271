//! Requests as frames, and the frames that must answer them.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{
    self, Checksum, ControlMessage, Datagram, Lab, RawFrame, RawPort, Sccrq, StopCcn,
};

pub(crate) use xtask::lab::is_udp;

/// What a refusal says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    /// The result code.
    pub(crate) result: u16,
    /// The error code, where there is one.
    pub(crate) error: Option<u16>,
    /// The error message; an empty one is left out.
    pub(crate) message: &'static str,
    /// The tunnel id that it claims to have assigned.
    pub(crate) tunnel_id: u16,
}

impl Refusal {
    /// What is said unless flags say something else.
    pub(crate) const DEFAULT: Self = Self {
        result: 0,
        error: Some(4),
        message: "Internal error",
        tunnel_id: 12345,
    };

    /// The message to the LAC that assigned `tunnel_id` in its message number `ns`.
    pub(crate) fn message(&self, tunnel_id: u16, ns: u16) -> ControlMessage {
        let stop = StopCcn {
            tunnel_id,
            nr: ns.wrapping_add(1),
            result: self.result,
            error: self.error,
            message: Some(self.message.to_owned()),
            assigned_tunnel_id: self.tunnel_id,
        };
        stop.message()
    }

    /// The frame that answers `request`, which is the one that carries `sccrq`.
    pub(crate) fn frame(&self, request: &Datagram, sccrq: &Sccrq) -> Vec<u8> {
        let payload = self.message(sccrq.tunnel_id, sccrq.ns).bytes();
        request.reply(payload).frame()
    }
}

/// Where raw requests come from over IPv4: nobody's address, so that nobody answers the answer.
pub(crate) fn nobody(port: u16) -> SocketAddr {
    ([203, 0, 113, 77], port).into()
}

/// Where raw requests come from over IPv6.
pub(crate) fn nobody6(port: u16) -> SocketAddr {
    ([0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 77], port).into()
}

/// A datagram from the other end of the cable to an LNS at `to`.
pub(crate) fn datagram(from: SocketAddr, to: SocketAddr, payload: Vec<u8>) -> Datagram {
    Datagram {
        source_mac: Lab::PEER_MAC,
        destination_mac: Lab::RESPONDER_MAC,
        tags: Vec::new(),
        source: from,
        destination: to,
        checksum: Checksum::Right,
        payload,
    }
}

/// Sends a frame, again and again while the cable is full: in native mode a veth holds 256 frames,
/// and refuses more.
pub(crate) fn push(port: &RawPort, frame: &[u8]) -> Result<()> {
    lab::until("room in the cable", Duration::from_secs(5), || {
        let Err(error) = port.send(frame) else {
            return Ok(Some(()));
        };
        let cause = error.downcast_ref::<io::Error>();
        match cause.and_then(io::Error::raw_os_error) {
            Some(libc::ENOBUFS) => Ok(None),
            _ => Err(error),
        }
    })
}

/// Sends a frame and returns what comes back on UDP, if anything does.
pub(crate) fn ask(port: &RawPort, frame: &[u8], limit: Duration) -> Result<Option<RawFrame>> {
    port.send(frame)?;
    answer(port, limit)
}

/// Sends a frame, and fails unless `expected` is the first thing that comes back.
pub(crate) fn expect(port: &RawPort, what: &str, frame: &[u8], expected: &[u8]) -> Result<()> {
    let reply = ask(port, frame, Duration::from_secs(2))?;
    let reply = reply.with_context(|| format!("{what}: no answer"))?;
    ensure!(
        reply.bytes == expected,
        "{what}: answered\n{}\ninstead of\n{}",
        hex(&reply.bytes),
        hex(expected)
    );
    Ok(())
}

/// The next UDP datagram from the other end.
pub(crate) fn answer(port: &RawPort, limit: Duration) -> Result<Option<RawFrame>> {
    port.receive_if(limit, |frame| {
        (!frame.outgoing && is_udp(&frame.bytes)).then_some(frame)
    })
}

/// Bytes for a person to compare.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let octets: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    octets.join(" ")
}
