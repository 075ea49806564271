//! While SCCRQs pour in, nothing else on the interface suffers.

use std::{
    fs,
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
use xtask::lab::{Lab, Namespace, Process, Sccrq};

use crate::{
    request::{answer, datagram, nobody, push},
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
        &["--wait", "spin"],
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
    know_each_other(&lab)?;
    let before_start = Passage::read(&lab)?;
    // All of it is of one LAC, as fast as it can.
    let flags = [&way.flags()[..], &["--max-reply-rate", "off"]].concat();
    let responder = Responder::start(&lab, &flags)?;
    let after_start = Passage::read(&lab)?;
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
    let before_end = Passage::read(&lab)?;
    let report = responder.finish()?;
    let after_end = Passage::read(&lab)?;
    assert_eq!(report.verdicts()?, verdicts([("answered", sent)]));

    // TCP would hide a loss. So every frame that left the other end has its verdict, and all but
    // the requests reached the system. Either end may send something while it starts or stops.
    let others = report.count("/verdicts/other-traffic")?;
    let between = |of: fn(&Passage) -> u64| {
        of(&before_end) - of(&after_start)..=of(&after_end) - of(&before_start)
    };
    let (left, reached) = (between(|at| at.left), between(|at| at.reached));
    assert!(
        left.contains(&(sent + others)),
        "{sent} + {others} of {left:?}"
    );
    assert!(reached.contains(&others), "{reached:?} of {others}");
    assert_eq!(after_end.dropped, 0);
    Ok(())
}

/// Spares the ends asking for each other's MAC address: all that they send is IP.
fn know_each_other(lab: &Lab) -> Result<()> {
    let (peer, interface) = lab.peer();
    for (namespace, interface, mac, v4, v6) in [
        (
            peer,
            interface,
            Lab::RESPONDER_MAC,
            lab.responder_address(),
            lab.responder_address6(),
        ),
        (
            &lab.responder,
            Lab::INTERFACE,
            Lab::PEER_MAC,
            lab.lac_address(),
            lab.lac_address6(),
        ),
    ] {
        for address in [IpAddr::from(v4), v6.into()] {
            namespace.ip(&format!(
                "neighbour replace {address} lladdr {mac} dev {interface} nud permanent"
            ))?;
        }
    }
    Ok(())
}

/// How many frames came how far, ever since the lab was built.
struct Passage {
    /// They left the other end.
    left: u64,
    /// They were dropped by either interface.
    dropped: u64,
    /// They reached the system of the box, as IP packets.
    reached: u64,
}

impl Passage {
    fn read(lab: &Lab) -> Result<Self> {
        let statistics = |namespace: &Namespace, interface: &str| -> Result<Value> {
            let shown = namespace.ip(&format!("-j -s link show dev {interface}"))?;
            Ok(serde_json::from_str::<Value>(&shown)?[0]["stats64"].take())
        };
        let count = |statistics: &Value, pointer: &str| {
            let count = statistics.pointer(pointer).and_then(Value::as_u64);
            count.with_context(|| format!("no {pointer} in {statistics}"))
        };
        let (peer, interface) = lab.peer();
        let there = statistics(peer, interface)?;
        let here = statistics(&lab.responder, Lab::INTERFACE)?;
        let mut dropped = 0;
        for statistics in [&there, &here] {
            dropped += count(statistics, "/rx/dropped")? + count(statistics, "/tx/dropped")?;
        }
        // The counters of the namespace that the thread is in, and no other file of the process.
        let read = |file| fs::read_to_string(format!("/proc/thread-self/net/{file}"));
        let (v4, v6) = lab.responder.enter(|| (read("snmp"), read("snmp6")))?;
        let (v4, v6) = (v4?, v6?);
        let mut rows = v4.lines().filter(|row| row.starts_with("Ip:"));
        let (names, values) = rows.next().zip(rows.next()).context("no IPv4")?;
        let mut columns = names.split(' ').zip(values.split(' '));
        let v4 = columns.find_map(|(name, value)| (name == "InReceives").then_some(value));
        let v6 = v6.lines().find_map(|row| row.strip_prefix("Ip6InReceives"));
        let mut reached = 0;
        for received in [v4, v6] {
            let received = received.context("no InReceives")?;
            reached += received.trim().parse::<u64>()?;
        }
        Ok(Self {
            left: count(&there, "/tx/packets")?,
            dropped,
            reached,
        })
    }
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
        for _ in 0..REQUESTS {
            push(&port, &request)?;
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
