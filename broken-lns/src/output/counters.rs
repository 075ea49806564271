//! The counters as an object in JSON, the same one that [`JsonLines`](super::JsonLines) has,
//! and back again: for `#[serde(with)]`.

use std::collections::BTreeMap;
use std::time::Duration;

use broken_lns_ebpf::verdict::Verdict;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

use super::Progress;
use super::json::Line;
use crate::capture::CaptureCounts;
use crate::play::Sent;
use crate::snapshot::{InterfaceSnapshot, QueueSnapshot, Snapshot};

/// The keys that are not sums of others.
#[derive(Deserialize)]
struct Counters {
    elapsed_s: f64,
    interfaces: Vec<Interface>,
    capture: Option<CaptureCounts>,
    #[serde(rename = "final")]
    last: bool,
}

#[derive(Deserialize)]
struct Interface {
    name: String,
    rewritten: u64,
    redirected: u64,
    verdicts: BTreeMap<String, u64>,
    sent: BTreeMap<String, u64>,
    /// Which earlier versions do not count.
    #[serde(default)]
    events_lost: u64,
    #[serde(default)]
    undelivered: u64,
    #[serde(default)]
    ended: Option<String>,
    queues: Vec<QueueSnapshot>,
    driver: BTreeMap<String, u64>,
}

/// Writes them, with the rate over all of their time.
pub(crate) fn serialize<S: Serializer>(
    snapshot: &Snapshot,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let per_second = Progress::of(snapshot).per_second_since(Progress::default());
    Line::new(snapshot, per_second).serialize(serializer)
}

/// Reads them.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Snapshot, D::Error> {
    let counters = Counters::deserialize(deserializer)?;
    Ok(Snapshot {
        elapsed: Duration::try_from_secs_f64(counters.elapsed_s).map_err(D::Error::custom)?,
        interfaces: counters.interfaces.into_iter().map(Into::into).collect(),
        capture: counters.capture,
        last: counters.last,
    })
}

impl From<Interface> for InterfaceSnapshot {
    /// Counts under labels that are not known here are left out.
    fn from(interface: Interface) -> Self {
        let of = |counts: &BTreeMap<String, u64>, label| counts.get(label).copied().unwrap_or(0);
        let mut verdicts = [0; Verdict::COUNT];
        for (count, verdict) in verdicts.iter_mut().zip(Verdict::ALL) {
            *count = of(&interface.verdicts, verdict.label());
        }
        let mut sent = [0; Sent::COUNT];
        for (count, kind) in sent.iter_mut().zip(Sent::ALL) {
            *count = of(&interface.sent, kind.label());
        }
        Self {
            name: interface.name,
            verdicts,
            rewritten: interface.rewritten,
            redirected: interface.redirected,
            sent,
            events_lost: interface.events_lost,
            undelivered: interface.undelivered,
            ended: interface.ended,
            // Rules have a reply of their own, with all that there is to say of them.
            rules: Vec::new(),
            queues: interface.queues,
            driver: interface.driver.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;
    use crate::output::JsonLines;
    use crate::output::tests::one_interface;

    #[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(transparent)]
    struct Held(#[serde(with = "super")] Snapshot);

    #[test]
    fn they_are_the_object_of_the_json_lines() {
        let line = JsonLines::default().line(&one_interface());
        let line = line.expect("an object");
        let text = serde_json::to_string(&Held(one_interface())).expect("an object");
        assert_eq!(text, line.trim_end());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut snapshot = one_interface();
        snapshot.interfaces[0].events_lost = 7;
        snapshot.interfaces[0].undelivered = 8;
        snapshot.interfaces[0].ended = Some("it went away".to_owned());
        let held = Held(snapshot);
        let text = serde_json::to_string(&held).expect("an object");
        assert_eq!(serde_json::from_str::<Held>(&text).expect(&text), held);
    }

    #[test]
    fn a_time_that_is_none_is_an_error() {
        let text = r#"{"elapsed_s":-1,"interfaces":[],"final":false}"#;
        assert!(serde_json::from_str::<Held>(text).is_err());
    }
}
