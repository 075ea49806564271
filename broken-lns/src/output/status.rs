//! The status line: one line of a terminal that is drawn anew each second.
//!
//! Lines that are printed while it stands go above it. On anything but a
//! terminal there is no status line, and the other lines are all there is.

use std::{
    fmt::Display,
    io::{self, IsTerminal as _, Write},
};

use anstyle::Style;
use broken_lns_ebpf::verdict::Verdict;

use super::{Palette, Progress, Queued, loses_replies, losses, rate, styled, thousands, time};
use crate::printable;
use crate::snapshot::{Snapshot, is_received};

/// Erases from the cursor to the end of the line.
const ERASE: &str = "\x1b[K";

/// Erases the line.
const ERASED: &str = "\r\x1b[K";

/// The width that is taken for a terminal that does not tell its own.
const USUAL_WIDTH: usize = 80;

/// A line that is drawn anew, and the lines above it.
///
/// A terminal that has gone away is no reason to stop answering, so that
/// nothing here reports an error.
#[derive(Debug)]
pub struct StatusLine<W: Write> {
    out: W,
    /// Asks for the width of the terminal, in columns; none without a terminal.
    width: Option<fn() -> usize>,
    palette: Palette,
    before: Progress,
    /// What stands on the terminal now.
    drawn: String,
}

impl StatusLine<Queued> {
    /// A status line on standard error, which nobody waits for.
    ///
    /// # Errors
    ///
    /// Where there is no thread for it.
    pub fn on_stderr() -> io::Result<Self> {
        let stderr = io::stderr();
        let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let palette = Palette::of(&stderr);
        let is_drawn = stderr.is_terminal() && !is_dumb;
        let out = Queued::stderr(if is_drawn { ERASED } else { "" })?;
        let width = is_drawn.then_some(width_of_stderr as fn() -> usize);
        Ok(Self::new(out, width, palette))
    }

    /// What it is written to.
    pub fn output(&self) -> &Queued {
        &self.out
    }
}

impl<W: Write> StatusLine<W> {
    fn new(out: W, width: Option<fn() -> usize>, palette: Palette) -> Self {
        Self {
            out,
            width,
            palette,
            before: Progress::default(),
            drawn: String::new(),
        }
    }

    /// Draws the line anew.
    pub fn update(&mut self, snapshot: &Snapshot) {
        let now = Progress::of(snapshot);
        let per_second = now.per_second_since(self.before);
        self.before = now;
        let Some(width) = self.width else {
            return;
        };
        // The last column stays free, since some terminals wrap as soon as it is filled.
        let columns = width().saturating_sub(1);
        self.drawn = clipped(&parts(snapshot, per_second, &self.palette), columns);
        self.write(&format!("\r{}{ERASE}", self.drawn));
    }

    /// Begins anew, since the counters do.
    pub fn reset(&mut self) {
        self.before = Progress::default();
    }

    /// Prints a line above the status line, whoever wrote it.
    pub fn line(&mut self, text: impl Display) {
        let text = printable::lines(&text.to_string());
        self.write(&match self.drawn.is_empty() {
            true => format!("{text}\n"),
            false => format!("{ERASED}{text}\n{}", self.drawn),
        });
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if !self.drawn.is_empty() {
            self.drawn.clear();
            self.write(ERASED);
        }
    }

    /// Writes it all at once, so that nothing comes in between.
    fn write(&mut self, text: &str) {
        let _ = self.out.write_all(text.as_bytes());
        let _ = self.out.flush();
    }
}

impl<W: Write> Drop for StatusLine<W> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The columns of the terminal that standard error goes to.
fn width_of_stderr() -> usize {
    terminal_size::terminal_size_of(io::stderr())
        .map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
}

/// What the line says, the most important first, since its end may be cut off.
fn parts(snapshot: &Snapshot, per_second: f64, palette: &Palette) -> Vec<(String, Style)> {
    let plain = Style::new();
    let mut parts = vec![
        (time(snapshot.elapsed), palette.faint),
        (
            format!("received {}", thousands(snapshot.received())),
            plain,
        ),
        (
            format!(
                "answered {} ({}/s)",
                thousands(snapshot.answered()),
                rate(per_second)
            ),
            palette.strong,
        ),
    ];
    // A driver that loses what we transmit makes answers of no use, so this comes first.
    let driver = || {
        snapshot
            .interfaces
            .iter()
            .flat_map(|interface| &interface.driver)
    };
    let count = |(name, count): &(String, u64)| format!("{name} {}", thousands(*count));
    let lost = driver().filter(|(name, _)| loses_replies(name));
    parts.extend(lost.map(|counter| (count(counter), palette.alarming)));

    parts.extend(losses(snapshot).map(|loss| (loss, palette.alarming)));

    let verdicts = snapshot.verdicts();
    let others = |received: bool| {
        let counts = Verdict::ALL.iter().zip(verdicts);
        counts.filter(move |(verdict, count)| {
            **verdict != Verdict::Answered && *count > 0 && is_received(**verdict) == received
        })
    };
    for (received, style) in [(true, plain), (false, palette.faint)] {
        parts.extend(others(received).map(|(verdict, count)| {
            let text = format!("{} {}", verdict.label(), thousands(count));
            (text, style)
        }));
    }
    let rest = driver().filter(|(name, _)| !loses_replies(name));
    parts.extend(rest.map(|counter| (count(counter), palette.faint)));
    parts
}

