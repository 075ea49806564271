//! What both halves of broken-lns must agree on.
#![no_std]

pub mod verdict;
