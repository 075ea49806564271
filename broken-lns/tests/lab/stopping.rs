//! It can be stopped, always, and is never stopped by others: neither by whoever reads what it
//! shows, nor by whoever asks it for something, nor by whoever holds what it needs.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::{
            fs::{OpenOptionsExt as _, PermissionsExt as _},
            net::{UnixListener, UnixStream},
            process::ExitStatusExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::{OpenptyResult, openpty},
    sys::{signal::Signal, stat::Mode},
    unistd::mkfifo,
};
use serde_json::Value;
use xtask::lab::{self, Lab, Process, Scratch};

use crate::{
    loaded::attached,
    responder::{LIMIT, Responder, command, text},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for end in [
        End::Signal(Signal::SIGTERM),
        End::Signal(Signal::SIGINT),
        End::Stop,
    ] {
        let name = format!("a_reader_that_stalls_stops_nothing::{end:?}");
        trials.push(trial(name, &[], move || {
            a_reader_that_stalls_stops_nothing(end)
        }));
    }
    trials.extend([
        trial(
            "a_reader_that_goes_on_has_whole_lines_and_the_last_one",
            &[],
            a_reader_that_goes_on_has_whole_lines_and_the_last_one,
        ),
        trial(
            "a_terminal_that_is_stopped_stops_nothing",
            &[],
            a_terminal_that_is_stopped_stops_nothing,
        ),
        trial(
            "a_report_that_nobody_reads_stops_nothing",
            &[],
            a_report_that_nobody_reads_stops_nothing,
        ),
        trial(
            "a_scenario_that_never_comes_does_not_make_it_deaf",
            &[],
            a_scenario_that_never_comes_does_not_make_it_deaf,
        ),
        trial("a_pipe_can_be_a_scenario", &[], a_pipe_can_be_a_scenario),
        trial(
            "a_second_signal_ends_it_at_once",
            &[],
            a_second_signal_ends_it_at_once,
        ),
        trial(
            "a_lock_of_others_is_not_waited_for",
            &["unshare", "setpriv", "flock", "timeout"],
            a_lock_of_others_is_not_waited_for,
        ),
        trial(
            "a_directory_of_others_is_refused",
            &["unshare"],
            a_directory_of_others_is_refused,
        ),
        trial(
            "a_stranger_is_not_believed",
            &[],
            a_stranger_is_not_believed,
        ),
        trial(
            "idle_and_stuck_clients_delay_nobody",
            &[],
            idle_and_stuck_clients_delay_nobody,
        ),
    ]);
    trials
}

/// The user of whom nothing is expected.
const NOBODY: u32 = 65534;

/// How it is told to end.
#[derive(Clone, Copy, Debug)]
enum End {
    Signal(Signal),
    Stop,
}

/// A responder of which somebody else reads, with all by which it can be reached.
struct Watched {
    lab: Lab,
    files: Scratch,
    metrics: SocketAddr,
}

