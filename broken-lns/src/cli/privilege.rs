//! The flags about what a run may do, and what others may do with its files.

use clap::Args;

use super::OUTPUT;
use crate::output_file::OutputMode;

/// The flags of `broken-lns run` about what it may do.
#[derive(Debug, Args)]
pub struct PrivilegeFlags {
    /// Run as this user, by name or number, from the start on: files are theirs, and so are the
    /// control socket and its directory.
    #[arg(long, value_name = "NAME", help_heading = PRIVILEGE)]
    pub user: Option<String>,

    /// Keep all capabilities and system calls, as a debugger or a preloaded library may need them.
    /// Without this flag they are given up once everything is attached.
    #[arg(long, help_heading = PRIVILEGE)]
    pub no_sandbox: bool,
}

const PRIVILEGE: &str = "Privilege";

/// The flags about files that are created.
#[derive(Clone, Copy, Debug, Args)]
pub struct FileFlags {
    /// Mode of the files that are created, three octal digits; the umask does not matter.
    #[arg(long, value_name = "MODE", default_value_t, help_heading = OUTPUT)]
    pub output_mode: OutputMode,
}
