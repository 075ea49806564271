//! How long a capture file may become.

use std::fmt;
use std::str::FromStr;

/// A file should hold more than a handful of frames.
const LEAST: u64 = 64_000;

/// The octets after which a capture file is closed and the next begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileLimit(u64);

/// Why a text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileLimitError {
    /// It is no number with a unit.
    #[error("not a size; give a number of octets, such as 64000, 500K, 100M or 2G")]
    NoSize,

    /// It is too small.
    #[error("has to be at least 64K, or a file would hold a few frames only")]
    TooSmall,
}

impl FileLimit {
    /// A limit of so many octets.
    ///
    /// # Errors
    ///
    /// Where that is under 64,000.
    pub fn new(octets: u64) -> Result<Self, FileLimitError> {
        if octets < LEAST {
            return Err(FileLimitError::TooSmall);
        }
        Ok(Self(octets))
    }

    /// The octets.
    pub fn octets(self) -> u64 {
        self.0
    }
}

impl FromStr for FileLimit {
    type Err = FileLimitError;

    /// Reads a number of octets, or of thousands (`K`), millions (`M`) or milliards (`G`) of them.
    fn from_str(text: &str) -> Result<Self, FileLimitError> {
        let units = [('K', 1_000), ('M', 1_000_000), ('G', 1_000_000_000)];
        let unit = units.into_iter().find_map(|(letter, unit)| {
            let number = text.strip_suffix([letter, letter.to_ascii_lowercase()])?;
            Some((number, unit))
        });
        let (number, unit) = unit.unwrap_or((text, 1));
        if !number.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(FileLimitError::NoSize);
        }
        let number: u64 = number.parse().map_err(|_| FileLimitError::NoSize)?;
        Self::new(number.checked_mul(unit).ok_or(FileLimitError::NoSize)?)
    }
}

impl fmt::Display for FileLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_none() {
        for (text, octets) in [
            ("64000", 64_000),
            ("64K", 64_000),
            ("64k", 64_000),
            ("100M", 100_000_000),
            ("2g", 2_000_000_000),
        ] {
            let limit: FileLimit = text.parse().expect(text);
            assert_eq!(limit.octets(), octets, "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_an_error() {
        for text in [
            "",
            "M",
            "-1",
            "+5M",
            "1.5M",
            "5 M",
            "5MB",
            "5T",
            "20000000000G",
        ] {
            assert_eq!(
                text.parse::<FileLimit>(),
                Err(FileLimitError::NoSize),
                "{text}"
            );
        }
        for text in ["0", "63999", "63K"] {
            assert_eq!(
                text.parse::<FileLimit>(),
                Err(FileLimitError::TooSmall),
                "{text}"
            );
        }
    }
}