/// The flags of a responder with its files in this directory.
fn flags<'f>(control: &'f str, more: &[&'f str]) -> Vec<&'f str> {
    let flags = ["run", "--control", control, "--metrics", "127.0.0.1:9100"];
    [&flags[..], more].concat()
}

impl Watched {
    fn new() -> Result<Self> {
        Ok(Self {
            lab: Lab::static_arp().build()?,
            files: Scratch::new("stopping")?,
            metrics: ([127, 0, 0, 1], 9100).into(),
        })
    }

    fn socket(&self) -> PathBuf {
        self.files.file("control.sock")
    }

    /// What a client prints that has to end soon, and whether it was a success.
    fn ask(&self, request: &[&str]) -> Result<(bool, Vec<String>)> {
        let socket = self.socket();
        let arguments = [request, &["--control", text(&socket)?]].concat();
        let mut client = Process::spawn("the client", command(&self.lab.responder, &arguments))?;
        let status = client.wait(LIMIT)?;
        let lines = client.lines().into_iter().map(|line| line.text);
        Ok((status.success(), lines.collect()))
    }

    /// How long it runs by now, in seconds.
    fn runs_for(&self) -> Result<f64> {
        let (is_well, lines) = self.ask(&["status", "--json"])?;
        ensure!(is_well, "{lines:?}");
        let status: Value = serde_json::from_str(lines.first().context("no line")?)?;
        let elapsed = status.pointer("/ok/status/counters/elapsed_s");
        elapsed.and_then(Value::as_f64).context("no time")
    }

    /// Sees that everybody has a response for some seconds more, in which it has to show something
    /// several times.
    fn answers(&self) -> Result<()> {
        let start = self.runs_for()?;
        lab::until("the run to go on", LIMIT, || {
            Ok((self.runs_for()? > start + 3.0).then_some(()))
        })?;
        self.is_healthy()?;
        let (is_well, said) = self.ask(&["reset"])?;
        ensure!(is_well, "{said:?}");
        Ok(())
    }

    fn is_healthy(&self) -> Result<()> {
        let said = self.lab.responder.enter(|| -> Result<_> {
            let mut stream = TcpStream::connect(self.metrics)?;
            stream.set_read_timeout(Some(LIMIT))?;
            write!(stream, "GET /healthz HTTP/1.1\r\nHost: lns\r\n\r\n")?;
            let mut said = String::new();
            stream.read_to_string(&mut said)?;
            Ok(said)
        })??;
        ensure!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        Ok(())
    }
}

/// A pipe in the file system that holds a page, and the reader of it, who never waits.
fn pipe(path: &Path) -> Result<File> {
    mkfifo(path, Mode::S_IRWXU)?;
    let mut reader = OpenOptions::new();
    let reader = reader.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let reader = reader.open(path)?;
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(4096))?;
    Ok(reader)
}

/// The octets that wait in a pipe.
fn waiting(pipe: &File) -> Result<usize> {
    nix::ioctl_read_bad!(fionread, nix::libc::FIONREAD, nix::libc::c_int);
    let mut waiting = 0;
    // SAFETY: the kernel writes an int to where it is told, which is one.
    unsafe { fionread(pipe.as_raw_fd(), &mut waiting) }?;
    Ok(waiting.try_into()?)
}

/// Starts it with standard output to that pipe, and waits until that is full.
fn stalled(watched: &Watched, reader: &File, pipe: &Path) -> Result<Responder> {
    let socket = watched.socket();
    let mut shell = watched.lab.responder.command("sh");
    shell.args(["-c", "exec \"$@\" > \"$0\"", text(pipe)?]);
    shell.arg(env!("CARGO_BIN_EXE_broken-lns"));
    shell.args(flags(text(&socket)?, &["--json"]));
    let mut responder = Responder::of(shell)?;
    responder.process().wait_for_line(": attached, ", LIMIT)?;
    let line = lab::until("a line", LIMIT, || {
        Ok(Some(waiting(reader)?).filter(|waiting| *waiting > 0))
    })?;
    lab::until("the pipe to be full", LIMIT, || {
        Ok((waiting(reader)? + line > 4096).then_some(()))
    })?;
    Ok(responder)
}

/// Whoever reads the lines of JSON reads no more. Everything else goes on, and it says at the end
/// what was not read.
fn a_reader_that_stalls_stops_nothing(end: End) -> Result<()> {
    let watched = Watched::new()?;
    let path = watched.files.file("lines.json");
    let reader = pipe(&path)?;
    let mut responder = stalled(&watched, &reader, &path)?;
    watched.answers()?;
    match end {
        End::Signal(signal) => responder.process().signal(signal)?,
        End::Stop => {
            let (is_well, said) = watched.ask(&["stop"])?;
            let error = "cannot write to standard output: its reader does not keep up";
            ensure!(!is_well && said.join("\n").contains(error), "{said:?}");
        }
    }
    let report = responder.end()?;
    assert_eq!(report.status.code(), Some(1));
    let error = "broken-lns: cannot write to standard output: its reader does not keep up; ";
    ensure!(report.said(error), "{:?}", report.said);
    assert_eq!(attached(&watched.lab.responder, Lab::INTERFACE)?, []);
    assert!(!watched.socket().exists());
    Ok(())
}

