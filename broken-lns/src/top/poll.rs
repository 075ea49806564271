//! Asks a responder again and again.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::model::Sample;
use crate::control::client::{Client, ClientError, Whom};
use crate::control::protocol::{Reactions, Refused, Reply, Request};

/// From one time to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many times as long as the responder took for its responses it is left in peace: a hundred
/// thousand rules are more than it should have to say each second.
const REST: u32 = 10;

/// Why there is no sample.
#[derive(Debug, thiserror::Error)]
pub(super) enum PollError {
    /// The responder cannot be asked.
    #[error(transparent)]
    Client(#[from] ClientError),

    /// It does not want to say.
    #[error(transparent)]
    Refused(#[from] Refused),

    /// It says something else.
    #[error("the responder replied to another question; is it of this version of broken-lns?")]
    OffTopic,
}

impl PollError {
    /// Whether there is no responder any more, rather than one that does not answer.
    pub(super) fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Client(
                ClientError::Nobody(_)
                    | ClientError::NotThere(_)
                    | ClientError::Dead(_)
                    | ClientError::Ended(_)
            )
        )
    }
}

/// Asks a responder once.
pub(super) fn ask(whom: &Whom, directory: &Path) -> Result<Sample, PollError> {
    let ask = |request: &Request| -> Result<Reply, PollError> {
        let client = Client::find(whom, directory)?.patient_for(PATIENCE);
        let (response, _) = client.ask(request)?;
        Ok(response.outcome()?)
    };
    let Reply::Status(status) = ask(&Request::Status)? else {
        return Err(PollError::OffTopic);
    };
    let Reply::Rules(rules) = ask(&Request::Rules)? else {
        return Err(PollError::OffTopic);
    };
    Ok(Sample {
        status: *status,
        rules,
        reactions: reactions(ask(&Request::Reactions))?,
    })
}

/// What it says of single LACs; nothing where it cannot tell at the moment, or follows none.
fn reactions(reply: Result<Reply, PollError>) -> Result<Option<Reactions>, PollError> {
    match reply {
        Ok(Reply::Reactions(reactions)) => Ok(reactions),
        Ok(_) => Err(PollError::OffTopic),
        Err(PollError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Asks a responder, or the next one in its place, until nobody listens any more.
pub(super) fn follow(
    whom: Whom,
    directory: &'static Path,
) -> mpsc::Receiver<Result<Sample, PollError>> {
    let (sender, samples) = mpsc::channel(1);
    thread::spawn(move || {
        loop {
            let start = Instant::now();
            let rest = match ask(&whom, directory) {
                Ok(sample) => {
                    let rest = start.elapsed() * REST;
                    if sender.blocking_send(Ok(sample)).is_err() {
                        return;
                    }
                    rest
                }
                Err(error) => {
                    if sender.blocking_send(Err(error)).is_err() {
                        return;
                    }
                    Duration::ZERO
                }
            };
            thread::sleep(rest.max(INTERVAL));
        }
    });
    samples
}
