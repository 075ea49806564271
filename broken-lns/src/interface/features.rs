//! The features of an interface that can be switched, by the names that the kernel has for them
//! and `ethtool -k` shows.

use std::io;

use super::ethtool::{self, Request};

const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;

/// The string set of the names of features.
const ETH_SS_FEATURES: u32 = 4;

/// Bits of a word of features.
const BITS: usize = 32;

/// The features of one interface, as they are now.
#[derive(Debug)]
pub(super) struct Features {
    interface: String,
    names: Vec<String>,
    /// `struct ethtool_get_features_block`: available, requested, active, never changed.
    blocks: Vec<[u32; 4]>,
}

/// How a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Feature {
    place: usize,
    /// Whether it is on.
    pub(super) on: bool,
    /// Whether it can be switched.
    pub(super) can_change: bool,
}

impl Features {
    /// Asks for those of an interface.
    pub(super) fn of(interface: &str) -> io::Result<Self> {
        // Command, reserved, the mask of one string set in two words, and its size.
        let [low, high] = [1 << ETH_SS_FEATURES, 0];
        let mut info = [ETHTOOL_GSSET_INFO, 0, low, high, 0];
        ethtool::ask(interface, &mut info)?;
        let [.., count] = info;
        let names = ethtool::strings(interface, ETH_SS_FEATURES, count)?;

        let blocks = names.len().div_ceil(BITS);
        let mut words = vec![0; 2 + 4 * blocks];
        words[..2].copy_from_slice(&[ETHTOOL_GFEATURES, blocks as u32]);
        ethtool::ask(interface, &mut words)?;
        Ok(Self {
            interface: interface.to_owned(),
            names,
            blocks: words[2..].as_chunks().0.to_vec(),
        })
    }

    /// The feature of that name, if the kernel has it.
    pub(super) fn get(&self, name: &str) -> Option<Feature> {
        let place = self.names.iter().position(|known| known == name)?;
        let [available, _, active, never_changed] = *self.blocks.get(place / BITS)?;
        let is_in = |word: u32| word >> (place % BITS) & 1 != 0;
        Some(Feature {
            place,
            on: is_in(active),
            can_change: is_in(available) && !is_in(never_changed),
        })
    }

    /// The request that switches all these, on or off.
    pub(super) fn switch(&self, features: &[Feature], on: bool) -> Request {
        // `struct ethtool_set_features_block`: valid, requested.
        let mut words = vec![0; 2 + 2 * self.blocks.len()];
        words[..2].copy_from_slice(&[ETHTOOL_SFEATURES, self.blocks.len() as u32]);
        for feature in features {
            let at = 2 + 2 * (feature.place / BITS);
            let bit = 1 << (feature.place % BITS);
            for word in words.iter_mut().skip(at).take(1 + usize::from(on)) {
                *word |= bit;
            }
        }
        Request::new(&self.interface, words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features of which the 33rd and the 34th have a name.
    fn features() -> Features {
        let mut names = vec![String::new(); 34];
        names[32] = "rx-vlan-filter".to_owned();
        names[33] = "rx-vlan-hw-parse".to_owned();
        Features {
            interface: "eth1".to_owned(),
            names,
            blocks: vec![[0; 4], [0b10, 0, 0b11, 0]],
        }
    }

    #[test]
    fn a_feature_is_on_or_off_and_may_be_fixed() {
        let features = features();
        let get = |name| {
            features
                .get(name)
                .map(|feature| (feature.on, feature.can_change))
        };
        assert_eq!(get("rx-vlan-filter"), Some((true, false)));
        assert_eq!(get("rx-vlan-hw-parse"), Some((true, true)));
        assert_eq!(get("no-such-feature"), None);
    }

    #[test]
    fn features_are_switched_by_their_bits() {
        let features = features();
        let parse = features.get("rx-vlan-hw-parse").expect("it is there");
        let words = |on| features.switch(&[parse], on).words().to_vec();
        assert_eq!(words(true), [ETHTOOL_SFEATURES, 2, 0, 0, 0b10, 0b10]);
        assert_eq!(words(false), [ETHTOOL_SFEATURES, 2, 0, 0, 0b10, 0]);
    }

    #[test]
    fn the_kernel_tells_its_features() {
        let features = Features::of("lo").expect("anybody may ask");
        let loopback = features.get("loopback").expect("it has one");
        assert!(loopback.on && !loopback.can_change);
        let error = Features::of("no-such-thing").expect_err("nobody has it");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