/// It only paused.
fn a_reader_that_goes_on_has_whole_lines_and_the_last_one() -> Result<()> {
    let watched = Watched::new()?;
    let path = watched.files.file("lines.json");
    let mut reader = pipe(&path)?;
    let responder = stalled(&watched, &reader, &path)?;
    watched.answers()?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::empty()))?;
    let reading = thread::spawn(move || {
        let mut lines = String::new();
        reader.read_to_string(&mut lines).map(|_| lines)
    });
    responder.finish()?;
    let lines = reading.join().expect("no panic")?;
    let lines = lines.lines().map(serde_json::from_str::<Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let is_last = lines.iter().map(|line| line["final"] == true);
    assert!(is_last.eq((1..=lines.len()).map(|at| at == lines.len())));
    Ok(())
}

/// Ctrl-S on the terminal that has all its outputs.
fn a_terminal_that_is_stopped_stops_nothing() -> Result<()> {
    let watched = Watched::new()?;
    let OpenptyResult { master, slave } = openpty(None, None)?;
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut person = File::from(master);
    let socket = watched.socket();
    let mut run = command(&watched.lab.responder, &flags(text(&socket)?, &["-v"]));
    run.env("TERM", "xterm").stdin(Stdio::null());
    let mut running = Running::on(run, &slave)?;
    drop(slave);
    let mut shown = String::new();
    lab::until("the status line", LIMIT, || {
        let mut octets = [0; 4096];
        if let Ok(read) = person.read(&mut octets) {
            shown += &String::from_utf8_lossy(&octets[..read]);
        }
        Ok(shown.contains("received 0").then_some(()))
    })?;
    person.write_all(b"\x13")?;
    watched.answers()?;
    running.signal(Signal::SIGTERM)?;
    assert_eq!(running.ends()?, Some(1));
    assert_eq!(attached(&watched.lab.responder, Lab::INTERFACE)?, []);
    Ok(())
}

/// A process on a terminal, killed when dropped.
struct Running(std::process::Child);

impl Running {
    fn on(mut command: Command, terminal: &OwnedFd) -> Result<Self> {
        let child = command
            .stdout(terminal.try_clone()?)
            .stderr(terminal.try_clone()?)
            .spawn()?;
        Ok(Self(child))
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = nix::unistd::Pid::from_raw(self.0.id().cast_signed());
        Ok(nix::sys::signal::kill(pid, signal)?)
    }

    fn ends(&mut self) -> Result<Option<i32>> {
        let status = lab::until("its end", LIMIT, || Ok(self.0.try_wait()?))?;
        Ok(status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A report to a pipe that has no reader, and another one beside it.
fn a_report_that_nobody_reads_stops_nothing() -> Result<()> {
    let watched = Watched::new()?;
    let (pipe, file) = (
        watched.files.file("pipe.txt"),
        watched.files.file("file.txt"),
    );
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let flags = [
        "--report",
        text(&pipe)?,
        "--report",
        text(&file)?,
        "--report-interval",
        "1s",
    ];
    let socket = watched.socket();
    let mut responder = Responder::controlled(
        &watched.lab,
        text(&socket)?,
        &[&["--metrics", "127.0.0.1:9100"], &flags[..]].concat(),
    )?;
    let error = format!(
        "cannot write the report \"{}\": nobody reads from it",
        pipe.display()
    );
    responder.process().wait_for_line(&error, LIMIT)?;
    lab::until("the other report", LIMIT, || {
        Ok(file.exists().then_some(()))
    })?;
    watched.answers()?;
    responder.process().signal(Signal::SIGTERM)?;
    let report = responder.end()?;
    assert_eq!(report.status.code(), Some(1));
    report.last()?;
    ensure!(
        report.said(&format!("broken-lns: {error}")),
        "{:?}",
        report.said
    );
    Ok(())
}

/// Waits until a process handles a signal.
fn handles(pid: u32, signal: Signal) -> Result<()> {
    lab::until("it to handle signals", LIMIT, || {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.context("no signals")?.trim(), 16)?;
        Ok((caught & 1 << (signal as i32 - 1) != 0).then_some(()))
    })
}

/// The scenario is a pipe that nobody writes to.
fn a_scenario_that_never_comes_does_not_make_it_deaf() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let files = Scratch::new("stopping")?;
    let pipe = files.file("scenario.toml");
    mkfifo(&pipe, Mode::S_IRWXU)?;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut responder = Responder::spawn(&lab, &["--scenario", text(&pipe)?])?;
        handles(responder.process().pid(), signal)?;
        responder.process().signal(signal)?;
        let report = responder.end()?;
        assert_eq!(report.status.signal(), Some(signal as i32));
        assert_eq!(report.snapshots, [Value::Null; 0]);
    }
    Ok(())
}

