//! The responder's side of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

use super::lines::{CHUNK, Lines, NoLine};
use super::protocol::{Refused, Reply, Request, Response};
use super::socket::{ListenError, SocketFile, listen_at, make_directory};
use super::work::in_a_thread;
use crate::scenario::FILE_LIMIT;
use crate::seats::{Seat, Seats};

/// How long no connection is accepted after one could not be: file descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const MIB: usize = 1 << 20;

/// What clients may expect of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The octets of a request.
    pub request_len: usize,
    /// The clients at a time; one more takes the place of the one that is idle the longest.
    pub clients: usize,
    /// How long a client may take to send a request, and to receive a response.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Every octet of a scenario may have to be escaped by another.
            request_len: 2 * MIB * FILE_LIMIT as usize + CHUNK,
            clients: 32,
            patience: Duration::from_secs(30),
        }
    }
}

/// The sockets of a responder; their files are removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    orders: mpsc::Receiver<Order>,
    files: Vec<SocketFile>,
}

/// A request of a client that waits for its response.
#[derive(Debug)]
pub struct Order {
    pub(super) request: Request,
    pub(super) response: oneshot::Sender<Response>,
    pub(super) written: oneshot::Receiver<()>,
}

/// A client that waits for the responder to be stopped.
#[derive(Debug)]
#[must_use = "the client waits for its response"]
pub struct Stop {
    pub(super) response: oneshot::Sender<Response>,
    pub(super) written: oneshot::Receiver<()>,
}

/// What all connections share.
#[derive(Clone, Debug)]
struct House {
    limits: Limits,
    orders: mpsc::Sender<Order>,
    seats: Seats,
    long_lines: Arc<Semaphore>,
}

impl Server {
    /// A server that nobody can reach.
    pub fn unreachable() -> Self {
        let (_, orders) = mpsc::channel(1);
        Self {
            orders,
            files: Vec::new(),
        }
    }

    /// Makes the directory for the sockets, unless it is there, and listens at all of them.
    ///
    /// # Errors
    ///
    /// [`ListenError`]; no file of ours is left then.
    pub fn listen_in(
        directory: &Path,
        paths: &[PathBuf],
        limits: Limits,
    ) -> Result<Self, ListenError> {
        make_directory(directory)?;
        Self::listen(paths, limits)
    }

    /// Listens at all of these paths; this has to be within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ListenError`]; no file of ours is left then.
    pub fn listen(paths: &[PathBuf], limits: Limits) -> Result<Self, ListenError> {
        let (sender, orders) = mpsc::channel(1);
        let house = House {
            limits,
            orders: sender,
            seats: Seats::new(limits.clients),
            long_lines: Arc::new(Semaphore::new(1)),
        };
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let (listener, file) = listen_at(path)?;
            files.push(file);
            let listener =
                UnixListener::from_std(listener).map_err(|cause| ListenError::Socket {
                    path: path.clone(),
                    cause,
                })?;
            tokio::spawn(accept(listener, house.clone()));
        }
        Ok(Self { orders, files })
    }

    /// The next request; it never comes if nobody can reach us.
    pub async fn next(&mut self) -> Order {
        match self.orders.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }

    /// Removes the files, so that the next responder may have their place, and tells whoever asks
    /// for something that this one is ending.
    pub fn close(&mut self) {
        self.files.clear();
        self.orders.close();
        while self.orders.try_recv().is_ok() {}
    }
}

impl Stop {
    /// Tells the client that nothing is attached any more, or what went wrong, and waits until
    /// it has been told.
    pub async fn done(self, result: Result<(), Refused>) {
        let _ = self.response.send(result.map(|()| Reply::Stopped).into());
        // The other end is dropped when the response is written, or cannot be.
        let _ = self.written.await;
    }
}

/// Accepts clients for ever.
async fn accept(listener: UnixListener, house: House) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let seat = house.seats.take().await;
                tokio::spawn(attend(stream, house.clone(), seat));
                // Before another newcomer, this one's request is read if it is there.
                yield_now().await;
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Responds to a client until one of us has enough, or another one has its seat.
async fn attend(stream: UnixStream, house: House, seat: Seat) {
    let is_responding = AtomicBool::new(false);
    tokio::select! {
        () = converse(&stream, &house, &seat, &is_responding) => {}
        () = seat.lost() => {
            let refused = Refused::because(format_args!(
                "{} clients are connected, of which this one was idle the longest, and another one \
                 came; connect again",
                house.seats.limit()
            ));
            // An empty socket takes a line at once. Within a response there is no place for it.
            if let (Ok(line), false) = (
                Response::from(Err(refused)).to_line(),
                is_responding.load(Ordering::Relaxed),
            ) {
                let _ = stream.try_write(line.as_bytes());
            }
        }
    }
}

/// Responds to a client until one of us has enough.
async fn converse(stream: &UnixStream, house: &House, seat: &Seat, is_responding: &AtomicBool) {
    let Limits {
        request_len,
        patience,
        ..
    } = house.limits;
    let long_lines = Arc::clone(&house.long_lines);
    let mut lines = Lines::new(stream, seat, request_len, patience, long_lines);
    loop {
        let (sent, written) = oneshot::channel();
        let line = lines.next().await;
        let served = seat.serve();
        let (response, is_last) = match line {
            Ok(None) | Err(NoLine::Gone(_)) => return,
            Ok(Some(line)) => (respond(line, &house.orders, written).await, false),
            Err(error) => (Err(Refused::because(error)).into(), true),
        };
        let Ok(line) = to_line(response).await else {
            return;
        };
        drop(served);
        is_responding.store(true, Ordering::Relaxed);
        let is_written = timeout(patience, write(stream, seat, line.as_bytes())).await;
        is_responding.store(false, Ordering::Relaxed);
        drop(sent);
        if is_last || !matches!(is_written, Ok(Ok(()))) {
            return;
        }
    }
}

/// Lets the responder carry out what a line asks for.
async fn respond(
    line: Vec<u8>,
    orders: &mpsc::Sender<Order>,
    written: oneshot::Receiver<()>,
) -> Response {
    let request = match from_line(line).await {
        Ok(request) => request,
        Err(refused) => return Err(refused).into(),
    };
    let (response, responded) = oneshot::channel();
    let order = Order {
        request,
        response,
        written,
    };
    // Neither fails unless the responder ends in between.
    let sent = orders.send(order).await.ok();
    let responded = match sent {
        Some(()) => responded.await.ok(),
        None => None,
    };
    responded.unwrap_or_else(|| Err(Refused::because("the responder is ending")).into())
}

/// What a line asks for. Nobody else waits while a long one is read.
async fn from_line(line: Vec<u8>) -> Result<Request, Refused> {
    let is_long = line.len() > CHUNK;
    let read = move || Request::from_line(&line).map_err(Refused::because);
    match is_long {
        true => in_a_thread(read).await,
        false => read(),
    }
}

/// The response as a line. Nobody else waits while a long one is written.
async fn to_line(response: Response) -> Result<String, Refused> {
    let is_long = response.is_long();
    let write = move || response.to_line().map_err(Refused::because);
    match is_long {
        true => in_a_thread(write).await,
        false => write(),
    }
}

/// Writes all of it.
async fn write(stream: &UnixStream, seat: &Seat, mut octets: &[u8]) -> io::Result<()> {
    while !octets.is_empty() {
        stream.writable().await?;
        match stream.try_write(octets) {
            Ok(written) => {
                octets = octets.get(written..).unwrap_or_default();
                seat.heard();
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
