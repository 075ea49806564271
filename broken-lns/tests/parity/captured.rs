//! What the kernel half captures of the LACs that are followed.

use anyhow::{Context as _, Result, ensure};
use broken_lns::compile::Compiled;
use broken_lns_ebpf::captured::{Captured, Direction, SNAP_LEN};
use broken_lns_ebpf::maps;
use broken_lns_ebpf::verdict::{Disposition, Verdict};
use xtask::lab::{Avp, ControlMessage, Sccrq, attribute};

use crate::events::{LAC, LNS, scenario};
use crate::fixtures::{REPLIES, fixtures, request, template};
use crate::halves::{KernelHalf, Path, kernel_policy};
use crate::rules::frame;

/// A kernel half that captures into a ring buffer of this size.
fn capturing(compiled: &Compiled, path: Path, size: u32) -> Result<KernelHalf> {
    KernelHalf::capturing(compiled, path, &kernel_policy(), size)
}

fn plain() -> Result<Compiled> {
    Ok(Compiled::of_template(template(&REPLIES[0]))?)
}

/// A frame as it is captured: verdict, direction, length, octets.
type Shown<'f> = (Option<Verdict>, Option<Direction>, u32, &'f [u8]);

fn shown((captured, octets): &(Captured, Vec<u8>)) -> Shown<'_> {
    (
        captured.verdict(),
        captured.direction(),
        captured.len,
        octets,
    )
}

pub(crate) fn fixtures_of_both_paths() -> Result<()> {
    for path in [Path::Rewrite, Path::Redirect] {
        let mut kernel = capturing(&plain()?, path, maps::CAPTURED_SIZE)?;
        for fixture in fixtures(&REPLIES[0]) {
            let left = kernel.run(&fixture.frame)?;
            let frames = kernel.captured();
            let is_cut = ["a header of 11 octets", "a header of 2 octets"]
                .contains(&fixture.description.as_str());
            let verdict = match fixture.verdict {
                // There is no socket on any queue.
                Verdict::Answered if path == Path::Redirect => Verdict::NoSocket,
                verdict => verdict,
            };
            let frame = |direction, octets| {
                let len = <[u8]>::len(octets) as u32;
                (Some(verdict), Some(direction), len, octets)
            };
            let mut expected = vec![frame(Direction::Request, &fixture.frame)];
            if verdict == Verdict::Answered {
                expected.push(frame(Direction::Reply, &left));
            }
            if fixture.verdict.disposition() == Disposition::Pass || is_cut {
                expected.clear();
            }
            let frames: Vec<_> = frames.iter().map(shown).collect();
            ensure!(frames == expected, "{}: {frames:?}", fixture.description);
        }
        ensure!(kernel.captured_lost() == 0);
    }
    Ok(())
}

pub(crate) fn names() -> Result<()> {
    let compiled = scenario("[[lns]]\naddress = \"192.0.2.1\"\nfault = \"silent\"")?;
    let mut kernel = capturing(&compiled, Path::Rewrite, maps::CAPTURED_SIZE)?;
    let sccrq = frame(LAC.parse()?, LNS.parse()?, &Sccrq::new(5).message());
    let only = |kernel: &mut KernelHalf| -> Result<Captured> {
        kernel.run(&sccrq)?;
        let mut frames = kernel.captured();
        let (captured, _) = frames.pop().context("nothing was captured")?;
        ensure!(frames.is_empty());
        Ok(captured)
    };
    let first = only(&mut kernel)?;
    ensure!((first.scenario, first.rule) == (0, 1), "{first:?}");
    let other = scenario("[default]\nfault = \"silent\"")?;
    kernel.install(&other)?;
    let second = only(&mut kernel)?;
    ensure!((second.scenario, second.rule) == (1, 0), "{second:?}");
    ensure!(first.time < second.time, "time goes on");

    // A reply is of its request, and after it.
    kernel.install(&plain()?)?;
    kernel.run(&request())?;
    let frames = kernel.captured();
    let [(request, _), (reply, _)] = &frames[..] else {
        anyhow::bail!("{frames:?}");
    };
    ensure!((reply.scenario, reply.rule) == (2, 0), "{reply:?}");
    ensure!(request.time < reply.time, "{request:?} {reply:?}");
    Ok(())
}

pub(crate) fn lengths() -> Result<()> {
    let mut kernel = capturing(&plain()?, Path::Rewrite, maps::CAPTURED_SIZE)?;
    for text in [0, 1, 900, SNAP_LEN - 67, SNAP_LEN - 66, SNAP_LEN - 65, 1800] {
        let avp = |len| Avp::new(attribute::HOST_NAME, vec![b'a'; len]);
        let mut message = Sccrq::new(5).message();
        message.avps = vec![avp(text / 2), avp(text - text / 2)];
        let frame = frame(LAC.parse()?, LNS.parse()?, &message);
        kernel.run(&frame)?;
        let frames = kernel.captured();
        let captured = frames.first().context("nothing was captured")?;
        let len = frame.len();
        let octets = &frame[..len.min(SNAP_LEN)];
        let direction = Some(Direction::Request);
        let expected = (Some(Verdict::NoMessageType), direction, len as u32, octets);
        ensure!(frames.len() == 1 && shown(captured) == expected, "{text}");
    }
    Ok(())
}

pub(crate) fn only_where_it_is_wanted() -> Result<()> {
    let mut kernel = KernelHalf::load(template(&REPLIES[0]))?;
    kernel.run(&request())?;
    ensure!(kernel.captured().is_empty() && kernel.captured_lost() == 0);
    ensure!(kernel.events().len() == 1, "it is followed all the same");
    Ok(())
}

pub(crate) fn lost() -> Result<()> {
    const PAGE: u32 = 4096;
    let mut kernel = capturing(&plain()?, Path::Rewrite, PAGE)?;
    let zlb = ControlMessage::zlb(12345, 1, 1);
    let zlb = frame(LAC.parse()?, LNS.parse()?, &zlb);
    // An entry has a header of 8 octets and begins at a multiple of them; the last octet of the
    // ring stays free.
    let entry = (Captured::LEN as u32 + zlb.len() as u32).next_multiple_of(8) + 8;
    let fit = (PAGE - 1) / entry;
    kernel.repeat(&zlb, fit + 100)?;
    ensure!(kernel.captured_lost() == 100, "{}", kernel.captured_lost());
    ensure!(kernel.captured().len() == fit as usize);
    // There is room again.
    kernel.run(&zlb)?;
    ensure!(kernel.captured().len() == 1 && kernel.captured_lost() == 100);
    Ok(())
}
