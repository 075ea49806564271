//! Texts that somebody else wrote: LACs, and whoever named a scenario or a fault.

/// The text without what moves a cursor, breaks a line or turns the direction of reading.
pub(super) fn plain(text: &str) -> String {
    let shown = text.chars().map(|character| match character {
        character if character.is_control() => '\u{fffd}',
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        character => character,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_cannot_move_a_cursor() {
        assert_eq!(plain("bye 2/4, é"), "bye 2/4, é");
        assert_eq!(
            plain("a\x1b[2J\r\n\u{9b}\u{202e}b"),
            "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\u{fffd}b"
        );
    }
}
