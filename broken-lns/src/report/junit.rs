//! The report in the XML of JUnit, which test systems read: a test case for each expectation.
//!
//! One that failed has a `failure` with the LACs that broke it, and one that was not seen is
//! `skipped`. A report of a run in which nothing was expected has no test case.

use quick_junit::{NonSuccessKind, Property, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::escape::plain;
use super::expectation::{Expected, tally};
use super::quantity::counted;
use super::{Report, caveats, expectations};
use crate::judge::{Left, Verdict};
use crate::output::thousands;

/// What stands where others have the class of a test.
const CLASS: &str = "broken-lns";

/// The report for test systems.
pub fn junit(report: &Report) -> String {
    let facts = &report.facts;
    let mut suite = TestSuite::new(text(&plain(&facts.scenario)));
    suite.set_time(facts.duration);
    let started = (XmlString::new("timestamp"), text(&facts.started()));
    suite.extra.extend([started]);
    let facts = report.listed().into_iter();
    suite.add_properties(facts.map(|(name, value)| Property::new(name, text(&value))));
    let all = expectations(&report.judgements);
    suite.add_test_cases(all.iter().map(test_case));
    suite.add_test_cases(former(&report.judgements.former));
    let mut said = vec![tally(&report.judgements)];
    said.extend(caveats(report));
    suite.set_system_out(text(&said.join("\n")));

    let mut document = quick_junit::Report::new(CLASS);
    document.set_time(report.facts.duration);
    document.add_test_suite(suite);
    match document.to_string() {
        Ok(text) => text,
        // A text takes whatever is written.
        Err(error) => unreachable!("plain data is XML: {error}"),
    }
}

fn test_case(expected: &Expected) -> TestCase {
    let message = expected.clauses.join(", ");
    let status = match expected.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Failed => {
            let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
            failure
                .set_message(text(&message))
                .set_type("expectation")
                .set_description(text(&expected.breakers.join("\n")));
            failure
        }
        Verdict::NotSeen => {
            let mut skipped = TestCaseStatus::skipped();
            skipped.set_message(text(&message));
            skipped
        }
    };
    let mut test_case = TestCase::new(text(&expected.name), status);
    test_case.set_classname(CLASS);
    if expected.verdict == Verdict::Passed {
        test_case.set_system_out(text(&message));
    }
    test_case
}

/// The expectations that are not listed, as one test case; none where all are.
fn former(left: &Left) -> Option<TestCase> {
    let name = counted(left.count(), "expectation") + " of former scenarios";
    let expected = Expected {
        name,
        verdict: match left {
            Left { failed: 1.., .. } => Verdict::Failed,
            Left { not_seen: 1.., .. } => Verdict::NotSeen,
            Left { .. } => Verdict::Passed,
        },
        clauses: [
            (left.passed, "passed"),
            (left.failed, "failed"),
            (left.not_seen, "not seen"),
        ]
        .map(|(count, how)| format!("{} {how}", thousands(count)))
        .into(),
        breakers: Vec::new(),
    };
    (left.count() > 0).then(|| test_case(&expected))
}

/// The text as XML can have it: it has no place for these two, which are no characters, either.
/// Control characters are gone in all that was written by others.
fn text(text: &str) -> XmlString {
    XmlString::new(text.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}"))
}
