//! What can be wrong with a scenario file, in words.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::Place;
use super::expect::Profile;
use super::fault::FaultName;
use super::garble::GarbleError;
use super::prefix::{Prefix, PrefixError};
use crate::codes::UnknownCode;
use crate::refusal::{MESSAGE_LEN_MAX, RefusalError};
use crate::suggestion::did_you_mean;

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file could not be read.
    #[error("cannot read the scenario {file}: {cause}")]
    Read {
        /// The file.
        file: String,
        /// What the kernel said.
        cause: io::Error,
    },

    /// The file is too long.
    #[error(
        "the scenario {file} is longer than {limit} MiB; \
         cover addresses of the same treatment with prefixes or lists"
    )]
    TooLong {
        /// The file.
        file: String,
        /// How long it may be.
        limit: u64,
    },

    /// The text says something else than a scenario.
    #[error("{} in the scenario {file}{}", count(mistakes.len() + more), list(file, mistakes, *more))]
    Mistakes {
        /// The file.
        file: String,
        /// The first mistakes in it, by place.
        mistakes: Vec<Mistake>,
        /// How many there are beside those.
        more: usize,
    },
}

/// How many mistakes there are, in words.
fn count(mistakes: usize) -> String {
    match mistakes {
        1 => "1 mistake".to_owned(),
        count => format!("{count} mistakes"),
    }
}

/// The mistakes, each as a compiler shows it, and how many there are beside them.
fn list(file: &str, mistakes: &[Mistake], more: usize) -> String {
    let mut list = String::new();
    for mistake in mistakes {
        list.push('\n');
        list.push_str(&mistake.shown(file));
    }
    if more > 0 {
        list.push_str(&format!("\nand {more} more"));
    }
    list
}

impl ScenarioError {
    /// What is wrong, each on its own, as far as it is shown.
    pub fn each(&self) -> Vec<String> {
        match self {
            Self::Mistakes { file, mistakes, .. } => {
                let shown = mistakes.iter().map(|mistake| mistake.shown(file));
                shown.collect()
            }
            Self::Read { .. } | Self::TooLong { .. } => vec![self.to_string()],
        }
    }

    /// How much is wrong beside that.
    pub fn more(&self) -> usize {
        match self {
            Self::Mistakes { more, .. } => *more,
            Self::Read { .. } | Self::TooLong { .. } => 0,
        }
    }
}

/// Asks for the name that was meant, or tells all that there are.
fn hint(text: &str, names: &[&str]) -> String {
    did_you_mean(text, names.iter().copied())
        .unwrap_or_else(|| format!("expected one of `{}`", names.join("`, `")))
}

#[cfg(test)]
impl ScenarioError {
    /// Every mistake, each in a line.
    pub(super) fn mistakes(&self) -> Vec<String> {
        match self {
            Self::Mistakes { mistakes, .. } => mistakes.iter().map(Mistake::to_string).collect(),
            Self::Read { .. } | Self::TooLong { .. } => panic!("{self}"),
        }
    }
}

/// One wrong thing in a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where it begins.
    pub place: Place,
    /// What is wrong.
    pub reason: Reason,
    /// The line of the file, and below it what is wrong underlined.
    pub excerpt: String,
}

impl Mistake {
    /// The mistake as a compiler shows it, with the name of its file.
    fn shown(&self, file: &str) -> String {
        format!("{file}:{self}\n{}", self.excerpt)
    }
}

impl fmt::Display for Mistake {
    /// Place and reason in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.to_string();
        // What is quoted from the file shall not write to the terminal whatever it wants.
        let reason = reason.replace(char::is_control, "\u{fffd}");
        write!(f, "{}: {reason}", self.place)
    }
}

