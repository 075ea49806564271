//! How a responder is attached to its interface.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::interface::AttachMode;
use crate::mode::Path;

/// How a responder is attached to its interface, and what answers there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The attach mode.
    pub mode: AttachMode,
    /// The path, where [`Path::Auto`] is to rewrite what can be and to redirect the rest.
    pub path: Path,
    /// The workers.
    pub workers: usize,
    /// Whether the kernel hands frames to all of them without copying.
    pub zero_copy: bool,
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match self.path {
            Path::Rewrite => "rewrite path",
            Path::Redirect => "redirect path",
            Path::Auto => "rewrite path, redirect for what does not fit it",
        };
        write!(f, "attached, {} mode, {path}", self.mode.label())?;
        let copies = if self.zero_copy { "zero-copy" } else { "copy" };
        match self.workers {
            0 => Ok(()),
            1 => write!(f, "; 1 worker, {copies} mode"),
            count => write!(f, "; {count} workers, {copies} mode"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_described_in_one_line() {
        for (mode, path, workers, zero_copy, line) in [
            (
                AttachMode::Native,
                Path::Rewrite,
                0,
                false,
                "attached, native mode, rewrite path",
            ),
            (
                AttachMode::Native,
                Path::Redirect,
                4,
                true,
                "attached, native mode, redirect path; 4 workers, zero-copy mode",
            ),
            (
                AttachMode::Generic,
                Path::Auto,
                1,
                false,
                "attached, generic mode, rewrite path, redirect for what does not fit it; \
                 1 worker, copy mode",
            ),
        ] {
            let attachment = Attachment {
                mode,
                path,
                workers,
                zero_copy,
            };
            assert_eq!(attachment.to_string(), line);
        }
    }
}
