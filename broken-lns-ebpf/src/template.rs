//! The ready octets of a reply, made in user space, copied and patched by both halves.

use crate::wire::checksum::Sum;
use crate::wire::l2tp::{self, Message};
use crate::wire::{ipv4, udp};

/// The longest L2TP message that a template holds, in octets.
pub const MAX_MESSAGE_LEN: usize = 1400;
/// The shortest one: a header alone.
pub const MIN_MESSAGE_LEN: usize = l2tp::HEADER_LEN;

/// Words of a template: as many as octets counted in eleven bits fill.
///
/// The longest message needs fewer. But the compiler leaves out checks that the
/// longest length makes needless, and the verifier, once single bits of a length
/// were looked at, only knows how many bits it has.
const WORDS: usize = MAX_MESSAGE_LEN.next_power_of_two() / 8;

/// One reply, complete but for what the request decides: addresses, the LAC's
/// port, Tunnel ID and Nr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Template {
    /// The message, with zeros where it is patched.
    words: [u64; WORDS],
    /// The last eight octets of the message.
    last: u64,
    /// The sum over the message, the UDP header and the pseudo header, without
    /// what the request decides. It is the same for IPv4 and IPv6.
    udp_sum: Sum,
    /// The sum over the IPv4 header without the addresses.
    ipv4_sum: Sum,
    /// Octets of the message.
    len: u64,
}

impl Template {
    /// The template for `message`, whose Tunnel ID and Nr must be 0; `None`
    /// unless it has from 12 to 1,400 octets.
    pub fn new(message: &[u8]) -> Option<Self> {
        if !(MIN_MESSAGE_LEN..=MAX_MESSAGE_LEN).contains(&message.len()) {
            return None;
        }
        let mut words = [0; WORDS];
        for (word, octets) in words.iter_mut().zip(message.chunks(8)) {
            let mut padded = [0; 8];
            padded.get_mut(..octets.len())?.copy_from_slice(octets);
            *word = u64::from_ne_bytes(padded);
        }
        let last = u64::from_ne_bytes(*message.last_chunk()?);
        let udp_len = (udp::HEADER_LEN + message.len()) as u16;
        let udp_sum = Sum::of(message)
            .plus(udp::pseudo_sum(udp_len))
            .plus16(l2tp::PORT.to_be())
            .plus16(udp_len.to_be());
        Some(Self {
            words,
            last,
            udp_sum,
            ipv4_sum: ipv4::constant_sum(ipv4::HEADER_LEN as u16 + udp_len),
            len: message.len() as u64,
        })
    }

    /// The template for a StopCCN; `None` where `message` is longer than one
    /// AVP holds.
    ///
    /// The AVPs come in the order Message Type, Result Code, Assigned Tunnel ID.
    pub fn stop_ccn(stop: &StopCcn<'_>) -> Option<Self> {
        let result = stop.result.to_be_bytes();
        let error = stop.error.map(|(code, _)| code.to_be_bytes());
        let result_code: [&[u8]; 3] = [
            &result,
            error.as_ref().map_or(&[], <[u8; 2]>::as_slice),
            stop.error.map_or(&[], |(_, message)| message),
        ];
        let mut message = Message::<MAX_MESSAGE_LEN>::new()
            .avp(l2tp::MESSAGE_TYPE, &[&l2tp::STOP_CCN.to_be_bytes()])
            .avp(l2tp::RESULT_CODE, &result_code)
            .avp(
                l2tp::ASSIGNED_TUNNEL_ID,
                &[&stop.assigned_tunnel_id.to_be_bytes()],
            );
        Self::new(message.finish()?)
    }

    /// Octets of the message: 12 to 1,400.
    #[inline(always)]
    pub fn message_len(&self) -> usize {
        // The kernel half reads it from a map: the bound is for the verifier,
        // the constructor lets no other value in.
        (self.len as usize).clamp(MIN_MESSAGE_LEN, MAX_MESSAGE_LEN)
    }

