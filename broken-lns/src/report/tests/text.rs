use super::fixture::{report, silent};
use crate::output::Palette;
use crate::report::text;
use crate::track::findings::{Findings, LacMessage, MessageCount};

#[test]
fn totals_then_sentences_then_what_is_missing() {
    assert_eq!(
        text(&report(), &Palette::default()),
        "\
1,000 LACs made 2,010 attempts and 4,990 retransmissions in 1m 30s
2023-11-14T22:13:20Z on eth1, eth2, scenario failover.toml, all LACs followed

LNS 192.0.2.1, refuse 2/4  1,000 of 1,000 LACs acknowledged (median 0.4 ms)
                           998 failed over (median 12 ms, p99 80 ms) to 192.0.2.2
                           2 retried the same LNS after 30 s
LNS 192.0.2.2, silent      998 LACs
                           4,990 retransmissions
                           997 gave up
                           12 attempts unknown: events were lost
                           1 attempt not over
                           sent StopCCN 2/4 \u{201c}no | <answer>\u{fffd}\u{fffd}\u{201d} 3 times

12 of 9,012 events were lost: attempts that may be concerned are unknown, and counts are too low by what was in them.
"
    );
}

#[test]
fn without_lacs_there_is_nothing_to_list() {
    let mut nothing = report();
    nothing.findings = Findings::default();
    assert_eq!(
        text(&nothing, &Palette::default()),
        "\
0 LACs made 0 attempts and 0 retransmissions in 1m 30s
2023-11-14T22:13:20Z on eth1, eth2, scenario failover.toml, all LACs followed
"
    );
}

#[test]
fn names_cannot_command_the_terminal() {
    let mut hostile = report();
    hostile.facts.scenario = "a\x1b]0;title\x07".to_owned();
    hostile.facts.interfaces = vec!["eth\x1b[2J".to_owned()];
    let mut fault = silent();
    fault.fault = "silent\x1b[2J\u{202e}".to_owned();
    fault.messages[0].message.text = Some("\x1b[31m\n".to_owned());
    hostile.findings.faults = vec![fault];
    let text = text(&hostile, &Palette::default());
    let commands = text
        .chars()
        .filter(|character| character.is_control() && *character != '\n');
    assert_eq!(commands.count(), 0, "{text:?}");
    assert!(
        text.contains("silent\u{fffd}[2J\u{fffd}  998 LACs"),
        "{text}"
    );
}

#[test]
fn messages_beyond_the_most_frequent_ones_are_summed_up() {
    let mut fault = silent();
    fault.messages = [6, 14, 10, 3, 16]
        .into_iter()
        .zip([9, 8, 7, 2, 1])
        .map(|(message_type, count)| MessageCount {
            message: LacMessage {
                message_type,
                result: None,
                error: None,
                text: None,
            },
            count,
        })
        .collect();
    fault.messages_left_out = 1_000;
    let mut many = report();
    many.findings.faults = vec![fault];
    let text = text(&many, &Palette::default());
    let sent = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("sent "));
    assert_eq!(
        sent.collect::<Vec<_>>(),
        [
            "HELLO 9 times",
            "CDN 8 times",
            "ICRQ 7 times",
            "1,003 other messages"
        ]
    );
}
