//! The programs that the benchmark needs in the kernel: one makes requests, one
//! counts answers, and two are what the responder's two paths are measured against.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod bare;
#[cfg(target_arch = "bpf")]
#[allow(dead_code, reason = "each half uses its own part of it")]
mod contract;
#[cfg(target_arch = "bpf")]
mod count;
#[cfg(target_arch = "bpf")]
mod generate;
#[cfg(target_arch = "bpf")]
mod kernel;

/// The programs run in the kernel only; on the host there is nothing to do.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
