//! The flags about what a run may do, and what others may do with its files.

use clap::Args;

use super::OUTPUT;
use crate::output_file::OutputMode;

/// The flags about files that are created.
#[derive(Clone, Copy, Debug, Args)]
pub struct FileFlags {
    /// Mode of the files that are created, three octal digits; the umask does not matter.
    #[arg(long, value_name = "MODE", default_value_t, help_heading = OUTPUT)]
    pub output_mode: OutputMode,
}
