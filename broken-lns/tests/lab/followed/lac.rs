//! A LAC at the other end of the cable, which does what it is told.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, Result};
use xtask::lab::{ControlMessage, RawPort, Sccrq};

use crate::{
    request::{Refusal, answer, datagram, push},
    responder::LIMIT,
};

/// Within this nobody takes two requests for parallel ones.
pub(crate) const PAUSE: Duration = Duration::from_millis(60);
/// After this, a LAC may have given up an LNS that does not answer.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(1_100);
/// After this, that a LAC turned to another LNS is certain.
pub(crate) const CERTAIN: Duration = Duration::from_secs(11);

/// A LAC at the other end of the cable.
#[derive(Clone, Copy)]
pub(crate) struct Lac<'p> {
    port: &'p RawPort,
    pub(super) address: SocketAddr,
}

impl<'p> Lac<'p> {
    pub(crate) fn new(port: &'p RawPort, number: u8) -> Self {
        Self {
            port,
            address: ([203, 0, 113, number], 1701).into(),
        }
    }

    pub(super) fn send(&self, lns: [u8; 4], payload: Vec<u8>) -> Result<()> {
        let frame = datagram(self.address, (lns, 1701).into(), payload).frame();
        push(self.port, &frame)
    }

    /// Asks, and does not wait for an answer.
    pub(super) fn ask(&self, lns: [u8; 4], tunnel_id: u16) -> Result<()> {
        self.send(lns, Sccrq::new(tunnel_id).message().bytes())
    }

    /// Asks, and waits for the answer.
    pub(super) fn is_answered(&self, lns: [u8; 4], tunnel_id: u16) -> Result<()> {
        self.ask(lns, tunnel_id)?;
        let what = || format!("no answer from {} to {}", Ipv4Addr::from(lns), self.address);
        answer(self.port, LIMIT)?.with_context(what)?;
        Ok(())
    }

    /// Acknowledges the StopCCN with this Nr, of which 1 is right.
    pub(super) fn acknowledge(&self, lns: [u8; 4], nr: u16) -> Result<()> {
        let zlb = ControlMessage::zlb(Refusal::DEFAULT.tunnel_id, 1, nr);
        self.send(lns, zlb.bytes())
    }

    /// Is refused, and acknowledges it as it should.
    pub(crate) fn is_refused(&self, lns: [u8; 4], tunnel_id: u16) -> Result<()> {
        self.is_answered(lns, tunnel_id)?;
        self.acknowledge(lns, 1)
    }
}
