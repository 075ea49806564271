//! Development tasks of broken-lns, and the virtual lab that the demo and the tests use.

use std::path::Path;

pub mod apt;
pub mod bench;
pub mod build;
pub mod clippy;
pub mod demo;
pub mod deny;
pub mod fuzz;
pub mod lab;
pub mod linker;
pub mod process;
pub mod run;
pub mod rustc;
pub mod sanitize;
pub mod setup;
pub mod suite;
pub mod test;
pub mod toolchain;

/// The root of the workspace.
pub fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}
