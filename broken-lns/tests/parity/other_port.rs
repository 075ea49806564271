//! Messages to the port that replies come from where they come from a wrong one.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, ensure};
use broken_lns_ebpf::twist::OTHER_PORT;
use broken_lns_ebpf::verdict::{Disposition, Verdict};

use crate::events::scenario;
use crate::fixtures;
use crate::halves::{KernelHalf, Path, Worker, kernel_policy};
use crate::rules::{messages, worker_policy};

const SCENARIO: &str = r#"
    [[lns]]
    address = "192.0.2.1"
    fault = "garble"
    kind = "wrong-source-port"
    [[lns]]
    address = "192.0.2.2"
    fault = "refuse"
    [[lns.lac]]
    address = "10.0.0.0/8"
    fault = "garble"
    kind = "wrong-source-port"
    [[lns]]
    address = "192.0.2.3"
    fault = "pass"
    [[lns]]
    address = "2001:db8::/32"
    fault = "cycle"
    faults = ["silent", { fault = "garble", kind = "wrong-source-port" }]
"#;
/// Of the cases below, those for which it has such a rule.
const RIGHT: [(&str, &str); 3] = [
    ("10.0.0.1", "192.0.2.1"),
    ("10.0.0.1", "192.0.2.2"),
    ("2001:db8::9", "2001:db8::1"),
];
const OTHERS: [(&str, &str); 4] = [
    ("172.16.0.1", "192.0.2.2"),
    ("10.0.0.1", "192.0.2.3"),
    ("10.0.0.1", "192.0.2.9"),
    ("2001:db8::9", "2001:db7::1"),
];
const PATHS: [Path; 3] = [Path::Rewrite, Path::RewriteElseRedirect, Path::Redirect];

fn frame_to(port: u16, (lac, lns): (&str, &str), payload: &[u8]) -> Result<Vec<u8>> {
    let (lac, lns): (IpAddr, IpAddr) = (lac.parse()?, lns.parse()?);
    let (lac, lns) = (SocketAddr::new(lac, 1025), SocketAddr::new(lns, port));
    Ok(fixtures::between(lac, lns, payload.to_vec()))
}

/// That the kernel half leaves it alone, and the worker sees nothing in it.
fn assert_left_alone(kernel: &mut KernelHalf, worker: &mut Worker, frame: &[u8]) -> Result<()> {
    let left = kernel.run_as(frame, Disposition::Pass)?;
    ensure!(left == frame, "it was changed: {left:02x?}");
    let verdict = kernel.respond(frame)?.verdict;
    ensure!(verdict == Verdict::OtherTraffic, "{verdict:?}");
    ensure!(kernel.events().is_empty(), "it is told");
    let verdict = worker.respond(frame)?.verdict;
    ensure!(
        verdict == Verdict::OtherTraffic,
        "{verdict:?} by the worker"
    );
    Ok(())
}

pub(crate) fn messages_of_both_paths() -> Result<()> {
    let compiled = scenario(SCENARIO)?;
    for path in PATHS {
        let mut kernel = KernelHalf::with_scenario(&compiled, path, &kernel_policy())?;
        let mut worker = Worker::with_scenario(compiled.clone(), worker_policy());
        for message in messages() {
            let bytes = message.bytes();
            for parties in RIGHT {
                let what = format!("{path:?}, {parties:?}, {message:?}");
                let right = kernel.respond(&frame_to(1701, parties, &bytes)?)?.verdict;
                kernel.events();
                let frame = frame_to(OTHER_PORT, parties, &bytes)?;
                let by_kernel = kernel.respond(&frame)?;
                ensure!(
                    by_kernel.verdict == right,
                    "{what}: {:?}",
                    by_kernel.verdict
                );
                let events = kernel.events();
                let [(event, _)] = &events[..] else {
                    anyhow::bail!("{what}: {} events", events.len());
                };
                ensure!(
                    event.lns_port == OTHER_PORT && event.verdict() == Some(right),
                    "{what}: {event:?}"
                );
                let by_worker = worker.respond(&frame)?;
                if right != Verdict::NoSocket {
                    ensure!(
                        (by_worker.verdict, &by_worker.reply) == (right, &by_kernel.reply),
                        "{what}: {by_worker:?}"
                    );
                }
            }
            for parties in OTHERS {
                assert_left_alone(
                    &mut kernel,
                    &mut worker,
                    &frame_to(OTHER_PORT, parties, &bytes)?,
                )
                .with_context(|| format!("{path:?}, {parties:?}, {message:?}"))?;
            }
        }
    }
    Ok(())
}

