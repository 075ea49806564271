//! What a LAC says of itself in an SCCRQ.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hasher as _};

use broken_lns_ebpf::wire::l2tp::{self, NR};

use crate::avps::{Avp, avps, of_message};

/// Octets of a name that are looked at.
pub const NAME_MAX: usize = 64;

/// Octets of Nr, the sequence number that the sender expects next.
const NR_LEN: usize = 2;

/// What an SCCRQ says of its sender (RFC 2661 §4.4.3). Each AVP is `None` where it is missing,
/// hidden, of a wrong length, or cut off; of several the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The Host Name.
    pub host_name: Option<Text>,
    /// The Vendor Name.
    pub vendor_name: Option<Text>,
    /// The Firmware Revision.
    pub firmware: Option<u16>,
    /// The Tie Breaker, its first octet being the most significant one.
    pub tie_breaker: Option<u64>,
    /// A hash of all octets of the message that are there but those of Nr, which need not be the
    /// same when a message is sent again (§5.8). It is the same in one process only.
    pub digest: u64,
}

/// The first octets of a name.
///
/// It is shown as text, in which every octet that is no part of a printable character of UTF-8
/// is `\xNN`, and a backslash is `\\`. An ellipsis stands for what is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Text {
    octets: [u8; NAME_MAX],
    len: u8,
    is_cut: bool,
}

/// Reads the octets of a message, of which the end may be missing.
pub fn read(message: &[u8]) -> Identity {
    let mut identity = Identity {
        host_name: None,
        vendor_name: None,
        firmware: None,
        tie_breaker: None,
        digest: digest(message),
    };
    let mut seen = Seen::default();
    for avp in avps(message) {
        if !seen.is_first(avp.attribute) {
            continue;
        }
        match avp.attribute {
            l2tp::HOST_NAME => identity.host_name = Text::of(avp),
            l2tp::VENDOR_NAME => identity.vendor_name = Text::of(avp),
            l2tp::FIRMWARE_REVISION => {
                let octets = avp.whole().and_then(|value| value.try_into().ok());
                identity.firmware = octets.map(u16::from_be_bytes);
            }
            l2tp::TIE_BREAKER => {
                let octets = avp.whole().and_then(|value| value.try_into().ok());
                identity.tie_breaker = octets.map(u64::from_be_bytes);
            }
            _ => {}
        }
    }
    identity
}

/// The first octets of the Host Name in a whole message, [`NAME_MAX`] at the most; `None` where it
/// has none, or hides it.
pub fn host_name(message: &[u8]) -> Option<&[u8]> {
    let mut avps = avps(message);
    let avp = avps.find(|avp| avp.attribute == l2tp::HOST_NAME)?;
    avp.start(NAME_MAX)
}

/// A hash of a name.
pub(crate) fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(name);
    hasher.finish()
}

/// The attributes that were there, of the first 16.
#[derive(Default)]
struct Seen(u16);

impl Seen {
    fn is_first(&mut self, attribute: u16) -> bool {
        let bit = 1_u16.checked_shl(attribute.into()).unwrap_or(0);
        let is_first = self.0 & bit == 0;
        self.0 |= bit;
        is_first
    }
}

/// A hash of all octets but those of Nr. What is behind the message is not of it.
fn digest(message: &[u8]) -> u64 {
    let message = of_message(message);
    let (before, rest) = message.split_at_checked(NR).unwrap_or((message, &[]));
    let mut hasher = DefaultHasher::new();
    hasher.write(before);
    hasher.write(rest.get(NR_LEN..).unwrap_or_default());
    hasher.finish()
}

