//! What is answered: StopCCNs of several lengths.

use std::num::NonZeroU16;

use anyhow::{Context as _, Result, ensure};
use broken_lns::codes::{ErrorCode, ResultCode};
use broken_lns::refusal::Refusal;
use broken_lns_ebpf::template::Template;
use xtask::lab::{Avp, ControlMessage, attribute, message_type};

/// The error message of a reply unless it is a long one.
const MESSAGE: &str = "Internal error";
/// The tunnel id that every reply claims.
const ASSIGNED_TUNNEL_ID: NonZeroU16 = NonZeroU16::new(12345).expect("it is not 0");

/// How long the reply is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// The default StopCCN: 52 octets.
    Default,
    /// The longest StopCCN: 1,051 octets.
    LongestMessage,
    /// The longest template: 1,400 octets.
    LongestTemplate,
}

/// The template of a reply.
pub(crate) fn template(reply: Reply) -> Result<Template> {
    let refusal = |message| {
        Refusal::new(
            ResultCode(0),
            Some(ErrorCode(4)),
            message,
            ASSIGNED_TUNNEL_ID,
        )
    };
    Ok(match reply {
        Reply::Default => refusal(MESSAGE.to_owned())?.template()?,
        Reply::LongestMessage => {
            let longest = broken_lns::refusal::MESSAGE_LEN_MAX;
            refusal("x".repeat(longest))?.template()?
        }
        Reply::LongestTemplate => {
            let mut message = stop_ccn();
            for len in [1017, 319] {
                message.avps.push(Avp {
                    mandatory: false,
                    ..Avp::new(99, vec![0x78; len])
                });
            }
            let bytes = message.bytes();
            ensure!(
                bytes.len() == 1400,
                "the longest message has {} octets",
                bytes.len()
            );
            Template::new(&bytes).context("a message of 1,400 octets makes no template")?
        }
    })
}

/// The default answer, to be patched at Tunnel ID and Nr.
pub(crate) fn stop_ccn() -> ControlMessage {
    let codes = [&[0, 0, 0, 4], MESSAGE.as_bytes()].concat();
    ControlMessage {
        tunnel_id: 0,
        session_id: 0,
        ns: 0,
        nr: 0,
        avps: vec![
            Avp::new(attribute::MESSAGE_TYPE, message_type::STOPCCN.to_be_bytes()),
            Avp::new(attribute::RESULT_CODE, codes),
            Avp::new(
                attribute::ASSIGNED_TUNNEL_ID,
                ASSIGNED_TUNNEL_ID.get().to_be_bytes(),
            ),
        ],
    }
}
