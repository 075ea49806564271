//! Reads single values of a parsed TOML text, and goes on after a mistake.
//!
//! Deserialisation with serde ends at the first error. A tester shall see all
//! of them, so each value is looked at here, and what is wrong with it is noted
//! with its place. A method returns `None` where there is nothing of use; it has
//! been complained about then.

use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Reason;
use super::mistakes::Mistakes;
use super::modifiers::Probability;
use super::prefix::Prefix;
use crate::codes::UnknownCode;

/// The longest text that is looked up as a name, a number, a time or an address.
const WORD_LEN_MAX: usize = 100;

/// The octets of the text that something stands in.
pub(super) type Span = Range<usize>;

/// A table, or what stands for one.
#[derive(Clone)]
pub(super) struct Table<'t> {
    entries: Option<&'t DeTable<'t>>,
    /// Its header, or all of it where it stands in a line.
    pub(super) span: Span,
}

impl<'t> Table<'t> {
    /// The table of a whole text.
    pub(super) fn root(text: &'t Spanned<DeTable<'t>>) -> Self {
        Self {
            entries: Some(text.get_ref()),
            span: 0..0,
        }
    }

    /// A table without entries, for what is there.
    pub(super) fn empty(span: Span) -> Self {
        Self {
            entries: None,
            span,
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &'static str) -> Option<Entry<'t>> {
        let value = self.entries?.get(key)?;
        Some(Entry { key, value })
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// All keys with their places.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'t str, Span)> {
        let entries = self.entries.into_iter().flatten();
        entries.map(|(key, _)| (key.get_ref().as_ref(), key.span()))
    }
}

/// A value, and the key that it belongs to.
#[derive(Clone, Copy)]
pub(super) struct Entry<'t> {
    key: &'static str,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Entry<'t> {
    /// Where the value stands.
    pub(super) fn span(&self) -> Span {
        self.value.span()
    }

    /// The text, if it is one.
    pub(super) fn as_text(&self) -> Option<&'t str> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one of up to 64 bits, negative ones included.
    fn as_number(&self) -> Option<i128> {
        match self.value.get_ref() {
            DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }
}

/// Everything that was wrong so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) mistakes: Mistakes,
}

impl Reader {
    /// Notes what is wrong there.
    pub(super) fn complain(&mut self, span: Span, reason: impl Into<Reason>) {
        self.mistakes.add(span, || reason.into());
    }

    /// Notes that the entry has to be something else.
    pub(super) fn expected(&mut self, entry: Entry<'_>, expected: impl Into<String>) {
        let reason = Reason::NotExpected {
            key: entry.key,
            expected: expected.into(),
            found: describe(entry.value.get_ref()),
        };
        self.complain(entry.span(), reason);
    }

    /// Notes that a list is shorter or longer than it may be.
    pub(super) fn wrong_length(&mut self, entry: Entry<'_>, length: usize, expected: &str) {
        let reason = Reason::NotExpected {
            key: entry.key,
            expected: expected.to_owned(),
            found: match length {
                0 => "an empty list".to_owned(),
                length => format!("a list of {length}"),
            },
        };
        self.complain(entry.span(), reason);
    }

    /// Notes that a key has to be there.
    pub(super) fn missing(&mut self, table: &Table<'_>, key: &'static str, expected: &'static str) {
        self.complain(table.span.clone(), Reason::MissingKey { key, expected });
    }

    /// A text of any length.
    pub(super) fn text<'t>(&mut self, entry: Entry<'t>) -> Option<&'t str> {
        let text = entry.as_text();
        if text.is_none() {
            self.expected(entry, "a text");
        }
        text
    }

