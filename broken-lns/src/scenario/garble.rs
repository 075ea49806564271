//! The ways in which a StopCCN can be wrong, each in one point only.
//!
//! Sections are those of RFC 2661. Its §7.1 says what becomes of a malformed
//! control message: with a wrong header it is discarded, and with a wrong or
//! missing mandatory AVP the control connection is cleared.

use std::fmt;

use crate::codes::ResultCode;
use crate::refusal::Refusal;

/// What the catalogue tells of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GarbleEntry {
    /// The name in a scenario.
    pub name: &'static str,
    /// What the StopCCN has instead of the right thing.
    pub sends: &'static str,
    /// The section, and the rule of it that this breaks.
    pub breaks: &'static str,
    /// What a LAC does with it that keeps to the RFC.
    pub right_lac: &'static str,
}

/// Makes the kinds and their table out of rows: the kind, its name, what is
/// sent, the rule that it breaks, and what a right LAC does.
macro_rules! garbles {
    ($($kind:ident, $name:literal, $sends:literal, $breaks:literal,
        $right_lac:literal;)*) => {
        /// One way in which a StopCCN is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum GarbleKind {
            $(#[doc = $sends] $kind,)*
        }

        impl GarbleKind {
            /// All kinds, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// What the catalogue tells of the kind.
            pub const fn entry(self) -> GarbleEntry {
                match self {
                    $(Self::$kind => GarbleEntry {
                        name: $name,
                        sends: $sends,
                        breaks: $breaks,
                        right_lac: $right_lac,
                    },)*
                }
            }
        }
    };
}

garbles! {
    WrongTunnelId, "wrong-tunnel-id",
        "The header's Tunnel ID is the one that the LAC assigned, plus one.",
        "§3.1: the Tunnel ID is the one that the recipient assigned",
        "discards it, having no such tunnel, and sends its SCCRQ again";
    ZeroTunnelId, "zero-tunnel-id",
        "The header's Tunnel ID is 0.",
        "§4.4.3: it is 0 only until the peer's Assigned Tunnel ID is known",
        "discards it, since it cannot tell the tunnel, and sends its SCCRQ again";
    MissingAssignedTunnelId, "missing-assigned-tunnel-id",
        "There is no Assigned Tunnel ID AVP.",
        "§6.4: a StopCCN must carry one",
        "logs it as malformed and clears the control connection";
    MissingResultCode, "missing-result-code",
        "There is no Result Code AVP.",
        "§6.4: a StopCCN must carry one",
        "logs it as malformed and clears the control connection";
    MissingMessageType, "missing-message-type",
        "There is no Message Type AVP, so that the first one is Result Code.",
        "§4.4.1: a Message Type AVP must come first",
        "logs it as malformed and clears the control connection";
    MessageTypeNotFirst, "message-type-not-first",
        "The Message Type AVP comes last.",
        "§4.4.1: it must be the first AVP",
        "logs it as malformed and clears the control connection";
    ReservedMessageType, "reserved-message-type",
        "The message type is 0, with the M bit set.",
        "§3.2: message type 0 is reserved",
        "clears the control connection, as §4.4.1 has it for an unknown mandatory message type";
    UnknownMandatoryAvp, "unknown-mandatory-avp",
        "A last AVP of the IETF's has attribute type 65535 and the M bit set.",
        "§4.1: a mandatory AVP is one that the peer has to know",
        "clears the control connection, which this StopCCN does anyway, perhaps with error code 8";
    ShortResultCode, "short-result-code",
        "The Result Code AVP is 7 octets long, so that half the result code is there.",
        "§4.4.2: the result code is two octets long",
        "logs it as malformed and clears the control connection";
    AvpOverrun, "avp-overrun",
        "The last AVP claims to be 1023 octets long, beyond the end of the message.",
        "§4.1: an AVP's length counts the octets of that AVP, which lie within the message",
        "reads nothing beyond the message, and clears the control connection";
    AvpUnderrun, "avp-underrun",
        "The Result Code AVP claims to be 0 octets long, less than its own header.",
        "§4.1: an AVP is at least 6 octets long",
        "stops there instead of reading it for ever, and clears the control connection";
    LengthTooLong, "length-too-long",
        "The header's Length is 4 octets more than the message has.",
        "§3.1: Length is the length of the whole message",
        "discards it for its header, reading nothing beyond it, and sends its SCCRQ again";
    LengthTooShort, "length-too-short",
        "The header's Length is 4 octets less than the message has, and ends within the last AVP.",
        "§3.1: Length is the length of the whole message",
        "takes the last AVP for malformed, and clears the control connection";
    WrongNs, "wrong-ns",
        "Ns is 1, as if another message had come before.",
        "§5.8: Ns counts up from 0",
        "keeps or discards it as out of order, and does not acknowledge it";
    WrongNr, "wrong-nr",
        "Nr is the Ns of the SCCRQ, so that the SCCRQ stays unacknowledged.",
        "§5.8: Nr is the Ns that is expected next, one more than that of the SCCRQ",
        "closes the control connection all the same, and acknowledges the StopCCN";
    Version3, "version-3",
        "The header's version is 3, on what is an L2TPv2 message otherwise.",
        "§3.1: the version is 2",
        "discards it, as it must with a version that it does not know, and sends its SCCRQ again";
    NoSequenceBit, "no-sequence-bit",
        "The S bit is 0, though Ns and Nr are there.",
        "§3.1: the S bit is 1 in control messages",
        "discards it for its header, and sends its SCCRQ again";
    ReservedBits, "reserved-bits",
        "All reserved bits of the header are 1.",
        "§3.1: they are 0 in what is sent, and ignored in what is received",
        "ignores them: closes the control connection and acknowledges the StopCCN";
    HiddenGarbage, "hidden-garbage",
        "The Assigned Tunnel ID is hidden, without a Random Vector before it and under no secret.",
        "§4.3: a Random Vector AVP comes before the first hidden AVP",
        "cannot read the AVP, and clears the control connection";
    ByteSwappedResult, "byte-swapped-result",
        "The result code has its low octet first.",
        "§4.4.2: the result code is a 16-bit number, and all numbers have their high octet first",
        "closes the control connection and logs a result that nobody assigned, such as 512 for 2";
    TrailingJunk, "trailing-junk",
        "16 octets follow within the datagram, beyond the header's Length.",
        "§3.1: Length is the length of the whole message",
        "ignores what follows: closes the control connection and acknowledges the StopCCN";
    Truncated, "truncated",
        "The last 4 octets of the message are missing, while Length and AVPs claim them.",
        "§3.1: Length is the length of the whole message",
        "discards it for its header, reading nothing beyond it, and sends its SCCRQ again";
    InvalidUtf8, "invalid-utf8",
        "The last octet of the error message is 0xff.",
        "§4.4.2: the error message is UTF-8",
        "closes the control connection, and keeps the octet from its log or escapes it there";
    BadUdpChecksum, "bad-udp-checksum",
        "The UDP checksum is wrong, and not 0, which would stand for none.",
        "RFC 768: a checksum that is there is right",
        "never sees it, for its host drops it, and sends its SCCRQ again";
    BadIpChecksum, "bad-ip-checksum",
        "The IPv4 header checksum is wrong. IPv6 has none, and nothing is wrong there.",
        "RFC 791: the header checksum is right at every hop",
        "never sees it, for the first router or its host drops it, and sends its SCCRQ again";
    WrongSourceAddress, "wrong-source-address",
        "It comes from the neighbour of the LNS address: the one with the last bit inverted.",
        "§8.1: the addresses of a tunnel stay the same",
        "discards it, having asked somebody else, and sends its SCCRQ again";
    WrongSourcePort, "wrong-source-port",
        "It comes from UDP port 1702.",
        "no rule: §8.1 lets the responder pick the port, and yet many LACs expect 1701",
        "takes it like any other: closes the control connection and acknowledges the StopCCN";
}

