//! From a kind of garble and a refusal to the StopCCN that is wrong in that way.

use broken_lns_ebpf::template::MAX_MESSAGE_LEN;
use broken_lns_ebpf::twist::{OTHER_PORT, Twist};
use broken_lns_ebpf::wire::l2tp::{self, Message};

use crate::refusal::{Refusal, RefusalError};
use crate::scenario::garble::GarbleKind;

/// Where the flags stand in a message, its Length, and its Ns (RFC 2661 §3.1).
const FLAGS: usize = 0;
const LENGTH: usize = 2;
const NS: usize = 8;

/// The flags of a control message with another version, without the S bit, and
/// with all reserved bits. Right are T, L and S in version 2: 0xc802.
const VERSION_3: u16 = 0xc803;
const NO_SEQUENCE_BIT: u16 = 0xc002;
const RESERVED_BITS: u16 = 0xfcf2;

/// The M bit alone, which makes a length of 0, and with the greatest length (§4.1).
const NO_LENGTH: u16 = 0x8000;
const GREATEST_LENGTH: u16 = 0x83ff;

/// The M and H bits, and the length of an Assigned Tunnel ID AVP with the garbage below.
const HIDDEN: u16 = 0xc00a;
/// What looks like a hidden number: two octets of length and two of value, which
/// nobody can read (§4.3).
const HIDDEN_GARBAGE: [u8; 4] = [0x5a, 0xc3, 0x96, 0x3c];

/// An attribute type that the IETF has not assigned.
const UNKNOWN_ATTRIBUTE: u16 = 0xffff;
/// The message type that is reserved (§3.2).
const RESERVED_MESSAGE_TYPE: u16 = 0;

/// What follows behind the message. Read as an AVP it would be one of 1,023 octets.
const JUNK: [u8; 16] = [0xff; 16];
/// How far a wrong Length is off, and how much a truncated message lacks, in octets.
const OFF: u16 = 4;

/// A StopCCN that is wrong in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbled {
    /// The UDP payload, with 0 for Tunnel ID and Nr. It need not be as long as
    /// its header says.
    pub message: Vec<u8>,
    /// What is wrong beside the message.
    pub twist: Twist,
}

/// Garbles a refusal, for which [`GarbleKind::check`] must have nothing against the kind.
///
/// # Errors
///
/// [`RefusalError::MessageTooLong`], which [`Refusal::new`] saw to already.
pub fn garble(kind: GarbleKind, refusal: &Refusal) -> Result<Garbled, RefusalError> {
    let message = message(kind, refusal).ok_or(RefusalError::MessageTooLong {
        len: refusal.message().len(),
    })?;
    Ok(Garbled {
        message,
        twist: twist(kind),
    })
}

/// What is wrong beside the message.
pub(crate) fn twist(kind: GarbleKind) -> Twist {
    let none = Twist::NONE;
    match kind {
        GarbleKind::WrongTunnelId => Twist {
            tunnel_id_offset: 1,
            ..none
        },
        GarbleKind::ZeroTunnelId => Twist {
            tunnel_id_clear: 0xffff,
            ..none
        },
        GarbleKind::WrongNr => Twist {
            // One less: that is the Ns of the SCCRQ.
            nr_offset: 0xffff,
            ..none
        },
        GarbleKind::BadUdpChecksum => Twist {
            udp_sum_offset: 1,
            ..none
        },
        GarbleKind::BadIpChecksum => Twist {
            ipv4_sum_offset: 1,
            ..none
        },
        GarbleKind::WrongSourceAddress => Twist {
            source_address_invert: 1,
            ..none
        },
        GarbleKind::WrongSourcePort => Twist {
            source_port_offset: OTHER_PORT - l2tp::PORT,
            ..none
        },
        _ => none,
    }
}

