//! The ways in which a frame can be answered: by path and by attach mode.

use std::fmt;

use xtask::lab::{Lab, Peer, Plan};

/// A path together with an attach mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The value of `--path`.
    pub(crate) path: &'static str,
    /// The value of `--xdp-mode`.
    pub(crate) mode: &'static str,
}

/// All of them.
pub(crate) const WAYS: [Way; 4] = [
    Way::new("rewrite", "native"),
    Way::new("rewrite", "generic"),
    Way::new("redirect", "native"),
    Way::new("redirect", "generic"),
];

/// Those on which rules are played: a line for each. On one cable `auto` plays in both halves.
pub(crate) const PLAYED: &[Way] = &[Way::new("auto", "generic"), Way::new("redirect", "native")];

impl Way {
    /// A way of its own.
    pub(crate) const fn new(path: &'static str, mode: &'static str) -> Self {
        Self { path, mode }
    }

    /// The flags that choose it.
    pub(crate) const fn flags(self) -> [&'static str; 4] {
        ["--path", self.path, "--xdp-mode", self.mode]
    }

    /// Sets up the other end of the cable as it must be: native transmission wants a program
    /// there, and nothing else wants anything.
    pub(crate) fn lab(self, plan: Plan) -> Plan {
        plan.peer(match self {
            Self {
                path: "rewrite" | "auto",
                mode: "native",
            } => Peer::Xdp,
            _ => Peer::Plain,
        })
    }

    /// LAC and box on one cable. In generic mode `auto` rewrites what it can where it sees that
    /// the other end finishes checksums.
    pub(crate) fn one_cable(self) -> Plan {
        let plan = self.lab(Lab::static_arp());
        match self {
            Self {
                path: "auto",
                mode: "generic",
            } => plan.peer_in_box(),
            _ => plan,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.path, self.mode)
    }
}
