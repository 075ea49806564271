//! xl2tpd 1.3.18, and 1.3.12 where it does something else.

use super::{
    Acknowledgement::{Each, Never},
    Case, Outcome, Reaction,
    Tunnel::{Assigned, Id},
};
use crate::scenario::{fault::FaultName, garble::GarbleKind};

const GAVE_UP: Outcome = Outcome::GaveUp {
    retransmissions: 4,
    after: 31,
};

/// It took the StopCCN for what it is.
const CLOSED: Reaction =
    Reaction::new(Each(Assigned), Outcome::Closed).log("peer closing for reason");

/// It was told that its SCCRQ came, and waited for the answer.
const WAITS: Reaction = Reaction::new(Never, Outcome::Hung);

/// It heard nothing.
const TIMED_OUT: Reaction =
    Reaction::new(Never, GAVE_UP).log("Maximum retries exceeded for tunnel");

/// It discarded the answer.
const fn discarded(log: &'static str) -> Reaction {
    Reaction::new(Never, GAVE_UP).log(log)
}

/// It acknowledged the answer before it read the Assigned Tunnel ID, and sent a StopCCN of its own.
const fn cleared(error: u16, log: &'static str) -> Reaction {
    let outcome = Outcome::Cleared { result: 2, error };
    Reaction::new(Each(Id(0)), outcome).log(log)
}

/// It was content with the acknowledgement in the answer, and discarded the rest.
const fn hung(log: &'static str) -> Reaction {
    Reaction::new(Each(Assigned), Outcome::Hung).log(log)
}

/// It knows the result codes 1 to 7, and for others it has no rule but to wait.
const REFUSED: [Reaction; 2] = [
    CLOSED.to(Case::Result1To7),
    hung("result code out of range").to(Case::OtherResult),
];

pub(super) const fn to_fault(fault: FaultName) -> &'static [Reaction] {
    match fault {
        FaultName::Refuse | FaultName::CodeInAddress => &REFUSED,
        FaultName::Silent | FaultName::Unreachable => &[TIMED_OUT],
        FaultName::Acknowledge => &[WAITS],
        FaultName::Pass | FaultName::Cycle | FaultName::Garble => &[],
    }
}

pub(super) const fn old_to_fault(fault: FaultName) -> &'static [Reaction] {
    match fault {
        FaultName::Refuse | FaultName::CodeInAddress => {
            const WANTS_AN_ERROR: Reaction =
                cleared(2, "avp is incorrect size.  8 < 10").to(Case::NoErrorCode);
            &[WANTS_AN_ERROR, REFUSED[0], REFUSED[1]]
        }
        _ => to_fault(fault),
    }
}

pub(super) const fn to_garble(kind: GarbleKind) -> Reaction {
    use GarbleKind as G;

    match kind {
        G::WrongTunnelId => discarded("unable to find call or tunnel to handle packet"),
        // To what it takes for a connection of its own that never said its id.
        G::ZeroTunnelId => Reaction::new(Each(Id(65535)), GAVE_UP).log("peer closing for reason"),
        G::MissingAssignedTunnelId => Reaction::new(Each(Id(0)), Outcome::Hung)
            .log("Peer tried to disconnect without specifying tunnel ID"),
        G::MissingResultCode => hung("Peer tried to disconnect without specifying result code"),
        G::MissingMessageType | G::MessageTypeNotFirst => {
            cleared(6, "First AVP was not message type")
        }
        G::ReservedMessageType => {
            let outcome = Outcome::Cleared {
                result: 1,
                error: 0,
            };
            Reaction::new(Each(Id(0)), outcome).log("unknown message type 0")
        }
        G::UnknownMandatoryAvp => cleared(6, "don't know how to handle mandatory attribute 65535"),
        G::ShortResultCode => cleared(2, "avp is incorrect size.  7 < 8"),
        G::AvpOverrun => cleared(2, "AVP received with length > remaining packet length!"),
        G::AvpUnderrun => cleared(2, "AVP with too small of size (0)"),
        G::LengthTooLong | G::LengthTooShort | G::TrailingJunk | G::Truncated => {
            discarded("Reported and actual sizes differ")
        }
        G::WrongNs => discarded("Received out of order control packet"),
        G::Version3 => Reaction::new(Each(Id(0)), Outcome::Hung).log("PPTP packet received"),
        G::NoSequenceBit => Reaction::new(Each(Id(0)), Outcome::Hung).log("Flow bit not set"),
        G::HiddenGarbage => cleared(6, "Hidden bit set, but no random vector specified!"),
        G::ByteSwappedResult => CLOSED.log("result code endianness fix for buggy Apple client"),
        G::WrongNr
        | G::ReservedBits
        | G::InvalidUtf8
        | G::WrongSourceAddress
        | G::WrongSourcePort => CLOSED,
        G::BadUdpChecksum | G::BadIpChecksum => TIMED_OUT,
    }
}

pub(super) const fn old_to_garble(kind: GarbleKind) -> Reaction {
    match kind {
        GarbleKind::ShortResultCode => cleared(2, "avp is incorrect size.  7 < 10"),
        _ => to_garble(kind),
    }
}
