//! `broken-lns run`: starts a responder on every interface, and shows what they
//! count until it is time to stop.

mod capture;
mod control;
mod follow;
mod metrics;
mod reports;
mod sandbox;
mod start;

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::unanswered::Unanswered;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::capture::Capture;
use crate::cli::Run;
use crate::compile::Compiled;
use crate::control::protocol::Refused;
use crate::follow::{Follower, Pace};
use crate::kernel_log::KernelLog;
use crate::output::{AnswerLog, JsonLines, Palette, StatusLine, brief, summary};
use crate::privilege::{self, denied};
use crate::refusal::Refusal;
use crate::report::{Report, judged, outline};
use crate::responder::{Responder, ResponderError};
use crate::scenario::Scenario;
use crate::service::ServiceManager;
use crate::snapshot::Snapshot;
use reports::{Reports, Step};
use start::interfaces;

/// How often answers and messages of the kernel half are fetched.
const FETCH_INTERVAL: Duration = Duration::from_millis(100);
/// How often counters are shown.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);

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
    kernel_lines: Receiver<String>,
    answer_log: Option<AnswerLog>,
    /// The same of control messages with a wrong Length.
    unanswered_log: Option<AnswerLog>,
    status: StatusLine<std::io::Stderr>,
    json: Option<JsonLines<std::io::Stdout>>,
    scenario: Scenario,
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
    messages: Option<EbpfLogger<KernelLog>>,
}

