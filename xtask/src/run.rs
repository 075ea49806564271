//! `cargo xtask run`: builds the responder and becomes it.

use std::{convert::Infallible, ffi::OsString};

use anyhow::Result;

use crate::{build, process};

/// Builds the responder as who we are, then becomes the responder as root.
pub fn run(arguments: &[OsString]) -> Result<Infallible> {
    let responder = build::run()?;
    process::become_it(process::as_root(&responder).args(arguments))
}
