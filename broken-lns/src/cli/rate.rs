//! The limit on replies to one source address.

use std::{fmt, num::NonZeroU32, str::FromStr};

/// Most replies in a second, or none for as many as are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxReplyRate(pub Option<NonZeroU32>);

impl MaxReplyRate {
    /// The greatest rate that differs from none: of a reply in each microsecond.
    const MAX: u32 = 1_000_000;
}

impl Default for MaxReplyRate {
    /// More than a LAC asks for, and no more than 100 Mbit/s of the longest replies.
    fn default() -> Self {
        Self(NonZeroU32::new(10_000))
    }
}

impl FromStr for MaxReplyRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "off" {
            return Ok(Self(None));
        }
        let number = text.strip_suffix("/s").unwrap_or(text).parse().ok();
        let rate = number.filter(|rate: &NonZeroU32| rate.get() <= Self::MAX);
        rate.map(|rate| Self(Some(rate)))
            .ok_or_else(|| format!("takes 1/s to {}/s, or off", Self::MAX))
    }
}

impl fmt::Display for MaxReplyRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(rate) => write!(f, "{rate}/s"),
            None => f.write_str("off"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_a_second_or_off() {
        for (text, rate) in [
            ("1", NonZeroU32::new(1)),
            ("250/s", NonZeroU32::new(250)),
            ("1000000/s", NonZeroU32::new(1_000_000)),
            ("off", None),
        ] {
            assert_eq!(text.parse(), Ok(MaxReplyRate(rate)), "{text}");
        }
        for text in [
            "", "0", "0/s", "-1", "1.5", "1000001", "10/m", "10 /s", "none",
        ] {
            let error = text.parse::<MaxReplyRate>().expect_err(text);
            assert_eq!(error, "takes 1/s to 1000000/s, or off", "{text}");
        }
        let default = MaxReplyRate::default();
        assert_eq!(default.to_string(), "10000/s");
        assert_eq!(default.to_string().parse(), Ok(default));
        assert_eq!(MaxReplyRate(None).to_string(), "off");
    }
}
