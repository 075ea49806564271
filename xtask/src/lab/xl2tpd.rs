//! A real LAC, or a real LNS: xl2tpd, and what its log says.

use std::{
    fmt::Write as _,
    fs::{self, OpenOptions},
    io::Write as _,
    net::Ipv4Addr,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{Line, Namespace, Process, Scratch};
use crate::suite::Package;

/// A running xl2tpd, ended when dropped.
#[derive(Debug)]
pub struct Xl2tpd {
    process: Process,
    scratch: Scratch,
}

/// An LNS that it knows by a name.
#[derive(Clone, Debug)]
pub struct Target {
    /// What to call it in [`Xl2tpd::dial`].
    pub name: String,
    /// Its address; xl2tpd has no IPv6.
    pub lns: Ipv4Addr,
    /// Whether it dials again after it was refused, and after how many seconds.
    pub redial: Option<u32>,
}

/// What xl2tpd says in its log of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It starts to dial.
    Connecting {
        /// Whom.
        lns: Ipv4Addr,
    },
    /// It understood a Result Code.
    Closing {
        /// The result code.
        result: u16,
        /// The error code, if there was one.
        error: Option<u16>,
        /// The message; empty if there was none, and cut by xl2tpd if it was long.
        message: String,
    },
    /// It did not believe a Result Code: it knows 1 to 7.
    OutOfRange {
        /// The result code.
        result: u16,
    },
    /// It read the LNS's tunnel id.
    AssignedTunnel {
        /// The id.
        id: u16,
    },
    /// It ignored a StopCCN for want of a Result Code that it believes.
    NoResultCode,
    /// It ignored a StopCCN for want of an Assigned Tunnel ID.
    NoTunnelId,
    /// It accepted a StopCCN: the connection is closed.
    Closed {
        /// Whose connection.
        lns: Ipv4Addr,
        /// The tunnel id of xl2tpd.
        local: u16,
        /// The tunnel id of the LNS.
        remote: u16,
    },
    /// Nobody answered, and it gave up.
    TimedOut {
        /// Whom it had dialled.
        lns: Ipv4Addr,
    },
    /// It will dial again.
    WillRedial {
        /// After this many seconds.
        seconds: u32,
    },
}

/// The configuration of an LNS.
const LNS: &str = "[global]
port = 1701

[lns default]
ip range = 10.99.0.2-10.99.0.9
local ip = 10.99.0.1
lac = 0.0.0.0 - 255.255.255.255
require authentication = no
";

impl Xl2tpd {
    /// The package that has an older one, which wants an error code in every StopCCN.
    pub const BULLSEYE: Package = Package::binary("xl2tpd", "bullseye", "1.3.12");

    /// Starts `program` in `namespace`, sending from UDP port `port`, and returns once it listens.
    /// It dials nobody yet.
    pub fn start(
        program: &Path,
        namespace: &Namespace,
        port: u16,
        targets: &[Target],
    ) -> Result<Self> {
        Self::configured(program, namespace, &configuration(port, targets))
    }

    /// Starts `program` in `namespace` as an LNS that takes every LAC, at every address there.
    pub fn lns(program: &Path, namespace: &Namespace) -> Result<Self> {
        Self::configured(program, namespace, LNS)
    }

    fn configured(program: &Path, namespace: &Namespace, text: &str) -> Result<Self> {
        let scratch = Scratch::new("xl2tpd")?;
        let configuration = scratch.file("xl2tpd.conf");
        fs::write(&configuration, text)?;
        // Without a secrets file of its own it reads, and complains of, the system's.
        let secrets = scratch.file("secrets");
        fs::write(&secrets, "")?;
        let mut command = namespace.command(program);
        command
            .arg("-D")
            .arg("-c")
            .arg(configuration)
            .arg("-s")
            .arg(secrets)
            .arg("-C")
            .arg(scratch.file("control"))
            .arg("-p")
            .arg(scratch.file("pid"));
        let process = Process::spawn("xl2tpd", command)?;
        process.wait_for_line("Listening on IP address", Duration::from_secs(5))?;
        Ok(Self { process, scratch })
    }

    /// Tells it to dial the target `name`. Before the next one, wait for an event of this one:
    /// what it reads at once it takes for one command.
    pub fn dial(&self, name: &str) -> Result<()> {
        // In one write, since it crashes on a command without its argument.
        let command = format!("c {name}\n");
        // Without a reader a pipe opened like this is an error instead of a wait.
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(self.scratch.file("control"))
            .and_then(|mut pipe| pipe.write_all(command.as_bytes()))
            .with_context(|| format!("cannot tell xl2tpd to dial {name}"))
    }

    /// Its process, for its lines, its mark and its end.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// How many lines it logged so far.
    pub fn mark(&self) -> usize {
        self.process.mark()
    }

    /// Waits for an event that `choose` takes, among the lines from number `mark` on.
    pub fn wait_for<T>(
        &self,
        what: &str,
        mark: usize,
        limit: Duration,
        choose: impl Fn(Event) -> Option<T>,
    ) -> Result<T> {
        self.process.wait_for(what, mark, limit, |line| {
            Event::parse(&line.text).and_then(&choose)
        })
    }

    /// What happened, among the lines from number `mark` on, with the line that says so.
    pub fn events(&self, mark: usize) -> Vec<(Line, Event)> {
        let lines = self.process.lines().into_iter().skip(mark);
        lines
            .filter_map(|line| Event::parse(&line.text).map(|event| (line, event)))
            .collect()
    }
}

