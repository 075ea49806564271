//! Requests as frames, and the frames that must answer them.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, ensure};
use xtask::lab::{
    self, Avp, Checksum, ControlMessage, Datagram, Lab, RawFrame, RawPort, Sccrq, attribute,
    message_type,
};

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
        let mut codes = self.result.to_be_bytes().to_vec();
        if let Some(error) = self.error {
            codes.extend(error.to_be_bytes());
            codes.extend(self.message.as_bytes());
        }
        ControlMessage {
            tunnel_id,
            session_id: 0,
            ns: 0,
            nr: ns.wrapping_add(1),
            avps: vec![
                Avp::new(attribute::MESSAGE_TYPE, message_type::STOPCCN.to_be_bytes()),
                Avp::new(attribute::RESULT_CODE, codes),
                Avp::new(attribute::ASSIGNED_TUNNEL_ID, self.tunnel_id.to_be_bytes()),
            ],
        }
    }

    /// The frame that answers `request`, which is the one that carries `sccrq`.
    pub(crate) fn frame(&self, request: &Datagram, sccrq: &Sccrq) -> Vec<u8> {
        let reply = Datagram {
            source_mac: request.destination_mac,
            destination_mac: request.source_mac,
            tags: request.tags.clone(),
            source: request.destination,
            destination: request.source,
            checksum: Checksum::Right,
            payload: self.message(sccrq.tunnel_id, sccrq.ns).bytes(),
        };
        reply.frame()
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

/// Whether a frame carries UDP or a fragment of it, as its headers say; all else may be wrong.
pub(crate) fn is_udp(frame: &[u8]) -> bool {
    const UDP: u8 = 17;
    const FRAGMENT: u8 = 44;
    let mut at = 12;
    while let Some([0x81 | 0x91 | 0x92, 0x00] | [0x88, 0xA8]) = frame.get(at..at + 2) {
        at += 4;
    }
    let packet = frame.get(at + 2..).unwrap_or_default();
    let protocol = match frame.get(at..at + 2) {
        Some([0x08, 0x00]) => packet.get(9),
        Some([0x86, 0xDD]) if packet.get(6) == Some(&FRAGMENT) => packet.get(40),
        Some([0x86, 0xDD]) => packet.get(6),
        _ => None,
    };
    protocol == Some(&UDP)
}

/// Bytes for a person to compare.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let octets: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    octets.join(" ")
}