/// As in `--scenario <(generate)`.
fn a_pipe_can_be_a_scenario() -> Result<()> {
    let watched = Watched::new()?;
    let (socket, pipe) = (watched.socket(), watched.files.file("scenario.toml"));
    mkfifo(&pipe, Mode::S_IRWXU)?;
    let arguments = flags(text(&socket)?, &["--json", "--scenario", text(&pipe)?]);
    let mut responder = Responder::of(command(&watched.lab.responder, &arguments))?;
    fs::write(&pipe, "[default]\nfault = \"silent\"\n")?;
    responder.process().wait_for_line(": attached, ", LIMIT)?;
    watched.runs_for()?;
    responder.finish()?;
    Ok(())
}

/// Reports to pipes whose readers read nothing keep up the end for a while.
fn a_second_signal_ends_it_at_once() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let files = Scratch::new("stopping")?;
    let names: Vec<_> = (0..6).map(|at| files.file(&format!("{at}.html"))).collect();
    let mut readers = Vec::new();
    for name in &names {
        readers.push(pipe(name)?);
        // No octet has room in it.
        OpenOptions::new()
            .write(true)
            .open(name)?
            .write_all(&[b'x'; 4096])?;
    }
    let mut flags = Vec::new();
    for name in &names {
        flags.extend(["--report", text(name)?]);
    }
    let mut responder = Responder::start(&lab, &flags)?;
    let process = responder.process();
    process.signal(Signal::SIGTERM)?;
    process.wait_for_line("another signal ends it at once", LIMIT)?;
    process.signal(Signal::SIGINT)?;
    let report = responder.end()?;
    assert_eq!(report.status.code(), Some(1));
    // What was counted is shown before.
    report.last()?;
    let lost = format!(
        "broken-lns: a second signal ends it at once; not written: the report \"{}\", ",
        names[0].display()
    );
    ensure!(report.said(&lost), "{:?}", report.said);
    assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    drop(readers);
    Ok(())
}

/// Runs a script in the lab, with a `/run` of its own in which the directory for sockets is.
fn with_own_run(lab: &Lab, script: &str) -> Result<Responder> {
    let begin = "set -e; mount -t tmpfs -o mode=755 none /run; mkdir -m 755 /run/broken-lns\n";
    let mut unshare = lab.responder.command("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c"]);
    unshare.arg(format!("{begin}{script}"));
    unshare.arg(env!("CARGO_BIN_EXE_broken-lns"));
    Responder::of(unshare)
}

/// Anybody can lock a directory that anybody can open.
fn a_lock_of_others_is_not_waited_for() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let script = "
        as_nobody='setpriv --reuid=65534 --regid=65534 --clear-groups --pdeathsig=KILL'
        $as_nobody flock /run/broken-lns sleep 60 > /dev/null 2>&1 &
        while flock --nonblock /run/broken-lns true; do sleep 0.01; done
        status=0
        timeout -s KILL 9 \"$0\" run --json --duration 1s || status=$?
        kill $!
        ls -A /run/broken-lns >&2
        exit $status";
    let report = with_own_run(&lab, script)?.end()?;
    assert_eq!(report.status.code(), Some(0), "{:?}", report.said);
    report.last()?;
    // Nothing is left in the directory.
    let last = report.said.last().context("it said nothing")?;
    ensure!(!last.contains("sock"), "{:?}", report.said);
    Ok(())
}

