//! The ready octets of a reply, made in user space, copied and patched by both halves.

use crate::twist::Twist;
use crate::wire::checksum::Sum;
use crate::wire::l2tp::{self, Message};
use crate::wire::{ipv4, udp};

/// The longest L2TP message that a template holds, in octets.
pub const MAX_MESSAGE_LEN: usize = 1400;
/// The shortest one: a header alone.
pub const MIN_MESSAGE_LEN: usize = l2tp::HEADER_LEN;

/// Octets of a UDP datagram with the longest message in it.
const MAX_DATAGRAM_LEN: usize = udp::HEADER_LEN + MAX_MESSAGE_LEN;

/// Room of a template: as many octets as eleven bits count.
///
/// The longest datagram needs less. But the compiler leaves out checks that the
/// longest length makes needless, and the verifier, once single bits of a length
/// were looked at, only knows how many bits it has.
const CAPACITY: usize = MAX_DATAGRAM_LEN.next_power_of_two();

/// One reply, complete but for what the request decides: addresses, the LAC's
/// port, Tunnel ID and Nr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(8))]
pub struct Template {
    /// The UDP header and the message, with zeros where they are patched.
    datagram: [u8; CAPACITY],
    /// The last 32 octets of the datagram, or all with zeros before them.
    last: [u8; 32],
    /// Octets of the datagram.
    len: u64,
    /// The sum over the datagram and the pseudo header, without what the
    /// request decides. It is the same for IPv4 and IPv6.
    udp_sum: Sum,
    /// The beginning of the IPv4 header.
    ipv4: ipv4::ReplyHead,
    /// What is wrong with the reply on purpose, besides its message.
    twist: Twist,
    /// Makes the size a whole number of words.
    _padding: u16,
}

impl Template {
    /// The template for `message`, whose Tunnel ID and Nr must be 0; `None`
    /// unless it has from 12 to 1,400 octets.
    pub fn new(message: &[u8]) -> Option<Self> {
        if !(MIN_MESSAGE_LEN..=MAX_MESSAGE_LEN).contains(&message.len()) {
            return None;
        }
        let len = udp::HEADER_LEN + message.len();
        let mut datagram = [0; CAPACITY];
        let payload = datagram.get_mut(udp::HEADER_LEN..len)?;
        payload.copy_from_slice(message);
        Self::complete(datagram, len, Twist::NONE)
    }

    /// The template whose message already lies in `datagram`, of which `len` octets count.
    ///
    /// Whatever of the twist is the same in every reply is done here, so that
    /// the writer has less to do.
    fn complete(mut datagram: [u8; CAPACITY], len: usize, twist: Twist) -> Option<Self> {
        *datagram.first_chunk_mut()? = udp::header(twist.source_port(), len as u16);
        let mut last = [0; 32];
        let end = last.len().min(len);
        let from = datagram.get(len - end..len)?;
        last.get_mut(32 - end..)?.copy_from_slice(from);
        Some(Self {
            datagram,
            last,
            len: len as u64,
            udp_sum: Sum::of(datagram.get(..len)?)
                .plus(udp::pseudo_sum(len as u16))
                .plus16(twist.udp_sum_offset),
            ipv4: ipv4::ReplyHead::new((ipv4::HEADER_LEN + len) as u16)
                .with_sum_offset(twist.ipv4_sum_offset),
            twist,
            _padding: 0,
        })
    }

    /// The same with something wrong on purpose, in place of what was wrong before.
    #[must_use]
    pub fn twisted(self, twist: Twist) -> Self {
        // A template that is there is complete, so that it always can be again.
        Self::complete(self.datagram, self.datagram_len(), twist).unwrap_or(self)
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

    /// Octets of the UDP header and the message: 20 to 1,408.
    #[inline(always)]
    pub fn datagram_len(&self) -> usize {
        // The kernel half reads it from a map: the bound is for the verifier,
        // the constructor lets no other value in. A mask and no comparison, since
        // kernels before 6.8 forget what they compared when they reload it.
        self.len as usize & (CAPACITY - 1)
    }

    /// What the reply's UDP checksum begins with.
    #[inline(always)]
    pub fn udp_sum(&self) -> Sum {
        self.udp_sum
    }

    /// What is wrong with the reply on purpose. Its source port and its sums are
    /// in the template already; the rest is for the writer.
    #[inline(always)]
    pub fn twist(&self) -> Twist {
        self.twist
    }

    /// What the reply's IPv4 header begins with.
    #[inline(always)]
    pub fn ipv4(&self) -> &ipv4::ReplyHead {
        &self.ipv4
    }

    /// The `N` octets of the datagram from `offset` on.
    #[inline(always)]
    pub fn octets<const N: usize>(&self, offset: usize) -> Option<&[u8; N]> {
        self.datagram.get(offset..)?.first_chunk()
    }

    /// The last 32 octets of the datagram; zeros before them where it is shorter.
    #[inline(always)]
    pub fn last(&self) -> &[u8; 32] {
        &self.last
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

    /// The message in a template, behind its UDP header.
    fn message(template: &Template) -> &[u8] {
        &template.datagram[8..template.datagram_len()]
    }

    #[test]
    fn a_stop_ccn_octet_by_octet() {
        let template = Template::stop_ccn(&StopCcn {
            result: 0,
            error: Some((4, b"Internal error")),
            assigned_tunnel_id: 12345,
        })
        .unwrap();
        assert_eq!(message(&template), DEFAULT);
        assert_eq!(template.octets(0), Some(&[0x06, 0xa5, 0, 0, 0, 60, 0, 0]));
        assert_eq!(template.last(), &DEFAULT[20..]);
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
            let template = Template::stop_ccn(&stop).unwrap();
            let message = message(&template);
            assert_eq!(&message[20..message.len() - 8], expected);
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
        assert_eq!(longest(&text[..1013]).unwrap().datagram_len(), 8 + 1051);
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
