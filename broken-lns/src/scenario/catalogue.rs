//! The catalogue: every fault, modifier and kind of garble, for people.

use super::fault::{FaultName, Knob};
use super::garble::GarbleKind;
use super::modifiers::MODIFIERS;
use super::reaction::{Lac, Reaction};

/// The widest that text is easy to read.
const WIDEST: usize = 100;
/// The narrowest that the columns leave room for.
const NARROWEST: usize = 60;

/// The catalogue as `broken-lns faults` prints it, for a terminal of so many columns.
pub fn catalogue(columns: usize) -> String {
    let mut page = Page {
        text: String::new(),
        columns: columns.clamp(NARROWEST, WIDEST),
    };
    page.title("Faults", "fault = …");
    for fault in FaultName::ALL {
        page.entry(2, 18, fault.name(), fault.meaning());
        for knob in fault.knobs() {
            page.knob(4, knob);
        }
        page.reactions(20, |lac| lac.to_fault(*fault).to_vec());
    }
    page.title("Modifiers", "of any fault that sends what they modify");
    for knob in MODIFIERS {
        page.knob(2, knob);
    }
    page.title("Garbles", "fault = \"garble\", kind = …");
    for kind in GarbleKind::ALL {
        let entry = kind.entry();
        page.entry(2, 0, entry.name, "");
        page.entry(4, 15, "sends", entry.sends);
        page.entry(4, 15, "breaks", entry.breaks);
        page.entry(4, 15, "a right LAC", entry.right_lac);
        page.reactions(15, |lac| vec![lac.to_garble(*kind)]);
    }
    page.text.push('\n');
    let sections = "Sections are those of RFC 2661. `broken-lns codes` lists results and errors.";
    page.entry(0, 0, "", sections);
    page.entry(
        0,
        0,
        "",
        "What the named LACs do is what they were seen to do; their logs say what is in brackets.",
    );
    for lac in Lac::ALL {
        if let Some(other) = lac.like() {
            let like = format!("Where nothing is said of {lac}, it does the same as {other}.");
            page.entry(0, 0, "", &like);
        }
    }
    page.text
}

/// A text that grows downwards.
struct Page {
    text: String,
    columns: usize,
}

impl Page {
    /// The title of a part.
    fn title(&mut self, title: &str, note: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&format!("{title} ({note})\n"));
    }

    /// What each LAC did, where it is not what the one did that it is like.
    fn reactions(&mut self, width: usize, of: impl Fn(Lac) -> Vec<Reaction>) {
        for lac in Lac::ALL {
            let told = lac.like().map(&of).unwrap_or_default();
            for reaction in of(*lac) {
                if !told.contains(&reaction) {
                    self.entry(4, width, lac.name(), &reaction.to_string());
                }
            }
        }
    }

    /// A key, its values, and below them what it does.
    fn knob(&mut self, indent: usize, knob: &Knob) {
        const KEY: usize = 20;

        self.entry(indent, KEY, knob.key, knob.values);
        self.entry(indent + KEY, 0, "", knob.meaning);
    }

    /// A name, and beside it a text that is broken into lines.
    fn entry(&mut self, indent: usize, width: usize, name: &str, text: &str) {
        let begin = indent + width;
        let mut line = format!("{:indent$}{name:<width$}", "");
        let mut fresh = true;
        for word in text.split_whitespace() {
            let space = usize::from(!fresh);
            if !fresh && line.chars().count() + space + word.chars().count() > self.columns {
                self.line(&line);
                line = " ".repeat(begin);
                fresh = true;
            }
            if !fresh {
                line.push(' ');
            }
            line.push_str(word);
            fresh = false;
        }
        self.line(&line);
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for columns in [60, 72, 80, 100] {
            for line in catalogue(columns).lines() {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
        assert_eq!(catalogue(0), catalogue(60));
        assert_eq!(catalogue(1000), catalogue(100));
    }

    #[test]
    fn everything_is_in_it() {
        let catalogue = catalogue(80);
        let names = catalogue.lines().filter_map(|line| {
            let name = line
                .strip_prefix("  ")
                .filter(|rest| !rest.starts_with(' '));
            name.and_then(|rest| rest.split_whitespace().next())
        });
        let names: Vec<_> = names.collect();
        let faults = FaultName::ALL.iter().map(|fault| fault.name());
        let modifiers = MODIFIERS.iter().map(|knob| knob.key);
        let kinds = GarbleKind::ALL.iter().map(|kind| kind.name());
        assert_eq!(
            names,
            faults.chain(modifiers).chain(kinds).collect::<Vec<_>>()
        );
    }

    #[test]
    fn names_and_texts_are_aligned() {
        let catalogue = catalogue(100);
        assert!(
            catalogue.starts_with(
                "Faults (fault = …)\n  \
               refuse            Answers with a StopCCN.\n    \
                 result              number or name [0]\n                        \
                                     the result code, one of `broken-lns codes` or any number up to 65535\n"
            ),
            "{catalogue}"
        );
        assert!(catalogue.contains(
            "\n  wrong-tunnel-id\n    \
                 sends          The header's Tunnel ID is the one that the LAC assigned, plus one.\n    \
                 breaks         §3.1: the Tunnel ID is the one that the recipient assigned\n    \
                 a right LAC    discards it, having no such tunnel, and sends its SCCRQ again\n    \
                 xl2tpd 1.3.18  sends its SCCRQ 4 times more, and gives up after 31 s (\"unable to find call or\n                   \
                                tunnel to handle packet\")\n"
        ));
    }
}
