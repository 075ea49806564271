//! Rules: which one is found, and what it does in either half.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use broken_lns::compile::Compiled;
use broken_lns::refusal::Refusal;
use broken_lns::scenario::garble::GarbleKind;
use broken_lns::scenario::{LacRule, LnsRule, Place, Prefix, Scenario, Treatment};
use broken_lns_ebpf::rules::Mark;
use broken_lns_ebpf::sccrq::Policy;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use xtask::lab::{Avp, ControlMessage, Sccrq, attribute, message_type};

use crate::fixtures;
use crate::halves::{KernelHalf, Path, Worker, kernel_policy};
use crate::mutation::{Random, seed};

/// Sets of rules in a run.
const SETS: usize = 150;
/// Requests that are made of each set.
const REQUESTS: usize = 60;
/// Rules for LNSs that a scenario must be able to have, and as many for LACs.
const MANY: u32 = 65_536;

/// The policy of a worker that verifies what the kernel half does.
pub(crate) fn worker_policy() -> Policy {
    Policy {
        avp_limit: u32::MAX,
        ..kernel_policy()
    }
}

/// The frame of a message between these two.
pub(crate) fn frame(lac: IpAddr, lns: IpAddr, message: &ControlMessage) -> Vec<u8> {
    let (lac, lns) = (SocketAddr::new(lac, 1025), SocketAddr::new(lns, 1701));
    fixtures::between(lac, lns, message.bytes())
}

fn request(lac: IpAddr, lns: IpAddr, tunnel_id: u16) -> Vec<u8> {
    frame(lac, lns, &Sccrq::new(tunnel_id).message())
}

/// A refusal that is known by the tunnel id that it assigns.
fn known_by(number: u16) -> Treatment {
    let number = NonZeroU16::new(number).expect("counted from 1");
    Refusal::default().with_assigned_tunnel_id(number).into()
}

/// The tunnel id that a StopCCN assigns: its last two octets.
fn number(reply: &[u8]) -> Option<u16> {
    reply.last_chunk().map(|id| u16::from_be_bytes(*id))
}

/// A host's address among few, so that prefixes and requests meet.
fn address(random: &mut Random, v4: bool) -> IpAddr {
    let (high, low) = (random.below(3) as u32, random.below(4) as u32);
    let middle = random.below(3) as u32;
    if v4 {
        Ipv4Addr::from_bits(high << 30 | 1 << 24 | middle << 15 | low).into()
    } else {
        let (high, middle, low) = (u128::from(high), u128::from(middle), u128::from(low));
        Ipv6Addr::from_bits(high << 126 | 1 << 125 | middle << 63 | low).into()
    }
}

fn prefix(random: &mut Random, v4: bool) -> Prefix {
    let bits = if v4 { 32 } else { 128 };
    let length = match random.below(4) {
        0 => bits,
        1 => bits - random.below(3) as u8,
        2 => random.below(4) as u8,
        _ => random.below(usize::from(bits) + 1) as u8,
    };
    let address = match address(random, v4) {
        IpAddr::V4(it) => {
            let mask = u32::MAX.checked_shl(u32::from(bits - length)).unwrap_or(0);
            IpAddr::from(Ipv4Addr::from_bits(it.to_bits() & mask))
        }
        IpAddr::V6(it) => {
            let mask = u128::MAX.checked_shl(u32::from(bits - length)).unwrap_or(0);
            IpAddr::from(Ipv6Addr::from_bits(it.to_bits() & mask))
        }
    };
    Prefix::new(address, length).expect("the host bits are clear")
}

/// Different prefixes of either family.
fn prefixes(random: &mut Random, most: usize) -> Vec<Prefix> {
    let mut prefixes = Vec::new();
    for _ in 0..random.below(most + 1) {
        let v4 = random.below(2) == 0;
        let prefix = prefix(random, v4);
        if !prefixes.contains(&prefix) {
            prefixes.push(prefix);
        }
    }
    prefixes
}