    /// What the reply's UDP checksum begins with.
    #[inline(always)]
    pub fn udp_sum(&self) -> Sum {
        self.udp_sum
    }

    /// What the reply's IPv4 header checksum begins with.
    #[inline(always)]
    pub fn ipv4_sum(&self) -> Sum {
        self.ipv4_sum
    }

    /// The `N` words of the message from word `index` on, in memory order.
    #[inline(always)]
    pub fn words<const N: usize>(&self, index: usize) -> Option<&[u64; N]> {
        self.words.get(index..)?.first_chunk()
    }

    /// The last eight octets of the message, in memory order.
    #[inline(always)]
    pub fn last_word(&self) -> u64 {
        self.last
    }
}

/// What a StopCCN says (RFC 2661 §6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopCcn<'a> {
    /// The result code (§4.4.2).
    pub result: u16,
    /// The error code and the error message, which may be empty.
    pub error: Option<(u16, &'a [u8])>,
    /// The Assigned Tunnel ID of the sender (§4.4.3).
    pub assigned_tunnel_id: u16,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The StopCCN with the defaults of the command line, before it is patched.
    const DEFAULT: [u8; 52] = [
        0xc8, 0x02, 0x00, 0x34, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // header
        0x80, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, // Message Type: StopCCN
        0x80, 0x18, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x04, // Result Code: 0, error 4
        b'I', b'n', b't', b'e', b'r', b'n', b'a', b'l', b' ', b'e', b'r', b'r', b'o', b'r', 0x80,
        0x08, 0x00, 0x00, 0x00, 0x09, 0x30, 0x39, // Assigned Tunnel ID: 12345
    ];

    fn octets(template: &Template) -> ([u8; 1400], usize) {
        let mut octets = [0; 1400];
        let words: &[u64; 175] = template.words(0).unwrap();
        for (to, word) in octets.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        (octets, template.message_len())
    }

    #[test]
    fn a_stop_ccn_octet_by_octet() {
        let template = Template::stop_ccn(&StopCcn {
            result: 0,
            error: Some((4, b"Internal error")),
            assigned_tunnel_id: 12345,
        })
        .unwrap();
        let (octets, len) = octets(&template);
        assert_eq!(octets[..len], DEFAULT);
        assert_eq!(template.last_word().to_ne_bytes(), DEFAULT[44..]);
    }

    #[test]
    fn error_code_and_message_can_be_left_out() {
        for (error, expected) in [
            (None, &[0x80, 0x08, 0, 0, 0, 1, 0, 2][..]),
            (Some((7, &b""[..])), &[0x80, 0x0a, 0, 0, 0, 1, 0, 2, 0, 7]),
            (Some((7, b"x")), &[0x80, 0x0b, 0, 0, 0, 1, 0, 2, 0, 7, b'x']),
        ] {
            let stop = StopCcn {
                result: 2,
                error,
                assigned_tunnel_id: 1,
            };
            let (octets, len) = octets(&Template::stop_ccn(&stop).unwrap());
            assert_eq!(&octets[20..len - 8], expected);
        }
    }

    #[test]
    fn a_message_fills_one_avp_and_no_more() {
        let text = [b'x'; 1014];
        let longest = |message| {
            Template::stop_ccn(&StopCcn {
                result: 2,
                error: Some((6, message)),
                assigned_tunnel_id: 1,
            })
        };
        assert_eq!(longest(&text[..1013]).unwrap().message_len(), 1051);
        assert_eq!(longest(&text), None);
    }

    #[test]
    fn a_template_holds_12_to_1400_octets() {
        let message = [1; 1401];
        for (len, fits) in [(11, false), (12, true), (1400, true), (1401, false)] {
            assert_eq!(Template::new(&message[..len]).is_some(), fits, "{len}");
        }
    }
}
