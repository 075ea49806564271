//! What the system says about a network interface.
//!
//! Everything is asked in the network namespace of the calling thread. What
//! the data path cannot do without is an error when it is missing; the rest is
//! an `Option`, since drivers and older kernels need not tell.

mod attached;
mod bpf_link;
mod condition;
mod ethtool;
mod exceptions;
mod features;
mod keeper;
mod link;
mod promiscuous;
mod stack;
mod statistics;
mod vlan;

use std::io;

use netlink_packet_route::link::{LinkAttribute, LinkInfo, LinkLayerType, LinkMessage};
use xdp::nic::{NicIndex, XdpAct};

pub use attached::{AttachMode, AttachRefused, AttachedProgram, DetachError};
pub use condition::Condition;
pub use exceptions::{Exceptions, TRANSMIT_EXCEPTIONS};
pub use keeper::Keeper;
pub use promiscuous::Promiscuous;
pub(crate) use stack::mac_text;
pub use stack::{Neighbour, StackError};
pub use statistics::DriverStatistics;
pub use vlan::{VlanTags, VlanTagsNow, loses_vlan_tags};

/// What the system says where it is short of something for the moment, or was interrupted: the
/// same question may be answered the next time.
pub(crate) const PASSING: [i32; 6] = [
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOBUFS,
    libc::ENOMEM,
    libc::EINTR,
    libc::EAGAIN,
];

/// A network interface, as it was when it was looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The index, which no other interface of the namespace ever gets.
    pub index: u32,
    /// The name by which the kernel knows it.
    pub name: String,
    /// The MAC address.
    pub mac: [u8; 6],
    /// The MTU: the largest IP packet, in octets.
    pub mtu: u32,
    /// Whether it is set up to work at all.
    pub up: bool,
    /// Whether there is a link to somewhere.
    pub carrier: bool,
    /// The kind of a virtual interface, such as `veth`; none for hardware.
    pub kind: Option<String>,
    /// The name of the driver.
    pub driver: Option<String>,
    /// The number of receive queues in use, at least one.
    pub rx_queues: u32,
    /// What its driver can do for XDP; none if the kernel does not tell.
    pub xdp: Option<XdpFeatures>,
    /// Whether the NIC makes one large frame of several (LRO), as which drivers run no native XDP.
    pub merges_frames: bool,
    /// Whether the other end of a veth finishes the checksums of what it sends; none if it is in
    /// another namespace, where it cannot be asked.
    pub peer_finishes_checksums: Option<bool>,
    /// What it is a port of, such as a bond or a bridge.
    pub controller: Option<Neighbour>,
    /// What it lies on, as a VLAN or a macvlan does; none if that is in another namespace.
    pub lower: Option<Neighbour>,
}

/// What a driver can do for XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpFeatures {
    /// It runs programs natively: pass, drop and transmit.
    pub native: bool,
    /// It redirects frames, to an AF_XDP socket among others.
    pub redirect: bool,
    /// It transmits frames that were redirected to it.
    pub redirect_target: bool,
    /// It receives into and transmits from the memory of an AF_XDP socket.
    pub zero_copy: bool,
    /// It runs programs that accept frames of several buffers on jumbo MTUs.
    pub multi_buffer: bool,
}

/// What becomes of replies that native XDP_TX sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NativeTransmit {
    /// They go out.
    Works,
    /// They go out or get stuck: it depends on the other end of the veth.
    Unsure,
    /// They are lost, every one.
    Lost,
}

/// What the UDP checksums are of frames that come to the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// They are as the sender made them.
    Finished,
    /// They may still have to be filled in: the sender is on this machine, or on a host of it,
    /// and left that to an interface that never did it.
    MayBeUnfinished,
}

