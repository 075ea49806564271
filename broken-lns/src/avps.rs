//! The AVPs of a control message that lies in a slice, which may hold its beginning only.

use std::iter;

use broken_lns_ebpf::wire::l2tp::{AVP_HEADER_LEN, AvpBits, Flags, HEADER_LEN, IETF};

/// Octets of the header up to the end of Length.
const LENGTH_END: usize = 4;

/// An AVP of the RFC's own that is not hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avp<'m> {
    /// The attribute type.
    pub(crate) attribute: u16,
    /// The octets of the value, as far as they are there.
    pub(crate) value: &'m [u8],
    /// How many octets the value has.
    pub(crate) len: usize,
}

impl<'m> Avp<'m> {
    /// The value, if all of it is there.
    pub(crate) fn whole(self) -> Option<&'m [u8]> {
        (self.value.len() == self.len).then_some(self.value)
    }

    /// The first octets of the value, all where it has no more than so many; `None` where they
    /// are not there.
    pub(crate) fn start(self, most: usize) -> Option<&'m [u8]> {
        self.value.get(..self.len.min(most))
    }
}

/// The octets of a control message in the order of the wire, without what is behind it; empty
/// where they are of something else.
pub(crate) fn of_message(octets: &[u8]) -> &[u8] {
    match length(octets) {
        Some(length) => octets.get(..length).unwrap_or(octets),
        None => &[],
    }
}

/// The length that a control message claims in its header (RFC 2661 §3.1).
fn length(octets: &[u8]) -> Option<usize> {
    let [flags @ .., high, low] = *octets.first_chunk::<LENGTH_END>()?;
    let flags = Flags(u16::from_be_bytes(flags));
    let length = u16::from_be_bytes([high, low]).into();
    (flags.are_of_control_message() && length >= HEADER_LEN).then_some(length)
}

/// The AVPs of a control message (§4.1), up to the first one that is malformed, or of which not
/// even the header is there.
///
/// Those of other vendors and hidden ones, whose value nobody reads without the secret (§4.3),
/// are left out.
pub(crate) fn avps(octets: &[u8]) -> impl Iterator<Item = Avp<'_>> {
    let message = of_message(octets);
    let end = length(octets).unwrap_or(0);
    let mut at = HEADER_LEN;
    let all = iter::from_fn(move || {
        let here = message.get(at..)?;
        let [first @ .., v0, v1, a0, a1] = *here.first_chunk::<AVP_HEADER_LEN>()?;
        let bits = AvpBits(u16::from_be_bytes(first));
        let len = usize::from(bits.len()).checked_sub(AVP_HEADER_LEN)?;
        at = at.checked_add(usize::from(bits.len()))?;
        if at > end {
            return None;
        }
        let behind = here.get(AVP_HEADER_LEN..)?;
        let is_readable = u16::from_be_bytes([v0, v1]) == IETF && !bits.is_hidden();
        Some(is_readable.then_some(Avp {
            attribute: u16::from_be_bytes([a0, a1]),
            value: behind.get(..len).unwrap_or(behind),
            len,
        }))
    });
    all.flatten()
}

#[cfg(test)]
mod tests {
    use broken_lns_ebpf::wire::l2tp::{self, Message};
    use proptest::prelude::*;

    use super::*;

    /// The attributes with their values.
    fn read(octets: &[u8]) -> Vec<(u16, &[u8], usize)> {
        let read = avps(octets).map(|avp| (avp.attribute, avp.value, avp.len));
        read.collect()
    }

    #[test]
    fn avps_are_read_in_their_order() {
        let octets = [
            0xc8, 2, 0, 48, 0, 0, 0, 0, 0, 0, 0, 0, // header
            0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type
            0xc0, 8, 0, 0, 0, 7, 0xaa, 0xbb, // a hidden Host Name
            0x80, 8, 0, 9, 0, 7, 0xcc, 0xdd, // one of another vendor
            0x00, 6, 0, 0, 0, 8, // an empty Vendor Name
            0x80, 6, 0, 0, 0, 9, // an empty Assigned Tunnel ID
            0x80, 8, 0, 0, 0, 7, b'a', b'b', // behind the end
        ];
        let expected = [
            (l2tp::MESSAGE_TYPE, &[0, 1][..], 2),
            (l2tp::VENDOR_NAME, &[], 0),
            (l2tp::ASSIGNED_TUNNEL_ID, &[], 0),
        ];
        assert_eq!(read(&octets), expected);
        assert_eq!(of_message(&octets), &octets[..48]);
    }

    #[test]
    fn what_is_cut_off_is_told_as_far_as_it_is_there() {
        let mut message = Message::<64>::new()
            .avp(l2tp::HOST_NAME, &[b"lac"])
            .avp(l2tp::VENDOR_NAME, &[b"v"]);
        let message = message.finish().expect("fits");
        assert_eq!(message.len(), 28);
        for (len, expected) in [
            (28, &[(7, &b"lac"[..], 3), (8, b"v", 1)][..]),
            (27, &[(7, b"lac", 3), (8, b"", 1)]),
            (26, &[(7, b"lac", 3)]),
            (20, &[(7, b"la", 3)]),
            (18, &[(7, b"", 3)]),
            (17, &[]),
            (4, &[]),
            (3, &[]),
            (0, &[]),
        ] {
            assert_eq!(read(&message[..len]), expected, "{len} octets");
        }
        let cut = avps(&message[..20]).next().expect("its header is there");
        assert_eq!(
            (cut.whole(), cut.start(3), cut.start(2)),
            (None, None, Some(&b"la"[..]))
        );
    }

    #[test]
    fn what_is_malformed_ends_the_walk() {
        let with = |octets: &[u8], length: u8| {
            let mut message = vec![0xc8, 2, 0, length, 0, 0, 0, 0, 0, 0, 0, 0];
            message.extend_from_slice(octets);
            message
        };
        let avp = [0x80, 7, 0, 0, 0, 7, b'a'];
        let short = [0x80, 5, 0, 0, 0, 7, b'a'];
        assert_eq!(read(&with(&avp, 19)).len(), 1);
        // Beyond the end of the message, and shorter than its header.
        assert_eq!(read(&with(&avp, 18)), []);
        assert_eq!(read(&with(&short, 19)), []);
        assert_eq!(read(&with(&avp, 11)), []);
        let mut data = with(&avp, 19);
        data[0] = 0x48;
        assert_eq!(read(&data), []);
        assert!(of_message(&data).is_empty());
    }

    proptest! {
        #[test]
        fn any_octets_can_be_read(mut octets in prop::collection::vec(any::<u8>(), 0..200), plausible: bool) {
            if plausible && octets.len() > 4 {
                octets[..4].copy_from_slice(&[0xc8, 0x02, 0x00, 0xa0]);
            }
            for avp in avps(&octets) {
                prop_assert!(avp.value.len() <= avp.len);
            }
        }
    }
}
