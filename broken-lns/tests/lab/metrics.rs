//! Metrics: what a running responder shows to Prometheus, read by a parser that is not ours.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use prometheus_parse::{Scrape, Value};
use serde_json::Value as Json;
use xtask::lab::{ControlMessage, Lab, Sccrq, Scratch};

use crate::{
    request::{ask, datagram, nobody},
    responder::{LIMIT, Responder, command},
    scenarios::to_lns,
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "they_are_what_the_summary_says",
            &[],
            they_are_what_the_summary_says,
        ),
        trial(
            "a_port_that_is_taken_keeps_it_from_starting",
            &[],
            a_port_that_is_taken_keeps_it_from_starting,
        ),
    ]
}

/// A rule beside the default, so that there is something to tell apart.
const TWO: &str = r#"[default]
fault = "refuse"
result = 2
error = 4

[[lns]]
address = "192.0.2.1"
fault = "silent"
"#;

/// Where a responder says that its metrics are.
pub(crate) fn address(responder: &mut Responder) -> Result<SocketAddr> {
    let said = responder.process().wait_for_line("metrics at ", LIMIT)?;
    let address = said.text.strip_prefix("metrics at http://");
    let address = address.and_then(|text| text.strip_suffix("/metrics"));
    Ok(address.with_context(|| said.text.clone())?.parse()?)
}

/// The status line and the body of the response to a GET within the lab.
pub(crate) fn get(lab: &Lab, address: SocketAddr, path: &str) -> Result<(String, String)> {
    lab.responder.enter(|| -> Result<_> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        let (head, body) = response.split_once("\r\n\r\n").context("no head")?;
        let status = head.lines().next().unwrap_or_default();
        Ok((status.to_owned(), body.to_owned()))
    })?
}

/// Every series with its number.
fn series(text: &str) -> Result<BTreeMap<String, f64>> {
    let samples = Scrape::parse(text.lines().map(|line| Ok(line.to_owned())))?.samples;
    let mut series = BTreeMap::new();
    for sample in samples {
        let mut labels: Vec<_> = sample.labels.iter().collect();
        labels.sort();
        let labels: Vec<_> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let labels = labels.join(",");
        let metric = &sample.metric;
        match sample.value {
            Value::Counter(number) | Value::Gauge(number) | Value::Untyped(number) => {
                series.insert(format!("{metric}{{{labels}}}"), number);
            }
            // None of ours has a label beside its bound.
            Value::Histogram(buckets) => series.extend(buckets.iter().map(|bucket| {
                let le = bucket.less_than;
                (format!("{metric}_bucket{{le={le}}}"), bucket.count)
            })),
            other => anyhow::bail!("{metric} is {other:?}"),
        }
    }
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(series.len(), lines.count(), "not every line was read");
    Ok(series)
}

