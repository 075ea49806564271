//! Names, labels and values of all metrics.

use std::fmt;
use std::time::UNIX_EPOCH;

use broken_lns_ebpf::verdict::Verdict;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::{Exposition, Histogram};
use crate::play::Sent;

const NO_LABELS: [(&str, &str); 0] = [];

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        families.gauge(
            "broken_lns_build_info",
            "The version that runs",
            &[("version", env!("CARGO_PKG_VERSION"))],
            1.0,
        )?;
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        families.gauge(
            "broken_lns_start_time_seconds",
            "When it was started, in seconds since 1970",
            &NO_LABELS,
            started.as_secs_f64(),
        )?;
        let interfaces = || self.snapshot.interfaces.iter();
        families.counters(
            "broken_lns_frames",
            "Frames received, each under its one verdict",
            interfaces().flat_map(|interface| {
                let verdicts = Verdict::ALL.iter().zip(interface.verdicts);
                verdicts.map(|(verdict, count)| {
                    let verdict = ("verdict", verdict.label());
                    ([("interface", interface.name.as_str()), verdict], count)
                })
            }),
        )?;
        families.counters(
            "broken_lns_answers",
            "SCCRQs answered at once, by the path on which the answer was written",
            interfaces().flat_map(|interface| {
                let paths = [
                    ("rewrite", interface.rewritten),
                    ("redirect", interface.redirected),
                ];
                paths.map(|(path, count)| {
                    let labels = [("interface", interface.name.as_str()), ("path", path)];
                    (labels, count)
                })
            }),
        )?;
        families.counters(
            "broken_lns_sent",
            "What workers did beside answering at once, or could not do",
            interfaces().flat_map(|interface| {
                let sent = Sent::ALL.iter().zip(interface.sent);
                sent.map(|(sent, count)| {
                    let kind = ("kind", sent.label());
                    ([("interface", interface.name.as_str()), kind], count)
                })
            }),
        )?;
        families.counters(
            "broken_lns_events_lost",
            "Events of LACs that are followed, for which there was no room",
            interfaces().map(|interface| {
                let labels = [("interface", interface.name.as_str())];
                (labels, interface.events_lost)
            }),
        )?;
        families.counters(
            "broken_lns_undelivered",
            "Frames that did not arrive at the worker that they were handed to",
            interfaces().map(|interface| {
                let labels = [("interface", interface.name.as_str())];
                (labels, interface.undelivered)
            }),
        )?;
        families.gauges(
            "broken_lns_attached",
            "Whether the XDP program is attached to the interface: 1 or 0",
            interfaces().map(|interface| {
                let labels = [("interface", interface.name.as_str())];
                (labels, f64::from(u8::from(interface.ended.is_none())))
            }),
        )?;
        families.counters(
            "broken_lns_captured_frames",
            "Frames by what became of them: written, lost for want of room, or not to be written",
            self.snapshot.capture.iter().flat_map(|counts| {
                let counts = counts.entries();
                counts.map(|(result, count)| ([("result", result)], count))
            }),
        )?;
        families.counters(
            "broken_lns_rule_hits",
            "SCCRQs that a rule was about, on all interfaces",
            self.rules.iter().map(|count| {
                let labels = [("rule", count.rule.as_str()), ("fault", count.fault)];
                (labels, count.hits)
            }),
        )?;
        families.counters(
            "broken_lns_queue_answers",
            "SCCRQs answered by the worker of a queue",
            interfaces().flat_map(|interface| {
                interface.queues.iter().map(|queue| {
                    let number = ("queue", queue.queue.to_string());
                    (
                        [("interface", interface.name.clone()), number],
                        queue.answered,
                    )
                })
            }),
        )?;
        families.counters(
            "broken_lns_xdp_socket_events",
            "What the kernel counted on the AF_XDP socket of a queue, as in struct xdp_statistics",
            interfaces().flat_map(|interface| {
                interface.queues.iter().flat_map(|queue| {
                    queue.xdp_statistics.entries().map(|(event, count)| {
                        let labels = [
                            ("interface", interface.name.clone()),
                            ("queue", queue.queue.to_string()),
                            ("event", event.to_owned()),
                        ];
                        (labels, count)
                    })
                })
            }),
        )?;
        families.counters(
            "broken_lns_driver_events",
            "What the driver counted as errors and drops, under its own names",
            interfaces().flat_map(|interface| {
                interface.driver.iter().map(|(event, count)| {
                    let interface = ("interface", interface.name.as_str());
                    ([interface, ("event", event.as_str())], *count)
                })
            }),
        )?;
        let Some(times) = &self.times else {
            return Ok(());
        };
        families.histogram(
            "broken_lns_acknowledgement_seconds",
            "From a StopCCN to its acknowledgement",
            &times.acknowledgement,
        )?;
        families.histogram(
            "broken_lns_failover_seconds",
            "From the failure at one LNS to the first request of the LAC at another",
            &times.failover,
        )?;
        families.histogram(
            "broken_lns_lockout_seconds",
            "From the failure at an LNS to the next request of the LAC there",
            &times.lockout,
        )
    }
}

/// Writes families one after the other.
struct Families<'e>(DescriptorEncoder<'e>);

impl Families<'_> {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &impl EncodeLabelSet,
        value: f64,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        family.encode_family(labels)?.encode_gauge(&value)
    }

    /// A family of gauges.
    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        gauges: impl Iterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in gauges {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A family of counters, to whose name `_total` is added; it is left out where it is empty.
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        counters: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut counters = counters.peekable();
        if counters.peek().is_none() {
            return Ok(());
        }
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in counters {
            let mut counter = family.encode_family(&labels)?;
            counter.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        let classes: Vec<_> = histogram.classes().collect();
        family.encode_histogram::<NoLabelSet>(histogram.sum(), histogram.count(), &classes, None)
    }
}
