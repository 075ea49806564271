use serde_json::Value;

use super::fixture::{report, silent};
use crate::report::json;

/// The report of the fixture, as it is written for ever.
const GOLDEN: &str = include_str!("golden.json");

#[test]
fn a_report_is_written_as_it_ever_was() {
    assert_eq!(json(&report()), GOLDEN);
}

#[test]
fn words_of_lacs_are_kept_as_they_came() {
    let text = "\"\\\u{7f}\x1b</script>\u{202e}\0";
    let mut hostile = report();
    let mut fault = silent();
    fault.messages[0].message.text = Some(text.to_owned());
    hostile.findings.faults = vec![fault];
    let read: Value = serde_json::from_str(&json(&hostile)).expect("JSON");
    assert_eq!(read["faults"][0]["messages"][0]["text"], text);
}
