//! The flags about the capture.

use std::path::PathBuf;

use clap::Args;

use super::OUTPUT;
use super::size::{parse_ring, parse_size};
use crate::capture::FileLimit;

/// The flags of `broken-lns run` about the capture.
#[derive(Debug, Args)]
pub struct CaptureFlags {
    /// Capture what the LACs send that are followed, and the replies to them, to this file, each
    /// frame with a comment that names its rule, the fault and the verdict. An earlier capture is
    /// written over.
    #[arg(long, value_name = "FILE.pcapng", help_heading = OUTPUT)]
    pub capture: Option<PathBuf>,

    /// Close the capture file when it has this size, such as 100MiB, and go on with FILE.1.pcapng,
    /// FILE.2.pcapng and so on, of which the newest 10 are kept [default: one file of any size].
    #[arg(
        long,
        value_name = "SIZE",
        requires = "capture",
        value_parser = parse_limit,
        help_heading = OUTPUT
    )]
    pub capture_limit: Option<FileLimit>,

    /// Room for captured frames on their way to the file, for the kernel half and for each worker:
    /// a power of two.
    #[arg(
        long,
        value_name = "SIZE",
        requires = "capture",
        default_value = "8MiB",
        value_parser = parse_ring,
        hide = true,
        help_heading = OUTPUT
    )]
    pub capture_ring: u32,
}

impl CaptureFlags {
    /// Octets of the rings for captured frames, where something is captured.
    pub fn ring(&self) -> Option<u32> {
        self.capture.as_ref().map(|_| self.capture_ring)
    }
}

fn parse_limit(text: &str) -> Result<FileLimit, String> {
    FileLimit::new(parse_size(text)?).map_err(|error| error.to_string())
}
