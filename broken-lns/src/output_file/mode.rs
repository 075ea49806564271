//! The mode of files that a run creates.

use std::fmt;
use std::str::FromStr;

/// Permission bits, of which the default lets nobody but the owner read and write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputMode(u32);

/// What is no mode of a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("takes three octal digits, such as 640, of which the owner's let them write")]
pub struct BadMode;

impl OutputMode {
    /// The owner reads and writes, and nobody else.
    pub const PRIVATE: Self = Self(0o600);

    /// The bits, at most 0o777.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl Default for OutputMode {
    fn default() -> Self {
        Self::PRIVATE
    }
}

impl FromStr for OutputMode {
    type Err = BadMode;

    fn from_str(text: &str) -> Result<Self, BadMode> {
        let is_octal =
            matches!(text.len(), 3 | 4) && text.bytes().all(|digit| digit.is_ascii_digit());
        let bits = u32::from_str_radix(text, 8).ok().filter(|_| is_octal);
        // Without the right to write a capture could not go on after a failure.
        let bits = bits.filter(|bits| *bits <= 0o777 && bits & 0o200 != 0);
        bits.map(Self).ok_or(BadMode)
    }
}

impl fmt::Display for OutputMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_octal_and_lets_its_owner_write() {
        for (text, bits) in [
            ("600", Some(0o600)),
            ("0640", Some(0o640)),
            ("666", Some(0o666)),
            ("0777", Some(0o777)),
            ("1777", None),
            ("444", None),
            ("0", None),
            ("688", None),
            ("+600", None),
            ("00600", None),
            ("rw-", None),
            ("", None),
        ] {
            let mode = text.parse::<OutputMode>();
            assert_eq!(mode.map(OutputMode::bits), bits.ok_or(BadMode), "{text}");
        }
        assert_eq!(OutputMode::default().to_string(), "0600");
    }
}
