//! Metrics for Prometheus: everything that is counted, over HTTP and for reading only.
//!
//! An [`Exposition`] is what there is to show, and becomes text by the names and labels in
//! `families`. A [`Server`] has one for each request made, so that nothing is shared and nothing
//! is counted twice. No label has a LAC in it: there may be millions of them.

mod families;
mod histogram;
mod rules;
mod server;

use std::time::SystemTime;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::registry::Registry;

pub use histogram::{Histogram, Times};
pub use rules::RuleCount;
pub use server::{Limits, ListenError, Scrape, Server};

use crate::snapshot::Snapshot;

/// The media type of the text.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// What is shown of a responder at one instant.
#[derive(Clone, Debug)]
pub struct Exposition {
    /// When it was started.
    pub started: SystemTime,
    /// What it has counted.
    pub snapshot: Snapshot,
    /// The hits of its rules.
    pub rules: Vec<RuleCount>,
    /// How long LACs took, where that is followed.
    pub times: Option<Times>,
}

impl Exposition {
    /// The text in Prometheus' format, version 0.0.4.
    ///
    /// # Errors
    ///
    /// None that a text in memory could give reason to.
    pub fn into_text(self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
