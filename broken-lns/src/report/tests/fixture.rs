//! Findings made by hand, and small enough to check every number of a document.

use std::net::IpAddr;
use std::time::{Duration, UNIX_EPOCH};

use broken_lns_ebpf::sample::Sample;

use crate::judge::Judgements;
use crate::judge::tests::fixture::{FAILOVER, GIVE_UP, judged, outcome, refusing};
use crate::report::{Facts, Report};
use crate::track::findings::{
    Acknowledged, Acknowledgement, Conclusion, Distribution, Doubt, FaultFindings, FaultKey,
    Findings, LacFindings, LacMessage, MessageCount, Outcome, OverTime, Reaction, Reactions,
    Selection, Selections, Share, Totals, VisitFindings,
};

pub(super) const MILLISECOND: u64 = 1_000_000;
pub(super) const SECOND: u64 = 1_000 * MILLISECOND;

/// Durations, each as often as it says.
pub(super) fn distribution(durations: &[(u64, u64)]) -> Distribution {
    let mut distribution = Distribution::default();
    for (nanoseconds, count) in durations {
        (0..*count).for_each(|_| distribution.add(*nanoseconds));
    }
    distribution
}

/// Reactions by attempts and LACs, and attempts that are unknown.
pub(super) fn reactions(known: &[(Reaction, u64, u64)], unknown: &[(Doubt, u64)]) -> Reactions {
    let mut reactions = Reactions::default();
    for (reaction, attempts, lacs) in known.iter().copied() {
        *reactions.of_mut(reaction) = Share { attempts, lacs };
    }
    for (doubt, attempts) in unknown {
        *reactions.unknown_mut(*doubt) = *attempts;
    }
    reactions
}

pub(super) fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A fault that LACs met at the first LNS of the scenario, of which nothing is known.
pub(super) fn fault(rule: u32, lns: &str, fault: &str) -> FaultFindings {
    FaultFindings {
        key: FaultKey {
            scenario: 0,
            rule,
            lns: address(lns),
        },
        fault: fault.to_owned(),
        lacs: 0,
        attempts: 0,
        answered: 0,
        open: 0,
        retransmissions_before: 0,
        retransmissions_after: 0,
        acknowledged: Acknowledged::default(),
        reactions: Reactions::default(),
        failover_after: Distribution::default(),
        failover_to: Vec::new(),
        failover_to_others: 0,
        retry_after: Distribution::default(),
        lockout: Distribution::default(),
        came_back: Distribution::default(),
        tunnel_ids_reused: 0,
        messages: Vec::new(),
        messages_left_out: 0,
    }
}

/// A thousand LACs that were refused: most failed over, two did not.
pub(super) fn refused() -> FaultFindings {
    FaultFindings {
        lacs: 1_000,
        attempts: 1_000,
        answered: 1_000,
        acknowledged: Acknowledged {
            zlb: 1_000,
            lacs: 1_000,
            round_trip: distribution(&[(400_000, 1_000)]),
            ..Acknowledged::default()
        },
        reactions: reactions(
            &[(Reaction::Failover, 998, 998), (Reaction::RetrySame, 2, 2)],
            &[],
        ),
        failover_after: distribution(&[(12 * MILLISECOND, 978), (80 * MILLISECOND, 20)]),
        failover_to: vec![(address("192.0.2.2"), 998)],
        retry_after: distribution(&[(30 * SECOND, 2)]),
        ..fault(1, "192.0.2.1", "refuse 2/4")
    }
}

/// LACs that had no answer, and of which not everything is known.
pub(super) fn silent() -> FaultFindings {
    FaultFindings {
        lacs: 998,
        attempts: 1_010,
        open: 1,
        retransmissions_before: 4_990,
        reactions: reactions(&[(Reaction::GiveUp, 997, 997)], &[(Doubt::EventsLost, 12)]),
        messages: vec![MessageCount {
            message: LacMessage {
                message_type: 4,
                result: Some(2),
                error: Some(4),
                text: Some("no | <answer>\r\n".to_owned()),
            },
            count: 3,
        }],
        ..fault(2, "192.0.2.2", "silent")
    }
}

