//! L2TP in layers that neither half looks through for an answer, and what only looks like it.

use broken_lns_ebpf::verdict::Verdict;

use crate::fixtures::Case;

const MAC_ADDRESSES: usize = 12;
/// Where the packet begins in a frame without a tag.
const PACKET: usize = 14;

/// The octets of layers between the MAC addresses and the packet, each from its EtherType on.
const PPPOE_IPV4: &[u8] = &[0x88, 0x64, 0x11, 0, 0x12, 0x34, 0, 0x81, 0, 0x21];
const PPPOE_IPV6: &[u8] = &[0x88, 0x64, 0x11, 0, 0x12, 0x34, 0, 0x81, 0, 0x57];
const MPLS: &[u8] = &[0x88, 0x47, 0, 1, 0x21, 64];
const MPLS_TWICE: &[u8] = &[0x88, 0x47, 0, 1, 0x20, 64, 0, 2, 0x21, 64];
const MPLS_MULTICAST: &[u8] = &[0x88, 0x48, 0, 1, 0x21, 64];

/// Of these, `v4` and `v6` are frames without tags that are answered.
pub(crate) fn cases(v4: &[u8], v6: &[u8]) -> Vec<Case> {
    let within = |layers: &[&[u8]], frame: &[u8]| {
        [&frame[..MAC_ADDRESSES], &layers.concat(), &frame[PACKET..]].concat()
    };
    let changed = |at: usize, octet: u8| {
        let mut frame = v4.to_vec();
        frame[PACKET + at] = octet;
        within(&[MPLS], &frame)
    };
    let (ipv4, ipv6): (&[u8], &[u8]) = (&[0x08, 0x00], &[0x86, 0xdd]);
    let (tag, service): (&[u8], &[u8]) = (&[0x81, 0, 0, 1], &[0x88, 0xa8, 0, 1]);
    let unknown: &[u8] = &[0x93, 0, 0, 1];
    use Verdict::{Encapsulated, OtherTraffic};
    let mut cases = vec![
        (
            "three tags",
            within(&[tag, tag, tag, ipv4], v4),
            Encapsulated,
        ),
        (
            "four tags over IPv6",
            within(&[service, tag, tag, tag, ipv6], v6),
            Encapsulated,
        ),
        ("an unknown tag", within(&[unknown, ipv4], v4), Encapsulated),
        (
            "an unknown tag behind one",
            within(&[tag, unknown, ipv6], v6),
            Encapsulated,
        ),
        (
            "a tag behind an unknown one",
            within(&[unknown, tag, ipv4], v4),
            Encapsulated,
        ),
        ("within PPPoE", within(&[PPPOE_IPV4], v4), Encapsulated),
        ("IPv6 within PPPoE", within(&[PPPOE_IPV6], v6), Encapsulated),
        (
            "within PPPoE in QinQ",
            within(&[service, tag, PPPOE_IPV4], v4),
            Encapsulated,
        ),
        ("within MPLS", within(&[MPLS], v4), Encapsulated),
        ("IPv6 within MPLS", within(&[MPLS_TWICE], v6), Encapsulated),
        (
            "within MPLS of the other kind",
            within(&[MPLS_MULTICAST], v4),
            Encapsulated,
        ),
        (
            "an LNS's message within MPLS",
            {
                let mut frame = v4.to_vec();
                frame[34..38].copy_from_slice(&[0x06, 0xa5, 0x30, 0x39]);
                within(&[MPLS], &frame)
            },
            Encapsulated,
        ),
        (
            "IPv6 that says it is IPv4 within PPPoE",
            within(&[PPPOE_IPV4], v6),
            OtherTraffic,
        ),
        ("TCP within MPLS", changed(9, 6), OtherTraffic),
        ("a fragment within MPLS", changed(6, 0x20), OtherTraffic),
        (
            "another port within MPLS",
            {
                let mut frame = v4.to_vec();
                frame[34..38].copy_from_slice(&[0x30, 0x39, 0x06, 0xa6]);
                within(&[MPLS], &frame)
            },
            OtherTraffic,
        ),
        ("data within MPLS", changed(28, 0x40), OtherTraffic),
        ("L2TPv3 within MPLS", changed(29, 0x03), OtherTraffic),
        (
            "discovery of PPPoE",
            within(&[&[0x88, 0x63, 0x11, 0x09, 0, 0, 0, 0x81, 0, 0x21]], v4),
            OtherTraffic,
        ),
    ];
    let whole = within(&[MPLS_TWICE], v4);
    for length in PACKET..MAC_ADDRESSES + MPLS_TWICE.len() + 40 {
        cases.push(("within MPLS, cut", whole[..length].to_vec(), OtherTraffic));
    }
    cases
}
