//! Live control: a socket by which a running responder is asked and changed.
//!
//! `protocol` is what is said, `server` the side of the responder with `socket`
//! for its file, `lock` for the time in which that is made, and `lines` for what it reads,
//! and `client` the other side. A request comes to the responder as an [`Order`], which it
//! begins between two of its other duties, so that nothing here needs a lock. `work` is what
//! takes long of it.

pub mod client;
#[cfg(test)]
mod fake;
mod lines;
mod lock;
pub mod protocol;
pub mod server;
mod socket;
mod work;

use std::path::{Path, PathBuf};

pub use lock::LockError;
pub use server::{Limits, Order, Server, Stop};
pub use socket::ListenError;
pub use work::{Change, Controlled, Requests, Work, in_a_thread};

/// Where the sockets of responders are that nobody gave another place.
pub const DIRECTORY: &str = "/run/broken-lns";

/// The socket in that directory of the responder on an interface.
pub fn socket_of(directory: &Path, interface: &str) -> PathBuf {
    directory.join(format!("{interface}.sock"))
}
