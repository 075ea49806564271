//! An XDP program that lets everything pass, for what it does to a veth: run NAPI.
//!
//! It has two instructions, so it is loaded by hand: the lab needs no compiler and no loader.

use std::{io, os::fd::OwnedFd};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;

use super::{
    Namespace,
    bpf::{Attachment, Program},
};

/// linux/bpf.h: struct bpf_insn, for `r0 = XDP_PASS; exit`.
const PROGRAM: Program = Program {
    kind: BPF_PROG_TYPE_XDP,
    instructions: &[[0xB7, 0, 0, 0, 2, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]],
    // Without it the interface could have no jumbo MTU.
    flags: BPF_F_XDP_HAS_FRAGS,
};

const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

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
    PROGRAM.load()?.attach(&Attachment {
        interface: if_nametoindex(name)?,
        kind: BPF_XDP,
        flags: XDP_FLAGS_DRV_MODE,
    })
}
