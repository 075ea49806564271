//! The command line: every flag with its default, its unit and its checks.
//!
//! A value is validated here once, and nothing downstream reads text again.

mod capture;
mod control;
mod metrics;
mod privilege;
mod size;
mod track;

use std::{ffi::OsString, net::SocketAddr, num::NonZeroU16, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand, error::ErrorKind};

pub use capture::CaptureFlags;
pub use control::{ControlChoice, Load, Set, Target, Which};
pub use privilege::{FileFlags, PrivilegeFlags};
pub use track::{Report, Track};

use crate::{
    codes::{ErrorCodeChoice, ResultCode},
    judge::Failed,
    mode::{Path, Wait, XdpMode},
    refusal::{DEFAULT_ERROR_MESSAGE, Refusal, RefusalError},
};

/// An L2TP LNS that refuses on purpose, at line rate, to test LACs.
#[derive(Debug, Parser)]
#[command(name = "broken-lns", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Answer every SCCRQ that an interface receives with a StopCCN.
    ///
    /// The addresses of the virtual LNSs have to be routed to this machine; none of them needs to
    /// be configured here, and no port is bound. Everything but L2TP passes to the host untouched.
    Run(Box<Run>),

    /// Print the result and error codes with their names.
    Codes,

    /// Check a scenario file, and show every mistake in it.
    Check(Check),

    /// Print the catalogue of faults that a scenario can have, with all their keys.
    Faults,

    /// Show what a running responder does, and what it has counted.
    Status(Target),

    /// Show the rules of a running responder, with the hits of each.
    Rules(Target),

    /// Report what LACs have done so far that a running responder follows.
    Report(Report),

    /// Watch a running responder: its rates by verdict and queue, the hits of its rules, and what
    /// LACs do.
    Top(Which),

    /// Change the refusal of a running responder, everywhere or at some LNS addresses.
    ///
    /// What is not given stays as it is.
    Set(Set),

    /// Give a running responder another scenario.
    Load(Load),

    /// Let a running responder read its scenario file once more, as SIGHUP does.
    Reload(Target),

    /// Let the counters of a running responder begin at zero again; reports and the times of LACs
    /// go on.
    Reset(Target),

    /// Stop a running responder, and wait until nothing is attached any more.
    Stop(Target),
}

/// The arguments of `broken-lns check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The scenario file.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// How `broken-lns run` ends.
const STATUSES: &str = "\
Exit status:
  0  all went well; an expectation of which too little was seen does not fail
  1  something went wrong, whatever LACs did; a report that could not be written counts
  2  wrong usage
  3  all went well, and LACs broke an expectation of the scenario";

const _: () = assert!(Failed::STATUS == 3, "the exit status in the help");

/// The flags of `broken-lns run`.
#[derive(Debug, Args)]
#[command(after_help = STATUSES)]
pub struct Run {
    /// Interface that the SCCRQs arrive at; give it again for more of them.
    #[arg(short, long = "interface", value_name = "NAME", default_value = "eth1")]
    pub interfaces: Vec<String>,

    /// Result code of the StopCCN: a number from 0 to 65535 or a name of `broken-lns codes`.
    #[arg(long, value_name = "CODE", default_value = "0", help_heading = REPLY)]
    pub result_code: ResultCode,

    /// Error code of the StopCCN: a number from 0 to 65535, a name of `broken-lns codes`, or
    /// `none` to leave error code and message out.
    #[arg(long, value_name = "CODE|none", default_value = "4", help_heading = REPLY)]
    pub error_code: ErrorCodeChoice,

    /// Error message of the StopCCN, up to 1013 octets; an empty one is left out
    /// [default: "Internal error", or nothing with --error-code none].
    #[arg(long, value_name = "TEXT", help_heading = REPLY)]
    pub error_message: Option<String>,

    /// Tunnel id that the StopCCN claims to have assigned, from 1 to 65535.
    #[arg(long, value_name = "ID", default_value = "12345", help_heading = REPLY)]
    pub assigned_tunnel_id: NonZeroU16,

    /// Scenario file, with a rule for each LNS that fails in a way of its own; the flags above are
    /// the default fault of a file that has none.
    #[arg(long, value_name = "FILE", help_heading = REPLY)]
    pub scenario: Option<PathBuf>,