/// Whoever can write to the directory can put another socket in its place.
fn a_directory_of_others_is_refused() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    for (change, reason) in [
        ("chown 65534", "it belongs to user 65534"),
        (
            "chmod 1777",
            "others than its owner may write there (mode 1777)",
        ),
    ] {
        let script = format!("{change} /run/broken-lns; exec \"$0\" run --json --duration 1s");
        let report = with_own_run(&lab, &script)?.end()?;
        assert_eq!(report.status.code(), Some(1));
        let error = format!(
            "broken-lns: the directory /run/broken-lns is not safe for a control socket, since \
             {reason}: put that right with `chown root /run/broken-lns && chmod 755 \
             /run/broken-lns`, or choose another place with --control PATH"
        );
        assert_eq!(report.said, [error]);
        assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    }
    Ok(())
}

/// A socket at which somebody else listens, who could say anything.
fn listener_of_nobody(path: PathBuf) -> Result<UnixListener> {
    let listening = thread::spawn(move || -> Result<_> {
        let (keep, nobody) = (u32::MAX, NOBODY);
        // SAFETY: the arguments are numbers. The system call, other than the function of libc,
        // changes the user of this thread alone, which ends soon.
        let changed = unsafe { nix::libc::syscall(nix::libc::SYS_setresuid, keep, nobody, keep) };
        nix::errno::Errno::result(changed)?;
        Ok(UnixListener::bind(path)?)
    });
    listening.join().expect("no panic")
}

fn a_stranger_is_not_believed() -> Result<()> {
    let watched = Watched::new()?;
    fs::set_permissions(watched.files.file(""), Permissions::from_mode(0o777))?;
    let path = watched.socket();
    let listener = listener_of_nobody(path.clone())?;
    listener.set_nonblocking(true)?;
    let (is_well, said) = watched.ask(&["status"])?;
    let error = format!(
        "broken-lns: user {NOBODY} listens at {}, who is neither root nor you, and might say \
         anything; if you trust that user, be that user: sudo -u '#{NOBODY}' broken-lns …",
        path.display()
    );
    assert_eq!((is_well, said), (false, vec![error]));
    // Nothing was said to it either.
    let (mut stream, _) = listener.accept()?;
    let mut heard = Vec::new();
    stream.set_nonblocking(false)?;
    stream.read_to_end(&mut heard)?;
    assert_eq!(heard, b"");
    Ok(())
}

/// Clients that say nothing, and clients that read nothing, in any number.
fn idle_and_stuck_clients_delay_nobody() -> Result<()> {
    const CLIENTS: usize = 100;
    let watched = Watched::new()?;
    let socket = watched.socket();
    let responder = Responder::controlled(
        &watched.lab,
        text(&socket)?,
        &["--metrics", "127.0.0.1:9100"],
    )?;
    let idle: Vec<_> = (0..CLIENTS)
        .map(|_| UnixStream::connect(&socket))
        .collect::<Result<_, _>>()?;
    let rules = "{\"version\":1,\"request\":\"rules\"}\n".repeat(1000);
    let mut stuck = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = UnixStream::connect(&socket)?;
        // One that lost its place meanwhile has nobody who reads.
        let _ = stream.write_all(rules.as_bytes());
        stuck.push(stream);
    }
    let scrapers = watched.lab.responder.enter(|| -> Result<_> {
        let mut scrapers = Vec::new();
        for at in 0..2 * CLIENTS {
            let mut stream = TcpStream::connect(watched.metrics)?;
            if at % 2 == 0 {
                let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: lns\r\n\r\n");
            }
            scrapers.push(stream);
        }
        Ok(scrapers)
    })??;
    watched.runs_for()?;
    watched.is_healthy()?;
    let (is_well, said) = watched.ask(&["stop"])?;
    assert_eq!((is_well, said), (true, vec!["stopped".to_owned()]));
    let report = responder.end()?;
    assert_eq!(report.status.code(), Some(0));
    drop((idle, stuck, scrapers));
    Ok(())
}
