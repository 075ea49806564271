//! What a running responder shows to Prometheus.

use std::net::SocketAddr;

use super::Session;
use crate::control::protocol::Refused;
use crate::metrics::{Exposition, Limits, ListenError, RuleCount, Scrape, Server};

/// Listens where it was asked for, if it was.
///
/// # Errors
///
/// [`ListenError`], where that cannot be.
pub(super) fn listen(address: Option<SocketAddr>) -> Result<Server, ListenError> {
    match address {
        Some(address) => Server::listen(address, Limits::default()),
        None => Ok(Server::unreachable()),
    }
}

impl Session {
    /// Shows a client everything counted since the start, or since the last reset; how long LACs
    /// took goes on over resets. It is left out where nobody tells it in time, and the rest is
    /// shown all the same.
    pub(super) fn expose(&self, scrape: Scrape) {
        scrape.answer(self.exposition());
    }

    fn exposition(&self) -> Result<Exposition, Refused> {
        let snapshot = self.snapshot().map_err(Refused::because)?;
        Ok(Exposition {
            started: self.started_at,
            snapshot: snapshot.since(&self.zero),
            rules: RuleCount::all(&self.scenario, self.hits_since_zero()?),
            times: self.times().unwrap_or_default(),
        })
    }
}
