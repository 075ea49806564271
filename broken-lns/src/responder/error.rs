//! Why an interface cannot be answered on.

use std::error::Error;
use std::io;

use crate::interface::{AttachMode, AttachedProgram, DetachError, Interface, InterfaceError};
use crate::program::{AttachError, InstallError, LoadError};
use crate::queue::QueueError;
use crate::refusal::RefusalError;

/// Why an interface cannot be answered on, or not any longer.
#[derive(Debug, thiserror::Error)]
pub enum ResponderError {
    /// A rule takes time or memory, which the kernel half has not.
    #[error(
        "--path rewrite cannot play this scenario: {rule} needs the redirect path for its {what}"
    )]
    NeedsRedirect {
        /// The rule, as it is said.
        rule: String,
        /// What in it takes that.
        what: &'static str,
    },

    /// A scenario could not be put in force.
    #[error("{interface}: {cause}")]
    Install {
        /// The interface.
        interface: String,
        /// Why.
        cause: InstallError,
    },

    /// A reply that cannot be written.
    #[error(transparent)]
    Refusal(#[from] RefusalError),

    /// The interface is not what it has to be.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The program could not be loaded.
    #[error("{interface}: {cause}")]
    Load {
        /// The interface.
        interface: String,
        /// What the kernel said.
        cause: Box<LoadError>,
    },
    /// A worker could not start.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// There is another XDP program.
    #[error(
        "{interface}: XDP {program} is attached; \
         stop what attached it, or take its place with --replace"
    )]
    Occupied {
        /// The interface.
        interface: String,
        /// The program.
        program: AttachedProgram,
    },
    /// The other program would not go.
    #[error(transparent)]
    Detach(#[from] DetachError),
    /// The driver has no native XDP, or not for this MTU.
    #[error(
        "{interface}: native mode is not possible with driver {driver}: {cause}; \
         --xdp-mode generic works on any interface"
    )]
    NotNative {
        /// The interface.
        interface: String,
        /// Its driver.
        driver: String,
        /// What the kernel said.
        cause: Box<AttachError>,
    },
    /// The program could not be attached.
    #[error("{interface}: cannot attach the XDP program in {} mode: {cause}", mode.label())]
    Attach {
        /// The interface.
        interface: String,
        /// The mode.
        mode: AttachMode,
        /// What the kernel said.
        cause: Box<AttachError>,
    },
    /// The interface has fewer queues.
    #[error("{interface} has {has} receive queues: --queues takes 1 to {has}")]
    TooManyQueues {
        /// The interface.
        interface: String,
        /// The queues that it has.
        has: u32,
    },
    /// The interface is gone.
    #[error("interface `{0}` went away")]
    Gone(String),
    /// A worker ended.
    #[error("{interface}: the worker of queue {queue} ended: {cause}")]
    WorkerEnded {
        /// The interface.
        interface: String,
        /// The queue.
        queue: u32,
        /// Why.
        cause: io::Error,
    },
    /// The workers cannot reach what sources got of their limit.
    #[error("{interface}: cannot map the buckets of --max-reply-rate: {cause}; `off` needs none")]
    Limit {
        /// The interface.
        interface: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// A counter could not be read.
    #[error("{interface}: cannot read the counters: {cause}")]
    Counters {
        /// The interface.
        interface: String,
        /// What the kernel said.
        cause: io::Error,
    },
}

impl ResponderError {
    /// Whether it may go well the next time, with nothing lost in between: the system was short
    /// of something, or was interrupted.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Interface(error) => passes(error),
            Self::Counters { cause, .. } => passes(cause),
            _ => false,
        }
    }

    pub(super) fn occupied(interface: &Interface, program: &AttachedProgram) -> Self {
        Self::Occupied {
            interface: interface.name.clone(),
            program: program.clone(),
        }
    }

    pub(super) fn load(interface: &Interface, cause: LoadError) -> Self {
        Self::Load {
            interface: interface.name.clone(),
            cause: Box::new(cause),
        }
    }

    pub(super) fn attach(interface: &Interface, mode: AttachMode, cause: AttachError) -> Self {
        let is_mode_at_fault = matches!(cause, AttachError::NotSupported(_));
        let (interface, driver) = (interface.name.clone(), interface.driver.clone());
        let cause = Box::new(cause);
        if mode == AttachMode::Native && is_mode_at_fault {
            Self::NotNative {
                interface,
                driver: driver.unwrap_or_else(|| "unknown".to_owned()),
                cause,
            }
        } else {
            Self::Attach {
                interface,
                mode,
                cause,
            }
        }
    }
}

/// Whether what the system said is behind the error, and passes.
fn passes(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let said = error.downcast_ref::<io::Error>();
        if let Some(number) = said.and_then(io::Error::raw_os_error) {
            use libc::{EAGAIN, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM};
            return [EMFILE, ENFILE, ENOBUFS, ENOMEM, EINTR, EAGAIN].contains(&number);
        }
        next = match said.and_then(io::Error::get_ref) {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use aya::maps::MapError;
    use aya::sys::SyscallError;

    use super::*;

    #[test]
    fn what_the_system_was_short_of_passes() {
        let of_map = |number| {
            let io_error = io::Error::from_raw_os_error(number);
            let call = "bpf_map_lookup_elem";
            let cause = MapError::from(SyscallError { call, io_error });
            ResponderError::Counters {
                interface: "eth1".to_owned(),
                cause: io::Error::other(cause),
            }
        };
        let of_interface = |number| {
            ResponderError::from(InterfaceError::Query {
                name: "eth1".to_owned(),
                source: io::Error::from_raw_os_error(number),
            })
        };
        for (number, passes) in [
            (libc::EMFILE, true),
            (libc::ENFILE, true),
            (libc::ENOBUFS, true),
            (libc::ENOMEM, true),
            (libc::EINTR, true),
            (libc::EAGAIN, true),
            (libc::EPERM, false),
            (libc::EBADF, false),
            (libc::ENODEV, false),
        ] {
            assert_eq!(of_map(number).is_passing(), passes, "{number}");
            assert_eq!(of_interface(number).is_passing(), passes, "{number}");
        }
    }
}
