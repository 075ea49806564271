//! A cell of the bed: a NIC with a kernel.

use std::fmt;

use anyhow::Result;

use super::{
    guest::{Guest, Parts},
    kernel::{Kernel, Series},
    nic::Nic,
    trial::{self, Outcome},
    way::Way,
};

/// A NIC with a series of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The NIC.
    pub nic: Nic,
    /// The kernels.
    pub series: Series,
}

impl Cell {
    /// All of them, NIC by NIC.
    pub fn all() -> Vec<Self> {
        let cell = |nic| Series::ALL.map(|series| Self { nic, series });
        Nic::ALL.into_iter().flat_map(cell).collect()
    }

    /// The cell of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all()
            .into_iter()
            .find(|cell| cell.to_string() == name)
    }

    /// Boots the guest and runs the responder in it in these ways; each outcome is `told` at once.
    pub fn run(
        self,
        parts: &Parts,
        kernel: &Kernel,
        ways: &[Way],
        told: impl Fn(&Outcome),
    ) -> Result<Vec<Outcome>> {
        let mut guest = Guest::boot(parts, kernel, &self.nic)?;
        let mut outcomes = Vec::new();
        for way in ways {
            let outcome = trial::run(&mut guest, *way)?;
            told(&outcome);
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.nic.name, self.series)
    }
}

/// The cells and ways that `cargo xtask test` runs: those of a kind where something was wrong that
/// no other test shows.
pub const CORE: [(&str, &[Way]); 3] = [
    // The driver takes more queues when the program attaches.
    ("virtio-spare/6.12", &[Way::Rewrite]),
    // What it transmits of a worker's own memory has to leave by another interrupt.
    ("igb/newest", &[Way::Auto, Way::Spin]),
    // It cannot send back a frame that lies in a worker's memory.
    ("virtio-zc/newest", &[Way::Auto, Way::Held, Way::Spin]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_of_the_core_is_one() {
        for (name, ways) in CORE {
            assert!(Cell::named(name).is_some(), "{name}");
            assert!(!ways.is_empty());
        }
    }
}
