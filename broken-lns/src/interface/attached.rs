//! XDP programs that are attached to an interface already.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::{fmt, io};

use aya::programs::loaded_programs;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, LinkXdp, XdpAttached};
use serde::{Deserialize, Serialize};

use super::{Interface, InterfaceError, bpf_link, link};

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachMode {
    /// In the driver.
    Native,
    /// In the network stack.
    Generic,
    /// In the hardware.
    Offload,
}

/// An XDP program that is attached to an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedProgram {
    /// The id of the program.
    pub id: u32,
    /// Its name; none if it has none or the caller may not see it.
    pub name: Option<String>,
    /// How it is attached.
    pub mode: AttachMode,
}

/// Why a program could not be attached.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", words.as_ref().map(|words| format!("{words}: ")).unwrap_or_default())]
pub struct AttachRefused {
    /// What the system said.
    pub error: io::Error,
    /// The words of the kernel or the driver, where they have any.
    pub words: Option<String>,
}

/// A foreign program that could not be detached.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    /// A link holds the program, and nobody can tell which.
    #[error("XDP {program} on interface `{interface}` is held by a BPF link that {reason}")]
    HeldByLink {
        /// The name of the interface.
        interface: String,
        /// The program that stays.
        program: AttachedProgram,
        /// Why it cannot be detached, and the way out.
        reason: &'static str,
    },

    /// The kernel refused.
    #[error("cannot detach XDP {program} from interface `{interface}`")]
    Refused {
        /// The name of the interface.
        interface: String,
        /// The program that stays.
        program: AttachedProgram,
        /// What the system said.
        source: io::Error,
    },
}

impl Interface {
    /// The XDP programs attached now: none, one, or one for each mode.
    ///
    /// # Errors
    ///
    /// [`InterfaceError::Query`], if the kernel does not tell.
    pub fn attached_programs(&self) -> Result<Vec<AttachedProgram>, InterfaceError> {
        let message = self.ask()?;
        let programs = message.map(|message| Self::programs_of(&message));
        let programs = programs.unwrap_or_default().into_iter();
        Ok(programs.map(AttachedProgram::of).collect())
    }

    /// The ids and modes of the programs that are attached.
    pub(super) fn programs_of(message: &LinkMessage) -> Vec<(u32, AttachMode)> {
        let xdp = message
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                LinkAttribute::Xdp(xdp) => Some(xdp.as_slice()),
                _ => None,
            });
        ids(xdp.unwrap_or_default())
    }

    /// Attaches a program, for as long as the descriptor is held.
    ///
    /// # Errors
    ///
    /// [`AttachRefused`], with the driver's own words where it has any.
    pub fn attach(
        &self,
        program: BorrowedFd<'_>,
        mode: AttachMode,
    ) -> Result<OwnedFd, AttachRefused> {
        bpf_link::create(program, self.index, mode.flags()).map_err(|error| AttachRefused {
            words: link::refusal_to_attach(self.index, program, mode.flags()),
            error,
        })
    }

    /// Detaches a program that somebody else attached.
    ///
    /// # Errors
    ///
    /// [`DetachError`]; the program stays attached then.
    pub fn detach(&self, program: &AttachedProgram) -> Result<(), DetachError> {
        let refused = |source| DetachError::Refused {
            interface: self.name.clone(),
            program: program.clone(),
            source,
        };
        // The kernel says by EBUSY that a link holds the program here. A link tells the index of
        // its interface but not the namespace, so another one may look the same.
        match link::detach_xdp(self.index, program.mode.flags()) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
            result => return result.map_err(refused),
        }
        match bpf_link::holding(program.id, self.index).as_slice() {
            [link] => bpf_link::detach(*link).map_err(refused),
            links => Err(DetachError::HeldByLink {
                interface: self.name.clone(),
                program: program.clone(),
                reason: match links {
                    [] => {
                        "only CAP_SYS_ADMIN may detach: run with sudo, or stop the process that \
                         attached it"
                    }
                    _ => {
                        "looks just like one in another namespace: stop the process that attached \
                         it"
                    }
                },
            }),
        }
    }
}

