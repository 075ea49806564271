//! Whatever events come, nothing panics and every attempt is told once.

use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::verdict::Verdict;
use proptest::prelude::*;

use super::wire::{MILLISECOND, SECOND};
use super::*;
use crate::scenario::Groups;

fn event() -> impl Strategy<Value = Event> {
    let time = prop_oneof![
        8 => (0u64..200_000).prop_map(|milliseconds| milliseconds * MILLISECOND),
        1 => 0u64..SECOND,
        1 => any::<u64>(),
    ];
    let verdict = prop_oneof![
        4 => Just(Verdict::Answered as u16),
        1 => Just(Event::HANDED_OVER),
        4 => 0..Verdict::COUNT as u16 + 2,
    ];
    let who = (0u64..3, 0u64..4, 0u32..3, 0u32..4);
    let what = (0u16..6, 0u16..4, 0u16..3, 0u16..2, 0u16..3);
    (time, verdict, who, what, 0u8..4).prop_map(|(time, verdict, who, what, kind)| {
        let (lac, lns, scenario, rule) = who;
        let (message_type, id, lac_port, ns, nr) = what;
        Event {
            time,
            lac: [lac, 0],
            lns: [lns, 0],
            scenario,
            rule,
            frame_len: 0,
            lns_port: 1701,
            lac_port,
            vlan: 0,
            inner_vlan: 0,
            message_type: message_type.max(1),
            tunnel_id: id,
            assigned_tunnel_id: id,
            ns,
            nr,
            verdict,
            ip_version: if lac == 2 { 6 } else { 4 },
            kind,
        }
    })
}

/// That every attempt has one reaction, or one reason why that is unknown, or is not over.
fn add_up(findings: &Findings) -> Result<(), TestCaseError> {
    for fault in &findings.faults {
        let known: u64 = Reaction::ALL
            .into_iter()
            .map(|reaction| fault.reactions.of(reaction).attempts)
            .sum();
        let told = known + fault.reactions.unknown_total();
        prop_assert_eq!(told + fault.open, fault.attempts);
        let failovers = fault.reactions.of(Reaction::Failover).attempts;
        prop_assert_eq!(fault.failover_after.count(), failovers);
        let targets: u64 = fault.failover_to.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(targets + fault.failover_to_others, failovers);
        let retries = fault.reactions.of(Reaction::RetrySame).attempts;
        prop_assert_eq!(fault.retry_after.count(), retries);
        let acknowledged = &fault.acknowledged;
        let known = acknowledged.zlb + acknowledged.piggyback + acknowledged.zero_tunnel_id;
        prop_assert!(known + acknowledged.wrong_nr <= fault.answered);
        if fault.open == 0 {
            let unknown: u64 = acknowledged.unknown.iter().sum();
            let all = known + acknowledged.wrong_nr + acknowledged.none + unknown;
            prop_assert!(all == fault.answered || all == 0);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_attempt_is_told_once(
        events in prop::collection::vec((event(), any::<bool>(), 0u8..20), 0..200),
        small: bool,
    ) {
        // With little more than what no LAC needs, there is room for one or two.
        let least = Ledger::BYTES;
        let mut tracker = Tracker::new(Settings {
            memory: if small { least + 4096 } else { 32 << 20 },
            patience: 40 * SECOND,
            ..Settings::default()
        });
        tracker.enter(0, rules(), Groups::default());
        let mut news = Vec::new();
        for (event, advances, lost) in &events {
            if *lost == 0 {
                tracker.lost(1, event.time);
            }
            tracker.observe(event, &[]);
            if *advances {
                tracker.advance(event.time);
            }
            news.extend(tracker.take_news());
            add_up(&tracker.findings())?;
        }
        tracker.finish(u64::MAX, |told| news.push(told));
        let outcomes = settled(news);
        let findings = tracker.findings();
        let totals = findings.totals;
        prop_assert_eq!(outcomes.len() as u64, totals.attempts);
        prop_assert_eq!(totals.events, events.len() as u64);
        prop_assert_eq!(totals.attempts_open, 0);
        prop_assert_eq!(totals.lacs, totals.lacs_open + totals.lacs_closed);
        let attempts: u64 = findings.faults.iter().map(|fault| fault.attempts).sum();
        prop_assert_eq!(attempts, totals.attempts);
        add_up(&findings)?;
        let lacs: u64 = tracker.lacs().map(|lac| lac.attempts).sum();
        prop_assert!(lacs <= totals.attempts);
    }
}
