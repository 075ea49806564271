//! One JSON object a line, for programs that read along.

use broken_lns_ebpf::verdict::Verdict;
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::Progress;
use crate::capture::CaptureCounts;
use crate::play::{Sent, SentCounts};
use crate::printable;
use crate::snapshot::{InterfaceSnapshot, QueueSnapshot, RuleSnapshot, Snapshot, VerdictCounts};

/// Snapshots as lines of JSON.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonLines {
    before: Progress,
}

/// The object in one line. Its keys are an interface for others: never rename one.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    elapsed_s: f64,
    received: u64,
    answered: u64,
    rewritten: u64,
    redirected: u64,
    /// The answers a second since the line before; over the whole run in the last line.
    per_second: f64,
    events_lost: u64,
    /// The frames that did not arrive at the worker that they were handed to.
    undelivered: u64,
    verdicts: Verdicts,
    interfaces: Vec<Interface<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    capture: Option<CaptureCounts>,
    #[serde(rename = "final")]
    last: bool,
}

/// The object of one interface.
#[derive(Serialize)]
struct Interface<'a> {
    name: &'a str,
    received: u64,
    answered: u64,
    rewritten: u64,
    redirected: u64,
    verdicts: Verdicts,
    sent: Frames<'a>,
    events_lost: u64,
    undelivered: u64,
    /// Why nothing is answered here any more; `null` while it is.
    ended: Option<&'a str>,
    rules: Vec<RuleHits>,
    queues: &'a [QueueSnapshot],
    driver: Driver<'a>,
}

/// A rule that requests met.
#[derive(Serialize)]
struct RuleHits {
    /// Line and column in the file, or `null` for the default.
    place: Option<String>,
    hits: u64,
}

/// The counts under the labels of what was done.
struct Frames<'a>(&'a SentCounts);

/// The counts under the labels of their verdicts.
struct Verdicts(VerdictCounts);

/// The counts under the names that the driver gives them.
struct Driver<'a>(&'a [(String, u64)]);

impl JsonLines {
    /// Begins anew, since the counters do.
    pub fn reset(&mut self) {
        self.before = Progress::default();
    }

    /// The line of one snapshot, with its newline.
    ///
    /// # Errors
    ///
    /// None that a snapshot could give reason to.
    pub fn line(&mut self, snapshot: &Snapshot) -> Result<String, serde_json::Error> {
        let now = Progress::of(snapshot);
        let since = if snapshot.last {
            Progress::default()
        } else {
            self.before
        };
        self.before = now;
        let line = Line::new(snapshot, now.per_second_since(since));
        Ok(printable::json_line(&serde_json::to_string(&line)?) + "\n")
    }
}

impl<'a> Line<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, per_second: f64) -> Self {
        Self {
            elapsed_s: rounded(snapshot.elapsed.as_secs_f64()),
            received: snapshot.received(),
            answered: snapshot.answered(),
            rewritten: snapshot.rewritten(),
            redirected: snapshot.redirected(),
            per_second: rounded(per_second),
            events_lost: snapshot.events_lost(),
            undelivered: snapshot.undelivered(),
            verdicts: Verdicts(snapshot.verdicts()),
            interfaces: snapshot.interfaces.iter().map(Interface::of).collect(),
            capture: snapshot.capture,
            last: snapshot.last,
        }
    }
}

impl<'a> Interface<'a> {
    fn of(interface: &'a InterfaceSnapshot) -> Self {
        Self {
            name: &interface.name,
            received: interface.received(),
            answered: interface.answered(),
            rewritten: interface.rewritten,
            redirected: interface.redirected,
            verdicts: Verdicts(interface.verdicts),
            sent: Frames(&interface.sent),
            events_lost: interface.events_lost,
            undelivered: interface.undelivered,
            ended: interface.ended.as_deref(),
            rules: interface.rules.iter().map(RuleHits::of).collect(),
            queues: &interface.queues,
            driver: Driver(&interface.driver),
        }
    }
}

impl Serialize for Verdicts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Verdict::COUNT))?;
        for (verdict, count) in Verdict::ALL.iter().zip(&self.0) {
            map.serialize_entry(verdict.label(), count)?;
        }
        map.end()
    }
}

impl RuleHits {
    fn of(rule: &RuleSnapshot) -> Self {
        Self {
            place: rule.place.map(|place| place.to_string()),
            hits: rule.hits,
        }
    }
}

