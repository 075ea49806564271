//! The ways in which the responder runs in a guest.

/// A way to run it, and what happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The kernel half answers all.
    Rewrite,
    /// Workers answer all.
    Redirect,
    /// The kernel half answers, and workers do for a half of the LNSs. Meanwhile the wire is
    /// plugged out and in, and the interface set down and up.
    Auto,
    /// The kernel half answers all, while the wire takes nothing until everything is answered: what
    /// the NIC has no room for is lost, and has to be counted as lost.
    Held,
    /// Workers that never sleep answer all. At the end the responder is killed.
    Spin,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Rewrite,
        Self::Redirect,
        Self::Auto,
        Self::Held,
        Self::Spin,
    ];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Redirect => "redirect",
            Self::Auto => "auto",
            Self::Held => "held",
            Self::Spin => "spin",
        }
    }

    /// The flags of the command line that make it.
    pub(super) const fn flags(self) -> &'static str {
        match self {
            Self::Rewrite | Self::Held => "--path rewrite",
            Self::Redirect => "--path redirect",
            Self::Auto => "--path auto --scenario /tmp/scenario.toml",
            Self::Spin => "--path redirect --wait spin",
        }
    }

    /// Whether the link goes and comes back meanwhile.
    pub(super) const fn has_link_events(self) -> bool {
        matches!(self, Self::Auto)
    }

    /// Whether it ends by being killed.
    pub(super) const fn is_killed(self) -> bool {
        matches!(self, Self::Spin)
    }
}
