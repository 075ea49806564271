use broken_lns_ebpf::sample::Sample;

use super::fixture::{
    MILLISECOND, SECOND, address, distribution, fault, judgements, reactions, refused, report,
    silent,
};
use crate::judge::{Judgements, Left};
use crate::report::{Facts, Report, caveats, sentences};
use crate::track::findings::{Acknowledged, Doubt, FaultFindings, Findings, Reaction, Totals};

/// The sentences about these faults.
fn said(faults: Vec<FaultFindings>) -> Vec<String> {
    let findings = Findings {
        faults,
        ..Findings::default()
    };
    let sentences = sentences(&findings).into_iter();
    sentences.map(|sentence| sentence.to_string()).collect()
}

#[test]
fn refused_lacs_acknowledge_and_fail_over_or_retry() {
    assert_eq!(
        said(vec![refused()]),
        [
            "LNS 192.0.2.1, refuse 2/4: 1,000 of 1,000 LACs acknowledged (median 0.4 ms), \
             998 failed over (median 12 ms, p99 80 ms) to 192.0.2.2, \
             2 retried the same LNS after 30 s"
        ]
    );
}

#[test]
fn what_is_unknown_is_said_with_its_reason() {
    assert_eq!(
        said(vec![silent()]),
        [
            "LNS 192.0.2.2, silent: 998 LACs, 4,990 retransmissions, 997 gave up, \
             12 attempts unknown: events were lost, 1 attempt not over"
        ]
    );
    let reasons = Doubt::ALL.map(|doubt| (doubt, 1));
    let mut acknowledged = Acknowledged::default();
    acknowledged.unknown[Doubt::StillOpen as usize] = 4;
    acknowledged.unknown[Doubt::Ambiguous as usize] = 1;
    let unknown = FaultFindings {
        lacs: 5,
        acknowledged,
        reactions: reactions(&[], &reasons),
        ..fault(1, "2001:db8::1", "refuse 2/4")
    };
    assert_eq!(
        said(vec![unknown]),
        ["LNS 2001:db8::1, refuse 2/4: 0 of 5 LACs acknowledged, \
             4 acknowledgements unknown: the end came before, \
             1 acknowledgement unknown: another StopCCN may be meant, \
             1 attempt unknown: the end came before, \
             1 attempt unknown: events were lost, \
             1 attempt unknown: the memory was full, \
             1 attempt unknown: several tunnels at once, \
             1 attempt unknown: no regular order or time, as of several tunnels at once, \
             1 attempt unknown: another StopCCN may be meant, \
             1 attempt unknown: the groups of LNSs changed, \
             1 attempt unknown: they were left to the host"]
    );
}

#[test]
fn a_lac_that_reacts_more_than_once_is_one_lac() {
    let known = [
        (Reaction::Failover, 6, 2),
        (Reaction::RetrySame, 3, 1),
        (Reaction::GiveUp, 2, 1),
        (Reaction::Ignore, 4, 1),
    ];
    let mut reactions = reactions(&known, &[]);
    reactions.ignored_then_failover = 2;
    reactions.ignored_then_retry_same = 1;
    let often = FaultFindings {
        lacs: 3,
        answered: 9,
        retransmissions_before: 1,
        acknowledged: Acknowledged {
            piggyback: 4,
            zero_tunnel_id: 2,
            wrong_nr: 3,
            lacs: 2,
            ..Acknowledged::default()
        },
        reactions,
        failover_after: distribution(&[(MILLISECOND, 6)]),
        failover_to: vec![(address("192.0.2.2"), 4), (address("192.0.2.3"), 2)],
        retry_after: distribution(&[(SECOND, 3)]),
        lockout: distribution(&[(60 * SECOND, 4)]),
        came_back: distribution(&[(3_600 * SECOND, 1)]),
        tunnel_ids_reused: 1,
        ..fault(1, "192.0.2.1", "refuse 2/4")
    };
    assert_eq!(
        said(vec![often.clone()]),
        ["LNS 192.0.2.1, refuse 2/4: 2 of 3 LACs acknowledged, \
             2 attempts acknowledged with Tunnel ID 0, \
             3 attempts acknowledged with a wrong Nr, \
             1 retransmission before the answer, \
             2 failed over (6 times, median 1 ms, p99 1 ms) to 192.0.2.2 (4) and 192.0.2.3 (2), \
             1 retried the same LNS (3 times, median 1 s, p99 1 s), \
             1 gave up (2 times), \
             1 ignored the answer (4 times, 2 then failed over, 1 then retried the same LNS), \
             4 returns to the LNS after 1m, \
             1 came back when taken for given up after 1h, \
             1 tunnel id used again"]
    );
    let many = FaultFindings {
        failover_to_others: 1_000,
        ..often
    };
    let said = said(vec![many]);
    assert!(
        said[0].contains(" to 192.0.2.2 (4) and others (1,002), "),
        "{said:?}"
    );
}

