//! The summary at the end: every verdict with its count, and what was lost.

use std::cmp::Reverse;

use anstyle::Style;
use broken_lns_ebpf::verdict::Verdict;

use super::table::{Side, Table};
use super::{Palette, Progress, cell, loses_replies, rate, styled, thousands, time};
use crate::compile::rule_name;
use crate::play::Sent;
use crate::snapshot::{InterfaceSnapshot, Snapshot, VerdictCounts};

/// Rules that are shown, of which there may be a hundred thousand.
const RULES_SHOWN: usize = 50;

/// The summary of a run, several lines long.
pub fn summary(snapshot: &Snapshot, palette: &Palette) -> String {
    let mut text = headline(snapshot, palette);
    text.push('\n');
    text.push_str(&verdicts(snapshot, palette));
    for interface in &snapshot.interfaces {
        text.push_str(&played(interface, palette));
        text.push_str(&losses(interface, palette));
    }
    text.push_str(&captured(snapshot, palette));
    text
}

/// What was answered in all, and how.
fn headline(snapshot: &Snapshot, palette: &Palette) -> String {
    let per_second = Progress::of(snapshot).per_second_since(Progress::default());
    let headline = format!(
        "{} answered of {} received in {}, {} a second",
        thousands(snapshot.answered()),
        thousands(snapshot.received()),
        time(snapshot.elapsed),
        rate(per_second),
    );
    let paths = format!(
        "{} rewritten by the kernel half, {} redirected to a worker",
        thousands(snapshot.rewritten()),
        thousands(snapshot.redirected()),
    );
    let headline = styled(&headline, palette.strong);
    let mut text = format!("{headline}\n{paths}\n");
    let mut alarm = |line: String| {
        text.push_str(&palette.alarming(&line));
        text.push('\n');
    };
    let interfaces = snapshot.interfaces.iter();
    match interfaces.map(InterfaceSnapshot::lost_by_transmit).sum() {
        0_u64 => {}
        lost => alarm(format!(
            "{} of those rewritten did not leave: the driver had no room to transmit them",
            thousands(lost)
        )),
    }
    for interface in &snapshot.interfaces {
        if let Some(reason) = &interface.ended {
            alarm(format!(
                "{}: nothing is answered there: {reason}",
                interface.name
            ));
        }
    }
    match snapshot.undelivered() {
        0 => {}
        undelivered => alarm(format!(
            "{} requests did not arrive at the worker that they were handed to, and were not \
             answered",
            thousands(undelivered)
        )),
    }
    match snapshot.events_lost() {
        0 => {}
        lost => alarm(format!(
            "{} events of LACs were lost, and what became of those LACs is not all known: \
             follow fewer of them with --track 1/N",
            thousands(lost)
        )),
    }
    text
}

/// The table of all verdicts, with a column for each interface if there are several.
///
/// Verdicts that no frame had stay in the table, for a tester also wants to
/// know what did not happen, but they step back behind the others.
fn verdicts(snapshot: &Snapshot, palette: &Palette) -> String {
    let mut columns: Vec<(&str, VerdictCounts)> = Vec::new();
    if snapshot.interfaces.len() > 1 {
        let interfaces = snapshot.interfaces.iter();
        columns.extend(interfaces.map(|interface| (interface.name.as_str(), interface.verdicts)));
    }
    columns.push(("frames", snapshot.verdicts()));

    let mut titles = vec![("verdict", Side::Left)];
    titles.extend(columns.iter().map(|(title, _)| (*title, Side::Right)));
    titles.push(("meaning", Side::Left));
    let mut table = Table::new(titles);
    for verdict in Verdict::ALL {
        let counts = columns.iter().map(|(_, counts)| counts[*verdict as usize]);
        let happened = counts.clone().any(|count| count > 0);
        let mut row = vec![verdict.label().to_owned()];
        row.extend(counts.map(cell));
        row.push(verdict.meaning().to_owned());
        let style = if happened {
            Style::new()
        } else {
            palette.faint
        };
        table.row(row, style);
    }
    table.text(palette)
}

