//! The two ways in which a LAC's requests reach the responder's box.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};

use super::{
    End, Mac, MinimalLac, Namespace, PassProgram, Place, RawPort, connect,
    feature::{Feature, switch},
};

/// The router's interface to the LAC.
const TO_LAC: &str = "to-lac";
/// The router's interface to the responder's box.
const TO_BOX: &str = "to-box";

/// How a lab is to be built.
#[derive(Clone, Debug)]
pub struct Plan {
    routed: bool,
    peer: Peer,
    lac_tx_checksum: bool,
    peer_in_box: bool,
    queues: u32,
    mtu: u32,
}

/// What is at the other end of the responder's cable, which decides what becomes of native XDP_TX:
/// a veth takes frames that come this way only in NAPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A veth as it is: it runs no NAPI. XDP_TX fails, and the driver counts it as an error.
    Plain,
    /// A veth with GRO, which runs NAPI but is not woken for XDP_TX: the driver counts the frames
    /// as sent, and they stay in its ring until other traffic wakes it.
    Gro,
    /// A veth with an XDP program that lets everything pass: all is delivered, as by a real cable.
    Xdp,
}

/// An end of a cable of a lab with a router, from the LAC on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The LAC's interface.
    Lac,
    /// The router's interface to the LAC.
    RouterToLac,
    /// The router's interface to the responder's box.
    RouterToBox,
    /// The responder's interface.
    Box,
}

impl Hop {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Lac, Self::RouterToLac, Self::RouterToBox, Self::Box];
}

/// A LAC and a responder's box, with a router between them or not. Gone when dropped; what runs in
/// it should be dropped before.
#[derive(Debug)]
pub struct Lab {
    /// Where LACs run.
    pub lac: Namespace,
    /// The last router on their way, if there is one.
    pub router: Option<Namespace>,
    /// Where the responder runs.
    pub responder: Namespace,
    /// Whether the other end of its cable is there, too.
    peer_in_box: bool,
    /// The program at the other end of its cable.
    peer_program: Option<PassProgram>,
}

impl Plan {
    /// Sets up the other end of the responder's cable, with an XDP program unless set.
    pub fn peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// Switches transmit checksum offload of the LAC's interface, on unless set. On, requests of
    /// local sockets arrive with an unfinished UDP checksum.
    pub fn lac_tx_checksum(mut self, on: bool) -> Self {
        self.lac_tx_checksum = on;
        self
    }

    /// Puts the other end of the responder's cable into its box, where the responder sees what it
    /// is like: its transmit checksum offload is off. Only whole frames are of use there, and only
    /// without a router.
    pub fn peer_in_box(mut self) -> Self {
        self.peer_in_box = true;
        self
    }

    /// Gives the responder's interface and its peer this many queues instead of one.
    pub fn queues(mut self, queues: u32) -> Self {
        self.queues = queues;
        self
    }