fn they_are_what_the_summary_says() -> Result<()> {
    let files = Scratch::new("metrics")?;
    let file = files.file("scenario.toml");
    fs::write(&file, TWO)?;
    let lab = Lab::static_arp().build()?;
    let port = lab.raw_port()?;
    let file = file.to_str().context("a path that is no text")?;
    let mut responder = Responder::start(&lab, &["--scenario", file, "--metrics", ":0"])?;
    let address = address(&mut responder)?;
    ensure!(address.ip().is_loopback(), "{address}");

    for (lns, answered) in [
        ("192.0.2.1", false),
        ("192.0.2.2", true),
        ("192.0.2.2", true),
        ("192.0.2.3", true),
    ] {
        let request = to_lns(lns, &Sccrq::new(7))?.frame();
        let limit = Duration::from_millis(if answered { 2000 } else { 200 });
        assert_eq!(ask(&port, &request, limit)?.is_some(), answered, "{lns}");
    }
    // One that ends badly, too.
    port.send(
        &datagram(
            nobody(1701),
            ([192, 0, 2, 2], 1701).into(),
            vec![0xC8, 2, 0, 3],
        )
        .frame(),
    )?;

    // The acknowledgement of the last answer; the failover to there is not certain yet.
    let zlb = ControlMessage::zlb(12345, 1, 1).bytes();
    port.send(&datagram(nobody(1701), ([192, 0, 2, 3], 1701).into(), zlb).frame())?;
    // Longer than an event waits for those of an earlier time.
    xtask::lab::pause(Duration::from_millis(500))?;

    let health = get(&lab, address, "/healthz")?;
    assert_eq!(health, ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    let (status, text) = get(&lab, address, "/metrics")?;
    assert_eq!(status, "HTTP/1.1 200 OK");
    let metrics = series(&text)?;
    let report = responder.finish()?;

    let number = |series: &str| metrics.get(series).copied();
    let interface = Lab::INTERFACE;
    let verdicts = report.last()?["verdicts"]
        .as_object()
        .context("no verdicts")?;
    ensure!(!verdicts.is_empty());
    for (verdict, count) in verdicts
        .iter()
        .filter(|(label, _)| *label != "other-traffic")
    {
        let series = format!("broken_lns_frames_total{{interface={interface},verdict={verdict}}}");
        assert_eq!(number(&series), count.as_f64(), "{series}");
    }
    let at = |pointer: &str| {
        report
            .last()
            .map(|last| last.pointer(pointer).and_then(Json::as_f64))
    };
    for (series, pointer) in [
        (
            "broken_lns_answers_total{interface=I,path=redirect}",
            "/redirected",
        ),
        (
            "broken_lns_answers_total{interface=I,path=rewrite}",
            "/rewritten",
        ),
        (
            "broken_lns_queue_answers_total{interface=I,queue=0}",
            "/interfaces/0/queues/0/answered",
        ),
        (
            "broken_lns_rule_hits_total{fault=refuse,rule=default}",
            "/interfaces/0/rules/0/hits",
        ),
        (
            "broken_lns_rule_hits_total{fault=silent,rule=6:1}",
            "/interfaces/0/rules/1/hits",
        ),
    ] {
        let series = series.replace("=I,", &format!("={interface},"));
        let expected = at(pointer)?;
        ensure!(expected.is_some(), "nothing at {pointer}");
        assert_eq!(number(&series), expected, "{series}");
    }
    assert_eq!(
        number("broken_lns_rule_hits_total{fault=silent,rule=6:1}"),
        Some(1.0)
    );
    assert_eq!(
        number("broken_lns_acknowledgement_seconds_count{}"),
        Some(1.0)
    );
    assert_eq!(
        number("broken_lns_acknowledgement_seconds_bucket{le=10}"),
        Some(1.0)
    );
    assert_eq!(number("broken_lns_failover_seconds_count{}"), Some(0.0));
    assert_eq!(number("broken_lns_lockout_seconds_count{}"), Some(0.0));
    let lost = format!("broken_lns_events_lost_total{{interface={interface}}}");
    assert_eq!(number(&lost), Some(0.0));
    // There may be millions of LACs.
    ensure!(!text.contains("203.0.113.77"), "{text}");
    assert_eq!(report.count("/verdicts/answered")?, 3);
    assert_eq!(report.count("/verdicts/silent")?, 1);
    Ok(())
}

fn a_port_that_is_taken_keeps_it_from_starting() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let mut first = Responder::start(&lab, &["--metrics", "0"])?;
    let address = address(&mut first)?.to_string();
    let arguments = [
        "run",
        "--replace",
        "--control",
        "none",
        "--metrics",
        &address,
    ];
    let second = Responder::of(command(&lab.responder, &arguments))?.end()?;
    assert_eq!(second.status.code(), Some(1));
    let said = format!(
        "broken-lns: cannot serve metrics at {address}: Address already in use (os error 98); \
         choose another place with --metrics ADDR:PORT"
    );
    assert_eq!(second.said, [said]);
    // It has not touched the other one.
    first.finish()?;
    Ok(())
}
