//! While SCCRQs pour in, nothing else on the interface suffers.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::Value;
use xtask::lab::{self, Lab, Namespace, Process, Sccrq};

use crate::{
    request::{answer, datagram, nobody},
    responder::{LIMIT, Responder, verdicts},
    trial,
    way::{WAYS, Way},
};

pub(crate) fn trials() -> Vec<Trial> {
    let beside = WAYS.map(|way| {
        let name = format!("other_traffic_loses_nothing::{way}");
        trial(name, &["ping"], move || other_traffic_loses_nothing(way))
    });
    let bursts = [
        &["--batch-size", "1"][..],
        &["--batch-size", "2048"],
        &["--busy-poll"],
    ]
    .map(|flags| {
        let name = format!("a_burst_is_answered::{}", flags.join("="));
        trial(name, &[], move || a_burst_is_answered(flags))
    });
    beside.into_iter().chain(bursts).collect()
}

/// How many requests are on the way at any time.
const POUR: u64 = 32;

/// Sends requests as fast as they are answered, until told to stop.
fn pour(lab: &Lab, stop: &AtomicBool) -> Result<u64> {
    let lac = lab.minimal_lac(1701)?;
    let request = Sccrq::new(7).message().bytes();
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..POUR {
            lac.send(lab.lns(1), &request)?;
        }
        for _ in 0..POUR {
            let answer = lac.receive(Duration::from_secs(2))?;
            answer.context("a request that poured in was not answered")?;
        }
        sent += POUR;
    }
    Ok(sent)
}

fn other_traffic_loses_nothing(way: Way) -> Result<()> {
    let lab = way.one_cable().build()?;
    let (peer, interface) = lab.peer();
    let (before_start, _) = frames(peer, interface)?;
    let responder = Responder::start(&lab, &way.flags())?;
    let (after_start, _) = frames(peer, interface)?;
    let stop = AtomicBool::new(false);
    let sent = thread::scope(|scope| -> Result<u64> {
        let pouring = scope.spawn(|| pour(&lab, &stop));
        let beside = [
            scope.spawn(|| transfer(&lab)),
            scope.spawn(|| echo(&lab, SocketAddr::from((lab.responder_address(), 7)))),
            scope.spawn(|| echo(&lab, SocketAddr::from((lab.responder_address6(), 7)))),
            scope.spawn(|| ping(&lab, lab.responder_address().into())),
            scope.spawn(|| ping(&lab, lab.responder_address6().into())),
        ];
        let outcomes = beside.map(|one| one.join().expect("no traffic panics"));
        stop.store(true, Ordering::Relaxed);
        let sent = pouring.join().expect("the sender does not panic")?;
        for outcome in outcomes {
            outcome?;
        }
        Ok(sent)
    })?;
    assert!(sent >= 10 * POUR, "only {sent} requests poured in");
    let (before_end, _) = frames(peer, interface)?;
    let report = responder.finish()?;
    let (after_end, dropped) = frames(peer, interface)?;
    assert_eq!(report.verdicts()?, verdicts([("answered", sent)]));
    // TCP would hide a loss: so every frame that left the other end has its verdict, and all but
    // the requests were passed on. Systems may send some of their own while it starts or stops.
    let seen = sent + report.count("/verdicts/other-traffic")?;
    let sure = before_end - after_start..=after_end - before_start;
    assert!(sure.contains(&seen), "{seen} of {sure:?} frames were seen");
    let (_, dropped_here) = frames(&lab.responder, Lab::INTERFACE)?;
    assert_eq!((dropped, dropped_here), (0, 0));
    Ok(())
}

/// Sends twenty million octets to the box over TCP, which returns them.
fn transfer(lab: &Lab) -> Result<()> {
    let to = SocketAddr::from((lab.responder_address(), 80));
    let listener = lab.responder.enter(|| TcpListener::bind(to))??;
    // Of a length that is no multiple of any buffer's.
    let part: Vec<u8> = (0..1_000_003_u32)
        .map(|index| (index.wrapping_mul(0x9E37_79B9) >> 24) as u8)
        .collect();
    let pattern = part.repeat(20);
    let connect = || TcpStream::connect_timeout(&to, LIMIT);
    let mut caller = lab.lac.enter(connect)??;
    let (mut server, _) = listener.accept()?;
    for stream in [&caller, &server] {
        bound(stream)?;
    }
    thread::scope(|scope| {
        let serving = scope.spawn(|| -> Result<()> {
            let mut received = vec![0; pattern.len()];
            server.read_exact(&mut received).context("upload")?;
            server.write_all(&received).context("download")?;
            Ok(())
        });
        let mut calling = || -> Result<()> {
            caller.write_all(&pattern).context("upload")?;
            let mut received = vec![0; pattern.len()];
            caller.read_exact(&mut received).context("download")?;
            ensure!(received == pattern, "what came back is not what was sent");
            Ok(())
        };
        let called = calling();
        let served = serving.join().expect("the server does not panic");
        called.and(served)
    })
}

