//! The StopCCN whose codes are in the address of its LNS.

use std::io::{Cursor, Write as _};

use broken_lns_ebpf::sccrq::IpVersion;
use broken_lns_ebpf::template::{StopCcn, Template};
use broken_lns_ebpf::wire::ipv6::Address;

/// The fourth octet that stands for no error code.
const NO_ERROR: u8 = 255;
/// Octets of the longest message.
const MESSAGE_LEN: usize = "result 65535, error 65535".len();

/// The codes that an LNS address spells: in IPv4 the third and the fourth octet, the
/// latter none where it is 255, in IPv6 the last two groups. The address is in memory
/// order; an IPv4 address is the first word.
pub fn codes(version: IpVersion, lns: Address) -> (u16, Option<u16>) {
    let [first, second] = lns.map(u64::to_ne_bytes);
    match version {
        IpVersion::V4 => {
            let [_, _, result, error, ..] = first;
            let error = (error != NO_ERROR).then_some(error.into());
            (result.into(), error)
        }
        IpVersion::V6 => {
            let [_, _, _, _, a, b, c, d] = second;
            (u16::from_be_bytes([a, b]), Some(u16::from_be_bytes([c, d])))
        }
    }
}

/// The StopCCN with these codes. Its message says both; without an error code there
/// is no room for a message.
///
/// It takes no memory but its own. `None` never comes, for the message is short.
pub fn template(codes: (u16, Option<u16>), assigned_tunnel_id: u16) -> Option<Template> {
    let (result, error) = codes;
    let mut text = Cursor::new([0; MESSAGE_LEN]);
    if let Some(error) = error {
        write!(text, "result {result}, error {error}").ok()?;
    }
    let len = usize::try_from(text.position()).ok()?;
    let text = text.get_ref().get(..len)?;
    Template::stop_ccn(&StopCcn {
        result,
        error: error.map(|error| (error, text)),
        assigned_tunnel_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(octets: [u8; 4]) -> Address {
        [u32::from_ne_bytes(octets).into(), 0]
    }

    #[test]
    fn an_address_spells_its_codes() {
        for (octets, expected) in [
            ([10, 64, 2, 4], (2, Some(4))),
            ([10, 64, 0, 0], (0, Some(0))),
            ([10, 64, 254, 254], (254, Some(254))),
            ([10, 64, 1, 255], (1, None)),
            ([10, 64, 255, 255], (255, None)),
        ] {
            assert_eq!(codes(IpVersion::V4, v4(octets)), expected);
        }
        let mut octets = [0; 8];
        octets[4..].copy_from_slice(&[1, 2, 0, 255]);
        let lns = [7, u64::from_ne_bytes(octets)];
        assert_eq!(codes(IpVersion::V6, lns), (0x0102, Some(255)));
    }

    #[test]
    fn the_message_says_both_codes() {
        let expected = |result, error| {
            Template::stop_ccn(&StopCcn {
                result,
                error,
                assigned_tunnel_id: 12345,
            })
        };
        let longest = (65535, Some(65535));
        assert_eq!(
            template(longest, 12345),
            expected(65535, Some((65535, b"result 65535, error 65535")))
        );
        assert_eq!(
            template((2, Some(7)), 12345),
            expected(2, Some((7, b"result 2, error 7")))
        );
        assert_eq!(template((2, None), 12345), expected(2, None));
    }
}
