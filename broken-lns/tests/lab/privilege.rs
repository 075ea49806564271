//! What a run may do, and what it has given up once it is attached.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        net::UnixDatagram,
    },
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::Signal;
use xtask::lab::{self, Lab, Sccrq, Scratch};

use crate::{
    control::Controlled,
    followed::read,
    loaded::attached,
    request::ask,
    responder::{LIMIT, Responder, command, text},
    scenarios::to_lns,
    trial,
    way::Way,
};

/// Both halves, each alone, and both together.
const PATHS: [Way; 3] = [
    Way::new("auto", "generic"),
    Way::new("rewrite", "native"),
    Way::new("redirect", "native"),
];

/// A user that every Debian has, and its group.
const NOBODY: u32 = 65_534;

/// CAP_DAC_OVERRIDE as `/proc` shows it.
const DAC_OVERRIDE: u64 = 1 << 1;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for way in PATHS {
        for (name, test) in [
            (
                "every_thread_gives_up_what_it_does_not_need",
                every_thread_gives_up_what_it_does_not_need as fn(Way) -> Result<()>,
            ),
            ("another_user_does_all_of_it", another_user_does_all_of_it),
        ] {
            trials.push(trial(format!("{name}::{way}"), &[], move || test(way)));
        }
        let name = format!("five_capabilities_are_enough::{way}");
        trials.push(trial(name, &["setpriv"], move || {
            five_capabilities_are_enough(way)
        }));
    }
    trials.push(trial(
        "without_the_sandbox_all_is_kept",
        &[],
        without_the_sandbox_all_is_kept,
    ));
    trials.push(trial(
        "a_directory_of_another_user_is_still_written_to",
        &[],
        a_directory_of_another_user_is_still_written_to,
    ));
    trials.push(trial(
        "a_scenario_of_another_user_is_sent_again",
        &[],
        a_scenario_of_another_user_is_sent_again,
    ));
    trials.push(trial(
        "an_unknown_user_keeps_it_from_starting",
        &[],
        an_unknown_user_keeps_it_from_starting,
    ));
    trials.push(trial(
        "the_service_manager_is_told",
        &[],
        the_service_manager_is_told,
    ));
    trials
}

/// The threads that see what comes from the network.
const FRAMES: [&str; 2] = ["follow", "eth1-0"];

/// What the kernel says of a thread: the fields of its `status`.
struct Thread(BTreeMap<String, String>);

impl Thread {
    fn field(&self, name: &str) -> Result<&str> {
        let field = self.0.get(name);
        field
            .map(String::as_str)
            .with_context(|| format!("no {name}"))
    }

    /// A set of capabilities.
    fn set(&self, name: &str) -> Result<u64> {
        Ok(u64::from_str_radix(self.field(name)?, 16)?)
    }
}

/// All threads of a process, each with its name. Several may have the same.
fn statuses(pid: u32) -> Result<Vec<(String, Thread)>> {
    let mut statuses = Vec::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // One that has ended meanwhile has nothing any more.
        let Ok(status) = fs::read_to_string(task?.path().join("status")) else {
            continue;
        };
        let fields = status.lines().filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        let thread = Thread(fields.collect());
        statuses.push((thread.field("Name")?.to_owned(), thread));
    }
    Ok(statuses)
}

/// The same once threads of these names are among them: a thread names itself.
fn statuses_with(pid: u32, expected: &[&str]) -> Result<Vec<(String, Thread)>> {
    lab::until(&format!("threads {expected:?}"), LIMIT, || {
        let statuses = statuses(pid)?;
        let is_there = |expected: &&str| statuses.iter().any(|(name, _)| name == *expected);
        Ok(expected.iter().all(is_there).then_some(statuses))
    })
}

/// The sets of capabilities of a thread but the bounding one, which only some may empty, and which
/// is worth nothing without new privileges.
const SETS: [&str; 4] = ["CapInh", "CapPrm", "CapEff", "CapAmb"];

/// Sees that all threads are as those of a run have to be, and that these are among them.
fn are_confined(pid: u32, expected: &[&str], sets: &[&str]) -> Result<()> {
    for (name, thread) in &statuses_with(pid, expected)? {
        for set in sets {
            assert_eq!(thread.set(set)?, 0, "{set} of {name}");
        }
        assert_eq!(thread.field("NoNewPrivs")?, "1", "{name}");
        assert_eq!(thread.field("Seccomp")?, "2", "{name}");
    }
    Ok(())
}

