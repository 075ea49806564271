//! What has to be there before anything runs, and the start of it.

use std::sync::Arc;
use std::sync::mpsc::{channel, sync_channel};
use std::time::{Instant, SystemTime};

use anyhow::{Context as _, Result};
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;

use super::follow::NobodyJudges;
use super::{Feed, Session, capture, control, follow};
use crate::capture::Prepared;
use crate::cli::Run;
use crate::compile::Compiled;
use crate::follow::{Follower, Pace};
use crate::interface::Interface;
use crate::judge::Expectations;
use crate::kernel_log::KernelLog;
use crate::output::{AnswerLog, JsonLines, StatusLine};
use crate::privilege::Sandbox;
use crate::responder::{Responder, ResponderOptions};
use crate::scenario::Scenario;
use crate::snapshot::Snapshot;

/// The interfaces that the flags name.
pub(super) fn interfaces(flags: &Run) -> Result<Vec<Interface>> {
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
    /// Reads the scenario, and starts a responder on every interface.
    pub(super) fn start(flags: &Run, interfaces: Vec<Interface>, sandbox: Sandbox) -> Result<Self> {
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
            replace: flags.replace,
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
        let (lines, kernel_lines) = channel();
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
            let messages = if options.log_level == log::LevelFilter::Off {
                None
            } else {
                let log = KernelLog::new(name.clone(), lines.clone());
                Some(responder.messages(log)?)
            };
            feeds.push(Feed {
                rewritten: options.announce.then(|| responder.answers()).transpose()?,
                redirected,
                unanswered: options
                    .announce
                    .then(|| responder.unanswered())
                    .transpose()?,
                messages,
                interface: name,
            });
            responders.push(responder);
        }
        // All is attached. Threads that start from here on have no more than this one.
        if let Some(remark) = sandbox.close()? {
            status.line(format!("warning: {remark}"));
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
            kernel_lines,
            answer_log: options.announce.then(AnswerLog::default),
            unanswered_log: options.announce.then(AnswerLog::default),
            status,
            json: flags.json.then(|| JsonLines::new(std::io::stdout())),
            scenario,
            compiled,
            scenario_number: 0,
            refusal,
            file: flags.scenario.clone(),
            changed: false,
            started,
            started_at,
            zero: Snapshot::default(),
            zero_hits: Vec::new(),
        })
    }
}
