//! The kernel half of broken-lns: the XDP program.
//!
//! One pass over a frame: parse, decide, and rewrite it into the reply or hand
//! it to the worker of its queue. What is decided lies in the library; here
//! are the maps, the entry point, and the way from a verdict to an action.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod kernel;

/// The program runs in the kernel only; on the host there is nothing to do.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