/// Its threads, beside those that are there now and then.
fn threads_on(way: Way) -> &'static [&'static str] {
    match way.path {
        "rewrite" => &["broken-lns", "follow", "capture"],
        _ => &["broken-lns", "follow", "capture", "eth1-0"],
    }
}

const REFUSES: &str = "[default]\nfault = \"refuse\"\nresult = 2\nerror = 4\nmessage = \"One\"\n";
/// Needs a worker where there is one.
const OTHER: &str = "[default]\nfault = \"refuse\"\nresult = 3\n";
const DELAYS: &str =
    "[default]\nfault = \"refuse\"\nresult = 3\ndelay = \"1ms\"\nretransmit = true\n";

/// Whatever a run can be asked for after its start goes on working.
fn every_thread_gives_up_what_it_does_not_need(way: Way) -> Result<()> {
    let files = Scratch::new("confined")?;
    let (report, capture) = (files.file("a.json"), files.file("a.pcapng"));
    let flags = [
        "-vv",
        "--report",
        text(&report)?,
        "--report-interval",
        "100ms",
        "--capture",
        text(&capture)?,
        "--capture-limit",
        "64KiB",
        "--metrics",
        "0",
    ];
    let mut run = Controlled::with(way, &flags, REFUSES)?;
    let pid = run.responder.process().pid();
    let sets = [&SETS[..], &["CapBnd"]].concat();
    are_confined(pid, threads_on(way), &sets)?;
    let answered = |run: &Controlled| -> Result<()> {
        let request = to_lns("192.0.2.1", &Sccrq::new(7))?.frame();
        ask(&run.port, &request, LIMIT)?.context("no answer")?;
        Ok(())
    };
    answered(&run)?;
    lab::until("a report", LIMIT, || {
        let exists = report.exists();
        Ok((exists && read(&report)?["attempts"]["seen"] == 1).then_some(()))
    })?;
    run.load("other.toml", OTHER)?;
    answered(&run)?;
    if way.path != "rewrite" {
        run.load("delays.toml", DELAYS)?;
        answered(&run)?;
    }
    run.told(&["set", "--result-code", "4", "--lns", "192.0.2.9"])?;
    for command in ["status", "rules", "report", "reset", "reload"] {
        run.told(&[command])?;
    }
    let mark = run.responder.process().mark();
    run.responder.process().signal(Signal::SIGHUP)?;
    let reloaded = |line: &lab::Line| line.text.contains("reloaded: ").then_some(());
    let process = run.responder.process();
    process.wait_for("the reload", mark, LIMIT, reloaded)?;
    answered(&run)?;
    // Threads that were started meanwhile are no exception.
    are_confined(pid, threads_on(way), &sets)?;
    run.responder.finish()?;
    ensure!(read(&report)?["attempts"]["seen"] != 0);
    ensure!(fs::metadata(&capture)?.len() > 0);
    Ok(())
}

/// A directory that belongs to nobody.
fn nobodys(files: &Scratch, name: &str) -> Result<PathBuf> {
    let directory = files.file(name);
    fs::create_dir(&directory)?;
    chown(&directory, Some(NOBODY), Some(NOBODY))?;
    Ok(directory)
}

/// Sees that it runs as nobody, with no group of root's.
fn is_nobody(pid: u32) -> Result<()> {
    for (name, thread) in &statuses(pid)? {
        let ids = format!("{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}");
        assert_eq!(thread.field("Uid")?, ids, "{name}");
        assert_eq!(thread.field("Gid")?, ids, "{name}");
        let groups = thread.field("Groups")?;
        ensure!(groups.split(' ').all(|group| group != "0"), "{groups}");
    }
    Ok(())
}

/// Flags for files in that directory, and where those are.
fn files_in(directory: &Path) -> Result<(Vec<String>, [PathBuf; 3])> {
    let files = ["a.json", "a.pcapng", "control.sock"].map(|name| directory.join(name));
    let [report, capture, control] = &files;
    let flags = [
        "--report",
        text(report)?,
        "--capture",
        text(capture)?,
        "--control",
        text(control)?,
    ];
    Ok((flags.map(str::to_owned).into(), files))
}