/// What came of the scenario on an interface: what was sent beside answers at once, and the
/// rules that were met, where there is more than the default.
fn played(interface: &InterfaceSnapshot, palette: &Palette) -> String {
    let sent = Sent::ALL.iter().zip(interface.sent);
    let sent = sent.map(|(sent, count)| {
        let style = match sent {
            Sent::HeldBack
            | Sent::Dropped
            | Sent::NotAgain
            | Sent::Forgotten
            | Sent::NoFrame
            | Sent::NotWritten
            | Sent::NotPassed
            | Sent::OverMtu => palette.alarming,
            Sent::Later | Sent::Again | Sent::Copies | Sent::Lost | Sent::PassesNext => {
                Style::new()
            }
        };
        (sent.meaning().to_owned(), count, style)
    });
    let sent = list(
        &format!("{}: sent by its workers, or not", interface.name),
        sent,
        palette,
    );
    let only_default = interface.rules.iter().all(|rule| rule.place.is_none());
    if only_default {
        return sent;
    }
    let mut rules: Vec<_> = interface.rules.iter().collect();
    rules.sort_by_key(|rule| Reverse(rule.hits));
    let rules = rules.into_iter().take(RULES_SHOWN);
    let rules = rules.map(|rule| (rule_name(rule.place), rule.hits, Style::new()));
    let title = format!("{}: requests by rule, most first", interface.name);
    sent + &list(&title, rules, palette)
}

/// What the driver and the AF_XDP sockets of an interface counted; nothing if they did not.
fn losses(interface: &InterfaceSnapshot, palette: &Palette) -> String {
    let driver = interface.driver.iter().map(|(name, count)| {
        let style = if loses_replies(name) {
            palette.alarming
        } else {
            Style::new()
        };
        (name.clone(), *count, style)
    });
    let sockets = interface.queues.iter().flat_map(|queue| {
        let entries = queue.xdp_statistics.entries().into_iter();
        entries.map(|(name, count)| {
            // The kernel finds the tx ring empty each time that it has sent all there was.
            let style = match name {
                "tx_ring_empty_descs" => palette.faint,
                _ => palette.alarming,
            };
            (format!("queue {} {name}", queue.queue), count, style)
        })
    });
    let driver = list(
        &format!(
            "{}: counted by its driver, where xdp_drops may include frames consumed on purpose",
            interface.name
        ),
        driver,
        palette,
    );
    let sockets = list(
        &format!("{}: counted on its AF_XDP sockets", interface.name),
        sockets,
        palette,
    );
    driver + &sockets
}

/// What became of captured frames; nothing where there are none.
fn captured(snapshot: &Snapshot, palette: &Palette) -> String {
    let counts = snapshot.capture.unwrap_or_default();
    let counts = [
        ("written", counts.written, Style::new()),
        (
            "lost, since too many waited: follow fewer LACs with --track 1/N",
            counts.lost,
            palette.alarming,
        ),
        (
            "lost, since the file could not be written",
            counts.failed,
            palette.alarming,
        ),
    ];
    let counts = counts.map(|(name, count, style)| (name.to_owned(), count, style));
    list("captured frames", counts.into_iter(), palette)
}

