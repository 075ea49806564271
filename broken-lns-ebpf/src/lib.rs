//! What both halves of broken-lns must agree on: how a frame is parsed, how a
//! reply is written, what can become of a frame, and how the maps look.
//!
//! The kernel half is the program in `main.rs`; the user half is the package
//! `broken-lns`. Both compile this library, and it is tested on the host. It
//! does no input or output, never panics and never reads or writes beyond a
//! length that it checked.
#![no_std]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(test)]
extern crate std;

pub mod acknowledgement;
pub mod answer;
pub mod answerable;
pub mod captured;
pub mod chance;
pub mod code_in_address;
pub mod encapsulation;
mod entry;
pub mod event;
pub mod frame;
pub mod layers;
pub mod maps;
pub mod parties;
pub mod ranges;
pub mod rate_limit;
pub mod reply;
pub mod rules;
pub mod sample;
pub mod sccrq;
pub mod template;
pub mod twist;
pub mod unanswered;
pub mod verdict;
pub mod verifier;
pub mod wire;