/// Answers once, is asked and stopped over its socket, and leaves files of nobody's.
fn runs_as_nobody(lab: &Lab, way: Way, run: Command, files: &[PathBuf; 3]) -> Result<()> {
    let [report, capture, control] = files;
    let mut responder = Responder::of(run)?;
    responder.process().wait_for_line(": attached, ", LIMIT)?;
    let pid = responder.process().pid();
    is_nobody(pid)?;
    are_confined(pid, threads_on(way), &SETS)?;
    let request = to_lns("192.0.2.1", &Sccrq::new(7))?.frame();
    ask(&lab.raw_port()?, &request, LIMIT)?.context("no answer")?;
    assert_eq!(fs::metadata(control)?.uid(), NOBODY);
    for arguments in [&["set", "--result-code", "5"][..], &["status"], &["stop"]] {
        let arguments = [arguments, &["--control", text(control)?]].concat();
        let output = command(&lab.responder, &arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?}: {said}");
    }
    let ended = responder.end()?;
    assert_eq!(ended.status.code(), Some(0), "{:?}", ended.said);
    assert_eq!(ended.count("/answered")?, 1);
    assert_eq!(read(report)?["attempts"]["seen"], 1);
    for file in [report, capture] {
        let facts = fs::metadata(file)?;
        assert_eq!((facts.uid(), facts.gid()), (NOBODY, NOBODY));
        assert_eq!(facts.mode() & 0o7777, 0o600);
    }
    ensure!(!control.exists(), "the socket is left");
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    Ok(())
}

fn another_user_does_all_of_it(way: Way) -> Result<()> {
    let files = Scratch::new("nobody")?;
    let lab = way.one_cable().build()?;
    let (flags, left) = files_in(&nobodys(&files, "nobody")?)?;
    let mut arguments = vec!["run", "--json", "--user", "nobody"];
    arguments.extend(way.flags());
    arguments.extend(flags.iter().map(String::as_str));
    runs_as_nobody(&lab, way, command(&lab.responder, &arguments), &left)
}

/// Without root from the first step on, as a unit with AmbientCapabilities= has it.
fn five_capabilities_are_enough(way: Way) -> Result<()> {
    const FIVE: &str = "-all,+net_admin,+bpf,+perfmon,+net_raw,+ipc_lock";
    let files = Scratch::new("five")?;
    let lab = way.one_cable().build()?;
    // The way to the built program may be closed to nobody.
    let program = files.file("broken-lns");
    fs::copy(env!("CARGO_BIN_EXE_broken-lns"), &program)?;
    let (flags, left) = files_in(&nobodys(&files, "nobody")?)?;
    let mut run = lab.responder.command("setpriv");
    run.args([
        format!("--reuid={NOBODY}"),
        format!("--regid={NOBODY}"),
        "--clear-groups".to_owned(),
        format!("--inh-caps={FIVE}"),
        format!("--ambient-caps={FIVE}"),
        format!("--bounding-set={FIVE}"),
        "--no-new-privs".to_owned(),
    ]);
    run.arg(&program).args(["run", "--json"]);
    run.args(way.flags()).args(flags);
    runs_as_nobody(&lab, way, run, &left)
}

fn without_the_sandbox_all_is_kept() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let mut responder = Responder::start(&lab, &["--no-sandbox"])?;
    let pid = responder.process().pid();
    for (name, thread) in &statuses_with(pid, &FRAMES)? {
        assert_eq!(thread.field("Seccomp")?, "0", "{name}");
        assert_eq!(thread.field("NoNewPrivs")?, "0", "{name}");
        // Those that see frames have nothing in any case.
        let sees_frames = FRAMES.contains(&name.as_str());
        assert_eq!(thread.set("CapEff")? == 0, sees_frames, "{name}");
    }
    let report = responder.finish()?;
    let warning = "warning: no sandbox: capabilities and all system calls are kept";
    ensure!(report.said(warning), "{:?}", report.said);
    Ok(())
}

/// As with `sudo` in one's own home.
fn a_directory_of_another_user_is_still_written_to() -> Result<()> {
    let files = Scratch::new("home")?;
    let lab = Lab::static_arp().build()?;
    let home = nobodys(&files, "home")?;
    let report = home.join("a.json");
    let flags = ["--path", "redirect", "--report", text(&report)?];
    let mut responder = Responder::start(&lab, &flags)?;
    let pid = responder.process().pid();
    for (name, thread) in &statuses_with(pid, &FRAMES)? {
        // Those that see frames have nothing in any case.
        let kept = match FRAMES.contains(&name.as_str()) {
            true => 0,
            false => DAC_OVERRIDE,
        };
        assert_eq!(thread.set("CapPrm")?, kept, "{name}");
    }
    let ended = responder.finish()?;
    assert_eq!(read(&report)?["attempts"]["seen"], 0);
    assert_eq!(fs::metadata(&report)?.uid(), 0);
    let warning = format!(
        "warning: CAP_DAC_OVERRIDE is kept, since {} is out of reach without it",
        report.display()
    );
    ensure!(ended.said(&warning), "{:?}", ended.said);
    Ok(())
}

