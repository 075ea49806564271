//! L2TP version 2 control messages and their AVPs (RFC 2661 §3.1, §4).

use crate::frame::{Place, Window};

/// The UDP port on which an LNS listens (RFC 2661 §8.1).
pub const PORT: u16 = 1701;
/// Octets of the header of a control message.
pub const HEADER_LEN: usize = 12;
/// Octets of an AVP in front of its value.
pub const AVP_HEADER_LEN: usize = 6;
/// The greatest length that an AVP can claim.
pub const AVP_MAX_LEN: usize = 0x3ff;

/// The vendor id of the AVPs that the RFC defines.
pub const IETF: u16 = 0;
/// Attribute type of Message Type (§4.4.1).
pub const MESSAGE_TYPE: u16 = 0;
/// Attribute type of Result Code (§4.4.2).
pub const RESULT_CODE: u16 = 1;
/// Attribute type of Tie Breaker (§4.4.3).
pub const TIE_BREAKER: u16 = 5;
/// Attribute type of Firmware Revision (§4.4.3).
pub const FIRMWARE_REVISION: u16 = 6;
/// Attribute type of Host Name (§4.4.3).
pub const HOST_NAME: u16 = 7;
/// Attribute type of Vendor Name (§4.4.3).
pub const VENDOR_NAME: u16 = 8;
/// Attribute type of Assigned Tunnel ID (§4.4.3).
pub const ASSIGNED_TUNNEL_ID: u16 = 9;

/// Message type of Start-Control-Connection-Request (§6.1).
pub const SCCRQ: u16 = 1;
/// Message type of Start-Control-Connection-Reply (§6.2).
pub const SCCRP: u16 = 2;
/// Message type of Stop-Control-Connection-Notification (§6.4).
pub const STOP_CCN: u16 = 4;

/// Where Tunnel ID stands in a message.
pub const TUNNEL_ID: usize = 4;
/// Where Nr stands in a message.
pub const NR: usize = 10;

const FLAGS: usize = 0;
const LENGTH: usize = 2;
const NS: usize = 8;

const TYPE_BIT: u16 = 0x8000;
const LENGTH_BIT: u16 = 0x4000;
const SEQUENCE_BIT: u16 = 0x0800;
const OFFSET_BIT: u16 = 0x0200;
const VERSION: u16 = 0x000f;
const CONTROL_VERSION_2: u16 = TYPE_BIT | LENGTH_BIT | SEQUENCE_BIT | 2;

const MANDATORY: u16 = 0x8000;
const HIDDEN: u16 = 0x4000;

/// The first word of any L2TP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// Octets of the word.
    pub const LEN: usize = 2;

    /// The word at `place`, where the frame holds it.
    #[inline(always)]
    pub fn at(place: Place<'_>) -> Option<Self> {
        let word = place.window::<{ Self::LEN }>()?;
        Some(Self(word.number16::<0>()))
    }

    /// Whether they are those of a control message of version 2 that has what
    /// such a message must have: the three questions below in one.
    #[inline(always)]
    pub const fn are_of_control_message(self) -> bool {
        self.0 & (CONTROL_VERSION_2 | OFFSET_BIT | VERSION) == CONTROL_VERSION_2
    }

    /// The version of the protocol: 2, or 3 for L2TPv3.
    #[inline(always)]
    pub const fn version(self) -> u16 {
        self.0 & VERSION
    }

    /// Whether it is a control message.
    #[inline(always)]
    pub const fn is_control(self) -> bool {
        self.0 & TYPE_BIT != 0
    }

    /// Whether the bits are as a control message must have them: Length and
    /// sequence numbers there, Offset not (§3.1).
    #[inline(always)]
    pub const fn fit_control(self) -> bool {
        self.0 & (LENGTH_BIT | SEQUENCE_BIT | OFFSET_BIT) == LENGTH_BIT | SEQUENCE_BIT
    }
}

/// The header of a control message.
#[derive(Clone, Copy)]
pub struct Header<'m>(Window<'m, HEADER_LEN>);

