//! The addresses that a rule is about: one of them, or all with the same first bits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An address prefix, IPv4 or IPv6, without bits beyond its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// A text that is no prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// What stands before the slash, or all of it, is no address.
    #[error(
        "`{0}` is not an address; expected an address or a prefix, \
         such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32"
    )]
    NotAddress(String),

    /// What stands behind the slash is no length.
    #[error("`{length}` is not the length of a prefix; expected a number from 0 to {longest}")]
    NotLength {
        /// What stands there.
        length: String,
        /// The length of an address of that family.
        longest: u8,
    },

    /// The prefix says more than its length lets it.
    #[error(
        "{address}/{} has bits beyond its length; \
         did you mean the network {network} or the address {address}?",
        network.length
    )]
    HostBits {
        /// The address as it stands there.
        address: IpAddr,
        /// The network that the address is in.
        network: Prefix,
    },
}

impl Prefix {
    /// The prefix of that length.
    ///
    /// # Errors
    ///
    /// [`PrefixError`], where the length is more than an address has, or less than this one needs.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, PrefixError> {
        let longest = longest(address);
        if length > longest {
            return Err(PrefixError::NotLength {
                length: length.to_string(),
                longest,
            });
        }
        let network = Self {
            address: network(address, length),
            length,
        };
        if network.address == address {
            Ok(network)
        } else {
            Err(PrefixError::HostBits { address, network })
        }
    }

    /// The prefix of that length that the address is in; an address is not longer than it has bits.
    pub fn covering(address: IpAddr, length: u8) -> Self {
        let length = length.min(longest(address));
        Self {
            address: network(address, length),
            length,
        }
    }

    /// The address, with zeros beyond the length.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The last address, with ones beyond the length.
    pub fn last(self) -> IpAddr {
        let hosts = u32::from(longest(self.address).saturating_sub(self.length));
        match self.address {
            IpAddr::V4(address) => {
                let ones = u32::MAX
                    .checked_shl(hosts)
                    .map_or(u32::MAX, |network| !network);
                Ipv4Addr::from_bits(address.to_bits() | ones).into()
            }
            IpAddr::V6(address) => {
                let ones = u128::MAX
                    .checked_shl(hosts)
                    .map_or(u128::MAX, |network| !network);
                Ipv6Addr::from_bits(address.to_bits() | ones).into()
            }
        }
    }

    /// Whether it is one address.
    pub fn is_single(self) -> bool {
        self.length == longest(self.address)
    }

    /// The bits that count: up to 32, or up to 128 in IPv6.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether the address is one of the prefix.
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && network(address, self.length) == self.address
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self {
            address,
            length: longest(address),
        }
    }
}

/// An address as a number.
pub(crate) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The length of the longest prefix of that family.
fn longest(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with only its first `length` bits.
fn network(address: IpAddr, length: u8) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length));
            Ipv4Addr::from_bits(address.to_bits() & mask.unwrap_or(0)).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(length));
            Ipv6Addr::from_bits(address.to_bits() & mask.unwrap_or(0)).into()
        }
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| PrefixError::NotAddress(text.to_owned()))?;
        let Some(length) = length else {
            return Ok(address.into());
        };
        // Standard parsing would take a sign, too.
        let digits = length.bytes().all(|octet| octet.is_ascii_digit());
        match length.parse() {
            Ok(number) if digits => Self::new(address, number),
            _ => Err(PrefixError::NotLength {
                length: length.to_owned(),
                longest: longest(address),
            }),
        }
    }
}

impl TryFrom<String> for Prefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<Prefix> for String {
    fn from(prefix: Prefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_is_read_and_printed() {
        for (text, printed, length) in [
            ("192.0.2.1", "192.0.2.1", 32),
            ("192.0.2.1/32", "192.0.2.1", 32),
            ("192.0.2.0/24", "192.0.2.0/24", 24),
            ("0.0.0.0/0", "0.0.0.0/0", 0),
            ("2001:db8::1", "2001:db8::1", 128),
            ("2001:DB8:0::/32", "2001:db8::/32", 32),
            ("::/0", "::/0", 0),
        ] {
            let prefix: Prefix = text.parse().expect(text);
            assert_eq!(prefix.to_string(), printed);
            assert_eq!(prefix.length(), length);
        }
    }

    #[test]
    fn a_wrong_prefix_is_told_why() {
        for (text, message) in [
            (
                "192.0.2.7/24",
                "192.0.2.7/24 has bits beyond its length; \
                 did you mean the network 192.0.2.0/24 or the address 192.0.2.7?",
            ),
            (
                "2001:db8::1/32",
                "2001:db8::1/32 has bits beyond its length; \
                 did you mean the network 2001:db8::/32 or the address 2001:db8::1?",
            ),
            (
                "192.0.2.0/33",
                "`33` is not the length of a prefix; expected a number from 0 to 32",
            ),
            (
                "192.0.2.0/+8",
                "`+8` is not the length of a prefix; expected a number from 0 to 32",
            ),
            (
                "2001:db8::/129",
                "`129` is not the length of a prefix; expected a number from 0 to 128",
            ),
            (
                "::/",
                "`` is not the length of a prefix; expected a number from 0 to 128",
            ),
            (
                "192.0.2",
                "`192.0.2` is not an address; expected an address or a prefix, \
                 such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
            ),
            (
                "lns.example/24",
                "`lns.example/24` is not an address; expected an address or a prefix, \
                 such as 192.0.2.1, 192.0.2.0/24 or 2001:db8::/32",
            ),
        ] {
            let error = text.parse::<Prefix>().expect_err(text);
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_prefix_contains_its_own_family_only() {
        let contains = |prefix: &str, address: &str| {
            let prefix: Prefix = prefix.parse().expect(prefix);
            prefix.contains(address.parse().expect(address))
        };
        assert!(contains("192.0.2.0/24", "192.0.2.255"));
        assert!(!contains("192.0.2.0/24", "192.0.3.0"));
        assert!(contains("0.0.0.0/0", "203.0.113.1"));
        assert!(!contains("0.0.0.0/0", "::"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(!contains("2001:db8::/32", "2001:db9::"));
        assert!(contains("192.0.2.1", "192.0.2.1"));
        assert!(!contains("192.0.2.1", "192.0.2.0"));
    }

    proptest! {
        #[test]
        fn any_address_is_in_its_network(address: IpAddr, length in 0_u8..=128) {
            let length = length.min(longest(address));
            let network = Prefix::new(network(address, length), length).expect("no host bits");
            prop_assert!(network.contains(address));
            let last = network.last();
            prop_assert!(network.contains(last) && network.address() <= last);
            let hosts = 1_u128.checked_shl(u32::from(longest(address) - length));
            let hosts = hosts.map_or(u128::MAX, |size| size - 1);
            prop_assert_eq!(bits(last) - bits(network.address()), hosts);
            prop_assert_eq!(network.to_string().parse(), Ok(network));
        }

        #[test]
        fn any_text_is_a_prefix_or_not(text: String) {
            let _ = text.parse::<Prefix>();
        }
    }
}
