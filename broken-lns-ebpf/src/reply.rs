//! From an SCCRQ and a template to the reply, in the frame of the request.
//!
//! This is the one writer: the kernel half and the workers both run it.

use crate::frame::{Frame, Window};
use crate::layers::IpVersion;
use crate::sccrq::Sccrq;
use crate::template::Template;
use crate::verifier::pin;
use crate::wire::{ethernet, ipv4, ipv6, l2tp, udp};

/// Octets of the frame that holds the reply.
#[inline(always)]
pub fn frame_len(sccrq: &Sccrq, template: &Template) -> usize {
    transport(sccrq) + template.datagram_len()
}

/// Where the reply's UDP header begins.
#[inline(always)]
pub(crate) fn transport(sccrq: &Sccrq) -> usize {
    let header_len = match sccrq.version {
        IpVersion::V4 => ipv4::HEADER_LEN,
        IpVersion::V6 => ipv6::HEADER_LEN,
    };
    usize::from(sccrq.network) + header_len
}

/// Turns the frame of the request, resized to [`frame_len`], into the reply.
///
/// `None` where the frame is shorter than that; it is then partly written and
/// must not be sent.
#[inline(always)]
pub fn write(frame: Frame<'_>, sccrq: &Sccrq, template: &Template) -> Option<()> {
    ethernet::Header::of(frame)?.swap_addresses();
    let network = frame.place(sccrq.network);
    let len = template.datagram_len();
    let twist = template.twist();
    let addresses = match sccrq.version {
        IpVersion::V4 => {
            let ip = ipv4::Header::at(network)?;
            ip.write_reply(template.ipv4(), twist.source_v4(ip.destination()))
        }
        IpVersion::V6 => {
            let ip = ipv6::Header::at(network)?;
            ip.write_reply(len as u16, twist.source_v6(ip.destination()))
        }
    };

    let transport = transport(sccrq);
    let udp = udp::Header::at(frame.place(transport as u16))?;
    let message = l2tp::Header::at(udp.payload())?;
    copy(frame, transport, template, len)?;
    let tunnel_id = twist.tunnel_id(sccrq.tunnel_id);
    let nr = twist.nr(sccrq.ns);
    let checksum = template
        .udp_sum()
        .plus(addresses)
        .plus16(sccrq.lac_port.to_be())
        .plus16(tunnel_id.to_be())
        .plus16(nr.to_be())
        .udp_checksum();
    udp.address(sccrq.lac_port, checksum);
    message.address(tunnel_id, nr);
    Some(())
}

/// Copies the template's datagram of `len` octets to `start`, in blocks. The
/// last block ends where the datagram does, over what is there already.
#[inline(always)]
fn copy(frame: Frame<'_>, start: usize, template: &Template, len: usize) -> Option<()> {
    // Kernels before 6.4 follow a comparison with a constant only: so what is left is counted
    // down, and not the blocks up.
    let (mut offset, mut left) = (0, len);
    while left >= 64 {
        let to = frame.window::<64>(start + offset)?;
        put32(to.part::<0, 32>(), template.octets(offset)?);
        put32(to.part::<32, 32>(), template.octets(offset + 32)?);
        offset += 64;
        left -= 64;
    }
    // From here on everything is derived from the bits of the length, for the same reason.
    if len & 32 != 0 {
        let done = len / 64 * 64;
        put32(frame.window(start + done)?, template.octets(done)?);
    }
    let last = template.last();
    if len >= 32 {
        put32(frame.window(pin(start + len - 32))?, last);
    } else {
        put16(frame.window(start)?, template.octets(0)?);
        put16(frame.window(pin(start + len - 16))?, last.last_chunk()?);
    }
    Some(())
}

/// Puts 32 octets, word by word: the copy that the compiler makes of an array is by octets, and
/// words that are all read before the first is written have no registers left.
#[inline(always)]
fn put32(to: Window<'_, 32>, from: &[u8; 32]) {
    to.set64::<0>(word::<0>(from));
    to.set64::<8>(word::<8>(from));
    to.set64::<16>(word::<16>(from));
    to.set64::<24>(word::<24>(from));
}

#[inline(always)]
fn put16(to: Window<'_, 16>, from: &[u8; 16]) {
    to.set64::<0>(word::<0>(from));
    to.set64::<8>(word::<8>(from));
}

