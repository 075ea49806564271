//! What brings the packets for an LNS prefix to an interface: a route or an ARP entry at the
//! router, which cannot be seen from here, so that the command for it is said.

use std::net::IpAddr;

use super::finding::Finding;
use crate::interface::{Interface, mac_text};
use crate::scenario::Prefix;

/// An address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnAddress {
    /// The interface that has it.
    pub(super) interface: String,
    /// The address.
    pub(super) address: IpAddr,
    /// The length of the prefix of its network.
    pub(super) length: u8,
}

impl OwnAddress {
    /// Whether it is one that a router can have a route to.
    fn is_global(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => !address.is_link_local(),
            IpAddr::V6(address) => !address.is_unicast_link_local(),
        }
    }

    /// Whether an address is on the same link.
    fn reaches(&self, address: IpAddr) -> bool {
        let network = |address| Prefix::covering(address, self.length);
        self.address.is_ipv4() == address.is_ipv4() && network(self.address) == network(address)
    }
}

const CHECK: &str = "LNS";

/// What there is to say of one prefix on one interface.
pub(super) fn check(prefix: Prefix, interface: &Interface, own: &[OwnAddress]) -> Vec<Finding> {
    let elsewhere = own
        .iter()
        .find(|own| own.interface != interface.name && prefix.contains(own.address));
    let mut findings: Vec<_> = elsewhere
        .map(|own| {
            let OwnAddress {
                interface, address, ..
            } = own;
            let found = format!(
                "{address} is this host's own address, on {interface}: its requests may come \
                 there, and not here"
            );
            Finding::note(CHECK, found)
        })
        .into_iter()
        .collect();
    findings.push(way_here(prefix, interface, own));
    findings
}

/// What brings its packets here.
fn way_here(prefix: Prefix, interface: &Interface, own: &[OwnAddress]) -> Finding {
    let here: Vec<_> = own
        .iter()
        .filter(|own| own.interface == interface.name)
        .filter(|own| own.address.is_ipv4() == prefix.address().is_ipv4())
        .collect();
    let mac = mac_text(interface.mac);
    if let Some(own) = here.iter().find(|own| prefix.contains(own.address)) {
        let own = own.address;
        return if prefix.is_single() {
            Finding::ok(
                CHECK,
                format!("{prefix} is the address of this interface: the host answers ARP for it"),
            )
        } else {
            Finding::note(
                CHECK,
                format!(
                    "the host answers ARP for {own} alone; for each other LNS of {prefix} the \
                     neighbours need an entry"
                ),
            )
            .typing(format!(
                "ip neigh replace LNS lladdr {mac} dev DEVICE (at the neighbour)"
            ))
        };
    }
    if here.iter().any(|own| own.reaches(prefix.address())) {
        let which = if prefix.is_single() {
            prefix.to_string()
        } else {
            "LNS".to_owned()
        };
        return Finding::note(
            CHECK,
            format!("{prefix} is on this link, and nobody here answers ARP for it"),
        )
        .typing(format!(
            "ip neigh replace {which} lladdr {mac} dev DEVICE (at the router)"
        ));
    }
    match here.iter().find(|own| own.is_global()) {
        Some(own) => Finding::note(CHECK, format!("{prefix} needs a route to this interface"))
            .typing(format!(
                "ip route replace {prefix} via {} (at the router)",
                own.address
            )),
        None => Finding::note(
            CHECK,
            format!(
                "{prefix} needs a route, and this interface has no address of its family that a \
                 router could send to: choose a next hop on the link, and give the router its MAC"
            ),
        )
        .typing(format!(
            "ip route replace {prefix} via NEXTHOP; ip neigh replace NEXTHOP lladdr {mac} dev \
             DEVICE (at the router)"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    fn own(interface: &str, address: &str, length: u8) -> OwnAddress {
        OwnAddress {
            interface: interface.to_owned(),
            address: address.parse().expect("an address"),
            length,
        }
    }

    #[test]
    fn the_router_is_told_a_way_here() {
        let lo = Interface::by_name("lo").expect("every network namespace has one");
        let here = [
            own("lo", "198.51.100.2", 24),
            own("lo", "fe80::2", 64),
            own("other0", "203.0.113.9", 24),
        ];
        for (prefix, state, command) in [
            ("198.51.100.2", State::Ok, None),
            (
                "198.51.100.7",
                State::Note,
                Some(
                    "ip neigh replace 198.51.100.7 lladdr 00:00:00:00:00:00 dev DEVICE (at the router)",
                ),
            ),
            (
                "192.0.2.0/24",
                State::Note,
                Some("ip route replace 192.0.2.0/24 via 198.51.100.2 (at the router)"),
            ),
            (
                "2001:db8::/64",
                State::Note,
                Some(
                    "ip route replace 2001:db8::/64 via NEXTHOP; ip neigh replace NEXTHOP lladdr \
                     00:00:00:00:00:00 dev DEVICE (at the router)",
                ),
            ),
        ] {
            let findings = check(prefix.parse().expect("a prefix"), &lo, &here);
            let [finding] = findings.as_slice() else {
                panic!("{prefix}: {findings:?}");
            };
            assert_eq!(
                (finding.state, finding.command.as_deref()),
                (state, command),
                "{prefix}"
            );
        }
    }

    #[test]
    fn an_address_of_another_interface_is_noted() {
        let lo = Interface::by_name("lo").expect("every network namespace has one");
        let findings = check(
            "203.0.113.9".parse().expect("a prefix"),
            &lo,
            &[own("other0", "203.0.113.9", 24)],
        );
        assert_eq!(findings.len(), 2);
        assert_eq!(
            findings[0].found,
            "203.0.113.9 is this host's own address, on other0: its requests may come there, and \
             not here"
        );
    }
}