    /// Where the reply is written.
    #[arg(long, value_enum, value_name = "PATH", default_value_t, help_heading = DATA_PATH)]
    pub path: Path,

    /// How the XDP program attaches.
    #[arg(long, value_enum, value_name = "MODE", default_value_t, help_heading = DATA_PATH)]
    pub xdp_mode: XdpMode,

    /// Take the place of an XDP program that is already attached.
    #[arg(long, help_heading = DATA_PATH)]
    pub replace: bool,

    /// Number of NIC queues that get a worker, from queue 0 on [default: all that the interface
    /// has].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = DATA_PATH)]
    pub queues: Option<u32>,

    /// Most frames that a worker takes at a time, from 1 to 2048.
    #[arg(
        long,
        value_name = "FRAMES",
        default_value_t = 256,
        value_parser = clap::value_parser!(u32).range(1..=2048),
        help_heading = DATA_PATH
    )]
    pub batch_size: u32,

    /// What workers do while there are no frames.
    #[arg(long, value_enum, value_name = "HOW", default_value_t, help_heading = DATA_PATH)]
    pub wait: Wait,

    /// Answer frames to any MAC address, as on a mirror port, and not only to the interface's own.
    #[arg(long, help_heading = FILTER)]
    pub any_mac: bool,

    /// Check the checksums of every control message, in UDP and in the IPv4 header. Requests from
    /// local sockets over veth carry unfinished ones of UDP, and would not be answered.
    #[arg(long, help_heading = FILTER)]
    pub verify_checksum: bool,

    /// Which LACs are followed, and where that is reported.
    #[command(flatten)]
    pub track: Track,

    /// Whether frames are captured, and where to.
    #[command(flatten)]
    pub capture: CaptureFlags,

    /// What files are created with.
    #[command(flatten)]
    pub files: FileFlags,

    /// What the process may do.
    #[command(flatten)]
    pub privilege: PrivilegeFlags,

    /// Where the socket for `broken-lns status`, `set` and the like is; `none` for no socket
    /// [default: /run/broken-lns/INTERFACE.sock].
    #[arg(long, value_name = "PATH|none", help_heading = OUTPUT)]
    pub control: Option<ControlChoice>,

    /// Serve metrics for Prometheus there, at /metrics: an address and a port, or a port alone for
    /// 127.0.0.1 [default: off].
    #[arg(long, value_name = "ADDR:PORT", value_parser = metrics::parse_address, help_heading = OUTPUT)]
    pub metrics: Option<SocketAddr>,

    /// Stop after this time, such as 30s, 5m or "1h 30m" [default: at Ctrl-C or SIGTERM].
    #[arg(long, value_name = "TIME", value_parser = parse_duration, help_heading = OUTPUT)]
    pub duration: Option<Duration>,

    /// Print one JSON object a line on standard output: every second, and a last one with
    /// "final": true.
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Print a line for every answered SCCRQ, and for every control message that has no answer
    /// because of its Length, at most 100 a second of each; -vv adds the messages of the kernel
    /// half.
    #[arg(short, long, action = ArgAction::Count, help_heading = OUTPUT)]
    pub verbose: u8,
}

const REPLY: &str = "Reply";
const DATA_PATH: &str = "Data path";
const FILTER: &str = "Filter";
const OUTPUT: &str = "Output";

