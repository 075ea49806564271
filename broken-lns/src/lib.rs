//! The user half of broken-lns.
