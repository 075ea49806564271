use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use prometheus_parse::{Scrape, Value};
use serde_json::Value as Json;

use super::*;
use crate::capture::CaptureCounts;
use crate::output::tests::one_interface;

/// What one interface with a scenario and a followed LAC shows.
fn exposition() -> Exposition {
    let mut times = Times::default();
    times.acknowledgement.observe(Duration::from_millis(250));
    times.acknowledgement.observe(Duration::from_secs(60));
    let count = |rule: &str, fault, hits| RuleCount {
        rule: rule.to_owned(),
        fault,
        hits,
    };
    let mut snapshot = one_interface();
    snapshot.capture = Some(CaptureCounts {
        written: 12_345,
        lost: 7,
        failed: 3,
    });
    Exposition {
        started: UNIX_EPOCH + Duration::from_millis(1_700_000_000_250),
        snapshot,
        rules: vec![
            count("default", "refuse", 12_000),
            count("3:1", "silent", 345),
        ],
        times: Some(times),
    }
}

fn text() -> String {
    exposition().into_text().expect("memory takes it")
}

#[test]
fn counters_have_names_and_labels_by_the_conventions() {
    let text = text();
    for line in [
        "# TYPE broken_lns_build_info gauge",
        "broken_lns_build_info{version=\"0.1.0\"} 1.0",
        "broken_lns_start_time_seconds 1700000000.25",
        "# HELP broken_lns_frames_total Frames received, each under its one verdict",
        "# TYPE broken_lns_frames_total counter",
        "broken_lns_frames_total{interface=\"eth1\",verdict=\"answered\"} 12345",
        "broken_lns_frames_total{interface=\"eth1\",verdict=\"zlb\"} 1005",
        "broken_lns_frames_total{interface=\"eth1\",verdict=\"no-room\"} 0",
        "broken_lns_answers_total{interface=\"eth1\",path=\"rewrite\"} 12000",
        "broken_lns_answers_total{interface=\"eth1\",path=\"redirect\"} 345",
        "broken_lns_sent_total{interface=\"eth1\",kind=\"sent-again\"} 0",
        "broken_lns_events_lost_total{interface=\"eth1\"} 0",
        "broken_lns_undelivered_total{interface=\"eth1\"} 0",
        "broken_lns_attached{interface=\"eth1\"} 1.0",
        "broken_lns_captured_frames_total{result=\"written\"} 12345",
        "broken_lns_captured_frames_total{result=\"lost\"} 7",
        "broken_lns_captured_frames_total{result=\"failed\"} 3",
        "broken_lns_rule_hits_total{rule=\"default\",fault=\"refuse\"} 12000",
        "broken_lns_rule_hits_total{rule=\"3:1\",fault=\"silent\"} 345",
        "broken_lns_queue_answers_total{interface=\"eth1\",queue=\"0\"} 345",
        "broken_lns_xdp_socket_events_total{interface=\"eth1\",queue=\"0\",event=\"rx_ring_full\"} 9",
        "broken_lns_driver_events_total{interface=\"eth1\",event=\"rx_queue_0_xdp_drops\"} 1007",
        "# TYPE broken_lns_acknowledgement_seconds histogram",
        "broken_lns_acknowledgement_seconds_bucket{le=\"0.1\"} 0",
        "broken_lns_acknowledgement_seconds_bucket{le=\"0.25\"} 1",
        "broken_lns_acknowledgement_seconds_bucket{le=\"10\"} 1",
        "broken_lns_acknowledgement_seconds_bucket{le=\"+Inf\"} 2",
        "broken_lns_acknowledgement_seconds_sum 60.25",
        "broken_lns_acknowledgement_seconds_count 2",
        "broken_lns_lockout_seconds_count 0",
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "{line}\nin\n{text}"
        );
    }
}

#[test]
fn every_family_says_what_it_is_and_has_no_series_twice() {
    let text = text();
    let mut families = BTreeSet::new();
    let mut series = BTreeSet::new();
    for line in text.lines() {
        match line.strip_prefix("# TYPE ") {
            Some(family) => {
                let (name, kind) = family.split_once(' ').expect(line);
                assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
                assert!(text.contains(&format!("# HELP {name} ")), "{line}");
                assert!(families.insert(name), "{line}");
            }
            None if line.starts_with("# HELP ") => {}
            None => {
                let (labelled, _) = line.rsplit_once(' ').expect(line);
                assert!(series.insert(labelled), "{line}");
                let is_of = |family: &&&str| labelled.starts_with(**family);
                assert!(families.iter().find(is_of).is_some(), "{line}");
            }
        }
    }
    assert_eq!(families.len(), 16);
}

#[test]
fn what_is_not_followed_is_not_shown() {
    let mut exposition = exposition();
    exposition.snapshot.capture = None;
    exposition.times = None;
    exposition.snapshot.interfaces[0].queues.clear();
    let text = exposition.into_text().expect("memory takes it");
    for family in [
        "_seconds_bucket",
        "broken_lns_queue_answers",
        "xdp_socket",
        "captured",
    ] {
        assert!(!text.contains(family), "{family} in\n{text}");
    }
}

/// The names of the samples in a text, as a parser that is not ours finds them.
fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let samples = Scrape::parse(lines).expect("it can be parsed").samples;
    let mut names = BTreeSet::new();
    for sample in samples {
        if matches!(sample.value, Value::Histogram(_)) {
            names.insert(format!("{}_bucket", sample.metric));
        } else {
            names.insert(sample.metric);
        }
    }
    names
}

/// Everything that looks like a name of ours.
fn mentioned(query: &str) -> impl Iterator<Item = &str> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("broken_lns_"))
}

/// All values of a key, wherever it is.
fn values<'j>(json: &'j Json, key: &str, found: &mut Vec<&'j str>) {
    match json {
        Json::Object(members) => {
            found.extend(members.get(key).and_then(Json::as_str));
            members.values().for_each(|json| values(json, key, found));
        }
        Json::Array(items) => items.iter().for_each(|json| values(json, key, found)),
        _ => {}
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let dashboard = include_str!("../../contrib/grafana-dashboard.json");
    let dashboard: Json = serde_json::from_str(dashboard).expect("it is JSON");
    let mut queries = Vec::new();
    for key in ["expr", "query", "definition"] {
        values(&dashboard, key, &mut queries);
    }
    let names = names(&text());
    let mut asked = BTreeSet::new();
    for query in queries {
        for name in mentioned(query) {
            assert!(names.contains(name), "{name} in {query}");
            asked.insert(name);
        }
    }
    // Nothing is measured that nobody would see.
    let unseen: Vec<_> = names
        .iter()
        .filter(|name| !asked.contains(name.as_str()))
        .filter(|name| !name.ends_with("_sum") && !name.ends_with("_count"))
        .collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}