impl Text {
    /// The beginning of a value; `None` where it is not there.
    fn of(avp: Avp<'_>) -> Option<Self> {
        let value = avp.start(NAME_MAX)?;
        let mut octets = [0; NAME_MAX];
        octets.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self {
            octets,
            len: value.len() as u8,
            is_cut: value.len() < avp.len,
        })
    }

    /// The octets as they were sent.
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..self.len.into()).unwrap_or_default()
    }

    /// Whether there were more than these.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.octets().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '\\' => f.write_str("\\\\")?,
                    '"' | '\'' => f.write_char(character)?,
                    // What is printed as itself when escaped is printable.
                    _ if character.escape_debug().eq([character]) => f.write_char(character)?,
                    _ => {
                        let mut octets = [0; 4];
                        write_hex(f, character.encode_utf8(&mut octets).as_bytes())?;
                    }
                }
            }
            write_hex(f, chunk.invalid())?;
        }
        if self.is_cut {
            f.write_char('…')
        } else {
            Ok(())
        }
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    octets
        .iter()
        .try_for_each(|octet| write!(f, "\\x{octet:02x}"))
}

#[cfg(test)]
mod tests {
    use broken_lns_ebpf::wire::l2tp::Message;
    use proptest::prelude::*;

    use super::*;

    /// An SCCRQ with all that is read: Host Name "lac-1", Vendor Name "ACME", Firmware
    /// Revision 0x0690, Tie Breaker 0x0102030405060708.
    const SCCRQ: [u8; 71] = [
        0xc8, 2, 0, 71, 0, 0, 0, 0, 0, 0, 0, 0, // header
        0x80, 8, 0, 0, 0, 0, 0, 1, // Message Type
        0x80, 11, 0, 0, 0, 7, b'l', b'a', b'c', b'-', b'1', // Host Name
        0x00, 10, 0, 0, 0, 8, b'A', b'C', b'M', b'E', // Vendor Name
        0x00, 8, 0, 0, 0, 6, 0x06, 0x90, // Firmware Revision
        0x00, 14, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, // Tie Breaker
        0x80, 8, 0, 0, 0, 9, 0, 7, // Assigned Tunnel ID
    ];

    fn host_name_shown(name: &[u8]) -> String {
        let mut message = Message::<200>::new().avp(l2tp::HOST_NAME, &[name]);
        let identity = read(message.finish().expect("fits"));
        identity.host_name.expect("it is there").to_string()
    }

    #[test]
    fn all_that_a_lac_says_of_itself_is_read() {
        let identity = read(&SCCRQ);
        let shown = |text: Option<Text>| text.map(|text| text.to_string());
        assert_eq!(shown(identity.host_name).as_deref(), Some("lac-1"));
        assert_eq!(shown(identity.vendor_name).as_deref(), Some("ACME"));
        assert_eq!(identity.firmware, Some(0x0690));
        assert_eq!(identity.tie_breaker, Some(0x0102_0304_0506_0708));
        assert_eq!(host_name(&SCCRQ), Some(&b"lac-1"[..]));
        let text = identity.host_name.expect("it is there");
        assert_eq!((text.octets(), text.is_cut()), (&b"lac-1"[..], false));
    }

    #[test]
    fn what_is_cut_off_is_left_out() {
        let there = |len: usize| {
            let identity = read(&SCCRQ[..len]);
            [
                identity.host_name.is_some(),
                identity.vendor_name.is_some(),
                identity.firmware.is_some(),
                identity.tie_breaker.is_some(),
            ]
        };
        for (len, expected) in [
            (63, [true, true, true, true]),
            (62, [true, true, true, false]),
            (49, [true, true, true, false]),
            (48, [true, true, false, false]),
            (41, [true, true, false, false]),
            (40, [true, false, false, false]),
            (31, [true, false, false, false]),
            (30, [false; 4]),
            (0, [false; 4]),
        ] {
            assert_eq!(there(len), expected, "{len} octets");
        }
    }

