//! Why an interface cannot be answered on.

use std::error::Error;
use std::io;

use crate::interface::{
    AttachMode, AttachedProgram, DetachError, Interface, InterfaceError, PASSING,
};
use crate::plan::Impossible;
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
        "{interface}: native mode is not possible with driver {driver}: {cause}{help}; \
         --xdp-mode generic works on any interface"
    )]
    NotNative {
        /// The interface.
        interface: String,
        /// Its driver.
        driver: String,
        /// What the kernel said.
        cause: Box<AttachError>,
        /// What may make it possible, or nothing.
        help: String,
    },
    /// The path and the mode do not go together on this interface.
    #[error("{interface}: {cause}")]
    Impossible {
        /// The interface.
        interface: String,
        /// Why.
        cause: Impossible,
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
    #[error("{interface} has {has} receive queues: --queues takes 1 to {most}")]
    TooManyQueues {
        /// The interface.
        interface: String,
        /// The queues that it has.
        has: u32,
        /// Those that can have a worker.
        most: u32,
    },
    /// Somebody detached the program.
    #[error("{interface}: {}", detached(by.as_ref()))]
    Detached {
        /// The interface.
        interface: String,
        /// The program that has its place, if one has.
        by: Option<AttachedProgram>,
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
        let help = help(interface, &cause);
        let (interface, driver) = (interface.name.clone(), interface.driver.clone());
        let cause = Box::new(cause);
        if mode == AttachMode::Native && is_mode_at_fault {
            Self::NotNative {
                interface,
                driver: driver.unwrap_or_else(|| "unknown".to_owned()),
                cause,
                help,
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
            return PASSING.contains(&number);
        }
        next = match said.and_then(io::Error::get_ref) {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    false
}

/// That the program is not attached any more, and what to do about it.
fn detached(by: Option<&AttachedProgram>) -> String {
    match by {
        Some(program) => format!(
            "XDP {program} has taken the place of ours; take it back with --replace, and for as \
             long as the run lasts with --keep-attached --replace"
        ),
        None => "the XDP program was detached by somebody else; --keep-attached attaches it again"
            .to_owned(),
    }
}

/// What stands in the way of native mode on many drivers, as far as it is so here.
fn help(interface: &Interface, cause: &AttachError) -> String {
    /// The MTU up to which every driver with native XDP runs it.
    const USUAL_MTU: u32 = 1500;

    let AttachError::NotSupported(refused) = cause else {
        return String::new();
    };
    let Interface { name, mtu, .. } = interface;
    let mut ways = Vec::new();
    if *mtu > USUAL_MTU {
        ways.push(format!(
            "a smaller MTU (ip link set {name} mtu 1500; it is {mtu})"
        ));
    }
    if interface.merges_frames {
        ways.push(format!("no LRO (ethtool -K {name} lro off)"));
    }
    let knows_no_xdp = refused.error.raw_os_error() == Some(libc::EOPNOTSUPP);
    if let (false, Some((now, most))) = (knows_no_xdp, interface.tx_queues()) {
        ways.push(format!(
            "another number of channels (ethtool -L {name} combined N; it has {now} of {most})"
        ));
    }
    if refused.words.is_none() {
        ways.push("what `dmesg` says".to_owned());
    }
    match ways.is_empty() {
        true => String::new(),
        false => format!("; what may help: {}", ways.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use aya::maps::MapError;
    use aya::sys::SyscallError;

    use super::*;
    use crate::interface::AttachRefused;

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

    #[test]
    fn what_may_help_native_mode_is_what_is_so_here() {
        let lo = Interface::by_name("lo").expect("every namespace has it");
        let interface = |mtu, merges_frames| Interface {
            name: "eth7".to_owned(),
            mtu,
            merges_frames,
            ..lo.clone()
        };
        let said = |interface: &Interface, errno, words: Option<&str>| {
            let refused = AttachRefused {
                error: io::Error::from_raw_os_error(errno),
                words: words.map(str::to_owned),
            };
            let error = AttachError::NotSupported(refused);
            ResponderError::attach(interface, AttachMode::Native, error).to_string()
        };
        // As igb refuses 9000 by a link, and vmxnet3.
        let igb = said(&interface(9000, false), libc::EINVAL, None);
        assert!(
            igb.ends_with(
                "Invalid argument (os error 22); what may help: a smaller MTU (ip link set eth7 \
                 mtu 1500; it is 9000), what `dmesg` says; --xdp-mode generic works on any \
                 interface"
            ),
            "{igb}"
        );
        let words = Some("MTU 9000 too large for XDP");
        let vmxnet3 = said(&interface(9000, true), libc::EOPNOTSUPP, words);
        assert!(
            vmxnet3.ends_with(
                ": MTU 9000 too large for XDP: Operation not supported (os error 95); what may \
                 help: a smaller MTU (ip link set eth7 mtu 1500; it is 9000), no LRO (ethtool -K \
                 eth7 lro off); --xdp-mode generic works on any interface"
            ),
            "{vmxnet3}"
        );
        let words = Some("Underlying driver does not support XDP in native mode");
        let none = said(&interface(1500, false), libc::EOPNOTSUPP, words);
        assert!(!none.contains("what may help"), "{none}");
    }

    #[test]
    fn a_lost_place_names_who_has_it_and_the_way_out() {
        let lost = |by| {
            let interface = "eth1".to_owned();
            ResponderError::Detached { interface, by }.to_string()
        };
        let other = AttachedProgram {
            id: 7,
            name: Some("responder".to_owned()),
            mode: AttachMode::Native,
        };
        let said = lost(Some(other));
        assert!(
            said.starts_with(
                "eth1: XDP program 7 `responder` (native) has taken the place of ours"
            ),
            "{said}"
        );
        let said = lost(None);
        assert!(said.contains("--keep-attached"), "{said}");
    }
}
