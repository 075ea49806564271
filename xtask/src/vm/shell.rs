//! The shell of a guest, at the other end of a serial port.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::lab::{Process, interrupt};

/// How long a read waits before it looks for an interrupt.
const GLANCE: Duration = Duration::from_millis(50);

/// The longest line that a terminal of Linux takes.
const LINE: usize = 4095;

/// A shell that reads commands from a serial port, one a line.
#[derive(Debug)]
pub(super) struct Shell {
    stream: UnixStream,
    commands: u32,
}

/// What a command of the guest came to.
#[derive(Debug)]
pub(super) struct Output {
    /// Its exit status.
    pub(super) status: i32,
    /// All it printed, without a line's end at its end.
    pub(super) text: String,
}

impl Shell {
    /// The shell at the other end of `stream`.
    pub(super) fn new(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(GLANCE))?;
        Ok(Self {
            stream,
            commands: 0,
        })
    }

    /// Runs a command, and waits for its end while `machine` runs.
    pub(super) fn run(
        &mut self,
        machine: &mut Process,
        command: &str,
        limit: Duration,
    ) -> Result<Output> {
        self.commands += 1;
        let mark = format!("=={}==", self.commands);
        // The mark is not in the line as it is printed, should the terminal show it.
        let line = format!("{{ {command}\n}} 2>&1; echo \"=\"={}==$?=\n", self.commands);
        for part in line.lines() {
            ensure!(part.len() < LINE, "a line of {} octets", part.len());
        }
        let failed = || format!("the guest's command `{command}`");
        self.stream
            .write_all(line.as_bytes())
            .with_context(failed)?;
        let deadline = Instant::now() + limit;
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            interrupt::check()?;
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the guest ended during `{command}`"),
                Ok(length) => seen.extend(&buffer[..length]),
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error).with_context(failed),
            }
            if let Some(output) = output(&String::from_utf8_lossy(&seen), &mark) {
                return Ok(output);
            }
            ensure!(machine.is_running(), "QEMU ended during `{command}`");
            ensure!(
                Instant::now() < deadline,
                "`{command}` took the guest more than {limit:?}; it said {}",
                String::from_utf8_lossy(&seen)
            );
        }
    }
}

/// What is before the mark and behind it, once all of it came.
fn output(seen: &str, mark: &str) -> Option<Output> {
    let (text, rest) = seen.split_once(mark)?;
    let (status, _) = rest.split_once('=')?;
    Some(Output {
        status: status.parse().ok()?,
        text: text.replace('\r', "").trim().to_owned(),
    })
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_ends_in_its_mark_and_its_status() {
        let seen = output("one\r\ntwo\r\n==3==17=\r\n", "==3==").unwrap();
        assert_eq!((seen.text.as_str(), seen.status), ("one\ntwo", 17));
        for incomplete in ["one\r\n", "one\r\n==3==", "one\r\n==3==1", "==2==0="] {
            assert!(output(incomplete, "==3==").is_none(), "{incomplete}");
        }
    }
}
