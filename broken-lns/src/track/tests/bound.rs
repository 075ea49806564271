//! What a tracker has room for.

use broken_lns_ebpf::verdict::Verdict::Answered;

use super::single::kernel;
use super::wire::{MICROSECOND, Talk};
use super::*;
use crate::scenario::Groups;
use crate::track::findings::Doubt;

#[test]
fn at_the_bound_the_lac_that_was_heard_of_the_longest_ago_is_closed() {
    let mut tracker = Tracker::new(Settings {
        memory: 12 << 20,
        ..Settings::default()
    });
    tracker.enter(0, super::rules(), Groups::default());
    let mut closed = Vec::new();
    for lac in 0..20_000 {
        let mut events = Vec::new();
        let time = SECOND + u64::from(lac) * MILLISECOND;
        Talk { lac, ..kernel(1) }.request(&mut events, time, 7, Answered);
        tracker.observe(&events[0], &[]);
        tracker.advance(time);
        closed.extend(settled(tracker.take_news()));
    }
    tracker.finish(22 * SECOND, |_| ());
    let totals = tracker.findings().totals;
    assert!(totals.memory <= totals.memory_limit, "{totals:?}");
    assert_eq!(totals.lacs, 20_000);
    assert_eq!(totals.lacs_closed + totals.lacs_open, 20_000);
    assert!(
        totals.lacs_closed > 1000 && totals.lacs_open > 1000,
        "{totals:?}"
    );
    // In the order in which they were heard of, and what they did next is not known.
    for (lac, outcome) in closed.iter().enumerate() {
        assert_eq!(outcome.lac, lac_address(lac as u32));
        assert_eq!(outcome.conclusion, Conclusion::Unknown(Doubt::OutOfMemory));
    }
    assert_eq!(tracker.findings().faults[0].lacs, 20_000);
}

#[test]
fn a_hundred_thousand_lacs_with_ten_lnss_each_fit_the_default() {
    let mut tracker = super::tracker();
    for lns in 1..=10 {
        for lac in 0..100_000 {
            let mut events = Vec::new();
            let time = u64::from(lns) * SECOND + u64::from(lac) * 10 * MICROSECOND;
            Talk { lac, ..kernel(lns) }.request(&mut events, time, lns.into(), Answered);
            tracker.observe(&events[0], &[]);
            tracker.advance(time);
        }
    }
    // Nothing speaks against what followed, by then.
    tracker.finish(40 * SECOND, |_| ());
    let findings = tracker.findings();
    let totals = findings.totals;
    assert_eq!((totals.lacs_open, totals.lacs_closed), (100_000, 0));
    assert_eq!((totals.attempts, totals.attempts_forgotten), (1_000_000, 0));
    assert!(totals.memory <= 256 << 20, "{totals:?}");
    assert_eq!(findings.faults.len(), 10);
    for fault in &findings.faults[..9] {
        assert_eq!(fault.reactions.of(Reaction::Failover).lacs, 100_000);
    }
    println!(
        "{totals:?} {}",
        std::fs::read_to_string("/proc/self/status").unwrap()
    );
}