/// The parts side by side, as far as they fit; all of it is ASCII but for the texts' styles.
fn clipped(parts: &[(String, Style)], columns: usize) -> String {
    const GAP: &str = "  ";

    let mut line = String::new();
    let mut room = columns;
    for (index, (text, style)) in parts.iter().enumerate() {
        let gap = if index == 0 { "" } else { GAP };
        if room <= gap.len() {
            break;
        }
        room -= gap.len();
        let shown: String = text.chars().take(room).collect();
        room -= shown.chars().count();
        line.push_str(gap);
        line.push_str(&styled(&shown, *style));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capture::CaptureCounts;
    use crate::output::tests::one_interface;

    /// What is written when a terminal of this width is used like so.
    fn written(
        width: Option<fn() -> usize>,
        uses: impl Fn(&mut StatusLine<&mut Vec<u8>>),
    ) -> String {
        let mut out = Vec::new();
        let mut status = StatusLine::new(&mut out, width, Palette::default());
        uses(&mut status);
        drop(status);
        String::from_utf8(out).expect("all of it is text")
    }

    #[test]
    fn it_says_the_most_important_first() {
        let text = written(Some(|| 200), |status| status.update(&one_interface()));
        assert_eq!(
            text,
            "\r10.0 s  received 13,352  answered 12,345 (1,230/s)  rx_queue_0_xdp_tx_errors 20  \
             zlb 1,005  length-too-long 2  other-traffic 77  rx_queue_0_xdp_drops 1,007\x1b[K\r\x1b[K"
        );
    }

    #[test]
    fn it_says_that_events_and_captured_frames_were_lost() {
        let mut snapshot = one_interface();
        snapshot.interfaces[0].events_lost = 1_234;
        for (lost, failed, said) in [
            (0, 0, ""),
            (2_000, 0, "  captured frames lost 2,000"),
            (
                2_000,
                3,
                "  captured frames lost 2,000  captured frames failed 3",
            ),
        ] {
            snapshot.capture = Some(CaptureCounts {
                written: 5,
                lost,
                failed,
            });
            let text = written(Some(|| 200), |status| status.update(&snapshot));
            let part = format!("  rx_queue_0_xdp_tx_errors 20  events lost 1,234{said}  zlb 1,005");
            assert!(text.contains(&part), "{text}");
        }
    }

    #[test]
    fn it_is_never_wider_than_the_terminal() {
        for (width, line) in [
            (
                (|| 40) as fn() -> usize,
                "10.0 s  received 13,352  answered 12,34",
            ),
            (|| 26, "10.0 s  received 13,352  "),
            (|| 25, "10.0 s  received 13,352"),
            (|| 4, "10."),
            (|| 1, ""),
            (|| 0, ""),
        ] {
            let text = written(Some(width), |status| status.update(&one_interface()));
            let line = line.trim_end();
            assert!(text.starts_with(&format!("\r{line}\x1b[K")), "{text:?}");
        }
    }

    #[test]
    fn the_rate_is_since_it_was_drawn_last() {
        let text = written(Some(|| 60), |status| {
            let mut snapshot = one_interface();
            status.update(&snapshot);
            snapshot.elapsed += Duration::from_secs(2);
            snapshot.interfaces[0].verdicts[Verdict::Answered as usize] += 500;
            status.update(&snapshot);
        });
        assert!(text.contains("answered 12,845 (250/s)"), "{text:?}");
    }

    #[test]
    fn other_lines_go_above_it() {
        let text = written(Some(|| 24), |status| {
            status.line("first");
            status.update(&one_interface());
            status.line("second");
        });
        assert_eq!(
            text,
            "first\n\
             \r10.0 s  received 13,352\x1b[K\
             \r\x1b[Ksecond\n10.0 s  received 13,352\
             \r\x1b[K"
        );
    }

    #[test]
    fn no_line_moves_the_cursor_by_itself() {
        let text = written(None, |status| status.line("a\x1b[2J\rb\u{9b}\nc"));
        assert_eq!(text, "a\u{fffd}[2J\u{fffd}b\u{fffd}\nc\n");
    }

    #[test]
    fn without_a_terminal_there_are_only_the_other_lines() {
        let text = written(None, |status| {
            status.update(&one_interface());
            status.line("a line");
        });
        assert_eq!(text, "a line\n");
    }

    #[test]
    fn colours_take_no_room() {
        let parts = [("ab".to_owned(), Palette::coloured().alarming)];
        assert_eq!(clipped(&parts, 2), "\x1b[33mab\x1b[0m");
    }
}
