//! What the responder shows: a status line, a summary, JSON, and lines about answers.
//!
//! Everything here turns plain data into text, and asks for nothing.

mod answers;
pub(crate) mod counters;
mod json;
mod reply;
mod status;
mod summary;
mod table;

use std::io::{self, Write as _};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice, stream::RawStream};
use anstyle::{AnsiColor, Style};

pub use answers::AnswerLog;
pub use json::JsonLines;
pub use reply::reply;
pub(crate) use reply::{lacs, prefixes};
pub use status::StatusLine;
pub use summary::summary;

use crate::snapshot::Snapshot;

/// The styles of the text for one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Palette {
    /// Titles.
    strong: Style,
    /// What is there for completeness.
    faint: Style,
    /// What may mean that something went wrong.
    alarming: Style,
}

impl Palette {
    /// Colours if the stream is a terminal that wants them: it may be dumb,
    /// and its user may have set NO_COLOR.
    pub fn of(stream: &impl RawStream) -> Self {
        match AutoStream::choice(stream) {
            ColorChoice::Never => Self::default(),
            _ => Self::coloured(),
        }
    }

    /// A title.
    pub(crate) fn strong(&self, text: &str) -> String {
        styled(text, self.strong)
    }

    /// What may mean that something went wrong.
    pub(crate) fn alarming(&self, text: &str) -> String {
        styled(text, self.alarming)
    }

    /// The styles of a terminal.
    fn coloured() -> Self {
        Self {
            strong: Style::new().bold(),
            faint: Style::new().dimmed(),
            alarming: AnsiColor::Yellow.on_default(),
        }
    }
}

/// Prints a text on standard output, of which a pager need not want all.
///
/// # Errors
///
/// Those of the output, but for a reader that has enough.
pub fn print(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// What was answered so far, in one line for whoever shows many services.
pub fn brief(snapshot: &Snapshot) -> String {
    format!(
        "{} answered of {} received",
        thousands(snapshot.answered()),
        thousands(snapshot.received())
    )
}

/// Text in a style; a style that says nothing adds nothing.
fn styled(text: &str, style: Style) -> String {
    format!("{style}{text}{style:#}")
}

/// The answers and the time of a snapshot, from which the next one's rate is derived.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    answered: u64,
    elapsed: Duration,
}

impl Progress {
    /// Where this snapshot stands.
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            answered: snapshot.answered(),
            elapsed: snapshot.elapsed,
        }
    }

    /// The answers a second from an earlier point to this one.
    fn per_second_since(self, earlier: Self) -> f64 {
        let seconds = self.elapsed.saturating_sub(earlier.elapsed).as_secs_f64();
        if seconds > 0.0 {
            self.answered.saturating_sub(earlier.answered) as f64 / seconds
        } else {
            0.0
        }
    }
}

/// What whoever follows and captures LACs lost, as far as anything.
pub(crate) fn losses(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let capture = snapshot.capture.unwrap_or_default();
    let losses = [
        ("events lost", snapshot.events_lost()),
        ("captured frames lost", capture.lost),
        ("captured frames failed", capture.failed),
    ];
    let losses = losses.into_iter().filter(|(_, count)| *count > 0);
    losses.map(|(what, count)| format!("{what} {}", thousands(count)))
}

/// Whether a counter of the driver counts frames lost on their way out.
///
/// Such a loss makes answers of no use, so it stands out from the others,
/// among which frames that were dropped on purpose may be.
fn loses_replies(name: &str) -> bool {
    name.contains("tx") || name.contains("xmit")
}

/// A number with a comma after every three digits.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in a table, where none is easy to overlook.
fn cell(count: u64) -> String {
    match count {
        0 => "-".to_owned(),
        count => thousands(count),
    }
}

/// A rate as a whole number.
pub(crate) fn rate(per_second: f64) -> String {
    thousands(per_second.round() as u64)
}

/// A time for people: to a tenth of a second under a minute, to a second above.
pub(crate) fn time(elapsed: Duration) -> String {
    if elapsed < Duration::from_secs(60) {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        humantime::format_duration(Duration::from_secs(elapsed.as_secs())).to_string()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use broken_lns_ebpf::verdict::Verdict;

    use super::*;
    use crate::play::Sent;
    use crate::snapshot::{InterfaceSnapshot, QueueSnapshot, XdpStatistics};

    /// One interface after ten seconds, on both paths and with losses.
    pub(crate) fn one_interface() -> Snapshot {
        let mut verdicts = [0; Verdict::COUNT];
        verdicts[Verdict::Answered as usize] = 12_345;
        verdicts[Verdict::Zlb as usize] = 1_005;
        verdicts[Verdict::LengthTooLong as usize] = 2;
        verdicts[Verdict::OtherTraffic as usize] = 77;
        Snapshot {
            elapsed: Duration::from_millis(10_040),
            interfaces: vec![InterfaceSnapshot {
                name: "eth1".to_owned(),
                verdicts,
                rewritten: 12_000,
                redirected: 345,
                sent: [0; Sent::COUNT],
                events_lost: 0,
                rules: Vec::new(),
                queues: vec![QueueSnapshot {
                    queue: 0,
                    answered: 345,
                    xdp_statistics: XdpStatistics {
                        rx_ring_full: 9,
                        ..XdpStatistics::default()
                    },
                }],
                driver: vec![
                    ("rx_queue_0_xdp_drops".to_owned(), 1_007),
                    ("rx_queue_0_xdp_tx_errors".to_owned(), 20),
                ],
            }],
            capture: None,
            last: false,
        }
    }

    #[test]
    fn every_third_digit_has_a_comma() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn a_time_is_as_exact_as_its_length_allows() {
        for (milliseconds, text) in [
            (0, "0.0 s"),
            (10_040, "10.0 s"),
            (59_900, "59.9 s"),
            (60_000, "1m"),
            (3_723_900, "1h 2m 3s"),
        ] {
            assert_eq!(time(Duration::from_millis(milliseconds)), text);
        }
    }

    #[test]
    fn a_rate_is_over_the_time_in_between() {
        let at = |answered, seconds| Progress {
            answered,
            elapsed: Duration::from_secs(seconds),
        };
        assert_eq!(at(300, 5).per_second_since(at(100, 3)), 100.0);
        assert_eq!(at(300, 5).per_second_since(at(300, 5)), 0.0);
    }
}