/// Bounds its time, and what it has on the way: a cable of veth holds 256 frames in native mode,
/// and loses more by itself.
fn bound(stream: &TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    setsockopt(stream, sockopt::SndBuf, &(64 << 10))?;
    Ok(())
}

/// The frames that an interface sent, and those that it dropped either way.
fn frames(namespace: &Namespace, interface: &str) -> Result<(u64, u64)> {
    let shown = namespace.ip(&format!("-j -s link show dev {interface}"))?;
    let shown: Value = serde_json::from_str(&shown)?;
    let count = |pointer: &str| {
        let count = shown[0]["stats64"].pointer(pointer).and_then(Value::as_u64);
        count.with_context(|| format!("no {pointer} in {shown}"))
    };
    let dropped = count("/rx/dropped")? + count("/tx/dropped")?;
    Ok((count("/tx/packets")?, dropped))
}

/// Sends 2,000 datagrams to the box, a few at a time, and wants each of them back.
fn echo(lab: &Lab, to: SocketAddr) -> Result<()> {
    const DATAGRAMS: u32 = 2000;
    const WINDOW: u32 = 8;
    let server = lab.responder.enter(|| UdpSocket::bind(to))??;
    let any = match to {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let client = lab.lac.enter(|| UdpSocket::bind(any))??;
    client.connect(to)?;
    for socket in [&server, &client] {
        socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    }
    thread::scope(|scope| {
        let serving = scope.spawn(|| -> Result<()> {
            let mut buffer = [0; 2048];
            for _ in 0..DATAGRAMS {
                let (length, from) = server.recv_from(&mut buffer).context("a datagram")?;
                server.send_to(&buffer[..length], from)?;
            }
            Ok(())
        });
        let calling = || -> Result<()> {
            let mut buffer = [0; 2048];
            for first in (0..DATAGRAMS).step_by(WINDOW as usize) {
                let window = first..first + WINDOW;
                for number in window.clone() {
                    // Lengths from 4 octets to more than any request has.
                    let mut datagram = vec![0; 4 + number as usize % 1000];
                    datagram[..4].copy_from_slice(&number.to_be_bytes());
                    client.send(&datagram)?;
                }
                for number in window {
                    let length = client.recv(&mut buffer).context("an echo")?;
                    let expected = 4 + number as usize % 1000;
                    ensure!(
                        length == expected && buffer[..4] == number.to_be_bytes(),
                        "number {number} was lost or changed"
                    );
                }
            }
            Ok(())
        };
        let called = calling();
        let served = serving.join().expect("the server does not panic");
        called.and(served).with_context(|| format!("UDP to {to}"))
    })
}

fn ping(lab: &Lab, to: IpAddr) -> Result<()> {
    let mut command = lab.lac.command("ping");
    command.args(["-q", "-c", "50", "-i", "0.01", "-W", "2", &to.to_string()]);
    let mut ping = Process::spawn("ping", command)?;
    ping.wait(LIMIT)?;
    let lines = ping.lines();
    let lost_none = |line: &str| line.contains("50 packets transmitted, 50 received");
    ensure!(
        lines.iter().any(|line| lost_none(&line.text)),
        "ping to {to}: {lines:?}"
    );
    Ok(())
}

/// However many frames a worker takes at a time, and however it waits for them: a burst that its
/// rings hold is answered whole.
fn a_burst_is_answered(flags: &[&str]) -> Result<()> {
    const REQUESTS: u64 = 1500;
    for way in [WAYS[2], WAYS[3]] {
        let lab = way.one_cable().build()?;
        let port = lab.raw_port()?;
        let payload = Sccrq::new(7).message().bytes();
        let request = datagram(nobody(1701), (lab.lns(1), 1701).into(), payload).frame();
        let responder = Responder::start(&lab, &[&way.flags(), flags].concat())?;
        for sent in 1..=REQUESTS {
            port.send(&request)?;
            // In native mode the cable itself holds 256 frames.
            if sent % 100 == 0 {
                lab::pause(Duration::from_millis(1))?;
            }
        }
        for number in 1..=REQUESTS {
            let reply = answer(&port, LIMIT)?;
            reply.with_context(|| format!("{number} of {REQUESTS} on {way}"))?;
        }
        let report = responder.finish()?;
        assert_eq!(report.verdicts()?, verdicts([("answered", REQUESTS)]));
    }
    Ok(())
}