impl Cli {
    /// Reads the command line; prints usage errors and help, and exits after them.
    pub fn from_command_line() -> Self {
        Self::from_arguments(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Reads these arguments, the first of which is the name of the command.
    ///
    /// # Errors
    ///
    /// Those of usage, and requests for help or the version.
    pub fn from_arguments<A>(arguments: A) -> Result<Self, clap::Error>
    where
        A: IntoIterator,
        A::Item: Into<OsString> + Clone,
    {
        let cli = Self::try_parse_from(arguments)?;
        if let Command::Run(run) = &cli.command {
            run.check()?;
        }
        Ok(cli)
    }
}

impl Run {
    /// The refusal that the flags describe.
    ///
    /// # Errors
    ///
    /// None for a command line that [`Cli`] accepted, which has checked it.
    pub fn refusal(&self) -> Result<Refusal, RefusalError> {
        let error = self.error_code.0;
        let message = match &self.error_message {
            Some(message) => message,
            None if error.is_some() => DEFAULT_ERROR_MESSAGE,
            None => "",
        };
        Refusal::new(self.result_code, error, message, self.assigned_tunnel_id)
    }

    /// Checks what holds between flags, which clap cannot express.
    fn check(&self) -> Result<(), clap::Error> {
        for (index, name) in self.interfaces.iter().enumerate() {
            if self.interfaces[..index].contains(name) {
                return Err(usage_error(format_args!(
                    "interface `{name}` is given more than once"
                )));
            }
        }
        self.refusal().map_err(usage_error)?;
        self.track.check().map_err(usage_error)?;
        if self.capture.capture.is_some() && self.track.settings().is_none() {
            return Err(usage_error(
                "--capture has nothing to capture, since --track none follows no LAC; follow all \
                 of them, or some with --track 1/N",
            ));
        }
        Ok(())
    }
}

/// An error in the shape of clap's own, so that it looks and exits like them.
fn usage_error(message: impl std::fmt::Display) -> clap::Error {
    let mut command = Cli::command();
    command.build();
    match command.find_subcommand_mut("run") {
        Some(run) => run.error(ErrorKind::ValueValidation, message),
        None => command.error(ErrorKind::ValueValidation, message),
    }
}

/// Reads a time with its unit, which has to last at all.
fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("has to be longer than 0s".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; give a number and a unit, such as 30s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::FileLimit;
    use crate::codes::ErrorCode;

    fn run(flags: &[&str]) -> Result<Run, clap::Error> {
        let arguments = ["broken-lns", "run"].iter().chain(flags);
        match Cli::from_arguments(arguments)?.command {
            Command::Run(run) => Ok(*run),
            _ => unreachable!("the arguments say run"),
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_defaults_are_those_of_the_original_script() {
        let run = run(&[]).expect("every flag has a default");
        let refusal = run.refusal().expect("the default refusal is valid");
        assert_eq!(run.interfaces, ["eth1"]);
        assert_eq!(refusal, Refusal::default());
        assert_eq!(refusal.result(), ResultCode(0));
        assert_eq!(refusal.error(), Some(ErrorCode(4)));
        assert_eq!(refusal.message(), "Internal error");
        assert_eq!(refusal.assigned_tunnel_id().get(), 12345);
        assert_eq!((run.path, run.xdp_mode), (Path::Auto, XdpMode::Auto));
        assert_eq!((run.queues, run.batch_size), (None, 256));
        assert_eq!(run.duration, None);
        assert!(!(run.any_mac || run.verify_checksum || run.replace || run.json));
        assert_eq!(run.wait, Wait::Adaptive);
        assert_eq!(
            (run.capture.capture.as_ref(), run.capture.ring()),
            (None, None)
        );
        assert_eq!(run.verbose, 0);
    }

    #[test]
    fn every_flag_is_read() {
        let run = run(&[
            "-i",
            "a",
            "--interface",
            "b",
            "--result-code",
            "general-error",
            "--error-code",
            "insufficient-resources",
            "--error-message",
            "busy",
            "--assigned-tunnel-id",
            "7",
            "--path",
            "redirect",
            "--xdp-mode",
            "generic",
            "--any-mac",
            "--verify-checksum",
            "--replace",
            "--wait",
            "spin",
            "--json",
            "--scenario",
            "flaky.toml",
            "--capture",
            "x.pcapng",
            "--capture-limit",
            "100MiB",
            "--queues",
            "2",
            "--batch-size",
            "2048",
            "--duration",
            "1m 30s",
            "-vv",
        ])
        .expect("all of these are valid");
        let refusal = run.refusal().expect("this refusal is valid");
        assert_eq!(run.interfaces, ["a", "b"]);
        assert_eq!(refusal.result(), ResultCode(2));
        assert_eq!(refusal.error(), Some(ErrorCode(4)));
        assert_eq!(refusal.message(), "busy");
        assert_eq!(refusal.assigned_tunnel_id().get(), 7);
        assert_eq!((run.path, run.xdp_mode), (Path::Redirect, XdpMode::Generic));
        assert_eq!((run.queues, run.batch_size), (Some(2), 2048));
        assert_eq!(run.duration, Some(Duration::from_secs(90)));
        assert!(run.any_mac && run.verify_checksum && run.replace && run.json);
        assert_eq!(run.wait, Wait::Spin);
        assert_eq!(run.capture.capture, Some(PathBuf::from("x.pcapng")));
        assert_eq!(run.capture.ring(), Some(8 << 20));
        let limit = run.capture.capture_limit.map(FileLimit::octets);
        assert_eq!(limit, Some(100 << 20));
        assert_eq!(run.scenario, Some(PathBuf::from("flaky.toml")));
        assert_eq!(run.verbose, 2);
    }

    #[test]
    fn no_error_code_means_no_message() {
        for flags in [
            &["--error-code", "none"][..],
            &["--error-code", "none", "--error-message", ""],
        ] {
            let refusal = run(flags).expect("valid").refusal().expect("valid");
            assert_eq!((refusal.error(), refusal.message()), (None, ""));
        }
    }

    #[test]
    fn an_empty_message_is_left_out() {
        let run = run(&["--error-message", ""]).expect("valid");
        let refusal = run.refusal().expect("valid");
        assert_eq!(
            (refusal.error(), refusal.message()),
            (Some(ErrorCode(4)), "")
        );
    }

    #[test]
    fn wrong_usage_says_what_is_wrong() {
        let too_long = "x".repeat(1014);
        for (flags, message) in [
            (
                &["-i", "a", "-i", "b", "-i", "a"][..],
                "interface `a` is given more than once",
            ),
            (
                &["--error-code", "none", "--error-message", "text"],
                "an error message needs an error code before it",
            ),
            (
                &["--error-message", &too_long],
                "the error message is 1014 octets long, but one AVP holds 1013",
            ),
            (
                &["--result-code", "general"],
                "did you mean `general-error`?",
            ),
            (&["--result-code", "65536"], "a number from 0 to 65535"),
            (&["--error-code", "-1"], "-1"),
            (&["--assigned-tunnel-id", "0"], "invalid value '0'"),
            (&["--queues", "0"], "0 is not in 1.."),
            (&["--batch-size", "0"], "0 is not in 1..=2048"),
            (&["--batch-size", "2049"], "2049 is not in 1..=2048"),
            (&["--duration", "0s"], "has to be longer than 0s"),
            (
                &["--duration", "30"],
                "give a number and a unit, such as 30s",
            ),
            (&["--path", "fast"], "auto, rewrite, redirect"),
            (
                &["--track", "none", "--capture", "x.pcapng"],
                "--capture has nothing to capture, since --track none follows no LAC",
            ),
            (
                &["--capture-limit", "1MiB"],
                "required arguments were not provided:\n  --capture <FILE.pcapng>",
            ),
            (
                &["--capture", "x.pcapng", "--capture-limit", "63K"],
                "has to be at least 64KiB",
            ),
            (
                &["--capture", "x.pcapng", "--capture-limit", "many"],
                "not a size; give a number and a unit",
            ),
            (
                &["--capture", "x.pcapng", "--capture-ring", "5000"],
                "takes a power of two",
            ),
        ] {
            let error = run(flags).expect_err("this is wrong usage");
            assert!(error.to_string().contains(message), "{flags:?}: {error}");
            assert_eq!(error.exit_code(), 2, "{flags:?}");
        }
    }

    #[test]
    fn the_help_groups_the_flags_and_shows_the_defaults() {
        let help = Cli::from_arguments(["broken-lns", "run", "--help"])
            .expect_err("help ends the command")
            .to_string();
        // Where the lines break depends on the terminal that the tests run in.
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in [
            "Reply:",
            "Data path:",
            "Filter:",
            "Output:",
            "-i, --interface <NAME>",
            "[default: eth1]",
            "[default: 12345]",
            "--error-code <CODE|none>",
            "[default: \"Internal error\", or nothing with --error-code none]",
        ] {
            assert!(help.contains(text), "{text} in {help}");
        }
    }
}