fn scenario(random: &mut Random) -> Scenario {
    let place = Place { line: 1, column: 1 };
    let mut next = 1;
    let mut treatment = || {
        next += 1;
        known_by(next)
    };
    let mut rules = Vec::new();
    for prefix in prefixes(random, 12) {
        let lacs = prefixes(random, 5).into_iter().map(|prefix| LacRule {
            prefixes: vec![prefix],
            name: None,
            treatment: treatment(),
            expect: None,
            place,
        });
        let lacs: Vec<_> = lacs.collect();
        rules.push(LnsRule {
            prefixes: vec![prefix],
            treatment: (lacs.is_empty() || random.below(2) == 0).then(&mut treatment),
            expect: None,
            lacs,
            place,
        });
    }
    Scenario {
        rules,
        default: known_by(1),
        ..Scenario::from(Refusal::default())
    }
}

/// The kernel half finds the rule that a look at every rule finds, and counts it.
pub(crate) fn longest_prefixes() -> Result<()> {
    let seed = seed();
    let mut random = Random::new(seed);
    let mut kernel = KernelHalf::load(fixtures::template(&fixtures::REPLIES[0]))?;
    for set in 0..SETS {
        let scenario = scenario(&mut random);
        let compiled = Compiled::new(&scenario)?;
        kernel.install(&compiled)?;
        let mut hits = vec![0; compiled.rules().len()];
        for _ in 0..REQUESTS {
            let v4 = random.below(2) == 0;
            let (lac, lns) = (address(&mut random, v4), address(&mut random, v4));
            // Nobody is a LAC of his own.
            if lac == lns {
                continue;
            }
            let expected = scenario.treatment(lns, lac, None);
            let outcome = kernel.respond(&request(lac, lns, 7))?;
            let reply = outcome.reply.context("no reply")?;
            let found = number(&reply).map(known_by);
            ensure!(
                found.as_ref() == Some(expected),
                "seed {seed}, set {set}: {lac} at {lns} met {found:?} of\n{scenario}"
            );
            let rule = scenario.treatments().position(|(_, it)| it == expected);
            hits[rule.context("no such rule")?] += 1;
        }
        ensure!(kernel.hits()? == hits, "seed {seed}, set {set}");
    }
    Ok(())
}

pub(crate) fn compiled(text: &str) -> Result<Compiled> {
    let scenario = Scenario::parse("test", text, &Refusal::default())?;
    Ok(Compiled::new(&scenario)?)
}

/// What both halves can do, they do alike.
pub(crate) fn faults() -> Result<()> {
    let garbles = GarbleKind::ALL.iter();
    let garbles = garbles.map(|kind| format!("fault = \"garble\"\nkind = \"{kind}\""));
    let others = [
        "fault = \"refuse\"\nresult = 7\nerror = \"none\"",
        "fault = \"silent\"",
        "fault = \"pass\"",
        "fault = \"acknowledge\"",
        "fault = \"code-in-address\"",
        "fault = \"refuse\"\nprobability = 0.5\notherwise = \"silent\"",
        "fault = \"silent\"\nprobability = 0.3\n[default.otherwise]\nfault = \"code-in-address\"\n\
         probability = 0.5\notherwise = \"pass\"",
    ];
    let mut kernel = KernelHalf::load(fixtures::template(&fixtures::REPLIES[0]))?;
    for fault in garbles.chain(others.map(str::to_owned)) {
        let text = format!("[default]\n{fault}\n");
        kernel.install(&compiled(&text)?)?;
        let mut worker = Worker::with_scenario(compiled(&text)?, worker_policy());
        let mut verdicts = Vec::new();
        for (lac, lns) in [
            ("10.0.0.1", "192.0.2.255"),
            ("10.0.0.2", "10.64.2.4"),
            ("2001:db8::1", "2001:db8:ffff::ffff:102"),
        ] {
            let (lac, lns): (IpAddr, IpAddr) = (lac.parse()?, lns.parse()?);
            for tunnel_id in 1..=20 {
                let request = request(lac, lns, tunnel_id);
                let by_kernel = kernel.respond(&request)?;
                let by_worker = worker.respond(&request)?;
                // What a worker has does not come back to the host.
                let expected = match by_kernel.verdict {
                    Verdict::Passed => Verdict::Silent,
                    verdict => verdict,
                };
                ensure!(
                    by_worker.verdict == expected && by_worker.reply == by_kernel.reply,
                    "{text}{lac} at {lns}:\n{by_kernel:02x?}\n{by_worker:02x?}"
                );
                verdicts.push(by_kernel.verdict);
            }
        }
        verdicts.dedup();
        let is_by_chance = text.contains("probability");
        ensure!((verdicts.len() > 1) == is_by_chance, "{text}{verdicts:?}");
    }
    Ok(())
}

