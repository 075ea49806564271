//! The text of a scenario file: from octets to lines and columns, and what an
//! error shows of it.

use std::ops::Range;

use super::Place;

/// The characters of a long line that an error shows, and those before its place.
const SHOWN: usize = 90;
const SHOWN_BEFORE: usize = 30;

/// Octets of a block, at the start of each of which the characters are known.
///
/// With them a place takes the same time everywhere, even if a file is a single line.
const BLOCK: usize = 1024;

/// A text with the places of its lines.
pub(super) struct Source<'t> {
    text: &'t str,
    line_starts: Vec<usize>,
    characters_before: Vec<usize>,
}

impl<'t> Source<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let newlines = text
            .bytes()
            .enumerate()
            .filter(|(_, octet)| *octet == b'\n');
        let line_starts = std::iter::once(0).chain(newlines.map(|(offset, _)| offset + 1));
        let mut characters = 0;
        let blocks = text.as_bytes().chunks(BLOCK).map(|block| {
            let before = characters;
            characters += count(block);
            before
        });
        let characters_before = blocks.collect();
        Self {
            text,
            line_starts: line_starts.collect(),
            characters_before,
        }
    }

    /// The place of an octet.
    pub(super) fn place(&self, offset: usize) -> Place {
        let line = self.line_of(offset);
        let start = self.line_starts.get(line).copied().unwrap_or(0);
        Place {
            line: line + 1,
            column: self.characters(offset) - self.characters(start) + 1,
        }
    }

    /// The line that the octets begin in, and below it a mark for each character of them.
    pub(super) fn excerpt(&self, span: Range<usize>) -> String {
        let start = self.text.floor_char_boundary(span.start);
        let Place { line, column } = self.place(start);
        let before = match column - 1 {
            before if before > SHOWN => SHOWN_BEFORE,
            before => before,
        };
        let left = self.text.get(..start).unwrap_or_default().chars().rev();
        let left: usize = left.take(before).map(char::len_utf8).sum();
        let shown = self.text.get(start - left..).unwrap_or_default().chars();
        // A tab would move the marks away, and other control characters much more.
        let shown = shown
            .take_while(|character| *character != '\n')
            .take(SHOWN)
            .map(|character| match character {
                '\t' | '\r' => ' ',
                character if character.is_control() => '\u{fffd}',
                character => character,
            });
        let shown: String = shown.collect();

        let marked = self
            .characters(span.end)
            .saturating_sub(self.characters(start));
        let room = shown.chars().count().saturating_sub(before);
        let marks = "^".repeat(marked.clamp(1, room.max(1)));
        let shown = shown.trim_end();
        format!("{line:>6} | {shown}\n       | {:before$}{marks}", "")
    }

    /// The index of the line that the octet is in.
    fn line_of(&self, offset: usize) -> usize {
        let after = self.line_starts.partition_point(|start| *start <= offset);
        after.saturating_sub(1)
    }

    /// The characters before that octet.
    fn characters(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        let block = offset / BLOCK;
        let Some(before) = self.characters_before.get(block) else {
            // Only the end of the text is behind the last block.
            let last = self.characters_before.len().saturating_sub(1);
            let before = self.characters_before.last().copied().unwrap_or(0);
            return before + count(&self.text.as_bytes()[last * BLOCK..]);
        };
        before + count(&self.text.as_bytes()[block * BLOCK..offset])
    }
}

/// The characters that begin in these octets of UTF-8.
fn count(octets: &[u8]) -> usize {
    let begins = |octet: &&u8| **octet & 0xc0 != 0x80;
    octets.iter().filter(begins).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_1() {
        let source = Source::new("a\nüb\r\n\nc");
        for (offset, line, column) in [
            (0, 1, 1),
            (1, 1, 2),
            (2, 2, 1),
            (4, 2, 2),
            (7, 3, 1),
            (8, 4, 1),
            (9, 4, 2),
            (100, 4, 2),
        ] {
            assert_eq!(source.place(offset), Place { line, column }, "{offset}");
        }
        assert_eq!(Source::new("").place(0), Place { line: 1, column: 1 });
    }

    #[test]
    fn an_excerpt_marks_what_is_wrong() {
        let source = Source::new("first = 1\n\t[resutl] # ü\u{7}\r\nlast = \"abc");
        assert_eq!(
            source.excerpt(12..18),
            "     2 |  [resutl] # ü\u{fffd}\n       |   ^^^^^^"
        );
        assert_eq!(
            source.excerpt(34..100),
            "     3 | last = \"abc\n       |        ^^^^"
        );
        assert_eq!(
            source.excerpt(100..100),
            "     3 | last = \"abc\n       |            ^"
        );
    }

    #[test]
    fn of_a_long_line_only_a_part_is_shown() {
        let line = format!("{}wrong{}", "a".repeat(5000), "b".repeat(5000));
        let excerpt = Source::new(&line).excerpt(5000..5005);
        let expected = format!(
            "     1 | {}wrong{}\n       | {}^^^^^",
            "a".repeat(30),
            "b".repeat(55),
            " ".repeat(30)
        );
        assert_eq!(excerpt, expected);
    }

    proptest! {
        #[test]
        fn places_are_those_of_a_slow_count(text in "(a|ü|\u{1f980}|\n|\r){0,3000}") {
            let source = Source::new(&text);
            for (offset, _) in text.char_indices().step_by(97) {
                let before = &text[..offset];
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                prop_assert_eq!(source.place(offset), Place { line, column });
            }
        }

        #[test]
        fn any_octets_have_an_excerpt(text: String, start in 0..200_usize, end in 0..200_usize) {
            let _ = Source::new(&text).excerpt(start..end);
        }
    }
}
