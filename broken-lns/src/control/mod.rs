//! Live control: a socket by which a running responder is asked and changed.
//!
//! `protocol` is what is said, `server` the side of the responder with `socket`
//! for its file, `lock` for the time in which that is made, and `lines` for what it reads, and `client` the other side. A
//! request comes to the responder as an [`Order`], which it carries out between
//! two of its other duties, so that nothing here needs a lock.

pub mod client;
#[cfg(test)]
mod fake;
mod lines;
mod lock;
pub mod protocol;
pub mod server;
mod socket;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use lock::LockError;
pub use server::{Limits, Order, Server, Stop};
pub use socket::ListenError;

use crate::report::Format;
use protocol::{
    Changed, Document, Load, Reactions, Refused, Reply, Request, RuleLine, Set, Status,
};

/// Where the sockets of responders are that nobody gave another place.
pub const DIRECTORY: &str = "/run/broken-lns";

/// The socket in that directory of the responder on an interface.
pub fn socket_of(directory: &Path, interface: &str) -> PathBuf {
    directory.join(format!("{interface}.sock"))
}

/// What can be asked of a running responder, and changed in it.
///
/// A change that is refused has changed nothing.
pub trait Controlled {
    /// What runs, and what it has counted.
    ///
    /// # Errors
    ///
    /// [`Refused`], as for all of these.
    fn status(&mut self) -> Result<Status, Refused>;

    /// The rules with the hits of each: the default first, then in the order of the file.
    ///
    /// # Errors
    ///
    /// Where the hits cannot be read.
    fn rules(&mut self) -> Result<Vec<RuleLine>, Refused>;

    /// Changes the refusal at some addresses, or the default one; the change is not empty.
    ///
    /// # Errors
    ///
    /// Where it makes no refusal that can be sent.
    fn set(&mut self, change: &Set) -> Result<Changed, Refused>;

    /// Puts another scenario in force.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    fn load(&mut self, scenario: &Load) -> Result<Changed, Refused>;

    /// Reads the file of the scenario in force once more, and forgets what was set since.
    ///
    /// # Errors
    ///
    /// Where there is no file, and everything that is wrong with it.
    fn reload(&mut self) -> Result<Changed, Refused>;

    /// What LACs did so far.
    ///
    /// # Errors
    ///
    /// Where none is followed, or what is known of them cannot be asked.
    fn report(&mut self, format: Format) -> Result<Document, Refused>;

    /// What single LACs did last; nothing where none is followed.
    ///
    /// # Errors
    ///
    /// Where what is known of them cannot be asked.
    fn reactions(&mut self) -> Result<Option<Reactions>, Refused>;

    /// Lets all counters begin at zero again.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    fn reset(&mut self) -> Result<(), Refused>;
}

impl Request {
    /// Does what is asked for; to stop is left to whoever runs the responder.
    fn carry_out(
        self,
        controlled: &mut impl Controlled,
    ) -> ControlFlow<(), Result<Reply, Refused>> {
        let result = match self {
            Self::Status => controlled
                .status()
                .map(|status| Reply::Status(Box::new(status))),
            Self::Rules => controlled.rules().map(Reply::Rules),
            Self::Set(change) if change.is_empty() => Err(Refused::because(
                "nothing to set; give result_code, error_code or error_message",
            )),
            Self::Set(change) => controlled.set(&change).map(Reply::Changed),
            Self::Load(scenario) => controlled.load(&scenario).map(Reply::Changed),
            Self::Reload => controlled.reload().map(Reply::Changed),
            Self::Report(report) => controlled.report(report.format).map(Reply::Report),
            Self::Reactions => controlled.reactions().map(Reply::Reactions),
            Self::Reset => controlled.reset().map(|()| Reply::Reset),
            Self::Stop => return ControlFlow::Break(()),
        };
        ControlFlow::Continue(result)
    }
}
