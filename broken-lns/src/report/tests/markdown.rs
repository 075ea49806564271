use super::fixture::{report, silent};
use crate::judge::Judgements;
use crate::report::markdown;
use crate::track::findings::Findings;

#[test]
fn facts_sentences_tables_and_what_is_missing() {
    assert_eq!(
        markdown(&report()),
        "\
# broken-lns report

|  |  |
|---|---|
| started | 2023-11-14T22:13:20Z |
| duration | 1m 30s |
| interfaces | eth1, eth2 |
| scenario | failover.toml |
| followed | all LACs |
| LACs seen | 1,000 |
| attempts | 2,010 and 4,990 retransmissions |
| events lost | 12 of 9,012 |

## What was expected

3 expectations: 1 passed, 1 failed, 1 not seen

- **not seen** other LNSs, silent: do as junos does: no attempt met it
- **failed** LNS 192.0.2.1, refuse 2/4: fail over to 192.0.2.2 within 5s, \
acknowledge the StopCCN, stay away for 55s to 1m 5s: 3 of 5 attempts as expected, \
1 of 2 lockouts as expected, 1 attempt unknown: events were lost
  - LAC 10.0.0.7 at 12.3 s, LNS 192.0.2.1: failed over to 192.0.2.3 (192.0.2.2 expected), \
next attempt after 7.2 s (within 5s expected), \
not acknowledged (acknowledgement expected); 2 times in all
  - LAC 10.0.0.1 at 21.0 s, LNS 192.0.2.1: came back after 20 s (55s to 1m 5s expected)
- **passed** LNS 192.0.2.3 and 1 more, LAC 10.0.0.0/8, silent: \
retry the same LNS or give up: 1 of 1 attempt as expected

## What LACs did

- LNS 192.0.2.1, refuse 2/4: 1,000 of 1,000 LACs acknowledged (median 0.4 ms), \
998 failed over (median 12 ms, p99 80 ms) to 192.0.2.2, 2 retried the same LNS after 30 s
- LNS 192.0.2.2, silent: 998 LACs, 4,990 retransmissions, 997 gave up, \
12 attempts unknown: events were lost, 1 attempt not over

Attempts by reaction:

| LNS | fault | attempts | failover | retry-same | give-up | ignore | unknown | not over |
|---|---|---|---|---|---|---|---|---|
| 192.0.2.1 | refuse 2/4 | 1,000 | 998 | 2 | 0 | 0 | 0 | 0 |
| 192.0.2.2 | silent | 1,010 | 0 | 0 | 997 | 0 | 12 | 1 |

## What LACs sent beside SCCRQs

| fault | message | count |
|---|---|---|
| LNS 192.0.2.2, silent | StopCCN 2/4 \u{201c}no \\| \\<answer\\>\u{fffd}\u{fffd}\u{201d} | 3 |

## The 1 LAC with the most messages, of 1,000

- LAC 10.0.0.7: 3 attempts and 5 retransmissions, prefers 192.0.2.1, 192.0.2.2, in this order, events of it may have been lost

## What the numbers do not have

- 12 of 9,012 events were lost: attempts that may be concerned are unknown, \
and counts are too low by what was in them.
"
    );
}

#[test]
fn without_lacs_there_are_only_the_facts() {
    let mut nothing = report();
    nothing.findings = Findings::default();
    nothing.judgements = Judgements::default();
    nothing.lacs.clear();
    let text = markdown(&nothing);
    assert!(text.ends_with("| events lost | 0 of 0 |\n"), "{text}");
}

#[test]
fn no_text_makes_a_row_a_heading_or_a_tag() {
    let text = "x\n\n# owned\n| a | b |\n<script>";
    let mut hostile = report();
    let mut fault = silent();
    fault.fault = text.to_owned();
    fault.messages[0].message.text = Some(text.to_owned());
    fault.messages_left_out = 7;
    hostile.facts.scenario = text.to_owned();
    hostile.facts.interfaces = vec![text.to_owned()];
    hostile.findings.faults = vec![fault];
    let document = markdown(&hostile);
    assert!(document.contains("| others | 7 |\n"), "{document}");
    assert!(!document.replace("\\<", "").contains('<'), "{document}");
    let headings = document.lines().filter(|line| line.starts_with('#'));
    assert_eq!(headings.count(), 6, "{document}");
    for line in document.lines().filter(|line| line.starts_with('|')) {
        let bars = line.matches('|').count() - line.matches("\\|").count();
        assert!([3, 4, 10].contains(&bars), "{line}");
    }
}