    /// Gives all interfaces this MTU instead of 1500.
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.mtu = mtu;
        self
    }

    /// Builds it, up and carrying.
    pub fn build(&self) -> Result<Lab> {
        let mut lab = if self.routed {
            self.build_routed()?
        } else {
            self.build_static_arp()?
        };
        if self.peer == Peer::Xdp {
            let (namespace, interface) = lab.peer();
            lab.peer_program = Some(PassProgram::attach(namespace, interface)?);
        }
        Ok(lab)
    }

    fn build_routed(&self) -> Result<Lab> {
        let lac = Namespace::new("lac")?;
        let router = Namespace::new("router")?;
        let responder = Namespace::new("box")?;
        let to_lac = End::new(&router, TO_LAC).mtu(self.mtu);
        connect(
            &self
                .lac_end(&lac)
                .address("198.51.100.2/24")
                .address("2001:db8:a::2/64"),
            &to_lac
                .address("198.51.100.1/24")
                .address("2001:db8:a::1/64"),
        )?;
        connect(
            &self
                .peer_end(&router, TO_BOX)
                .address("203.0.113.1/24")
                .address("2001:db8:b::1/64"),
            &self.responder_end(&responder),
        )?;

        router.set("net/ipv4/ip_forward", "1")?;
        router.set("net/ipv6/conf/all/forwarding", "1")?;
        lac.ip("route add default via 198.51.100.1")?;
        lac.ip("route add default via 2001:db8:a::1")?;
        router.ip("route add 192.0.2.0/24 via 203.0.113.2")?;
        router.ip("route add 2001:db8:1::/64 via 2001:db8:b::2")?;
        responder.ip("route add default via 203.0.113.1")?;
        responder.ip("route add default via 2001:db8:b::1")?;
        Ok(Lab {
            lac,
            router: Some(router),
            responder,
            peer_in_box: false,
            peer_program: None,
        })
    }

    fn build_static_arp(&self) -> Result<Lab> {
        let lac = Namespace::new("lac")?;
        let responder = Namespace::new("box")?;
        if self.peer_in_box {
            let peer = self.peer_end(&responder, Lab::LAC_INTERFACE);
            connect(&peer.tx_checksum(false), &self.responder_end(&responder))?;
            return Ok(Lab {
                lac,
                router: None,
                responder,
                peer_in_box: true,
                peer_program: None,
            });
        }
        let lac_end = self.peer_end(&lac, Lab::LAC_INTERFACE);
        connect(
            &lac_end
                .tx_checksum(self.lac_tx_checksum)
                .address("203.0.113.1/24")
                .address("2001:db8:b::1/64"),
            &self.responder_end(&responder),
        )?;
        // The LNS addresses are on the attached network, and nobody there would answer for them.
        lac.ip(&format!(
            "route add 192.0.2.0/24 dev {}",
            Lab::LAC_INTERFACE
        ))?;
        lac.ip(&format!(
            "route add 2001:db8:1::/64 dev {}",
            Lab::LAC_INTERFACE
        ))?;
        let lab = Lab {
            lac,
            router: None,
            responder,
            peer_in_box: false,
            peer_program: None,
        };
        for number in 1..=8 {
            for address in [lab.lns(number).into(), IpAddr::from(lab.lns6(number))] {
                lab.lac.ip(&format!(
                    "neighbour add {address} lladdr {} dev {} nud permanent",
                    Lab::RESPONDER_MAC,
                    Lab::LAC_INTERFACE
                ))?;
            }
        }
        Ok(lab)
    }

    fn lac_end<'a>(&self, namespace: &'a Namespace) -> End<'a> {
        End::new(namespace, Lab::LAC_INTERFACE)
            .mtu(self.mtu)
            .tx_checksum(self.lac_tx_checksum)
    }

    fn peer_end<'a>(&self, namespace: &'a Namespace, name: &str) -> End<'a> {
        End::new(namespace, name)
            .mac(Lab::PEER_MAC)
            .mtu(self.mtu)
            .queues(self.queues)
            .gro(self.peer != Peer::Plain)
    }

    fn responder_end<'a>(&self, namespace: &'a Namespace) -> End<'a> {
        End::new(namespace, Lab::INTERFACE)
            .mac(Lab::RESPONDER_MAC)
            .mtu(self.mtu)
            .queues(self.queues)
            .address("203.0.113.2/24")
            .address("2001:db8:b::2/64")
    }
}

