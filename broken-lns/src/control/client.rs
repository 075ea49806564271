//! The other side of the control socket: finds a responder, and asks it.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{LineError, Request, Response};
use super::socket::{is_trusted, pid_of_peer, uid_of_peer};
use super::socket_of;
use crate::printable;

/// How long a response may take: a scenario of some hundred thousand rules takes its time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which responder, of those on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// The only one there is.
    Only,
    /// The one on this interface.
    Interface(String),
    /// The one with this socket.
    Socket(PathBuf),
}

/// Why a responder cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none at all.
    #[error(
        "no responder has a control socket in {}; \
         start one with `broken-lns run`, or say with --control PATH where its socket is",
        .0.display()
    )]
    Nobody(PathBuf),

    /// There are several.
    #[error("there are responders on {}; choose one with --interface NAME", .0.join(", "))]
    Several(Vec<String>),

    /// There is no such socket.
    #[error(
        "there is no control socket {}; \
         is `broken-lns run` running, and was it started with this --interface or --control?",
        .0.display()
    )]
    NotThere(PathBuf),

    /// There is a socket, and nobody behind it.
    #[error(
        "nobody listens at {} any more, since the responder was killed; \
         start it again with `broken-lns run`",
        .0.display()
    )]
    Dead(PathBuf),

    /// The socket is somebody else's.
    #[error(
        "may not connect to {}, which is for the user alone who started the responder; \
         be that user, or root: sudo broken-lns …",
        .0.display()
    )]
    Denied(PathBuf),

    /// Somebody else's process listens there.
    #[error(
        "user {uid} listens at {}, who is neither root nor you, and might say anything; if you \
         trust that user, be that user: sudo -u '#{uid}' broken-lns …",
        path.display()
    )]
    Stranger {
        /// The socket.
        path: PathBuf,
        /// The user.
        uid: u32,
    },

    /// Something else is wrong with the connection.
    #[error("cannot talk to the responder at {}: {cause}", path.display())]
    Connection {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        cause: io::Error,
    },

    /// It is there, but does not answer.
    #[error(
        "the responder at {} did not answer within {}; it may be suspended, or the machine busy",
        path.display(),
        humantime::format_duration(*patience)
    )]
    Late {
        /// The socket.
        path: PathBuf,
        /// How long it had.
        patience: Duration,
    },

    /// It went away.
    #[error("the responder at {} ended before it answered", .0.display())]
    Ended(PathBuf),

    /// The request cannot be written.
    #[error("cannot write the request as JSON: {0}")]
    Request(serde_json::Error),

    /// The response means nothing to us.
    #[error("the response of {} is {cause}", path.display())]
    Response {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        cause: LineError,
    },
}

/// A connection to a responder.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    stream: UnixStream,
    patience: Duration,
}

impl Client {
    /// Connects to a responder, where `directory` is the place of sockets without another.
    ///
    /// # Errors
    ///
    /// [`ClientError`], with what there is to choose from.
    pub fn find(whom: &Whom, directory: &Path) -> Result<Self, ClientError> {
        match whom {
            Whom::Only => Self::only(directory),
            Whom::Interface(name) => Self::connect(&socket_of(directory, name)),
            Whom::Socket(path) => Self::connect(path),
        }
    }

