//! What has to be there before anything runs, and the start of it.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result};
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;

use super::follow::NobodyJudges;
use super::reports::Reports;
use super::signals::{self, Signals};
use super::trouble::Trouble;
use super::{Feed, Session, capture, control, follow, metrics};
use crate::capture::Prepared;
use crate::cli::Run;
use crate::compile::Compiled;
use crate::control::Server as ControlServer;
use crate::follow::{Follower, Pace};
use crate::interface::Interface;
use crate::judge::Expectations;
use crate::kernel_log::KernelMessages;
use crate::metrics::Server as MetricsServer;
use crate::output::{AnswerLog, JsonLines, Queued, StatusLine};
use crate::privilege;
use crate::rate_limit;
use crate::refusal::Refusal;
use crate::responder::{Responder, ResponderOptions};
use crate::scenario::Scenario;
use crate::snapshot::Snapshot;

/// What a run consists of.
pub(super) struct Started {
    pub(super) session: Session,
    pub(super) control: ControlServer,
    pub(super) metrics: MetricsServer,
    pub(super) reports: Reports,
}

/// What is played, as far as that can be known before anything is attached.
struct Script {
    refusal: Refusal,
    scenario: Scenario,
    expectations: Expectations,
    compiled: Arc<Compiled>,
}

/// Starts everything, or leaves nothing of it.
///
/// # Errors
///
/// Whatever keeps it from starting, with the way out.
pub(super) fn start(flags: &Run, status: StatusLine<Queued>, signals: &Signals) -> Result<Started> {
    let interfaces = interfaces(flags)?;
    let reports = Reports::prepare(&flags.track, flags.files.output_mode)?;
    privilege::check()?;
    // A scenario may come from a pipe, and may take its time.
    let script = Script::read(flags, &interfaces)?;
    signals.begin(to_do(flags));
    let start = || -> Result<_> {
        let (control, warning) = control::listen(flags.control.as_ref(), &interfaces)?;
        let metrics = metrics::listen(flags.metrics)?;
        let mut session = Session::start(flags, interfaces, script, status)?;
        if let Some(warning) = warning {
            session.status.line(warning);
        }
        if let Some(address) = metrics.address() {
            let line = format!("metrics at http://{address}/metrics");
            session.status.line(line);
        }
        Ok(Started {
            session,
            control,
            metrics,
            reports,
        })
    };
    start().inspect_err(|_| signals.nothing_to_lose())
}

/// What the end has to do.
fn to_do(flags: &Run) -> Vec<String> {
    let capture = flags.capture.capture.iter();
    let capture = capture.map(|_| signals::CAPTURE.to_owned());
    let reports = flags.track.reports.iter();
    let reports = reports.map(|file| signals::report(file));
    let counters = signals::COUNTERS.to_owned();
    capture.chain([counters]).chain(reports).collect()
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
        for other in &interfaces {
            interface.check_apart(other)?;
        }
        interfaces.push(interface);
    }
    for interface in &interfaces {
        interface.check_stack()?;
    }
    Ok(interfaces)
}

impl Script {
    /// Reads what the flags name, and holds it against the interfaces.
    fn read(flags: &Run, interfaces: &[Interface]) -> Result<Self> {
        let refusal = flags.refusal()?;
        let scenario = match &flags.scenario {
            Some(file) => Scenario::load(file, &refusal)?,
            None => refusal.clone().into(),
        };
        let expectations = Expectations::of(&scenario);
        if let Some(file) = &flags.scenario {
            NobodyJudges::check(&expectations, flags.track.track != Sample::NONE)
                .with_context(|| format!("cannot play \"{}\"", file.display()))?;
        }
        let compiled = Arc::new(Compiled::new(&scenario)?);
        for interface in interfaces {
            match flags.scenario {
                Some(_) => compiled.check_mtu(&interface.name, interface.mtu)?,
                None => refusal.check_mtu(&interface.name, interface.mtu)?,
            }
        }
        Ok(Self {
            refusal,
            scenario,
            expectations,
            compiled,
        })
    }
}