/// A frame is lost about as often as the rule says, on its own.
pub(crate) fn loss() -> Result<()> {
    let mut kernel = KernelHalf::load(fixtures::template(&fixtures::REPLIES[0]))?;
    kernel.install(&compiled("[default]\nfault = \"refuse\"\nloss = 0.25\n")?)?;
    let request = request("10.0.0.1".parse()?, "192.0.2.1".parse()?, 7);
    let mut lost = 0;
    for _ in 0..2000 {
        match kernel.respond(&request)?.verdict {
            Verdict::Lost => lost += 1,
            Verdict::Answered => {}
            verdict => anyhow::bail!("{verdict:?}"),
        }
    }
    // Six standard deviations.
    ensure!((500 - 117..=500 + 117).contains(&lost), "{lost} of 2,000");
    Ok(())
}

/// Messages of every kind that a LAC sends.
pub(crate) fn messages() -> Vec<ControlMessage> {
    let other = |number: u16| ControlMessage {
        avps: vec![Avp::new(attribute::MESSAGE_TYPE, number.to_be_bytes())],
        ..ControlMessage::zlb(9, 1, 1)
    };
    vec![
        Sccrq::new(7).message(),
        ControlMessage::zlb(9, 1, 1),
        other(message_type::STOPCCN),
        other(3),
        // An SCCRQ without a tunnel id.
        other(message_type::SCCRQ),
    ]
}

/// What a rule leaves to the host is left there whole, and nothing else is.
pub(crate) fn pass() -> Result<()> {
    use Verdict::{Answered, NoTunnelId, OtherMessage, Passed, StopCcn, Zlb};
    let lac: IpAddr = "10.0.0.1".parse()?;
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"pass\"\n\
        [[lns]]\naddress = \"192.0.2.2\"\nfault = \"refuse\"\n\
        [[lns.lac]]\naddress = \"10.0.0.0/8\"\nfault = \"pass\"\n\
        [[lns]]\naddress = \"192.0.2.3\"\nfault = \"pass\"\n\
        [[lns.lac]]\naddress = \"10.0.0.0/8\"\nfault = \"refuse\"\n\
        [[lns]]\naddress = \"192.0.2.4\"\nfault = \"refuse\"\n\
        probability = 1.0\notherwise = \"pass\"\n";
    let ours = [Answered, Zlb, StopCcn, OtherMessage, NoTunnelId];
    for path in [Path::Rewrite, Path::RewriteElseRedirect, Path::Redirect] {
        let mut kernel = KernelHalf::with_scenario(&compiled(text)?, path, &kernel_policy())?;
        for (lns, expected) in [
            ("192.0.2.1", [Passed; 5]),
            ("192.0.2.2", [Passed; 5]),
            ("192.0.2.3", ours),
            ("192.0.2.4", [Answered, Passed, Passed, Passed, Passed]),
            ("192.0.2.5", ours),
        ] {
            for (message, expected) in messages().iter().zip(expected) {
                // Without a socket a frame that is for a worker goes to the host.
                let expected = match (path, expected) {
                    (Path::Redirect, Answered) => Verdict::NoSocket,
                    (_, verdict) => verdict,
                };
                let frame = frame(lac, lns.parse()?, message);
                let verdict = kernel.respond(&frame)?.verdict;
                ensure!(
                    verdict == expected,
                    "{path:?}, {lns}: {verdict:?} for {message:?}"
                );
                if verdict.disposition() == Disposition::Pass {
                    ensure!(
                        kernel.run(&frame)? == frame,
                        "{path:?}, {lns}: it was changed"
                    );
                }
            }
        }
    }
    Ok(())
}