impl<'m> Header<'m> {
    /// The header at `place`, where the frame holds one.
    #[inline(always)]
    pub fn at(place: Place<'m>) -> Option<Self> {
        place.window().map(Self)
    }

    /// The first word.
    #[inline(always)]
    pub fn flags(self) -> Flags {
        Flags(self.0.number16::<FLAGS>())
    }

    /// Octets of the message, as it claims.
    #[inline(always)]
    pub fn len(self) -> u16 {
        self.0.number16::<LENGTH>()
    }

    /// The octet before the first AVP.
    #[inline(always)]
    pub fn last(self) -> Place<'m> {
        self.0.skip(HEADER_LEN as u16 - 1)
    }

    /// Where the message ends, as it claims.
    #[inline(always)]
    pub fn end(self) -> Place<'m> {
        self.0.skip(self.len())
    }

    /// Whether it claims to be without even a header.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The receiver's tunnel id, or 0.
    #[inline(always)]
    pub fn tunnel_id(self) -> u16 {
        self.0.number16::<TUNNEL_ID>()
    }

    /// The sequence number that the sender expects next.
    #[inline(always)]
    pub fn nr(self) -> u16 {
        self.0.number16::<NR>()
    }

    /// The sender's sequence number.
    #[inline(always)]
    pub fn ns(self) -> u16 {
        self.0.number16::<NS>()
    }

    /// Addresses the message: to the receiver's tunnel, acknowledging all below `nr`.
    #[inline(always)]
    pub fn address(self, tunnel_id: u16, nr: u16) {
        self.0.set_number16::<TUNNEL_ID>(tunnel_id);
        self.0.set_number16::<NR>(nr);
    }
}

/// Octets of an AVP's header, and of the one octet before it.
const AVP_WINDOW: usize = 1 + AVP_HEADER_LEN;

/// The header of an AVP.
///
/// An AVP is looked at from the octet before it, and so is the end of the AVPs:
/// from there the two high bits of its length are in place in a word that is
/// read as it lies in memory, and nothing has to be shifted. Where the next AVP
/// is found waits for this length, AVP for AVP, and a walk takes as long as that.
#[derive(Clone, Copy)]
pub struct Avp<'m>(Window<'m, AVP_WINDOW>);

impl<'m> Avp<'m> {
    /// The AVP behind the octet at `before`, where the frame holds its header.
    #[inline(always)]
    pub fn behind(before: Place<'m>) -> Option<Self> {
        before.window().map(Self)
    }

    /// Octets of the AVP with its header, as it claims: 0 to 1,023.
    #[inline(always)]
    pub fn len(self) -> u16 {
        let (low, high) = self.len_parts();
        u16::from(low) | high
    }

    /// Whether it claims to be without even a header.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The octet before the next AVP.
    #[inline(always)]
    pub fn last(self) -> Place<'m> {
        let (low, high) = self.len_parts();
        self.0.skip_both(low, high)
    }

    /// Whether the header ends at `end` or before it.
    #[inline(always)]
    pub fn is_before(self, end: Place<'m>) -> bool {
        self.0.is_before(end)
    }

    /// The low octet of the length, and the rest of it.
    #[inline(always)]
    fn len_parts(self) -> (u8, u16) {
        let high = u16::from_le(self.0.get16::<0>()) & (AVP_MAX_LEN as u16 & 0xff00);
        (self.0.octet::<2>(), high)
    }

    /// The M and H bits and the length.
    #[inline(always)]
    pub fn bits(self) -> AvpBits {
        AvpBits(self.0.number16::<1>())
    }

    /// Whether it is the RFC's own attribute `attribute`.
    #[inline(always)]
    pub fn is(self, attribute: u16) -> bool {
        self.0.number32::<3>() == u32::from(IETF) << 16 | u32::from(attribute)
    }
}

/// The first word of an AVP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvpBits(pub u16);

