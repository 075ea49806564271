//! Codes in JSON: written as a number, and read as a number or a name.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{ErrorCode, ErrorCodeChoice, ResultCode, UnknownCode};

impl Serialize for ResultCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0)
    }
}

impl<'de> Deserialize<'de> for ResultCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrName(PhantomData))
    }
}

impl Serialize for ErrorCodeChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(ErrorCode(number)) => serializer.serialize_u16(number),
            None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for ErrorCodeChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrName(PhantomData))
    }
}

/// Reads a code as the command line does.
struct NumberOrName<C>(PhantomData<C>);

impl<C: FromStr<Err = UnknownCode>> Visitor<'_> for NumberOrName<C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number from 0 to 65535 or a name of `broken-lns codes`")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<C, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<C, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<C, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_str, to_string};

    use super::*;

    #[test]
    fn a_code_is_written_as_a_number_and_read_as_a_name_too() {
        assert_eq!(to_string(&ResultCode(2)).expect("a number"), "2");
        for text in ["2", "\"2\"", "\"general-error\""] {
            assert_eq!(from_str::<ResultCode>(text).expect(text), ResultCode(2));
        }
        for (text, choice, written) in [
            ("6", Some(ErrorCode(6)), "6"),
            ("\"try-another\"", Some(ErrorCode(7)), "7"),
            ("\"none\"", None, "\"none\""),
        ] {
            let read: ErrorCodeChoice = from_str(text).expect(text);
            assert_eq!(read, ErrorCodeChoice(choice));
            assert_eq!(to_string(&read).expect("a code"), written);
        }
    }

    #[test]
    fn what_is_no_code_is_told_so() {
        for (text, message) in [
            (
                "65536",
                "`65536` is neither a number from 0 to 65535 nor the name of a result code; \
                 `broken-lns codes` lists the names at line 1 column 5",
            ),
            (
                "-1",
                "`-1` is neither a number from 0 to 65535 nor the name of a result code; \
                 `broken-lns codes` lists the names at line 1 column 2",
            ),
            (
                "true",
                "invalid type: boolean `true`, expected a number from 0 to 65535 \
                 or a name of `broken-lns codes` at line 1 column 4",
            ),
        ] {
            let error = from_str::<ResultCode>(text).expect_err(text);
            assert_eq!(error.to_string(), message);
        }
    }
}