/// What a worker marked is left to the host from then on, and only in its scenario.
pub(crate) fn marks() -> Result<()> {
    use Verdict::{NoSocket, Passed, Zlb};
    let (lac, lns): (IpAddr, IpAddr) = ("10.0.0.1".parse()?, "192.0.2.1".parse()?);
    let word = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
    let mark = |tunnel_id, scenario| Mark {
        lac: word([10, 0, 0, 1]),
        lns: word([192, 0, 2, 1]),
        scenario,
        tunnel_id,
    };
    let zlb = frame(lac, lns, &ControlMessage::zlb(9, 1, 1));
    for (text, marked, [first, second, others]) in [
        (
            "fault = \"cycle\"\nfaults = [\"refuse\", \"pass\"]",
            7,
            [Passed, NoSocket, Passed],
        ),
        (
            "fault = \"refuse\"\nfirst = 1\nthen = \"pass\"",
            0,
            [Passed, Passed, Passed],
        ),
    ] {
        for path in [Path::RewriteElseRedirect, Path::Redirect] {
            let compiled = compiled(&format!("[default]\n{text}\n"))?;
            let mut kernel = KernelHalf::with_scenario(&compiled, path, &kernel_policy())?;
            let verdicts = |kernel: &mut KernelHalf| -> Result<[Verdict; 3]> {
                Ok([
                    kernel.respond(&request(lac, lns, 7))?.verdict,
                    kernel.respond(&request(lac, lns, 8))?.verdict,
                    kernel.respond(&zlb)?.verdict,
                ])
            };
            let before = match marked {
                0 => [NoSocket, NoSocket, Zlb],
                _ => [NoSocket, NoSocket, Passed],
            };
            ensure!(verdicts(&mut kernel)? == before, "{text}");
            kernel.mark(&mark(marked, 1), 0)?;
            ensure!(
                verdicts(&mut kernel)? == before,
                "{text}, of another scenario"
            );
            kernel.mark(&mark(marked, 0), 0)?;
            let after = verdicts(&mut kernel)?;
            ensure!(after == [first, second, others], "{text}: {after:?}");
            kernel.install(&compiled)?;
            kernel.install(&compiled)?;
            ensure!(
                verdicts(&mut kernel)? == before,
                "{text}, in the next scenario"
            );
        }
    }
    Ok(())
}

