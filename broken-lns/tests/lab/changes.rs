//! Live changes under load: every answer is that of one change and of no other.

use std::{
    collections::{BTreeSet, VecDeque},
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr},
    os::unix::net::UnixStream,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use xtask::lab::{Avp, Checksum, Datagram, RawPort, Sccrq, StopCcn};

use crate::{
    control::Controlled,
    request::{answer, datagram, push},
    responder::{LIMIT, verdicts},
    trial,
    way::Way,
};

/// Where the kernel half alone answers, and where a worker does; both in the order of the requests,
/// which generic mode does not keep from one CPU to the next.
const WAYS: [Way; 2] = [
    Way::new("rewrite", "native"),
    Way::new("redirect", "native"),
];

/// How often the reply is changed: fewer times where the kernel half has to be waited for, which
/// takes some 10 ms each.
const fn changes(way: Way) -> u16 {
    match way.path.as_bytes() {
        b"redirect" => 10_000,
        _ => 2_500,
    }
}

/// How long all of them may take.
const TIME: Duration = Duration::from_secs(120);

/// The most requests under way, which no ring and no cable is too small for.
const UNDER_WAY: usize = 64;

/// The first of the LACs that ask in turn, and how many there are.
const FIRST_LAC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 0);
const LACS: u64 = 4096;

pub(crate) fn trials() -> Vec<Trial> {
    let trials = WAYS.iter().map(|way| {
        let name = format!("no_answer_is_mixed_while_it_changes::{way}");
        trial(name, &[], || no_answer_is_mixed_while_it_changes(*way))
    });
    trials.collect()
}

/// What the reply says after a change: three values, of which each tells the number of the change,
/// and which are of all lengths.
fn said(change: u16) -> (u16, u16, String) {
    let error = change.rotate_left(8) ^ 0xA5A5;
    let padding = "x".repeat(usize::from(change % 97));
    (change, error, format!("change {change} {padding}"))
}

/// What is in force before the first change, as number 0.
fn scenario() -> String {
    let (result, error, message) = said(0);
    format!(
        "[default]\nfault = \"refuse\"\nresult = {result}\nerror = {error}\n\
         message = \"{message}\"\n"
    )
}

/// How far the changes are.
#[derive(Debug, Default)]
struct Progress {
    /// The last change that was asked for.
    asked: AtomicU16,
    /// The last change that was confirmed.
    confirmed: AtomicU16,
    /// Whether there are no more, or one failed.
    is_over: AtomicBool,
}

impl Progress {
    /// Makes all changes on one connection, each after the one before was confirmed.
    fn change(&self, socket: &Path, changes: u16) -> Result<()> {
        let started = Instant::now();
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        let mut replies = BufReader::new(stream.try_clone()?);
        for change in 1..=changes {
            let (result, error, message) = said(change);
            let set = json!({
                "result_code": result,
                "error_code": error,
                "error_message": message,
            });
            let request = json!({"version": 1, "request": {"set": set}});
            self.asked.store(change, Ordering::SeqCst);
            writeln!(stream, "{request}")?;
            let mut line = String::new();
            replies.read_line(&mut line)?;
            let response: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            ensure!(response.get("ok").is_some(), "change {change}: {line}");
            self.confirmed.store(change, Ordering::SeqCst);
            ensure!(started.elapsed() < TIME, "{change} changes in {TIME:?}");
        }
        Ok(())
    }
}

/// A request that is not answered yet.
struct UnderWay {
    lac: SocketAddr,
    tunnel_id: u16,
    /// The last change that was confirmed before it was sent.
    confirmed: u16,
}

/// Requests without end, each of which can be told from all others, and their answers.
struct Load<'p> {
    port: &'p RawPort,
    progress: &'p Progress,
    sent: u64,
    /// In the order in which they were sent, and so in that of the answers from one queue.
    under_way: VecDeque<UnderWay>,
    /// The changes whose answers were seen.
    seen: BTreeSet<u16>,
}