impl Lab {
    /// The responder's interface.
    pub const INTERFACE: &str = "eth1";
    /// The LAC's interface.
    pub const LAC_INTERFACE: &str = "lac0";
    /// The MAC address of the responder's interface.
    pub const RESPONDER_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x02]);
    /// The MAC address of its peer.
    pub const PEER_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 0x01]);

    const WITH_ROUTER: Plan = Plan {
        routed: true,
        peer: Peer::Xdp,
        lac_tx_checksum: true,
        peer_in_box: false,
        queues: 1,
        mtu: 1500,
    };

    /// LAC, router and box. The router routes 192.0.2.0/24 and 2001:db8:1::/64 to the box.
    pub fn routed() -> Plan {
        Self::WITH_ROUTER
    }

    /// LAC and box on one cable. The LAC holds the box's MAC address for the first eight LNS
    /// addresses of either version.
    pub fn static_arp() -> Plan {
        Plan {
            routed: false,
            ..Self::WITH_ROUTER
        }
    }

    /// The virtual LNS 192.0.2.`number`.
    pub fn lns(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(192, 0, 2, number)
    }

    /// The virtual LNS 2001:db8:1::`number`.
    pub fn lns6(&self, number: u8) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, number.into())
    }

    /// The LAC's address.
    pub fn lac_address(&self) -> Ipv4Addr {
        match self.router {
            Some(_) => Ipv4Addr::new(198, 51, 100, 2),
            None => Ipv4Addr::new(203, 0, 113, 1),
        }
    }

    /// Where a LAC with a network stack of its own is beside the router: number 1, 2 and so on.
    pub fn place(&self, number: u8) -> Place<'static> {
        Place {
            interface: Self::LAC_INTERFACE,
            address: Ipv4Addr::new(198, 51, 100, 100 + number),
            gateway: Ipv4Addr::new(198, 51, 100, 1),
        }
    }

    /// The LAC's IPv6 address.
    pub fn lac_address6(&self) -> Ipv6Addr {
        let (net, host) = match self.router {
            Some(_) => (0xa, 2),
            None => (0xb, 1),
        };
        Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host)
    }

    /// The box's own address.
    pub fn responder_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(203, 0, 113, 2)
    }

    /// The box's own IPv6 address.
    pub fn responder_address6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0x2001, 0xdb8, 0xb, 0, 0, 0, 0, 2)
    }

    /// The namespace and the name of the interface at the other end of the responder's cable: the
    /// place for raw frames.
    pub fn peer(&self) -> (&Namespace, &str) {
        match &self.router {
            Some(router) => (router, TO_BOX),
            None if self.peer_in_box => (&self.responder, Self::LAC_INTERFACE),
            None => (&self.lac, Self::LAC_INTERFACE),
        }
    }

    /// A port for whole frames at the other end of the responder's cable.
    pub fn raw_port(&self) -> Result<RawPort> {
        let (namespace, interface) = self.peer();
        RawPort::open(namespace, interface)
    }

    /// A port for whole frames at the other end of the LAC's cable: on the router, if there is one.
    pub fn lac_port(&self) -> Result<RawPort> {
        match &self.router {
            Some(router) => RawPort::open(router, TO_LAC),
            None => RawPort::open(&self.responder, Self::INTERFACE),
        }
    }

    /// Switches transmit checksum offload of an interface. An error in a lab without a router.
    pub fn switch_tx_checksum(&self, hop: Hop, on: bool) -> Result<()> {
        let router = self.router.as_ref().context("there is no router");
        let (namespace, interface) = match hop {
            Hop::Lac => (&self.lac, Self::LAC_INTERFACE),
            Hop::RouterToLac => (router?, TO_LAC),
            Hop::RouterToBox => (router?, TO_BOX),
            Hop::Box => (&self.responder, Self::INTERFACE),
        };
        namespace.enter(|| switch(interface, Feature::TxChecksum, on))?
    }

    /// A LAC that sends over IPv4 from `port`, or with 0 from any.
    pub fn minimal_lac(&self, port: u16) -> Result<MinimalLac> {
        MinimalLac::open(&self.lac, (self.lac_address(), port))
    }

    /// A LAC that sends over IPv6 from `port`, or with 0 from any.
    pub fn minimal_lac6(&self, port: u16) -> Result<MinimalLac> {
        MinimalLac::open(&self.lac, (self.lac_address6(), port))
    }
}
