//! The names of LACs, for those who show what happens as it happens.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::lac_identity::Text;

/// Names that are kept; of LACs beyond that none is known.
const NAMES: usize = 65_536;

/// The Host Name of each LAC, as its last SCCRQ had it (RFC 2661 §4.4.3). A clone is another end
/// of the same names.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<HashMap<IpAddr, Text>>>);

impl Names {
    /// A LAC called itself so.
    pub(super) fn learn(&self, lac: IpAddr, name: Text) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < NAMES || names.contains_key(&lac) {
            names.insert(lac, name);
        }
    }

    /// What a LAC called itself last, if that is known.
    pub fn of(&self, lac: IpAddr) -> Option<Text> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&lac).copied()
    }
}
