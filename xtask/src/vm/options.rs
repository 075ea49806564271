//! The command line of `cargo xtask vm`.

use anyhow::{Result, bail};

use super::{cell::Cell, kernel::Series, nic::Nic, way::Way};

/// Which cells run, and how.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// Run this cell only, such as igb/6.12
    #[arg(long, value_name = "CELL")]
    only: Option<String>,
    /// Run the cells with this series of kernels only
    #[arg(long, value_name = "SERIES")]
    kernel: Option<String>,
    /// Run the cells with this NIC only
    #[arg(long, value_name = "NIC")]
    nic: Option<String>,
    /// Run the responder in this way only
    #[arg(long, value_name = "WAY")]
    way: Option<String>,
    /// Open a shell in a cell instead, with the responder at hand
    #[arg(long)]
    pub shell: bool,
    /// Print the cells instead
    #[arg(long)]
    pub list: bool,
    /// A responder that is built already
    #[arg(long, hide = true)]
    pub responder: Option<std::path::PathBuf>,
}

impl Options {
    /// The cells that were asked for.
    pub fn cells(&self) -> Result<Vec<Cell>> {
        let cells: Vec<Cell> = Cell::all()
            .into_iter()
            .filter(|cell| is(self.only.as_deref(), &cell.to_string()))
            .filter(|cell| is(self.kernel.as_deref(), &cell.series.to_string()))
            .filter(|cell| is(self.nic.as_deref(), cell.nic.name))
            .collect();
        if cells.is_empty() {
            let series = Series::ALL.map(|series| series.to_string());
            bail!(
                "there is no such cell: a NIC is one of {}, a kernel one of {}, and a cell both, \
                 such as igb/6.12",
                Nic::ALL.map(|nic| nic.name).join(", "),
                series.join(", ")
            );
        }
        Ok(cells)
    }
}

impl Options {
    /// The ways that were asked for.
    pub fn ways(&self) -> Result<Vec<Way>> {
        let ways: Vec<Way> = Way::ALL
            .into_iter()
            .filter(|way| is(self.way.as_deref(), way.name()))
            .collect();
        if ways.is_empty() {
            bail!("a way is one of {}", Way::ALL.map(Way::name).join(", "));
        }
        Ok(ways)
    }
}

/// Whether what was asked for is this, where anything was.
fn is(asked: Option<&str>, name: &str) -> bool {
    asked.is_none_or(|asked| asked == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_chosen_by_nic_kernel_or_both() {
        let of = |only: Option<&str>, kernel: Option<&str>, nic: Option<&str>| {
            let options = Options {
                only: only.map(str::to_owned),
                kernel: kernel.map(str::to_owned),
                nic: nic.map(str::to_owned),
                ..Options::default()
            };
            options.cells().map(|cells| cells.len()).ok()
        };
        let (nics, series) = (Nic::ALL.len(), Series::ALL.len());
        assert_eq!(of(None, None, None), Some(nics * series));
        assert_eq!(of(None, Some("6.12"), None), Some(nics));
        assert_eq!(of(None, None, Some("igb")), Some(series));
        assert_eq!(of(Some("igb/newest"), None, None), Some(1));
        assert_eq!(of(Some("igb/newest"), None, Some("e1000e")), None);
        assert_eq!(of(None, Some("2.6"), None), None);
    }
}