/// Runs until the time is over, a signal comes, or an interface fails.
///
/// # Errors
///
/// Whatever keeps it from starting or from going on, with the way out.
pub fn run(flags: &Run) -> Result<()> {
    // Before the runtime, since no other thread may exist.
    let (sandbox, remarks) = sandbox::begin(flags)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        // Before anything is attached, so that no signal finds us unprepared.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let on_terminal = std::io::stderr().is_terminal();
        let interfaces = interfaces(flags)?;
        let mut reports = Reports::prepare(&flags.track, flags.files.output_mode)?;
        privilege::check()?;
        let (mut control, warning) = control::listen(flags.control.as_ref(), &interfaces)?;
        let mut metrics = metrics::listen(flags.metrics)?;
        let mut service = ServiceManager::from_environment()?;
        let mut session = Session::start(flags, interfaces, sandbox)?;
        for remark in remarks {
            session.status.line(format!("warning: {remark}"));
        }
        service.ready();
        if let Some(warning) = warning {
            session.status.line(warning);
        }
        if let Some(address) = metrics.address() {
            let line = format!("metrics at http://{address}/metrics");
            session.status.line(line);
        }
        let mut fetch = interval(FETCH_INTERVAL);
        let mut show = interval(SHOW_INTERVAL);
        fetch.set_missed_tick_behavior(MissedTickBehavior::Skip);
        show.set_missed_tick_behavior(MissedTickBehavior::Skip);
        show.tick().await;
        let over = sleep(flags.duration.unwrap_or(Duration::MAX));
        tokio::pin!(over);
        let (result, stop) = loop {
            let step = tokio::select! {
                _ = interrupt.recv() => break (Ok(()), None),
                _ = terminate.recv() => break (Ok(()), None),
                () = &mut over => break (Ok(()), None),
                // A terminal that was closed sends the same signal, and means an end.
                _ = hangup.recv() => if on_terminal && !std::io::stderr().is_terminal() {
                    break (Ok(()), None);
                } else {
                    service.reloading();
                    session.reload_and_tell();
                    service.ready();
                    Ok(())
                },
                order = control.next() => match order.carry_out(&mut session) {
                    ControlFlow::Continue(()) => Ok(()),
                    ControlFlow::Break(stop) => break (Ok(()), Some(stop)),
                },
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
                _ = show.tick() => session.show(&mut service),
                () = service.watchdog_due() => {
                    service.alive();
                    Ok(())
                }
            };
            if step.is_err() {
                break (step, None);
            }
        };
        service.stopping();
        control.close();
        // What was counted is shown, whatever ended the run.
        let (report, shown) = session.end(reports.is_empty());
        let written = match &report {
            Some(report) => reports.finish(report).await,
            None => Ok(()),
        };
        let end = shown.and(written);
        if let Some(stop) = stop {
            let told = end
                .as_ref()
                .map_err(|error| Refused::because(format_args!("{error:#}")));
            stop.done(told.copied()).await;
        }
        if let (Err(_), Err(error)) = (&result, &end) {
            // The command ends with what came first, which would hide this.
            eprintln!("broken-lns: {error:#}");
        }
        result.and(end)?;
        // Whatever else may have gone wrong is worse than what LACs did.
        report.map_or(Ok(()), |report| Ok(report.judgements.check()?))
    })
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
            if let Some(messages) = &mut feed.messages {
                messages.flush();
            }
        }
        for line in self.kernel_lines.try_iter() {
            self.status.line(line);
        }
        self.tell_of_capture();
    }

    /// Shows the counters.
    fn show(&mut self, service: &mut ServiceManager) -> Result<()> {
        self.tell_of_denied();
        for responder in &mut self.responders {
            responder.check()?;
        }
        let snapshot = self.snapshot()?;
        self.left_out(&snapshot);
        let snapshot = snapshot.since(&self.zero);
        if let Some(json) = &mut self.json {
            json.write(&snapshot)
                .context("cannot write to standard output")?;
        }
        self.status.update(&snapshot);
        service.status(brief(&snapshot));
        Ok(())
    }

    /// Says which system calls the kernel denied.
    fn tell_of_denied(&mut self) {
        for denied in denied() {
            self.status.line(format!("warning: {denied}"));
        }
    }

    /// Everything counted since the start.
    fn snapshot(&self) -> Result<Snapshot, ResponderError> {
        let interfaces = self.responders.iter().map(Responder::snapshot);
        Ok(Snapshot {
            elapsed: self.started.elapsed(),
            interfaces: interfaces.collect::<Result<_, _>>()?,
            capture: self.capture.as_ref().map(Capture::counts),
            last: false,
        })
    }

    /// Says how many answers, and how many wrong Lengths, had no line of their own.
    fn left_out(&mut self, snapshot: &Snapshot) {
        for (log, count) in [
            (&mut self.answer_log, snapshot.answered()),
            (&mut self.unanswered_log, snapshot.of_wrong_length()),
        ] {
            if let Some(line) = log.as_mut().and_then(|log| log.left_out(count)) {
                self.status.line(line);
            }
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
            Step::Broken => self
                .status
                .line("no report: whoever wrote it panicked, which is a mistake in broken-lns"),
        }
    }

    /// Stops everything, shows the last counters, and returns the last report. Where that goes to
    /// no file, `tells_all` has what came of expectations shown in any case.
    fn end(mut self, tells_all: bool) -> (Option<Report>, Result<()>) {
        let responders = std::mem::take(&mut self.responders);
        let stopped: Vec<_> = responders.into_iter().map(Responder::stop).collect();
        // Nothing is heard any more. The names of LACs go with whoever follows them.
        self.fetch();
        let capture = self.end_capture();
        self.tell_of_denied();
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
        (report, shown.and(followed.map_err(Into::into)))
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
        match &mut self.json {
            Some(json) => {
                if let Some(report) = report.filter(|_| tells_all) {
                    // Standard output is for lines of JSON alone.
                    let palette = Palette::of(&std::io::stderr());
                    let most = report.judgements.all.len();
                    eprint!("{}", judged(&report.judgements, most, &palette));
                }
                json.write(&snapshot)
            }
            None => {
                let palette = Palette::of(&std::io::stdout());
                let mut text = summary(&snapshot, &palette);
                if let Some(report) = report {
                    text.push_str(&outline(report, &palette));
                }
                std::io::stdout().write_all(text.as_bytes())
            }
        }
        .context("cannot write to standard output")
    }
}
