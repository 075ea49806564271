//! Follows what LACs do: a thread of its own takes the events of all interfaces to a
//! [`Tracker`](crate::track::Tracker).
//!
//! Nothing on the way of a frame waits for it: an event for which there is no room is lost,
//! and counted. `intake` takes events out of where they wait, `merge` puts them in order, and
//! `watch` is what they come to. A [`Follower`] is the other end, at which others ask what is known.

mod intake;
mod merge;
mod names;
mod pace;
mod watch;

use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread::JoinHandle;
use std::time::Duration;

pub use names::Names;
pub use pace::Pace;
pub use watch::{Known, Noticed, Watch};

use crate::clock::monotonic;
use crate::judge::Expectations;
use crate::play::WorkerEvents;
use crate::privilege::capabilities::spawn;
use crate::program::Events;
use crate::scenario::Groups;
use crate::track::{Rule, Settings};
use intake::{Entered, Intake};

/// How long the thread sleeps at the most once it has taken all events there were. At a million
/// a second the ring buffer has room for eight times as long.
const INTERVAL: Duration = Duration::from_millis(10);
/// How long somebody who asks waits for the thread.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions that may wait for the thread.
const QUESTIONS: usize = 16;

/// The thread that follows LACs; it ends when this is dropped.
#[derive(Debug)]
pub struct Follower {
    questions: SyncSender<Question>,
    entered: Sender<Entered>,
    names: Names,
    thread: JoinHandle<Watch>,
}

/// Something to be done by the thread.
type Question = Box<dyn FnOnce(&mut Watch, &mut Intake) + Send>;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// It has too much to do.
    #[error(
        "the thread that follows LACs did not answer within {}; the machine is busy, try again",
        humantime::format_duration(PATIENCE)
    )]
    Late,
    /// It is not there any more.
    #[error("the thread that follows LACs ended, which is a mistake in broken-lns")]
    Gone,
}

impl Follower {
    /// Starts the thread, for LACs whose time goes by at that pace. `rules` are those of the
    /// scenario with the number 0, in their order, the default one first, and `groups` its groups.
    ///
    /// # Errors
    ///
    /// Where the system has no room for a thread.
    pub fn start(
        pace: Pace,
        settings: Settings,
        rules: Vec<Rule>,
        groups: Groups,
        expectations: Expectations,
    ) -> std::io::Result<Self> {
        let (questions, asked) = sync_channel(QUESTIONS);
        let (entered, to_enter) = channel();
        let mut watch = Watch::new(settings, pace.began());
        watch.enter(0, rules, groups, expectations);
        let intake = Intake::new(pace, to_enter, settings.waiting_memory());
        let names = intake.names();
        let thread = spawn("follow".to_owned(), move || follow(watch, intake, &asked))?;
        Ok(Self {
            questions,
            entered,
            names,
            thread,
        })
    }

    /// Keeps what LACs call themselves from now on, for [`names`](Self::names).
    pub fn want_names(&self) {
        self.names.want();
    }

    /// What LACs called themselves in every SCCRQ that was told before, unless there is too much
    /// to do.
    pub fn names(&self) -> &Names {
        // Without them it is only that some are not known.
        let _ = self.put(|watch, intake| intake.turn(monotonic(), watch));
        &self.names
    }

    /// Takes the events of one more interface from now on.
    ///
    /// # Errors
    ///
    /// [`FollowError`]; they may not be taken then.
    pub fn hear(&self, kernel: Events, workers: Vec<WorkerEvents>) -> Result<(), FollowError> {
        self.put(move |_, intake| intake.add(kernel, workers))
    }

    /// Another scenario comes into force. Its rules are known for every event that is told after
    /// this returned.
    ///
    /// # Errors
    ///
    /// [`FollowError::Gone`], where there is nobody to know them.
    pub fn enter(
        &self,
        scenario: u32,
        rules: Vec<Rule>,
        groups: Groups,
        expectations: Expectations,
    ) -> Result<(), FollowError> {
        let entered = Entered {
            scenario,
            rules,
            groups,
            expectations,
        };
        self.entered.send(entered).map_err(|_| FollowError::Gone)
    }

    /// Asks what is known, and waits for the answer, though not for ever.
    ///
    /// # Errors
    ///
    /// [`FollowError`], where there is no answer.
    pub fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Watch) -> T + Send + 'static,
    ) -> Result<T, FollowError> {
        self.put(move |watch, _| question(watch))
    }

    fn put<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Watch, &mut Intake) -> T + Send + 'static,
    ) -> Result<T, FollowError> {
        let (answer, answered) = sync_channel(1);
        let question: Question = Box::new(move |watch, intake| {
            // Who asked may have lost patience.
            let _ = answer.send(question(watch, intake));
        });
        self.questions
            .try_send(question)
            .map_err(|error| match error {
                TrySendError::Full(_) => FollowError::Late,
                TrySendError::Disconnected(_) => FollowError::Gone,
            })?;
        answered
            .recv_timeout(PATIENCE)
            .map_err(|error| match error {
                RecvTimeoutError::Timeout => FollowError::Late,
                RecvTimeoutError::Disconnected => FollowError::Gone,
            })
    }

    /// Looks at every event that was told before, and concludes what can be concluded.
    ///
    /// # Errors
    ///
    /// [`FollowError::Gone`], where there is nobody to do that.
    pub fn end(self) -> Result<Watch, FollowError> {
        drop(self.questions);
        self.thread.join().map_err(|_| FollowError::Gone)
    }
}

/// Takes events and answers questions until nobody can ask any more.
fn follow(mut watch: Watch, mut intake: Intake, asked: &Receiver<Question>) -> Watch {
    loop {
        // While there is more to take, a question waits for a batch, and no batch for a question.
        let pause = match intake.turn(monotonic(), &mut watch) {
            true => INTERVAL,
            false => Duration::ZERO,
        };
        match asked.recv_timeout(pause) {
            Ok(question) => question(&mut watch, &mut intake),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    intake.finish(monotonic, &mut watch);
    watch
}