impl Serialize for Frames<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = Sent::ALL.iter().map(|sent| sent.label());
        serializer.collect_map(labels.zip(self.0))
    }
}

impl Serialize for Driver<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, count)| (name, count)))
    }
}

/// To a thousandth, which is as exact as the clock is meant.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::output::tests::one_interface;
    use crate::scenario::Place;

    /// What the lines of these snapshots say.
    fn lines(snapshots: &[Snapshot]) -> Vec<Value> {
        let mut json = JsonLines::default();
        let lines = snapshots.iter().map(|snapshot| {
            let line = json.line(snapshot).expect("a snapshot is an object");
            assert_eq!(line.find('\n'), Some(line.len() - 1));
            serde_json::from_str(&line).expect("it is an object")
        });
        lines.collect()
    }

    #[test]
    fn a_line_has_every_key() {
        let line = lines(&[one_interface()]).remove(0);
        assert_eq!(line["elapsed_s"], json!(10.04));
        assert_eq!(line["received"], json!(13_352));
        assert_eq!(line["answered"], json!(12_345));
        assert_eq!(line["rewritten"], json!(12_000));
        assert_eq!(line["redirected"], json!(345));
        assert_eq!(line["per_second"], json!(1229.582));
        assert_eq!(line["final"], json!(false));
        assert_eq!(line["events_lost"], json!(0));
        assert_eq!(line["interfaces"][0]["events_lost"], json!(0));
        assert_eq!(line["undelivered"], json!(0));
        assert_eq!(line["interfaces"][0]["undelivered"], json!(0));
        assert_eq!(line["interfaces"][0]["ended"], json!(null));
        for verdicts in [&line["verdicts"], &line["interfaces"][0]["verdicts"]] {
            assert_eq!(
                verdicts.as_object().map(|map| map.len()),
                Some(Verdict::COUNT)
            );
            assert_eq!(verdicts["answered"], json!(12_345));
            assert_eq!(verdicts["length-too-long"], json!(2));
            assert_eq!(verdicts["fragment"], json!(0));
        }
        let interface = &line["interfaces"][0];
        assert_eq!(interface["name"], json!("eth1"));
        assert_eq!(interface["sent"]["sent-later"], json!(0));
        assert_eq!(interface["rules"], json!([]));
        assert_eq!(
            interface["queues"],
            json!([{
                "queue": 0,
                "answered": 345,
                "xdp_statistics": {
                    "rx_dropped": 0,
                    "rx_invalid_descs": 0,
                    "tx_invalid_descs": 0,
                    "rx_ring_full": 9,
                    "rx_fill_ring_empty_descs": 0,
                    "tx_ring_empty_descs": 0,
                },
            }])
        );
        assert_eq!(
            interface["driver"],
            json!({"rx_queue_0_xdp_drops": 1007, "rx_queue_0_xdp_tx_errors": 20})
        );
    }

    #[test]
    fn rules_are_named_by_their_place() {
        let mut snapshot = one_interface();
        let interface = &mut snapshot.interfaces[0];
        interface.sent[Sent::Later as usize] = 7;
        let place = Place { line: 3, column: 1 };
        interface.rules = [(None, 5), (Some(place), 6)]
            .map(|(place, hits)| RuleSnapshot { place, hits })
            .to_vec();
        let line = lines(&[snapshot]).remove(0);
        let interface = &line["interfaces"][0];
        assert_eq!(interface["sent"]["sent-later"], json!(7));
        assert_eq!(
            interface["rules"],
            json!([{"place": null, "hits": 5}, {"place": "3:1", "hits": 6}])
        );
    }

    #[test]
    fn the_rate_is_since_the_line_before_and_over_all_in_the_last() {
        let first = one_interface();
        let mut second = first.clone();
        second.elapsed += Duration::from_secs(2);
        second.interfaces[0].verdicts[Verdict::Answered as usize] += 500;
        let mut last = second.clone();
        last.elapsed = Duration::from_secs(20);
        last.last = true;
        let lines = lines(&[first, second, last]);
        assert_eq!(lines[1]["per_second"], json!(250.0));
        assert_eq!(lines[2]["per_second"], json!(642.25));
        assert_eq!(lines[2]["final"], json!(true));
    }
}
