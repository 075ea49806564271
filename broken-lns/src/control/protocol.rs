//! What is said over the control socket: one JSON object a line, a response for each request.
//!
//! A request is `{"version":1,"request":"status"}`, or with parameters
//! `{"version":1,"request":{"set":{"result_code":2}}}`. The response to it has
//! `"ok"` with a [`Reply`], or `"error"` with everything that is wrong in words.
//! The keys are an interface for others: one that changes its meaning raises
//! [`VERSION`].

mod reactions;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::codes::{ErrorCodeChoice, ResultCode};
use crate::refusal::{Refusal, RefusalError};
use crate::report::Format;
use crate::responder::Attachment;
use crate::scenario::{LacName, Place, Prefix, Scenario, ScenarioError, Summary};
use crate::snapshot::Snapshot;

pub use reactions::{LacLine, Reacted, Reactions};

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// What runs, and what it has counted.
    Status,
    /// The rules with the hits of each.
    Rules,
    /// Another refusal, everywhere or at some addresses.
    Set(Set),
    /// Another scenario.
    Load(Load),
    /// The file of the scenario once more.
    Reload,
    /// What LACs did so far.
    Report(Report),
    /// What single LACs did last.
    Reactions,
    /// Counters that begin at zero again.
    Reset,
    /// An end.
    Stop,
}

/// A refusal by what is to be different in it: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Set {
    /// The result code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_code: Option<ResultCode>,
    /// The error code, or `none`, which takes the message away with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<ErrorCodeChoice>,
    /// The error message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The LNS addresses that it is for; the default of the scenario where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lns: Option<Prefix>,
}

/// A scenario as the client read it, who may see other files than the responder does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// What errors call the file.
    pub name: String,
    /// Where it can be read once more.
    pub path: PathBuf,
    /// What stands in it.
    pub text: String,
}

/// A report in some form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Its form.
    pub format: Format,
}

/// A report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its form.
    pub format: Format,
    /// All of it.
    pub text: String,
}

/// What a responder did, or what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// What runs, and what it has counted.
    Status(Box<Status>),
    /// The rules: the default first, then in the order of the file.
    Rules(Vec<RuleLine>),
    /// What is in force after a change.
    Changed(Changed),
    /// What LACs did so far.
    Report(Document),
    /// What single LACs did last; nothing where none is followed.
    Reactions(Option<Reactions>),
    /// The counters are at zero.
    Reset,
    /// Nothing is attached any more.
    Stopped,
}

/// What runs, and what it has counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the responder.
    pub broken_lns: String,
    /// Its process.
    pub pid: u32,
    /// The milliseconds since its start.
    pub uptime_ms: u64,
    /// The interfaces, in the order of the command line.
    pub interfaces: Vec<InterfaceStatus>,
    /// The scenario in force.
    pub scenario: InForce,
    /// Everything counted since the start, or since the last reset.
    #[serde(with = "crate::output::counters")]
    pub counters: Snapshot,
}

/// One interface that is answered on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// How the responder is attached to it.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// What is worth a remark about it now.
    pub remarks: Vec<String>,
    /// Why nothing is answered on it any more, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

/// The scenario in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    /// Its file, or what stands for one.
    pub name: String,
    /// Whether something was set in it since it was read.
    pub changed: bool,
    /// What there is in it.
    #[serde(flatten)]
    pub summary: Summary,
}

/// A rule with its hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleLine {
    /// Where it begins in its file; nowhere for the default, and for what was set.
    pub place: Option<Place>,
    /// Its LNS addresses; none for the default.
    pub lns: Vec<Prefix>,
    /// Its LACs; none for all of them, or all of a name.
    pub lac: Vec<Prefix>,
    /// The names of its LACs; nothing for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lac_name: Option<LacName>,
    /// What it does, as a scenario file says it.
    pub treatment: String,
    /// The SCCRQs that it was about.
    pub hits: u64,
}

/// What is in force after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// The scenario.
    pub scenario: InForce,
    /// What was set in it; nothing where all of it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set: Option<SetTreatment>,
    /// What its user should know, each in a sentence.
    pub remarks: Vec<String>,
}

