//! What a run gives up, in the order in which it does.

use std::io;
use std::path::Path;

use caps::errors::CapsError;
use caps::{Capability, CapsHashSet};

use super::capabilities::{self, check_threads, keep_only, map_access, only_with};
use super::filter;
use super::user::{User, UserError};

/// The right to write and search wherever others may not.
const WRITE: Capability = Capability::CAP_DAC_OVERRIDE;
/// The right to read and search there.
const READ: Capability = Capability::CAP_DAC_READ_SEARCH;

/// What another user than root takes along from the start to the point where everything is
/// attached: what is needed, what makes workers independent of `ulimit -l`, and what metrics on a
/// port below 1024 take.
const OF_THE_START: [Capability; 6] = [
    Capability::CAP_NET_ADMIN,
    Capability::CAP_BPF,
    Capability::CAP_PERFMON,
    Capability::CAP_NET_RAW,
    Capability::CAP_IPC_LOCK,
    Capability::CAP_NET_BIND_SERVICE,
];

/// What a run is going to give up.
#[derive(Debug)]
pub struct Sandbox {
    is_on: bool,
    kept: CapsHashSet,
}

/// Why something could not be given up.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// About the user.
    #[error(transparent)]
    User(#[from] UserError),
    /// The kernel keeps a capability.
    #[error("cannot give up capabilities: {0}; --no-sandbox goes on with all of them")]
    Capabilities(#[from] CapsError),
    /// A thread has more than it may, or the kernel does not tell.
    #[error("cannot see that capabilities were given up: {0}")]
    Threads(io::Error),
}

/// Something that a run still has where it might not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark(String);

impl std::fmt::Display for Remark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Sandbox {
    /// Gives up what nothing needs, before any other thread exists: the bounding set, and root
    /// where there is a user to be. `takes_place` says whether another program may have to be
    /// detached, which only CAP_SYS_ADMIN can.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn begin(
        is_on: bool,
        user: Option<&User>,
        takes_place: bool,
    ) -> Result<Self, SandboxError> {
        if is_on {
            capabilities::clear_bounding_set()?;
        }
        if let Some(user) = user.filter(|user| !user.is_current()) {
            user.become_it()?;
            let mut kept: CapsHashSet = OF_THE_START.into_iter().collect();
            if takes_place {
                kept.insert(Capability::CAP_SYS_ADMIN);
            }
            keep_only(&kept)?;
        }
        Ok(Self {
            is_on,
            kept: map_access().clone(),
        })
    }

    /// Keeps the right to write where the directories of others are in the way, if that is what
    /// `attempt` fails for without it. Returns what to say of that.
    pub fn keep_for_writing(
        &mut self,
        path: &Path,
        attempt: impl FnOnce() -> io::Result<()> + Send,
    ) -> Option<Remark> {
        self.keep_for(WRITE, path, attempt)
    }

    /// The same of the right to read.
    pub fn keep_for_reading(
        &mut self,
        path: &Path,
        attempt: impl FnOnce() -> io::Result<()> + Send,
    ) -> Option<Remark> {
        self.keep_for(READ, path, attempt)
    }

    /// Keeps a capability that something takes later.
    pub fn keep(&mut self, capability: Capability) {
        self.kept.insert(capability);
    }

    /// What is kept.
    pub fn kept(&self) -> &CapsHashSet {
        &self.kept
    }

    fn keep_for(
        &mut self,
        capability: Capability,
        path: &Path,
        attempt: impl FnOnce() -> io::Result<()> + Send,
    ) -> Option<Remark> {
        let has = caps::has_cap(None, caps::CapSet::Effective, capability);
        if !self.is_on || !has.unwrap_or(false) {
            return None;
        }
        let without = only_with(&CapsHashSet::new(), attempt).and_then(|outcome| outcome);
        match without {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.keep(capability);
                Some(Remark(format!(
                    "{capability} is kept, since {} is out of reach without it; a place of this \
                     user's own, or --user with the one who owns it, does without",
                    path.display()
                )))
            }
            _ => None,
        }
    }

    /// Gives up all the rest but what is to be kept, in this thread and those that it starts from
    /// now on; sees that no other thread has more; and has the kernel deny all threads new
    /// privileges and the system calls that a run does not make. A remark says where it cannot.
    ///
    /// # Errors
    ///
    /// [`SandboxError`].
    pub fn close(self) -> Result<Option<Remark>, SandboxError> {
        if !self.is_on {
            let remark = "no sandbox: capabilities and all system calls are kept";
            return Ok(Some(Remark(remark.to_owned())));
        }
        keep_only(&self.kept)?;
        check_threads(&self.kept).map_err(SandboxError::Threads)?;
        Ok(filter::apply().err().map(|error| {
            Remark(format!(
                "system calls are not filtered, since the kernel does not do that here: {error}"
            ))
        }))
    }
}
