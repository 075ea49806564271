//! Control messages in words.

use crate::lab::{ControlMessage, attribute, message_type};

/// RFC 2661 §4.4.2 and RFC 3308.
const RESULTS: [&str; 9] = [
    "reserved",
    "general request to clear",
    "general error",
    "channel already exists",
    "not authorized",
    "version not supported",
    "shutting down",
    "state machine error",
    "mismatching CCDS value",
];

/// RFC 2661 §4.4.2 and the IANA registry.
const ERRORS: [&str; 13] = [
    "no general error",
    "no control connection yet",
    "wrong length",
    "value out of range",
    "insufficient resources",
    "invalid session id",
    "vendor-specific",
    "try another",
    "unknown AVP",
    "try another directed",
    "next hop unreachable",
    "next hop busy",
    "TSA busy",
];

/// The name of a message.
pub(super) fn kind(message: &ControlMessage) -> String {
    match message.message_type() {
        Some(message_type::SCCRQ) => "SCCRQ".to_owned(),
        Some(message_type::STOPCCN) => "StopCCN".to_owned(),
        Some(other) => format!("type {other}"),
        None => "ZLB".to_owned(),
    }
}

/// What a message says.
pub(super) fn content(message: &ControlMessage) -> String {
    match message.message_type() {
        Some(message_type::SCCRQ) => request(message),
        Some(message_type::STOPCCN) => refusal(message),
        None => "acknowledges it".to_owned(),
        Some(_) => String::new(),
    }
}

fn request(message: &ControlMessage) -> String {
    let tunnel = message.attribute(attribute::ASSIGNED_TUNNEL_ID);
    let tunnel = tunnel.and_then(|avp| avp.number()).unwrap_or(0);
    let name = message.attribute(attribute::HOST_NAME);
    let name = name.map_or("".into(), |avp| String::from_utf8_lossy(&avp.value));
    format!("from \"{name}\", tunnel {tunnel}")
}

fn refusal(message: &ControlMessage) -> String {
    let mut words = String::new();
    let value = message
        .attribute(attribute::RESULT_CODE)
        .map_or(&[][..], |avp| avp.value.as_slice());
    if let Some((result, rest)) = value.split_first_chunk() {
        words += &named("result", u16::from_be_bytes(*result), &RESULTS);
        if let Some((error, text)) = rest.split_first_chunk() {
            words += &named(", error", u16::from_be_bytes(*error), &ERRORS);
            if !text.is_empty() {
                words += &format!(", \"{}\"", String::from_utf8_lossy(text));
            }
        }
    }
    words
}

fn named(what: &str, code: u16, names: &[&str]) -> String {
    let name = names
        .get(usize::from(code))
        .copied()
        .unwrap_or("unassigned");
    format!("{what} {code} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Avp, Sccrq};

    #[test]
    fn messages_are_told_in_words() {
        let request = Sccrq::new(7).message();
        assert_eq!(kind(&request), "SCCRQ");
        assert_eq!(content(&request), "from \"lac\", tunnel 7");

        let mut refusal = ControlMessage::zlb(7, 0, 1);
        assert_eq!(
            (kind(&refusal).as_str(), content(&refusal).as_str()),
            ("ZLB", "acknowledges it")
        );
        refusal.avps = vec![
            Avp::new(attribute::MESSAGE_TYPE, [0, 4]),
            Avp::new(attribute::RESULT_CODE, *b"\0\x02\0\x63gone"),
        ];
        assert_eq!(
            content(&refusal),
            "result 2 (general error), error 99 (unassigned), \"gone\""
        );
        refusal.avps[1].value.truncate(2);
        assert_eq!(content(&refusal), "result 2 (general error)");
    }
}
