//! The StopCCN whose codes are in the address of its LNS.
//!
//! Its template is made in user space with zeros in place of the codes, which
//! both halves write over a reply that is otherwise complete.

use crate::frame::Frame;
use crate::layers::IpVersion;
use crate::reply;
use crate::sccrq::Sccrq;
use crate::template::{StopCcn, Template};
use crate::wire::checksum::Sum;
use crate::wire::ipv6::Address;
use crate::wire::{l2tp, udp};

/// The fourth octet of an IPv4 address that stands for no error code.
const NO_ERROR: u64 = 255;

/// The error message, without the digits of the codes.
const MESSAGE: [u8; MESSAGE_LEN] = *b"result \0\0\0\0\0, error \0\0\0\0\0";
const MESSAGE_LEN: usize = 25;

/// Where in the datagram the result code is: behind the Message Type AVP and the header of its own.
const RESULT: usize =
    udp::HEADER_LEN + l2tp::HEADER_LEN + l2tp::NUMBER_AVP_LEN + l2tp::AVP_HEADER_LEN;
/// Octets from there to the end of the message.
const CODES_LEN: usize = 4 + MESSAGE_LEN;

/// The codes that an LNS address spells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// The result code.
    pub result: u16,
    /// The error code, where there is one.
    pub error: Option<u16>,
}

impl Codes {
    /// In IPv4 the third and the fourth octet, the latter none where it is 255; in IPv6 the
    /// last two groups. The address is in memory order; an IPv4 address is the first word.
    #[inline(always)]
    pub fn of(version: IpVersion, lns: Address) -> Self {
        match version {
            IpVersion::V4 => {
                let bits = u64::from(u32::from_be(lns[0] as u32));
                let error = bits & 0xff;
                Self {
                    result: (bits >> 8 & 0xff) as u16,
                    error: (error != NO_ERROR).then_some(error as u16),
                }
            }
            IpVersion::V6 => {
                let bits = u64::from_be(lns[1]);
                Self {
                    result: (bits >> 16) as u16,
                    error: Some(bits as u16),
                }
            }
        }
    }

    /// The templates for a reply with an error code, and for one without, which has no message
    /// either.
    pub fn templates(assigned_tunnel_id: u16) -> Option<(Template, Template)> {
        let template = |error| {
            Template::stop_ccn(&StopCcn {
                result: 0,
                error,
                assigned_tunnel_id,
            })
        };
        Some((template(Some((0, &MESSAGE)))?, template(None)?))
    }

    /// Writes the codes into a reply that [`reply::write`] made of the template for them; `None`
    /// where the frame is too short for it.
    #[inline(always)]
    pub fn write(self, frame: Frame<'_>, sccrq: &Sccrq) -> Option<()> {
        let start = reply::transport(sccrq);
        let udp = udp::Header::at(frame.place(start as u16))?;
        let mut sum = Sum::ZERO.plus16(self.result.to_be());
        match self.error {
            None => frame
                .window::<2>(start + RESULT)?
                .set_number16::<0>(self.result),
            Some(error) => {
                let to = frame.window::<CODES_LEN>(start + RESULT)?;
                to.set_number16::<0>(self.result);
                to.set_number16::<2>(error);
                let [a, b, c, d, e] = digits(self.result);
                to.set_octet::<11>(a);
                to.set16::<12>(u16::from_ne_bytes([b, c]));
                to.set16::<14>(u16::from_ne_bytes([d, e]));
                sum = sum
                    .plus16(error.to_be())
                    .plus16(u16::from_ne_bytes([0, a]))
                    .plus16(u16::from_ne_bytes([b, c]))
                    .plus16(u16::from_ne_bytes([d, e]));
                let [a, b, c, d, e] = digits(error);
                to.set16::<24>(u16::from_ne_bytes([a, b]));
                to.set16::<26>(u16::from_ne_bytes([c, d]));
                to.set_octet::<28>(e);
                sum = sum
                    .plus16(u16::from_ne_bytes([a, b]))
                    .plus16(u16::from_ne_bytes([c, d]))
                    .plus16(u16::from_ne_bytes([e, 0]));
            }
        }
        // There were zeros, so that the sum only grows (RFC 1624).
        let rest = Sum::ZERO.plus16(!udp.checksum());
        udp.address(sccrq.lac_port, rest.plus(sum).udp_checksum());
        Some(())
    }
}

