//! Interfaces that lie on others or are ports of them, and which of these gets the frames.

use netlink_packet_route::link::{LinkAttribute, LinkInfo, LinkMessage};

use super::{Interface, info_of, kind_of, link};

/// The interface above or below another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its kind, such as `bond`; none for hardware.
    pub kind: Option<String>,
    /// Its MAC address.
    pub mac: Option<[u8; 6]>,
}

/// Why the frames are to be had at another interface.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// It is a port of a bond or a team.
    #[error(
        "interface `{name}` is a port of the {kind} `{controller}`, which receives by several \
         ports and sends by those that it chooses: give `-i {controller}`"
    )]
    Port {
        /// The interface.
        name: String,
        /// The kind of what it is a port of.
        kind: String,
        /// What it is a port of.
        controller: String,
    },
    /// It gets frames for its own IP addresses only.
    #[error(
        "interface `{name}` is an {kind}, which receives only what is to its own IP addresses, \
         and never what is to an LNS that nobody has: give {lower}"
    )]
    OwnAddressesOnly {
        /// The interface.
        name: String,
        /// Its kind.
        kind: String,
        /// What to give instead.
        lower: String,
    },
    /// It receives no frames at all.
    #[error(
        "interface `{name}` is a VRF, which receives no frames itself: give the interface in it at \
         which the SCCRQs arrive"
    )]
    Vrf {
        /// The interface.
        name: String,
    },
    /// Two interfaces get the same frames.
    #[error(
        "interfaces `{upper}` and `{lower}` are one upon the other, and what comes to `{upper}` \
         comes to `{lower}` before: give one of them, {advice}"
    )]
    Overlap {
        /// The one above.
        upper: String,
        /// The one below.
        lower: String,
        /// Which of them.
        advice: String,
    },
}

impl Neighbour {
    /// The interface of this index that another one is a port of. The message is about the port,
    /// and tells the kind, too.
    pub(super) fn above(index: Option<u32>, message: &LinkMessage) -> Option<Self> {
        let kind = info_of(message).find_map(|info| match info {
            LinkInfo::PortKind(kind) => Some(kind.to_string()),
            _ => None,
        });
        let neighbour = Self::of(index?)?;
        Some(Self {
            kind: kind.or(neighbour.kind),
            ..neighbour
        })
    }

    /// The interface that one of this kind lies on. The other end of a veth is not below it.
    pub(super) fn below(kind: Option<&str>, message: &LinkMessage) -> Option<Self> {
        if matches!(kind, None | Some("veth")) {
            return None;
        }
        let mut index = None;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Link(lower) => index = Some(*lower),
                LinkAttribute::LinkNetNsId(_) => return None,
                _ => {}
            }
        }
        Self::of(index.filter(|index| *index != message.header.index)?)
    }

    fn of(index: u32) -> Option<Self> {
        let message = link::by_index(index).ok().flatten()?;
        Some(Self {
            index,
            name: link::name_of(&message)?,
            kind: info_of(&message).find_map(kind_of),
            mac: message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    LinkAttribute::Address(address) => address.as_slice().try_into().ok(),
                    _ => None,
                }),
        })
    }
}

impl Interface {
    /// Whether the frames for a LAC's LNSs come to this interface at all.
    ///
    /// # Errors
    ///
    /// [`StackError`], which names the interface that they come to.
    pub fn check_stack(&self) -> Result<(), StackError> {
        let name = self.name.clone();
        let controller = self.controller.as_ref();
        if let Some(above) = controller
            && let Some(kind @ ("bond" | "team")) = above.kind.as_deref()
        {
            return Err(StackError::Port {
                name,
                kind: kind.to_owned(),
                controller: above.name.clone(),
            });
        }
        match self.kind.as_deref() {
            Some(kind @ ("ipvlan" | "ipvtap")) => Err(StackError::OwnAddressesOnly {
                name,
                kind: kind.to_owned(),
                lower: match &self.lower {
                    Some(below) => format!("`-i {}`", below.name),
                    None => "the interface below it, or a macvlan".to_owned(),
                },
            }),
            Some("vrf") => Err(StackError::Vrf { name }),
            _ => Ok(()),
        }
    }

    /// Whether no frame comes to both of these interfaces.
    ///
    /// # Errors
    ///
    /// [`StackError::Overlap`], which says which of them to give.
    pub fn check_apart(&self, other: &Self) -> Result<(), StackError> {
        let is_below = |lower: &Self, upper: &Self| {
            let is = |neighbour: &Option<Neighbour>, index| {
                neighbour.as_ref().is_some_and(|known| known.index == index)
            };
            is(&lower.controller, upper.index) || is(&upper.lower, lower.index)
        };
        let (upper, lower) = match (is_below(self, other), is_below(other, self)) {
            (true, _) => (other, self),
            (_, true) => (self, other),
            _ => return Ok(()),
        };
        let advice = match upper.kind.as_deref() {
            // Its frames are in VLANs below, and answered there, too.
            Some("vlan") => &lower.name,
            _ => &upper.name,
        };
        Err(StackError::Overlap {
            advice: format!("`-i {advice}`"),
            upper: upper.name.clone(),
            lower: lower.name.clone(),
        })
    }