impl AvpBits {
    /// Octets of the AVP with its header, as it claims: 0 to 1,023.
    #[inline(always)]
    pub const fn len(self) -> u16 {
        self.0 & AVP_MAX_LEN as u16
    }

    /// Whether it claims to be without even a header.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether the value is hidden (§4.3).
    #[inline(always)]
    pub const fn is_hidden(self) -> bool {
        self.0 & HIDDEN != 0
    }
}

/// Octets of an AVP whose value is one 16-bit number.
pub const NUMBER_AVP_LEN: usize = AVP_HEADER_LEN + 2;

/// An AVP whose value is one 16-bit number, if its header does not say otherwise.
#[derive(Clone, Copy)]
pub struct NumberAvp<'m>(Window<'m, { 1 + NUMBER_AVP_LEN }>);

impl<'m> NumberAvp<'m> {
    /// The AVP behind the octet at `before`, where the frame holds one.
    #[inline(always)]
    pub fn behind(before: Place<'m>) -> Option<Self> {
        before.window().map(Self)
    }

    /// Whether the AVP ends at `end` or before it.
    #[inline(always)]
    pub fn is_before(self, end: Place<'m>) -> bool {
        self.0.is_before(end)
    }

    /// The value.
    #[inline(always)]
    pub fn value(self) -> u16 {
        self.0.number16::<AVP_WINDOW>()
    }

    /// Whether it is a Message Type of this value, not hidden, of the right
    /// length; the M bit and the reserved ones do not matter.
    #[inline(always)]
    pub fn is_message_type(self, value: u16) -> bool {
        const DECISIVE: u64 = ((HIDDEN as u64 | AVP_MAX_LEN as u64) << 48) | 0xffff_ffff_ffff;
        let expected = (NUMBER_AVP_LEN as u64) << 48
            | u64::from(IETF) << 32
            | u64::from(MESSAGE_TYPE) << 16
            | u64::from(value);
        self.0.get64::<1>() & DECISIVE.to_be() == expected.to_be()
    }

    /// The octet before the next AVP.
    #[inline(always)]
    pub fn last(self) -> Place<'m> {
        self.0.skip(NUMBER_AVP_LEN as u16)
    }
}

/// A control message under construction, of up to `N` octets.
///
/// What goes beyond `N`, or an AVP beyond 1,023 octets, makes
/// [`finish`](Self::finish) fail; nothing before it can.
#[derive(Clone)]
pub struct Message<const N: usize> {
    bytes: [u8; N],
    len: Option<usize>,
}

impl<const N: usize> Message<N> {
    /// A message without AVPs, to tunnel 0, with Ns and Nr 0.
    pub fn new() -> Self {
        let empty = Self {
            bytes: [0; N],
            len: Some(0),
        };
        empty
            .octets(&CONTROL_VERSION_2.to_be_bytes())
            .octets(&[0; HEADER_LEN - 2])
    }

    /// Appends a mandatory AVP of the RFC's own.
    #[must_use]
    pub fn avp(self, attribute: u16, value: &[&[u8]]) -> Self {
        let length = AVP_HEADER_LEN + value.iter().map(|part| part.len()).sum::<usize>();
        if length > AVP_MAX_LEN {
            return Self { len: None, ..self };
        }
        value.iter().fold(
            self.octets(&(MANDATORY | length as u16).to_be_bytes())
                .octets(&IETF.to_be_bytes())
                .octets(&attribute.to_be_bytes()),
            |message, part| message.octets(part),
        )
    }

    /// The octets of the message with its Length filled in, or `None` where it
    /// did not fit.
    pub fn finish(&mut self) -> Option<&[u8]> {
        let message = self.bytes.get_mut(..self.len?)?;
        let length = u16::try_from(message.len()).ok()?;
        message
            .get_mut(LENGTH..LENGTH + 2)?
            .copy_from_slice(&length.to_be_bytes());
        Some(message)
    }

    fn octets(mut self, octets: &[u8]) -> Self {
        self.len = self.len.and_then(|start| {
            let end = start.checked_add(octets.len())?;
            self.bytes.get_mut(start..end)?.copy_from_slice(octets);
            Some(end)
        });
        self
    }
}

