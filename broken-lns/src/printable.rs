//! Texts that somebody else wrote, for a terminal: LACs, whoever named a file or a scenario, and
//! whoever listens at a socket. None of them may move its cursor, or send it an escape sequence.

use serde_json::Value;

/// Stands for a character that is not shown.
const HIDDEN: char = '\u{fffd}';

/// The text as a part of one line: without what moves a cursor, breaks a line or turns the
/// direction of reading.
pub(crate) fn line(text: &str) -> String {
    text.replace(is_active, "\u{fffd}")
}

/// The same of a text of several lines, in which newlines and tabs stay.
pub(crate) fn lines(text: &str) -> String {
    let shown = text.chars().map(|character| match character {
        '\n' | '\t' => character,
        character if is_active(character) => HIDDEN,
        character => character,
    });
    shown.collect()
}

/// All texts in a JSON value, and all its keys, as [`lines`] has them.
pub(crate) fn json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(lines(&text)),
        Value::Array(values) => values.into_iter().map(json).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (lines(&key), json(value)))
            .collect(),
        other => other,
    }
}

/// A line of JSON that means the same, in which such characters are escaped. JSON itself escapes
/// the control characters of ASCII alone.
pub(crate) fn json_line(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for character in line.chars() {
        match character {
            '\n' => escaped.push('\n'),
            // Between two values, where an escape has no place.
            '\t' | '\r' => escaped.push(' '),
            character if is_active(character) => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// Whether a terminal does something else with a character than to show it.
fn is_active(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_cannot_move_a_cursor() {
        assert_eq!(line("bye 2/4, é"), "bye 2/4, é");
        assert_eq!(
            line("a\x1b[2J\r\n\u{9b}\u{202e}b"),
            "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"
        );
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(
            lines("a\tb\n\x1b[2Jc\r\n\u{7f}"),
            "a\tb\n\u{fffd}[2Jc\u{fffd}\n\u{fffd}"
        );
    }

    #[test]
    fn no_text_in_json_is_left_out() {
        assert_eq!(
            super::json(json!({"a\u{1b}": ["b\u{7}", {"c": "d\re\nf"}], "g": 1, "h": null})),
            json!({"a\u{fffd}": ["b\u{fffd}", {"c": "d\u{fffd}e\nf"}], "g": 1, "h": null})
        );
    }

    #[test]
    fn a_line_of_json_means_the_same() {
        let text = "{\"a\":\r\t\"\u{9b}2J\u{202e}\\u001b\u{7f}\"}\n";
        let escaped = json_line(text);
        assert_eq!(escaped, "{\"a\":  \"\\u009b2J\\u202e\\u001b\\u007f\"}\n");
        let [before, after] =
            [text, &escaped].map(|text| serde_json::from_str::<Value>(text).expect("it is JSON"));
        assert_eq!(before, after);
    }
}
