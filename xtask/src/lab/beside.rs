//! VLAN tags beside the frame: what an interface sends goes out like that of a VLAN interface on top
//! of it, for kernels that have none.

use std::{io, os::fd::OwnedFd};

use anyhow::{Context as _, Result};
use nix::net::if_::if_nametoindex;

use super::{
    Namespace, Tag,
    bpf::{Attachment, Program},
};

/// `bpf_skb_vlan_push(skb, htons(0x8100), 100)`, which leaves the tag beside the frame; then
/// `r0 = TCX_PASS; exit`.
const PROGRAM: Program = Program {
    kind: BPF_PROG_TYPE_SCHED_CLS,
    instructions: &[
        [0xB7, 2, 0, 0, 0x81, 0, 0, 0],
        [0xB7, 3, 0, 0, VLAN, 0, 0, 0],
        [0x85, 0, 0, 0, BPF_FUNC_SKB_VLAN_PUSH, 0, 0, 0],
        [0xB7, 0, 0, 0, 0, 0, 0, 0],
        [0x95, 0, 0, 0, 0, 0, 0, 0],
    ],
    flags: 0,
};

const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
const BPF_FUNC_SKB_VLAN_PUSH: u8 = 18;
const BPF_TCX_EGRESS: u32 = 47;
const VLAN: u8 = 100;

/// A program that tags whatever an interface sends; taken off when dropped.
#[derive(Debug)]
pub struct TagBeside {
    _link: OwnedFd,
}

impl TagBeside {
    /// The tag.
    pub const TAG: Tag = Tag {
        protocol: 0x8100,
        control: VLAN as u16,
    };

    /// Has the interface `name` in `namespace` send tagged frames. Linux has that from 6.6 on.
    pub fn attach(namespace: &Namespace, name: &str) -> Result<Self> {
        let link = namespace
            .enter(|| attach(name))?
            .with_context(|| format!("cannot have {name} tag what it sends"))?;
        Ok(Self { _link: link })
    }
}

fn attach(name: &str) -> io::Result<OwnedFd> {
    PROGRAM.load()?.attach(&Attachment {
        interface: if_nametoindex(name)?,
        kind: BPF_TCX_EGRESS,
        flags: 0,
    })
}
