//! l2tpns 2.4.1, which dials for a user whose calls it forwards.

use super::{
    Acknowledgement::{Each, Never},
    Outcome, Reaction,
    Tunnel::{Assigned, Id},
};
use crate::scenario::{fault::FaultName, garble::GarbleKind};

const GAVE_UP: Outcome = Outcome::GaveUp {
    retransmissions: 5,
    after: 63,
};

/// It took the StopCCN for what it is.
const CLOSED: Reaction = Reaction::new(Each(Assigned), Outcome::Closed).log("Received StopCCN");

/// It was told that its SCCRQ came, and waited for the answer.
const WAITS: Reaction = Reaction::new(Never, Outcome::Hung);

/// It heard nothing.
const TIMED_OUT: Reaction = Reaction::new(Never, GAVE_UP).log("Timeout on control message");

/// It was content with the acknowledgement in the answer, and discarded the rest.
const fn hung(log: &'static str) -> Reaction {
    WAITS.log(log)
}

/// It did not understand the message.
const fn cleared(error: u16, log: &'static str) -> Reaction {
    Reaction::new(Never, Outcome::Cleared { result: 2, error }).log(log)
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
        G::MissingAssignedTunnelId => {
            Reaction::new(Each(Id(0)), Outcome::Closed).log("Received StopCCN")
        }
        G::MissingMessageType => hung("Missing message type"),
        G::ReservedMessageType => cleared(6, "Unknown message type"),
        G::UnknownMandatoryAvp => cleared(8, "Unknown AVP type 65535"),
        G::AvpOverrun | G::AvpUnderrun | G::LengthTooLong | G::LengthTooShort => {
            hung("Invalid length in AVP")
        }
        // 40 octets after the header are claimed, and 36 are there.
        G::Truncated => Reaction::new(Never, Outcome::ReadOn).log("Control message (40 bytes)"),
        G::HiddenGarbage => Reaction::new(Never, Outcome::Dropped)
            .log("Hidden AVP requested, but no random vector."),
        G::WrongNs => TIMED_OUT.log("(1 is not the expected 0)"),
        // It takes the StopCCN, and sends its SCCRQ again all the same.
        G::WrongNr => TIMED_OUT.log("Received StopCCN"),
        G::NoSequenceBit => TIMED_OUT.log("Bad control header"),
        G::ZeroTunnelId
        | G::MissingResultCode
        | G::MessageTypeNotFirst
        | G::ShortResultCode
        | G::ReservedBits
        | G::ByteSwappedResult
        | G::TrailingJunk
        | G::InvalidUtf8
        | G::WrongSourceAddress
        | G::WrongSourcePort => CLOSED,
        G::WrongTunnelId | G::Version3 | G::BadUdpChecksum | G::BadIpChecksum => TIMED_OUT,
    }
}