    /// What of the frames at hand goes another way, in a sentence.
    pub fn stack_remark(&self) -> Option<String> {
        let above = self.controller.as_ref()?;
        if above.kind.as_deref() != Some("bridge") {
            return None;
        }
        let bridge = &above.name;
        Some(match above.mac {
            Some(mac) if mac != self.mac => format!(
                "it is a port of the bridge {bridge}, whose own MAC address {} is another one: \
                 what is to that is answered with -i {bridge}",
                mac_text(mac)
            ),
            _ => format!(
                "it is a port of the bridge {bridge}: what comes by other ports is answered with \
                 -i {bridge}"
            ),
        })
    }
}

/// A MAC address as it is written.
pub(crate) fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn neighbour(index: u32, name: &str, kind: &str) -> Neighbour {
        Neighbour {
            index,
            name: name.to_owned(),
            kind: Some(kind.to_owned()),
            mac: Some([2, 0, 0, 0, 0, 9]),
        }
    }

    /// An interface with nothing above or below it.
    fn interface(index: u32, name: &str, kind: Option<&str>) -> Interface {
        let lo = Interface::by_name("lo").expect("every namespace has it");
        Interface {
            index,
            name: name.to_owned(),
            kind: kind.map(str::to_owned),
            mac: [2, 0, 0, 0, 0, 1],
            ..lo
        }
    }

    #[test]
    fn a_port_leads_to_what_it_is_a_port_of() {
        for (kind, refused) in [
            ("bond", true),
            ("team", true),
            ("bridge", false),
            ("vrf", false),
        ] {
            let port = Interface {
                controller: Some(neighbour(9, "above0", kind)),
                ..interface(2, "eth1", None)
            };
            match port.check_stack() {
                Err(error) => {
                    let error = error.to_string();
                    let named = format!("`eth1` is a port of the {kind} `above0`");
                    assert!(refused && error.contains(&named), "{error}");
                    assert!(error.ends_with("give `-i above0`"), "{error}");
                }
                Ok(()) => assert!(!refused, "{kind}"),
            }
        }
    }

    #[test]
    fn what_receives_nothing_for_an_lns_is_refused() {
        for kind in ["bond", "team", "bridge", "vlan", "macvlan", "veth"] {
            assert_eq!(
                interface(2, "x", Some(kind)).check_stack(),
                Ok(()),
                "{kind}"
            );
        }
        let ipvlan = Interface {
            lower: Some(neighbour(9, "eth0", "veth")),
            ..interface(2, "ipv0", Some("ipvlan"))
        };
        let error = ipvlan.check_stack().expect_err("it never gets them");
        assert!(error.to_string().ends_with("give `-i eth0`"), "{error}");
        let vrf = interface(2, "red", Some("vrf")).check_stack();
        assert_eq!(
            vrf,
            Err(StackError::Vrf {
                name: "red".to_owned()
            })
        );
    }

    #[test]
    fn two_that_get_the_same_frames_are_refused_in_either_order() {
        let alone = interface(2, "eth1", None);
        let port = |kind| Interface {
            controller: Some(neighbour(9, "above0", kind)),
            ..alone.clone()
        };
        let on = |kind| Interface {
            lower: Some(neighbour(2, "eth1", "veth")),
            ..interface(9, "above0", Some(kind))
        };
        let above = |kind| interface(9, "above0", Some(kind));
        for (lower, upper, advice) in [
            (port("bond"), above("bond"), "above0"),
            (port("team"), above("team"), "above0"),
            (port("bridge"), above("bridge"), "above0"),
            (alone.clone(), on("macvlan"), "above0"),
            (alone.clone(), on("vlan"), "eth1"),
        ] {
            for (one, other) in [(&lower, &upper), (&upper, &lower)] {
                let error = one.check_apart(other).expect_err("the same frames");
                let error = error.to_string();
                assert!(
                    error.starts_with("interfaces `above0` and `eth1`"),
                    "{error}"
                );
                assert!(error.ends_with(&format!("`-i {advice}`")), "{error}");
            }
        }
        assert_eq!(alone.check_apart(&above("bond")), Ok(()));
    }

    #[test]
    fn a_port_of_a_bridge_is_told_of_the_address_of_the_bridge() {
        let port = |mac| Interface {
            mac,
            controller: Some(neighbour(9, "br0", "bridge")),
            ..interface(2, "eth1", None)
        };
        let remark = port([2, 0, 0, 0, 0, 1]).stack_remark();
        let remark = remark.expect("the bridge has another address");
        assert!(remark.contains("02:00:00:00:00:09"), "{remark}");
        assert!(remark.ends_with("-i br0"), "{remark}");
        let remark = port([2, 0, 0, 0, 0, 9]).stack_remark();
        let remark = remark.expect("the bridge has other ports");
        assert!(remark.contains("by other ports"), "{remark}");
        assert_eq!(interface(2, "eth1", None).stack_remark(), None);
    }
}
