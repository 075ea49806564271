//! Many simulated LACs at one end of the cable.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use xtask::lab::{ControlMessage, Datagram, RawPort};

use super::{
    lac::{Lac, Sent, Truth},
    personality::Personality,
};
use crate::request::{datagram, push};

/// Within which time of theirs they begin.
const BEGINNING: Duration = Duration::from_secs(20);
/// How long the last attempt of any of them takes.
const LAST_ATTEMPT: Duration = Duration::from_secs(40);
/// The UDP port of L2TP.
const PORT: u16 = 1701;

/// The address of an LNS that LACs of one kind have.
pub(super) fn lns_address(kind: usize, lns: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, kind as u8, 1 + lns)
}

pub(super) struct Crowd {
    pub(super) personalities: Vec<Personality>,
    lacs: Vec<Lac>,
    alarms: BinaryHeap<Reverse<(Duration, usize)>>,
    /// How much faster their time runs than that of the clock.
    rate: u32,
    /// By how much any of them did something too late, in time of the clock.
    pub(super) late: Duration,
}

impl Crowd {
    /// As many of each kind.
    pub(super) fn new(personalities: Vec<Personality>, of_each: u16, rate: u32) -> Self {
        let (mut lacs, mut alarms) = (Vec::new(), BinaryHeap::new());
        for number in 0..of_each {
            for (kind, personality) in personalities.iter().enumerate() {
                let [high, low] = number.to_be_bytes();
                let address = Ipv4Addr::new(10, kind as u8, high, low);
                let first = BEGINNING * u32::from(number) / u32::from(of_each);
                alarms.push(Reverse((first, lacs.len())));
                lacs.push(Lac::new((kind, *personality), address, first));
            }
        }
        Self {
            personalities,
            lacs,
            alarms,
            rate,
            late: Duration::ZERO,
        }
    }

    /// The place of the LAC with that address.
    fn place(&self, address: Ipv4Addr) -> Option<usize> {
        let [_, kind, high, low] = address.octets();
        let number = usize::from(u16::from_be_bytes([high, low]));
        let place = number * self.personalities.len() + usize::from(kind);
        let lac = self.lacs.get(place)?;
        (lac.address == address).then_some(place)
    }

    /// Lives for so long, and then brings to its end what is under way.
    pub(super) fn live(&mut self, port: &RawPort, life: Duration) -> Result<()> {
        let (began, rate) = (Instant::now(), self.rate);
        let now = || began.elapsed() * rate;
        while now() < life + LAST_ATTEMPT {
            // What the LNSs say comes first: whoever has an answer does not repeat its request.
            while let Some(frame) = port.receive(Duration::ZERO)? {
                if !frame.outgoing {
                    self.hear(port, now(), &frame.bytes)?;
                }
            }
            let due = self.alarms.peek().map(|Reverse(alarm)| *alarm);
            let now = now();
            match due {
                Some((at, place)) if at <= now => {
                    self.alarms.pop();
                    if at < life || self.lacs[place].is_at_it() {
                        self.ring(port, now, at, place)?;
                    }
                }
                Some((at, _)) => thread::sleep(((at - now) / rate).min(Duration::from_micros(200))),
                None => break,
            }
        }
        self.lacs.iter_mut().for_each(Lac::end);
        Ok(())
    }

    /// Has a LAC do what it is time for, unless it did something else meanwhile.
    fn ring(&mut self, port: &RawPort, now: Duration, at: Duration, place: usize) -> Result<()> {
        let lac = &mut self.lacs[place];
        if lac.alarm != Some(at) {
            return Ok(());
        }
        self.late = self.late.max((now - at) / self.rate);
        let sent = lac.ring(now);
        self.send(port, place, sent)
    }

    fn hear(&mut self, port: &RawPort, now: Duration, frame: &[u8]) -> Result<()> {
        let Ok(datagram) = Datagram::parse(frame) else {
            return Ok(());
        };
        let (IpAddr::V4(lns), IpAddr::V4(lac)) = (datagram.source.ip(), datagram.destination.ip())
        else {
            return Ok(());
        };
        let Some(place) = self.place(lac) else {
            return Ok(());
        };
        let message = ControlMessage::parse(&datagram.payload)?;
        let number = lns.octets()[3] - 1;
        let said = self.lacs[place].hear(now, number, &message);
        self.send(port, place, said)
    }

    fn send(&mut self, port: &RawPort, place: usize, sent: Option<Sent>) -> Result<()> {
        let lac = &self.lacs[place];
        if let Some(at) = lac.alarm {
            self.alarms.push(Reverse((at, place)));
        }
        let Some((lns, message)) = sent else {
            return Ok(());
        };
        let kind = place % self.personalities.len();
        let to = SocketAddr::from((lns_address(kind, lns), PORT));
        let from = SocketAddr::from((lac.address, PORT));
        push(port, &datagram(from, to, message.bytes()).frame())
    }

    /// The truth about all LACs of one kind, for each of their LNSs.
    pub(super) fn truths(&self, kind: usize) -> Vec<Truth> {
        let mut sums: Vec<Truth> = Vec::new();
        for lac in self
            .lacs
            .iter()
            .skip(kind)
            .step_by(self.personalities.len())
        {
            sums.resize(lac.truths.len(), Truth::default());
            for (sum, truth) in sums.iter_mut().zip(&lac.truths) {
                sum.add(truth);
            }
        }
        sums
    }
}