/// Where the name of a LAC decides, the kernel half leaves that to the worker, and leaves nothing
/// to the host by a rule that only the name can tell. What a worker marked is that of its rule.
pub(crate) fn names() -> Result<()> {
    use Verdict::{Answered, NoSocket, Passed, Silent, Zlb};
    let text = "[[lns]]\naddress = \"192.0.2.1\"\nfault = \"pass\"\n\
        [[lns.lac]]\nlac_name = \"isp-a-*\"\nfault = \"refuse\"\nassigned_tunnel_id = 1\n\
        [[lns.lac]]\naddress = \"10.0.0.0/8\"\nlac_name = \"isp-b\"\n\
        fault = \"refuse\"\nassigned_tunnel_id = 2\n\
        [[lns]]\naddress = \"192.0.2.2\"\nfault = \"refuse\"\nassigned_tunnel_id = 3\n\
        [[lns.lac]]\naddress = \"10.0.0.0/8\"\nlac_name = \"isp-?\"\nfault = \"silent\"\n";
    let named = |lac: &str, lns: &str, tunnel_id, name: &str| -> Result<Vec<u8>> {
        let mut sccrq = Sccrq::new(tunnel_id);
        sccrq.host_name = name.to_owned();
        Ok(frame(lac.parse()?, lns.parse()?, &sccrq.message()))
    };
    for path in [Path::RewriteElseRedirect, Path::Redirect] {
        let mut kernel = KernelHalf::with_scenario(&compiled(text)?, path, &kernel_policy())?;
        let mut worker = Worker::with_scenario(compiled(text)?, worker_policy());
        for (lac, lns, name, by_kernel, by_worker, assigned) in [
            (
                "10.0.0.1",
                "192.0.2.1",
                "isp-a-1",
                NoSocket,
                Answered,
                Some(1),
            ),
            (
                "10.0.0.1",
                "192.0.2.1",
                "isp-b",
                NoSocket,
                Answered,
                Some(2),
            ),
            (
                "172.16.0.1",
                "192.0.2.1",
                "isp-a-1",
                NoSocket,
                Answered,
                Some(1),
            ),
            // What a worker has does not come back to the host.
            ("172.16.0.1", "192.0.2.1", "isp-b", NoSocket, Silent, None),
            ("10.0.0.1", "192.0.2.2", "isp-b", NoSocket, Silent, None),
            (
                "10.0.0.1",
                "192.0.2.2",
                "isp-bb",
                NoSocket,
                Answered,
                Some(3),
            ),
            // Only addresses decide there.
            (
                "172.16.0.1",
                "192.0.2.2",
                "isp-b",
                Answered,
                Answered,
                Some(3),
            ),
        ] {
            let request = named(lac, lns, 7, name)?;
            // Without a socket a frame that is for a worker goes to the host.
            let by_kernel = match path {
                Path::Redirect => NoSocket,
                _ => by_kernel,
            };
            let verdict = kernel.respond(&request)?.verdict;
            ensure!(
                verdict == by_kernel,
                "{path:?}, {name} at {lns}: {verdict:?}"
            );
            let outcome = worker.respond(&request)?;
            let found = outcome.reply.as_deref().and_then(number);
            ensure!(
                (outcome.verdict, found) == (by_worker, assigned),
                "{name} at {lns}: {outcome:02x?}"
            );
        }
        let zlb = |lns: &str| -> Result<Vec<u8>> {
            let zlb = ControlMessage::zlb(9, 1, 1);
            Ok(frame("10.0.0.1".parse()?, lns.parse()?, &zlb))
        };
        ensure!(kernel.respond(&zlb("192.0.2.1")?)?.verdict == Passed);
        ensure!(kernel.respond(&zlb("192.0.2.2")?)?.verdict == Zlb);

        let word = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
        let before = kernel.hits()?;
        let mark = Mark {
            lac: word([10, 0, 0, 1]),
            lns: word([192, 0, 2, 1]),
            scenario: 0,
            tunnel_id: 7,
        };
        kernel.mark(&mark, 3)?;
        kernel.events();
        let passed = kernel.respond(&named("10.0.0.1", "192.0.2.1", 7, "isp-b")?)?;
        ensure!(passed.verdict == Passed, "{path:?}: {passed:02x?}");
        let others = kernel.respond(&named("10.0.0.1", "192.0.2.1", 8, "isp-b")?)?;
        ensure!(others.verdict == NoSocket, "{path:?}: {others:02x?}");
        // It is counted and told of under the rule that the worker found.
        let hits: Vec<_> = kernel
            .hits()?
            .iter()
            .zip(before)
            .map(|(now, before)| now - before)
            .collect();
        ensure!(hits == [0, 0, 0, 1, 0, 0], "{path:?}: {hits:?}");
        let events = kernel.events();
        let (event, _) = events.first().context("no event")?;
        ensure!(event.rule == 3, "{path:?}: {event:?}");
    }
    Ok(())
}