/// What was set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetTreatment {
    /// The LNS addresses; none for the default.
    pub lns: Option<Prefix>,
    /// What is done there now, as a scenario file says it.
    pub treatment: String,
}

/// Why a request changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", listed(errors, *more))]
pub struct Refused {
    /// What is wrong, each in words; the first ones, where that is very much.
    pub errors: Vec<String>,
    /// How much is wrong beside that.
    pub more: u64,
}

/// The response to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    version: u32,
    #[serde(flatten)]
    outcome: Outcome,
    /// How many errors there are beside those that are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    more: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Ok(Reply),
    Error(Vec<String>),
}

/// A line that says nothing.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no JSON.
    #[error(
        "not JSON: {}; expected one object a line, such as {{\"version\":1,\"request\":\"status\"}}",
        short(.0)
    )]
    NotJson(serde_json::Error),

    /// It is of another version.
    #[error(
        "version {theirs} of the protocol, but version {VERSION} is spoken here; \
         use the broken-lns that the responder was started with"
    )]
    OtherVersion {
        /// Their version.
        theirs: u32,
    },

    /// It is JSON that means nothing here.
    #[error("not understood: {}", short(.0))]
    NotUnderstood(serde_json::Error),
}

/// A request with its version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct Versioned<R> {
    version: u32,
    request: R,
}

/// The version of a line, whatever else is in it.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct AnyVersion {
    version: u32,
}

impl Request {
    /// Reads a line, with its newline or without.
    ///
    /// # Errors
    ///
    /// [`LineError`], for whatever is no request of this version.
    pub fn from_line(line: &[u8]) -> Result<Self, LineError> {
        check_version(line)?;
        let versioned: Versioned<Self> = serde_json::from_slice(line)?;
        Ok(versioned.request)
    }

    /// Writes it as a line, with its newline.
    ///
    /// # Errors
    ///
    /// Those of a path that is no text.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        let versioned = Versioned {
            version: VERSION,
            request: self,
        };
        Ok(serde_json::to_string(&versioned)? + "\n")
    }
}

impl Response {
    /// Reads a line, with its newline or without.
    ///
    /// # Errors
    ///
    /// [`LineError`], for whatever is no response of this version.
    pub fn from_line(line: &[u8]) -> Result<Self, LineError> {
        check_version(line)?;
        Ok(serde_json::from_slice(line)?)
    }

    /// Reads what a line was parsed to.
    ///
    /// # Errors
    ///
    /// [`LineError`], for whatever is no response of this version.
    pub fn from_value(value: Value) -> Result<Self, LineError> {
        AnyVersion::deserialize(&value)?.check()?;
        Ok(serde_json::from_value(value)?)
    }

    /// Writes it as a line, with its newline.
    ///
    /// # Errors
    ///
    /// None that a reply could give reason to.
    pub fn to_line(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string(self)? + "\n")
    }

    /// Whether the line may be so long that it takes its time.
    pub(super) fn is_long(&self) -> bool {
        /// Rules that are written in an instant.
        const FEW: usize = 1000;
        match &self.outcome {
            Outcome::Ok(Reply::Report(_)) => true,
            Outcome::Ok(Reply::Rules(rules)) => rules.len() > FEW,
            Outcome::Ok(Reply::Status(status)) => {
                let mut interfaces = status.counters.interfaces.iter();
                interfaces.any(|interface| interface.rules.len() > FEW)
            }
            Outcome::Ok(_) | Outcome::Error(_) => false,
        }
    }

    /// What was done, or why nothing was.
    ///
    /// # Errors
    ///
    /// [`Refused`], if the responder did.
    pub fn outcome(self) -> Result<Reply, Refused> {
        match self.outcome {
            Outcome::Ok(reply) => Ok(reply),
            Outcome::Error(errors) => Err(Refused {
                errors,
                more: self.more,
            }),
        }
    }
}

impl From<Result<Reply, Refused>> for Response {
    fn from(result: Result<Reply, Refused>) -> Self {
        let (outcome, more) = match result {
            Ok(reply) => (Outcome::Ok(reply), 0),
            Err(Refused { errors, more }) => (Outcome::Error(errors), more),
        };
        Self {
            version: VERSION,
            outcome,
            more,
        }
    }
}

