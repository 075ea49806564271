//! StopCCNs that are sent again, until their LAC acknowledges them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use xtask::lab::{
    Avp, ControlMessage, Datagram, Lab, Peer, RawPort, Sccrq, StopCcn, attribute, message_type,
};

use crate::{
    by_way,
    control::Controlled,
    request::{answer, datagram, nobody, nobody6, push},
    responder::{LIMIT, Report, Responder, verdicts},
    trial,
    way::Way,
};

/// Every way on which a worker can send something again.
const WAYS: &[Way] = &[
    Way::new("auto", "native"),
    Way::new("auto", "generic"),
    Way::new("redirect", "native"),
    Way::new("redirect", "generic"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<Trial> = by_way(
        WAYS,
        &[],
        &[
            (
                "an_acknowledged_stopccn_is_not_sent_again",
                an_acknowledged_stopccn_is_not_sent_again,
            ),
            (
                "an_acknowledgement_is_for_a_former_scenario_too",
                an_acknowledgement_is_for_a_former_scenario_too,
            ),
            (
                "what_is_left_to_the_host_acknowledges_too",
                what_is_left_to_the_host_acknowledges_too,
            ),
        ],
    )
    .collect();
    trials.extend([
        trial(
            "a_stopccn_is_sent_again_after_1_2_4_8_and_8_seconds",
            &[],
            a_stopccn_is_sent_again_after_1_2_4_8_and_8_seconds,
        ),
        trial(
            "an_acknowledgement_may_come_on_another_queue",
            &[],
            an_acknowledgement_may_come_on_another_queue,
        ),
        trial(
            "a_wrong_checksum_acknowledges_nothing_where_it_is_verified",
            &[],
            a_wrong_checksum_acknowledges_nothing_where_it_is_verified,
        ),
    ]);
    trials
}

/// Refuses every LAC, until it acknowledges that.
const RETRANSMIT: &str = "[default]\nfault = \"refuse\"\nretransmit = true\n";

/// An acknowledgement that leaves the LAC less than this after its request comes before the first
/// repetition, which is due after a second.
const AT_ONCE: Duration = Duration::from_millis(900);

/// LACs at the other end of the cable, each with a port of its own, and what they were sent.
struct Lacs<'p> {
    port: &'p RawPort,
    /// Transmissions of the StopCCN to each.
    sent: BTreeMap<u16, u64>,
}

impl<'p> Lacs<'p> {
    fn new(port: &'p RawPort) -> Self {
        Self {
            port,
            sent: BTreeMap::new(),
        }
    }

    /// Sends a message of the LAC with that port.
    fn say(&self, lac: u16, message: &ControlMessage) -> Result<()> {
        push(self.port, &frame(nobody(lac), message))
    }

    /// Has a LAC ask. Its tunnel id is its port.
    fn ask(&self, lac: u16) -> Result<()> {
        self.say(lac, &Sccrq::new(lac).message())
    }

    /// The LAC to which the next StopCCN is sent.
    fn receive(&mut self) -> Result<u16> {
        let frame = answer(self.port, LIMIT)?.context("nothing is sent any more")?;
        let datagram = Datagram::parse(&frame.bytes)?;
        let stop = StopCcn::parse(&datagram.payload)?;
        let lac = datagram.destination.port();
        assert_eq!((stop.tunnel_id, stop.nr), (lac, 1));
        *self.sent.entry(lac).or_default() += 1;
        Ok(lac)
    }

    /// Has LACs ask that send `messages` once they are refused, one after the other, until all of
    /// them did so at once. Returns those that did.
    fn acknowledge_at_once(&mut self, messages: &[ControlMessage]) -> Result<Vec<u16>> {
        let mut at_once = Vec::new();
        let mut ports = 10_000..;
        for message in messages {
            // A machine that is busy for a second proves nothing.
            let lac = loop {
                let lac = ports.next().context("no ports are left")?;
                let asked = Instant::now();
                self.ask(lac)?;
                while self.receive()? != lac {}
                self.say(lac, message)?;
                if asked.elapsed() < AT_ONCE {
                    break lac;
                }
            };
            at_once.push(lac);
        }
        Ok(at_once)
    }