/// The counters that are not zero, under a title; nothing if all of them are.
fn list(
    title: &str,
    counters: impl Iterator<Item = (String, u64, Style)>,
    palette: &Palette,
) -> String {
    let counters: Vec<_> = counters
        .filter(|(_, count, _)| *count > 0)
        .map(|(name, count, style)| (name, thousands(count), style))
        .collect();
    if counters.is_empty() {
        return String::new();
    }
    let names = counters.iter().map(|(name, ..)| name.len());
    let counts = counters.iter().map(|(_, count, _)| count.len());
    let (names, counts) = (names.max().unwrap_or(0), counts.max().unwrap_or(0));
    let mut text = format!("\n{}\n", styled(title, palette.strong));
    for (name, count, style) in counters {
        text.push_str(&styled(&format!("{name:names$}  {count:>counts$}"), style));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::CaptureCounts;
    use crate::interface::TRANSMIT_EXCEPTIONS;
    use crate::output::tests::one_interface;
    use crate::scenario::Place;
    use crate::snapshot::RuleSnapshot;

    #[test]
    fn the_summary_of_one_interface() {
        let text = summary(&one_interface(), &Palette::default());
        let start = "\
12,345 answered of 13,352 received in 10.0 s, 1,230 a second
12,000 rewritten by the kernel half, 345 redirected to a worker

verdict           frames  meaning
answered          12,345  SCCRQ answered
";
        let end = "
other-traffic         77  everything else

eth1: counted by its driver, where xdp_drops may include frames consumed on purpose
rx_queue_0_xdp_drops      1,007
rx_queue_0_xdp_tx_errors     20

eth1: counted on its AF_XDP sockets
queue 0 rx_ring_full  9
";
        assert!(text.starts_with(start), "{text}");
        assert!(text.ends_with(end), "{text}");
        for verdict in Verdict::ALL {
            let rows = text.lines().filter(|row| {
                row.split_whitespace().next() == Some(verdict.label())
                    && row.ends_with(verdict.meaning())
            });
            assert_eq!(rows.count(), 1, "{}", verdict.label());
        }
        assert!(
            text.contains("\nno-room                -  SCCRQ in a buffer"),
            "{text}"
        );
    }

    #[test]
    fn events_that_were_lost_come_first() {
        let mut snapshot = one_interface();
        snapshot.interfaces[0].events_lost = 1_234;
        let text = summary(&snapshot, &Palette::default());
        let lost = "1,234 events of LACs were lost, and what became of those LACs is not all \
                    known: follow fewer of them with --track 1/N";
        assert_eq!(text.lines().nth(2), Some(lost));
    }

    #[test]
    fn answers_that_did_not_leave_stand_beside_those_rewritten() {
        let mut snapshot = one_interface();
        let lost = (TRANSMIT_EXCEPTIONS.to_owned(), 8_064);
        snapshot.interfaces[0].driver.push(lost);
        let text = summary(&snapshot, &Palette::default());
        let said =
            "8,064 of those rewritten did not leave: the driver had no room to transmit them";
        assert_eq!(text.lines().nth(2), Some(said));
        assert!(
            text.contains("\nxdp_exception_tx          8,064\n"),
            "{text}"
        );
    }

    #[test]
    fn a_capture_says_what_became_of_its_frames() {
        let mut snapshot = one_interface();
        snapshot.capture = Some(CaptureCounts {
            written: 12_345,
            lost: 7,
            failed: 0,
        });
        let end = "
captured frames
written                                                          12,345
lost, since too many waited: follow fewer LACs with --track 1/N       7
";
        let text = summary(&snapshot, &Palette::default());
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn counters_at_zero_are_left_out() {
        let mut snapshot = one_interface();
        snapshot.interfaces[0].driver.clear();
        snapshot.interfaces[0].queues.clear();
        let text = summary(&snapshot, &Palette::default());
        assert!(text.ends_with("  everything else\n"), "{text}");
    }

    #[test]
    fn a_scenario_shows_what_was_sent_and_which_rules_were_met() {
        let mut snapshot = one_interface();
        let interface = &mut snapshot.interfaces[0];
        interface.driver.clear();
        interface.queues.clear();
        interface.sent[Sent::Again as usize] = 1_200;
        let place = Place {
            line: 12,
            column: 1,
        };
        interface.rules = [(None, 2), (Some(place), 3)]
            .map(|(place, hits)| RuleSnapshot { place, hits })
            .to_vec();
        let end = "
eth1: sent by its workers, or not
StopCCNs that were sent again, for want of an acknowledgement  1,200

eth1: requests by rule, most first
the rule at 12:1  3
the default       2
";
        let text = summary(&snapshot, &Palette::default());
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn several_interfaces_have_a_column_each() {
        let mut snapshot = one_interface();
        let mut other = snapshot.interfaces[0].clone();
        other.name = "enp129s0f1".to_owned();
        other.verdicts[Verdict::Zlb as usize] = 0;
        other.driver.clear();
        other.queues.clear();
        snapshot.interfaces.push(other);
        let text = summary(&snapshot, &Palette::default());
        for line in [
            "verdict             eth1  enp129s0f1  frames  meaning",
            "answered          12,345      12,345  24,690  SCCRQ answered",
            "zlb                1,005           -   1,005  ZLB acknowledgement",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!text.contains("enp129s0f1: counted"), "{text}");
    }

    #[test]
    fn verdicts_that_no_frame_had_are_faint() {
        let text = summary(&one_interface(), &Palette::coloured());
        assert!(text.contains("\n\x1b[2msccrp"), "{text}");
        assert!(text.contains("\nzlb"), "{text}");
    }
}