/// A client with all rights sends it, and the responder cannot read it again.
fn a_scenario_of_another_user_is_sent_again() -> Result<()> {
    let files = Scratch::new("theirs")?;
    let home = nobodys(&files, "home")?;
    fs::set_permissions(&home, Permissions::from_mode(0o700))?;
    let scenario = home.join("a.toml");
    fs::write(&scenario, REFUSES)?;
    let scenario = text(&scenario)?;
    let run = Controlled::with(PATHS[0], &[], OTHER)?;
    run.told(&["load", scenario])?;
    let refused = run.refused(&["reload"])?;
    let why = format!(
        "cannot read the scenario {scenario}: Permission denied (os error 13); the right to read \
         what only others may read was given up when everything was attached: send it with \
         `broken-lns load FILE`"
    );
    ensure!(refused.contains(&why), "{refused}");
    run.told(&["load", scenario])?;
    run.responder.finish()?;
    Ok(())
}

fn an_unknown_user_keeps_it_from_starting() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let ended = Responder::spawn(&lab, &["--user", "no-such-user"])?.end()?;
    assert_eq!(ended.status.code(), Some(1));
    ensure!(
        ended.said("there is no user `no-such-user`"),
        "{:?}",
        ended.said
    );
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    Ok(())
}

fn the_service_manager_is_told() -> Result<()> {
    let files = Scratch::new("notify")?;
    let lab = Lab::static_arp().build()?;
    let (place, scenario) = (files.file("notify.sock"), files.file("a.toml"));
    fs::write(&scenario, REFUSES)?;
    let manager = UnixDatagram::bind(&place)?;
    manager.set_read_timeout(Some(LIMIT))?;
    let told = || -> Result<String> {
        let mut octets = [0; 4096];
        let len = manager.recv(&mut octets).context("it tells nothing")?;
        Ok(String::from_utf8(octets[..len].to_vec())?)
    };
    // Skips what comes at its own time.
    let told_next = |begin: &str| -> Result<String> {
        loop {
            let told = told()?;
            if told.starts_with(begin) {
                return Ok(told);
            }
            ensure!(
                ["WATCHDOG=1", "STATUS="]
                    .iter()
                    .any(|known| told.starts_with(known)),
                "{told} before {begin}"
            );
        }
    };
    let arguments = [
        "run",
        "--json",
        "--control",
        "none",
        "--scenario",
        text(&scenario)?,
    ];
    let mut run = command(&lab.responder, &arguments);
    run.env("NOTIFY_SOCKET", &place)
        .env("WATCHDOG_USEC", "200000");
    let mut responder = Responder::of(run)?;
    assert_eq!(told()?, "READY=1");
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?.len(), 1);
    assert_eq!(told_next("WATCHDOG=1")?, "WATCHDOG=1");
    assert_eq!(told_next("STATUS=")?, "STATUS=0 answered of 0 received");
    let request = to_lns("192.0.2.1", &Sccrq::new(7))?.frame();
    ask(&lab.raw_port()?, &request, LIMIT)?.context("no answer")?;
    told_next("STATUS=1 answered of 1 received")?;
    responder.process().signal(Signal::SIGHUP)?;
    told_next("RELOADING=1\nMONOTONIC_USEC=")?;
    told_next("READY=1")?;
    responder.process().signal(Signal::SIGTERM)?;
    told_next("STOPPING=1")?;
    assert_eq!(responder.end()?.status.code(), Some(0));
    // Nobody is there to be told.
    let missing = files.file("gone.sock");
    let mut run = command(&lab.responder, &arguments);
    run.env("NOTIFY_SOCKET", &missing);
    let ended = Responder::of(run)?.end()?;
    assert_eq!(ended.status.code(), Some(1));
    let error = format!(
        "cannot speak to the service manager at NOTIFY_SOCKET={}",
        missing.display()
    );
    ensure!(ended.said(&error), "{:?}", ended.said);
    Ok(())
}
