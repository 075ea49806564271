//! What a worker knows of its interface, and what changes of that while it runs.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::wire::ethernet::{self, MacAddress};

/// What is so of the interface now. One thread sets it, and a worker looks once for each batch.
#[derive(Debug)]
pub(super) struct Own {
    mac: AtomicU64,
    mtu: AtomicU32,
}

impl Own {
    /// With this MAC address, where it matters, and an MTU that nothing is too long for.
    pub(super) fn new(mac: Option<MacAddress>) -> Self {
        Self {
            mac: AtomicU64::new(mac.map_or(0, MacAddress::to_word)),
            mtu: AtomicU32::new(u32::MAX),
        }
    }

    pub(super) fn set_mac(&self, mac: MacAddress) {
        self.mac.store(mac.to_word(), Ordering::Relaxed);
    }

    pub(super) fn set_mtu(&self, mtu: u32) {
        self.mtu.store(mtu, Ordering::Relaxed);
    }

    /// The MAC address.
    #[inline]
    pub(super) fn mac(&self) -> MacAddress {
        MacAddress::from_word(self.mac.load(Ordering::Relaxed))
    }

    /// Octets that an IP packet may have.
    #[inline]
    pub(super) fn mtu(&self) -> usize {
        self.mtu.load(Ordering::Relaxed) as usize
    }
}

/// Whether the IP packet in a frame has more octets than the MTU.
pub(super) fn is_over(mtu: usize, frame: &mut [u8]) -> bool {
    let len = frame.len();
    let payload = ethernet::payload(Frame::new(frame));
    payload.is_some_and(|payload| len.saturating_sub(payload.offset.into()) > mtu)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_no_part_of_what_the_mtu_is_about() {
        let untagged = [&[0; 12][..], &[0x08, 0x00], &[0; 100]].concat();
        let tagged = [&[0; 12][..], &[0x81, 0, 0, 7, 0x08, 0x00], &[0; 100]].concat();
        for (frame, mtu, over) in [
            (&untagged, 100, false),
            (&untagged, 99, true),
            (&tagged, 100, false),
            (&tagged, 99, true),
        ] {
            assert_eq!(is_over(mtu, &mut frame.clone()), over, "{mtu}");
        }
        assert!(!is_over(0, &mut [0; 13]));
    }
}
