//! `broken-lns run`: starts a responder on every interface, and shows what they
//! count until it is time to stop.

mod capture;
mod change;
mod control;
mod follow;
mod metrics;
mod reports;
mod signals;
mod start;
mod trouble;

use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, RingBuf};
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::unanswered::Unanswered;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::capture::Capture;
use crate::cli::{MaxReplyRate, Run};
use crate::compile::Compiled;
use crate::control::Requests;
use crate::control::protocol::Refused;
use crate::follow::{Follower, Pace};
use crate::kernel_log::KernelMessages;
use crate::output::{AnswerLog, JsonLines, Palette, Queued, StatusLine, failure, summary};
use crate::refusal::Refusal;
use crate::report::{Report, judged, outline};
use crate::responder::{Responder, ResponderError};
use crate::scenario::Scenario;
use crate::snapshot::{InterfaceSnapshot, Snapshot};
use reports::{Reports, Step};
use signals::Signals;
use start::{Started, start};
use trouble::Trouble;

/// How often answers and messages of the kernel half are fetched.
const FETCH_INTERVAL: Duration = Duration::from_millis(100);
/// How often counters are shown.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);
/// How long the end waits for a reader that reads nothing at all.
const READER_PATIENCE: Duration = Duration::from_secs(2);

/// The stack of a thread that reads a scenario, in octets: what the main thread has.
const THREAD_STACK: usize = 8 << 20;

/// Everything that runs, and where it is shown.
struct Session {
    responders: Vec<Responder>,
    /// The names of their interfaces.
    interfaces: Vec<String>,
    /// Who follows the LACs, if anybody does.
    follower: Option<Follower>,
    /// The time of the LACs.
    pace: Pace,
    /// Which LACs those are.
    sample: Sample,
    /// What writes their frames to a file, if that is asked for.
    capture: Option<Capture>,
    feeds: Vec<Feed>,
    kernel_messages: KernelMessages,
    answer_log: Option<AnswerLog>,
    /// The same of control messages that have none.
    unanswered_log: Option<AnswerLog>,
    max_reply_rate: MaxReplyRate,
    /// The interfaces of which was said that a source asks for more.
    limited: Vec<String>,
    status: StatusLine<Queued>,
    trouble: Trouble,
    stdout: Queued,
    json: Option<JsonLines>,
    scenario: Arc<Scenario>,
    /// What it is on every interface.
    compiled: Arc<Compiled>,
    /// The last number that a scenario had, be it this one or one that failed. No two have the
    /// same; one that had to come back has several.
    scenario_number: u32,
    /// What the flags say, for what a scenario leaves out.
    refusal: Refusal,
    /// Where the scenario was read, if it is not that of the flags.
    file: Option<PathBuf>,
    /// Whether something was set in it since.
    changed: bool,
    started: Instant,
    /// The same by the clock on the wall.
    started_at: SystemTime,
    /// What had been counted at the last reset.
    zero: Snapshot,
    /// The hits of the rules then.
    zero_hits: Vec<u64>,
}

/// What one interface tells of single frames.
struct Feed {
    interface: String,
    rewritten: Option<RingBuf<MapData>>,
    redirected: Receiver<Answer>,
    unanswered: Option<RingBuf<MapData>>,
}

/// Runs until the time is over, a signal comes, or an interface fails, and says what went wrong.
///
/// No reader of what it shows, and nobody who asks it for something, holds up the others or the
/// end.
///
/// # Errors
///
/// Whatever keeps it from starting or from going on, with the way out.
pub fn run(flags: &Run) -> Result<()> {
    let begin = || -> Result<_> {
        let status = StatusLine::on_stderr().context("cannot start the thread of an output")?;
        // Servers and signals have a thread of their own.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("servers")
            .thread_stack_size(THREAD_STACK)
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        let within = runtime.enter();
        // Before anything is attached, so that no signal finds us unprepared.
        let signals = Signals::hear(status.output().clone()).context("cannot hear signals")?;
        drop(within);
        Ok((status, runtime, signals))
    };
    let begun = begin().inspect_err(|error| eprintln!("{}", failure(error)));
    let (status, runtime, signals) = begun?;
    let stderr = status.output().clone();
    let result = runtime.block_on(until_over(flags, status, &signals));
    if let Err(error) = &result {
        stderr.say(&failure(error));
    }
    // Whoever reads why it does not start may take his time, since a signal ends that.
    let patience = match signals.has_begun() {
        true => READER_PATIENCE,
        false => Duration::MAX,
    };
    let _ = stderr.drain(patience);
    // A file that cannot be written to the end may still have a thread.
    runtime.shutdown_background();
    result
}

