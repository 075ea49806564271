//! The names that a rule for LACs is about: those of the Host Name AVP (RFC 2661 §4.4.3).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::lac_identity::NAME_MAX;

/// A pattern for names: `*` stands for any octets, also for none, `?` for any one octet, and
/// every other octet for itself, in upper or lower case as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LacName(String);

impl LacName {
    /// The pattern in a text of 1 to [`NAME_MAX`] octets without control characters; `None` in
    /// another one.
    pub fn new(text: &str) -> Option<Self> {
        let is_one = (1..=NAME_MAX).contains(&text.len()) && !text.contains(char::is_control);
        is_one.then(|| Self(text.to_owned()))
    }

    /// Whether a name is one of these. Of a longer one its first [`NAME_MAX`] octets are given.
    pub fn matches(&self, name: &[u8]) -> bool {
        let (mut pattern, mut name) = (self.0.as_bytes(), name);
        // Where to go on if what follows the last `*` does not fit: that one takes an octet more.
        let mut again: Option<(&[u8], &[u8])> = None;
        loop {
            (pattern, name) = match (pattern, name) {
                ([b'*', pattern @ ..], name) => {
                    again = Some((pattern, name));
                    (pattern, name)
                }
                ([expected, pattern @ ..], [octet, name @ ..])
                    if *expected == b'?' || expected == octet =>
                {
                    (pattern, name)
                }
                ([], []) => return true,
                _ => match again {
                    Some((pattern, [_, name @ ..])) => {
                        again = Some((pattern, name));
                        (pattern, name)
                    }
                    _ => return false,
                },
            };
        }
    }
}

impl fmt::Display for LacName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &[u8]) -> bool {
        LacName::new(pattern).expect(pattern).matches(name)
    }

    /// The same by trying all that a `*` may stand for.
    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', pattern)), _) => (0..=name.len()).any(|at| fits(pattern, &name[at..])),
            (Some((b'?', pattern)), Some((_, name))) => fits(pattern, name),
            (Some((one, pattern)), Some((other, name))) => one == other && fits(pattern, name),
            _ => false,
        }
    }

    #[test]
    fn a_name_matches_octet_for_octet() {
        for (pattern, name, expected) in [
            ("lac-1", &b"lac-1"[..], true),
            ("lac-1", b"LAC-1", false),
            ("lac-1", b"lac-10", false),
            ("lac-1", b"lac-", false),
            ("lac-?", b"lac-1", true),
            ("lac-?", b"lac-\xff", true),
            ("lac-?", b"lac-", false),
            ("?", "ü".as_bytes(), false),
            ("??", "ü".as_bytes(), true),
            ("*", b"", true),
            ("**", b"anything\0", true),
            ("*.isp-a.example", b"lac7.isp-a.example", true),
            ("*.isp-a.example", b"lac7.isp-a.example.", false),
            ("a*b*c", b"a-b-b-c", true),
            ("a*b*c", b"a-c-b", false),
            ("a*", b"a", true),
            ("*a", b"b", false),
            ("?*", b"", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name:?}");
        }
    }

    #[test]
    fn a_pattern_is_short_and_printable() {
        for (text, is_one) in [
            ("", false),
            ("x", true),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
            (&"ü".repeat(33), false),
            ("a\nb", false),
            ("a\u{85}", false),
        ] {
            assert_eq!(LacName::new(text).is_some(), is_one, "{text:?}");
        }
    }

    #[test]
    fn the_worst_pattern_does_not_take_for_ever() {
        let pattern = format!("{}b", "*a".repeat(31));
        assert!(!matches(&pattern, &[b'a'; NAME_MAX]));
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_it_may_stand_for(
            pattern in "[ab*?]{1,8}",
            name in prop::collection::vec(prop::sample::select(&b"ab"[..]), 0..10),
        ) {
            prop_assert_eq!(matches(&pattern, &name), fits(pattern.as_bytes(), &name));
        }
    }
}
