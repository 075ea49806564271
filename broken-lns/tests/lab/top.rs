//! The terminal view, on a terminal of its own that is read here.

use std::{
    fs::File,
    io::{ErrorKind, Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    pty::{OpenptyResult, Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, tcgetattr},
    },
    unistd::Pid,
};
use xtask::lab::{self, Lab, Sccrq, Scratch};

use crate::{
    request::ask,
    responder::{LIMIT, Responder},
    scenarios::to_lns,
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "it_shows_what_is_counted_and_who_went_away",
            &[],
            it_shows_what_is_counted_and_who_went_away,
        ),
        trial("it_shows_what_lacs_do", &[], it_shows_what_lacs_do),
        trial(
            "the_terminal_is_given_back",
            &[],
            the_terminal_is_given_back,
        ),
        trial(
            "it_wants_a_terminal_and_a_responder",
            &[],
            it_wants_a_terminal_and_a_responder,
        ),
    ]
}

/// Leaves the other screen, on which the view was.
const GIVEN_BACK: &str = "\x1b[?1049l";

/// A view on a terminal of 24 lines with 80 columns, killed when dropped.
struct View {
    child: Child,
    /// The side of the terminal that is a person's.
    person: File,
    /// The other one, which stays open after the view has gone.
    terminal: OwnedFd,
    written: String,
}

impl View {
    fn of(control: &Path) -> Result<Self> {
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None)?;
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let mut command = top(control);
        command
            .env("TERM", "xterm")
            .stdin(slave.try_clone()?)
            .stdout(slave.try_clone()?)
            .stderr(slave.try_clone()?);
        Ok(Self {
            child: command.spawn()?,
            person: master.into(),
            terminal: slave,
            written: String::new(),
        })
    }

    /// Waits until it shows these words, or has shown them since the last time.
    fn shows(&mut self, text: &str) -> Result<()> {
        self.writes(text, words)
    }

    /// Waits until `read` finds this in what it has written since the last time.
    fn writes(&mut self, text: &str, read: fn(&str) -> String) -> Result<()> {
        let found = lab::until(&format!("{text:?} on the terminal"), LIMIT, || {
            self.read()?;
            Ok(read(&self.written).contains(text).then_some(()))
        });
        found.with_context(|| format!("it wrote {:?}", self.written))?;
        self.written.clear();
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let mut octets = [0; 4096];
        loop {
            match self.person.read(&mut octets) {
                Ok(read) => self.written += &String::from_utf8_lossy(&octets[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        Ok(self.person.write_all(keys.as_bytes())?)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id().cast_signed()), signal)?)
    }

    fn end(&mut self) -> Result<ExitStatus> {
        lab::until("the end of the view", LIMIT, || {
            Ok(self.child.try_wait()?)
        })
    }

    /// Whether the terminal shows what is typed.
    fn echoes(&self) -> Result<bool> {
        let modes = tcgetattr(self.terminal.as_fd())?.local_flags;
        Ok(modes.contains(LocalFlags::ECHO | LocalFlags::ICANON))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a person reads: the cursor jumps from word to word, and where a space is already it jumps
/// over that.
fn words(written: &str) -> String {
    let mut parts = written.split("\x1b[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let command = part.find(|c: char| c.is_ascii_alphabetic());
        text.push(' ');
        text += part
            .get(command.map_or(0, |at| at + 1)..)
            .unwrap_or_default();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn top(control: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_broken-lns"));
    command.arg("top").arg("--control").arg(control);
    command
}

fn it_shows_what_is_counted_and_who_went_away() -> Result<()> {
    let files = Scratch::new("top")?;
    let control = files.file("control.sock");
    let path = control.to_str().context("a path that is no text")?;
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::controlled(&lab, path, &["--path", "redirect"])?;
    let request = to_lns("192.0.2.1", &Sccrq::new(7))?.frame();
    ensure!(ask(&port, &request, LIMIT)?.is_some(), "no answer");
    let mut view = View::of(&control)?;
    view.shows("received 1 (0/s) answered 1 (0/s)")?;
    responder.finish()?;
    view.shows("the responder is gone since ")?;
    let responder = Responder::controlled(&lab, path, &["--path", "redirect"])?;
    view.shows("of the command line: ")?;
    view.press("q")?;
    assert_eq!(view.end()?.code(), Some(0));
    responder.finish()?;
    Ok(())
}

fn it_shows_what_lacs_do() -> Result<()> {
    let files = Scratch::new("top")?;
    let control = files.file("control.sock");
    let path = control.to_str().context("a path that is no text")?;
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let responder = Responder::controlled(&lab, path, &["--path", "redirect"])?;
    // It asks one LNS, asks again, and then another one.
    for (lns, tunnel_id) in [("192.0.2.1", 7), ("192.0.2.1", 7), ("192.0.2.2", 8)] {
        let request = to_lns(lns, &Sccrq::new(tunnel_id))?.frame();
        ensure!(ask(&port, &request, LIMIT)?.is_some(), "no answer");
        lab::pause(Duration::from_millis(60))?;
    }
    // Longer than an event waits for those of an earlier time.
    lab::pause(Duration::from_millis(500))?;
    let mut view = View::of(&control)?;
    view.shows("203.0.113.77 3 -")?;
    // That it did not turn back is certain after ten seconds.
    lab::pause(Duration::from_secs(10))?;
    view.shows("203.0.113.77 192.0.2.1 failover to 192.0.2.2 af")?;
    view.press("q")?;
    assert_eq!(view.end()?.code(), Some(0));
    responder.finish()?;
    Ok(())
}

/// By q, by Ctrl-C, and by the signals that end it.
fn the_terminal_is_given_back() -> Result<()> {
    let files = Scratch::new("top")?;
    let control = files.file("control.sock");
    let path = control.to_str().context("a path that is no text")?;
    let lab = Lab::static_arp().build()?;
    let responder = Responder::controlled(&lab, path, &[])?;
    type Way = fn(&mut View) -> Result<()>;
    let ways: [(&str, Way); 4] = [
        ("q", |view| view.press("q")),
        ("Ctrl-C", |view| view.press("\x03")),
        ("SIGINT", |view| view.signal(Signal::SIGINT)),
        ("SIGTERM", |view| view.signal(Signal::SIGTERM)),
    ];
    for (name, way) in ways {
        let mut view = View::of(&control)?;
        view.shows("received 0 (0/s)")?;
        ensure!(!view.echoes()?, "{name}: it echoes keys");
        way(&mut view)?;
        assert_eq!(view.end()?.code(), Some(0), "{name}");
        view.writes(GIVEN_BACK, str::to_owned)?;
        ensure!(view.echoes()?, "{name}: it does not echo any more");
    }
    responder.finish()?;
    Ok(())
}

fn it_wants_a_terminal_and_a_responder() -> Result<()> {
    let files = Scratch::new("top")?;
    let control = files.file("control.sock");
    let output = top(&control).stdin(Stdio::null()).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr)?,
        "broken-lns: `top` needs a terminal to draw on and to read keys from; \
         for programs there is `broken-lns status --json`\n"
    );
    let mut view = View::of(&control)?;
    assert_eq!(view.end()?.code(), Some(1));
    view.shows("broken-lns: there is no control socket ")?;
    Ok(())
}
