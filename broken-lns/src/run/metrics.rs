//! What a running responder shows to Prometheus.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Session;
use crate::control::protocol::Refused;
use crate::control::{Work, in_a_thread};
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
        let exposition = match self.exposition() {
            Ok(exposition) => exposition,
            Err(refused) => return scrape.answer(Err(refused)),
        };
        tokio::spawn(async move { scrape.answer(in_a_thread(exposition).await) });
    }

    fn exposition(&self) -> Result<Work<Exposition>, Refused> {
        let snapshot = self.snapshot().map_err(Refused::because)?;
        let snapshot = snapshot.since(&self.zero);
        let (started, scenario) = (self.started_at, Arc::clone(&self.scenario));
        let (hits, times) = (self.hits_since_zero()?, self.times());
        Ok(Box::new(move || {
            Ok(Exposition {
                started,
                snapshot,
                rules: RuleCount::all(&scenario, hits),
                times: times().unwrap_or_default(),
            })
        }))
    }
}
