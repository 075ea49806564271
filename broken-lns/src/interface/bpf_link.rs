//! BPF links that hold an XDP program on an interface: make one, find them, detach them.
//!
//! These are bpf system calls by hand. aya neither tells which interface a link belongs to nor
//! detaches a link that it did not make itself, and where the kernel refuses a link it tries an
//! attachment by netlink, which would outlive the process.

use std::{
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
};

use aya::programs::{links::LinkType, loaded_links};

use crate::bpf::bpf;

const BPF_OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_LINK_GET_FD_BY_ID: libc::c_long = 30;
const BPF_LINK_DETACH: libc::c_long = 34;

/// The attach type of XDP programs on an interface.
const BPF_XDP: u32 = 37;

/// The part of `union bpf_attr` for BPF_LINK_CREATE, as an XDP link needs it.
#[repr(C)]
struct LinkCreate {
    program: RawFd,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// The part of `union bpf_attr` for BPF_LINK_GET_FD_BY_ID.
#[repr(C)]
struct GetFdById {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The part of `union bpf_attr` for BPF_OBJ_GET_INFO_BY_FD.
#[repr(C)]
struct GetInfoByFd {
    fd: RawFd,
    len: u32,
    info: u64,
}

/// The part of `union bpf_attr` for BPF_LINK_DETACH.
#[repr(C)]
struct LinkDetach {
    fd: RawFd,
}

/// The first fields of `struct bpf_link_info`, as an XDP link has them.
#[repr(C)]
#[derive(Default)]
struct XdpLinkInfo {
    kind: u32,
    id: u32,
    program: u32,
    padding: u32,
    interface: u32,
    padding_at_the_end: u32,
}

/// Attaches a program in the mode of `flags`, for as long as the link is held.
pub(super) fn create(program: BorrowedFd<'_>, interface: u32, flags: u32) -> io::Result<OwnedFd> {
    let mut attributes = LinkCreate {
        program: program.as_raw_fd(),
        interface,
        attach_type: BPF_XDP,
        flags,
    };
    // SAFETY: BPF_LINK_CREATE takes these attributes and writes nowhere.
    let fd = unsafe { bpf(BPF_LINK_CREATE, &mut attributes)? };
    // SAFETY: the kernel has just made this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The ids of the links that hold this program on an interface of this index, in any namespace.
///
/// None when the caller may not see links, for which the kernel wants CAP_SYS_ADMIN.
pub(super) fn holding(program: u32, interface: u32) -> Vec<u32> {
    loaded_links()
        .filter_map(Result::ok)
        .filter(|link| link.program_id() == program)
        .filter(|link| matches!(link.link_type(), Ok(LinkType::Xdp)))
        .map(|link| link.id())
        .filter(|id| interface_of(*id).is_ok_and(|index| index == interface))
        .collect()
}

/// Detaches the program that a link holds; its owner keeps a link to nothing.
pub(super) fn detach(id: u32) -> io::Result<()> {
    let link = open(id)?;
    let mut attributes = LinkDetach {
        fd: link.as_raw_fd(),
    };
    // SAFETY: BPF_LINK_DETACH takes these attributes and writes nowhere.
    unsafe { bpf(BPF_LINK_DETACH, &mut attributes)? };
    Ok(())
}

/// The index of the interface that an XDP link belongs to.
fn interface_of(id: u32) -> io::Result<u32> {
    let link = open(id)?;
    let mut info = XdpLinkInfo::default();
    let mut attributes = GetInfoByFd {
        fd: link.as_raw_fd(),
        len: size_of::<XdpLinkInfo>() as u32,
        info: (&raw mut info) as u64,
    };
    // SAFETY: BPF_OBJ_GET_INFO_BY_FD takes these attributes, and writes at most `len` octets to
    // `info`, which is that long and lives through the call.
    unsafe { bpf(BPF_OBJ_GET_INFO_BY_FD, &mut attributes)? };
    Ok(info.interface)
}

/// Opens a link.
fn open(id: u32) -> io::Result<OwnedFd> {
    let mut attributes = GetFdById {
        id,
        next_id: 0,
        open_flags: 0,
    };
    // SAFETY: BPF_LINK_GET_FD_BY_ID takes these attributes and writes nowhere.
    let fd = unsafe { bpf(BPF_LINK_GET_FD_BY_ID, &mut attributes)? };
    // SAFETY: the kernel has just made this descriptor for us, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_as_long_as_the_kernels() {
        assert_eq!(size_of::<LinkCreate>(), 16);
        assert_eq!(size_of::<GetFdById>(), 12);
        assert_eq!(size_of::<GetInfoByFd>(), 16);
        assert_eq!(size_of::<XdpLinkInfo>(), 24);
        assert_eq!(std::mem::offset_of!(XdpLinkInfo, interface), 16);
    }

    #[test]
    fn nothing_holds_a_program_that_does_not_exist() {
        assert!(holding(u32::MAX, 1).is_empty());
    }
}