#[test]
fn faults_with_the_same_name_are_told_apart() {
    let mut later = refused();
    later.key.scenario = 1;
    let twice = vec![
        fault(1, "192.0.2.1", "silent"),
        fault(2, "192.0.2.1", "silent"),
        fault(2, "192.0.2.2", "silent"),
    ];
    assert_eq!(
        said(twice.clone()),
        [
            "LNS 192.0.2.1, silent (rule 1): 0 LACs",
            "LNS 192.0.2.1, silent (rule 2): 0 LACs",
            "LNS 192.0.2.2, silent: 0 LACs",
        ]
    );
    let mut both = twice;
    both.push(later);
    let subjects = said(both);
    assert!(subjects[2].starts_with("LNS 192.0.2.2, silent (scenario 0): "));
    assert!(subjects[3].starts_with("LNS 192.0.2.1, refuse 2/4 (scenario 1): "));
}

#[test]
fn a_name_cannot_break_the_line() {
    let hostile = fault(1, "192.0.2.1", "refuse\n\x1b[2J");
    assert_eq!(
        said(vec![hostile]),
        ["LNS 192.0.2.1, refuse\u{fffd}\u{fffd}[2J: 0 LACs"]
    );
}

#[test]
fn a_sample_is_named_by_its_share() {
    let followed = |sample| {
        Facts {
            sample,
            ..report().facts
        }
        .followed()
    };
    assert_eq!(followed(Sample::ALL), "all LACs");
    assert_eq!(followed(Sample::NONE), "no LACs");
    assert_eq!(followed(Sample::one_of(100)), "1 of 100 LACs");
    for number in 2..10_000 {
        let facts = Facts {
            sample: Sample::one_of(number),
            ..report().facts
        };
        assert_eq!(facts.followed_one_of(), Some(u64::from(number)));
    }
}

#[test]
fn what_is_missing_is_said() {
    let mut report = Report {
        findings: Findings::default(),
        judgements: Judgements::default(),
        ..report()
    };
    assert_eq!(caveats(&report), Vec::<String>::new());
    report.findings.totals = Totals {
        events: 988,
        events_lost: 12,
        events_forced: 2,
        events_unmatched: 3,
        lacs_closed: 1,
        attempts_forgotten: 4,
        faults_left_out: 5,
        // Of no concern where nothing is expected.
        outcomes_left_out: 6_000,
        memory_limit: 32 << 20,
        ..Totals::default()
    };
    let mut expected = vec![
        "12 of 1,000 events were lost: attempts that may be concerned are unknown, and \
         counts are too low by what was in them.",
        "2 events could not wait for those before them: attempts that may be concerned are \
         unknown.",
        "3 events of LACs that were not seen to ask: their requests came before the start, \
         or were lost.",
        "1 LAC was no longer followed, since the memory of 32 MiB was full; one that came \
         back counts as another one.",
        "4 attempts were forgotten early: a retransmission of one would count as an attempt.",
        "5 faults were left out, since the memory of 32 MiB was full; LACs that met one are \
         not judged.",
    ];
    assert_eq!(caveats(&report), expected);
    report.judgements = Judgements {
        left_out: 7,
        too_late: 8,
        former: Left {
            passed: 1_000,
            failed: 2,
            not_seen: 3,
            withdrawn: 4,
        },
        ..judgements()
    };
    expected.extend([
        "7 expectations were not judged: there is no room for so many.",
        "1,005 expectations of former scenarios left to make room for others: 1,000 passed, 2 \
         failed, 3 not seen.",
        "4 attempts were taken back of expectations that are not listed: what it had come to is \
         counted all the same.",
        "6,008 attempts were not judged, since what is expected of them was no longer known, or \
         they were told too late.",
    ]);
    assert_eq!(caveats(&report), expected);
}