/// The message; `None` where it does not fit.
fn message(kind: GarbleKind, refusal: &Refusal) -> Option<Vec<u8>> {
    let mut message = avps(kind, refusal).finish()?.to_vec();
    let last_avp = |len| message.len().checked_sub(len);
    let length = u16::try_from(message.len()).ok()?;
    match kind {
        GarbleKind::AvpOverrun => {
            let at = last_avp(l2tp::NUMBER_AVP_LEN)?;
            set(&mut message, at, GREATEST_LENGTH)?;
        }
        GarbleKind::HiddenGarbage => {
            let at = last_avp(l2tp::AVP_HEADER_LEN + HIDDEN_GARBAGE.len())?;
            set(&mut message, at, HIDDEN)?;
        }
        GarbleKind::AvpUnderrun => {
            let result_code = l2tp::HEADER_LEN + l2tp::NUMBER_AVP_LEN;
            set(&mut message, result_code, NO_LENGTH)?;
        }
        GarbleKind::LengthTooLong => set(&mut message, LENGTH, length.checked_add(OFF)?)?,
        GarbleKind::LengthTooShort => set(&mut message, LENGTH, length.checked_sub(OFF)?)?,
        GarbleKind::Truncated => message.truncate(usize::from(length.checked_sub(OFF)?)),
        GarbleKind::TrailingJunk => message.extend(JUNK),
        GarbleKind::WrongNs => set(&mut message, NS, 1)?,
        GarbleKind::Version3 => set(&mut message, FLAGS, VERSION_3)?,
        GarbleKind::NoSequenceBit => set(&mut message, FLAGS, NO_SEQUENCE_BIT)?,
        GarbleKind::ReservedBits => set(&mut message, FLAGS, RESERVED_BITS)?,
        _ => {}
    }
    Some(message)
}

/// The AVPs of the message, as far as they differ by more than a few bits.
fn avps(kind: GarbleKind, refusal: &Refusal) -> Message<MAX_MESSAGE_LEN> {
    let number = match kind {
        GarbleKind::ReservedMessageType => RESERVED_MESSAGE_TYPE,
        _ => l2tp::STOP_CCN,
    };
    let message_type = |message: Message<MAX_MESSAGE_LEN>| {
        message.avp(l2tp::MESSAGE_TYPE, &[&number.to_be_bytes()])
    };

    let result = match kind {
        GarbleKind::ByteSwappedResult => refusal.result().0.to_le_bytes(),
        _ => refusal.result().0.to_be_bytes(),
    };
    let error = refusal.error().map(|error| error.0.to_be_bytes());
    let error = error.as_ref().map_or(&[][..], <[u8; 2]>::as_slice);
    let text = refusal.message().as_bytes();
    let [high, _] = result;
    let value: &[&[u8]] = match (kind, text) {
        (GarbleKind::ShortResultCode, _) => &[&[high]],
        (GarbleKind::InvalidUtf8, [rest @ .., _]) => &[&result, error, rest, &[0xff]],
        _ => &[&result, error, text],
    };
    let result_code = |message: Message<MAX_MESSAGE_LEN>| message.avp(l2tp::RESULT_CODE, value);

    let id = refusal.assigned_tunnel_id().get().to_be_bytes();
    let id: &[u8] = match kind {
        GarbleKind::HiddenGarbage => &HIDDEN_GARBAGE,
        _ => &id,
    };
    let tunnel_id =
        |message: Message<MAX_MESSAGE_LEN>| message.avp(l2tp::ASSIGNED_TUNNEL_ID, &[id]);

    let empty = Message::new();
    match kind {
        GarbleKind::MissingMessageType => tunnel_id(result_code(empty)),
        GarbleKind::MissingResultCode => tunnel_id(message_type(empty)),
        GarbleKind::MissingAssignedTunnelId => result_code(message_type(empty)),
        GarbleKind::MessageTypeNotFirst => message_type(tunnel_id(result_code(empty))),
        GarbleKind::UnknownMandatoryAvp => {
            tunnel_id(result_code(message_type(empty))).avp(UNKNOWN_ATTRIBUTE, &[])
        }
        _ => tunnel_id(result_code(message_type(empty))),
    }
}

/// Puts a 16-bit number into a message, in network byte order; `None` where it does not fit.
fn set(message: &mut [u8], at: usize, number: u16) -> Option<()> {
    let place = message.get_mut(at..)?.first_chunk_mut()?;
    *place = number.to_be_bytes();
    Some(())
}

#[cfg(test)]
mod tests;
