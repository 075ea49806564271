//! A real LAC: PPP over L2TP of lwIP, in a program of ours around it.

use std::{
    ffi::OsStr,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{Namespace, Process};
use crate::{process, root, suite, suite::Package};

/// The folders of lwIP's sources that have what we need, each with all of its files or one.
const SOURCES: [(&str, Option<&str>); 5] = [
    ("core", None),
    ("core/ipv4", None),
    ("netif", Some("ethernet.c")),
    ("netif/ppp", None),
    ("netif/ppp/polarssl", None),
];

/// Where a LAC is on its interface.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The interface of the kernel that it sends frames on.
    pub interface: &'a str,
    /// The LAC's own address, which is none of the kernel's, in a /24.
    pub address: Ipv4Addr,
    /// The next hop to any other network.
    pub gateway: Ipv4Addr,
}

/// A running LAC, ended when dropped.
#[derive(Debug)]
pub struct Lwip {
    process: Process,
}

impl Lwip {
    /// The package that has its sources.
    pub const PACKAGE: Package = Package::source("lwip", "bookworm", "2.1.3");

    /// Compiles the program, and returns where it is.
    pub fn build() -> Result<PathBuf> {
        let ours = root().join("xtask/lwip");
        let theirs = Self::PACKAGE.folder().join("src");
        let program = suite::cache().join("lwip-lac");
        let mut command = Command::new("cc");
        command.arg("-o").arg(&program);
        command.arg("-I").arg(&ours);
        command.arg("-I").arg(theirs.join("include"));
        command.arg(ours.join("lac.c"));
        for (folder, file) in SOURCES {
            let folder = theirs.join(folder);
            match file {
                Some(file) => command.arg(folder.join(file)),
                None => command.args(c_files(&folder)?),
            };
        }
        process::run_quietly(&mut command).context("lwIP cannot be compiled")?;
        Ok(program)
    }

    /// Starts `program` in `namespace`, where it dials `lns` once, and logs in as `user` with the
    /// password beside it, if there is one.
    pub fn dial(
        program: &Path,
        namespace: &Namespace,
        place: Place,
        lns: Ipv4Addr,
        user: Option<(&str, &str)>,
    ) -> Result<Self> {
        let mut command = namespace.command(program);
        command
            .arg(place.interface)
            .arg(place.address.to_string())
            .arg("255.255.255.0")
            .arg(place.gateway.to_string())
            .arg(lns.to_string());
        if let Some((user, password)) = user {
            command.args([user, password]);
        }
        Ok(Self {
            process: Process::spawn("lwIP", command)?,
        })
    }

    /// Its process, for its lines and its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read lwIP's sources in {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension() == Some(OsStr::new("c")) {
            files.push(path);
        }
    }
    Ok(files)
}