/// The five digits of a number.
#[inline(always)]
fn digits(number: u16) -> [u8; 5] {
    let number = u32::from(number);
    let digit = |unit: u32| b'0' + (number / unit % 10) as u8;
    [digit(10_000), digit(1000), digit(100), digit(10), digit(1)]
}

#[cfg(test)]
mod tests {
    use std::vec;

    use proptest::prelude::*;

    use super::*;

    fn v4(octets: [u8; 4]) -> Address {
        [u32::from_ne_bytes(octets).into(), 0]
    }

    #[test]
    fn an_address_spells_its_codes() {
        for (octets, result, error) in [
            ([10, 64, 2, 4], 2, Some(4)),
            ([10, 64, 0, 0], 0, Some(0)),
            ([10, 64, 254, 254], 254, Some(254)),
            ([10, 64, 1, 255], 1, None),
            ([10, 64, 255, 255], 255, None),
        ] {
            let expected = Codes { result, error };
            assert_eq!(Codes::of(IpVersion::V4, v4(octets)), expected);
        }
        let mut octets = [0; 8];
        octets[4..].copy_from_slice(&[1, 2, 0, 255]);
        let lns = [7, u64::from_ne_bytes(octets)];
        let expected = Codes {
            result: 0x0102,
            error: Some(255),
        };
        assert_eq!(Codes::of(IpVersion::V6, lns), expected);
    }

    fn sccrq(version: IpVersion) -> Sccrq {
        Sccrq {
            network: 14,
            version,
            lac_port: 1025,
            tunnel_id: 7,
            ns: 3,
        }
    }

    /// The reply in a frame whose octets were all the same.
    fn reply(template: &Template, version: IpVersion, codes: Option<Codes>) -> vec::Vec<u8> {
        let sccrq = sccrq(version);
        let mut octets = vec![0xa5; reply::frame_len(&sccrq, template)];
        let frame = Frame::new(&mut octets);
        reply::write(frame, &sccrq, template).unwrap();
        if let Some(codes) = codes {
            codes.write(frame, &sccrq).unwrap();
        }
        octets
    }

    #[test]
    fn the_message_says_both_codes() {
        let codes = Codes {
            result: 2,
            error: Some(65535),
        };
        let (template, _) = Codes::templates(12345).unwrap();
        let octets = reply(&template, IpVersion::V4, Some(codes));
        let start = 14 + 20 + RESULT;
        assert_eq!(octets[start..start + 4], [0, 2, 0xff, 0xff]);
        assert_eq!(&octets[start + 4..][..25], b"result 00002, error 65535");
    }

    proptest! {
        #[test]
        fn codes_that_are_written_are_as_if_they_had_been_in_the_template(
            result: u16,
            error: Option<u16>,
            is_v4: bool,
        ) {
            let version = if is_v4 { IpVersion::V4 } else { IpVersion::V6 };
            let text = std::format!("result {result:05}, error {:05}", error.unwrap_or(0));
            let whole = Template::stop_ccn(&StopCcn {
                result,
                error: error.map(|error| (error, text.as_bytes())),
                assigned_tunnel_id: 12345,
            });
            let (with_error, without) = Codes::templates(12345).unwrap();
            let template = if error.is_some() { with_error } else { without };
            prop_assert_eq!(
                reply(&template, version, Some(Codes { result, error })),
                reply(&whole.unwrap(), version, None)
            );
        }
    }
}
