//! A real LNS as a LAC: l2tpns, which forwards the calls of some users to another LNS each.

use std::{fmt::Write as _, fs, net::Ipv4Addr, path::Path, time::Duration};

use anyhow::Result;

use super::{End, Line, Lwip, Namespace, Place, Process, Scratch, connect};
use crate::suite::Package;

/// How long it may take to come up, or to forward a call.
const LIMIT: Duration = Duration::from_secs(60);

/// The cable between it and its callers, both ends of which are in its namespace. It asks for an
/// interface of this name in any case.
const INTERFACE: &str = "eth0";
const CALLERS: &str = "callers0";

/// The address that callers dial.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// A running l2tpns, ended when dropped.
#[derive(Debug)]
pub struct L2tpns {
    process: Process,
    _scratch: Scratch,
}

impl L2tpns {
    /// The package that has it.
    pub const PACKAGE: Package = Package::binary("l2tpns", "bookworm", "2.4.1");
    /// The package of a library that it needs.
    pub const LIBRARY: Package = Package::binary("libcli1.10", "bookworm", "1.10.7");

    /// Starts it in `namespace`, where it is going to forward calls to these LNSs, and returns once
    /// it takes calls.
    pub fn start(namespace: &Namespace, lnss: &[Ipv4Addr]) -> Result<Self> {
        // A caller has a network stack of its own, which wants whole checksums.
        let ours = End::new(namespace, INTERFACE).address(&format!("{ADDRESS}/24"));
        connect(&ours.tx_checksum(false), &End::new(namespace, CALLERS))?;

        let scratch = Scratch::new("l2tpns")?;
        let folder = scratch.file("l2tpns");
        fs::create_dir(&folder)?;
        fs::write(folder.join("users"), "")?;
        fs::write(folder.join("ip_pool"), "10.99.1.0/24\n")?;
        let pid = scratch.file("pid");
        let mut text = format!(
            "set debug 3\nset pid_file \"{}\"\nset cluster_interface \"{INTERFACE}\"\n\
             set cluster_hb_interval 1\nset cluster_hb_timeout 15\nset radius_authtypes \"pap\"\nset l2tp_secret \"secret\"\n",
            pid.display()
        );
        for lns in lnss {
            writeln!(text, "setforward {} {lns} 1701 secret", realm(*lns))?;
        }
        fs::write(folder.join("startup-config"), text)?;

        let library = Self::LIBRARY.folder().join("usr/lib/x86_64-linux-gnu");
        // It reads its files in /etc and nowhere else. The mount is seen by no other process, since
        // `ip netns exec` gives each one a mount namespace of its own.
        let mut command = namespace.command("sh");
        command
            .env("LD_LIBRARY_PATH", library)
            .args(["-c", "mount --bind \"$0\" /etc && exec \"$@\""])
            .arg(folder.parent().unwrap_or(&folder))
            .arg(Self::PACKAGE.folder().join("usr/sbin/l2tpns"))
            .args(["-v", "-v", "-v"]);
        let process = Process::spawn("l2tpns", command)?;
        process.wait_for_line("I am declaring myself the master!", LIMIT)?;
        Ok(Self {
            process,
            _scratch: scratch,
        })
    }

    /// Has a caller log in that is forwarded to `lns`, by the program that [`Lwip::build`] makes, and
    /// returns once it is. Each one has another number, from 1 on.
    pub fn call(
        &self,
        program: &Path,
        namespace: &Namespace,
        number: u8,
        lns: Ipv4Addr,
    ) -> Result<Lwip> {
        let place = Place {
            interface: CALLERS,
            address: Ipv4Addr::new(10, 99, 0, 1 + number),
            gateway: ADDRESS,
        };
        let user = format!("user@{}", realm(lns));
        let caller = Lwip::dial(program, namespace, place, ADDRESS, Some((&user, "secret")))?;
        self.process.wait_for_line(&creates(lns), LIMIT)?;
        Ok(caller)
    }

    /// What it said of its tunnel to `lns`, from the first line on.
    pub fn lines_of(&self, lns: Ipv4Addr) -> Vec<Line> {
        let lines = self.process.lines();
        let begins = |line: &&Line| line.text.contains(&creates(lns));
        let Some(tunnel) = lines.iter().find(begins).and_then(tunnel) else {
            return Vec::new();
        };
        let lines_of = lines.iter().skip_while(|line| !begins(line));
        lines_of
            .filter(|line| self::tunnel(line) == Some(tunnel))
            .cloned()
            .collect()
    }

    /// Its process, for its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The part of a user's name by which it is forwarded. None is the beginning of another one.
fn realm(lns: Ipv4Addr) -> String {
    format!("lns{:08x}", lns.to_bits())
}

fn creates(lns: Ipv4Addr) -> String {
    format!("Create New tunnel to REMOTE LNS {lns} ")
}

/// The tunnel id of a line such as `2026-11-28 01:26:32 14/00 Sent SCCRQ to REMOTE LNS`.
fn tunnel(line: &Line) -> Option<&str> {
    let ids = line.text.split(' ').nth(2)?;
    ids.split_once('/').map(|(tunnel, _)| tunnel)
}