    /// Connects to the responder with that socket.
    ///
    /// # Errors
    ///
    /// [`ClientError`], which says whether there is one.
    pub fn connect(path: &Path) -> Result<Self, ClientError> {
        let path = path.to_owned();
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(cause) => return Err(not_connected(path, cause)),
        };
        match uid_of_peer(&stream) {
            Ok(uid) => check_user(&path, uid)?,
            Err(cause) => return Err(ClientError::Connection { path, cause }),
        }
        Ok(Self {
            path,
            stream,
            patience: PATIENCE,
        })
    }

    /// Waits no longer than this for a response.
    #[must_use]
    pub fn patient_for(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Connects to the only responder there is. One on several interfaces has several sockets.
    fn only(directory: &Path) -> Result<Self, ClientError> {
        let mut found = Vec::new();
        for (name, path) in sockets(directory) {
            match Self::connect(&path) {
                Err(ClientError::NotThere(_) | ClientError::Dead(_)) => {}
                client => found.push((name, client)),
            }
        }
        let processes: Vec<_> = found
            .iter()
            .map(|(name, client)| {
                let client = client.as_ref().ok();
                let process = client.map(|client| pid_of_peer(&client.stream));
                (name.as_str(), process)
            })
            .collect();
        check_only(&processes)?;
        match found.into_iter().next() {
            Some((_, client)) => client,
            None => Err(ClientError::Nobody(directory.to_owned())),
        }
    }

    /// Asks for something, and returns the response with the line that it was. Nothing in either
    /// writes to a terminal whatever it wants.
    ///
    /// # Errors
    ///
    /// [`ClientError`], where there is no response. One that refuses is a response.
    pub fn ask(mut self, request: &Request) -> Result<(Response, String), ClientError> {
        let line = request.to_line().map_err(ClientError::Request)?;
        let timeouts = self
            .stream
            .set_read_timeout(Some(self.patience))
            .and_then(|()| self.stream.set_write_timeout(Some(self.patience)));
        timeouts.map_err(|cause| self.failed(cause))?;
        match self.stream.write_all(line.as_bytes()) {
            // It may have refused to read on, and say so.
            Err(error) if is_gone(&error) => {}
            result => result.map_err(|cause| self.failed(cause))?,
        }
        let mut response = Vec::new();
        match BufReader::new(&self.stream).read_until(b'\n', &mut response) {
            Err(error) if is_gone(&error) => {}
            result => {
                result.map_err(|cause| self.failed(cause))?;
            }
        }
        if !response.ends_with(b"\n") {
            return Err(ClientError::Ended(self.path));
        }
        match printable_response(&response) {
            Ok(parsed) => {
                let line = String::from_utf8_lossy(&response);
                Ok((parsed, printable::json_line(&line)))
            }
            Err(cause) => Err(ClientError::Response {
                path: self.path,
                cause,
            }),
        }
    }

    fn failed(&self, cause: io::Error) -> ClientError {
        let path = self.path.clone();
        match cause.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Late {
                path,
                patience: self.patience,
            },
            _ => ClientError::Connection { path, cause },
        }
    }
}

/// The response in a line, with texts that can be shown.
fn printable_response(line: &[u8]) -> Result<Response, LineError> {
    Response::from_value(printable::json(serde_json::from_slice(line)?))
}

/// Checks that a responder of this user may be believed.
fn check_user(path: &Path, uid: u32) -> Result<(), ClientError> {
    match is_trusted(uid) {
        true => Ok(()),
        false => Err(ClientError::Stranger {
            path: path.to_owned(),
            uid,
        }),
    }
}

/// Checks that all sockets are of one process, as far as we may connect to them.
fn check_only(found: &[(&str, Option<i32>)]) -> Result<(), ClientError> {
    let [(first, process), others @ ..] = found else {
        return Ok(());
    };
    let others = others.iter();
    let others = others.filter(|(_, other)| process.is_none() || other != process);
    let others: Vec<_> = others.map(|(name, _)| *name).collect();
    if others.is_empty() {
        return Ok(());
    }
    let names = [vec![*first], others].concat();
    Err(ClientError::Several(
        names.into_iter().map(str::to_owned).collect(),
    ))
}

/// Whether the other end has closed the connection.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Why there is no connection.
fn not_connected(path: PathBuf, cause: io::Error) -> ClientError {
    match cause.kind() {
        io::ErrorKind::NotFound => ClientError::NotThere(path),
        io::ErrorKind::ConnectionRefused => ClientError::Dead(path),
        io::ErrorKind::PermissionDenied => ClientError::Denied(path),
        _ => ClientError::Connection { path, cause },
    }
}

/// The sockets in a directory, by the names of their interfaces.
fn sockets(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut sockets: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "sock")
        })
        .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path)))
        .collect();
    sockets.sort();
    sockets
}

#[cfg(test)]
mod tests;
