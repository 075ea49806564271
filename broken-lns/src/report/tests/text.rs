use super::fixture::{judgements, report, silent};
use crate::judge::Judgements;
use crate::output::Palette;
use crate::report::{judged, outline, text};
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

3 expectations: 1 passed, 1 failed, 1 not seen
failed    LNS 192.0.2.1, refuse 2/4: fail over to 192.0.2.2 within 5s, acknowledge the StopCCN, stay away for 55s to 1m 5s
            3 of 5 attempts as expected, 1 of 2 lockouts as expected, 1 attempt unknown: events were lost
            LAC 10.0.0.7 at 12.3 s, LNS 192.0.2.1: failed over to 192.0.2.3 (192.0.2.2 expected), next attempt after 7.2 s (within 5s expected), not acknowledged (acknowledgement expected); 2 times in all
            LAC 10.0.0.1 at 21.0 s, LNS 192.0.2.1: came back after 20 s (55s to 1m 5s expected)
not seen  other LNSs, silent: do as junos does
            no attempt met it
passed    LNS 192.0.2.3 and 1 more, LAC 10.0.0.0/8, silent: retry the same LNS or give up
            1 of 1 attempt as expected

The 1 LAC with the most messages, of 1,000
LNSs are asked: 998 by preference, 2 unknown
LAC 10.0.0.7  3 attempts and 5 retransmissions
              prefers 192.0.2.1, 192.0.2.2, in this order
              events of it may have been lost

12 of 9,012 events were lost: attempts that may be concerned are unknown, and counts are too low by what was in them.
"
    );
}

#[test]
fn of_many_expectations_those_that_failed_come_first() {
    let text = judged(&judgements(), 1, &Palette::default());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 7);
    assert!(lines[2].starts_with("failed    LNS 192.0.2.1, "), "{text}");
    assert_eq!(lines[6], "2 more expectations in the report");
    let none = Judgements::default();
    assert_eq!(judged(&none, 1, &Palette::default()), "");
}

#[test]
fn who_waits_for_lacs_that_never_come_learns_what_was_not_seen() {
    let mut nothing = report();
    nothing.findings = Findings::default();
    let text = outline(&nothing, &Palette::default());
    assert!(
        text.contains("\n3 expectations: 1 passed, 1 failed, 1 not seen\n"),
        "{text}"
    );
    nothing.judgements = Judgements::default();
    assert_eq!(outline(&nothing, &Palette::default()), "");
}

#[test]
fn without_lacs_there_is_nothing_to_list() {
    let mut nothing = report();
    nothing.findings = Findings::default();
    nothing.judgements = Judgements::default();
    nothing.lacs.clear();
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
