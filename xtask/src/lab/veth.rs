//! Pairs of virtual Ethernet interfaces: one is one cable of the lab.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, Result};

use super::{
    Mac, Namespace,
    feature::{Feature, switch},
    wait,
};

/// One end of a cable: an interface in a namespace, and how it is set up.
#[derive(Clone, Debug)]
pub struct End<'a> {
    namespace: &'a Namespace,
    name: String,
    mac: Option<Mac>,
    mtu: Option<u32>,
    queues: Option<u32>,
    addresses: Vec<String>,
    gro: Option<bool>,
    tx_checksum: Option<bool>,
}

impl<'a> End<'a> {
    /// An interface `name` in `namespace`, as the kernel sets it up by itself.
    pub fn new(namespace: &'a Namespace, name: &str) -> Self {
        Self {
            namespace,
            name: name.to_owned(),
            mac: None,
            mtu: None,
            queues: None,
            addresses: Vec::new(),
            gro: None,
            tx_checksum: None,
        }
    }

    /// Gives it this MAC address instead of a random one.
    pub fn mac(mut self, mac: Mac) -> Self {
        self.mac = Some(mac);
        self
    }

    /// Gives it this MTU instead of 1500.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = Some(mtu);
        self
    }

    /// Gives it this many transmit and receive queues.
    pub fn queues(mut self, queues: u32) -> Self {
        self.queues = Some(queues);
        self
    }

    /// Adds an IPv4 or IPv6 address with its prefix length.
    pub fn address(mut self, address: &str) -> Self {
        self.addresses.push(address.to_owned());
        self
    }

    /// Switches generic receive offload. A veth without an XDP program runs NAPI only with it.
    pub fn gro(mut self, on: bool) -> Self {
        self.gro = Some(on);
        self
    }

    /// Switches transmit checksum offload: off, a local socket's frames leave with a whole sum.
    pub fn tx_checksum(mut self, on: bool) -> Self {
        self.tx_checksum = Some(on);
        self
    }

    /// Its part of the `ip link add` line.
    fn link_words(&self) -> String {
        let mut words = format!("{} netns {}", self.name, self.namespace.name());
        if let Some(mac) = self.mac {
            // Writing to a string cannot fail.
            let _ = write!(words, " address {mac}");
        }
        if let Some(mtu) = self.mtu {
            let _ = write!(words, " mtu {mtu}");
        }
        if let Some(queues) = self.queues {
            let _ = write!(words, " numtxqueues {queues} numrxqueues {queues}");
        }
        words
    }

    fn set_up(&self) -> Result<()> {
        let Self {
            namespace, name, ..
        } = self;
        for address in &self.addresses {
            let nodad = if address.contains(':') { "nodad" } else { "" };
            namespace.ip(&format!("address add {address} dev {name} {nodad}"))?;
        }
        for (feature, on) in [
            (Feature::Gro, self.gro),
            (Feature::TxChecksum, self.tx_checksum),
        ] {
            if let Some(on) = on {
                namespace.enter(|| switch(name, feature, on))??;
            }
        }
        namespace.ip(&format!("link set {name} up")).map(drop)
    }

    /// Routes through an interface count only once it has a carrier and no tentative address.
    fn wait_until_ready(&self) -> Result<()> {
        let Self {
            namespace, name, ..
        } = self;
        let what = format!("{name} in {} to come up", namespace.name());
        wait::until(&what, Duration::from_secs(5), || {
            let shown = namespace.ip(&format!("address show dev {name}"))?;
            let ready = shown.contains("LOWER_UP") && !shown.contains("tentative");
            Ok(ready.then_some(()))
        })
    }
}

/// Lays a cable between two ends and waits until it carries. It goes when either namespace does.
pub fn connect(one: &End, other: &End) -> Result<()> {
    let words = format!(
        "link add {} type veth peer name {}",
        one.link_words(),
        other.link_words()
    );
    one.namespace
        .ip(&words)
        .with_context(|| format!("cannot connect {} with {}", one.name, other.name))?;
    one.set_up()?;
    other.set_up()?;
    one.wait_until_ready()?;
    other.wait_until_ready()
}
