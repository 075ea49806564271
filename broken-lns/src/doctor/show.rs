//! Findings as text and as JSON.

use serde::Serialize;

use super::finding::{Finding, Findings, State};
use crate::output::Palette;

/// The number of the form that the JSON has.
const SCHEMA: u32 = 1;

/// The whole of the JSON. Its keys are an interface for others: never rename one.
#[derive(Serialize)]
struct Document<'f> {
    schema: u32,
    problems: usize,
    notes: usize,
    findings: Vec<Entry<'f>>,
}

/// One finding in it.
#[derive(Serialize)]
struct Entry<'f> {
    about: &'f str,
    #[serde(flatten)]
    finding: &'f Finding,
}

/// One JSON object in a line.
pub(super) fn json(findings: &Findings) -> serde_json::Result<String> {
    let entries = findings.all.iter();
    let document = Document {
        schema: SCHEMA,
        problems: findings.problems(),
        notes: findings.count(State::Note),
        findings: entries
            .map(|(about, finding)| Entry { about, finding })
            .collect(),
    };
    Ok(serde_json::to_string(&document)? + "\n")
}

/// A line for each finding, in columns.
pub(super) fn text(findings: &Findings, palette: &Palette) -> String {
    let width = |text: fn(&(String, Finding)) -> &str| {
        let widths = findings.all.iter().map(|entry| text(entry).chars().count());
        widths.max().unwrap_or(0)
    };
    let about_width = width(|(about, _)| about);
    let check_width = width(|(_, finding)| finding.check);
    let line = |(about, finding): &(String, Finding)| {
        let state = format!("{:7}", finding.state.label());
        let state = match finding.state {
            State::Ok => state,
            State::Note => palette.strong(&state),
            State::Problem => palette.alarming(&state),
        };
        let Finding { check, found, .. } = finding;
        let command = finding.command.iter();
        let command: String = command
            .map(|command| format!("; type: {command}"))
            .collect();
        format!("{state}  {about:about_width$}  {check:check_width$}  {found}{command}\n")
    };
    findings.all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let mut findings = Findings::default();
        findings.about("machine", [Finding::ok("kernel", "Linux 6.18")]);
        findings.about(
            "eth1",
            [
                Finding::note("VLAN tags", "the NIC strips them")
                    .typing("ethtool -K eth1 rxvlan off"),
                Finding::problem("link", "it is down").typing("ip link set eth1 up"),
            ],
        );
        findings
    }

    #[test]
    fn each_finding_has_a_line_with_what_to_type() {
        assert_eq!(
            text(&findings(), &Palette::default()),
            "ok       machine  kernel     Linux 6.18\n\
             note     eth1     VLAN tags  the NIC strips them; type: ethtool -K eth1 rxvlan off\n\
             problem  eth1     link       it is down; type: ip link set eth1 up\n"
        );
    }

    #[test]
    fn programs_get_the_same_in_one_object() {
        assert_eq!(
            json(&findings()).expect("it is serialisable"),
            "{\"schema\":1,\"problems\":1,\"notes\":1,\"findings\":[\
             {\"about\":\"machine\",\"check\":\"kernel\",\"state\":\"ok\",\"found\":\"Linux 6.18\",\"type\":null},\
             {\"about\":\"eth1\",\"check\":\"VLAN tags\",\"state\":\"note\",\"found\":\"the NIC strips them\",\"type\":\"ethtool -K eth1 rxvlan off\"},\
             {\"about\":\"eth1\",\"check\":\"link\",\"state\":\"problem\",\"found\":\"it is down\",\"type\":\"ip link set eth1 up\"}]}\n"
        );
    }
}
