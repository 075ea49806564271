//! What a running responder replied, for people.

use std::fmt::Write as _;

use anstyle::Style;

use super::table::{Side, Table};
use super::{Palette, cell, summary, time};
use crate::control::protocol::{Changed, Reactions, Reply, RuleLine, Status};
use crate::scenario::{LacName, Prefix};

/// The reply of a responder, in one line or in several.
pub fn reply(reply: &Reply, palette: &Palette) -> String {
    match reply {
        Reply::Status(about) => status(about, palette),
        Reply::Rules(lines) => rules(lines, palette),
        Reply::Changed(change) => changed(change),
        Reply::Report(document) => document.text.clone(),
        Reply::Reactions(reactions) => reacted(reactions.as_ref()),
        Reply::Reset => "the counters are at zero\n".to_owned(),
        Reply::Stopped => "stopped\n".to_owned(),
    }
}

/// What runs, as it was said when it started, and the summary of its counters.
fn status(status: &Status, palette: &Palette) -> String {
    let mut text = String::new();
    for interface in &status.interfaces {
        let name = &interface.name;
        if let Some(reason) = &interface.ended {
            let _ = writeln!(text, "{name}: {}", palette.alarming(reason));
            continue;
        }
        let _ = writeln!(text, "{name}: {}", interface.attachment);
        for remark in &interface.remarks {
            let _ = writeln!(text, "{name}: {remark}");
        }
    }
    let _ = writeln!(text, "scenario {}", status.scenario);
    let uptime = time(status.uptime());
    let (version, pid) = (&status.broken_lns, status.pid);
    let _ = writeln!(
        text,
        "running for {uptime}, process {pid}, broken-lns {version}\n"
    );
    text + &summary(&status.counters, palette)
}

/// A line for each rule, with the hits before the treatment, since that may be long.
fn rules(lines: &[RuleLine], palette: &Palette) -> String {
    let mut table = Table::new(vec![
        ("place", Side::Left),
        ("lns", Side::Left),
        ("lac", Side::Left),
        ("hits", Side::Right),
        ("treatment", Side::Left),
    ]);
    for line in lines {
        let row = vec![
            line.name(),
            prefixes(&line.lns, "any other"),
            lacs(&line.lac, line.lac_name.as_ref(), "any"),
            cell(line.hits),
            line.treatment.clone(),
        ];
        let style = match line.hits {
            0 => palette.faint,
            _ => Style::new(),
        };
        table.row(row, style);
    }
    table.text(palette)
}

/// A line for each of the last reactions.
fn reacted(reactions: Option<&Reactions>) -> String {
    let last = reactions.map(|reactions| reactions.last.as_slice());
    let last = last.unwrap_or_default().iter();
    last.map(|reacted| format!("{} at {}: {reacted}\n", reacted.lac, reacted.lns))
        .collect()
}

/// The first of the prefixes of LACs, and their names.
pub(crate) fn lacs(addresses: &[Prefix], name: Option<&LacName>, any: &str) -> String {
    match (addresses, name) {
        ([], Some(name)) => format!("\"{name}\""),
        (addresses, Some(name)) => format!("{} \"{name}\"", prefixes(addresses, any)),
        (addresses, None) => prefixes(addresses, any),
    }
}

/// The first of the prefixes, and how many there are more.
pub(crate) fn prefixes(prefixes: &[Prefix], none: &str) -> String {
    match prefixes {
        [] => none.to_owned(),
        [one] => one.to_string(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    }
}

/// What is in force now.
fn changed(changed: &Changed) -> String {
    let mut text = match &changed.set {
        Some(set) => {
            let lns = set.lns.map_or("default".to_owned(), |lns| lns.to_string());
            format!("{lns}: {}\n", set.treatment)
        }
        None => format!("in force: {}\n", changed.scenario),
    };
    for remark in &changed.remarks {
        let _ = writeln!(text, "{remark}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::SetTreatment;
    use crate::control::protocol::tests::{in_force, rule, status as some_status};

    #[test]
    fn the_status_says_what_runs_and_what_it_counted() {
        let text = reply(&Reply::Status(Box::new(some_status())), &Palette::default());
        let start = "\
eth1: attached, native mode, redirect path; 1 worker, copy mode
eth1: redirect path, since native XDP_TX on a veth may lose replies
scenario slow.toml: 4 LNS rules, 0 LAC rules, default silent; 4 treatments need the redirect path
running for 1h 2m 3s, process 4711, broken-lns 0.1.0

12,345 answered of 13,352 received in 10.0 s, 1,230 a second
";
        assert!(text.starts_with(start), "{text}");
        assert!(
            text.contains("\nverdict           frames  meaning\n"),
            "{text}"
        );
    }

    #[test]
    fn rules_are_shown_with_their_places_and_hits() {
        let mut set = rule(None, &["198.51.100.7"], &[], 1);
        set.treatment = "fault = \"silent\"".to_owned();
        let lines = vec![
            rule(None, &[], &[], 1_234_567),
            rule(Some((12, 1)), &["192.0.2.1", "2001:db8::/32"], &[], 0),
            rule(Some((16, 3)), &["192.0.2.0/24"], &["10.0.0.0/8"], 42),
            set,
        ];
        assert_eq!(
            reply(&Reply::Rules(lines), &Palette::default()),
            "\
place    lns                   lac              hits  treatment
default  any other             any         1,234,567  fault = \"refuse\", result = 2
12:1     192.0.2.1 and 1 more  any                 -  fault = \"refuse\", result = 2
16:3     192.0.2.0/24          10.0.0.0/8         42  fault = \"refuse\", result = 2
set      198.51.100.7          any                 1  fault = \"silent\"
"
        );
    }

    #[test]
    fn rules_without_a_hit_are_faint() {
        let lines = vec![rule(None, &[], &[], 0)];
        let text = reply(&Reply::Rules(lines), &Palette::coloured());
        assert!(text.contains("\n\x1b[2mdefault"), "{text:?}");
    }

    #[test]
    fn a_change_says_what_is_in_force() {
        let mut change = Changed {
            scenario: in_force(),
            set: None,
            remarks: vec!["result code 9 is not assigned".to_owned()],
        };
        let shown = |change: &Changed| reply(&Reply::Changed(change.clone()), &Palette::default());
        assert_eq!(
            shown(&change),
            "in force: slow.toml: 4 LNS rules, 0 LAC rules, default silent; \
             4 treatments need the redirect path\n\
             result code 9 is not assigned\n"
        );
        change.remarks.clear();
        for (lns, line) in [
            (None, "default: fault = \"refuse\", result = 2\n"),
            (
                Some("192.0.2.0/24"),
                "192.0.2.0/24: fault = \"refuse\", result = 2\n",
            ),
        ] {
            change.set = Some(SetTreatment {
                lns: lns.map(|lns| lns.parse().expect(lns)),
                treatment: "fault = \"refuse\", result = 2".to_owned(),
            });
            assert_eq!(shown(&change), line);
        }
    }

    #[test]
    fn the_rest_is_said_in_one_line() {
        let shown = |what: &Reply| reply(what, &Palette::default());
        assert_eq!(shown(&Reply::Reset), "the counters are at zero\n");
        assert_eq!(shown(&Reply::Stopped), "stopped\n");
    }
}
