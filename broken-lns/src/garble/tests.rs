use std::num::NonZeroU16;

use super::*;
use crate::codes::{ErrorCode, ResultCode};

/// Result 2, error 4, "Hé", tunnel id 12345.
fn refusal() -> Refusal {
    let id = NonZeroU16::new(12345).expect("not zero");
    Refusal::new(ResultCode(2), Some(ErrorCode(4)), "Hé", id).expect("short")
}

/// The right message: header, Message Type, Result Code, Assigned Tunnel ID.
const RIGHT: &[&[u8]] = &[
    &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
    &[0x80, 8, 0, 0, 0, 0, 0, 4],
    &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
    &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
];

/// Each kind with its message, and what else is wrong.
const GARBLED: &[(GarbleKind, &[&[u8]], Twist)] = &[
    (
        GarbleKind::WrongTunnelId,
        RIGHT,
        Twist {
            tunnel_id_offset: 1,
            ..Twist::NONE
        },
    ),
    (
        GarbleKind::ZeroTunnelId,
        RIGHT,
        Twist {
            tunnel_id_clear: 0xffff,
            ..Twist::NONE
        },
    ),
    (
        GarbleKind::MissingAssignedTunnelId,
        &[
            &[0xc8, 0x02, 0, 33, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::MissingResultCode,
        &[
            &[0xc8, 0x02, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::MissingMessageType,
        &[
            &[0xc8, 0x02, 0, 33, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::MessageTypeNotFirst,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::ReservedMessageType,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 0],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::UnknownMandatoryAvp,
        &[
            &[0xc8, 0x02, 0, 47, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
            &[0x80, 6, 0, 0, 0xff, 0xff],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::ShortResultCode,
        &[
            &[0xc8, 0x02, 0, 35, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 7, 0, 0, 0, 1, 0],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::AvpOverrun,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x83, 0xff, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::AvpUnderrun,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 0, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::LengthTooLong,
        &[
            &[0xc8, 0x02, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::LengthTooShort,
        &[
            &[0xc8, 0x02, 0, 37, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::WrongNs,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 1, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::WrongNr,
        RIGHT,
        Twist {
            nr_offset: 0xffff,
            ..Twist::NONE
        },
    ),
    (
        GarbleKind::Version3,
        &[
            &[0xc8, 0x03, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::NoSequenceBit,
        &[
            &[0xc0, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::ReservedBits,
        &[
            &[0xfc, 0xf2, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::HiddenGarbage,
        &[
            &[0xc8, 0x02, 0, 43, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0xc0, 10, 0, 0, 0, 9, 0x5a, 0xc3, 0x96, 0x3c],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::ByteSwappedResult,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 2, 0, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::TrailingJunk,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
            &[0xff; 16],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::Truncated,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xa9],
            &[0x80, 8, 0, 0],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::InvalidUtf8,
        &[
            &[0xc8, 0x02, 0, 41, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 8, 0, 0, 0, 0, 0, 4],
            &[0x80, 13, 0, 0, 0, 1, 0, 2, 0, 4, b'H', 0xc3, 0xff],
            &[0x80, 8, 0, 0, 0, 9, 0x30, 0x39],
        ],
        Twist::NONE,
    ),
    (
        GarbleKind::BadUdpChecksum,
        RIGHT,
        Twist {
            udp_sum_offset: 1,
            ..Twist::NONE
        },
    ),
    (
        GarbleKind::BadIpChecksum,
        RIGHT,
        Twist {
            ipv4_sum_offset: 1,
            ..Twist::NONE
        },
    ),
    (
        GarbleKind::WrongSourceAddress,
        RIGHT,
        Twist {
            source_address_invert: 1,
            ..Twist::NONE
        },
    ),
    (
        GarbleKind::WrongSourcePort,
        RIGHT,
        Twist {
            source_port_offset: 1,
            ..Twist::NONE
        },
    ),
];

#[test]
fn every_kind_octet_by_octet() {
    let kinds: Vec<_> = GARBLED.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(kinds, GarbleKind::ALL);
    for (kind, message, twist) in GARBLED {
        let expected = Garbled {
            message: message.concat(),
            twist: *twist,
        };
        assert_eq!(garble(*kind, &refusal()), Ok(expected), "{kind}");
    }
}

#[test]
fn every_kind_is_wrong() {
    for kind in GarbleKind::ALL {
        let garbled = garble(*kind, &refusal()).expect("short");
        assert!(
            garbled.message != RIGHT.concat() || garbled.twist != Twist::NONE,
            "{kind}"
        );
    }
}

#[test]
fn a_refusal_without_an_error_code_is_garbled_too() {
    let refusal = Refusal::new(ResultCode(0x0102), None, "", NonZeroU16::MIN).expect("short");
    for (kind, expected) in [
        (GarbleKind::WrongNs, &[0x80, 8, 0, 0, 0, 1, 1, 2][..]),
        (GarbleKind::ByteSwappedResult, &[0x80, 8, 0, 0, 0, 1, 2, 1]),
        (GarbleKind::ShortResultCode, &[0x80, 7, 0, 0, 0, 1, 1]),
        (GarbleKind::AvpUnderrun, &[0x80, 0, 0, 0, 0, 1, 1, 2]),
        // Which a scenario does not have.
        (GarbleKind::InvalidUtf8, &[0x80, 8, 0, 0, 0, 1, 1, 2]),
    ] {
        let message = garble(kind, &refusal).expect("short").message;
        assert_eq!(&message[20..message.len() - 8], expected, "{kind}");
    }
}

#[test]
fn the_longest_message_can_be_garbled() {
    let text = "x".repeat(crate::refusal::MESSAGE_LEN_MAX);
    let refusal = Refusal::new(ResultCode(2), Some(ErrorCode(6)), text, NonZeroU16::MIN);
    let refusal = refusal.expect("fits one AVP");
    for kind in GarbleKind::ALL {
        let message = garble(*kind, &refusal).expect("fits").message;
        assert!(message.len() <= MAX_MESSAGE_LEN, "{kind}");
    }
}