pub(crate) fn other_traffic() -> Result<()> {
    let compiled = scenario(SCENARIO)?;
    let zlb = messages()[1].bytes();
    let with = |changes: &[(usize, u8)]| {
        let mut bytes = zlb.clone();
        for (at, octet) in changes {
            bytes[*at] = *octet;
        }
        bytes
    };
    let payloads = [
        vec![],
        b"x".to_vec(),
        b"hello, this is something else".to_vec(),
        vec![0xff; 1400],
        // L2TP data, a control message without S and one without L bit, of other versions, and
        // with a Length that is none.
        with(&[(0, 0x40)]),
        with(&[(0, 0xc0)]),
        with(&[(0, 0x88)]),
        with(&[(1, 1)]),
        with(&[(1, 3)]),
        with(&[(3, 11)]),
        with(&[(3, 13)]),
        zlb[..11].to_vec(),
    ];
    for path in PATHS {
        let mut kernel = KernelHalf::with_scenario(&compiled, path, &kernel_policy())?;
        let mut worker = Worker::with_scenario(compiled.clone(), worker_policy());
        for payload in &payloads {
            for parties in RIGHT {
                let frame = frame_to(OTHER_PORT, parties, payload)?;
                assert_left_alone(&mut kernel, &mut worker, &frame)
                    .with_context(|| format!("{path:?}, {parties:?}, {payload:02x?}"))?;
            }
        }
        // To any other port, or in part.
        let right = frame_to(OTHER_PORT, RIGHT[0], &zlb)?;
        let mut cut = right.clone();
        cut.truncate(right.len() - 1);
        let mut fragment = right.clone();
        fragment[20] |= 0x20;
        let mut to_other_mac = right.clone();
        to_other_mac[5] ^= 0x55;
        for passes in [fragment, to_other_mac] {
            ensure!(kernel.run_as(&passes, Disposition::Pass)? == passes);
            ensure!(kernel.events().is_empty(), "it is told: {passes:02x?}");
        }
        for frame in [
            frame_to(OTHER_PORT + 1, RIGHT[0], &zlb)?,
            frame_to(1700, RIGHT[0], &zlb)?,
            cut,
        ] {
            assert_left_alone(&mut kernel, &mut worker, &frame)
                .with_context(|| format!("{path:?}, {frame:02x?}"))?;
        }
    }
    Ok(())
}

/// What is acknowledged after a change is known until the next one.
pub(crate) fn changes() -> Result<()> {
    let zlb = frame_to(OTHER_PORT, RIGHT[0], &messages()[1].bytes())?;
    let to_another = frame_to(OTHER_PORT, OTHERS[2], &messages()[1].bytes())?;
    let (garbles, none) = (
        scenario(SCENARIO)?,
        scenario("[default]\nfault = \"refuse\"")?,
    );
    let only = "[default]\nfault = \"garble\"\nkind = \"wrong-source-port\"";
    let only = scenario(only)?;
    for path in PATHS {
        let mut kernel = KernelHalf::with_scenario(&none, path, &kernel_policy())?;
        for (change, at_lns, at_another) in [
            (None, Verdict::OtherTraffic, Verdict::OtherTraffic),
            (Some(&garbles), Verdict::Zlb, Verdict::OtherTraffic),
            (Some(&none), Verdict::Zlb, Verdict::OtherTraffic),
            (Some(&none), Verdict::OtherTraffic, Verdict::OtherTraffic),
            (Some(&only), Verdict::Zlb, Verdict::Zlb),
            (Some(&garbles), Verdict::Zlb, Verdict::Zlb),
            (Some(&garbles), Verdict::Zlb, Verdict::OtherTraffic),
        ] {
            if let Some(scenario) = change {
                kernel.install(scenario)?;
            }
            for (frame, expected) in [(&zlb, at_lns), (&to_another, at_another)] {
                let verdict = kernel.respond(frame)?.verdict;
                ensure!(
                    verdict == expected,
                    "{path:?}: {verdict:?}, and not {expected:?}"
                );
            }
        }
    }
    Ok(())
}
