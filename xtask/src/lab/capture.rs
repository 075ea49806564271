//! Recording what an interface carries, and having tshark say what it thinks of it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{Namespace, Process, Scratch};
use crate::process;

const LIMIT: Duration = Duration::from_secs(10);

/// The longest frame that is recorded whole, in octets, and the room for frames that tcpdump has
/// not come to yet, in KiB. Every frame there takes the room of the longest one: at tcpdump's own
/// sizes there are not ten of them, and a few LACs that dial at once would be too much.
const LONGEST: &str = "16384";
const BUFFER: &str = "16384";

/// A tcpdump that records, ended when dropped.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Process,
    file: PathBuf,
    scratch: Scratch,
}

/// What was recorded, in a file that is removed when dropped.
#[derive(Debug)]
pub struct Recording {
    file: PathBuf,
    _scratch: Scratch,
}

impl Capture {
    /// Records what `interface` carries in `namespace`, and returns once it really does.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        let scratch = Scratch::new("capture")?;
        let file = scratch.file("frames.pcap");
        let mut command = namespace.command("tcpdump");
        // Unbuffered all the way, and still root: it may not give up the right to its own file.
        command
            .args(["-n", "-U", "--immediate-mode", "-Z", "root"])
            .args(["-s", LONGEST, "-B", BUFFER])
            .args(["-i", interface, "-w"])
            .arg(&file);
        let tcpdump = Process::spawn("tcpdump", command)?;
        tcpdump
            .wait_for_line("listening on", LIMIT)
            .context("cannot capture (tcpdump is in the package of that name)")?;
        Ok(Self {
            tcpdump,
            file,
            scratch,
        })
    }

    /// Ends the recording. Frames that were on the way a moment ago are in it; where any is
    /// missing, that is an error.
    pub fn stop(mut self) -> Result<Recording> {
        super::pause(Duration::from_millis(100))?;
        self.tcpdump.stop(LIMIT)?;
        let dropped = self.tcpdump.wait_for_line("dropped by kernel", LIMIT)?;
        ensure!(
            dropped.text.starts_with("0 "),
            "the recording is not complete: {}",
            dropped.text
        );
        Ok(Recording {
            file: self.file,
            _scratch: self.scratch,
        })
    }
}

impl Recording {
    /// The pcap file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// One row for each frame that `filter` lets through, one column for each of `fields`, both in
    /// tshark's words. A field that occurs more than once in a frame is joined with commas.
    pub fn decode(&self, fields: &[&str], filter: &str) -> Result<Vec<Vec<String>>> {
        let mut command = Command::new(process::find("tshark").unwrap_or_else(|| "tshark".into()));
        command.arg("-n").arg("-r").arg(&self.file);
        // Only what is checked can be found wrong, and checking is off by default.
        for protocol in ["ip", "udp"] {
            command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
        }
        command.args(["-Y", filter, "-T", "fields", "-E", "separator=/t"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let rows = process::read(&mut command)
            .context("cannot decode a capture (tshark is in the package of that name)")?;
        Ok(rows
            .lines()
            .map(|row| row.split('\t').map(str::to_owned).collect())
            .collect())
    }

    /// What is wrong with the frames that `filter` lets through: each one that tshark calls
    /// malformed, warns of, or finds a wrong checksum in. None is how it should be.
    ///
    /// The filter should leave out what local sockets sent, whose checksums may be unfinished.
    pub fn complaints(&self, filter: &str) -> Result<Vec<String>> {
        let fields = ["frame.number", "_ws.col.Info", "_ws.expert.message"];
        let wrong = "_ws.malformed || _ws.expert.severity >= warning \
            || ip.checksum.status == Bad || udp.checksum.status == Bad";
        let rows = self.decode(&fields, &format!("({filter}) && ({wrong})"))?;
        Ok(rows
            .into_iter()
            .map(|row| format!("frame {}", row.join(": ")))
            .collect())
    }
}
