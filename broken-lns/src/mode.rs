//! The choices of how an answer gets out: its path, how XDP attaches, how a worker waits.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Where the reply is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    /// Rewrite what the kernel half can and redirect the rest; redirect all where a rewritten reply
    /// may be lost or spoiled.
    #[default]
    Auto,
    /// The kernel half turns the frame into the reply and sends it back.
    Rewrite,
    /// The frame goes to an AF_XDP socket, where a pinned worker answers it.
    Redirect,
}

/// How the program attaches to the interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum XdpMode {
    /// Native where the driver can and replies get out, generic elsewhere.
    #[default]
    Auto,
    /// In the driver, before the kernel allocates anything for the frame.
    Native,
    /// In the network stack, on any interface, and slower.
    Generic,
}

/// What a worker does while there are no frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Wait {
    /// Look for more frames for a moment after the last one, then sleep.
    #[default]
    Adaptive,
    /// Sleep at once, until the kernel wakes it.
    Sleep,
    /// Never sleep: the least delay, for a whole core.
    Spin,
}

impl Path {
    /// The name on the command line and in what is shown.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Rewrite => "rewrite",
            Self::Redirect => "redirect",
        }
    }
}

impl XdpMode {
    /// The name on the command line and in what is shown.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_the_name_on_the_command_line() {
        for path in Path::value_variants() {
            assert_eq!(Path::from_str(path.label(), false), Ok(*path));
        }
        for mode in XdpMode::value_variants() {
            assert_eq!(XdpMode::from_str(mode.label(), false), Ok(*mode));
        }
    }
}
