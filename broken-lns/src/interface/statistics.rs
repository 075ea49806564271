//! What the driver counts as errors and drops, since a start.
//!
//! A reply that the driver loses after the XDP program is done with it is
//! counted there and nowhere else, so these counters stand beside ours.
//!
//! The names are the driver's own and are shown verbatim, since what they
//! count differs: `rx_queue_0_xdp_drops` of veth, for one, counts every frame
//! that an XDP program drops, those that we consume on purpose included.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use super::{Interface, ethtool};

/// The error counters of one interface's driver, as they grow from a start.
#[derive(Debug)]
pub struct DriverStatistics {
    interface: String,
    /// Where the driver is asked; there may be times at which no other socket can be opened.
    socket: Option<OwnedFd>,
    start: HashMap<String, u64>,
}

impl DriverStatistics {
    /// Takes the counters' present values as the start.
    pub fn start(interface: &Interface) -> Self {
        let socket = ethtool::socket().ok();
        let start = errors(socket.as_ref(), &interface.name);
        Self {
            interface: interface.name.clone(),
            start: start.into_iter().collect(),
            socket,
        }
    }

    /// The interface is called so from now on.
    pub fn rename(&mut self, interface: &str) {
        interface.clone_into(&mut self.interface);
    }

    /// The counters that have grown since the start, and by how much.
    ///
    /// An interface that is gone, or whose driver has no statistics, has none.
    pub fn since_start(&self) -> Vec<(String, u64)> {
        errors(self.socket.as_ref(), &self.interface)
            .into_iter()
            .filter_map(|(name, value)| {
                let start = self.start.get(&name).copied().unwrap_or(0);
                let grown = value.saturating_sub(start);
                (grown > 0).then_some((name, grown))
            })
            .collect()
    }
}

/// The counters of the driver that count errors.
fn errors(socket: Option<&OwnedFd>, interface: &str) -> Vec<(String, u64)> {
    let statistics = socket.and_then(|socket| ethtool::statistics(socket, interface).ok());
    let statistics = statistics.unwrap_or_default();
    added_up(statistics.into_iter())
}

/// The error counters among these, in their order. Some drivers have the same names for each queue,
/// which tell one number together.
fn added_up(statistics: impl Iterator<Item = (String, u64)>) -> Vec<(String, u64)> {
    let mut sums: Vec<(String, u64)> = Vec::new();
    let mut places = HashMap::new();
    for (name, value) in statistics.filter(|(name, _)| counts_errors(name)) {
        // Spaces before a name lay out the lists of ethtool.
        let name = name.trim();
        match places
            .get(name)
            .and_then(|place: &usize| sums.get_mut(*place))
        {
            Some((_, sum)) => *sum += value,
            None => {
                places.insert(name.to_owned(), sums.len());
                sums.push((name.to_owned(), value));
            }
        }
    }
    sums
}

/// Whether a counter of this name counts frames that were lost.
///
/// Drivers agree on no names. They do agree to write `rx`, `tx` or `xdp` and
/// a word for the loss. A full ring is a loss only where XDP is concerned,
/// since for the stack's own frames it means backpressure.
fn counts_errors(name: &str) -> bool {
    const DIRECTIONS: [&str; 3] = ["rx", "tx", "xdp"];
    const LOSSES: [&str; 6] = ["err", "drop", "fail", "abort", "invalid", "discard"];

    let name = name.to_ascii_lowercase();
    let contains = |word: &&str| name.contains(*word);
    (DIRECTIONS.iter().any(contains) && LOSSES.iter().any(contains))
        || (name.contains("xdp") && name.contains("full"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_counters_are_known_by_their_names() {
        for name in [
            "rx_queue_0_xdp_drops",       // veth
            "rx_queue_0_xdp_tx_errors",   // veth
            "tx_queue_0_xdp_xmit_errors", // veth
            "rx_queue_0_drops",           // veth
            "rx0_xdp_drops",              // virtio_net
            "tx0_xdp_tx_drops",           // virtio_net
            "rx_xdp_tx_full",             // mlx5
            "rx_xdp_tx_err",              // mlx5
            "tx_xdp_full",                // mlx5
            "queue_0_rx_xdp_aborted",     // ena
            "queue_0_rx_xdp_invalid",     // ena
            "tx_errors",                  // ixgbe
            "tx_dropped",                 // i40e
            "rx_discards_phy",            // mlx5
        ] {
            assert!(counts_errors(name), "{name}");
        }
    }

    #[test]
    fn counters_of_equal_name_are_one() {
        // As vmxnet3 has them, with each queue's under the same names.
        let statistics = [
            ("Rx Queue#", 0),
            ("     xdp drops", 5),
            ("     xdp tx err", 1),
            ("Rx Queue#", 1),
            ("     xdp drops", 7),
            ("     xdp tx err", 2),
        ];
        let statistics = statistics.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(
            added_up(statistics.into_iter()),
            [("xdp drops".to_owned(), 12), ("xdp tx err".to_owned(), 3)]
        );
    }

    #[test]
    fn other_counters_are_left_out() {
        for name in [
            "peer_ifindex",
            "rx_queue_0_xdp_packets",
            "rx_queue_0_xdp_redirect",
            "tx_queue_0_xdp_xmit",
            "rx_pp_alloc_full",
            "rx_packets",
            "full_duplex",
        ] {
            assert!(!counts_errors(name), "{name}");
        }
    }
}
