//! BPF programs of a few instructions, which need no compiler and no loader.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
};

const BPF_PROG_LOAD: u32 = 5;
const BPF_LINK_CREATE: u32 = 28;

/// A program, and what it is for.
pub(super) struct Program {
    /// Of linux/bpf.h's enum bpf_prog_type.
    pub(super) kind: u32,
    /// Each a struct bpf_insn.
    pub(super) instructions: &'static [[u8; 8]],
    /// For loading it.
    pub(super) flags: u32,
}

/// Where a program is put.
pub(super) struct Attachment {
    /// The index of the interface.
    pub(super) interface: u32,
    /// Of linux/bpf.h's enum bpf_attach_type.
    pub(super) kind: u32,
    /// For attaching it there.
    pub(super) flags: u32,
}

/// A program in the kernel.
pub(super) struct Loaded(OwnedFd);

/// linux/bpf.h: the start of union bpf_attr for BPF_PROG_LOAD; the rest counts as zeros.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

/// linux/bpf.h: the start of union bpf_attr for BPF_LINK_CREATE.
#[repr(C)]
struct Link {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

impl Program {
    /// Loads it.
    pub(super) fn load(&self) -> io::Result<Loaded> {
        let license: &CStr = c"GPL";
        let program = bpf(
            BPF_PROG_LOAD,
            &Load {
                program_type: self.kind,
                instruction_count: self.instructions.len() as u32,
                instructions: self.instructions.as_ptr().expose_provenance() as u64,
                license: license.as_ptr().expose_provenance() as u64,
                log_level: 0,
                log_size: 0,
                log_buffer: 0,
                kernel_version: 0,
                flags: self.flags,
            },
        );
        program.map(Loaded)
    }
}

impl Loaded {
    /// Puts it there, as long as the link is open.
    pub(super) fn attach(&self, attachment: &Attachment) -> io::Result<OwnedFd> {
        bpf(
            BPF_LINK_CREATE,
            &Link {
                program: self.0.as_raw_fd().cast_unsigned(),
                interface: attachment.interface,
                attach_type: attachment.kind,
                flags: attachment.flags,
            },
        )
    }
}

/// A command of bpf(2) that makes a file descriptor.
fn bpf<T>(command: u32, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the pointer and the length are those of one value, all of it without padding, and
    // the addresses in it are of constants.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            ptr::from_ref(attributes),
            mem::size_of::<T>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(result as i32) })
}