impl AttachMode {
    /// The name in what is shown.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
        }
    }

    /// The netlink flag that means this mode.
    const fn flags(self) -> u32 {
        match self {
            Self::Native => link::XDP_FLAGS_DRV_MODE,
            Self::Generic => link::XDP_FLAGS_SKB_MODE,
            Self::Offload => link::XDP_FLAGS_HW_MODE,
        }
    }
}

impl AttachedProgram {
    /// The program of this id, which is attached so.
    pub fn of((id, mode): (u32, AttachMode)) -> Self {
        Self {
            id,
            name: name(id),
            mode,
        }
    }
}

impl fmt::Display for AttachedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "program {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        write!(f, " ({})", self.mode.label())
    }
}

/// The ids and modes in the XDP attributes of an interface.
fn ids(xdp: &[LinkXdp]) -> Vec<(u32, AttachMode)> {
    let by_mode: Vec<_> = xdp
        .iter()
        .filter_map(|attribute| match attribute {
            LinkXdp::DrvProgId(id) => Some((*id, AttachMode::Native)),
            LinkXdp::SkbProgId(id) => Some((*id, AttachMode::Generic)),
            LinkXdp::HwProgId(id) => Some((*id, AttachMode::Offload)),
            _ => None,
        })
        .collect();
    if !by_mode.is_empty() {
        return by_mode;
    }
    // Kernels before 4.19 tell one id and its mode apart from each other.
    let id = xdp.iter().find_map(|attribute| match attribute {
        LinkXdp::ProgId(id) => Some(*id),
        _ => None,
    });
    let mode = xdp.iter().find_map(|attribute| match attribute {
        LinkXdp::Attached(XdpAttached::Driver) => Some(AttachMode::Native),
        LinkXdp::Attached(XdpAttached::SocketBuffer) => Some(AttachMode::Generic),
        LinkXdp::Attached(XdpAttached::Hardware) => Some(AttachMode::Offload),
        _ => None,
    });
    id.zip(mode).into_iter().collect()
}

/// The name of a loaded program.
fn name(id: u32) -> Option<String> {
    let program = loaded_programs()
        .filter_map(Result::ok)
        .find(|program| program.id() == id)?;
    let name = String::from_utf8_lossy(program.name()).into_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_attached_program_is_read() {
        use AttachMode::{Generic, Native};
        for (xdp, programs) in [
            (vec![], vec![]),
            (vec![LinkXdp::Attached(XdpAttached::None)], vec![]),
            (
                vec![
                    LinkXdp::Attached(XdpAttached::Driver),
                    LinkXdp::ProgId(7),
                    LinkXdp::DrvProgId(7),
                ],
                vec![(7, Native)],
            ),
            (
                vec![
                    LinkXdp::SkbProgId(9),
                    LinkXdp::DrvProgId(7),
                    LinkXdp::Attached(XdpAttached::Multiple),
                ],
                vec![(9, Generic), (7, Native)],
            ),
            (
                vec![
                    LinkXdp::Attached(XdpAttached::SocketBuffer),
                    LinkXdp::ProgId(5),
                ],
                vec![(5, Generic)],
            ),
        ] {
            assert_eq!(ids(&xdp), programs, "{xdp:?}");
        }
    }

    #[test]
    fn a_program_is_shown_by_id_name_and_mode() {
        let mut program = AttachedProgram {
            id: 7,
            name: Some("xdp_pass".to_owned()),
            mode: AttachMode::Native,
        };
        assert_eq!(program.to_string(), "program 7 `xdp_pass` (native)");
        program.name = None;
        assert_eq!(program.to_string(), "program 7 (native)");
    }

    #[test]
    fn a_detach_error_names_the_program_and_the_way_out() {
        let error = DetachError::HeldByLink {
            interface: "eth1".to_owned(),
            program: AttachedProgram {
                id: 7,
                name: None,
                mode: AttachMode::Generic,
            },
            reason: "only CAP_SYS_ADMIN may detach",
        };
        assert_eq!(
            error.to_string(),
            "XDP program 7 (generic) on interface `eth1` is held by a BPF link that only \
             CAP_SYS_ADMIN may detach"
        );
    }

    #[test]
    fn the_loopback_interface_can_be_asked() {
        let lo = Interface::by_name("lo").expect("every namespace has it");
        assert!(lo.attached_programs().is_ok());
    }
}
