//! The broken-lns command.
fn main() {}
