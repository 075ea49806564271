//! The flags about LACs that are followed, and about reports.

use std::path::{Path, PathBuf};
use std::time::Duration;

use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;
use clap::Args;

use super::size::{parse_ring, parse_size};
use super::{FileFlags, OUTPUT, Which, parse_duration};
use crate::program::UNUSED_RING;
use crate::report::Format;
use crate::track::Settings;

const TRACK: &str = "What LACs do";

/// The flags of `broken-lns run` about LACs that are followed.
#[derive(Debug, Args)]
pub struct Track {
    /// Follow what every LAC does about its answers, or 1 LAC of N, as a hash of its address
    /// chooses, or none.
    #[arg(
        long,
        value_name = "all|1/N|none",
        default_value = "all",
        value_parser = parse_sample,
        help_heading = TRACK
    )]
    pub track: Sample,

    /// Memory for what is known of them, at the most; at the bound, the LAC that was heard of the
    /// longest ago is given up, and counted.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "256MiB",
        value_parser = parse_memory,
        help_heading = TRACK
    )]
    pub track_memory: usize,

    /// How long a LAC has to be quiet to have given up: longer than any of them locks an LNS out, or
    /// it is taken for given up until it comes back.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "10m",
        value_parser = parse_duration,
        help_heading = TRACK
    )]
    pub track_patience: Duration,

    /// Follow LACs whose time runs so many times as fast as the clock: a rehearsal of what they do
    /// in hours. All times of a report are theirs.
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=1000),
        hide = true,
        help_heading = TRACK
    )]
    pub track_clock_rate: u32,

    /// Room for events between the kernel half and whoever follows, for each interface: a power
    /// of two.
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16MiB",
        value_parser = parse_ring,
        hide = true,
        help_heading = TRACK
    )]
    pub track_ring: u32,

    /// Write a report of what LACs did to this file at the end: .txt, .json, .md, .html, or .xml for
    /// test systems, as JUnit has it; give it again for more of them.
    #[arg(long = "report", value_name = "FILE", value_parser = parse_report, help_heading = OUTPUT)]
    pub reports: Vec<PathBuf>,

    /// Write the reports this often, too, such as 10s or 5m. A file always has a whole report.
    #[arg(
        long,
        value_name = "TIME",
        value_parser = parse_duration,
        requires = "reports",
        help_heading = OUTPUT
    )]
    pub report_interval: Option<Duration>,
}

/// The arguments of `broken-lns report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The form: text, json, md, html or junit [default: what the name of FILE ends in, or text].
    #[arg(long, value_name = "FORM", value_parser = parse_format)]
    pub format: Option<Format>,

    /// Write it to this file, which has its old contents or all of the new ones [default: standard
    /// output].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// What the file is created with.
    #[command(flatten)]
    pub files: FileFlags,

    /// Which responder.
    #[command(flatten)]
    pub which: Which,
}

impl Track {
    /// What is wrong between these flags, which clap cannot express.
    pub(super) fn check(&self) -> Result<(), String> {
        for (index, file) in self.reports.iter().enumerate() {
            if self.reports[..index].contains(file) {
                return Err(format!(
                    "--report {} is given more than once",
                    file.display()
                ));
            }
        }
        match self.reports.first() {
            Some(file) if self.track == Sample::NONE => Err(format!(
                "--report {} has nothing to say, since --track none follows no LAC; follow all \
                 of them, or some with --track 1/N",
                file.display()
            )),
            _ => Ok(()),
        }
    }

    /// How LACs are followed; `None` where none is.
    pub fn settings(&self) -> Option<Settings> {
        (self.track != Sample::NONE).then(|| Settings {
            memory: self.track_memory,
            sample: self.track,
            patience: u64::try_from(self.track_patience.as_nanos()).unwrap_or(u64::MAX),
            jitter: Settings::JITTER * u64::from(self.track_clock_rate),
        })
    }

    /// Octets of the ring buffer for events, which takes no room where there are none.
    pub fn events_size(&self) -> u32 {
        match self.track {
            Sample::NONE => UNUSED_RING,
            _ => self.track_ring,
        }
    }
}

impl Report {
    /// The form that is asked for.
    ///
    /// # Errors
    ///
    /// Where nothing but the name of the file could tell, and that does not.
    pub fn format(&self) -> Result<Format, crate::report::UnknownFormat> {
        match (self.format, &self.output) {
            (Some(format), _) => Ok(format),
            (None, Some(file)) => Format::of(file),
            (None, None) => Ok(Format::Text),
        }
    }
}

/// Reads which LACs are followed.
fn parse_sample(text: &str) -> Result<Sample, String> {
    match text {
        "all" => return Ok(Sample::ALL),
        "none" => return Ok(Sample::NONE),
        _ => {}
    }
    let number = text.strip_prefix("1/").and_then(|number| {
        let is_number = number.bytes().all(|octet| octet.is_ascii_digit());
        number.parse().ok().filter(|_| is_number)
    });
    match number {
        Some(number @ 1..) => Ok(Sample::one_of(number)),
        _ => Err("takes `all`, `none`, or 1/N for one LAC of N, such as 1/100".to_owned()),
    }
}

/// Reads the memory for what is known of LACs.
fn parse_memory(text: &str) -> Result<usize, String> {
    let size = parse_size(text)?;
    let least = Settings::LEAST_MEMORY;
    usize::try_from(size)
        .ok()
        .filter(|size| *size >= least)
        .ok_or_else(|| {
            format!(
                "too little to follow LACs with: give {} MiB at the least, or --track none",
                least >> 20
            )
        })
}

