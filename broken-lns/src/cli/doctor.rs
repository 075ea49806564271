//! The flags of `broken-lns doctor`.

use clap::Args;

use crate::scenario::Prefix;

/// How `broken-lns doctor` ends.
const STATUSES: &str = "\
Exit status:
  0  nothing is in the way of a run; there may be notes
  1  a run would fail, or lose requests or replies
  2  wrong usage";

/// The flags of `broken-lns doctor`.
#[derive(Debug, Args)]
#[command(after_help = STATUSES)]
pub struct Doctor {
    /// Interface that is checked; give it again for more of them.
    #[arg(short, long = "interface", value_name = "NAME", default_value = "eth1")]
    pub interfaces: Vec<String>,

    /// LNS address or prefix whose packets have to come there: what the router needs for that is
    /// said; give it again for more of them.
    #[arg(long, value_name = "PREFIX")]
    pub lns: Vec<Prefix>,

    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}