/// Something about an interface that stands in the way.
#[derive(Debug, thiserror::Error)]
pub enum InterfaceError {
    /// There is no interface of this name.
    #[error("there is no interface `{name}`; there are: {}", existing.join(", "))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names of those that exist.
        existing: Vec<String>,
    },

    /// The interface carries something else than Ethernet frames.
    #[error(
        "interface `{name}` carries no Ethernet frames; \
         give the Ethernet interface that the SCCRQs arrive at"
    )]
    NotEthernet {
        /// The name of the interface.
        name: String,
    },

    /// The system would not tell.
    #[error("cannot ask the kernel about interface `{name}`")]
    Query {
        /// The name of the interface.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Interface {
    /// Looks up the interface of this name.
    ///
    /// # Errors
    ///
    /// [`InterfaceError`], which lists the interfaces there are if this is none of them.
    pub fn by_name(name: &str) -> Result<Self, InterfaceError> {
        let query_error = |source| InterfaceError::Query {
            name: name.to_owned(),
            source,
        };
        match link::by_name(name).map_err(query_error)? {
            Some(message) => Self::from_link(name, &message),
            None => Err(InterfaceError::Unknown {
                name: name.to_owned(),
                existing: link::names().map_err(query_error)?,
            }),
        }
    }

    /// What netlink says of it now; none where it is gone from this namespace.
    fn ask(&self) -> Result<Option<LinkMessage>, InterfaceError> {
        link::by_index(self.index).map_err(|source| self.query_error(source))
    }

    fn query_error(&self, source: io::Error) -> InterfaceError {
        InterfaceError::Query {
            name: self.name.clone(),
            source,
        }
    }

    /// What becomes of replies that native XDP_TX sends on this interface.
    ///
    /// On a veth they reach the other end only if a native XDP program is
    /// attached there too. Without one, and without GRO, the kernel refuses
    /// each of them. With GRO alone it queues them for a receiver that it
    /// never wakes, and counts them as sent. The other end may be in another
    /// namespace and cannot be looked at, but the kernel tells the first case:
    /// it offers a veth as a target for redirected frames only if the other
    /// end has GRO or a program.
    pub fn native_transmit(&self) -> NativeTransmit {
        if self.kind.as_deref() != Some("veth") {
            NativeTransmit::Works
        } else if self.xdp.is_some_and(|xdp| !xdp.redirect_target) {
            NativeTransmit::Lost
        } else {
            NativeTransmit::Unsure
        }
    }

    /// What the UDP checksums are of frames that come to the system by this interface.
    ///
    /// A frame that crossed a wire has them. On a veth, a tap, a bridge and whatever else is no
    /// hardware, and from the host of a virtual machine, a frame may come as its sender left it
    /// to the offload of its own interface: unless it is a veth whose other end is seen to have
    /// none.
    pub fn checksums(&self) -> Checksums {
        /// Drivers of what is hardware only to its virtual machine, KVM's and Xen's.
        const PARAVIRTUAL: [&str; 2] = ["virtio_net", "vif"];
        match (&self.kind, self.driver.as_deref()) {
            (None, Some(driver)) if !PARAVIRTUAL.contains(&driver) => Checksums::Finished,
            _ if self.peer_finishes_checksums == Some(true) => Checksums::Finished,
            _ => Checksums::MayBeUnfinished,
        }
    }

    /// Whether what native mode hands to a worker is lost.
    ///
    /// On a bond the program runs at its ports, and the kernel gives a worker no frame of another
    /// interface than the one that its socket is bound to.
    pub fn starves_workers(&self) -> bool {
        self.kind.as_deref() == Some("bond")
    }

    /// The transmit queues in use and the most there can be, if the driver tells.
    pub fn tx_queues(&self) -> Option<(u32, u32)> {
        ethtool::tx_queues(&self.name).ok()
    }

    /// Reads what netlink said, and asks for the rest.
    fn from_link(asked: &str, message: &LinkMessage) -> Result<Self, InterfaceError> {
        let condition = Condition::of(message).map_err(|source| InterfaceError::Query {
            name: asked.to_owned(),
            source,
        })?;
        let name = condition.name;
        let ethernet = matches!(
            message.header.link_layer_type,
            LinkLayerType::Ether | LinkLayerType::Loopback
        );
        let Some(mac) = condition.mac.filter(|_| ethernet) else {
            return Err(InterfaceError::NotEthernet { name });
        };
        let kind = info_of(message).find_map(kind_of);
        Ok(Self {
            index: message.header.index,
            mac,
            mtu: condition.mtu,
            up: condition.up,
            carrier: condition.carrier,
            driver: ethtool::driver(&name)
                .ok()
                .filter(|driver| !driver.is_empty()),
            rx_queues: condition.rx_queues,
            xdp: XdpFeatures::of(message.header.index),
            merges_frames: condition.merges_frames,
            peer_finishes_checksums: match kind.as_deref() {
                Some("veth") => peer_finishes_checksums(message),
                _ => None,
            },
            controller: Neighbour::above(condition.controller, message),
            lower: Neighbour::below(kind.as_deref(), message),
            kind,
            name,
        })
    }
}

