//! What may change of an interface while it is answered on.

use std::io;

use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};

use super::{AttachMode, Interface, InterfaceError, PASSING, ethtool, link};

/// What an interface is like at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The name by which the kernel knows it now.
    pub name: String,
    /// The MAC address; none where it has none of six octets.
    pub mac: Option<[u8; 6]>,
    /// The largest IP packet, in octets.
    pub mtu: u32,
    /// Whether it is set up to work at all.
    pub up: bool,
    /// Whether there is a link to somewhere.
    pub carrier: bool,
    /// The number of receive queues in use, at least one.
    pub rx_queues: u32,
    /// Whether the NIC takes VLAN tags out of received frames.
    pub strips_vlan_tags: bool,
    /// Whether the NIC makes one large frame of several (LRO).
    pub merges_frames: bool,
    /// The index of the interface that it is a port of, such as a bond or a bridge.
    pub controller: Option<u32>,
    /// The ids and modes of the XDP programs that are attached.
    pub programs: Vec<(u32, AttachMode)>,
    /// The frames that it has received since it exists.
    pub received: u64,
}

impl Condition {
    /// Reads what netlink said, and asks for the rest.
    pub(super) fn of(message: &LinkMessage) -> io::Result<Self> {
        let name = link::name_of(message).unwrap_or_default();
        let mut mac = None;
        let mut mtu = 0;
        let mut allocated_queues = 1;
        let mut controller = None;
        let mut received = 0;
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::Address(address) => mac = address.as_slice().try_into().ok(),
                LinkAttribute::Mtu(value) => mtu = *value,
                LinkAttribute::NumRxQueues(count) => allocated_queues = *count,
                LinkAttribute::Controller(index) => controller = Some(*index),
                LinkAttribute::Stats64(statistics) => received = statistics.rx_packets,
                _ => {}
            }
        }
        let rx_queues = unless_unknown(ethtool::rx_queues(&name))?.unwrap_or(allocated_queues);
        let offloads = unless_unknown(ethtool::offloads(&name))?.unwrap_or_default();
        Ok(Self {
            name,
            mac,
            mtu,
            up: message.header.flags.contains(LinkFlags::Up),
            carrier: message.header.flags.contains(LinkFlags::LowerUp),
            rx_queues: rx_queues.max(1),
            strips_vlan_tags: offloads.strips_vlan_tags,
            merges_frames: offloads.merges_frames,
            controller,
            programs: Interface::programs_of(message),
            received,
        })
    }
}

impl Interface {
    /// What it is like now; none where it is gone from this namespace.
    ///
    /// # Errors
    ///
    /// [`InterfaceError::Query`], if the kernel does not tell.
    pub fn condition(&self) -> Result<Option<Condition>, InterfaceError> {
        let mut asked_again = false;
        loop {
            let Some(message) = self.ask()? else {
                return Ok(None);
            };
            match Condition::of(&message) {
                // It went, or got another name, between one question and the next.
                Err(error) if error.raw_os_error() == Some(libc::ENODEV) && !asked_again => {
                    asked_again = true;
                }
                condition => {
                    return Ok(Some(condition.map_err(|source| self.query_error(source))?));
                }
            }
        }
    }
}

/// What a driver tells, unless it does not tell such things at all.
fn unless_unknown<T>(told: io::Result<T>) -> io::Result<Option<T>> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(error) => match error.raw_os_error() {
            // That says something of this process or of this moment, and nothing of the driver.
            Some(number) if PASSING.contains(&number) || number == libc::ENODEV => Err(error),
            _ => Ok(None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_up_and_alone() {
        let lo = Interface::by_name("lo").expect("every namespace has it");
        let condition = lo.condition().expect("netlink answers anybody");
        let condition = condition.expect("it never goes");
        assert_eq!(condition.name, "lo");
        assert_eq!((condition.mac, condition.mtu), (Some(lo.mac), lo.mtu));
        assert_eq!(condition.rx_queues, 1);
        assert_eq!(condition.controller, None);
    }

    #[test]
    fn an_interface_that_is_gone_has_no_condition() {
        let mut lo = Interface::by_name("lo").expect("every namespace has it");
        lo.index = 0x7fff_fff0;
        assert_eq!(lo.condition().expect("netlink answers anybody"), None);
    }

    #[test]
    fn a_driver_that_does_not_tell_is_no_error_and_want_of_descriptors_is() {
        let told = |errno| unless_unknown::<()>(Err(io::Error::from_raw_os_error(errno)));
        assert_eq!(told(libc::EOPNOTSUPP).expect("a driver without it"), None);
        for errno in [libc::EMFILE, libc::ENOMEM, libc::ENODEV] {
            let error = told(errno).expect_err("it says nothing of the driver");
            assert_eq!(error.raw_os_error(), Some(errno));
        }
    }
}