    /// Takes what is sent until a LAC was sent so many StopCCNs.
    fn receive_until(&mut self, lac: u16, sent: u64) -> Result<()> {
        while self.sent(lac) < sent {
            self.receive()?;
        }
        Ok(())
    }

    /// How many StopCCNs a LAC was sent.
    fn sent(&self, lac: u16) -> u64 {
        self.sent.get(&lac).copied().unwrap_or(0)
    }

    /// Fails unless the report counts the repetitions that came here.
    fn check(&self, report: &Report) -> Result<()> {
        let again: u64 = self.sent.values().map(|sent| sent - 1).sum();
        assert_eq!(report.count("/interfaces/0/sent/sent-again")?, again);
        Ok(())
    }
}

fn frame(lac: SocketAddr, message: &ControlMessage) -> Vec<u8> {
    let lns = match lac {
        SocketAddr::V4(_) => ([192, 0, 2, 1], 1701).into(),
        SocketAddr::V6(_) => ([0x2001, 0xdb8, 1, 0, 0, 0, 0, 1], 1701).into(),
    };
    datagram(lac, lns, message.bytes()).frame()
}

/// A message of that type to the tunnel 12345, which acknowledges what it was sent.
fn message(message_type: u16) -> ControlMessage {
    ControlMessage {
        avps: vec![Avp::new(
            attribute::MESSAGE_TYPE,
            message_type.to_be_bytes(),
        )],
        ..ControlMessage::zlb(12345, 1, 1)
    }
}

/// All that acknowledges a StopCCN: by a tunnel id, or by none, and beside whatever it says.
fn acknowledgements() -> Vec<ControlMessage> {
    vec![
        ControlMessage::zlb(12345, 1, 1),
        ControlMessage::zlb(0, 1, 1),
        message(message_type::STOPCCN),
        message(message_type::SCCRP),
        message(message_type::SCCCN),
    ]
}

/// LACs that acknowledge at once, one that does so once it was sent the StopCCN a second time, and
/// one that never does, side by side: when the last one is sent it a fourth time, those before it
/// would have been, too.
fn an_acknowledged_stopccn_is_not_sent_again(way: Way) -> Result<()> {
    const LATE: u16 = 20_000;
    const NEVER: u16 = 20_001;
    let controlled = Controlled::on(way, RETRANSMIT)?;
    let mut lacs = Lacs::new(&controlled.port);
    let at_once = lacs.acknowledge_at_once(&acknowledgements())?;
    lacs.ask(LATE)?;
    lacs.ask(NEVER)?;
    lacs.receive_until(LATE, 2)?;
    lacs.say(LATE, &ControlMessage::zlb(12345, 1, 1))?;
    lacs.receive_until(NEVER, 4)?;
    for lac in &at_once {
        assert_eq!(lacs.sent(*lac), 1, "{way}: {:?}", lacs.sent);
    }
    // A busy machine may have said so after the third.
    assert!((2..=3).contains(&lacs.sent(LATE)), "{way}: {:?}", lacs.sent);
    let report = controlled.responder.finish()?;
    lacs.check(&report)?;
    let verdicts = report.verdicts()?;
    assert_eq!(verdicts["answered"], lacs.sent.len() as u64);
    for (verdict, least) in [
        ("zlb", 3),
        ("stopccn", 1),
        ("sccrp", 1),
        ("other-message", 1),
    ] {
        assert!(verdicts[verdict] >= least, "{verdicts:?}");
    }
    let heard: u64 = verdicts.values().sum();
    assert_eq!(heard, verdicts["answered"] + lacs.sent.len() as u64 - 1);
    Ok(())
}