impl<const N: usize> Default for Message<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Frame;

    /// Tunnel 7, session 0, Ns 0, Nr 1, and one AVP: Message Type StopCCN.
    const BYTES: [u8; 20] = [
        0xc8, 0x02, 0x00, 0x14, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, // header
        0x80, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, // AVP
    ];

    #[test]
    fn deconstruct() {
        let mut bytes = BYTES;
        bytes[9] = 3;
        let start = Frame::new(&mut bytes).place(0);
        let flags = Flags::at(start).unwrap();
        assert!(flags.is_control() && flags.fit_control());
        assert_eq!(flags.version(), 2);
        let header = Header::at(start).unwrap();
        assert_eq!((header.len(), header.ns()), (20, 3));
        let avp = Avp::behind(header.last()).unwrap();
        assert_eq!((avp.len(), avp.bits().len()), (8, 8));
        assert!(avp.is(MESSAGE_TYPE) && !avp.is(RESULT_CODE) && !avp.bits().is_hidden());
        let number = NumberAvp::behind(header.last()).unwrap();
        assert_eq!(number.value(), STOP_CCN);
        assert!(number.is_message_type(STOP_CCN) && !number.is_message_type(SCCRQ));
        assert!(avp.last() == number.last());
        assert!(avp.last().is_just_before(header.end()));
    }

    #[test]
    fn construct() {
        let mut message = Message::<64>::new().avp(MESSAGE_TYPE, &[&STOP_CCN.to_be_bytes()]);
        let message = message.finish().unwrap();
        let mut bytes = [0xa5; 20];
        bytes.copy_from_slice(message);
        Header::at(Frame::new(&mut bytes).place(0))
            .unwrap()
            .address(7, 1);
        assert_eq!(bytes, BYTES);
    }

    #[test]
    fn a_foreign_vendor_is_not_the_rfc() {
        let mut bytes = [0, 0x80, 0x08, 0x00, 0x09, 0x00, 0x09, 0x12, 0x34];
        let avp = Avp::behind(Frame::new(&mut bytes).place(0)).unwrap();
        assert!(!avp.is(ASSIGNED_TUNNEL_ID));
    }

    #[test]
    fn bits_of_a_control_message() {
        for (word, fits) in [
            (0xc802, true),
            (0xcdf2, true), // reserved and P bits do not matter
            (0x8802, false),
            (0xc002, false),
            (0xca02, false),
        ] {
            assert_eq!(Flags(word).fit_control(), fits, "{word:#06x}");
            assert_eq!(Flags(word).are_of_control_message(), fits, "{word:#06x}");
        }
        assert!(!Flags(0x4802).is_control());
        assert_eq!(Flags(0xc803).version(), 3);
        for other in [0x4802, 0xc803] {
            assert!(!Flags(other).are_of_control_message());
        }
    }

    #[test]
    fn an_avp_length_is_ten_bits() {
        for (bits, len) in [
            ([0xff, 0xff], 1023),
            ([0xfc, 0xff], 255),
            ([0xfd, 0x00], 256),
            ([0xfe, 0x06], 518),
            ([0x40, 0x00], 0),
        ] {
            let mut bytes = [0xff, bits[0], bits[1], 0, 0, 0, 0];
            let avp = Avp::behind(Frame::new(&mut bytes).place(0)).unwrap();
            assert_eq!((avp.len(), avp.bits().len()), (len, len), "{bits:02x?}");
            assert!(avp.bits().is_hidden());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let with_value = |length: usize| {
            let value = [0; 1100];
            Message::<1200>::new().avp(RESULT_CODE, &[&value[..length]])
        };
        assert_eq!(with_value(1017).finish().map(<[u8]>::len), Some(1035));
        assert_eq!(with_value(1018).finish(), None);
        assert!(Message::<12>::new().finish().is_some());
        assert!(Message::<11>::new().finish().is_none());
    }
}
