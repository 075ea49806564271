//! `cargo xtask vm`: the responder on real drivers of NICs and several kernels, in QEMU.
//!
//! A cell is a NIC with a kernel. In each of them the responder runs in every [`Way`], while LACs
//! at the other end of the NIC's wire send requests of every kind and compare every octet that
//! comes back.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    lab::{Scratch, interrupt, pause},
    private_apt::{Content, PrivateApt, ignore_missing},
    process, root,
};
use table::Table;

mod cell;
mod guest;
mod image;
mod initramfs;
mod kernel;
mod nic;
mod options;
mod qemu;
mod qmp;
mod shell;
mod table;
mod traffic;
mod trial;
mod way;
mod wire;

pub use self::{
    cell::{CORE, Cell},
    guest::Parts,
    kernel::{Kernel, Series},
    nic::Nic,
    options::Options,
    qemu::Qemu,
    trial::Outcome,
    way::Way,
};

/// The suite of the guest's programs.
const SUITE: &str = "trixie";

/// The folder of what is fetched.
pub fn cache() -> PathBuf {
    root().join("target/vm")
}

/// Fetches what every guest is made of, and the kernels of these series; returns those that cannot
/// be had, and why. What was fetched before is left as it is.
///
/// # Errors
///
/// Where what every guest is made of cannot be had.
pub fn fetch(series: &[Series]) -> Result<Vec<(Series, String)>> {
    let cache = cache();
    fs::create_dir_all(&cache)?;
    Qemu::fetch(&cache)?;
    fetch_busybox(&cache)?;
    let mut unavailable = Vec::new();
    for series in series {
        if let Err(error) = Kernel::fetch(&cache, *series) {
            eprintln!("going on without Linux {series}: {error:#}");
            unavailable.push((*series, format!("{error:#}").replace('\n', " ")));
        }
    }
    Ok(unavailable)
}

/// What a guest with this responder is made of, where that was fetched. The responder goes without
/// its symbols where that can be, since they are most of it; what is left is put into `scratch`.
pub fn parts(responder: &Path, scratch: &Scratch) -> Result<Parts> {
    let cache = cache();
    let qemu = Qemu::find(&cache).context("there is no QEMU: nobody fetched it")?;
    let busybox = busybox(&cache);
    ensure!(busybox.exists(), "there is no busybox: nobody fetched it");
    let stripped = scratch.file("broken-lns");
    let mut strip = Command::new("strip");
    let is_stripped = process::run_quietly(strip.arg("-o").arg(&stripped).arg(responder)).is_ok();
    let responder = if is_stripped {
        stripped
    } else {
        responder.to_owned()
    };
    Ok(Parts {
        qemu,
        busybox,
        responder,
    })
}

/// Fetches what the cells that were asked for need, and runs them.
pub fn run(options: &Options, responder: &Path) -> Result<()> {
    let cells = options.cells()?;
    let mut series: Vec<Series> = cells.iter().map(|cell| cell.series).collect();
    series.sort();
    series.dedup();
    let unavailable = fetch(&series)?;
    let scratch = Scratch::new("vm-parts")?;
    let parts = parts(responder, &scratch)?;
    if options.shell {
        let [cell] = cells.as_slice() else {
            bail!("--shell is in one cell: name it, such as --only igb/6.12");
        };
        return shell(&parts, *cell);
    }
    let mut table = Table::default();
    for cell in cells {
        if let Some((_, why)) = unavailable
            .iter()
            .find(|(series, _)| *series == cell.series)
        {
            table.skip(cell, why);
            continue;
        }
        let kernel = Kernel::find(&cache(), cell.series).context("a kernel that is gone")?;
        eprintln!("{cell}: Linux {}", kernel.release);
        let outcome = cell.run(&parts, &kernel, &Way::ALL, |outcome| {
            eprintln!("  {outcome}");
        });
        if let Err(error) = &outcome {
            interrupt::check()?;
            eprintln!("  {error:#}");
        }
        table.add(cell, &kernel, outcome);
    }
    print!("{table}");
    match table.failures() {
        0 => Ok(()),
        1 => bail!("1 cell is not as it should be"),
        count => bail!("{count} cells are not as they should be"),
    }
}

/// A shell in a cell, whose LAC asks once a second.
fn shell(parts: &Parts, cell: Cell) -> Result<()> {
    let kernel = Kernel::find(&cache(), cell.series).context("a kernel that is gone")?;
    let mut number = 0;
    guest::interact(parts, &kernel, &cell.nic, |wire| {
        pause(Duration::from_secs(1))?;
        traffic::drain(wire)?;
        number = (number + 1) % 1000;
        // A guest that is not up yet takes none.
        let _ = wire.send(&traffic::request(number));
        Ok(())
    })
}

fn busybox(cache: &Path) -> PathBuf {
    cache.join("busybox-static/usr/bin/busybox")
}

fn fetch_busybox(cache: &Path) -> Result<()> {
    if busybox(cache).exists() {
        return Ok(());
    }
    eprintln!(
        "fetching busybox of Debian's {SUITE} into {}",
        cache.display()
    );
    let work = cache.join("busybox-static.part");
    let unpacked = work.join("unpacked");
    let outcome = PrivateApt::new(&work, Content::Binary, &[SUITE])
        .and_then(|apt| apt.unpack("busybox-static", &unpacked))
        .and_then(|()| Ok(fs::rename(&unpacked, cache.join("busybox-static"))?));
    ignore_missing(fs::remove_dir_all(&work))?;
    outcome.context("cannot fetch busybox")
}
