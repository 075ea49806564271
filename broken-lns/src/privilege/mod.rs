//! What the process may do: checked before anything is done, and given up once it is done.
//!
//! `capabilities` is about those of single threads, `user` about another user than root, `filter`
//! about system calls, of which `denied` counts those that it did not let through. A [`Sandbox`]
//! holds all of it together, in the order in which it works.

mod calls;
pub mod capabilities;
mod denied;
mod filter;
mod sandbox;
mod user;

pub use denied::{Denied, denied};
pub use filter::FilterError;
pub use sandbox::{Remark, Sandbox, SandboxError};
pub use user::{User, UserError};

use caps::{CapSet, Capability, CapsHashSet};

/// What is needed, and what for.
const NEEDED: [(Capability, &str); 4] = [
    (Capability::CAP_NET_ADMIN, "to attach an XDP program"),
    (Capability::CAP_BPF, "to load BPF programs and maps"),
    (
        Capability::CAP_PERFMON,
        "to compute with packet pointers in them",
    ),
    (Capability::CAP_NET_RAW, "to open AF_XDP sockets"),
];

/// Why the process may not do what it is asked to.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Some capabilities are missing.
    #[error(
        "not enough privilege: {} missing; run with sudo, or grant them once with \
         `sudo setcap cap_net_admin,cap_bpf,cap_perfmon,cap_net_raw,cap_ipc_lock+ep` and the path of broken-lns",
        listed(.0)
    )]
    Missing(Vec<Capability>),

    /// The system would not tell.
    #[error("cannot read the capabilities of this process")]
    Unreadable(#[from] caps::errors::CapsError),
}

/// Checks that the process has every capability that it needs.
///
/// # Errors
///
/// [`PrivilegeError`], which names the missing ones.
pub fn check() -> Result<(), PrivilegeError> {
    let missing = missing(&caps::read(None, CapSet::Effective)?);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(PrivilegeError::Missing(missing))
    }
}

/// The capabilities that are needed and not there.
///
/// CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON, as it had to before
/// Linux 5.8.
fn missing(effective: &CapsHashSet) -> Vec<Capability> {
    NEEDED
        .iter()
        .map(|(capability, _)| *capability)
        .filter(|capability| match capability {
            Capability::CAP_BPF | Capability::CAP_PERFMON => {
                !effective.contains(capability) && !effective.contains(&Capability::CAP_SYS_ADMIN)
            }
            _ => !effective.contains(capability),
        })
        .collect()
}

/// The capabilities in one line, each with what it is for.
fn listed(missing: &[Capability]) -> String {
    let names: Vec<_> = NEEDED
        .iter()
        .filter(|(capability, _)| missing.contains(capability))
        .map(|(capability, purpose)| format!("{capability} ({purpose})"))
        .collect();
    match names.as_slice() {
        [] => "nothing is".to_owned(),
        [one] => format!("{one} is"),
        [front @ .., last] => format!("{} and {last} are", front.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Capability::{CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_SYS_ADMIN};

    #[test]
    fn only_what_is_needed_is_asked_for() {
        for (effective, lacking) in [
            (
                &[][..],
                &[CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_NET_RAW][..],
            ),
            (&[CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_NET_RAW], &[]),
            (&[CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_NET_RAW], &[]),
            (&[CAP_SYS_ADMIN], &[CAP_NET_ADMIN, CAP_NET_RAW]),
            (&[CAP_NET_ADMIN, CAP_BPF], &[CAP_PERFMON, CAP_NET_RAW]),
        ] {
            let effective = effective.iter().copied().collect();
            assert_eq!(missing(&effective), lacking, "{effective:?}");
        }
    }

    #[test]
    fn the_error_names_what_is_missing_and_the_way_out() {
        for (missing, message) in [
            (
                vec![CAP_NET_ADMIN, CAP_BPF, CAP_PERFMON, CAP_NET_RAW],
                "not enough privilege: CAP_NET_ADMIN (to attach an XDP program), CAP_BPF (to load \
                 BPF programs and maps), CAP_PERFMON (to compute with packet pointers in them) \
                 and CAP_NET_RAW (to open AF_XDP sockets) are missing; \
                 run with sudo, or grant them once with \
                 `sudo setcap cap_net_admin,cap_bpf,cap_perfmon,cap_net_raw,cap_ipc_lock+ep` and the path of broken-lns",
            ),
            (
                vec![CAP_BPF],
                "not enough privilege: CAP_BPF (to load BPF programs and maps) is missing; \
                 run with sudo, or grant them once with \
                 `sudo setcap cap_net_admin,cap_bpf,cap_perfmon,cap_net_raw,cap_ipc_lock+ep` and the path of broken-lns",
            ),
        ] {
            assert_eq!(PrivilegeError::Missing(missing).to_string(), message);
        }
    }
}
