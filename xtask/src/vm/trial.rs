//! What one guest is put through, and what came of it.

use std::{fmt, time::Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::lab::until;

use super::{
    guest::{Guest, LIMIT},
    image::{INTERFACE, RESPONDER},
    traffic::{self, Tally},
    way::Way,
};

/// What [`traffic::refusal`] is on the command line.
const REFUSAL: &str = "--result-code 2 --error-code 6 --error-message 'Closed for today'";

/// The same refusal of every LNS, by workers at the upper half of the prefix: only they count.
const SCENARIO: &str = r#"
[default]
fault = "refuse"
result = 2
error = 6
message = "Closed for today"
[[lns]]
address = ["192.0.2.128/25", "2001:db8:1::80/121"]
fault = "refuse"
result = 2
error = 6
message = "Closed for today"
first = 1000000
then = "silent"
"#;

/// What came of one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The way.
    pub way: Way,
    /// How the responder said that it is attached.
    pub attachment: Attachment,
    /// What was sent and what came back.
    pub(super) tally: Tally,
    /// What the responder counted as answered.
    pub answered: u64,
    /// What it counted as acknowledgements.
    pub acknowledgements: u64,
    /// Replies that XDP_TX lost, as the kernel or the driver counted them.
    pub untransmitted: u64,
    /// What its driver counted as lost, with what was dropped on purpose.
    pub lost: String,
}

/// How a responder is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// `native` or `generic`.
    pub mode: String,
    /// Whether its workers share their memory with the driver; none where there are no workers.
    pub zero_copy: Option<bool>,
}

