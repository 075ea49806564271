//! A real LAC: kl2tpd of go-l2tp.

use std::{fs, net::Ipv4Addr};

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{Namespace, Process, Scratch};
use crate::suite::Package;

/// A running kl2tpd, ended when dropped.
#[derive(Debug)]
pub struct Kl2tpd {
    process: Process,
    _scratch: Scratch,
}

impl Kl2tpd {
    /// The package that has it.
    pub const PACKAGE: Package = Package::binary("go-l2tp", "sid", "0.1.8");

    /// Starts it in `namespace`, where it dials `lns` once.
    pub fn dial(namespace: &Namespace, lns: Ipv4Addr) -> Result<Self> {
        let scratch = Scratch::new("kl2tpd")?;
        let configuration = scratch.file("kl2tpd.toml");
        let text = format!(
            "[tunnel.t0]\npeer = \"{lns}:1701\"\nversion = \"l2tpv2\"\nencap = \"udp\"\n\
             [tunnel.t0.session.s0]\npseudowire = \"ppp\"\n"
        );
        fs::write(&configuration, text)?;
        let mut command = namespace.command(Self::PACKAGE.folder().join("usr/sbin/kl2tpd"));
        // With the null data plane it needs no PPP in the kernel.
        command
            .args(["-null", "-verbose", "-config"])
            .arg(configuration);
        Ok(Self {
            process: Process::spawn("kl2tpd", command)?,
            _scratch: scratch,
        })
    }

    /// Its process, for its lines and its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

impl Drop for Kl2tpd {
    fn drop(&mut self) {
        // Its own end takes seconds, in which it tries to tell an LNS that is gone.
        let _ = self.process.signal(Signal::SIGKILL);
    }
}