    /// A text that may be a name, or another single thing.
    fn word<'t>(&mut self, entry: Entry<'t>, expected: &str) -> Option<&'t str> {
        let word = entry.as_text().filter(|text| text.len() <= WORD_LEN_MAX);
        if word.is_none() {
            self.expected(entry, expected);
        }
        word
    }

    /// A whole number.
    pub(super) fn number(&mut self, entry: Entry<'_>, range: RangeInclusive<u64>) -> Option<u64> {
        let number = entry.as_number().and_then(|number| number.try_into().ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = range.into_inner();
            self.expected(entry, format!("a number from {least} to {most}"));
        }
        number
    }

    /// True or false.
    pub(super) fn switch(&mut self, entry: Entry<'_>) -> Option<bool> {
        match entry.value.get_ref() {
            DeValue::Boolean(on) => Some(*on),
            _ => {
                self.expected(entry, "true or false");
                None
            }
        }
    }

    /// A number from 0 to 1.
    pub(super) fn probability(&mut self, entry: Entry<'_>) -> Option<Probability> {
        let number = match entry.value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => entry.as_number().map(|number| number as f64),
        };
        let probability = number.and_then(Probability::new);
        if probability.is_none() {
            self.expected(entry, "a number from 0 to 1");
        }
        probability
    }

    /// A time with its unit, longer than none.
    pub(super) fn time(&mut self, entry: Entry<'_>, longest: Duration) -> Option<Duration> {
        let times = Duration::from_nanos(1)..=longest;
        let time = entry
            .as_text()
            .filter(|text| text.len() <= WORD_LEN_MAX)
            .and_then(|text| humantime::parse_duration(text).ok())
            .filter(|time| times.contains(time));
        if time.is_none() {
            let longest = humantime::format_duration(longest);
            let expected = format!("a time with its unit, such as \"250ms\", of up to {longest}");
            self.expected(entry, expected);
        }
        time
    }

    /// A result or an error code.
    pub(super) fn code<C>(&mut self, entry: Entry<'_>, expected: &str) -> Option<C>
    where
        C: FromStr<Err = UnknownCode>,
    {
        let code = match entry.as_number() {
            Some(number) => number.to_string().parse(),
            None => self.word(entry, expected)?.parse(),
        };
        code.map_err(|unknown| self.complain(entry.span(), unknown))
            .ok()
    }

    /// One of several things by its name.
    pub(super) fn name<T: Copy>(
        &mut self,
        entry: Entry<'_>,
        what: &'static str,
        all: &[T],
        name_of: impl Fn(T) -> &'static str,
    ) -> Option<T> {
        let word = self.word(entry, &format!("the name of a {what}"))?;
        let found = all.iter().find(|one| name_of(**one) == word);
        if found.is_none() {
            self.mistakes.add(entry.span(), || Reason::UnknownName {
                what,
                name: word.to_owned(),
                names: all.iter().map(|one| name_of(*one)).collect(),
            });
        }
        found.copied()
    }

    /// An address or a prefix.
    pub(super) fn prefix(&mut self, entry: Entry<'_>) -> Option<Prefix> {
        let word = self.word(entry, "an address, a prefix, or a list of them")?;
        word.parse()
            .map_err(|error| self.complain(entry.span(), Reason::Prefix(error)))
            .ok()
    }

    /// A table.
    pub(super) fn table<'t>(&mut self, entry: Entry<'t>, expected: &str) -> Option<Table<'t>> {
        match entry.value.get_ref() {
            DeValue::Table(entries) => Some(Table {
                entries: Some(entries),
                span: entry.span(),
            }),
            _ => {
                self.expected(entry, expected);
                None
            }
        }
    }

    /// The elements of a list.
    pub(super) fn list<'t>(
        &mut self,
        entry: Entry<'t>,
        expected: &str,
    ) -> Option<impl ExactSizeIterator<Item = Entry<'t>> + use<'t>> {
        let Entry { key, value } = entry;
        match value.get_ref() {
            DeValue::Array(values) => Some(values.iter().map(move |value| Entry { key, value })),
            _ => {
                self.expected(entry, expected);
                None
            }
        }
    }

    /// The elements of a list, or the one that stands for a list of itself.
    pub(super) fn one_or_more<'t>(&mut self, entry: Entry<'t>, expected: &str) -> Vec<Entry<'t>> {
        match entry.value.get_ref() {
            DeValue::Array(_) => self.list(entry, expected).into_iter().flatten().collect(),
            _ => vec![entry],
        }
    }

    /// Notes a key that is not one of these.
    pub(super) fn unknown_key(
        &mut self,
        key: &str,
        span: Span,
        known: impl IntoIterator<Item = &'static str>,
    ) {
        self.mistakes.add(span, || Reason::UnknownKey {
            key: shortened(key),
            known: known.into_iter().collect(),
        });
    }
}

/// A value as an error quotes it.
fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", shortened(text)),
        DeValue::Integer(number) => shortened(&number.to_string()),
        DeValue::Float(number) => shortened(number.as_str()),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(entries) if entries.is_empty() => "an empty table".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// The text, or its beginning where it is long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(WORD_LEN_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