/// As many rules as there must be room for, each with its own reply as far as there are replies.
pub(crate) fn many() -> Result<()> {
    let place = Place { line: 1, column: 1 };
    // Odd, so that no address comes twice, and from 128.0.0.0 to 191.255.255.255, as hosts have.
    let spread = |number: u32| number.wrapping_mul(0x9e37_79b1) & 0x3fff_ffff | 0x8000_0000;
    // The IPv6 address that stands for an IPv4 one (RFC 6052 §2.1).
    let translated = |v4: Ipv4Addr| {
        let prefix = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
        IpAddr::from(Ipv6Addr::from_bits(
            prefix.to_bits() | u128::from(v4.to_bits()),
        ))
    };
    let address = |number: u32| IpAddr::from(Ipv4Addr::from_bits(spread(number)));
    let single = |number: u32| vec![Prefix::new(address(number), 32).expect("one host")];
    let known_by = |number: u32| known_by(number as u16 % 4000 + 1);
    let lacs = (0..MANY).map(|number| LacRule {
        prefixes: single(number),
        name: None,
        treatment: known_by(number),
        expect: None,
        place,
    });
    let lacs = LnsRule {
        prefixes: vec![Prefix::new("2001:db8::".parse()?, 32).expect("a network")],
        treatment: Some(known_by(0)),
        expect: None,
        lacs: lacs
            .map(|mut lac| {
                let IpAddr::V4(v4) = lac.prefixes[0].address() else {
                    unreachable!("they are all IPv4");
                };
                lac.prefixes = vec![Prefix::new(translated(v4), 128).expect("one host")];
                lac
            })
            .collect(),
        place,
    };
    let lnss = (1..MANY).map(|number| LnsRule {
        prefixes: single(number),
        treatment: Some(known_by(number)),
        expect: None,
        lacs: Vec::new(),
        place,
    });
    let scenario = Scenario {
        rules: lnss.chain([lacs]).collect(),
        ..Scenario::from(Refusal::default())
    };
    let compiled = Compiled::new(&scenario)?;
    let mut kernel = KernelHalf::load(fixtures::template(&fixtures::REPLIES[0]))?;
    let begin = Instant::now();
    kernel.install(&compiled)?;
    // Only a slip that makes it take for ever is caught.
    ensure!(
        begin.elapsed() < Duration::from_secs(60),
        "{:?}",
        begin.elapsed()
    );
    for tried in (1..MANY).step_by(97) {
        let reply = kernel
            .respond(&request("10.0.0.1".parse()?, address(tried), 7))?
            .reply;
        let found = reply.as_deref().and_then(number);
        ensure!(
            found == Some(tried as u16 % 4000 + 1),
            "LNS {tried}: {found:?}"
        );
        let IpAddr::V4(lac) = address(tried) else {
            unreachable!("they are all IPv4");
        };
        let reply = kernel
            .respond(&request(translated(lac), "2001:db8::1".parse()?, 7))?
            .reply;
        let found = reply.as_deref().and_then(number);
        ensure!(
            found == Some(tried as u16 % 4000 + 1),
            "LAC {tried}: {found:?}"
        );
    }
    Ok(())
}

/// The hits of more rules than are read at a time, in either bank: each stands at its own rule.
pub(crate) fn hits() -> Result<()> {
    const BATCH: usize = 4096;
    const RULES: usize = 2 * BATCH + 10;
    let address = |number: usize| IpAddr::from(Ipv4Addr::from_bits(0x8000_0000 + number as u32));
    let rules = (1..RULES).map(|number| LnsRule {
        prefixes: vec![Prefix::new(address(number), 32).expect("one host")],
        // The kernel half has room for some thousand different replies.
        treatment: Some(known_by((number % 4000) as u16 + 1)),
        expect: None,
        lacs: Vec::new(),
        place: Place { line: 1, column: 1 },
    });
    let mut scenario = Scenario {
        rules: rules.collect(),
        ..Scenario::from(Refusal::default())
    };
    let mut kernel = KernelHalf::load(fixtures::template(&fixtures::REPLIES[0]))?;
    for bank in 0..3 {
        // A change here and there, behind which the rules lie in the bank already.
        for number in [2, BATCH - 1, BATCH, RULES - 2] {
            let other = known_by(5000 + bank);
            scenario.rules[number - 1].treatment = Some(other);
        }
        kernel.install(&Compiled::new(&scenario)?)?;
        let mut expected = vec![0; RULES];
        ensure!(kernel.hits()? == expected, "bank {bank}: not from zero");
        let edges = [
            1,
            2,
            BATCH - 2,
            BATCH - 1,
            BATCH,
            BATCH + 1,
            2 * BATCH - 1,
            2 * BATCH,
        ];
        for (times, rule) in (1..).zip(edges.into_iter().chain([RULES - 2, RULES - 1])) {
            for _ in 0..times {
                let asked = request("10.0.0.1".parse()?, address(rule), 7);
                let outcome = kernel.respond(&asked)?;
                let verdict = outcome.verdict.label();
                let reply = outcome
                    .reply
                    .with_context(|| format!("{verdict} at rule {rule}"))?;
                let found = number(&reply).map(known_by);
                let treatment = &scenario.rules[rule - 1].treatment;
                ensure!(found == *treatment, "bank {bank}, rule {rule}: {found:?}");
            }
            expected[rule] = times;
        }
        let hits = kernel.hits()?;
        let wrong = (0..RULES).find(|rule| hits[*rule] != expected[*rule]);
        ensure!(wrong.is_none(), "bank {bank}: the hits of rule {wrong:?}");
    }
    Ok(())
}
