//! What the kernel half tells of the LACs that are followed.

use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use broken_lns::compile::Compiled;
use broken_lns::refusal::Refusal;
use broken_lns::scenario::Scenario;
use broken_lns_ebpf::event::{Event, HEAD_LEN};
use broken_lns_ebpf::maps;
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use xtask::lab::{Avp, ControlMessage, Sccrq, attribute};

use crate::fixtures::{REPLIES, fixtures, request, template};
use crate::halves::{KernelHalf, Path, kernel_policy};
use crate::rules::frame;

pub(crate) const LAC: &str = "10.77.0.1";
pub(crate) const LNS: &str = "192.0.2.1";

/// The one event since the last time, with what follows it.
fn only(kernel: &mut KernelHalf) -> Result<(Event, Vec<u8>)> {
    let mut events = kernel.events();
    let event = events.pop().context("nothing was told")?;
    ensure!(events.is_empty(), "{} events too many", events.len());
    Ok(event)
}

fn message(
    kernel: &mut KernelHalf,
    lac: &str,
    lns: &str,
    message: &ControlMessage,
) -> Result<(Event, Vec<u8>)> {
    let (lac, lns): (IpAddr, IpAddr) = (lac.parse()?, lns.parse()?);
    kernel.run(&frame(lac, lns, message))?;
    only(kernel)
}

pub(crate) fn scenario(text: &str) -> Result<Compiled> {
    let scenario = Scenario::parse("events", text, &Refusal::default())?;
    Ok(Compiled::new(&scenario)?)
}

pub(crate) fn fixtures_of_both_paths() -> Result<()> {
    for path in [Path::Rewrite, Path::Redirect] {
        let reply = template(&REPLIES[0]);
        let mut kernel = KernelHalf::with_policy(reply, path, &kernel_policy())?;
        for fixture in fixtures(&REPLIES[0]) {
            kernel.run(&fixture.frame)?;
            let expected = match fixture.verdict {
                // There is no socket on any queue.
                Verdict::Answered if path == Path::Redirect => Verdict::NoSocket,
                verdict => verdict,
            };
            // A datagram without room for a header has no numbers that could be told.
            let is_cut = ["a header of 11 octets", "a header of 2 octets"]
                .contains(&fixture.description.as_str());
            if fixture.verdict.disposition() == Disposition::Pass || is_cut {
                let events = kernel.events();
                ensure!(events.is_empty(), "{}: {events:?}", fixture.description);
                continue;
            }
            let (event, _) = only(&mut kernel).context(fixture.description.clone())?;
            let assigns = event.assigned_tunnel_id != 0;
            ensure!(
                event.verdict() == Some(expected)
                    && event.frame_len as usize == fixture.frame.len()
                    && assigns == (fixture.verdict == Verdict::Answered),
                "{}: {event:?}",
                fixture.description
            );
        }
        ensure!(kernel.events_lost()? == 0);
    }
    Ok(())
}

pub(crate) fn fields() -> Result<()> {
    let mut kernel = KernelHalf::load(template(&REPLIES[0]))?;
    kernel.run(&request())?;
    let (first, rest) = only(&mut kernel)?;
    ensure!(rest == request()[42..], "not the message: {rest:02x?}");
    let expected = Event {
        time: first.time,
        lac: [u64::from(u32::from_ne_bytes([10, 77, 0, 1])), 0],
        lns: [u64::from(u32::from_ne_bytes([10, 77, 0, 2])), 0],
        scenario: 0,
        rule: 0,
        frame_len: 141,
        lns_port: 1701,
        lac_port: 1701,
        vlan: 0,
        inner_vlan: 0,
        message_type: 1,
        tunnel_id: 0,
        assigned_tunnel_id: 0x325a,
        ns: 0,
        nr: 0,
        verdict: Verdict::Answered as u16,
        ip_version: 4,
        kind: 0,
    };
    ensure!(first == expected, "{first:?}");

    let zlb = ControlMessage::zlb(12345, 1, 1);
    let (second, rest) = message(&mut kernel, "2001:db8::1", "2001:db8:1::7", &zlb)?;
    ensure!(rest.is_empty(), "a ZLB has nothing to say: {rest:?}");
    let half = |octets: [u8; 8]| u64::from_ne_bytes(octets);
    let expected = Event {
        time: second.time,
        lac: [
            half([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0]),
            half([0, 0, 0, 0, 0, 0, 0, 1]),
        ],
        lns: [
            half([0x20, 1, 0xd, 0xb8, 0, 1, 0, 0]),
            half([0, 0, 0, 0, 0, 0, 0, 7]),
        ],
        frame_len: 74,
        lac_port: 1025,
        message_type: 0,
        tunnel_id: 12345,
        assigned_tunnel_id: 0,
        ns: 1,
        nr: 1,
        verdict: Verdict::Zlb as u16,
        ip_version: 6,
        ..expected
    };
    ensure!(second == expected, "{second:?}");
    ensure!(first.time < second.time, "time goes on");
    Ok(())
}

