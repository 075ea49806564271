//! What a LAC says in a message of its own: its codes and its text.

use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::wire::l2tp::{self, Avp};

use super::findings::LacMessage;

/// Octets of a message that are looked at.
const LOOKED_AT: usize = 512;
/// Octets of an error message that are kept.
const TEXT_MAX: usize = 128;

/// What a message says, and which tunnel it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) message: LacMessage,
    /// The tunnel id that the LAC assigned, where it says that (RFC 2661 §4.4.3).
    pub(super) assigned_tunnel_id: Option<u16>,
}

/// Reads a message of the LAC, of which the beginning is there.
///
/// Codes and text are those of the first Result Code AVP that is not hidden (RFC 2661
/// §4.4.2). What is cut off or wrong is left out.
pub(super) fn read(message_type: u16, message: &[u8]) -> Said {
    let mut octets = message.get(..LOOKED_AT).unwrap_or(message).to_vec();
    let value = value(&mut octets, l2tp::RESULT_CODE).unwrap_or_default();
    let text = value.get(4..).filter(|text| !text.is_empty());
    let message = LacMessage {
        message_type,
        result: number(&value, 0),
        error: number(&value, 2),
        text: text.map(|text| {
            let text = text.get(..TEXT_MAX).unwrap_or(text);
            String::from_utf8_lossy(text).into_owned()
        }),
    };
    let assigned = self::value(&mut octets, l2tp::ASSIGNED_TUNNEL_ID);
    Said {
        message,
        assigned_tunnel_id: assigned.and_then(|value| number(&value, 0)),
    }
}

/// The number in two octets of a value.
fn number(value: &[u8], at: usize) -> Option<u16> {
    let octets = value.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*octets))
}

/// The value of the first AVP of that type, as far as it is there.
fn value(octets: &mut [u8], attribute: u16) -> Option<Vec<u8>> {
    let header = l2tp::Header::at(Frame::new(octets).place(0))?;
    if !header.flags().are_of_control_message() {
        return None;
    }
    let end = usize::from(header.len());
    let mut at = l2tp::HEADER_LEN;
    while at < end {
        // An AVP is looked at from the octet before it.
        let avp = Avp::behind(Frame::new(octets).place(at as u16 - 1))?;
        let len = usize::from(avp.len());
        let (is_wanted, is_hidden) = (avp.is(attribute), avp.bits().is_hidden());
        if len < l2tp::AVP_HEADER_LEN || at + len > end {
            return None;
        }
        if is_wanted && !is_hidden {
            let value = octets.get(at + l2tp::AVP_HEADER_LEN..)?;
            let len = len - l2tp::AVP_HEADER_LEN;
            return Some(value.get(..len).unwrap_or(value).to_vec());
        }
        at += len;
    }
    None
}

#[cfg(test)]
mod tests {
    use broken_lns_ebpf::wire::l2tp::Message;
    use proptest::prelude::*;

    use super::*;

    fn stop_ccn(result: &[&[u8]]) -> Vec<u8> {
        let mut message = Message::<900>::new()
            .avp(l2tp::MESSAGE_TYPE, &[&l2tp::STOP_CCN.to_be_bytes()])
            .avp(l2tp::ASSIGNED_TUNNEL_ID, &[&[0, 7]])
            .avp(l2tp::RESULT_CODE, result);
        message.finish().expect("fits").to_vec()
    }

    #[test]
    fn codes_and_text() {
        let read = |result: &[&[u8]]| {
            let Said {
                message,
                assigned_tunnel_id,
            } = read(4, &stop_ccn(result));
            assert_eq!((message.message_type, assigned_tunnel_id), (4, Some(7)));
            (message.result, message.error, message.text)
        };
        assert_eq!(read(&[&[0, 6]]), (Some(6), None, None));
        assert_eq!(read(&[&[0, 2, 0, 4]]), (Some(2), Some(4), None));
        let bye = Some("bye".to_owned());
        assert_eq!(read(&[&[0, 2, 0, 4], b"bye"]), (Some(2), Some(4), bye));
        let long = [b'x'; 600];
        let kept = Some("x".repeat(TEXT_MAX));
        assert_eq!(read(&[&[0, 1, 0, 0], &long]), (Some(1), Some(0), kept));
        let broken = Some("a\u{fffd}b".to_owned());
        assert_eq!(
            read(&[&[0, 1, 0, 0], b"a\xffb"]),
            (Some(1), Some(0), broken)
        );
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let message = stop_ccn(&[&[0, 2, 0, 4], b"bye"]);
        let all = message.len();
        let read = |len: usize| read(4, &message[..len]).message;
        assert_eq!(read(all - 1).text.as_deref(), Some("by"));
        assert_eq!(read(all - 3).error, Some(4));
        assert_eq!(read(all - 4).error, None);
        assert_eq!(read(all - 4).result, Some(2));
        assert_eq!(read(20).result, None);
        assert_eq!(read(0).result, None);
    }

    proptest! {
        #[test]
        fn any_octets_can_be_read(mut octets in prop::collection::vec(any::<u8>(), 0..700), plausible: bool) {
            if plausible && octets.len() > 4 {
                octets[..4].copy_from_slice(&[0xc8, 0x02, 0x02, 0x00]);
            }
            read(4, &octets);
        }
    }
}