fn configuration(port: u16, targets: &[Target]) -> String {
    // `debug network` is left out: with it xl2tpd 1.3.18 crashes on the first time-out that finds
    // no tunnel open, which is soon after every refusal.
    let mut text = format!(
        "[global]\nport = {port}\ndebug tunnel = yes\ndebug avp = yes\ndebug state = yes\n"
    );
    for Target { name, lns, redial } in targets {
        // Writing to a string cannot fail.
        let _ = write!(text, "[lac {name}]\nlns = {lns}\n");
        if let Some(seconds) = redial {
            let _ = write!(text, "redial = yes\nredial timeout = {seconds}\n");
        }
    }
    text
}

impl Event {
    /// Reads a line of the log, if it says something of a refusal.
    pub fn parse(line: &str) -> Option<Self> {
        // xl2tpd[4711]: function: text
        let (_, text) = line.split_once("]: ")?;
        if let Some(rest) = text.strip_prefix("Connecting to host ") {
            let (lns, _) = rest.split_once(',')?;
            return Some(Self::Connecting {
                lns: lns.parse().ok()?,
            });
        }
        if let Some(rest) = text.strip_prefix("Will redial in ") {
            let (seconds, _) = rest.split_once(' ')?;
            return Some(Self::WillRedial {
                seconds: seconds.parse().ok()?,
            });
        }
        if let Some(rest) = text.strip_prefix("Connection 0 closed to ") {
            let (lns, rest) = rest.split_once(',')?;
            return rest.ends_with("(Timeout)").then_some(Self::TimedOut {
                lns: lns.parse().ok()?,
            });
        }
        let (_, text) = text.split_once(": ")?;
        if let Some(rest) = text.strip_prefix("peer closing for reason ") {
            let (result, rest) = rest.split_once(' ')?;
            let (_, rest) = rest.split_once(", error = ")?;
            let (error, message) = rest.split_once(" (")?;
            return Some(Self::Closing {
                result: result.parse().ok()?,
                // It says -1 where there was none.
                error: error.parse().ok(),
                message: message.strip_suffix(')')?.to_owned(),
            });
        }
        if let Some(rest) = text.strip_prefix("result code out of range (") {
            let (result, _) = rest.split_once(' ')?;
            return Some(Self::OutOfRange {
                result: result.parse().ok()?,
            });
        }
        if let Some(id) = text.strip_prefix("using peer's tunnel ") {
            return Some(Self::AssignedTunnel {
                id: id.parse().ok()?,
            });
        }
        if let Some(rest) = text.strip_prefix("Connection closed to ") {
            let (lns, rest) = rest.split_once(',')?;
            // The message stands before this, and may hold anything.
            let (_, ids) = rest.rsplit_once("), Local: ")?;
            let (local, remote) = ids.split_once(", Remote: ")?;
            return Some(Self::Closed {
                lns: lns.parse().ok()?,
                local: local.parse().ok()?,
                remote: remote.parse().ok()?,
            });
        }
        match text {
            "Peer tried to disconnect without specifying result code." => Some(Self::NoResultCode),
            "Peer tried to disconnect without specifying tunnel ID" => Some(Self::NoTunnelId),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of xl2tpd 1.3.18, as it printed them.
    #[test]
    fn reads_the_log() {
        let lns = Ipv4Addr::new(192, 0, 2, 1);
        for (line, event) in [
            (
                "Connecting to host 192.0.2.1, port 1701",
                Event::Connecting { lns },
            ),
            (
                "result_code_avp: peer closing for reason 2 (General error--Error Code indicates \
                 the problem), error = 6 (Vendor (said) no)",
                Event::Closing {
                    result: 2,
                    error: Some(6),
                    message: "Vendor (said) no".to_owned(),
                },
            ),
            (
                "result_code_avp: peer closing for reason 7 (Finite State Machine error), \
                 error = -1 ()",
                Event::Closing {
                    result: 7,
                    error: None,
                    message: String::new(),
                },
            ),
            (
                "result_code_avp: result code out of range (8 -1 11).  Ignoring.",
                Event::OutOfRange { result: 8 },
            ),
            (
                "assigned_tunnel_avp: using peer's tunnel 12345",
                Event::AssignedTunnel { id: 12345 },
            ),
            (
                "control_finish: Peer tried to disconnect without specifying result code.",
                Event::NoResultCode,
            ),
            (
                "control_finish: Peer tried to disconnect without specifying tunnel ID",
                Event::NoTunnelId,
            ),
            (
                "control_finish: Connection closed to 192.0.2.1, port 1701 (a), Local: 1), \
                 Local: 46069, Remote: 12345",
                Event::Closed {
                    lns,
                    local: 46069,
                    remote: 12345,
                },
            ),
            (
                "Connection 0 closed to 192.0.2.1, port 1701 (Timeout)",
                Event::TimedOut { lns },
            ),
            ("Will redial in 2 seconds", Event::WillRedial { seconds: 2 }),
        ] {
            assert_eq!(
                Event::parse(&format!("xl2tpd[11902]: {line}")),
                Some(event),
                "{line}"
            );
        }
        assert_eq!(
            Event::parse("xl2tpd[1]: control_finish: sending SCCRQ"),
            None
        );
        assert_eq!(Event::parse(""), None);
    }
}
