//! What LACs send to a guest, and what must come back.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{guest::MAC, wire::Wire};
use crate::lab::{
    Avp, Checksum, ControlMessage, Datagram, Mac, Sccrq, StopCcn, Tag, attribute, interrupt,
    is_udp, until,
};

/// The MAC address at the other end of the wire.
const LAC_MAC: Mac = Mac([0x02, 0, 0, 0, 0, 1]);

/// How many requests of each kind are sent where nothing else is said.
pub(super) const USUAL: u16 = 64;

/// How many are more than a ring and a wire hold together.
pub(super) const MANY: u16 = 400;

/// How many requests wait for an answer at most: fewer than the shortest ring of a NIC holds.
const WINDOW: usize = 64;

/// How long nothing comes before what is missing is lost. A guest that is not run for that long has
/// its chance, and only what loses replies takes that long.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(60);

/// How long a look for a frame lasts.
const GLANCE: Duration = Duration::from_millis(20);

/// A frame from a LAC, and the one that has to come back.
#[derive(Debug)]
pub(super) struct Request {
    frame: Vec<u8>,
    reply: Option<Vec<u8>>,
}

/// What became of requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Requests that were sent.
    pub(super) sent: u64,
    /// Acknowledgements that were sent, to which nobody answers.
    pub(super) acknowledgements: u64,
    /// Replies that came and were right to the octet.
    pub(super) received: u64,
    /// UDP that came and was no such reply; the first one as it is.
    pub(super) wrong: u64,
    pub(super) example: Option<Vec<u8>>,
}

impl Tally {
    /// Adds what became of more requests.
    pub(super) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.acknowledgements += other.acknowledgements;
        self.received += other.received;
        self.wrong += other.wrong;
        self.example = self.example.take().or(other.example);
    }
}

/// The refusal that every LNS of the bed has.
pub(super) fn refusal(tunnel_id: u16) -> StopCcn {
    StopCcn {
        tunnel_id,
        nr: 1,
        result: 2,
        error: Some(6),
        message: Some("Closed for today".to_owned()),
        assigned_tunnel_id: 12345,
    }
}

/// So many requests of every kind, each of a LAC and to an LNS of its own among 64: over IPv4 and IPv6, long
/// ones, with one VLAN tag and two, and acknowledgements among them. Every second one is to an LNS
/// of the upper half of the prefix.
pub(super) fn requests(of_each: u16) -> Vec<Request> {
    let (none, vlan): (&[Tag], &[Tag]) = (&[], &[Tag::c(7)]);
    let qinq: &[Tag] = &[Tag::s(100), Tag::c(7)];
    let kinds = [
        (false, none, false),
        (true, none, false),
        (false, none, true),
        (false, vlan, false),
        (true, vlan, false),
        (false, qinq, false),
    ];
    let mut requests = Vec::new();
    for number in 1..=of_each {
        for (kind, (v6, tags, long)) in (1..).zip(kinds) {
            let tunnel_id = kind * 1000 + number;
            let mut sccrq = Sccrq::new(tunnel_id);
            if long {
                // 1,400 octets of the IP packet.
                sccrq.extra = vec![
                    Avp::new(attribute::CHALLENGE, vec![7; 1000]),
                    Avp::new(attribute::VENDOR_NAME, vec![0x41; 297]),
                ];
            }
            let request = datagram(number, v6, tags, sccrq.message().bytes());
            let reply = request.reply(refusal(tunnel_id).message().bytes());
            requests.push(Request {
                frame: request.frame(),
                reply: Some(reply.frame()),
            });
        }
        let zlb = ControlMessage::zlb(12345, 1, 1);
        let mut frame = datagram(number, false, none, zlb.bytes()).frame();
        // As a NIC sends it: padded to the least that Ethernet carries.
        frame.resize(60, 0);
        requests.push(Request { frame, reply: None });
    }
    requests
}

/// A single request over IPv4.
pub(super) fn request(number: u16) -> Vec<u8> {
    datagram(number, false, &[], Sccrq::new(number).message().bytes()).frame()
}

