//! The metrics over HTTP/1.1, so that no client can do more than read them.
//!
//! A connection has one request and a limited time, and there is a limited number of them. What
//! a client sends beyond the head of its request is never read.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{spawn_blocking, yield_now};
use tokio::time::{sleep, timeout};

use super::Exposition;
use crate::seats::{Seat, Seats};

/// Octets of a request's head; hyper wants no less.
const HEAD_LEN: usize = 8 << 10;

/// Header fields of a request.
const HEADER_FIELDS: usize = 64;

/// How long no connection is accepted after one could not be: file descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What clients may expect of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The connections at a time; one more takes the place of the one that is idle the longest.
    pub connections: usize,
    /// How long a connection may take, from its start to the last octet of its response.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 16,
            patience: Duration::from_secs(10),
        }
    }
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve metrics at {address}: {cause}; choose another place with --metrics ADDR:PORT"
)]
pub struct ListenError {
    /// Where it should have been.
    address: SocketAddr,
    /// What the kernel said.
    cause: io::Error,
}

/// Where metrics are served.
#[derive(Debug)]
pub struct Server {
    scrapes: mpsc::Receiver<Scrape>,
    address: Option<SocketAddr>,
    health: Health,
}

/// What keeps the responder from answering, a line each; nothing while it is well.
#[derive(Clone, Debug, Default)]
struct Health(Arc<Mutex<String>>);

/// A client that waits for the metrics.
#[derive(Debug)]
#[must_use = "the client waits for them"]
pub struct Scrape(oneshot::Sender<Result<Exposition, String>>);

impl Server {
    /// A server that nobody can reach.
    pub fn unreachable() -> Self {
        let (_, scrapes) = mpsc::channel(1);
        Self {
            scrapes,
            address: None,
            health: Health::default(),
        }
    }

    /// Listens at this address; this has to be within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`ListenError`], where the address is taken, or not of this machine.
    pub fn listen(address: SocketAddr, limits: Limits) -> Result<Self, ListenError> {
        let failed = |cause| ListenError { address, cause };
        let listener = StdListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (sender, scrapes) = mpsc::channel(1);
        let health = Health::default();
        tokio::spawn(accept(listener, sender, health.clone(), limits));
        Ok(Self {
            scrapes,
            address: Some(address),
            health,
        })
    }

    /// Where it listens, with the port that the kernel chose if none was asked for; `None` if
    /// nobody can reach us.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Says what keeps the responder from answering, each in a line; nothing where it is well.
    pub fn set_troubles(&self, troubles: &[String]) {
        let mut lines = troubles.join("\n");
        if !lines.is_empty() {
            lines.push('\n');
        }
        *self.health.lock() = lines;
    }

    /// The next client; it never comes if nobody can reach us.
    pub async fn next(&mut self) -> Scrape {
        match self.scrapes.recv().await {
            Some(scrape) => scrape,
            None => std::future::pending().await,
        }
    }
}

impl Health {
    fn lock(&self) -> std::sync::MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let troubles = self.lock().clone();
        match troubles.is_empty() {
            true => plain(StatusCode::OK, "ok\n"),
            false => plain(StatusCode::SERVICE_UNAVAILABLE, troubles),
        }
    }
}

impl Scrape {
    /// Gives the client what there is to show, or the reason why that cannot be had.
    pub fn answer<E: ToString>(self, exposition: Result<Exposition, E>) {
        // Where the client is gone, nobody wants to know.
        let _ = self.0.send(exposition.map_err(|error| error.to_string()));
    }
}

/// Accepts connections for ever, as many at a time as may be.
async fn accept(
    listener: TcpListener,
    scrapes: mpsc::Sender<Scrape>,
    health: Health,
    limits: Limits,
) {
    let seats = Seats::new(limits.connections);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let seat = seats.take().await;
                let (scrapes, health) = (scrapes.clone(), health.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        // Too late or broken is the client's affair, and ends with the connection.
                        _ = timeout(limits.patience, attend(stream, &seat, scrapes, health)) => {}
                        () = seat.lost() => {}
                    }
                });
                // Before another newcomer, this one's request is read if it is there.
                yield_now().await;
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// The connection of a client in its seat, who is heard when octets come or go.
struct Seated<'s> {
    stream: TcpStream,
    seat: &'s Seat,
}

impl AsyncRead for Seated<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(context, room);
        if polled.is_ready() {
            self.seat.heard();
        }
        polled
    }
}

impl AsyncWrite for Seated<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, octets);
        if polled.is_ready() {
            self.seat.heard();
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Responds to the one request of a connection.
async fn attend(
    stream: TcpStream,
    seat: &Seat,
    scrapes: mpsc::Sender<Scrape>,
    health: Health,
) -> Result<(), hyper::Error> {
    let service = service_fn(|request: Request<Incoming>| {
        let (scrapes, health) = (scrapes.clone(), health.clone());
        async move {
            let _served = seat.serve();
            Ok::<_, Infallible>(respond(&request, &scrapes, &health).await)
        }
    });
    let stream = Seated { stream, seat };
    http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        // A client that has sent its request may say that nothing comes after it.
        .half_close(true)
        .max_buf_size(HEAD_LEN)
        .max_headers(HEADER_FIELDS)
        .serve_connection(TokioIo::new(stream), service)
        .await
}

/// The response to a request.
async fn respond(
    request: &Request<Incoming>,
    scrapes: &mpsc::Sender<Scrape>,
    health: &Health,
) -> Response<Full<Bytes>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    match request.uri().path() {
        "/metrics" | "/healthz" if !reads => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD here\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            response
        }
        "/metrics" => match scrape(scrapes).await {
            Ok(text) => {
                let mut response = plain(StatusCode::OK, text);
                let content_type = HeaderValue::from_static(super::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, content_type);
                response
            }
            Err(reason) => plain(StatusCode::INTERNAL_SERVER_ERROR, reason + "\n"),
        },
        "/healthz" => health.response(),
        _ => plain(
            StatusCode::NOT_FOUND,
            "there are /metrics for Prometheus and /healthz\n",
        ),
    }
}

/// The metrics as they are now.
async fn scrape(scrapes: &mpsc::Sender<Scrape>) -> Result<String, String> {
    let (sender, exposition) = oneshot::channel();
    // Neither fails unless the responder ends in between.
    let sent = scrapes.send(Scrape(sender)).await.ok();
    let exposition = match sent {
        Some(()) => exposition.await.ok(),
        None => None,
    };
    let exposition = exposition.unwrap_or_else(|| Err("the responder is ending".to_owned()))?;
    // Those of many rules take their time, in which nobody else shall wait.
    let text = spawn_blocking(move || exposition.into_text()).await;
    let text = text.ok().and_then(Result::ok);
    text.ok_or_else(|| "the metrics could not be written".to_owned())
}

/// A response of text.
fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
