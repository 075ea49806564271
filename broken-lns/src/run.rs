//! `broken-lns run`: starts a responder on every interface, and shows what they
//! count until it is time to stop.

mod control;
mod metrics;

use std::io::{IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result};
use aya::maps::{MapData, RingBuf};
use aya_log::EbpfLogger;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::cli::Run;
use crate::compile::Compiled;
use crate::control::protocol::Refused;
use crate::interface::Interface;
use crate::kernel_log::KernelLog;
use crate::output::{AnswerLog, JsonLines, Palette, StatusLine, summary};
use crate::privilege;
use crate::refusal::Refusal;
use crate::responder::{Responder, ResponderError, ResponderOptions};
use crate::scenario::Scenario;
use crate::snapshot::Snapshot;

/// How often answers and messages of the kernel half are fetched.
const FETCH_INTERVAL: Duration = Duration::from_millis(100);
/// How often counters are shown.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);

/// Everything that runs, and where it is shown.
struct Session {
    responders: Vec<Responder>,
    feeds: Vec<Feed>,
    kernel_lines: Receiver<String>,
    answer_log: Option<AnswerLog>,
    status: StatusLine<std::io::Stderr>,
    json: Option<JsonLines<std::io::Stdout>>,
    scenario: Scenario,
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
    messages: Option<EbpfLogger<KernelLog>>,
}

/// Runs until the time is over, a signal comes, or an interface fails.
///
/// # Errors
///
/// Whatever keeps it from starting or from going on, with the way out.
pub fn run(flags: &Run) -> Result<()> {
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
        privilege::check()?;
        let (mut control, warning) = control::listen(flags.control.as_ref(), &interfaces)?;
        let mut metrics = metrics::listen(flags.metrics)?;
        let mut session = Session::start(flags, interfaces)?;
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
                    session.reload_and_tell();
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
                _ = fetch.tick() => {
                    session.fetch();
                    Ok(())
                }
                _ = show.tick() => session.show(),
            };
            if step.is_err() {
                break (step, None);
            }
        };
        control.close();
        // What was counted is shown, whatever ended the run.
        let end = session.end();
        if let Some(stop) = stop {
            let told = end
                .as_ref()
                .map_err(|error| Refused::because(format_args!("{error:#}")));
            stop.done(told.copied()).await;
        }
        result.and(end)
    })
}

/// The interfaces that the flags name.
fn interfaces(flags: &Run) -> Result<Vec<Interface>> {
    let mut interfaces: Vec<Interface> = Vec::with_capacity(flags.interfaces.len());
    for name in &flags.interfaces {
        let interface = Interface::by_name(name)?;
        anyhow::ensure!(
            interfaces
                .iter()
                .all(|other| other.index != interface.index),
            "interface `{name}` is given more than once, under another name"
        );
        interfaces.push(interface);
    }
    Ok(interfaces)
}

impl Session {
    fn start(flags: &Run, interfaces: Vec<Interface>) -> Result<Self> {
        let refusal = flags.refusal()?;
        let scenario = match &flags.scenario {
            Some(file) => Scenario::load(file, &refusal)?,
            None => refusal.clone().into(),
        };
        let compiled = Arc::new(Compiled::new(&scenario)?);
        for interface in &interfaces {
            match flags.scenario {
                Some(_) => compiled.check_mtu(&interface.name, interface.mtu)?,
                None => refusal.check_mtu(&interface.name, interface.mtu)?,
            }
        }
        let mut status = StatusLine::on_stderr();
        match &flags.scenario {
            Some(file) => {
                let summary = scenario.summary();
                status.line(format!("{}: {summary}", file.display()));
                if let Some(remark) = control::remark(&scenario) {
                    status.line(format!("warning: {remark}"));
                }
            }
            None => {
                if let Some(warning) = refusal.result().unusual() {
                    status.line(format!("warning: {warning}"));
                }
            }
        }
        let options = ResponderOptions {
            path: flags.path,
            xdp_mode: flags.xdp_mode,
            any_mac: flags.any_mac,
            verify_checksum: flags.verify_checksum,
            replace: flags.replace,
            queues: flags.queues,
            batch_size: flags.batch_size,
            wait: flags.wait,
            sample: Sample::NONE,
            capture: None,
            announce: flags.verbose >= 1,
            log_level: match flags.verbose {
                0 | 1 => log::LevelFilter::Off,
                _ => log::LevelFilter::Debug,
            },
        };
        let (lines, kernel_lines) = channel();
        let mut responders = Vec::with_capacity(interfaces.len());
        let mut feeds = Vec::with_capacity(interfaces.len());
        for interface in interfaces {
            let (sender, redirected) = sync_channel(maps::ANSWERS_PER_SECOND as usize);
            let sender = options.announce.then_some(sender);
            let mut responder = Responder::start(interface, &compiled, &options, sender.as_ref())?;
            let name = responder.interface().to_owned();
            let messages = if options.log_level == log::LevelFilter::Off {
                None
            } else {
                let log = KernelLog::new(name.clone(), lines.clone());
                Some(responder.messages(log)?)
            };
            feeds.push(Feed {
                rewritten: options.announce.then(|| responder.answers()).transpose()?,
                redirected,
                messages,
                interface: name,
            });
            responders.push(responder);
        }
        for responder in &responders {
            let name = responder.interface();
            status.line(format!("{name}: {}", responder.attachment()));
            for remark in responder.remarks() {
                status.line(format!("{name}: {remark}"));
            }
        }
        Ok(Self {
            responders,
            feeds,
            kernel_lines,
            answer_log: options.announce.then(AnswerLog::default),
            status,
            json: flags.json.then(|| JsonLines::new(std::io::stdout())),
            scenario,
            refusal,
            file: flags.scenario.clone(),
            changed: false,
            started: Instant::now(),
            started_at: SystemTime::now(),
            zero: Snapshot::default(),
            zero_hits: Vec::new(),
        })
    }

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
            if let Some(log) = &mut self.answer_log {
                for answer in &answers {
                    if let Some(line) = log.line(at, &feed.interface, answer) {
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
    }

    /// Shows the counters.
    fn show(&mut self) -> Result<()> {
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
        Ok(())
    }

    /// Everything counted since the start.
    fn snapshot(&self) -> Result<Snapshot, ResponderError> {
        let interfaces = self.responders.iter().map(Responder::snapshot);
        Ok(Snapshot {
            elapsed: self.started.elapsed(),
            interfaces: interfaces.collect::<Result<_, _>>()?,
            last: false,
        })
    }

    /// Says how many answers had no line of their own.
    fn left_out(&mut self, snapshot: &Snapshot) {
        let log = self.answer_log.as_mut();
        if let Some(line) = log.and_then(|log| log.left_out(snapshot.answered())) {
            self.status.line(line);
        }
    }

    /// Stops everything and shows the last counters.
    fn end(mut self) -> Result<()> {
        let responders = std::mem::take(&mut self.responders);
        let interfaces = responders.into_iter().map(Responder::stop);
        let snapshot = Snapshot {
            interfaces: interfaces.collect::<Result<_, _>>()?,
            elapsed: self.started.elapsed(),
            last: true,
        };
        self.fetch();
        self.left_out(&snapshot);
        let snapshot = snapshot.since(&self.zero);
        self.status.clear();
        match &mut self.json {
            Some(json) => json
                .write(&snapshot)
                .context("cannot write to standard output")?,
            None => {
                let palette = Palette::of(&std::io::stdout());
                std::io::stdout()
                    .write_all(summary(&snapshot, &palette).as_bytes())
                    .context("cannot write to standard output")?;
            }
        }
        Ok(())
    }
}
