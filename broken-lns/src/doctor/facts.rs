//! The facts of this machine that the checks are about.

use std::fs;
use std::net::IpAddr;
use std::process::Command;

use caps::{CapSet, Capability};
use nix::ifaddrs::getifaddrs;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::socket::SockaddrStorage;
use nix::unistd::geteuid;

use super::firewall::Firewall;
use super::lns::OwnAddress;
use crate::privilege;
use crate::program;
use crate::queue;

/// What is known of the machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// The release of the kernel.
    pub(super) kernel: String,
    /// Whether it runs the program; the reason where it does not.
    pub(super) supported: Result<(), String>,
    /// Whether the kernel has its own BTF.
    pub(super) btf: bool,
    /// `net.core.bpf_jit_enable`; none where only root may read it, or it is not there.
    pub(super) jit: Option<u32>,
    /// Whether this process may do what a run does; the reason where it may not.
    pub(super) privilege: Result<(), String>,
    /// Octets of memory that may be locked; none where there is no limit.
    pub(super) lockable: Option<u64>,
    /// The mode of lockdown that the kernel is in, where it has that.
    pub(super) lockdown: Option<String>,
    /// CPUs that this process may use.
    pub(super) cpus: usize,
}

impl Machine {
    /// Reads them.
    pub(super) fn read() -> Self {
        let read = |path| fs::read_to_string(path).ok();
        Self {
            kernel: program::kernel_release(),
            supported: program::check_kernel().map_err(|error| error.to_string()),
            btf: fs::exists("/sys/kernel/btf/vmlinux").unwrap_or(false),
            jit: read("/proc/sys/net/core/bpf_jit_enable")
                .and_then(|value| value.trim().parse().ok()),
            privilege: privilege::check().map_err(|error| error.to_string()),
            lockable: lockable(),
            lockdown: read("/sys/kernel/security/lockdown")
                .and_then(|modes| Some(selected(&modes)?.to_owned())),
            cpus: queue::cpus().len().max(1),
        }
    }
}

/// Octets that may be locked. Who has CAP_IPC_LOCK may lock all.
fn lockable() -> Option<u64> {
    let unlimited = caps::has_cap(None, CapSet::Effective, Capability::CAP_IPC_LOCK);
    if unlimited.unwrap_or(geteuid().is_root()) {
        return None;
    }
    let (soft, _) = getrlimit(Resource::RLIMIT_MEMLOCK).ok()?;
    (soft != RLIM_INFINITY).then_some(soft)
}

/// The word in brackets of a list such as `none [integrity] confidentiality`.
fn selected(modes: &str) -> Option<&str> {
    let (_, rest) = modes.split_once('[')?;
    rest.split_once(']').map(|(mode, _)| mode)
}

/// The addresses of this host, each with its interface and network.
pub(super) fn addresses() -> Vec<OwnAddress> {
    let addresses = getifaddrs().into_iter().flatten();
    addresses
        .filter_map(|entry| {
            let address = ip(entry.address.as_ref()?)?;
            let mask = entry.netmask.as_ref().and_then(ip);
            Some(OwnAddress {
                interface: entry.interface_name,
                address,
                length: mask.map_or(0, leading_ones),
            })
        })
        .collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(v4), _) => Some(v4.ip().into()),
        (None, Some(v6)) => Some(v6.ip().into()),
        (None, None) => None,
    }
}

/// The length of the prefix that a mask means: 32 or 128 at the most.
fn leading_ones(mask: IpAddr) -> u8 {
    let ones = match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    u8::try_from(ones).unwrap_or(0)
}

/// What can be read of the firewall of this host.
pub(super) fn firewall() -> Firewall {
    let rules = Command::new("nft").args(["-j", "list", "ruleset"]).output();
    let legacy = ["ip_tables_names", "ip6_tables_names"].map(|file| {
        let names = fs::read_to_string(format!("/proc/net/{file}"));
        names.is_ok_and(|names| names.lines().any(|name| name == "filter"))
    });
    Firewall {
        nftables: match rules {
            Ok(output) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).into())
            }
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(format!("nft cannot be run: {error}")),
        },
        iptables: legacy.contains(&true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_facts() {
        let machine = Machine::read();
        assert!(
            machine
                .kernel
                .starts_with(|first: char| first.is_ascii_digit())
        );
        assert!(machine.cpus > 0);
        let loopback = |own: &OwnAddress| own.interface == "lo" && own.address.is_loopback();
        let addresses = addresses();
        // A network namespace may have its loopback interface down, without an address.
        assert!(addresses.is_empty() || addresses.iter().any(loopback));
    }

    #[test]
    fn the_mode_in_brackets_is_the_one_in_force() {
        for (modes, mode) in [
            ("none [integrity] confidentiality\n", Some("integrity")),
            ("[none] integrity confidentiality\n", Some("none")),
            ("none\n", None),
        ] {
            assert_eq!(selected(modes), mode);
        }
    }

    #[test]
    fn a_mask_is_as_long_as_its_ones() {
        for (mask, length) in [
            ("255.255.255.0", 24),
            ("255.255.255.255", 32),
            ("0.0.0.0", 0),
            ("ffff:ffff:ffff:ffff::", 64),
        ] {
            assert_eq!(leading_ones(mask.parse().unwrap()), length, "{mask}");
        }
    }
}