impl Outcome {
    /// Whether all that was sent was answered and came back, every octet as it should be; or did not
    /// come back and is known as lost, where the wire is held.
    pub fn is_exact(&self) -> bool {
        let Tally {
            sent,
            acknowledgements,
            received,
            wrong,
            ..
        } = self.tally;
        if self.way == Way::Held {
            // What did not arrive, or did not leave, is known.
            return received > 0
                && wrong == 0
                && received + self.untransmitted == self.answered
                && self.answered <= sent;
        }
        sent > 0
            && self.answered == sent
            && received == sent
            && wrong == 0
            && self.acknowledgements == acknowledgements
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mode)?;
        match self.zero_copy {
            None => Ok(()),
            Some(true) => f.write_str(" zero-copy"),
            Some(false) => f.write_str(" copy"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally {
            sent,
            acknowledgements,
            received,
            wrong,
            example,
        } = &self.tally;
        write!(
            f,
            "{}, {}: sent {sent}, answered {}, received {received}; acknowledged \
             {acknowledgements}, counted {}",
            self.way.name(),
            self.attachment,
            self.answered,
            self.acknowledgements
        )?;
        if self.untransmitted > 0 {
            write!(f, "; not transmitted {}", self.untransmitted)?;
        }
        if !self.is_exact() && !self.lost.is_empty() {
            write!(f, "; the driver lost {}", self.lost)?;
        }
        if let Some(frame) = example {
            let octets: String = frame.iter().map(|octet| format!("{octet:02x}")).collect();
            write!(f, "; {wrong} others, the first one {octets}")?;
        }
        Ok(())
    }
}

/// Runs the responder in `guest` in one way.
pub(super) fn run(guest: &mut Guest, way: Way) -> Result<Outcome> {
    // Most of these NICs let in a VLAN that nobody asked for only then, and some take its tag off
    // the frame unless told not to. What cannot be told need not be.
    guest.read(&format!("ip link set {INTERFACE} promisc on"))?;
    guest.run(&format!("ethtool -K {INTERFACE} rxvlan off"))?;
    guest.read(&format!("cat >/tmp/scenario.toml <<'END'{SCENARIO}END"))?;
    let pid = start(guest, way)?;
    // Attaching resets some NICs.
    guest.wait_for_carrier(true)?;
    traffic::drain(guest.wire())?;
    if way == Way::Held {
        let outcome = held(guest)?;
        end(guest, &pid, way)?;
        return Ok(outcome);
    }
    let requests = traffic::requests(traffic::USUAL);
    let mut tally = traffic::exchange(guest.wire(), &requests)?;
    if way.has_link_events() && tally.received == tally.sent {
        guest.plug(false)?;
        guest.plug(true)?;
        tally.add(traffic::exchange(guest.wire(), &requests)?);
        guest.read(&format!("ip link set {INTERFACE} down"))?;
        guest.read(&format!("ip link set {INTERFACE} up"))?;
        guest.wait_for_carrier(true)?;
        tally.add(traffic::exchange(guest.wire(), &requests)?);
    }
    let outcome = outcome(guest, way, tally)?;
    end(guest, &pid, way)?;
    Ok(outcome)
}

/// Has requests answered while the wire takes nothing, and then takes what is left of the replies.
fn held(guest: &mut Guest) -> Result<Outcome> {
    let requests = traffic::requests(traffic::MANY);
    guest.wire().hold(true);
    let tally = traffic::send(guest.wire(), &requests)?;
    // A NIC that lets no frame wait loses requests, too, and what is answered then is fewer.
    let (mut counted, mut since) = (0, Instant::now());
    let mut outcome = until("every request to be answered", LIMIT, || {
        let outcome = outcome(guest, Way::Held, tally.clone())?;
        let now = outcome.answered + outcome.acknowledgements;
        if now > counted {
            (counted, since) = (now, Instant::now());
        }
        let is_all = counted >= tally.sent + tally.acknowledgements;
        Ok((is_all || since.elapsed() >= traffic::LOST_AFTER).then_some(outcome))
    })?;
    guest.wire().hold(false);
    let due = outcome.answered.saturating_sub(outcome.untransmitted);
    traffic::collect(guest.wire(), &requests, due, &mut outcome.tally)?;
    Ok(outcome)
}

/// Starts the responder, and returns its process once it is attached.
fn start(guest: &mut Guest, way: Way) -> Result<String> {
    let flags = way.flags();
    let refusal = if way == Way::Auto { "" } else { REFUSAL };
    let pid = guest.read(&format!(
        "{RESPONDER} run -i {INTERFACE} --track none {flags} {refusal} \
         >/tmp/output 2>/tmp/errors </dev/null & echo $!"
    ))?;
    let attached = format!("grep -q ': attached, ' /tmp/errors || ! kill -0 {pid} 2>/dev/null");
    guest.wait_for("the responder to attach", &attached)?;
    let said = guest.read("cat /tmp/errors")?;
    ensure!(
        said.contains(": attached, "),
        "the responder did not attach: {said}"
    );
    Ok(pid)
}

/// Asks the responder what it is and what it counted.
fn outcome(guest: &mut Guest, way: Way, tally: Tally) -> Result<Outcome> {
    let text = guest.read(&format!("{RESPONDER} status -i {INTERFACE} --json"))?;
    let status: Value =
        serde_json::from_str(&text).with_context(|| format!("a status that is no JSON: {text}"))?;
    let number = |pointer: &str| {
        let number = status.pointer(pointer).and_then(Value::as_u64);
        number.with_context(|| format!("no number {pointer} in {status}"))
    };
    let mode = status
        .pointer("/ok/status/interfaces/0/mode")
        .and_then(Value::as_str);
    let workers = number("/ok/status/interfaces/0/workers")?;
    let zero_copy = &status["ok"]["status"]["interfaces"][0]["zero_copy"];
    let driver = status.pointer("/ok/status/counters/interfaces/0/driver");
    let driver = driver.and_then(Value::as_object).into_iter().flatten();
    let driver: Vec<(&str, u64)> = driver
        .map(|(name, count)| (name.as_str(), count.as_u64().unwrap_or(0)))
        .collect();
    let lost = driver.iter().map(|(name, count)| format!("{name} {count}"));
    let lost: Vec<String> = lost.collect();
    Ok(Outcome {
        way,
        attachment: Attachment {
            mode: mode.context("no mode")?.to_owned(),
            zero_copy: zero_copy.as_bool().filter(|_| workers > 0),
        },
        tally,
        answered: number("/ok/status/counters/answered")?,
        acknowledgements: number("/ok/status/counters/verdicts/zlb")?,
        untransmitted: untransmitted(&driver),
        lost: lost.join(", "),
    })
}

/// How many replies XDP_TX lost, by the counters of a driver. One that lets frames go without an
/// exception counts them for each queue.
fn untransmitted(driver: &[(&str, u64)]) -> u64 {
    let is_exception = |name: &str| name == "xdp_exception_tx";
    let is_of_queue = |name: &str| {
        name.ends_with("xdp_tx_drops") && name.contains(|digit: char| digit.is_ascii_digit())
    };
    let sum = |is_it: &dyn Fn(&str) -> bool| -> u64 {
        let counts = driver.iter().filter(|(name, _)| is_it(name));
        counts.map(|(_, count)| count).sum()
    };
    sum(&is_exception).max(sum(&is_of_queue))
}

/// Ends the responder in its way, and sees that nothing stays attached.
fn end(guest: &mut Guest, pid: &str, way: Way) -> Result<()> {
    let signal = if way.is_killed() { "KILL" } else { "TERM" };
    guest.read(&format!("kill -{signal} {pid}"))?;
    let status = guest.run(&format!("wait {pid}"))?.status;
    if way.is_killed() {
        // Its files are closed on its way out, some of them a little later.
        let detached = format!("! ip link show dev {INTERFACE} | grep xdp");
        guest.wait_for("nothing to be attached after kill -9", &detached)?;
        return Ok(());
    }
    ensure!(
        status == 0,
        "the responder ended with {status}: {}",
        guest.read("cat /tmp/errors")?
    );
    let shown = guest.read(&format!("ip link show dev {INTERFACE}"))?;
    ensure!(!shown.contains("xdp"), "something stays attached: {shown}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::untransmitted;

    #[test]
    fn what_was_not_transmitted_is_counted_once() {
        for (driver, count) in [
            (&[("rx0_xdp_drops", 9)][..], 0),
            (
                &[
                    ("tx0_xdp_tx_drops", 3),
                    ("tx1_xdp_tx_drops", 4),
                    ("tx_xdp_tx_drops", 7),
                ],
                7,
            ),
            (&[("tx_queue_0_xdp_tx_drops", 3)], 3),
            (&[("xdp_exception_tx", 5), ("tx0_xdp_tx_drops", 5)], 5),
            (&[("xdp_exception_tx", 8)], 8),
        ] {
            assert_eq!(untransmitted(driver), count, "{driver:?}");
        }
    }
}
