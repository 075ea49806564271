//! What the responder refuses with: the validated setting.
//!
//! The numbers are free, since sending nonsense is the purpose. What has to
//! hold is that the reply can be written at all: the text fits one AVP, and
//! the whole reply fits one frame of the interface.

use std::num::NonZeroU16;

use broken_lns_ebpf::template::{StopCcn, Template};
use broken_lns_ebpf::wire::{ipv6, l2tp, udp};

use crate::codes::{ErrorCode, ResultCode};

/// What stands before the text in a Result Code AVP: the AVP header, the
/// result code and the error code.
const RESULT_CODE_AVP_LEN: usize = l2tp::AVP_HEADER_LEN + 2 + 2;

/// What a reply has besides the text: the IPv6, UDP and L2TP headers, Message
/// Type and Assigned Tunnel ID, the Result Code AVP.
///
/// IPv6 is assumed on every interface: a reply that fits there fits over IPv4.
const REPLY_LEN: usize = ipv6::HEADER_LEN
    + udp::HEADER_LEN
    + l2tp::HEADER_LEN
    + 2 * l2tp::NUMBER_AVP_LEN
    + RESULT_CODE_AVP_LEN;

/// The longest error message that one AVP holds, in octets.
pub const MESSAGE_LEN_MAX: usize = l2tp::AVP_MAX_LEN - RESULT_CODE_AVP_LEN;

/// The error message where nobody gave one.
pub const DEFAULT_ERROR_MESSAGE: &str = "Internal error";

/// The tunnel id that we claim to have assigned where nobody named one.
const DEFAULT_ASSIGNED_TUNNEL_ID: NonZeroU16 = NonZeroU16::new(12345).unwrap();

/// A refusal: the StopCCN that an SCCRQ gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    result: ResultCode,
    error: Option<ErrorCode>,
    message: String,
    assigned_tunnel_id: NonZeroU16,
}

impl Default for Refusal {
    /// What the flags and the files stand for that leave everything out.
    fn default() -> Self {
        Self {
            result: ResultCode(0),
            error: Some(ErrorCode(4)),
            message: DEFAULT_ERROR_MESSAGE.to_owned(),
            assigned_tunnel_id: DEFAULT_ASSIGNED_TUNNEL_ID,
        }
    }
}

/// A refusal that cannot be put on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalError {
    /// The text does not fit one AVP.
    #[error(
        "the error message is {len} octets long, but one AVP holds {MESSAGE_LEN_MAX}: \
         shorten --error-message"
    )]
    MessageTooLong {
        /// The octets the message has.
        len: usize,
    },

    /// The reply does not fit one frame.
    #[error(
        "the error message is {len} octets long, but a reply on interface {interface} with its \
         MTU of {mtu} holds {limit}: shorten --error-message or raise the MTU"
    )]
    ReplyTooLong {
        /// The octets the message has.
        len: usize,
        /// The interface the reply would leave by.
        interface: String,
        /// The MTU of that interface.
        mtu: u32,
        /// The octets of message that the MTU has room for.
        limit: usize,
    },

    /// The MTU has no room for a reply even without a message.
    #[error(
        "interface {interface} with its MTU of {mtu} has no room for a reply, \
         which takes {REPLY_LEN} octets without a message: raise the MTU"
    )]
    MtuTooSmall {
        /// The interface the reply would leave by.
        interface: String,
        /// The MTU of that interface.
        mtu: u32,
    },

    /// A message cannot stand in the AVP without an error code before it.
    #[error(
        "an error message needs an error code before it: \
         give --error-code a number, or leave --error-message out"
    )]
    MessageWithoutError,
}

impl Refusal {
    /// Checks everything about a refusal that does not depend on an interface.
    ///
    /// # Errors
    ///
    /// [`RefusalError`], if the message is too long or has no error code before it.
    pub fn new(
        result: ResultCode,
        error: Option<ErrorCode>,
        message: impl Into<String>,
        assigned_tunnel_id: NonZeroU16,
    ) -> Result<Self, RefusalError> {
        let message = message.into();
        if error.is_none() && !message.is_empty() {
            return Err(RefusalError::MessageWithoutError);
        }
        if message.len() > MESSAGE_LEN_MAX {
            return Err(RefusalError::MessageTooLong { len: message.len() });
        }
        Ok(Self {
            result,
            error,
            message,
            assigned_tunnel_id,
        })
    }