/// Reads the name of a file, which has to tell the form of a report.
fn parse_report(text: &str) -> Result<PathBuf, String> {
    let file = Path::new(text);
    match Format::of(file) {
        Ok(_) => Ok(file.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads the form of a report, by one of the extensions of its files.
fn parse_format(text: &str) -> Result<Format, String> {
    Format::named(text).ok_or_else(|| {
        let names = Format::ALL.map(Format::name);
        format!("takes one of {}", names.join(", "))
    })
}

const _: () = assert!(maps::EVENTS_SIZE == 16 << 20, "the default of --track-ring");
const _: () = assert!(
    Settings::MEMORY == 256 << 20,
    "the default of --track-memory"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};

    fn read(arguments: &[&str]) -> Result<Command, clap::Error> {
        let arguments = ["broken-lns"].iter().chain(arguments);
        Cli::from_arguments(arguments).map(|cli| cli.command)
    }

    fn track(flags: &[&str]) -> Result<Track, clap::Error> {
        match read(&[&["run"], flags].concat())? {
            Command::Run(run) => Ok(run.track),
            _ => unreachable!("the arguments say run"),
        }
    }

    fn report(flags: &[&str]) -> Report {
        match read(&[&["report"], flags].concat()) {
            Ok(Command::Report(report)) => report,
            other => unreachable!("the arguments say report: {other:?}"),
        }
    }

    #[test]
    fn every_lac_is_followed_unless_asked_otherwise() {
        let track = track(&[]).expect("every flag has a default");
        assert_eq!(track.settings(), Some(Settings::default()));
        assert_eq!(track.events_size(), maps::EVENTS_SIZE);
        assert_eq!((track.reports.len(), track.report_interval), (0, None));
    }

    #[test]
    fn some_are_followed_or_none() {
        for (value, sample) in [
            ("all", Sample::ALL),
            ("1/1", Sample::ALL),
            ("1/100", Sample::one_of(100)),
            ("none", Sample::NONE),
        ] {
            assert_eq!(track(&["--track", value]).expect(value).track, sample);
        }
        let none = track(&["--track", "none"]).expect("it is a value");
        assert_eq!((none.settings(), none.events_size()), (None, UNUSED_RING));
    }

    #[test]
    fn patience_may_be_longer_than_any_run() {
        let track = track(&["--track-patience", "1000years"]).expect("it is a time");
        assert_eq!(track.settings().expect("all").patience, u64::MAX);
    }

    #[test]
    fn a_size_has_a_unit() {
        for (text, size) in [
            ("33554432", 32 << 20),
            ("32MiB", 32 << 20),
            ("64M", 64 << 20),
            ("65536 k", 64 << 20),
            ("1g", 1 << 30),
        ] {
            let track = track(&["--track-memory", text]).expect(text);
            assert_eq!(track.track_memory, size, "{text}");
        }
        assert_eq!(
            track(&["--track-ring", "4KiB"])
                .expect("it is a size")
                .events_size(),
            4096
        );
    }

    #[test]
    fn the_form_of_a_report_is_told_or_is_that_of_its_file() {
        for (flags, format) in [
            (&[][..], Format::Text),
            (&["--format", "md"], Format::Markdown),
            (&["--format", "TXT"], Format::Text),
            (&["-o", "a.html"], Format::Html),
            (&["-o", "a.html", "--format", "json"], Format::Json),
            (&["-o", "a", "--format", "text"], Format::Text),
        ] {
            assert_eq!(report(flags).format(), Ok(format), "{flags:?}");
        }
        assert!(report(&["-o", "a.pdf"]).format().is_err());
    }

    #[test]
    fn wrong_usage_says_what_is_wrong() {
        for (arguments, message) in [
            (
                &["run", "--track", "1/0"][..],
                "takes `all`, `none`, or 1/N for one LAC of N",
            ),
            (&["run", "--track", "2/3"], "takes `all`, `none`, or 1/N"),
            (&["run", "--track", "1/+3"], "takes `all`, `none`, or 1/N"),
            (
                &["run", "--track-memory", "31MiB"],
                "'31MiB' for '--track-memory <SIZE>': too little to follow LACs with: give 32 MiB \
                 at the least, or --track none",
            ),
            (
                &["run", "--track-memory", "1T"],
                "not a size; give a number",
            ),
            (
                &["run", "--track-memory", "MiB"],
                "not a size; give a number",
            ),
            (
                &["run", "--track-memory", "99999999999G"],
                "not a size; give a number",
            ),
            (
                &["run", "--track-ring", "12KiB"],
                "a power of two from 4KiB to 1GiB",
            ),
            (
                &["run", "--report", "a.pdf"],
                "cannot tell the form of the report \"a.pdf\" from its name, which has to end in",
            ),
            (
                &["run", "--report", "a.md", "--report", "a.md"],
                "--report a.md is given more than once",
            ),
            (
                &["run", "--report", "a.md", "--track", "none"],
                "--report a.md has nothing to say, since --track none follows no LAC",
            ),
            (&["run", "--report-interval", "5s"], "--report <FILE>"),
            (
                &["run", "--report", "a.md", "--report-interval", "0s"],
                "has to be longer than 0s",
            ),
            (
                &["report", "--format", "pdf"],
                "takes one of text, json, md, html, junit",
            ),
        ] {
            let error = read(arguments).expect_err("this is wrong usage");
            assert!(
                error.to_string().contains(message),
                "{arguments:?}: {error}"
            );
            assert_eq!(error.exit_code(), 2, "{arguments:?}");
        }
    }
}