impl Session {
    /// Starts a responder on every interface.
    fn start(
        flags: &Run,
        interfaces: Vec<Interface>,
        script: Script,
        mut status: StatusLine<Queued>,
    ) -> Result<Self> {
        let Script {
            refusal,
            scenario,
            expectations,
            compiled,
        } = script;
        let stdout = Queued::stdout(status.output());
        let stdout = stdout.context("cannot start the thread for standard output")?;
        match &flags.scenario {
            Some(file) => {
                let summary = scenario.summary();
                status.line(format!("{}: {summary}", file.display()));
                if let Some(remark) = control::remark(&compiled) {
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
            limit: rate_limit::limit(flags.max_reply_rate.0),
            replace: flags.replace,
            keep_attached: flags.keep_attached,
            queues: flags.queues,
            batch_size: flags.batch_size,
            wait: flags.wait,
            sample: flags.track.track,
            events_size: flags.track.events_size(),
            capture: flags.capture.ring(),
            announce: flags.verbose >= 1,
            log_level: match flags.verbose {
                0 | 1 => log::LevelFilter::Off,
                _ => log::LevelFilter::Debug,
            },
        };
        // All in one place, so that the times of LACs fit those of the run.
        let pace = Pace::new(flags.track.track_clock_rate);
        let (started, started_at) = (Instant::now(), SystemTime::now());
        let follower = flags.track.settings();
        let follower = follower.map(|mut settings| {
            // Who may wait so long has not given up before.
            let patience = expectations.patience().as_nanos();
            let patience = u64::try_from(patience).unwrap_or(u64::MAX);
            settings.patience = settings.patience.max(patience);
            let groups = scenario.groups.clone();
            Follower::start(
                pace,
                settings,
                follow::rules(&scenario),
                groups,
                expectations,
            )
        });
        let follower = follower.transpose();
        let follower = follower.context("cannot start the thread that follows LACs")?;
        if let Some(follower) = follower.as_ref().filter(|_| options.announce) {
            follower.want_names();
        }
        let mut capture = capture::prepare(flags, &interfaces, &scenario)?;
        let mut kernel_messages = KernelMessages::default();
        let mut responders = Vec::with_capacity(interfaces.len());
        let mut feeds = Vec::with_capacity(interfaces.len());
        for (place, interface) in interfaces.into_iter().enumerate() {
            let (sender, redirected) = sync_channel(maps::ANSWERS_PER_SECOND as usize);
            let sender = options.announce.then_some(sender);
            let mut responder = Responder::start(interface, &compiled, &options, sender.as_ref())?;
            if let Some(follower) = &follower {
                follower.hear(responder.events()?, responder.worker_events())?;
            }
            if let Some(capture) = &mut capture {
                capture::hear(capture, place, &mut responder)?;
            }
            let name = responder.interface().to_owned();
            if options.log_level != log::LevelFilter::Off {
                let log = kernel_messages.log(name.clone());
                let followed = kernel_messages.follow(responder.messages(log)?);
                followed.context("cannot start the thread for messages of the kernel half")?;
            }
            feeds.push(Feed {
                rewritten: options.announce.then(|| responder.answers()).transpose()?,
                redirected,
                unanswered: options
                    .announce
                    .then(|| responder.unanswered())
                    .transpose()?,
                interface: name,
            });
            responders.push(responder);
        }
        let capture = capture.map(Prepared::start).transpose()?;
        for responder in &responders {
            let name = responder.interface();
            status.line(format!("{name}: {}", responder.attachment()));
            for remark in responder.remarks() {
                status.line(format!("{name}: {remark}"));
            }
        }
        let interfaces = responders.iter();
        let interfaces = interfaces.map(|responder| responder.interface().to_owned());
        Ok(Self {
            interfaces: interfaces.collect(),
            responders,
            follower,
            pace,
            sample: flags.track.track,
            capture,
            feeds,
            kernel_messages,
            answer_log: options.announce.then(AnswerLog::default),
            max_reply_rate: flags.max_reply_rate,
            unanswered_log: options.announce.then(AnswerLog::default),
            status,
            trouble: Trouble::default(),
            stdout,
            json: flags.json.then(JsonLines::default),
            scenario: Arc::new(scenario),
            compiled,
            scenario_number: 0,
            refusal,
            file: flags.scenario.clone(),
            changed: false,
            started,
            started_at,
            limited: Vec::new(),
            zero: Snapshot::default(),
            zero_hits: Vec::new(),
        })
    }
}
