//! What takes long, done where nothing else waits for it.
//!
//! A responder answers requests between its other duties, and some need seconds: to read and
//! compile a scenario, or to write a report. They are done by a thread of their own. A change is
//! only put in force by the responder itself, and changes come into force in the order in which
//! they were asked for; what merely asks waits for none of them.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

use super::protocol::{
    Changed, Document, Load, Reactions, Refused, Reply, Request, Response, RuleLine, Set, Status,
};
use super::server::{Order, Stop};
use crate::report::Format;

/// What has to be done by a thread of its own.
pub type Work<T> = Box<dyn FnOnce() -> Result<T, Refused> + Send>;

/// Another scenario, of which the responder only has to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The one in force with another refusal.
    Set(Set),
    /// Another one.
    Load(Load),
    /// The one in the same file.
    Reload,
}

/// What can be asked of a running responder, and changed in it.
///
/// A change that is refused has changed nothing. Every method comes back at once, and leaves what
/// takes long to a thread.
pub trait Controlled {
    /// A scenario that is ready to come into force.
    type Prepared: Send + 'static;

    /// What runs, and what it has counted.
    ///
    /// # Errors
    ///
    /// [`Refused`], as for all of these.
    fn status(&mut self) -> Result<Status, Refused>;

    /// The rules with the hits of each: the default first, then in the order of the file.
    ///
    /// # Errors
    ///
    /// Where the hits cannot be read.
    fn rules(&mut self) -> Result<Work<Vec<RuleLine>>, Refused>;

    /// Makes a change of what is in force now, up to the point where it can come into force. The
    /// work fails with everything that is wrong with it.
    fn prepare(&mut self, change: Change) -> Work<Self::Prepared>;

    /// Puts it in force. Nothing else was put in force since it was prepared.
    ///
    /// # Errors
    ///
    /// Where that cannot be.
    fn put_in_force(&mut self, prepared: Self::Prepared) -> Result<Changed, Refused>;

    /// What LACs did so far.
    ///
    /// # Errors
    ///
    /// Where none is followed; the work fails where what is known of them cannot be asked.
    fn report(&mut self, format: Format) -> Result<Work<Document>, Refused>;

    /// What single LACs did last; nothing where none is followed. The work fails where what is
    /// known of them cannot be asked.
    fn reactions(&mut self) -> Work<Option<Reactions>>;

    /// Lets all counters begin at zero again.
    ///
    /// # Errors
    ///
    /// Where they cannot be read.
    fn reset(&mut self) -> Result<(), Refused>;
}

/// The requests that are under way.
pub struct Requests<C: Controlled> {
    /// What changes something and is not begun, in its order.
    waiting: VecDeque<(Changing, Asker)>,
    /// The change that is being prepared.
    preparing: Option<(Thread<C::Prepared>, Asker)>,
    /// Gives out the one permit for a report, so that several need no more memory than one.
    reports: Arc<Semaphore>,
}

/// A thread that prepares a change.
type Thread<P> = JoinHandle<Result<P, Refused>>;

/// A request that changes something.
#[derive(Debug)]
enum Changing {
    Scenario(Change),
    Reset,
}

/// Who asked for a change.
#[derive(Debug)]
enum Asker {
    Client(oneshot::Sender<Response>),
    /// Nobody who waits for a response: it is told to the user.
    Signal,
}

/// A change that is prepared, or was refused.
pub struct Ready<P>(Result<P, Refused>, Asker);

impl<C: Controlled> Default for Requests<C> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            preparing: None,
            reports: Arc::new(Semaphore::new(1)),
        }
    }
}