    #[test]
    fn hidden_ones_and_those_of_a_wrong_length_are_left_out() {
        let mut hidden = SCCRQ;
        for avp in [20, 31, 41, 49] {
            hidden[avp] |= 0x40;
        }
        let identity = read(&hidden);
        assert_eq!((identity.host_name, identity.vendor_name), (None, None));
        assert_eq!((identity.firmware, identity.tie_breaker), (None, None));
        assert_eq!(host_name(&hidden), None);
        let mut wrong = Message::<64>::new()
            .avp(l2tp::FIRMWARE_REVISION, &[&[1]])
            .avp(l2tp::TIE_BREAKER, &[&[1; 9]])
            // The first one counts, though it says nothing.
            .avp(l2tp::FIRMWARE_REVISION, &[&[1, 2]]);
        let identity = read(wrong.finish().expect("fits"));
        assert_eq!((identity.firmware, identity.tie_breaker), (None, None));
    }

    #[test]
    fn the_first_of_several_counts() {
        let mut message = Message::<64>::new()
            .avp(l2tp::HOST_NAME, &[b"first"])
            .avp(l2tp::HOST_NAME, &[b"second"]);
        let message = message.finish().expect("fits");
        let name = read(message).host_name.expect("it is there");
        assert_eq!(name.octets(), b"first");
        assert_eq!(host_name(message), Some(&b"first"[..]));
    }

    #[test]
    fn a_name_writes_nothing_else_to_a_terminal() {
        for (name, shown) in [
            (&b""[..], ""),
            (b"lac 1.example", "lac 1.example"),
            (b"\x1b[2J\0\n\x7f", "\\x1b[2J\\x00\\x0a\\x7f"),
            (b"a\xff\xc3(", "a\\xff\\xc3("),
            ("Zürich".as_bytes(), "Zürich"),
            ("\u{85}\u{202e}x".as_bytes(), "\\xc2\\x85\\xe2\\x80\\xaex"),
            (b"\\x00 \"'<b>", "\\\\x00 \"'<b>"),
        ] {
            assert_eq!(host_name_shown(name), shown);
        }
    }

    #[test]
    fn of_a_long_name_the_beginning_is_kept() {
        let name = [b'x'; 65];
        assert_eq!(host_name_shown(&name[..64]), "x".repeat(64));
        assert_eq!(host_name_shown(&name), format!("{}…", "x".repeat(64)));
        // It is there even where the rest of the value is not.
        let mut message = Message::<200>::new().avp(l2tp::HOST_NAME, &[&name]);
        let message = message.finish().expect("fits");
        assert!(read(&message[..12 + 6 + 64]).host_name.is_some());
        assert!(read(&message[..12 + 6 + 63]).host_name.is_none());
        assert_eq!(host_name(message), Some(&name[..64]));
    }

    #[test]
    fn a_message_that_is_sent_again_has_the_same_digest() {
        let digest = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = SCCRQ.to_vec();
            change(&mut message);
            read(&message).digest
        };
        let same = digest(&|_| {});
        assert_eq!(digest(&|message| message[NR] = 7), same);
        assert_eq!(digest(&|message| message[NR + 1] = 7), same);
        // What is behind the message is not of it.
        assert_eq!(digest(&|message| message.extend([0; 57])), same);
        for at in (0..NR).chain(NR + NR_LEN..SCCRQ.len()) {
            let other = digest(&|message| message[at] ^= 0x20);
            assert_ne!(other, same, "octet {at}");
        }
        assert_ne!(digest(&|message| message.truncate(70)), same);
    }

    proptest! {
        #[test]
        fn any_octets_can_be_read(mut octets in prop::collection::vec(any::<u8>(), 0..200), plausible: bool) {
            if plausible && octets.len() > 4 {
                octets[..4].copy_from_slice(&[0xc8, 0x02, 0x00, 0xa0]);
            }
            let identity = read(&octets);
            for text in [identity.host_name, identity.vendor_name].into_iter().flatten() {
                prop_assert!(!text.to_string().contains(char::is_control));
            }
        }

        #[test]
        fn any_name_is_shown_without_control_characters(name in prop::collection::vec(any::<u8>(), 0..100)) {
            let shown = host_name_shown(&name);
            prop_assert!(!shown.contains(char::is_control));
        }
    }
}
