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

use anyhow::{Context as _, Result, bail};

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

/// What the emulator is called in the cache.
const QEMU: &str = "qemu";
/// What the guest's programs are called there.
const BUSYBOX: &str = "busybox-static";

/// The folder of what is fetched.
pub fn cache() -> PathBuf {
    root().join("target/vm")
}

/// Fetches what every guest is made of, and the kernels of these series. What was fetched before is
/// left as it is; what cannot be had is told, and named by [`obstacle`] from then on.
pub fn fetch(series: &[Series]) -> Result<()> {
    let cache = cache();
    fs::create_dir_all(&cache)?;
    note(QEMU, Qemu::fetch(&cache).map(drop))?;
    note(BUSYBOX, fetch_busybox(&cache))?;
    for series in series {
        let name = kernel::name(*series);
        note(&name, Kernel::fetch(&cache, *series).map(drop))?;
    }
    Ok(())
}

/// Notes why something could not be fetched, if it could not.
fn note(name: &str, outcome: Result<()>) -> Result<()> {
    match outcome {
        Ok(()) => Ok(ignore_missing(fs::remove_file(reason(name)))?),
        Err(error) => {
            let error = format!("{error:#}").replace('\n', " ");
            eprintln!("going on without {name}: {error}");
            Ok(fs::write(reason(name), error)?)
        }
    }
}

/// The file that says why something could not be fetched.
fn reason(name: &str) -> PathBuf {
    cache().join(format!("{name}.reason"))
}

/// Why no cell with this series can run, if so: what it needs could not be had.
pub fn obstacle(series: Series) -> Option<String> {
    let cache = cache();
    let kernel = kernel::name(series);
    let missing = [
        (QEMU, Qemu::find(&cache).is_none()),
        (BUSYBOX, !busybox(&cache).exists()),
        (&kernel, Kernel::find(&cache, series).is_none()),
    ];
    let (name, _) = missing.into_iter().find(|(_, is_missing)| *is_missing)?;
    let why = fs::read_to_string(reason(name));
    let why = why.unwrap_or_else(|_| "nobody fetched it, as `cargo xtask test` does".to_owned());
    Some(format!("no {name}: {why}"))
}

/// What a guest with this responder is made of, where that was fetched. The responder goes without
/// its symbols where that can be, since they are most of it; what is left is put into `scratch`.
pub fn parts(responder: &Path, scratch: &Scratch) -> Result<Parts> {
    let cache = cache();
    let qemu = Qemu::find(&cache).context("QEMU was not fetched")?;
    let stripped = scratch.file("broken-lns");
    let mut strip = Command::new("strip");
    let strip = strip.arg("-o").arg(&stripped).arg(responder);
    let responder = match process::run_quietly(strip) {
        Ok(()) => stripped,
        Err(_) => responder.to_owned(),
    };
    Ok(Parts {
        qemu,
        busybox: busybox(&cache),
        responder,
    })
}

/// Fetches what the cells that were asked for need, and runs them.
pub fn run(options: &Options, responder: &Path) -> Result<()> {
    let (cells, ways) = (options.cells()?, options.ways()?);
    let mut series: Vec<Series> = cells.iter().map(|cell| cell.series).collect();
    series.sort();
    series.dedup();
    fetch(&series)?;
    let scratch = Scratch::new("vm-parts")?;
    if options.shell {
        let [cell] = cells.as_slice() else {
            bail!("--shell is in one cell: name it, such as --only igb/6.12");
        };
        if let Some(why) = obstacle(cell.series) {
            bail!("{why}");
        }
        return shell(&parts(responder, &scratch)?, *cell);
    }
    let mut table = Table::default();
    for cell in cells {
        if let Some(why) = obstacle(cell.series) {
            eprintln!("{cell} skipped: {why}");
            table.skip(cell, &why);
            continue;
        }
        let parts = parts(responder, &scratch)?;
        let kernel = Kernel::find(&cache(), cell.series).context("a kernel that is gone")?;
        eprintln!("{cell}: Linux {}", kernel.release);
        let outcome = cell.run(&parts, &kernel, &ways, |outcome| {
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
    cache.join(BUSYBOX).join("usr/bin/busybox")
}

fn fetch_busybox(cache: &Path) -> Result<()> {
    if busybox(cache).exists() {
        return Ok(());
    }
    eprintln!(
        "fetching busybox of Debian's {SUITE} into {}",
        cache.display()
    );
    let work = cache.join(format!("{BUSYBOX}.part"));
    let unpacked = work.join("unpacked");
    let outcome = PrivateApt::new(&work, Content::Binary, &[SUITE])
        .and_then(|apt| apt.unpack(BUSYBOX, &unpacked))
        .and_then(|()| Ok(fs::rename(&unpacked, cache.join(BUSYBOX))?));
    ignore_missing(fs::remove_dir_all(&work))?;
    outcome.context("cannot fetch busybox")
}
