//! The result and error codes of L2TP: their numbers, names and meanings.
//!
//! The tables follow RFC 2661 §4.4.2, RFC 3308 (result 8) and the IANA
//! registry of L2TP. A code is any 16-bit number, in a table or not, since a
//! tester wants to see what a LAC does with a number nobody assigned.

mod json;

use std::{fmt, fmt::Write as _, str::FromStr};

use crate::suggestion::did_you_mean;

/// One row of a table of codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// The number on the wire.
    pub number: u16,
    /// The name by which the command line knows it.
    pub name: &'static str,
    /// What it tells the peer.
    pub meaning: &'static str,
}

/// Makes a table of rows, each a number, a name and a meaning.
macro_rules! table {
    ($($number:literal, $name:literal, $meaning:literal;)*) => {
        &[$(Code { number: $number, name: $name, meaning: $meaning }),*]
    };
}

/// The result codes of StopCCN, which ends a control connection.
pub const STOPCCN_RESULTS: &[Code] = table! {
    0, "reserved", "reserved";
    1, "clear-request", "general request to clear the control connection";
    2, "general-error", "general error; the error code says which";
    3, "already-exists", "control channel already exists";
    4, "not-authorized", "requester is not authorized to establish a control channel";
    5, "version-not-supported", "protocol version not supported; the error code is the highest one that is";
    6, "shutting-down", "requester is being shut down";
    7, "fsm-error", "finite state machine error or timeout";
    8, "ccds-mismatch", "control connection aborted due to a mismatching CCDS value";
};

/// The result codes of CDN, which ends a session.
pub const CDN_RESULTS: &[Code] = table! {
    0, "reserved", "reserved";
    1, "carrier-lost", "loss of carrier";
    2, "general-error", "general error; the error code says which";
    3, "administrative", "disconnected for administrative reasons";
    4, "temporarily-no-facilities", "no appropriate facilities, for the time being";
    5, "permanently-no-facilities", "no appropriate facilities, ever";
    6, "invalid-destination", "invalid destination";
    7, "no-carrier", "no carrier detected";
    8, "busy", "busy signal detected";
    9, "no-dial-tone", "no dial tone";
    10, "timeout", "not established within the time the LAC allows";
    11, "no-framing", "no appropriate framing detected";
    12, "sds-mismatch", "mismatching SDS value";
    13, "tie-breaker-lost", "lost the tie breaker (L2TPv3)";
    14, "pseudowire-not-supported", "unsupported pseudowire type (L2TPv3)";
    15, "sequencing-not-possible", "sequencing is not possible (L2TPv3)";
    16, "fsm-error", "finite state machine error or timeout (L2TPv3)";
};

/// The error codes, which both StopCCN and CDN may carry after their result.
pub const ERRORS: &[Code] = table! {
    0, "no-error", "no general error";
    1, "no-control-connection", "no control connection exists yet";
    2, "wrong-length", "length is wrong";
    3, "out-of-range", "value out of range, or a reserved field that is not zero";
    4, "insufficient-resources", "insufficient resources to handle this operation now";
    5, "invalid-session-id", "session id is invalid in this context";
    6, "vendor-specific", "vendor-specific error; the message should explain it";
    7, "try-another", "try another LNS";
    8, "unknown-avp", "unknown AVP with the M bit set; the message should name it";
    9, "try-another-directed", "try one of the LNSs that the message lists, separated by commas";
    10, "next-hop-unreachable", "next hop unreachable";
    11, "next-hop-busy", "next hop busy";
    12, "tsa-busy", "tunnel switching aggregator busy";
};

/// The result code of a StopCCN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultCode(pub u16);

/// The error code of a StopCCN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub u16);

/// An error code, or `none` to leave error code and message out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCodeChoice(pub Option<ErrorCode>);

/// A text that is neither a name in the table nor a 16-bit number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is neither a number from 0 to 65535 nor the name of {what}; {}",
    hint(text, table)
)]
pub struct UnknownCode {
    text: String,
    what: &'static str,
    /// What looks for a name that is near takes its time, so that it looks when that is shown.
    table: &'static [Code],
}

impl ResultCode {
    /// A warning in one line when LACs are known to ignore this result.
    ///
    /// Such a code is sent all the same: the warning is there so that nobody
    /// takes an ignored refusal for a LAC that hangs.
    pub fn unusual(self) -> Option<String> {
        match self.0 {
            0 => Some(
                "result code 0 is reserved: xl2tpd ignores a StopCCN with it, \
                 and Nokia SR OS never puts the LNS on its denylist for it"
                    .to_owned(),
            ),
            1..=8 => None,
            number => Some(format!(
                "result code {number} is not assigned: \
                 xl2tpd ignores a StopCCN with a result outside 1-7"
            )),
        }
    }
}

impl FromStr for ResultCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        parse(text, STOPCCN_RESULTS, "a result code").map(Self)
    }
}

impl FromStr for ErrorCode {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        parse(text, ERRORS, "an error code").map(Self)
    }
}

impl FromStr for ErrorCodeChoice {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        match text {
            "none" => Ok(Self(None)),
            code => code.parse().map(|code| Self(Some(code))),
        }
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self.0, STOPCCN_RESULTS, f)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        describe(self.0, ERRORS, f)
    }
}

