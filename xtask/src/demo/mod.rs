//! `cargo xtask demo`: a real LAC is refused before your eyes, in a lab that is built for it.

mod conversation;
mod dialler;
mod words;

use std::{
    fmt,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use self::{conversation::Conversation, dialler::Dialler};
use crate::lab::{self, Lab, Process, Stream, interrupt};

/// How long anything may take that ought to take an instant.
const LIMIT: Duration = Duration::from_secs(10);

/// One run of the responder, and what the LAC is told to do meanwhile.
struct Scene {
    title: &'static str,
    /// The flags of the responder beside `-i eth1`, as they would be typed.
    flags: &'static [&'static str],
    /// The virtual LNSs that are dialled one after another.
    dialled: &'static [u8],
    /// Whether the LAC dials again by itself, after two seconds.
    redials: bool,
    /// How long to go on watching after the last one.
    watch: Duration,
}

const SCENES: [Scene; 3] = [
    Scene {
        title: "The default: result 0, which is reserved",
        flags: &[],
        dialled: &[1],
        redials: false,
        watch: Duration::from_secs(3),
    },
    Scene {
        title: "A vendor's own error, answered by the worker in user space",
        flags: &[
            "--result-code",
            "2",
            "--error-code",
            "6",
            "--error-message",
            "Closed for today",
            "--path",
            "redirect",
        ],
        dialled: &[2, 3, 254],
        redials: false,
        watch: Duration::from_millis(100),
    },
    Scene {
        title: "Try another LNS, answered inside the kernel",
        flags: &[
            "--result-code",
            "general-error",
            "--error-code",
            "try-another",
            "--error-message",
            "",
            "--path",
            "rewrite",
        ],
        dialled: &[4],
        redials: true,
        watch: Duration::from_millis(100),
    },
];

/// Plays the scenes: with the LAC `xl2tpd` if there is one, and else with a minimal one of ours.
///
/// `responder` is the program broken-lns. On every way out, Ctrl-C included, nothing is left.
pub fn run(responder: &Path, xl2tpd: Option<PathBuf>) -> Result<()> {
    if let Some(obstacle) = lab::obstacle(&[]) {
        bail!(
            "the demo cannot run: {obstacle}. \
             As another user, try: sudo env \"PATH=$PATH\" cargo xtask demo"
        );
    }
    interrupt::catch()?;
    play(responder, xl2tpd.as_deref()).map_err(|error| match interrupt::caught() {
        true => anyhow!("interrupted; the lab is gone, and nothing is left behind"),
        false => error,
    })?;
    say(format_args!(
        "\nThe lab is gone. To refuse a LAC of yours: cargo xtask run -- run -i INTERFACE"
    ))
}

fn play(responder: &Path, xl2tpd: Option<&Path>) -> Result<()> {
    let lab = Lab::routed().build()?;
    let dialled: Vec<(u8, bool)> = SCENES
        .iter()
        .flat_map(|scene| scene.dialled.iter().map(|number| (*number, scene.redials)))
        .collect();
    let mut dialler = Dialler::start(&lab, xl2tpd, &dialled)?;
    // The first frames that a new port sees have no good time stamps yet, so it is opened early.
    let conversation = Conversation::listen(&lab)?;
    say(format_args!("{}", map(&lab, dialler.name())))?;
    if xl2tpd.is_none() {
        say(format_args!(
            "\nThere is no xl2tpd here, so a minimal LAC of our own takes its place: it asks, \
             acknowledges,\nand believes every answer. Install xl2tpd to see how a real one reacts."
        ))?;
    }
    for (index, scene) in SCENES.iter().enumerate() {
        say(format_args!("\n{}. {}\n", index + 1, scene.title))?;
        scene.play(responder, &lab, &mut dialler, &conversation)?;
    }
    Ok(())
}

/// Prints a line. A reader that went away is an error like any other, so that we clean up.
fn say(line: fmt::Arguments) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("cannot print")
}

/// Where everything is.
fn map(lab: &Lab, lac: &str) -> String {
    format!(
        "  LAC ----------------- router ----------------- box
  {lac:<21} routes 192.0.2.0/24      broken-lns on {}
  {:<21} to the box               {}

Nobody has an address in 192.0.2.0/24, and nothing listens on UDP port 1701 of the box.
Indented lines in quotes are from the LAC's own log.",
        Lab::INTERFACE,
        lab.lac_address(),
        lab.responder_address(),
    )
}

impl Scene {
    fn play(
        &self,
        responder: &Path,
        lab: &Lab,
        dialler: &mut Dialler,
        conversation: &Conversation,
    ) -> Result<()> {
        say(format_args!(
            "   $ broken-lns run -i {}{}",
            Lab::INTERFACE,
            self.typed()
        ))?;
        let mut command = lab.responder.command(responder);
        command
            .args(["run", "-i", Lab::INTERFACE, "--json"])
            .args(["--control", "none"])
            .args(self.flags);
        let mut running = Process::spawn("broken-lns", command)?;
        let ready = format!("{}: attached", Lab::INTERFACE);
        running
            .wait_for_line(&ready, LIMIT)
            .context("the responder did not start")?;
        let lines = running.lines();
        for line in lines.iter().filter(|line| line.stream == Stream::Stderr) {
            say(format_args!("   {}", line.text))?;
        }

        for (index, number) in self.dialled.iter().enumerate() {
            say(format_args!(""))?;
            dialler.dial(lab, *number, self.redials)?;
            let is_last = index + 1 == self.dialled.len();
            // A moment for the acknowledgement, which is the last word.
            let watch = if is_last {
                self.watch
            } else {
                Duration::from_millis(100)
            };
            lab::pause(watch)?;
            conversation.tell(dialler, watch)?;
        }

        running.stop(LIMIT)?;
        say(format_args!("\n   {}", account(&running)?))?;
        Ok(())
    }

    /// The flags as one types them in a shell.
    fn typed(&self) -> String {
        self.flags
            .iter()
            .map(|word| match word {
                word if word.is_empty() || word.contains(' ') => format!(" \"{word}\""),
                word => format!(" {word}"),
            })
            .collect()
    }
}

/// What the responder itself counted, from the last line of its JSON.
fn account(responder: &Process) -> Result<String> {
    let lines = responder.lines();
    let last = lines
        .iter()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(&line.text).ok())
        .find(|value| value["final"] == true)
        .context("the responder ended without its final counts")?;
    let count = |key: &str| {
        last[key]
            .as_u64()
            .with_context(|| format!("the responder's counts lack `{key}`"))
    };
    Ok(format!(
        "broken-lns counted: {} answered, {} of them inside the kernel, {} by the worker",
        count("answered")?,
        count("rewritten")?,
        count("redirected")?,
    ))
}