/// What is wrong, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It is not even text.
    #[error("not UTF-8; expected a text file")]
    NotText,

    /// It is text, but no TOML.
    #[error("not TOML: {0}")]
    Syntax(String),

    /// A key that nothing has.
    #[error("unknown key `{key}`; {}", hint(key, known))]
    UnknownKey {
        /// The key.
        key: String,
        /// The keys that there are.
        known: Vec<&'static str>,
    },

    /// A key that other faults have.
    #[error("`{key}` does not belong to fault `{fault}`, but to {owners}")]
    ForeignKey {
        /// The key.
        key: String,
        /// The fault here.
        fault: FaultName,
        /// The faults that have it.
        owners: String,
    },

    /// A key that has to be there.
    #[error("`{key}` is missing; expected {expected}")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// Its values.
        expected: &'static str,
    },

    /// A value of another type, or out of bounds.
    #[error("`{key}` has to be {expected}, not {found}")]
    NotExpected {
        /// The key.
        key: &'static str,
        /// The values that it takes.
        expected: String,
        /// What it has.
        found: String,
    },

    /// A name that no such thing has.
    #[error("unknown {what} `{name}`; {}", hint(name, names))]
    UnknownName {
        /// What should have that name.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        names: Vec<&'static str>,
    },

    /// A code that is no code.
    #[error(transparent)]
    Code(#[from] UnknownCode),

    /// A prefix that is no prefix.
    #[error(transparent)]
    Prefix(#[from] PrefixError),

    /// A prefix that is there twice.
    #[error("{prefix} has a rule already, at {first}; join the two")]
    Duplicate {
        /// The prefix.
        prefix: Prefix,
        /// Where it was first.
        first: Place,
    },

    /// Two rules for the LACs of the same addresses and names.
    #[error("there is a rule for these LACs with the same `lac_name`, at {first}; join the two")]
    DuplicateName {
        /// Where the other one is.
        first: Place,
    },

    /// More rules by name than an SCCRQ can be held against.
    #[error(
        "an LNS takes {limit} rules with a `lac_name`; use `*` and `?`, or give LACs of \
         different addresses rules of their own"
    )]
    TooManyNames {
        /// How many there may be.
        limit: usize,
    },

    /// A name that two groups have.
    #[error("there is a group `{name}` already, at {first}; join the two, or name one otherwise")]
    DuplicateGroup {
        /// The name.
        name: String,
        /// Where it was first.
        first: Place,
    },

    /// Addresses that two groups have.
    #[error(
        "{prefix} overlaps {other} of group `{group}`, at {first}; an LNS is in one group at most"
    )]
    GroupsOverlap {
        /// The prefix.
        prefix: Prefix,
        /// The prefix of the other group.
        other: Prefix,
        /// The name of the other group.
        group: String,
        /// Where that prefix is.
        first: Place,
    },

    /// More groups than there is room for.
    #[error("there is room for {groups} groups, with {grouped} addresses and prefixes in all")]
    TooManyGroups {
        /// How many there may be.
        groups: usize,
        /// How many addresses and prefixes they may have together.
        grouped: usize,
    },

    /// Nowhere to turn to, since `to` has no other LNS of the group.
    #[error(
        "`to` holds no alternative to {lns}, which is {whereabouts}; \
         expected another LNS of the same group"
    )]
    OtherGroup {
        /// The LNS that a LAC would turn from.
        lns: Prefix,
        /// Which group it is in.
        whereabouts: String,
    },

    /// Nowhere to turn to, since the group has no other LNS.
    #[error(
        "no LAC fails over from {lns}, which is alone in group `{group}`; \
         give the group its other LNSs, or expect another reaction"
    )]
    AloneInGroup {
        /// The LNS.
        lns: Prefix,
        /// The name of its group.
        group: String,
    },

    /// A sender of the wrong family.
    #[error(
        "`from_address` {from_address} cannot send to the LACs of {prefix}; \
         expected an {} address", if prefix.address().is_ipv4() { "IPv4" } else { "IPv6" }
    )]
    OtherFamily {
        /// The sender.
        from_address: IpAddr,
        /// A prefix of the other family.
        prefix: Prefix,
    },

    /// A message that no AVP holds.
    #[error("the message is {len} octets long, but one AVP holds {MESSAGE_LEN_MAX}; shorten it")]
    MessageTooLong {
        /// The octets it has.
        len: usize,
    },

    /// A message that nothing can carry.
    #[error("a message needs an error code before it; leave it out, or give `error` a number")]
    MessageWithoutError,

    /// A refusal that is wrong in another way.
    #[error(transparent)]
    Refusal(RefusalError),

    /// A garble that has nothing to garble.
    #[error(transparent)]
    Garble(#[from] GarbleError),

    /// A key that does nothing without another.
    #[error("`{key}` needs {needs} beside it")]
    Alone {
        /// The key.
        key: &'static str,
        /// The other.
        needs: &'static str,
    },

    /// A modifier that does nothing to the fault.
    #[error("`{key}` does nothing to fault `{fault}`, which {why}")]
    Pointless {
        /// The modifier.
        key: &'static str,
        /// The fault.
        fault: FaultName,
        /// Why not.
        why: &'static str,
    },

    /// Something that no LAC can do about the fault.
    #[error("`{key}` cannot be expected of LACs that meet fault `{fault}`, which {why}")]
    Unmeetable {
        /// What is expected.
        key: &'static str,
        /// The fault.
        fault: FaultName,
        /// Why not.
        why: &'static str,
    },

    /// A profile that says nothing of the fault.
    #[error(
        "profile `{}` does not say what LACs do about this fault; \
         leave `expect` out, or expect it with a table", profile.name()
    )]
    ProfileSilent {
        /// The profile.
        profile: Profile,
    },

    /// A profile that says different things of the faults of one rule.
    #[error(
        "profile `{}` expects something else of each fault here, and which of them an attempt \
         met is not told; give each a rule of its own, or expect it with a table", profile.name()
    )]
    ProfileTorn {
        /// The profile.
        profile: Profile,
    },

    /// A delay that could be less than none.
    #[error(
        "`jitter` is longer than `delay`; expected up to {}",
        humantime::format_duration(*delay)
    )]
    JitterTooLong {
        /// The delay.
        delay: Duration,
    },

    /// Something that counts attempts, where they are not counted.
    #[error("{what} cannot stand within {within}; {instead}")]
    Misplaced {
        /// The key or the fault.
        what: String,
        /// What it stands in.
        within: &'static str,
        /// Where it could be.
        instead: &'static str,
    },

    /// Too many faults in each other.
    #[error("faults stand in each other {limit} deep at most; use fewer `then` and `otherwise`")]
    TooDeep {
        /// How many may.
        limit: usize,
    },
}

impl From<RefusalError> for Reason {
    fn from(error: RefusalError) -> Self {
        match error {
            RefusalError::MessageTooLong { len } => Self::MessageTooLong { len },
            RefusalError::MessageWithoutError => Self::MessageWithoutError,
            error => Self::Refusal(error),
        }
    }
}