/// The word at `AT`, as it lies in memory.
#[inline(always)]
fn word<const AT: usize>(octets: &[u8]) -> u64 {
    let word = octets.get(AT..).and_then(<[u8]>::first_chunk);
    word.map_or(0, |word| u64::from_ne_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use crate::template::StopCcn;
    use crate::twist::Twist;

    const SCCRQ: Sccrq = Sccrq {
        network: 14,
        version: IpVersion::V4,
        lac_port: 1025,
        tunnel_id: 7,
        ns: 0xffff,
    };

    /// The StopCCN 1, tunnel id 1, from 192.0.2.1 to 10.0.0.1:1025.
    const REPLY: [u8; 78] = [
        2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 64, 0, 0, 0x40, 0, 64, 17, 0x6e, 0xab, 192, 0, 2, 1, 10, 0, 0, 1, // IPv4
        0x06, 0xa5, 0x04, 0x01, 0, 44, 0xe0, 0x96, // UDP
        0xc8, 0x02, 0, 36, 0, 7, 0, 0, 0, 0, 0, 0, // L2TP
        0x80, 8, 0, 0, 0, 0, 0, 4, // Message Type: StopCCN
        0x80, 8, 0, 0, 0, 1, 0, 1, // Result Code: 1
        0x80, 8, 0, 0, 0, 9, 0, 1, // Assigned Tunnel ID: 1
    ];

    fn template() -> Template {
        let stop = StopCcn {
            result: 1,
            error: None,
            assigned_tunnel_id: 1,
        };
        Template::stop_ccn(&stop).unwrap()
    }

    /// A frame of which nothing is left of the request but what is read again.
    fn dirty() -> [u8; 78] {
        let mut frame = [0xa5; 78];
        frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        frame[26..34].copy_from_slice(&[10, 0, 0, 1, 192, 0, 2, 1]);
        frame
    }

    #[test]
    fn a_reply_is_written_over_anything() {
        let mut frame = dirty();
        assert_eq!(frame_len(&SCCRQ, &template()), frame.len());
        write(Frame::new(&mut frame), &SCCRQ, &template()).unwrap();
        assert_eq!(frame, REPLY);
    }

    /// The reply with one thing wrong: the octets that differ, in pairs of place and value.
    fn twisted(twist: Twist, differences: &[(usize, u8)]) {
        let mut expected = REPLY;
        for (at, octet) in differences {
            expected[*at] = *octet;
        }
        let template = template().twisted(twist);
        let mut frame = dirty();
        write(Frame::new(&mut frame), &SCCRQ, &template).unwrap();
        assert_eq!(frame, expected, "{twist:?}");
        let answer = Answer::of_reply(Frame::new(&mut frame), &SCCRQ).unwrap();
        let lns = answer.untwisted(twist).lns[0].to_ne_bytes();
        assert_eq!(lns, [192, 0, 2, 1, 0, 0, 0, 0]);
        // A twist takes the place of the one before and can be taken back.
        assert_eq!(template.twisted(Twist::NONE), self::template());
    }

    #[test]
    fn a_twist_changes_what_it_says_and_the_sums_over_it() {
        twisted(Twist::NONE, &[]);
        let with = |change: fn(&mut Twist)| {
            let mut twist = Twist::NONE;
            change(&mut twist);
            twist
        };
        twisted(
            with(|twist| twist.tunnel_id_offset = 1),
            &[(47, 8), (41, 0x95)],
        );
        twisted(
            with(|twist| twist.tunnel_id_clear = 0xffff),
            &[(47, 0), (41, 0x9d)],
        );
        twisted(
            with(|twist| twist.nr_offset = 0xffff),
            &[(52, 0xff), (53, 0xff)],
        );
        twisted(
            with(|twist| twist.source_port_offset = 1),
            &[(35, 0xa6), (41, 0x95)],
        );
        twisted(
            with(|twist| twist.source_address_invert = 1),
            &[(29, 0), (25, 0xac), (41, 0x97)],
        );
        twisted(
            with(|twist| twist.udp_sum_offset = 1u16.to_be()),
            &[(41, 0x95)],
        );
        twisted(
            with(|twist| twist.ipv4_sum_offset = 1u16.to_be()),
            &[(25, 0xaa)],
        );
    }

    #[test]
    fn the_shortest_reply_can_be_twisted() {
        let zlb = [0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
        let twist = Twist {
            source_port_offset: 1,
            ..Twist::NONE
        };
        let mut frame = dirty();
        let template = Template::new(&zlb).unwrap().twisted(twist);
        write(Frame::new(&mut frame[..54]), &SCCRQ, &template).unwrap();
        assert_eq!(frame[34..38], [0x06, 0xa6, 0x04, 0x01]);
    }

    #[test]
    fn a_frame_that_is_too_short_is_said() {
        for length in 0..REPLY.len() {
            let mut frame = dirty();
            let short = Frame::new(&mut frame[..length]);
            assert_eq!(write(short, &SCCRQ, &template()), None, "{length} octets");
        }
    }

    #[test]
    fn the_answer_is_told_from_the_reply() {
        let mut frame = REPLY;
        let answer = Answer::of_reply(Frame::new(&mut frame), &SCCRQ).unwrap();
        let first = |address: [u64; 2]| address[0].to_ne_bytes();
        assert_eq!(first(answer.lac), [10, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(first(answer.lns), [192, 0, 2, 1, 0, 0, 0, 0]);
        assert_eq!(
            (
                answer.ip_version,
                answer.lac_port,
                answer.tunnel_id,
                answer.ns
            ),
            (4, 1025, 7, 0xffff)
        );
    }
}