fn check_version(line: &[u8]) -> Result<(), LineError> {
    serde_json::from_slice::<AnyVersion>(line)?.check()
}

impl AnyVersion {
    fn check(&self) -> Result<(), LineError> {
        match self.version {
            VERSION => Ok(()),
            theirs => Err(LineError::OtherVersion { theirs }),
        }
    }
}

impl From<serde_json::Error> for LineError {
    fn from(error: serde_json::Error) -> Self {
        if error.is_data() {
            Self::NotUnderstood(error)
        } else {
            Self::NotJson(error)
        }
    }
}

/// The error, or its beginning where it quotes too much of the line.
fn short(error: &serde_json::Error) -> String {
    const SHOWN: usize = 300;
    let text = error.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

/// One error as it is, and several below their number.
fn listed(errors: &[String], more: u64) -> String {
    match (errors, more) {
        ([error], 0) => error.clone(),
        (errors, 0) => format!("{} mistakes\n{}", errors.len(), errors.join("\n")),
        (errors, more) => format!(
            "{} mistakes\n{}\nand {more} more",
            more.saturating_add(errors.len() as u64),
            errors.join("\n")
        ),
    }
}

/// Whether a number says nothing that is worth a key.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Refused {
    /// For this one reason.
    pub fn because(reason: impl ToString) -> Self {
        Self {
            errors: vec![reason.to_string()],
            more: 0,
        }
    }
}

impl From<ScenarioError> for Refused {
    fn from(error: ScenarioError) -> Self {
        Self {
            errors: error.each(),
            more: error.more() as u64,
        }
    }
}

impl From<RefusalError> for Refused {
    fn from(error: RefusalError) -> Self {
        Self::because(error)
    }
}

impl Set {
    /// Whether nothing is to be different.
    pub fn is_empty(&self) -> bool {
        let Self {
            result_code,
            error_code,
            error_message,
            lns: _,
        } = self;
        result_code.is_none() && error_code.is_none() && error_message.is_none()
    }

    /// The refusal that it makes of the present one.
    ///
    /// # Errors
    ///
    /// [`RefusalError`], where the two do not fit together.
    pub fn applied_to(&self, present: &Refusal) -> Result<Refusal, RefusalError> {
        let error = match self.error_code {
            Some(choice) => choice.0,
            None => present.error(),
        };
        let message = match &self.error_message {
            Some(message) => message,
            None if error.is_some() => present.message(),
            None => "",
        };
        let result = self.result_code.unwrap_or(present.result());
        Refusal::new(result, error, message, present.assigned_tunnel_id())
    }
}

impl Status {
    /// The time since the start.
    pub fn uptime(&self) -> Duration {
        Duration::from_millis(self.uptime_ms)
    }
}

impl InForce {
    /// What it is called: its name, and whether it is still what has that name.
    pub fn title(&self) -> String {
        let changed = if self.changed { ", changed by set" } else { "" };
        format!("{}{changed}", self.name)
    }
}

impl std::fmt::Display for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title(), self.summary)
    }
}

impl RuleLine {
    /// The place of the rule in its file, or what stands for one.
    pub fn name(&self) -> String {
        match self.place {
            Some(place) => place.to_string(),
            None if self.lns.is_empty() => "default".to_owned(),
            None => "set".to_owned(),
        }
    }

    /// Every rule of a scenario with its hits, which are in the order of
    /// [`Scenario::treatments`]; hits that are missing are none.
    pub fn all(scenario: &Scenario, hits: impl IntoIterator<Item = u64>) -> Vec<Self> {
        let hits = hits.into_iter().chain(std::iter::repeat(0));
        scenario
            .in_order()
            .zip(hits)
            .map(|(rule, hits)| Self {
                place: rule.place.filter(|place| *place != Place::NOWHERE),
                lns: rule.lns.to_vec(),
                lac: rule.lac.to_vec(),
                lac_name: rule.lac_name.cloned(),
                treatment: rule.treatment.to_string(),
                hits,
            })
            .collect()
    }
}

#[cfg(test)]
pub(crate) mod tests;