/// Runs until it is over, apart from its last words.
async fn until_over(flags: &Run, status: StatusLine<Queued>, signals: &Signals) -> Result<()> {
    let stderr = status.output().clone();
    let Started {
        mut session,
        mut control,
        mut metrics,
        mut reports,
    } = start(flags, status, signals)?;
    let mut requests = Requests::default();
    let mut fetch = interval(FETCH_INTERVAL);
    let mut show = interval(SHOW_INTERVAL);
    fetch.set_missed_tick_behavior(MissedTickBehavior::Skip);
    show.set_missed_tick_behavior(MissedTickBehavior::Skip);
    show.tick().await;
    let over = sleep(flags.duration.unwrap_or(Duration::MAX));
    tokio::pin!(over);
    let (result, stop) = loop {
        let step = tokio::select! {
            () = signals.end() => break (Ok(()), None),
            () = &mut over => break (Ok(()), None),
            () = signals.reload() => {
                requests.reload(&mut session);
                Ok(())
            }
            order = control.next() => match requests.begin(order, &mut session) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(stop) => break (Ok(()), Some(stop)),
            },
            ready = requests.next() => {
                if let Some(told) = requests.finish(ready, &mut session) {
                    session.tell_of_reload(told);
                }
                Ok(())
            }
            scrape = metrics.next() => {
                session.expose(scrape);
                Ok(())
            }
            step = reports.next() => {
                session.report(step, &mut reports);
                Ok(())
            }
            _ = fetch.tick() => {
                session.fetch();
                Ok(())
            }
            _ = show.tick() => {
                let shown = session.show();
                metrics.set_troubles(&session.troubles());
                shown
            }
        };
        if step.is_err() {
            break (step, None);
        }
    };
    signals.ending();
    control.close();
    // What is not in force by now never will be.
    drop(requests);
    let ended_early = session.ended_early();
    // What was counted is shown, whatever ended the run.
    let (report, shown) = session.end(reports.is_empty(), signals);
    let written = match &report {
        Some(report) => reports.finish(report, signals).await,
        None => Ok(()),
    };
    let end = shown.and(written);
    if let Some(stop) = stop {
        let told = end
            .as_ref()
            .map_err(|error| Refused::because(format_args!("{error:#}")));
        // A client that does not read it is told nothing.
        let _ = timeout(READER_PATIENCE, stop.done(told.copied())).await;
    }
    if let (Err(_), Err(error)) = (&result, &end) {
        // The command ends with what came first, which would hide this.
        stderr.say(&failure(error));
    }
    result.and(end)?;
    if let Some(reason) = ended_early {
        anyhow::bail!(reason);
    }
    // Whatever else may have gone wrong is worse than what LACs did.
    report.map_or(Ok(()), |report| Ok(report.judgements.check()?))
}

impl Session {
    /// Prints what was told of single frames since the last time.
    fn fetch(&mut self) {
        let at = self.started.elapsed();
        for feed in &mut self.feeds {
            let mut answers: Vec<Answer> = feed.redirected.try_iter().collect();
            if let Some(rewritten) = &mut feed.rewritten {
                while let Some(entry) = rewritten.next() {
                    answers.extend(Answer::from_octets(&entry));
                }
            }
            if let (Some(log), false) = (&mut self.answer_log, answers.is_empty()) {
                let names = self.follower.as_ref().map(Follower::names);
                for answer in &answers {
                    if let Some(line) = log.line(at, &feed.interface, answer, names) {
                        self.status.line(line);
                    }
                }
            }
            if let (Some(ring), Some(log)) = (&mut feed.unanswered, &mut self.unanswered_log) {
                while let Some(entry) = ring.next() {
                    let unanswered = Unanswered::from_octets(&entry);
                    let line = unanswered
                        .and_then(|unanswered| log.unanswered(at, &feed.interface, &unanswered));
                    if let Some(line) = line {
                        self.status.line(line);
                    }
                }
            }
        }
        for line in self.kernel_messages.lines() {
            self.status.line(line);
        }
        self.tell_of_capture();
    }