/// Nothing acknowledges it that names another tunnel, or none of the messages that were sent.
fn a_stopccn_is_sent_again_after_1_2_4_8_and_8_seconds() -> Result<()> {
    const SECONDS: [u64; 6] = [0, 1, 3, 7, 15, 23];
    let controlled = Controlled::on(WAYS[0], RETRANSMIT)?;
    let mut lacs = Lacs::new(&controlled.port);
    let said = [
        None,
        Some(ControlMessage::zlb(12345, 1, 0)),
        Some(ControlMessage::zlb(4711, 1, 1)),
        // The same request again is answered, and no other StopCCN.
        Some(Sccrq::new(10_003).message()),
    ];
    let ports = 10_000..10_000 + said.len() as u16;
    let asked = Instant::now();
    for (lac, message) in ports.clone().zip(&said) {
        lacs.ask(lac)?;
        lacs.receive_until(lac, 1)?;
        if let Some(message) = message {
            lacs.say(lac, message)?;
        }
    }
    while ports.clone().any(|lac| lacs.sent(lac) < 6) {
        let lac = lacs.receive()?;
        let extra = u64::from(lac == 10_003);
        let sent = (lacs.sent(lac) - 1).saturating_sub(extra);
        let least = SECONDS.get(sent as usize).context("one too many")?;
        let waited = asked.elapsed();
        ensure!(
            waited >= Duration::from_secs(*least),
            "{lac} is sent it for the {sent}th time after {waited:?}"
        );
    }
    lacs.receive_until(10_003, 7)?;
    let report = controlled.responder.finish()?;
    assert_eq!(report.count("/interfaces/0/sent/sent-again")?, 4 * 5);
    let expected = verdicts([("answered", 5), ("zlb", 2)]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}

/// What still waits when another scenario is put in force is acknowledged as before, whatever the
/// new one does; and what the new one sends is acknowledged where the former one sent nothing.
fn an_acknowledgement_is_for_a_former_scenario_too(way: Way) -> Result<()> {
    const LATE: u16 = 20_000;
    const NEVER: u16 = 20_001;
    let controlled = Controlled::on(way, "[default]\nfault = \"silent\"\n")?;
    let mut lacs = Lacs::new(&controlled.port);
    controlled.load("retransmit.toml", RETRANSMIT)?;
    let at_once = lacs.acknowledge_at_once(&acknowledgements())?;
    lacs.ask(LATE)?;
    lacs.ask(NEVER)?;
    lacs.receive_until(NEVER, 1)?;
    controlled.load("silent.toml", "[default]\nfault = \"silent\"\n")?;
    controlled.load("refuse.toml", "[default]\nfault = \"refuse\"\n")?;
    lacs.say(LATE, &ControlMessage::zlb(12345, 1, 1))?;
    lacs.receive_until(NEVER, 4)?;
    for lac in &at_once {
        assert_eq!(lacs.sent(*lac), 1, "{way}: {:?}", lacs.sent);
    }
    assert!((1..=3).contains(&lacs.sent(LATE)), "{way}: {:?}", lacs.sent);
    lacs.check(&controlled.responder.finish()?)
}

/// Where a rule leaves everything to the host from the second attempt on, an acknowledgement of
/// the first refusal goes to the host, and is understood all the same.
fn what_is_left_to_the_host_acknowledges_too(way: Way) -> Result<()> {
    const HEALED: u16 = 20_000;
    const NEVER: u16 = 30_000;
    let scenario = "[default]\nfault = \"refuse\"\nretransmit = true\n\
        [[lns]]\naddress = \"192.0.2.1\"\nfault = \"refuse\"\nretransmit = true\nfirst = 1\n\
        then = \"pass\"\n";
    let controlled = Controlled::on(way, scenario)?;
    let port = &controlled.port;
    let mut lacs = Lacs::new(port);
    lacs.ask(HEALED)?;
    lacs.receive_until(HEALED, 1)?;
    // The second attempt of the same LAC, from another port: a worker swallows its first
    // request, and leaves the next one to the host.
    let second = Sccrq::new(7).message();
    lacs.say(HEALED + 1, &second)?;
    xtask::lab::until("the second attempt", LIMIT, || {
        let passes = controlled.sent("passes-next")?;
        Ok((passes > 0).then_some(()))
    })?;
    lacs.say(HEALED + 1, &second)?;
    lacs.say(HEALED, &ControlMessage::zlb(12345, 1, 1))?;
    // An LNS without that rule, which the LAC never answers.
    let request = datagram(
        nobody(NEVER),
        ([192, 0, 2, 2], 1701).into(),
        Sccrq::new(NEVER).message().bytes(),
    );
    push(port, &request.frame())?;
    lacs.receive_until(NEVER, 4)?;
    assert!(
        (1..=3).contains(&lacs.sent(HEALED)),
        "{way}: {:?}",
        lacs.sent
    );
    let report = controlled.responder.finish()?;
    lacs.check(&report)?;
    let expected = verdicts([("answered", 2), ("silent", 1), ("passed", 2)]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}

/// A queue is chosen by a hash that is not only of addresses and ports: over IPv6 the flow label is
/// in it. So an acknowledgement with another label may be for the worker of another queue.
fn an_acknowledgement_may_come_on_another_queue() -> Result<()> {
    /// That all of them go to one queue is out of the question.
    const LACS: u16 = 64;
    const NEVER: u16 = 30_000;
    let lab = Lab::static_arp().queues(2).peer(Peer::Plain).build()?;
    let port = lab.raw_port()?;
    let flags = ["--path", "redirect", "--xdp-mode", "native"];
    let files = xtask::lab::Scratch::new("retransmitted")?;
    let file = files.file("scenario.toml");
    std::fs::write(&file, RETRANSMIT)?;
    let scenario = ["--scenario", crate::responder::text(&file)?];
    let responder = Responder::start(&lab, &[&flags[..], &scenario].concat())?;
    let mut lacs = Lacs::new(&port);
    let mut at_once = Vec::new();
    for lac in 10_000..10_000 + LACS {
        let asked = Instant::now();
        push(&port, &frame(nobody6(lac), &Sccrq::new(lac).message()))?;
        lacs.receive_until(lac, 1)?;
        let mut zlb = frame(nobody6(lac), &ControlMessage::zlb(12345, 1, 1));
        zlb[16..18].copy_from_slice(&lac.wrapping_mul(40_503).to_be_bytes());
        push(&port, &zlb)?;
        if asked.elapsed() < AT_ONCE {
            at_once.push(lac);
        }
    }
    push(&port, &frame(nobody6(NEVER), &Sccrq::new(NEVER).message()))?;
    lacs.receive_until(NEVER, 3)?;
    assert!(at_once.len() > usize::from(LACS) / 2, "a busy machine");
    for lac in &at_once {
        assert_eq!(lacs.sent(*lac), 1, "{:?}", lacs.sent);
    }
    let report = responder.finish()?;
    lacs.check(&report)?;
    let lacs = u64::from(LACS);
    let expected = verdicts([("answered", lacs + 1), ("zlb", lacs)]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}

fn a_wrong_checksum_acknowledges_nothing_where_it_is_verified() -> Result<()> {
    const RIGHT: u16 = 20_000;
    const WRONG: u16 = 20_001;
    let way = Way::new("auto", "native");
    let controlled = Controlled::with(way, &["--verify-checksum"], RETRANSMIT)?;
    let mut lacs = Lacs::new(&controlled.port);
    for lac in [RIGHT, WRONG] {
        lacs.ask(lac)?;
        lacs.receive_until(lac, 1)?;
        let mut zlb = frame(nobody(lac), &ControlMessage::zlb(12345, 1, 1));
        if lac == WRONG {
            zlb[40] ^= 1;
        }
        push(&controlled.port, &zlb)?;
    }
    lacs.receive_until(WRONG, 4)?;
    assert!((1..=3).contains(&lacs.sent(RIGHT)), "{:?}", lacs.sent);
    let report = controlled.responder.finish()?;
    lacs.check(&report)?;
    let expected = verdicts([("answered", 2), ("zlb", 1), ("bad-checksum", 1)]);
    assert_eq!(report.verdicts()?, expected);
    Ok(())
}