impl XdpFeatures {
    /// Asks for the features of an interface, which kernels tell from 6.3 on.
    fn of(index: u32) -> Option<Self> {
        let capabilities = NicIndex::new(index).query_capabilities().ok()?;
        let has = |feature: XdpAct| capabilities.xdp_features.0 & feature as u64 != 0;
        Some(Self {
            native: has(XdpAct::Basic),
            redirect: has(XdpAct::Redirect),
            redirect_target: has(XdpAct::NdoXmit),
            zero_copy: has(XdpAct::XskZeroCopy),
            multi_buffer: has(XdpAct::RxSg),
        })
    }
}

/// Whether the other end of a veth finishes the checksums of what it sends, if it can be asked.
fn peer_finishes_checksums(veth: &LinkMessage) -> Option<bool> {
    let peer = link::by_index(link::peer_of(veth)?).ok().flatten()?;
    let takes = ethtool::takes_checksums(&link::name_of(&peer)?);
    takes.ok().map(|takes| !takes)
}

/// What netlink says of the kind of an interface.
fn info_of(message: &LinkMessage) -> impl Iterator<Item = &LinkInfo> {
    let attributes = message.attributes.iter();
    attributes.flat_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(info) => info.as_slice(),
        _ => &[],
    })
}

/// The kind of a virtual interface.
fn kind_of(info: &LinkInfo) -> Option<String> {
    match info {
        LinkInfo::Kind(kind) => Some(kind.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback() -> Interface {
        Interface::by_name("lo").expect("every network namespace has a loopback interface")
    }

    #[test]
    fn the_loopback_interface_is_as_expected() {
        let lo = loopback();
        assert_eq!((lo.index, lo.name.as_str()), (1, "lo"));
        assert_eq!(lo.mac, [0; 6]);
        assert!(lo.mtu >= 1280);
        assert_eq!(lo.kind, None);
        assert_eq!(lo.rx_queues, 1);
        assert_eq!(lo.native_transmit(), NativeTransmit::Works);
    }

    #[test]
    fn an_unknown_interface_is_told_which_there_are() {
        let too_long = "x".repeat(128);
        for name in ["no-such-thing", "", "an-alternative-name", &too_long] {
            let error = Interface::by_name(name).expect_err("nobody has it");
            let message = error.to_string();
            let start = format!("there is no interface `{name}`; there are: ");
            assert!(message.starts_with(&start), "{message}");
            assert!(message[start.len()..].split(", ").any(|name| name == "lo"));
        }
    }

    #[test]
    fn only_a_veth_is_suspected_of_losing_what_it_transmits() {
        use NativeTransmit::{Lost, Unsure, Works};
        let features = |redirect_target| {
            Some(XdpFeatures {
                native: true,
                redirect: true,
                redirect_target,
                zero_copy: false,
                multi_buffer: true,
            })
        };
        for (kind, xdp, outcome) in [
            (Some("veth"), features(false), Lost),
            (Some("veth"), features(true), Unsure),
            (Some("veth"), None, Unsure),
            (Some("bond"), features(false), Works),
            (None, features(false), Works),
            (None, None, Works),
        ] {
            let interface = Interface {
                kind: kind.map(str::to_owned),
                xdp,
                ..loopback()
            };
            assert_eq!(interface.native_transmit(), outcome, "{kind:?} {xdp:?}");
        }
    }

    #[test]
    fn only_hardware_gets_nothing_but_finished_checksums() {
        use Checksums::{Finished, MayBeUnfinished};
        for (kind, driver, expected) in [
            (None, Some("ixgbe"), Finished),
            (None, Some("vmxnet3"), Finished),
            (None, Some("virtio_net"), MayBeUnfinished),
            (None, Some("vif"), MayBeUnfinished),
            (Some("veth"), Some("veth"), MayBeUnfinished),
            (Some("tun"), Some("tun"), MayBeUnfinished),
            (Some("bridge"), Some("bridge"), MayBeUnfinished),
            (None, None, MayBeUnfinished),
        ] {
            let interface = Interface {
                kind: kind.map(str::to_owned),
                driver: driver.map(str::to_owned),
                ..loopback()
            };
            assert_eq!(interface.checksums(), expected, "{kind:?} {driver:?}");
        }
        assert_eq!(loopback().checksums(), MayBeUnfinished);
        for (peer, expected) in [(true, Finished), (false, MayBeUnfinished)] {
            let interface = Interface {
                kind: Some("veth".to_owned()),
                driver: Some("veth".to_owned()),
                peer_finishes_checksums: Some(peer),
                ..loopback()
            };
            assert_eq!(interface.checksums(), expected);
        }
    }

    #[test]
    fn statistics_of_an_interface_start_at_nothing() {
        assert_eq!(DriverStatistics::start(&loopback()).since_start(), []);
    }
}
