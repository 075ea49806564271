//! The attempts of a LAC that can follow one another: those at the LNSs of one group, with one
//! Host Name.

use crate::track::findings::Doubt;
use crate::track::rounds::Rounds;
use crate::track::runs::Runs;

/// Attempts whose ports are looked at before a LAC is known to keep its ports.
const PORTS_SEEN: u32 = 4;
/// Ports that are known to carry several tunnels at once.
const SHARED_PORTS: usize = 8;

/// What tells the chains of a LAC apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// A number of the group, which is the same for all LNSs that are in none.
    pub(super) group: u32,
    /// A hash of the Host Name; 0 where it is not known.
    pub(super) host_name: u32,
}

/// What is remembered of it.
#[derive(Debug)]
pub(super) struct Chain {
    pub(super) key: Key,
    /// Why the next attempt may not follow the last one.
    pub(super) doubt: Option<Doubt>,
    /// Kinds of next attempts that came at no regular times.
    pub(super) irregular: u8,
    /// When its last attempt began.
    pub(super) newest: u64,
    /// When the LAC said something of it last.
    pub(super) active: u64,
    pub(super) rounds: Rounds,
    pub(super) runs: Runs,
    /// Attempts from a port that was seen in the chain before, and from another one.
    ports_again: u32,
    ports_new: u32,
    shared_ports: Vec<u16>,
}

impl Chain {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            doubt: None,
            irregular: 0,
            newest: 0,
            active: 0,
            rounds: Rounds::default(),
            runs: Runs::default(),
            ports_again: 0,
            ports_new: 0,
            shared_ports: Vec::new(),
        }
    }

    /// Counts the port of a new attempt.
    pub(super) fn count_port(&mut self, is_known: bool) {
        match is_known {
            true => self.ports_again += 1,
            false => self.ports_new += 1,
        }
    }

    /// Whether each of its tunnels keeps a port of its own over several attempts. Ports that are
    /// chosen anew each time meet by chance only, and a single port tells nothing.
    pub(super) fn keeps_ports(&self) -> bool {
        self.ports_new > 1 && self.ports_again >= PORTS_SEEN && self.ports_again >= self.ports_new
    }

    /// Notes that several tunnels use a port at once.
    pub(super) fn share_port(&mut self, port: u16) {
        if !self.shared_ports.contains(&port) && self.shared_ports.len() < SHARED_PORTS {
            self.shared_ports.push(port);
        }
    }

    /// Whether several tunnels may use a port at once.
    pub(super) fn is_shared(&self, port: u16) -> bool {
        self.shared_ports.len() >= SHARED_PORTS || self.shared_ports.contains(&port)
    }

    /// Octets on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.shared_ports.capacity() * size_of::<u16>()
    }
}