/// The tables as `broken-lns codes` prints them.
pub fn tables() -> String {
    let sections: [(&str, &[Code]); 3] = [
        ("StopCCN result codes (--result-code)", STOPCCN_RESULTS),
        ("Error codes (--error-code)", ERRORS),
        ("CDN result codes", CDN_RESULTS),
    ];
    let width = sections
        .iter()
        .flat_map(|(_, codes)| codes.iter())
        .map(|code| code.name.len())
        .max()
        .unwrap_or(0);
    let mut text = String::new();
    for (title, codes) in sections {
        let _ = writeln!(text, "{title}");
        for Code {
            number,
            name,
            meaning,
        } in codes
        {
            let _ = writeln!(text, "  {number:>2}  {name:<width$}  {meaning}");
        }
        text.push('\n');
    }
    text.push_str("Every other number up to 65535 may be given as a number.\n");
    text
}

/// Reads a name of the table or a number.
fn parse(text: &str, table: &'static [Code], what: &'static str) -> Result<u16, UnknownCode> {
    if let Some(code) = table.iter().find(|code| code.name == text) {
        return Ok(code.number);
    }
    text.parse().map_err(|_| UnknownCode {
        text: text.to_owned(),
        what,
        table,
    })
}

/// Names the entries that `text` may have meant, or where to find them all.
fn hint(text: &str, table: &[Code]) -> String {
    did_you_mean(text, table.iter().map(|code| code.name))
        .unwrap_or_else(|| "`broken-lns codes` lists the names".to_owned())
}

/// Writes the number and, where the table has one, its name.
fn describe(number: u16, table: &[Code], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match table.iter().find(|code| code.number == number) {
        Some(code) => write!(f, "{number} ({})", code.name),
        None => write!(f, "{number} (not assigned)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_by_name_or_by_number() {
        for (text, number) in [
            ("general-error", 2),
            ("reserved", 0),
            ("8", 8),
            ("65535", 65535),
        ] {
            assert_eq!(text.parse(), Ok(ResultCode(number)), "{text}");
        }
        for (text, number) in [
            ("insufficient-resources", 4),
            ("try-another", 7),
            ("13", 13),
        ] {
            assert_eq!(text.parse(), Ok(ErrorCode(number)), "{text}");
        }
    }

    #[test]
    fn a_wrong_code_is_told_what_it_may_have_meant() {
        for (text, message) in [
            (
                "general",
                "`general` is neither a number from 0 to 65535 nor the name of a result code; \
                 did you mean `general-error`?",
            ),
            (
                "General_Error",
                "`General_Error` is neither a number from 0 to 65535 nor the name of a result \
                 code; did you mean `general-error`?",
            ),
            (
                "65536",
                "`65536` is neither a number from 0 to 65535 nor the name of a result code; \
                 `broken-lns codes` lists the names",
            ),
            (
                "",
                "`` is neither a number from 0 to 65535 nor the name of a result code; \
                 `broken-lns codes` lists the names",
            ),
        ] {
            let error = text.parse::<ResultCode>().expect_err(text);
            assert_eq!(error.to_string(), message);
        }
        let error = "try-anoter".parse::<ErrorCode>().expect_err("misspelt");
        assert_eq!(
            error.to_string(),
            "`try-anoter` is neither a number from 0 to 65535 nor the name of an error code; \
             did you mean `try-another` or `try-another-directed`?"
        );
    }

    #[test]
    fn a_code_is_shown_with_its_name() {
        assert_eq!(ResultCode(2).to_string(), "2 (general-error)");
        assert_eq!(ErrorCode(4).to_string(), "4 (insufficient-resources)");
        assert_eq!(ErrorCode(99).to_string(), "99 (not assigned)");
    }

    #[test]
    fn results_that_lacs_ignore_are_unusual() {
        for number in 1..=8 {
            assert_eq!(ResultCode(number).unusual(), None);
        }
        assert_eq!(
            ResultCode(0).unusual().as_deref(),
            Some(
                "result code 0 is reserved: xl2tpd ignores a StopCCN with it, \
                 and Nokia SR OS never puts the LNS on its denylist for it"
            )
        );
        assert_eq!(
            ResultCode(9).unusual().as_deref(),
            Some(
                "result code 9 is not assigned: \
                 xl2tpd ignores a StopCCN with a result outside 1-7"
            )
        );
    }

    #[test]
    fn every_table_counts_up_from_zero_with_unique_names() {
        for table in [STOPCCN_RESULTS, CDN_RESULTS, ERRORS] {
            for (index, code) in table.iter().enumerate() {
                assert_eq!(usize::from(code.number), index);
                assert!(
                    table[index + 1..]
                        .iter()
                        .all(|other| other.name != code.name),
                    "{} twice",
                    code.name
                );
            }
        }
    }

    #[test]
    fn the_tables_are_aligned() {
        let tables = tables();
        assert!(tables.starts_with(
            "StopCCN result codes (--result-code)\n   \
             0  reserved                   reserved\n   \
             1  clear-request              general request to clear the control connection\n   \
             2  general-error              general error; the error code says which\n"
        ));
        assert!(
            tables
                .contains("\n  12  tsa-busy                   tunnel switching aggregator busy\n")
        );
    }
}
