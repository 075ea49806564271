//! The mistakes in a text: the first ones, and how many there are.

use std::collections::BTreeMap;

use super::error::Reason;
use super::reader::Span;

/// Mistakes that are shown. Nobody reads more, and a file may have millions.
pub(super) const SHOWN: usize = 100;

/// The mistakes that come first in a text. The others are counted.
#[derive(Default)]
pub(super) struct Mistakes {
    /// By where each begins, and which of several there was found first.
    first: BTreeMap<(usize, usize), (Span, Reason)>,
    count: usize,
}

impl Mistakes {
    /// One more. Its reason is asked for only if it is among the first so far.
    pub(super) fn add(&mut self, span: Span, reason: impl FnOnce() -> Reason) {
        let place = (span.start, self.count);
        self.count += 1;
        let last = self.first.last_key_value();
        if self.first.len() >= SHOWN && last.is_some_and(|(last, _)| *last < place) {
            return;
        }
        self.first.insert(place, (span, reason()));
        if self.first.len() > SHOWN {
            self.first.pop_last();
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The first ones in the order of the text, and how many there are beside them.
    pub(super) fn into_first(self) -> (impl Iterator<Item = (Span, Reason)>, usize) {
        let more = self.count - self.first.len();
        (self.first.into_values(), more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_text_are_kept_in_whatever_order_they_are_found() {
        let starts = 0..300_usize;
        let orders: [Vec<usize>; 3] = [
            starts.clone().collect(),
            starts.clone().rev().collect(),
            starts.map(|start| start * 7 % 300).collect(),
        ];
        for order in orders {
            let mut mistakes = Mistakes::default();
            for start in order {
                mistakes.add(start..start + 1, || Reason::Syntax(start.to_string()));
            }
            assert_eq!(mistakes.count(), 300);
            let (first, more) = mistakes.into_first();
            let expected =
                (0..SHOWN).map(|start| (start..start + 1, Reason::Syntax(start.to_string())));
            assert!(first.eq(expected));
            assert_eq!(more, 200);
        }
    }

    #[test]
    fn a_reason_is_not_asked_for_where_it_is_not_shown() {
        let mut mistakes = Mistakes::default();
        for start in 0..SHOWN {
            mistakes.add(start..start, || Reason::NotText);
        }
        mistakes.add(SHOWN..SHOWN, || panic!("nobody sees it"));
        assert_eq!(mistakes.into_first().1, 1);
    }
}