    /// Looks after every interface. The others go on where one has come to its end.
    ///
    /// # Errors
    ///
    /// Where one could not be looked after for now.
    fn watch(&mut self) -> Result<(), ResponderError> {
        let mut ended = Vec::new();
        let mut passing = None;
        for responder in &mut self.responders {
            if responder.ended().is_some() {
                continue;
            }
            match responder.check() {
                Ok(said) => {
                    for line in said {
                        self.status
                            .line(format!("{}: {line}", responder.interface()));
                    }
                }
                Err(error) if error.is_passing() => passing = Some(error),
                Err(error) => {
                    responder.end(&error);
                    ended.push(error);
                }
            }
        }
        // The reasons for an end of all are told at the end.
        if !self.is_over() {
            for error in ended {
                self.status.line(format!(
                    "{error}; what came there is counted, and the rest goes on"
                ));
            }
        }
        passing.map_or(Ok(()), Err)
    }

    /// Whether nothing is answered anywhere any more.
    fn is_over(&self) -> bool {
        let mut responders = self.responders.iter();
        responders.all(|responder| responder.ended().is_some())
    }

    /// What keeps requests from being answered, each with its interface.
    fn troubles(&self) -> Vec<String> {
        let responders = self.responders.iter();
        let troubles = responders.flat_map(|responder| {
            let troubles = responder.troubles().into_iter();
            troubles.map(move |trouble| format!("{}: {trouble}", responder.interface()))
        });
        troubles.collect()
    }

    /// What came to an end before the run did, if anything.
    fn ended_early(&self) -> Option<String> {
        let ended = self.responders.iter().filter_map(Responder::ended);
        let ended: Vec<_> = ended.collect();
        (!ended.is_empty()).then(|| ended.join("; "))
    }

    /// Shows the counters, unless they cannot be read for now.
    fn show(&mut self) -> Result<()> {
        let watched = self.watch();
        if self.is_over() {
            anyhow::bail!(self.ended_early().unwrap_or_default());
        }
        let snapshot = self.look();
        let (snapshot, trouble) = match snapshot {
            Ok(snapshot) => (Some(snapshot), watched.err()),
            Err(error) => (None, Some(error)),
        };
        match trouble {
            Some(error) => {
                if let Some(warning) = self.trouble.came(error)? {
                    self.status.line(warning);
                }
            }
            None => self.trouble.is_over(),
        }
        let Some(snapshot) = snapshot else {
            return Ok(());
        };
        self.left_out(&snapshot);
        let snapshot = snapshot.since(&self.zero);
        if let Some(json) = &mut self.json {
            let line = json.line(&snapshot)?;
            let written = self.stdout.write_all(line.as_bytes());
            written.context("cannot write to standard output")?;
        }
        self.status.update(&snapshot);
        Ok(())
    }

    /// What everything counted.
    fn look(&mut self) -> Result<Snapshot, ResponderError> {
        self.tell_of_limit()?;
        match self.json {
            Some(_) => self.snapshot_with_rules(),
            None => self.snapshot(),
        }
    }

    /// Everything counted since the start, apart from the rules.
    fn snapshot(&self) -> Result<Snapshot, ResponderError> {
        self.snapshot_of(Responder::snapshot)
    }

    /// Everything counted since the start.
    fn snapshot_with_rules(&self) -> Result<Snapshot, ResponderError> {
        self.snapshot_of(Responder::snapshot_with_rules)
    }

    fn snapshot_of(
        &self,
        read: impl Fn(&Responder) -> Result<InterfaceSnapshot, ResponderError>,
    ) -> Result<Snapshot, ResponderError> {
        let interfaces = self.responders.iter().map(read);
        Ok(Snapshot {
            elapsed: self.started.elapsed(),
            interfaces: interfaces.collect::<Result<_, _>>()?,
            capture: self.capture.as_ref().map(Capture::counts),
            last: false,
        })
    }