/// The report about both.
pub(super) fn report() -> Report {
    Report {
        facts: Facts {
            started: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            duration: Duration::from_secs(90),
            interfaces: vec!["eth1".to_owned(), "eth2".to_owned()],
            scenario: "failover.toml".to_owned(),
            sample: Sample::ALL,
        },
        findings: Findings {
            span: Some((5 * SECOND, 65 * SECOND)),
            totals: Totals {
                events: 9_000,
                events_lost: 12,
                lacs: 1_000,
                lacs_open: 1_000,
                attempts: 2_010,
                retransmissions: 4_990,
                attempts_open: 1,
                memory: 1 << 20,
                memory_limit: 256 << 20,
                ..Totals::default()
            },
            faults: vec![refused(), silent()],
            attempts_over_time: OverTime {
                began: 4 * SECOND,
                step_seconds: 1,
                counts: vec![1_000, 1_000, 0, 10],
            },
            selections: Selections {
                unknown: 2,
                preference: 998,
                ..Selections::default()
            },
        },
        judgements: judgements(),
        lacs: vec![lac()],
    }
}

/// One of the LACs: refused by the first LNS, it turned to the second one, which is silent.
pub(super) fn lac() -> LacFindings {
    let visit = |rule, lns: &str, attempts| VisitFindings {
        key: FaultKey {
            scenario: 0,
            rule,
            lns: lns.parse().expect("an address"),
        },
        attempts,
        open: 0,
        retransmissions_before: 0,
        retransmissions_after: 0,
        acknowledged: 0,
        wrong_nr: 0,
        reactions: [0; 4],
        unknown: 0,
        last: None,
        next: None,
        lockout: None,
    };
    let second = "192.0.2.2".parse().expect("an address");
    LacFindings {
        name: None,
        lac: "10.0.0.7".parse().expect("an address"),
        span: (5 * SECOND, 65 * SECOND),
        messages: 9,
        slowest: Some(12_000_000),
        attempts: 3,
        retransmissions: 5,
        order: vec!["192.0.2.1".parse().expect("an address"), second],
        selection: Selection::Preference,
        parallel: false,
        events_lost: true,
        visits: vec![
            VisitFindings {
                acknowledged: 2,
                reactions: [2, 0, 0, 0],
                last: Some(Conclusion::Reaction(Reaction::Failover)),
                next: Some((second, 12_000_000)),
                lockout: Some(60 * SECOND),
                ..visit(1, "192.0.2.1", 2)
            },
            VisitFindings {
                open: 1,
                retransmissions_before: 5,
                last: Some(Conclusion::Unknown(Doubt::EventsLost)),
                ..visit(2, "192.0.2.2", 1)
            },
        ],
    }
}

/// Three expectations: one that nobody met, one that was broken, and one that was fulfilled.
pub(super) fn judgements() -> Judgements {
    let all = r#"{ reaction = "failover", to = "192.0.2.2", within = "5s", acknowledge = true, lockout = { min = "55s", max = "65s" } }"#;
    let text = format!(
        "[default]\nfault = \"silent\"\nexpect = \"junos\"\n\
         {}error = 4\n\
         [[lns]]\naddress = [\"192.0.2.3\", \"192.0.2.4\"]\n\
         [[lns.lac]]\naddress = \"10.0.0.0/8\"\nfault = \"silent\"\n\
         expect = {{ reaction = [\"retry-same\", \"give-up\"] }}\n",
        refusing(all)
    );
    let over = outcome(FAILOVER).then("192.0.2.2", SECOND);
    let bad = Outcome {
        lac: address("10.0.0.7"),
        began: 21_300 * MILLISECOND,
        ..outcome(FAILOVER).then("192.0.2.3", 7_200 * MILLISECOND)
    };
    let up = Outcome {
        fault: FaultKey {
            scenario: 0,
            rule: 2,
            lns: address("192.0.2.3"),
        },
        ..outcome(GIVE_UP).unanswered()
    };
    let outcomes = [
        over,
        over.back(over.fault, 60 * SECOND),
        bad.acknowledged(Acknowledgement::None),
        bad.acknowledged(Acknowledgement::None),
        Outcome {
            began: 30 * SECOND,
            ..over.back(over.fault, 20 * SECOND)
        },
        outcome(Conclusion::Unknown(Doubt::EventsLost)),
        up,
    ];
    judged(&text, &outcomes).judgements().clone()
}