fn datagram(number: u16, v6: bool, tags: &[Tag], payload: Vec<u8>) -> Datagram {
    let lac = number % 200 + 1;
    // The lower half of the prefix has even numbers, the upper one the odd ones.
    let lns = (number % 2) * 128 + number % 64 + 1;
    let (source, destination): (SocketAddr, SocketAddr) = if v6 {
        let address = |net, host| [0x2001, 0xdb8, net, 0, 0, 0, 0, host];
        (
            (address(0xa, lac), 1701).into(),
            (address(1, lns), 1701).into(),
        )
    } else {
        let from = [198, 51, 100, lac as u8];
        (
            (from, 40_000 + number).into(),
            ([192, 0, 2, lns as u8], 1701).into(),
        )
    };
    Datagram {
        source_mac: LAC_MAC,
        destination_mac: MAC,
        tags: tags.to_vec(),
        source,
        destination,
        checksum: Checksum::Right,
        payload,
    }
}

/// Sends requests, a window of them at a time, and takes what comes back, until everything came or
/// nothing comes any more.
pub(super) fn exchange(wire: &Wire, requests: &[Request]) -> Result<Tally> {
    let mut due: HashMap<&[u8], u32> = HashMap::new();
    let mut waiting = 0;
    let mut tally = Tally::default();
    let mut requests = requests.iter().peekable();
    let mut last = Instant::now();
    while requests.peek().is_some() || waiting > 0 {
        interrupt::check()?;
        if last.elapsed() >= LOST_AFTER {
            break;
        }
        if waiting < WINDOW
            && let Some(request) = requests.peek()
            && wire.send(&request.frame)?
        {
            last = Instant::now();
            match &request.reply {
                Some(reply) => {
                    *due.entry(reply).or_default() += 1;
                    waiting += 1;
                    tally.sent += 1;
                }
                None => tally.acknowledgements += 1,
            }
            requests.next();
            continue;
        }
        while let Some(frame) = wire.receive(GLANCE)? {
            match due.get_mut(frame.as_slice()).filter(|left| **left > 0) {
                Some(left) => {
                    *left -= 1;
                    waiting -= 1;
                    tally.received += 1;
                    last = Instant::now();
                }
                None if is_udp(&frame) => {
                    tally.wrong += 1;
                    tally.example.get_or_insert(frame);
                }
                // What the guest's own stack says.
                None => {}
            }
            if waiting < WINDOW / 2 {
                break;
            }
        }
    }
    Ok(tally)
}

/// Sends requests without a look at what comes back.
pub(super) fn send(wire: &Wire, requests: &[Request]) -> Result<Tally> {
    let mut tally = Tally::default();
    for request in requests {
        until("the guest to take a frame", LOST_AFTER, || {
            Ok(wire.send(&request.frame)?.then_some(()))
        })?;
        match request.reply {
            Some(_) => tally.sent += 1,
            None => tally.acknowledgements += 1,
        }
    }
    Ok(tally)
}

/// Takes replies to such requests, until so many as are due came or nothing comes any more.
pub(super) fn collect(
    wire: &Wire,
    requests: &[Request],
    due: u64,
    tally: &mut Tally,
) -> Result<()> {
    let replies = requests
        .iter()
        .filter_map(|request| request.reply.as_deref());
    let mut missing: HashSet<&[u8]> = replies.collect();
    let mut last = Instant::now();
    while tally.received < due && last.elapsed() < LOST_AFTER {
        interrupt::check()?;
        let Some(frame) = wire.receive(GLANCE)? else {
            continue;
        };
        if missing.remove(frame.as_slice()) {
            tally.received += 1;
            last = Instant::now();
        } else if is_udp(&frame) {
            tally.wrong += 1;
            tally.example.get_or_insert(frame);
        }
    }
    Ok(())
}

/// Takes what waits on the wire, and forgets it.
pub(super) fn drain(wire: &Wire) -> Result<()> {
    while wire.receive(Duration::ZERO)?.is_some() {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_is_asked_for_once_and_reads_as_a_refusal() {
        let requests = requests(USUAL);
        let mut seen = HashMap::new();
        for reply in requests.iter().filter_map(|request| request.reply.as_ref()) {
            *seen.entry(reply).or_insert(0) += 1;
            let datagram = Datagram::parse(reply).unwrap();
            let stop = StopCcn::parse(&datagram.payload).unwrap();
            assert_eq!(stop, refusal(stop.tunnel_id));
        }
        assert_eq!(seen.len(), 6 * usize::from(USUAL));
        assert!(seen.values().all(|count| *count == 1));
    }

    #[test]
    fn a_long_request_has_1400_octets_behind_its_ethernet_header() {
        let longest = requests(USUAL)
            .iter()
            .map(|request| request.frame.len())
            .max();
        assert_eq!(longest, Some(14 + 1400));
    }
}
