//! Texts that somebody else wrote: LACs, and whoever named a scenario or a fault.

pub(super) use crate::printable::line as plain;

/// The text for Markdown within a line: nothing in it is markup, a link or HTML.
pub(super) fn markdown(text: &str) -> String {
    let text = plain(text);
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let is_markup = match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '#' | '$' | '@' => {
                true
            }
            // What would become a link without any markup. An IPv6 address is none.
            ':' => rest.as_str().starts_with('/'),
            '.' => ends_with_www(&escaped),
            _ => false,
        };
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The text for HTML, between tags or within a quoted attribute.
pub(super) fn html(text: &str) -> String {
    let text = plain(text);
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

fn ends_with_www(text: &str) -> bool {
    let end = text.as_bytes().last_chunk::<3>();
    end.is_some_and(|end| end.eq_ignore_ascii_case(b"www"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_markup() {
        for (text, escaped) in [
            (
                "LNS 2001:db8::1, 1.5 s (2/4)",
                "LNS 2001:db8::1, 1.5 s (2/4)",
            ),
            ("a|b", "a\\|b"),
            ("a\\|b", "a\\\\\\|b"),
            ("<img src=x>", "\\<img src=x\\>"),
            ("![a](b) &lt;", "!\\[a\\](b) \\&lt;"),
            (
                "*a* _b_ `c` ~~d~~ $e$ #7",
                "\\*a\\* \\_b\\_ \\`c\\` \\~\\~d\\~\\~ \\$e\\$ \\#7",
            ),
            ("https://a WWW.b c@d", "https\\://a WWW\\.b c\\@d"),
            ("a\n# b", "a\u{fffd}\\# b"),
        ] {
            assert_eq!(markdown(text), escaped);
        }
    }

    #[test]
    fn nothing_is_a_tag_or_ends_an_attribute() {
        assert_eq!(
            html("<a href='\"'>&lt;\n"),
            "&lt;a href=&#39;&quot;&#39;&gt;&amp;lt;\u{fffd}"
        );
    }
}