pub(crate) fn heads() -> Result<()> {
    let mut kernel = KernelHalf::load(template(&REPLIES[0]))?;
    let of = |number: u8, last: Avp| ControlMessage {
        tunnel_id: 0,
        ns: 0,
        nr: 0,
        avps: vec![
            Avp::new(attribute::MESSAGE_TYPE, [0, number]),
            Avp::new(attribute::ASSIGNED_TUNNEL_ID, [0, 7]),
            last,
        ],
        ..ControlMessage::zlb(0, 0, 0)
    };
    // 34 octets and as many as the value has, which is more than fits and less, in no whole words.
    let fits = HEAD_LEN - 34;
    for len in [4, 5, 11, 12, 50, fits - 1, fits, fits + 1, 900] {
        let value: Vec<u8> = (0..len).map(|at| b'a' + (at % 26) as u8).collect();
        for (number, attribute, verdict) in [
            (1, attribute::HOST_NAME, Verdict::Answered),
            (4, attribute::RESULT_CODE, Verdict::StopCcn),
        ] {
            let sent = of(number, Avp::new(attribute, value.clone()));
            let mut frame = frame(LAC.parse()?, LNS.parse()?, &sent);
            // Some drivers fill up what is too short for Ethernet.
            frame.extend([0; 7]);
            kernel.run(&frame)?;
            let (event, head) = only(&mut kernel)?;
            ensure!(
                event.message_type == u16::from(number) && event.verdict() == Some(verdict),
                "{event:?}"
            );
            let expected = sent.bytes();
            ensure!(expected.len() == 34 + len, "{}", expected.len());
            let expected = &expected[..expected.len().min(HEAD_LEN)];
            ensure!(head == expected, "{len} octets: {head:02x?}");
        }
    }
    Ok(())
}

pub(crate) fn rules() -> Result<()> {
    let rules = r#"
        [[lns]]
        address = "192.0.2.0/24"
        fault = "silent"
        [[lns.lac]]
        address = "10.77.0.9"
        fault = "pass"
        [[lns]]
        address = "192.0.2.7"
        fault = "refuse"
    "#;
    let expected = [
        (LAC, "198.51.100.1", 0, Verdict::Answered),
        (LAC, LNS, 1, Verdict::Silent),
        ("10.77.0.9", LNS, 2, Verdict::Passed),
        (LAC, "192.0.2.7", 3, Verdict::Answered),
    ];
    let other = "[default]\nfault = \"silent\"";
    let compiled = scenario(rules)?;
    let mut kernel = KernelHalf::with_scenario(&compiled, Path::Rewrite, &kernel_policy())?;
    let sccrq = Sccrq::new(5).message();
    for (lac, lns, rule, verdict) in expected {
        let (event, _) = message(&mut kernel, lac, lns, &sccrq)?;
        let told = (event.scenario, event.rule, event.verdict());
        ensure!(
            told == (0, rule, Some(verdict)),
            "{lac} to {lns}: {event:?}"
        );
    }
    kernel.install(&scenario(other)?)?;
    let (event, _) = message(&mut kernel, LAC, LNS, &sccrq)?;
    let told = (event.scenario, event.rule, event.verdict());
    ensure!(told == (1, 0, Some(Verdict::Silent)), "{event:?}");
    Ok(())
}

pub(crate) fn sample() -> Result<()> {
    let compiled = Compiled::of_template(template(&REPLIES[0]))?;
    let sccrq = Sccrq::new(5).message();
    for sample in [Sample::NONE, Sample::one_of(3), Sample::ALL] {
        let policy = kernel_policy();
        let mut kernel = KernelHalf::with_sample(&compiled, Path::Rewrite, &policy, sample)?;
        for number in 0..=255 {
            let lac = [10, 77, 0, number];
            kernel.run(&frame(lac.into(), LNS.parse()?, &sccrq))?;
            let is_told = !kernel.events().is_empty();
            let is_followed = sample.has([u64::from(u32::from_ne_bytes(lac)), 0]);
            ensure!(is_told == is_followed, "{sample:?}: {lac:?} {is_told}");
        }
    }
    Ok(())
}

pub(crate) fn lost() -> Result<()> {
    const TOO_MANY: u32 = 1_000;
    // An entry of the ring has a header of 8 octets, and the last octet stays free.
    const FIT: u32 = (maps::EVENTS_SIZE - 1) / (Event::LEN as u32 + 8);
    let mut kernel = KernelHalf::load(template(&REPLIES[0]))?;
    let zlb = ControlMessage::zlb(12345, 1, 1);
    let zlb = frame(LAC.parse()?, LNS.parse()?, &zlb);
    kernel.repeat(&zlb, FIT + TOO_MANY)?;
    ensure!(
        kernel.events_lost()? == u64::from(TOO_MANY),
        "{}",
        kernel.events_lost()?
    );
    ensure!(kernel.events().len() == FIT as usize);
    // There is room again.
    kernel.run(&zlb)?;
    only(&mut kernel)?;
    ensure!(kernel.events_lost()? == u64::from(TOO_MANY));
    Ok(())
}
