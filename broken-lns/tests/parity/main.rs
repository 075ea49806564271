//! Both halves on the same frames: the kernel half by BPF_PROG_TEST_RUN, the
//! worker's `respond` without a socket, and an oracle that shares no code with
//! either.
//!
//! The tests of the kernel half need root. Without it they show as ignored,
//! except under `cargo xtask test`, where none may be.

mod acknowledged;
mod captured;
mod encapsulated;
mod events;
mod fixtures;
mod halves;
mod mutation;
mod other_port;
mod rules;

use anyhow::{Result, ensure};
use broken_lns::compile::Compiled;
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use libtest_mimic::{Arguments, Failed, Trial};
use xtask::lab;

use broken_lns_ebpf::sccrq::Policy;
use fixtures::{Fixture, REPLIES, fixtures, template};
use halves::{KernelHalf, Outcome, Path, Worker, kernel_policy};

/// Frames made by mutation in a run with the defaults of the command line.
const MUTANTS: usize = 100_000;
/// Frames made by mutation in a run with each unusual setting.
const UNUSUAL_MUTANTS: usize = 20_000;

fn main() {
    let arguments = Arguments::from_args();
    let needs_root = lab::obstacle(&[]).is_some() && std::env::var_os(lab::TEST_ALL).is_none();
    let kernel =
        |name: &str, test: fn() -> Result<()>| trial(name, test).with_ignored_flag(needs_root);
    let trials = vec![
        trial(
            "the worker answers every fixture as expected",
            worker_fixtures,
        ),
        kernel(
            "the kernel half answers every fixture as expected",
            kernel_fixtures,
        ),
        kernel(
            "the kernel half leaves alone what it does not answer",
            untouched,
        ),
        kernel("both halves write every template alike", templates),
        kernel("both halves agree on mutants", mutants),
        kernel(
            "both halves agree on mutants with checksums verified",
            verified_mutants,
        ),
        kernel(
            "both halves agree on mutants to any MAC address",
            any_mac_mutants,
        ),
        kernel("the worker walks what the kernel half cannot", many_avps),
        kernel("without a socket the frame goes to the host", no_socket),
        kernel("the verifier has room to spare", verifier),
        kernel(
            "every control message is told of",
            events::fixtures_of_both_paths,
        ),
        kernel("what an event says", events::fields),
        kernel("what a LAC says is told with it", events::heads),
        kernel("an event names scenario and rule", events::rules),
        kernel("nothing is told of who is not followed", events::sample),
        kernel("events that do not fit are counted", events::lost),
        kernel(
            "every control message is captured with its verdict",
            captured::fixtures_of_both_paths,
        ),
        kernel("a captured frame names scenario and rule", captured::names),
        kernel(
            "a frame is captured as far as there is room",
            captured::lengths,
        ),
        kernel(
            "nothing is captured unless it is wanted",
            captured::only_where_it_is_wanted,
        ),
        kernel(
            "captured frames that do not fit are counted",
            captured::lost,
        ),
        kernel("the longest prefixes decide", rules::longest_prefixes),
        kernel("both halves play every fault alike", rules::faults),
        kernel("a quarter of the frames is lost", rules::loss),
        kernel("what a rule leaves to the host is left there", rules::pass),
        kernel("what a worker marked is left to the host", rules::marks),
        kernel("a worker finds the rule of a name", rules::names),
        kernel(
            "acknowledgements that are awaited are noted",
            acknowledged::messages,
        ),
        kernel(
            "what was awaited once is awaited under every scenario",
            acknowledged::scenarios,
        ),
        kernel(
            "a message to the other port is for us where its rule answers from there",
            other_port::messages_of_both_paths,
        ),
        kernel(
            "nothing else to the other port is touched",
            other_port::other_traffic,
        ),
        kernel(
            "the other port is known until the next change but one",
            other_port::changes,
        ),
        kernel("65,536 rules for LNSs and for LACs", rules::many),
        kernel("the hits of many rules are read in batches", rules::hits),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, test: fn() -> Result<()>) -> Trial {
    Trial::test(name, move || {
        test().map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Every way to load the program. A verifier of another kernel walks more or less of it than
/// this one, so there must be room.
fn verifier() -> Result<()> {
    for path in [Path::Rewrite, Path::Redirect, Path::RewriteElseRedirect] {
        for (mac, verify_checksum) in [(true, false), (true, true), (false, true)] {
            let kernel_policy = kernel_policy();
            let policy = Policy {
                mac: kernel_policy.mac.filter(|_| mac),
                verify_checksum,
                ..kernel_policy
            };
            let compiled = Compiled::of_template(template(&REPLIES[0]))?;
            // With all that can be had of it.
            let mut kernel = KernelHalf::capturing(&compiled, path, &policy, 1 << 16)?;
            let walked = kernel.verified_instructions()?;

            ensure!(
                walked < 600_000,
                "{walked} instructions verified for {path:?} and {policy:?}"
            );
        }
    }
    Ok(())
}

fn worker_fixtures() -> Result<()> {
    for reply in REPLIES {
        let mut worker = Worker::new(template(reply));
        for fixture in fixtures(reply) {
            let outcome = worker.respond(&fixture.frame)?;
            check(&fixture, &outcome)?;
        }
    }
    Ok(())
}

fn kernel_fixtures() -> Result<()> {
    for reply in REPLIES {
        let mut kernel = KernelHalf::load(template(reply))?;
        for fixture in fixtures(reply) {
            let outcome = kernel.respond(&fixture.frame)?;
            check(&fixture, &outcome)?;
        }
    }
    Ok(())
}

fn check(fixture: &Fixture, outcome: &Outcome) -> Result<()> {
    ensure!(
        outcome.verdict == fixture.verdict,
        "{}: expected {}, got {}",
        fixture.description,
        fixture.verdict.label(),
        outcome.verdict.label()
    );
    ensure!(
        outcome.reply == fixture.reply,
        "{}: expected the reply\n{:02x?}\ngot\n{:02x?}",
        fixture.description,
        fixture.reply,
        outcome.reply
    );
    Ok(())
}

fn untouched() -> Result<()> {
    let reply = &REPLIES[0];
    let mut kernel = KernelHalf::load(template(reply))?;
    for fixture in fixtures(reply) {
        let left = kernel.run(&fixture.frame)?;
        if fixture.verdict.disposition() != Disposition::Transmit {
            ensure!(
                left == fixture.frame,
                "{}: it was changed",
                fixture.description
            );
        }
    }
    Ok(())
}

/// Lengths around every step in which a template is copied.
fn templates() -> Result<()> {
    let request = fixtures::request();
    let mut kernel = KernelHalf::load(template(&REPLIES[0]))?;
    for length in (12..=140).chain([511, 512, 1_023, 1_398, 1_399, 1_400]) {
        let message: Vec<u8> = (0..length)
            .map(|index| match index {
                4 | 5 | 10 | 11 => 0,
                _ => index as u8,
            })
            .collect();
        let template = Template::new(&message).expect("12 to 1,400 octets");
        let expected = fixtures::reply_with(message, 0x325a, 1);
        for (half, outcome) in [
            ("worker", Worker::new(template).respond(&request)?),
            ("kernel half", {
                kernel.install(&Compiled::of_template(template)?)?;
                kernel.respond(&request)?
            }),
        ] {
            ensure!(
                outcome.reply.as_ref() == Some(&expected),
                "{length} octets by the {half}:\n{expected:02x?}\n{:02x?}",
                outcome.reply
            );
        }
    }
    Ok(())
}

fn mutants() -> Result<()> {
    compare(MUTANTS, |_, _| {})
}

fn verified_mutants() -> Result<()> {
    compare(UNUSUAL_MUTANTS, |_, policy| policy.verify_checksum = true)
}

fn any_mac_mutants() -> Result<()> {
    compare(UNUSUAL_MUTANTS, |_, policy| policy.mac = None)
}

/// Runs mutants through both halves: same verdict, same bytes, and the same
/// verdict counted.
fn compare(
    count: usize,
    change: fn(&mut halves::Path, &mut broken_lns_ebpf::sccrq::Policy),
) -> Result<()> {
    let template = template(&REPLIES[0]);
    let (mut path, mut policy) = (halves::Path::Rewrite, halves::kernel_policy());
    change(&mut path, &mut policy);
    let mut worker = Worker::with_policy(template, policy);
    let mut kernel = KernelHalf::with_policy(template, path, &policy)?;

    let seed = mutation::seed();
    let mut by_verdict = vec![Vec::new(); Verdict::COUNT];
    for frame in mutation::mutants(seed, count, &fixtures(&REPLIES[0])) {
        let outcome = worker.respond(&frame)?;
        by_verdict[outcome.verdict as usize].push((frame, outcome));
    }
    for (verdict, group) in Verdict::ALL.iter().zip(&by_verdict) {
        let before = kernel.counts()?;
        for (frame, outcome) in group {
            let left = kernel.run_as(frame, verdict.disposition())?;
            let expected = outcome.reply.as_ref().unwrap_or(frame);
            ensure!(
                left == *expected,
                "seed {seed}, {}:\nframe\n{frame:02x?}\nworker\n{expected:02x?}\nkernel half\n{left:02x?}",
                verdict.label()
            );
        }
        let mut expected = before;
        expected[*verdict as usize] += group.len() as u64;
        ensure!(
            kernel.counts()? == expected,
            "seed {seed}: of {} frames that the worker calls {} the kernel half counts some otherwise",
            group.len(),
            verdict.label()
        );
    }
    // A generator that reaches but one verdict would prove nothing.
    let reached = by_verdict.iter().filter(|group| !group.is_empty()).count();
    ensure!(
        reached >= 15,
        "seed {seed}: mutants reach {reached} verdicts only"
    );
    ensure!(
        by_verdict[Verdict::Answered as usize].len() > count / 100,
        "seed {seed}: hardly a mutant is answered"
    );
    Ok(())
}

fn many_avps() -> Result<()> {
    let template = template(&REPLIES[0]);
    for (avps, by_kernel) in [
        (32, Verdict::Answered),
        (64, Verdict::Answered),
        (65, Verdict::TooManyAvps),
        (300, Verdict::TooManyAvps),
    ] {
        let frame = fixtures::request_with_avps(avps);
        let mut kernel = KernelHalf::load(template)?;
        ensure!(kernel.respond(&frame)?.verdict == by_kernel, "{avps} AVPs");
        let outcome = Worker::new(template).respond(&frame)?;
        ensure!(
            outcome.verdict == Verdict::Answered,
            "{avps} AVPs by the worker"
        );
        ensure!(
            outcome.reply == Some(fixtures::reply(&REPLIES[0])),
            "{avps} AVPs"
        );
    }
    Ok(())
}

fn no_socket() -> Result<()> {
    let template = template(&REPLIES[0]);
    let policy = halves::kernel_policy();
    let many = fixtures::request_with_avps(65);
    for (path, frame) in [
        (halves::Path::Redirect, fixtures::request()),
        (halves::Path::RewriteElseRedirect, many),
    ] {
        let mut kernel = KernelHalf::with_policy(template, path, &policy)?;
        let outcome = kernel.respond(&frame)?;
        ensure!(
            outcome.verdict == Verdict::NoSocket,
            "{path:?}: {:?}",
            outcome.verdict
        );
        ensure!(kernel.run(&frame)? == frame, "{path:?}: it was changed");
    }
    Ok(())
}
