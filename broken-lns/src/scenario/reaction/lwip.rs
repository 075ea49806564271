//! lwIP 2.1.3. It looks at a message's type and at nothing else of a StopCCN, and acknowledges with
//! Tunnel ID 0.

use super::{
    Acknowledgement::{Each, Never, Repeated},
    Outcome, Reaction,
    Tunnel::Id,
};
use crate::scenario::{fault::FaultName, garble::GarbleKind};

const GAVE_UP: Outcome = Outcome::GaveUp {
    retransmissions: 3,
    after: 35,
};

/// It took the answer for a StopCCN.
const CLOSED: Reaction =
    Reaction::new(Each(Id(0)), Outcome::Closed).log("could not establish connection");

/// It heard nothing.
const TIMED_OUT: Reaction = Reaction::new(Never, GAVE_UP);

/// It discarded the answer.
const fn discarded(log: &'static str) -> Reaction {
    TIMED_OUT.log(log)
}

/// It discarded the first answer, and took the others for what it knew already.
const fn counted(log: &'static str) -> Reaction {
    Reaction::new(Repeated(Id(0)), GAVE_UP).log(log)
}

pub(super) const fn to_fault(fault: FaultName) -> &'static [Reaction] {
    match fault {
        FaultName::Refuse | FaultName::CodeInAddress => &[CLOSED],
        FaultName::Silent | FaultName::Unreachable | FaultName::Acknowledge => &[TIMED_OUT],
        FaultName::Pass | FaultName::Cycle | FaultName::Garble => &[],
    }
}

pub(super) const fn to_garble(kind: GarbleKind) -> Reaction {
    use GarbleKind as G;

    match kind {
        G::MissingMessageType | G::MessageTypeNotFirst | G::ReservedMessageType => {
            counted("message type must be the first AVP")
        }
        G::LengthTooLong | G::Truncated => discarded("packet too short"),
        G::WrongNs => discarded("drop unexpected packet: received NS=1, expected NS=0"),
        G::NoSequenceBit => discarded("mandatory header flags for control packet not set"),
        G::WrongTunnelId
        | G::ZeroTunnelId
        | G::MissingAssignedTunnelId
        | G::MissingResultCode
        | G::UnknownMandatoryAvp
        | G::ShortResultCode
        | G::AvpOverrun
        | G::AvpUnderrun
        | G::LengthTooShort
        | G::WrongNr
        | G::Version3
        | G::ReservedBits
        | G::HiddenGarbage
        | G::ByteSwappedResult
        | G::TrailingJunk
        | G::InvalidUtf8
        | G::WrongSourcePort => CLOSED,
        G::BadUdpChecksum | G::BadIpChecksum | G::WrongSourceAddress => TIMED_OUT,
    }
}
