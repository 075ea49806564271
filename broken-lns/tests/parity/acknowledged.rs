//! What the kernel half notes of the acknowledgements that workers wait for.

use anyhow::{Result, ensure};
use broken_lns::retransmission::Acknowledgements as _;
use broken_lns_ebpf::acknowledgement::{Awaited, Peers};
use broken_lns_ebpf::verdict::Verdict;
use xtask::lab::{Avp, ControlMessage, Sccrq, attribute, message_type};

use crate::halves::{KernelHalf, Path, kernel_policy};
use crate::rules::{compiled, frame};

const RETRANSMIT: &str = "[default]\nfault = \"refuse\"\nretransmit = true\n";
const REFUSE: &str = "[default]\nfault = \"refuse\"\n";
const PASS: &str = "[default]\nfault = \"pass\"\n";

/// Between whom frames go, and what is waited for.
const LAC: &str = "10.0.0.1";
const LNS: &str = "192.0.2.1";
const PEERS: Peers = Peers {
    lac: [u32::from_ne_bytes([10, 0, 0, 1]) as u64, 0],
    lns: [u32::from_ne_bytes([192, 0, 2, 1]) as u64, 0],
    lac_port: 1025,
};
const AWAITED: Awaited = Awaited {
    acknowledged: 0,
    assigned: 4711,
};

/// Whether the kernel half takes the message for an acknowledgement, and what else it does.
fn acknowledges(
    kernel: &mut KernelHalf,
    lac: &str,
    message: &ControlMessage,
) -> Result<(bool, Verdict)> {
    let mut awaited = kernel.awaited()?;
    ensure!(awaited.set(&PEERS, AWAITED), "there is no room");
    let frame = frame(lac.parse()?, LNS.parse()?, message);
    let verdict = kernel.respond(&frame)?.verdict;
    let after = awaited.get(&PEERS);
    let noted = after.is_some_and(|after| after.acknowledged > 0);
    ensure!(
        after.is_some_and(|after| after.assigned == AWAITED.assigned),
        "{after:?}"
    );
    awaited.remove(&PEERS);
    ensure!(awaited.get(&PEERS).is_none(), "it is waited for still");
    Ok((noted, verdict))
}

fn of_type(message_type: u16) -> ControlMessage {
    ControlMessage {
        avps: vec![Avp::new(
            attribute::MESSAGE_TYPE,
            message_type.to_be_bytes(),
        )],
        ..ControlMessage::zlb(4711, 1, 1)
    }
}

/// Every control message but an SCCRQ acknowledges by its header, whatever becomes of it.
pub(crate) fn messages() -> Result<()> {
    use Verdict::{NoSocket, NoTunnelId, OtherMessage, Sccrp, StopCcn, Zlb};
    let zlb = ControlMessage::zlb;
    let again = ControlMessage {
        nr: 1,
        ..Sccrq::new(7).message()
    };
    for path in [Path::RewriteElseRedirect, Path::Redirect] {
        let compiled = compiled(RETRANSMIT)?;
        let mut kernel = KernelHalf::with_scenario(&compiled, path, &kernel_policy())?;
        for (lac, message, expected) in [
            (LAC, zlb(4711, 1, 1), (true, Zlb)),
            (LAC, zlb(0, 1, 1), (true, Zlb)),
            (LAC, zlb(4711, 1, 0), (false, Zlb)),
            (LAC, zlb(12345, 1, 1), (false, Zlb)),
            ("10.0.0.2", zlb(4711, 1, 1), (false, Zlb)),
            (LAC, of_type(message_type::STOPCCN), (true, StopCcn)),
            (LAC, of_type(message_type::SCCRP), (true, Sccrp)),
            (LAC, of_type(message_type::SCCCN), (true, OtherMessage)),
            (LAC, again.clone(), (false, NoSocket)),
            (LAC, of_type(message_type::SCCRQ), (false, NoTunnelId)),
        ] {
            let seen = acknowledges(&mut kernel, lac, &message)?;
            ensure!(seen == expected, "{path:?}, {lac}: {message:?}: {seen:?}");
        }
    }
    Ok(())
}

/// Nobody looks where nobody waits; who waited once is heard under every scenario that follows,
/// of what goes to the host, too.
pub(crate) fn scenarios() -> Result<()> {
    use Verdict::{Passed, Zlb};
    let zlb = ControlMessage::zlb(4711, 1, 1);
    let mut kernel = KernelHalf::with_scenario(
        &compiled(REFUSE)?,
        Path::RewriteElseRedirect,
        &kernel_policy(),
    )?;
    ensure!(acknowledges(&mut kernel, LAC, &zlb)? == (false, Zlb));
    kernel.await_acknowledgements()?;
    ensure!(acknowledges(&mut kernel, LAC, &zlb)? == (true, Zlb));
    for (text, expected) in [(RETRANSMIT, Zlb), (REFUSE, Zlb), (PASS, Passed)] {
        kernel.install(&compiled(text)?)?;
        let seen = acknowledges(&mut kernel, LAC, &zlb)?;
        ensure!(seen == (true, expected), "{text}: {seen:?}");
    }
    Ok(())
}
