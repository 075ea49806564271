//! A LAC of our own, which does as much of L2TP as it takes to be refused.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{ControlMessage, Namespace, Sccrq, StopCcn, interrupt, wait};

/// The port of every LNS.
const PORT: u16 = 1701;

/// How long it waits after each transmission of a request: doubling, as RFC 2661 has it, but from
/// a fraction of its second.
const WAITS: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(1000),
    Duration::from_millis(2000),
];

/// A UDP socket in a namespace that dials, waits and acknowledges.
#[derive(Debug)]
pub struct MinimalLac {
    socket: UdpSocket,
}

/// How a dial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A proper StopCCN came, and was acknowledged.
    Refused(Refusal),
    /// Nothing came.
    Silent {
        /// How many times the request was sent.
        sent: usize,
    },
}

/// A proper StopCCN and how it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What it said.
    pub stop: StopCcn,
    /// Its bytes, from the L2TP header on.
    pub payload: Vec<u8>,
    /// How long it took from the last transmission of the request.
    pub after: Duration,
    /// How many times the request was sent.
    pub sent: usize,
}

impl Outcome {
    /// The refusal, or an error that says that there was none.
    pub fn refusal(self) -> Result<Refusal> {
        match self {
            Self::Refused(refusal) => Ok(refusal),
            Self::Silent { sent } => {
                bail!("no answer to an SCCRQ that was sent {sent} times")
            }
        }
    }
}

impl MinimalLac {
    /// A LAC in `namespace` that sends from `source`; port 0 there stands for any free one.
    pub fn open(namespace: &Namespace, source: impl Into<SocketAddr>) -> Result<Self> {
        let source = source.into();
        let socket = namespace
            .enter(|| UdpSocket::bind(source))?
            .with_context(|| format!("cannot send from {source} in {}", namespace.name()))?;
        Ok(Self { socket })
    }

    /// Sends a request, again and again until an answer comes, and acknowledges the answer.
    ///
    /// An answer that is anything but a proper StopCCN for this request, from the address and port
    /// that it was sent to, is an error.
    pub fn dial(&self, lns: impl Into<IpAddr>, request: &Sccrq) -> Result<Outcome> {
        let lns = lns.into();
        let message = request.message().bytes();
        for (index, limit) in WAITS.into_iter().enumerate() {
            self.send(lns, &message)?;
            let start = Instant::now();
            let Some((from, payload)) = self.receive(limit)? else {
                continue;
            };
            let after = start.elapsed();
            let stop = StopCcn::parse(&payload)
                .with_context(|| format!("{from} answered {}", hex(&payload)))?;
            let asked = SocketAddr::new(lns, PORT);
            ensure!(from == asked, "{asked} was asked, and {from} answered");
            ensure!(
                stop.tunnel_id == request.tunnel_id,
                "the answer is for tunnel {}, ours is {}",
                stop.tunnel_id,
                request.tunnel_id
            );
            let next = request.ns.wrapping_add(1);
            ensure!(
                stop.nr == next,
                "the answer has Nr {}, due is {next}",
                stop.nr
            );
            let ack = ControlMessage::zlb(stop.assigned_tunnel_id, next, 1);
            self.send(lns, &ack.bytes())?;
            return Ok(Outcome::Refused(Refusal {
                stop,
                payload,
                after,
                sent: index + 1,
            }));
        }
        Ok(Outcome::Silent { sent: WAITS.len() })
    }

    /// Sends any payload to the L2TP port of `lns`.
    pub fn send(&self, lns: impl Into<IpAddr>, payload: &[u8]) -> Result<()> {
        let to = SocketAddr::new(lns.into(), PORT);
        self.socket
            .send_to(payload, to)
            .with_context(|| format!("cannot send to {to}"))?;
        Ok(())
    }

    /// The next datagram and where it came from, or none if nothing comes within `limit`.
    pub fn receive(&self, limit: Duration) -> Result<Option<(SocketAddr, Vec<u8>)>> {
        let mut buffer = vec![0; 65_536];
        let deadline = Instant::now() + limit;
        loop {
            interrupt::check()?;
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left.min(wait::GLANCE)))?;
            // An error is the end of the glance, or an ICMP error, which is no answer of an LNS.
            if let Ok((length, from)) = self.socket.recv_from(&mut buffer) {
                buffer.truncate(length);
                return Ok(Some((from, buffer)));
            }
        }
    }

    /// The address and port that it sends from.
    pub fn source(&self) -> Result<SocketAddr> {
        self.socket.local_addr().context("a socket without address")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