impl Load<'_> {
    /// Sends the next request.
    fn ask(&mut self) -> Result<()> {
        // The first tunnel id of each LAC, and then the next one. One that has thousands of tunnels
        // under way at once has them followed more slowly than they come.
        let lac = FIRST_LAC.to_bits() + u32::try_from(self.sent % LACS)?;
        let lac = (Ipv4Addr::from_bits(lac), 1701).into();
        let tunnel_id = u16::try_from(1 + self.sent / LACS)?;
        let mut sccrq = Sccrq::new(tunnel_id);
        // On the rewrite path a reply has to fit the buffer of its request.
        sccrq.extra = vec![Avp::new(60_000, vec![0; 200])];
        let payload = sccrq.message().bytes();
        let request = datagram(lac, ([192, 0, 2, 1], 1701).into(), payload);
        self.under_way.push_back(UnderWay {
            lac,
            tunnel_id,
            confirmed: self.progress.confirmed.load(Ordering::SeqCst),
        });
        self.sent += 1;
        push(self.port, &request.frame())
    }

    /// Takes the answer to the oldest request, which has to be the next one that comes.
    fn take(&mut self) -> Result<()> {
        let asked = self.under_way.pop_front().context("nothing is under way")?;
        let reply = answer(self.port, LIMIT)?.context("a request without an answer")?;
        let datagram = Datagram::parse(&reply.bytes)?;
        assert_eq!(datagram.checksum, Checksum::Right);
        assert_eq!(datagram.destination, asked.lac);
        let stop = StopCcn::parse(&datagram.payload)?;
        assert_eq!(stop.tunnel_id, asked.tunnel_id);
        let change = stop.result;
        let said = (stop.result, stop.error, stop.message.as_deref());
        let (result, error, message) = self::said(change);
        assert_eq!(said, (result, Some(error), Some(message.as_str())));
        let asked_for = self.progress.asked.load(Ordering::SeqCst);
        ensure!(
            (asked.confirmed..=asked_for).contains(&change),
            "change {change} answers, when {} was confirmed before the request, and {asked_for} \
             was the last one",
            asked.confirmed
        );
        let last = self.seen.last().copied().unwrap_or(0);
        ensure!(change >= last, "change {change} answers after {last}");
        self.seen.insert(change);
        Ok(())
    }
}

/// However often the reply changes, an answer is that of one change, of none that was overtaken
/// when the request was sent, and never of an older one than an answer before it. Every request is
/// answered once.
fn no_answer_is_mixed_while_it_changes(way: Way) -> Result<()> {
    let controlled = Controlled::on(way, &scenario())?;
    let changes = changes(way);
    let progress = Progress::default();
    let mut load = Load {
        port: &controlled.port,
        progress: &progress,
        sent: 0,
        under_way: VecDeque::new(),
        seen: BTreeSet::new(),
    };
    let socket = controlled.socket();
    thread::scope(|scope| -> Result<()> {
        let changing = scope.spawn(|| {
            let changed = progress.change(&socket, changes);
            progress.is_over.store(true, Ordering::SeqCst);
            changed
        });
        while !progress.is_over.load(Ordering::SeqCst) {
            while load.under_way.len() < UNDER_WAY {
                load.ask()?;
            }
            load.take()?;
        }
        changing.join().expect("the changes do not panic")
    })?;
    // The last change is in force.
    load.ask()?;
    while !load.under_way.is_empty() {
        load.take()?;
    }
    assert_eq!(load.seen.last(), Some(&changes));
    assert_eq!(answer(&controlled.port, Duration::from_millis(100))?, None);
    let (sent, seen) = (load.sent, load.seen.len());
    let report = controlled.responder.finish()?;
    assert_eq!(report.verdicts()?, verdicts([("answered", sent)]));
    assert_eq!(report.lost_by_driver()?, 0);
    // Most changes are seen, unless the machine has something else to do.
    ensure!(
        seen > usize::from(changes) / 10,
        "answers to {sent} requests show {seen} changes"
    );
    Ok(())
}
