//! QEMU's machine protocol, as far as link events take it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// How long QEMU may take to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection to the monitor of a QEMU.
#[derive(Debug)]
pub(super) struct Qmp {
    reader: BufReader<UnixStream>,
}

impl Qmp {
    /// Greets the monitor at the other end of `stream`.
    pub(super) fn new(stream: UnixStream) -> Result<Self> {
        stream.set_read_timeout(Some(LIMIT))?;
        let mut qmp = Self {
            reader: BufReader::new(stream),
        };
        qmp.read().context("QEMU's monitor does not greet")?;
        qmp.execute("qmp_capabilities", &json!({}))?;
        Ok(qmp)
    }

    /// Plugs a wire in or out.
    pub(super) fn set_link(&mut self, wire: &str, up: bool) -> Result<()> {
        self.execute("set_link", &json!({ "name": wire, "up": up }))
    }

    fn execute(&mut self, command: &str, arguments: &Value) -> Result<()> {
        let request = json!({ "execute": command, "arguments": arguments });
        writeln!(self.reader.get_mut(), "{request}")
            .with_context(|| format!("cannot ask QEMU for {command}"))?;
        loop {
            let answer = self
                .read()
                .with_context(|| format!("QEMU does not answer {command}"))?;
            // Events come in between.
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                bail!("QEMU refuses {command}: {error}");
            }
        }
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}
