//! What a LAC sent beside SCCRQs.

use super::escape::plain;
use crate::track::findings::LacMessage;

/// The message in a few words: its name, the codes as `result/error`, and its text.
pub(super) fn named(message: &LacMessage) -> String {
    let mut said = match name(message.message_type) {
        Some(name) => name.to_owned(),
        None => format!("message type {}", message.message_type),
    };
    if let Some(result) = message.result {
        said.push_str(&format!(" {result}"));
        if let Some(error) = message.error {
            said.push_str(&format!("/{error}"));
        }
    }
    if let Some(text) = &message.text {
        said.push_str(&format!(" \u{201c}{}\u{201d}", plain(text)));
    }
    said
}

/// The name of a message type (RFC 2661 §3.2).
fn name(message_type: u16) -> Option<&'static str> {
    Some(match message_type {
        1 => "SCCRQ",
        2 => "SCCRP",
        3 => "SCCCN",
        4 => "StopCCN",
        6 => "HELLO",
        7 => "OCRQ",
        8 => "OCRP",
        9 => "OCCN",
        10 => "ICRQ",
        11 => "ICRP",
        12 => "ICCN",
        14 => "CDN",
        15 => "WEN",
        16 => "SLI",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_named_by_type_and_codes_and_text() {
        let mut message = LacMessage {
            message_type: 4,
            result: None,
            error: None,
            text: None,
        };
        assert_eq!(named(&message), "StopCCN");
        message.result = Some(6);
        assert_eq!(named(&message), "StopCCN 6");
        message.error = Some(0);
        message.text = Some("bye\n".to_owned());
        assert_eq!(named(&message), "StopCCN 6/0 \u{201c}bye\u{fffd}\u{201d}");
        message.message_type = 5;
        assert!(named(&message).starts_with("message type 5 6/0 "));
    }
}
