//! What a check found.

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Nothing has to be done.
    Ok,
    /// It works, but its user should know.
    Note,
    /// A run would fail, or lose requests or replies.
    Problem,
}

impl State {
    /// The word for it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem => "problem",
        }
    }
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was checked, in a word or two; it never changes, so that programs can look for it.
    pub check: &'static str,
    /// How much it matters.
    pub state: State,
    /// What was found, in a sentence.
    pub found: String,
    /// What to type, where that helps.
    #[serde(rename = "type")]
    pub command: Option<String>,
}

impl Finding {
    /// Nothing has to be done.
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Ok, found)
    }

    /// It works, but its user should know this.
    pub(super) fn note(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Note, found)
    }

    /// It does not work.
    pub(super) fn problem(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, State::Problem, found)
    }

    fn new(check: &'static str, state: State, found: impl Into<String>) -> Self {
        Self {
            check,
            state,
            found: found.into(),
            command: None,
        }
    }

    /// The same, with what to type.
    pub(super) fn typing(self, command: impl Into<String>) -> Self {
        Self {
            command: Some(command.into()),
            ..self
        }
    }
}

/// All findings, each with what it is about: `machine`, or the name of an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// In the order of the checks.
    pub all: Vec<(String, Finding)>,
}

impl Findings {
    /// Adds what was found about one thing.
    pub(super) fn about(&mut self, thing: &str, findings: impl IntoIterator<Item = Finding>) {
        let findings = findings.into_iter();
        self.all
            .extend(findings.map(|finding| (thing.to_owned(), finding)));
    }

    /// How many of them are problems.
    pub fn problems(&self) -> usize {
        self.count(State::Problem)
    }

    /// How many of them matter so much.
    pub(super) fn count(&self, state: State) -> usize {
        let states = self.all.iter().map(|(_, finding)| finding.state);
        states.filter(|of_finding| *of_finding == state).count()
    }
}
