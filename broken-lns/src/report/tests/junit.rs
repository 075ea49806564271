//! What is written is read again by a parser that knows nothing of the writer.

use std::collections::BTreeSet;

use proptest::prelude::*;
use roxmltree::{Document, Node};

use super::fixture::report;
use crate::judge::{Failed, Judgements, Left};
use crate::report::{Report, junit};

/// The elements of that name.
fn all<'d>(document: &'d Document<'_>, name: &str) -> Vec<Node<'d, 'd>> {
    let nodes = document.descendants();
    nodes.filter(|node| node.has_tag_name(name)).collect()
}

fn counts<'d>(node: &Node<'d, 'd>) -> [Option<&'d str>; 4] {
    ["tests", "failures", "errors", "skipped"].map(|count| node.attribute(count))
}

#[test]
fn there_is_a_test_case_for_each_expectation() {
    let text = junit(&report());
    let document = Document::parse(&text).expect("XML");
    let root = document.root_element();
    assert_eq!(root.tag_name().name(), "testsuites");
    let suites = all(&document, "testsuite");
    let [suite] = suites.as_slice() else {
        panic!("one suite and not {}", suites.len());
    };
    let expected = [Some("3"), Some("1"), Some("0"), Some("1")];
    assert_eq!(counts(&root), expected);
    assert_eq!(counts(suite), expected);
    assert_eq!(suite.attribute("name"), Some("failover.toml"));
    assert_eq!(suite.attribute("timestamp"), Some("2023-11-14T22:13:20Z"));
    assert_eq!(suite.attribute("time"), Some("90.000"));

    let cases = all(&document, "testcase");
    let names: Vec<_> = cases
        .iter()
        .filter_map(|case| case.attribute("name"))
        .collect();
    assert_eq!(
        names,
        [
            "other LNSs, silent: do as junos does",
            "LNS 192.0.2.1, refuse 2/4: fail over to 192.0.2.2 within 5s, \
             acknowledge the StopCCN, stay away for 55s to 1m 5s",
            "LNS 192.0.2.3 and 1 more, LAC 10.0.0.0/8, silent: retry the same LNS or give up",
        ]
    );
    let inside = cases.iter().map(|case| {
        let children = case.children().filter(Node::is_element);
        children
            .map(|child| child.tag_name().name())
            .collect::<Vec<_>>()
    });
    let inside: Vec<_> = inside.collect();
    assert_eq!(
        inside,
        [vec!["skipped"], vec!["failure"], vec!["system-out"]]
    );
    let skipped = all(&document, "skipped")[0];
    assert_eq!(skipped.attribute("message"), Some("no attempt met it"));
}

#[test]
fn one_test_case_stands_for_all_that_are_not_listed() {
    for (former, counts_expected) in [
        (
            Left {
                passed: 4,
                ..Left::default()
            },
            ["4", "1", "0", "1"],
        ),
        (
            Left {
                passed: 4,
                not_seen: 1,
                ..Left::default()
            },
            ["4", "1", "0", "2"],
        ),
        (
            Left {
                failed: 2,
                not_seen: 1,
                ..Left::default()
            },
            ["4", "2", "0", "1"],
        ),
    ] {
        let mut report = report();
        report.judgements.former = former;
        let text = junit(&report);
        let document = Document::parse(&text).expect("XML");
        assert_eq!(counts(&document.root_element()), counts_expected.map(Some));
        let name = format!("{} expectations of former scenarios", former.count());
        let last = all(&document, "testcase").pop().expect("there are some");
        assert_eq!(last.attribute("name"), Some(&*name));
    }
}

#[test]
fn what_failed_before_it_was_left_out_has_failed() {
    let mut judgements = Judgements::default();
    judgements.former.passed = 3;
    assert_eq!(judgements.check(), Ok(()));
    assert!(!judgements.is_empty());
    judgements.former.failed = 1;
    assert_eq!(judgements.check(), Err(Failed { failed: 1, all: 4 }));
}

#[test]
fn a_failure_has_who_broke_it() {
    let text = junit(&report());
    let document = Document::parse(&text).expect("XML");
    let failure = all(&document, "failure")[0];
    assert_eq!(
        failure.attribute("message"),
        Some(
            "3 of 5 attempts as expected, 1 of 2 lockouts as expected, \
             1 attempt unknown: events were lost"
        )
    );
    assert_eq!(
        failure.text(),
        Some(
            "LAC 10.0.0.7 at 12.3 s, LNS 192.0.2.1: failed over to 192.0.2.3 \
             (192.0.2.2 expected), next attempt after 7.2 s (within 5s expected), \
             not acknowledged (acknowledgement expected); 2 times in all\n\
             LAC 10.0.0.1 at 21.0 s, LNS 192.0.2.1: came back after 20 s (55s to 1m 5s expected)"
        )
    );
    let facts: BTreeSet<_> = all(&document, "property")
        .iter()
        .map(|property| (property.attribute("name"), property.attribute("value")))
        .collect();
    assert!(facts.contains(&(Some("followed"), Some("all LACs"))));
    let said = all(&document, "system-out")
        .pop()
        .and_then(|node| node.text());
    assert_eq!(
        said,
        Some(
            "3 expectations: 1 passed, 1 failed, 1 not seen\n\
             12 of 9,012 events were lost: attempts that may be concerned are unknown, \
             and counts are too low by what was in them."
        )
    );
}

#[test]
fn where_nothing_is_expected_there_is_no_test() {
    let text = junit(&Report {
        judgements: Judgements::default(),
        ..report()
    });
    let document = Document::parse(&text).expect("XML");
    assert!(all(&document, "testcase").is_empty());
    assert_eq!(counts(&document.root_element())[0], Some("0"));
}

proptest! {
    #[test]
    fn any_name_is_xml(name in "(\\PC|[\\x00-\\x1f<>&\"'\u{fffe}\u{ffff}\u{85}]|]]>|<!--){0,20}") {
        let mut named = report();
        named.facts.scenario.clone_from(&name);
        named.facts.interfaces = vec![name.clone()];
        let text = junit(&named);
        let document = Document::parse(&text).expect("XML");
        let suite = all(&document, "testsuite")[0];
        let read = suite.attribute("name").map(|read| read.chars().count());
        prop_assert_eq!(read, Some(name.chars().count()));
    }
}
