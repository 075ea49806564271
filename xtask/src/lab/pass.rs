//! An XDP program that lets everything pass, for what it does to a veth: run NAPI.
//!
//! It has two instructions, so it is loaded by hand: the lab needs no compiler and no loader.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;

use super::Namespace;

/// linux/bpf.h: struct bpf_insn, for `r0 = XDP_PASS; exit`.
const INSTRUCTIONS: [u64; 2] = [
    u64::from_le_bytes([0xB7, 0, 0, 0, 2, 0, 0, 0]),
    u64::from_le_bytes([0x95, 0, 0, 0, 0, 0, 0, 0]),
];

const BPF_PROG_LOAD: u32 = 5;
const BPF_LINK_CREATE: u32 = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

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

/// The program on one interface, in native mode; taken off when dropped.
#[derive(Debug)]
pub struct PassProgram {
    _link: OwnedFd,
}

impl PassProgram {
    /// Puts the program on the interface `name` in `namespace`.
    pub fn attach(namespace: &Namespace, name: &str) -> Result<Self> {
        let link = namespace
            .enter(|| attach(name))?
            .with_context(|| format!("cannot attach a passing XDP program to {name}"))?;
        Ok(Self { _link: link })
    }
}

fn attach(name: &str) -> io::Result<OwnedFd> {
    let interface = if_nametoindex(name)?;
    let license: &CStr = c"GPL";
    let program = bpf(
        BPF_PROG_LOAD,
        &Load {
            program_type: BPF_PROG_TYPE_XDP,
            instruction_count: INSTRUCTIONS.len() as u32,
            instructions: INSTRUCTIONS.as_ptr().expose_provenance() as u64,
            license: license.as_ptr().expose_provenance() as u64,
            log_level: 0,
            log_size: 0,
            log_buffer: 0,
            kernel_version: 0,
            // Without it the interface could have no jumbo MTU.
            flags: BPF_F_XDP_HAS_FRAGS,
        },
    )?;
    bpf(
        BPF_LINK_CREATE,
        &Link {
            program: program.as_raw_fd().cast_unsigned(),
            interface,
            attach_type: BPF_XDP,
            flags: XDP_FLAGS_DRV_MODE,
        },
    )
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
