//! kl2tpd 0.1.8. It acknowledges with Tunnel ID 0, a tenth of a second after the message.

use super::{
    Acknowledgement::{Each, First, Never, Nothing},
    Outcome, Reaction,
    Tunnel::Id,
};
use crate::scenario::{fault::FaultName, garble::GarbleKind};

const GAVE_UP: Outcome = Outcome::GaveUp {
    retransmissions: 2,
    after: 7,
};

/// It took the StopCCN for what it is.
const CLOSED: Reaction =
    Reaction::new(Each(Id(0)), Outcome::Closed).log("pending for stopccn retransmit period");

/// It was told that its SCCRQ came, and waited for the answer.
const WAITS: Reaction = Reaction::new(Never, Outcome::Hung);

/// It heard nothing.
const TIMED_OUT: Reaction =
    Reaction::new(Never, GAVE_UP).log("transmit of avpMsgTypeSccrq failed after 3 retry attempts");

/// It discarded the answer.
const fn discarded(log: &'static str) -> Reaction {
    Reaction::new(Never, GAVE_UP).log(log)
}

/// It did not understand the message.
const fn cleared(log: &'static str) -> Reaction {
    let outcome = Outcome::Cleared {
        result: 2,
        error: 3,
    };
    Reaction::new(Never, outcome).log(log)
}

/// It was content with the acknowledgement in the answer, and discarded the rest.
const fn hung(log: &'static str) -> Reaction {
    Reaction::new(Each(Id(0)), Outcome::Hung).log(log)
}

pub(super) const fn to_fault(fault: FaultName) -> &'static [Reaction] {
    match fault {
        FaultName::Refuse | FaultName::CodeInAddress => &[CLOSED],
        FaultName::Silent | FaultName::Unreachable => &[TIMED_OUT],
        FaultName::Acknowledge => &[WAITS],
        FaultName::Pass | FaultName::Cycle | FaultName::Garble => &[],
    }
}

pub(super) const fn to_garble(kind: GarbleKind) -> Reaction {
    use GarbleKind as G;

    match kind {
        G::WrongTunnelId | G::ZeroTunnelId => hung("received control message with the wrong TID"),
        G::MissingAssignedTunnelId | G::LengthTooShort => {
            cleared("missing mandatory AVP avpTypeTunnelID")
        }
        G::MissingResultCode => cleared("missing mandatory AVP avpTypeResultCode"),
        G::MissingMessageType | G::MessageTypeNotFirst => {
            discarded("first AVP is not Message Type AVP")
        }
        G::ReservedMessageType => cleared("no specification for v2 message avpMsgTypeIllegal"),
        G::UnknownMandatoryAvp => discarded("failed to parse mandatory AVP: unrecognised AVP type"),
        G::ShortResultCode => cleared("failed to decode AVP avpTypeResultCode: unexpected EOF"),
        G::AvpOverrun => {
            discarded("malformed AVP buffer: current AVP length exceeds buffer length")
        }
        G::AvpUnderrun => Reaction::new(Never, Outcome::Crashed)
            .log("panic: runtime error: slice bounds out of range [14:8]"),
        G::LengthTooLong => discarded("malformed header: length 56 exceeds buffer bounds of 48"),
        G::Truncated => discarded("malformed header: length 52 exceeds buffer bounds of 44"),
        G::TrailingJunk => discarded("malformed header: length 65535 exceeds buffer bounds of 8"),
        G::WrongNs => Reaction::new(Nothing(Id(0)), Outcome::Hung),
        G::WrongNr => Reaction::new(First(Id(0)), GAVE_UP),
        G::Version3 => hung("received control message with wrong protocol version"),
        G::HiddenGarbage => cleared("AVP payload length 4 exceeds expected length 2"),
        G::NoSequenceBit
        | G::ReservedBits
        | G::ByteSwappedResult
        | G::InvalidUtf8
        | G::WrongSourceAddress
        | G::WrongSourcePort => CLOSED,
        G::BadUdpChecksum | G::BadIpChecksum => TIMED_OUT,
    }
}
