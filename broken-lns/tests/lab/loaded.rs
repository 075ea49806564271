//! What the kernel holds for a responder: programs, maps, links, locked memory.

use std::{collections::BTreeSet, fs, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xtask::{
    lab::{self, Namespace},
    process,
};

use crate::responder::LIMIT;

/// A program on an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attached {
    /// Its id.
    pub(crate) id: u64,
    /// Its name; empty if it has none.
    pub(crate) name: String,
}

/// The programs that are attached to `interface`.
pub(crate) fn attached(namespace: &Namespace, interface: &str) -> Result<Vec<Attached>> {
    let shown = namespace.ip(&format!("-j link show dev {interface}"))?;
    let shown: Value = serde_json::from_str(&shown)?;
    let Some(xdp) = shown[0].get("xdp") else {
        return Ok(Vec::new());
    };
    let programs = xdp["attached"].as_array().context("no programs")?;
    let programs = programs.iter().map(|attached| {
        let program = &attached["prog"];
        Ok(Attached {
            id: program["id"].as_u64().context("no id")?,
            name: program["name"].as_str().unwrap_or_default().to_owned(),
        })
    });
    programs.collect()
}

/// What is loaded for one responder. Ids are never given twice, so that those of others on the
/// same machine do not matter.
#[derive(Debug)]
pub(crate) struct Loaded {
    programs: BTreeSet<u64>,
    maps: BTreeSet<u64>,
    links: BTreeSet<u64>,
}

impl Loaded {
    /// All that belongs to the program on `interface`.
    pub(crate) fn on(namespace: &Namespace, interface: &str) -> Result<Self> {
        let attached = attached(namespace, interface)?;
        let [program] = attached.as_slice() else {
            anyhow::bail!("one program is attached, and not {attached:?}");
        };
        let shown = listed("prog")?;
        let shown = shown.iter().find(|shown| shown["id"] == program.id);
        let maps = shown.and_then(|shown| shown["map_ids"].as_array());
        let maps = maps.context("the program has no maps")?;
        let links = listed("link")?;
        let links = links.iter().filter(|link| link["prog_id"] == program.id);
        let loaded = Self {
            programs: [program.id].into(),
            maps: maps.iter().filter_map(Value::as_u64).collect(),
            links: ids(links),
        };
        ensure!(loaded.maps.len() >= 5, "few maps: {loaded:?}");
        ensure!(loaded.links.len() == 1, "not one link: {loaded:?}");
        Ok(loaded)
    }

    /// Adds what is loaded for another.
    pub(crate) fn and(&mut self, other: Self) {
        self.programs.extend(other.programs);
        self.maps.extend(other.maps);
        self.links.extend(other.links);
    }

    /// Waits until nothing of it is there any more: the kernel frees what nobody holds a moment
    /// later.
    pub(crate) fn is_gone(&self) -> Result<()> {
        lab::until(&format!("the end of {self:?}"), LIMIT, || {
            let left = |kind, ids: &BTreeSet<u64>| -> Result<bool> {
                Ok(!self::ids(listed(kind)?.iter()).is_disjoint(ids))
            };
            let left = left("prog", &self.programs)?
                || left("map", &self.maps)?
                || left("link", &self.links)?;
            Ok((!left).then_some(()))
        })
    }
}

/// Everything of one kind that is loaded on this machine.
fn listed(kind: &str) -> Result<Vec<Value>> {
    let mut command = Command::new(process::find("bpftool").context("no bpftool")?);
    let listed = process::read(command.args(["-j", kind, "show"]))?;
    Ok(serde_json::from_str(&listed)?)
}

fn ids<'a>(listed: impl Iterator<Item = &'a Value>) -> BTreeSet<u64> {
    listed.filter_map(|entry| entry["id"].as_u64()).collect()
}

/// The pages of this machine that were locked for devices and sockets so far, a umem's among them.
pub(crate) struct Pinned {
    pub(crate) acquired: u64,
    pub(crate) released: u64,
}

impl Pinned {
    pub(crate) fn now() -> Result<Self> {
        let statistics = fs::read_to_string("/proc/vmstat")?;
        let value = |name| -> Result<u64> {
            let mut lines = statistics.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
            value.with_context(|| format!("no {name} in /proc/vmstat"))
        };
        Ok(Self {
            acquired: value("nr_foll_pin_acquired ")?,
            released: value("nr_foll_pin_released ")?,
        })
    }
}
