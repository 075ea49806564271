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
    /// Workers that never sleep answer all. At the end the responder is killed.
    Spin,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rewrite, Self::Redirect, Self::Auto, Self::Spin];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Redirect => "redirect",
            Self::Auto => "auto",
            Self::Spin => "spin",
        }
    }

    /// The flags of the command line that make it.
    pub(super) const fn flags(self) -> &'static str {
        match self {
            Self::Rewrite => "--path rewrite",
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