    /// Says of each interface, once, that a source got fewer replies than it asked for.
    fn tell_of_limit(&mut self) -> Result<(), ResponderError> {
        for responder in &self.responders {
            let name = responder.interface();
            if self.limited.iter().any(|told| told == name) {
                continue;
            }
            if let Some(address) = responder.limited()? {
                let rate = self.max_reply_rate;
                self.status.line(format!(
                    "{name}: {address} asks for more replies than {rate}, and gets no more: \
                     --max-reply-rate allows more, or any number with `off`"
                ));
                self.limited.push(name.to_owned());
            }
        }
        Ok(())
    }

    /// Says how many answers, how much without one, and how many messages had no line of their own.
    fn left_out(&mut self, snapshot: &Snapshot) {
        for (log, count) in [
            (&mut self.answer_log, snapshot.answered()),
            (&mut self.unanswered_log, snapshot.announced_unanswered()),
        ] {
            if let Some(line) = log.as_mut().and_then(|log| log.left_out(count)) {
                self.status.line(line);
            }
        }
        if let Some(line) = self.kernel_messages.left_out() {
            self.status.line(line);
        }
    }

    /// Writes reports, or says why some could not be written.
    fn report(&mut self, step: Step, reports: &mut Reports) {
        match step {
            Step::Due => match self.report_so_far() {
                Ok(report) => reports.begin(report),
                Err(refused) => self.status.line(format!("no report: {refused}")),
            },
            Step::Written(errors) => {
                if !errors.is_empty() {
                    self.status.line(reports::lines(&errors));
                }
            }
            Step::Refused(refused) => self.status.line(format!("no report: {refused}")),
            Step::Broken => self
                .status
                .line("no report: whoever wrote it panicked, which is a mistake in broken-lns"),
        }
    }

    /// Stops everything, shows the last counters, and returns the last report. Where that goes to
    /// no file, `tells_all` has what came of expectations shown in any case.
    fn end(mut self, tells_all: bool, signals: &Signals) -> (Option<Report>, Result<()>) {
        let limited = self.tell_of_limit();
        let responders = std::mem::take(&mut self.responders);
        let stopped: Vec<_> = responders.into_iter().map(Responder::stop).collect();
        self.kernel_messages.end();
        // Nothing is heard any more. The names of LACs go with whoever follows them.
        self.fetch();
        let capture = self.end_capture();
        signals.done(signals::CAPTURE);
        let (report, followed) = match self.last_report() {
            Ok(report) => (report, Ok(())),
            Err(error) => (None, Err(error)),
        };
        let interfaces = stopped.into_iter().collect::<Result<Vec<_>, _>>();
        let shown = match interfaces {
            Ok(interfaces) => self.show_last(
                Snapshot {
                    interfaces,
                    elapsed: self.started.elapsed(),
                    capture,
                    last: true,
                },
                report.as_ref(),
                tells_all,
            ),
            Err(error) => Err(error.into()),
        };
        signals.done(signals::COUNTERS);
        let ended = shown.and(followed.map_err(Into::into));
        (report, ended.and(limited.map_err(Into::into)))
    }

    fn show_last(
        &mut self,
        snapshot: Snapshot,
        report: Option<&Report>,
        tells_all: bool,
    ) -> Result<()> {
        self.left_out(&snapshot);
        let snapshot = snapshot.since(&self.zero);
        self.status.clear();
        let text = match &mut self.json {
            Some(json) => {
                if let Some(report) = report.filter(|_| tells_all) {
                    // Standard output is for lines of JSON alone.
                    let palette = Palette::of(&std::io::stderr());
                    let most = report.judgements.all.len();
                    let said = judged(&report.judgements, most, &palette);
                    self.status.output().push_last(said);
                }
                json.line(&snapshot)?
            }
            None => {
                let palette = Palette::of(&std::io::stdout());
                let mut text = summary(&snapshot, &palette);
                if let Some(report) = report {
                    text.push_str(&outline(report, &palette));
                }
                text
            }
        };
        // Both may be the same terminal, which has one after the other.
        let _ = self.status.output().drain(READER_PATIENCE);
        self.stdout.push_last(text);
        let written = self.stdout.drain(READER_PATIENCE);
        written.context("cannot write to standard output")
    }
}
