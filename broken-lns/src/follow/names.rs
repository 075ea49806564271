//! The names of LACs, for those who show what happens as it happens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::wire::l2tp;

use crate::lac_identity::{self, Text};
use crate::track::address;

/// Names that are kept; of LACs beyond that none is known.
const NAMES: usize = 65_536;

/// The Host Name of each LAC, as its last SCCRQ had it (RFC 2661 §4.4.3). A clone is another end
/// of the same names.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Whether anybody wants to know.
    is_wanted: AtomicBool,
    known: Mutex<HashMap<IpAddr, Text>>,
}

impl Names {
    /// Keeps names from now on.
    pub(super) fn want(&self) {
        self.0.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Keeps the name in an SCCRQ, of which `message` is the beginning.
    pub(super) fn learn(&self, event: &Event, message: &[u8]) {
        if event.message_type != l2tp::SCCRQ || !self.0.is_wanted.load(Ordering::Relaxed) {
            return;
        }
        let Some(name) = lac_identity::read(message).host_name else {
            return;
        };
        let lac = address(event.lac, event.ip_version);
        let mut names = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < NAMES || names.contains_key(&lac) {
            names.insert(lac, name);
        }
    }

    /// What a LAC called itself last, if that is known.
    pub fn of(&self, lac: IpAddr) -> Option<Text> {
        let names = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&lac).copied()
    }
}