    /// Checks that the reply fits one frame of an interface, over IPv6 too.
    ///
    /// # Errors
    ///
    /// [`RefusalError`], which says how long a message may be there.
    pub fn check_mtu(&self, interface: &str, mtu: u32) -> Result<(), RefusalError> {
        let len = self.message.len();
        let room = usize::try_from(mtu).unwrap_or(usize::MAX);
        match room.checked_sub(REPLY_LEN) {
            None => Err(RefusalError::MtuTooSmall {
                interface: interface.to_owned(),
                mtu,
            }),
            Some(limit) if len > limit => Err(RefusalError::ReplyTooLong {
                len,
                interface: interface.to_owned(),
                mtu,
                limit,
            }),
            Some(_) => Ok(()),
        }
    }

    /// The same refusal with another tunnel id.
    #[must_use]
    pub fn with_assigned_tunnel_id(self, assigned_tunnel_id: NonZeroU16) -> Self {
        Self {
            assigned_tunnel_id,
            ..self
        }
    }

    /// The reply as a template.
    ///
    /// # Errors
    ///
    /// [`RefusalError::MessageTooLong`], which [`new`](Self::new) saw to already.
    pub fn template(&self) -> Result<Template, RefusalError> {
        let stop = StopCcn {
            result: self.result.0,
            error: self.error.map(|error| (error.0, self.message.as_bytes())),
            assigned_tunnel_id: self.assigned_tunnel_id.get(),
        };
        Template::stop_ccn(&stop).ok_or(RefusalError::MessageTooLong {
            len: self.message.len(),
        })
    }

    /// The result code.
    pub fn result(&self) -> ResultCode {
        self.result
    }

    /// The error code, or none to leave error code and message out.
    pub fn error(&self) -> Option<ErrorCode> {
        self.error
    }

    /// The error message; an empty one is left out.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The tunnel id that we claim to have assigned.
    pub fn assigned_tunnel_id(&self) -> NonZeroU16 {
        self.assigned_tunnel_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(error: Option<u16>, message: &str) -> Result<Refusal, RefusalError> {
        let id = NonZeroU16::new(12345).expect("12345 is not zero");
        Refusal::new(ResultCode(2), error.map(ErrorCode), message, id)
    }

    #[test]
    fn a_message_may_fill_one_avp_and_no_more() {
        assert!(refusal(Some(4), &"x".repeat(1013)).is_ok());
        let error = refusal(Some(4), &"x".repeat(1014)).expect_err("one too long");
        assert_eq!(
            error.to_string(),
            "the error message is 1014 octets long, but one AVP holds 1013: \
             shorten --error-message"
        );
    }

    #[test]
    fn octets_are_counted_and_not_characters() {
        let error = refusal(Some(4), &"ü".repeat(507)).expect_err("1014 octets");
        assert_eq!(error, RefusalError::MessageTooLong { len: 1014 });
    }

    #[test]
    fn a_reply_may_fill_the_mtu_and_no_more() {
        let refusal = refusal(Some(4), &"x".repeat(514)).expect("fits one AVP");
        assert_eq!(refusal.check_mtu("eth1", 600), Ok(()));
        let error = refusal.check_mtu("eth1", 599).expect_err("one too long");
        assert_eq!(
            error.to_string(),
            "the error message is 514 octets long, but a reply on interface eth1 with its \
             MTU of 599 holds 513: shorten --error-message or raise the MTU"
        );
    }

    #[test]
    fn an_mtu_without_room_for_any_reply_is_refused() {
        let refusal = refusal(None, "").expect("no message");
        assert_eq!(refusal.check_mtu("eth1", 86), Ok(()));
        assert_eq!(
            refusal
                .check_mtu("eth1", 85)
                .expect_err("too small")
                .to_string(),
            "interface eth1 with its MTU of 85 has no room for a reply, \
             which takes 86 octets without a message: raise the MTU"
        );
    }

    #[test]
    fn the_longest_message_fits_a_usual_mtu() {
        let refusal = refusal(Some(4), &"x".repeat(MESSAGE_LEN_MAX)).expect("fits one AVP");
        assert_eq!(refusal.check_mtu("eth1", 1280), Ok(()));
    }

    #[test]
    fn a_message_needs_an_error_code() {
        assert_eq!(
            refusal(None, "text"),
            Err(RefusalError::MessageWithoutError)
        );
        assert!(refusal(None, "").is_ok());
    }
}