/// A kind that would garble nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GarbleError {
    /// Both octets of the result code are the same.
    #[error(
        "`byte-swapped-result` changes nothing in result {0}, of which both octets are the same; \
         give another `result`"
    )]
    SameOctets(ResultCode),

    /// No error message is sent.
    #[error("`invalid-utf8` needs an error message to garble; give a `message`")]
    NoMessage,
}

impl GarbleKind {
    /// The name in a scenario.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// Checks that the refusal has what the kind garbles.
    ///
    /// # Errors
    ///
    /// [`GarbleError`], where the StopCCN would be right in spite of the kind.
    pub fn check(self, refusal: &Refusal) -> Result<(), GarbleError> {
        let result = refusal.result();
        match self {
            Self::ByteSwappedResult if result.0.swap_bytes() == result.0 => {
                Err(GarbleError::SameOctets(result))
            }
            Self::InvalidUtf8 if refusal.message().is_empty() => Err(GarbleError::NoMessage),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for GarbleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::codes::ErrorCode;

    #[test]
    fn the_kinds_are_these() {
        let names: Vec<_> = GarbleKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(
            names,
            [
                "wrong-tunnel-id",
                "zero-tunnel-id",
                "missing-assigned-tunnel-id",
                "missing-result-code",
                "missing-message-type",
                "message-type-not-first",
                "reserved-message-type",
                "unknown-mandatory-avp",
                "short-result-code",
                "avp-overrun",
                "avp-underrun",
                "length-too-long",
                "length-too-short",
                "wrong-ns",
                "wrong-nr",
                "version-3",
                "no-sequence-bit",
                "reserved-bits",
                "hidden-garbage",
                "byte-swapped-result",
                "trailing-junk",
                "truncated",
                "invalid-utf8",
                "bad-udp-checksum",
                "bad-ip-checksum",
                "wrong-source-address",
                "wrong-source-port",
            ]
        );
    }

    #[test]
    fn a_kind_has_something_to_garble() {
        let refusal = |result, message: &str| {
            let error = (!message.is_empty()).then_some(ErrorCode(4));
            Refusal::new(ResultCode(result), error, message, NonZeroU16::MIN).expect("short")
        };
        let check = |kind: GarbleKind, refusal: Refusal| {
            kind.check(&refusal).map_err(|error| error.to_string())
        };
        assert_eq!(
            check(GarbleKind::ByteSwappedResult, refusal(0, "text")),
            Err(
                "`byte-swapped-result` changes nothing in result 0 (reserved), \
                 of which both octets are the same; give another `result`"
                    .to_owned()
            )
        );
        assert_eq!(
            check(GarbleKind::InvalidUtf8, refusal(2, "")),
            Err("`invalid-utf8` needs an error message to garble; give a `message`".to_owned())
        );
        for kind in GarbleKind::ALL {
            assert_eq!(check(*kind, refusal(2, "text")), Ok(()));
        }
    }
}