impl<C: Controlled> Requests<C> {
    /// Begins what a client asks for, unless it is to stop: that is up to the caller. This has to
    /// be within a tokio runtime.
    pub fn begin(&mut self, order: Order, controlled: &mut C) -> ControlFlow<Stop> {
        let Order {
            request,
            response,
            written,
        } = order;
        let change = match request {
            Request::Stop => return ControlFlow::Break(Stop { response, written }),
            Request::Status => {
                let status = controlled.status();
                respond(response, status.map(|it| Reply::Status(Box::new(it))));
                return ControlFlow::Continue(());
            }
            Request::Rules => {
                do_and_respond(response, controlled.rules(), None, Reply::Rules);
                return ControlFlow::Continue(());
            }
            Request::Report(report) => {
                let (work, permits) = (controlled.report(report.format), &self.reports);
                do_and_respond(response, work, Some(Arc::clone(permits)), Reply::Report);
                return ControlFlow::Continue(());
            }
            Request::Reactions => {
                let work = Ok(controlled.reactions());
                do_and_respond(response, work, None, Reply::Reactions);
                return ControlFlow::Continue(());
            }
            Request::Set(change) if change.is_empty() => {
                let nothing = "nothing to set; give result_code, error_code or error_message";
                respond(response, Err(Refused::because(nothing)));
                return ControlFlow::Continue(());
            }
            Request::Set(change) => Changing::Scenario(Change::Set(change)),
            Request::Load(load) => Changing::Scenario(Change::Load(load)),
            Request::Reload => Changing::Scenario(Change::Reload),
            Request::Reset => Changing::Reset,
        };
        self.waiting.push_back((change, Asker::Client(response)));
        self.go_on(controlled);
        ControlFlow::Continue(())
    }

    /// Reads the scenario once more because of a signal.
    pub fn reload(&mut self, controlled: &mut C) {
        let change = Changing::Scenario(Change::Reload);
        self.waiting.push_back((change, Asker::Signal));
        self.go_on(controlled);
    }

    /// The next change that is prepared; it never comes where none is under way.
    pub async fn next(&mut self) -> Ready<C::Prepared> {
        let Some((thread, _)) = &mut self.preparing else {
            return std::future::pending().await;
        };
        let prepared = joined(thread.await);
        match self.preparing.take() {
            Some((_, asker)) => Ready(prepared, asker),
            None => std::future::pending().await,
        }
    }

    /// Puts a change in force and begins the next one. Returns what to tell the user, where no
    /// client is told.
    pub fn finish(
        &mut self,
        Ready(prepared, asker): Ready<C::Prepared>,
        controlled: &mut C,
    ) -> Option<Result<Changed, Refused>> {
        let changed = prepared.and_then(|prepared| controlled.put_in_force(prepared));
        let told = match asker {
            Asker::Client(response) => {
                respond(response, changed.map(Reply::Changed));
                None
            }
            Asker::Signal => Some(changed),
        };
        self.go_on(controlled);
        told
    }

    /// Begins what waits, up to the first change that takes its time.
    fn go_on(&mut self, controlled: &mut C) {
        while self.preparing.is_none() {
            let Some((change, asker)) = self.waiting.pop_front() else {
                return;
            };
            match (change, asker) {
                (Changing::Scenario(change), asker) => {
                    let work = controlled.prepare(change);
                    self.preparing = Some((spawn_blocking(work), asker));
                }
                (Changing::Reset, Asker::Client(response)) => {
                    respond(response, controlled.reset().map(|()| Reply::Reset));
                }
                (Changing::Reset, Asker::Signal) => {}
            }
        }
    }
}

/// Tells a client; where it is gone, nobody wants to know.
fn respond(response: oneshot::Sender<Response>, result: Result<Reply, Refused>) {
    let _ = response.send(result.into());
}

/// Has the work done and tells a client, once there is a permit where one is needed.
fn do_and_respond<T: Send + 'static>(
    response: oneshot::Sender<Response>,
    work: Result<Work<T>, Refused>,
    permits: Option<Arc<Semaphore>>,
    reply: impl FnOnce(T) -> Reply + Send + 'static,
) {
    let work = match work {
        Ok(work) => work,
        Err(refused) => return respond(response, Err(refused)),
    };
    tokio::spawn(async move {
        let _permit = match permits {
            // The semaphore is never closed.
            Some(permits) => permits.acquire_owned().await.ok(),
            None => None,
        };
        respond(response, in_a_thread(work).await.map(reply));
    });
}

/// Does it in a thread.
///
/// # Errors
///
/// That of the work, and where it panics.
pub async fn in_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, Refused> {
    joined(spawn_blocking(work).await)
}

fn joined<T>(joined: Result<Result<T, Refused>, JoinError>) -> Result<T, Refused> {
    joined.unwrap_or_else(|_| {
        Err(Refused::because(
            "whoever worked at it panicked, which is a mistake in broken-lns",
        ))
    })
}
