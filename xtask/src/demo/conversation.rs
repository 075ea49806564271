//! What LAC and responder say to each other, as the router hears it, with what the LAC says of it
//! in its own log.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use anyhow::Result;

use super::{
    dialler::{Dialler, Said},
    say, words,
};
use crate::lab::{ControlMessage, Datagram, Event, Lab, RawFrame, RawPort, message_type};

/// By how much the LAC's log is shown late, so that what it says of a message always follows it:
/// the two clocks differ by less, and attempts are further apart.
const LAG: Duration = Duration::from_millis(50);

/// Listens on the router's interface to the LAC, where answers pass that really were forwarded.
pub(super) struct Conversation {
    port: RawPort,
    lac: IpAddr,
}

/// A control message on its way.
struct Heard {
    at: SystemTime,
    /// The virtual LNS that it is for, or comes from.
    lns: IpAddr,
    from_lac: bool,
    message: ControlMessage,
}

impl Conversation {
    /// Listens from now on.
    pub(super) fn listen(lab: &Lab) -> Result<Self> {
        Ok(Self {
            port: lab.lac_port()?,
            lac: lab.lac_address().into(),
        })
    }

    /// Prints what was said since the last time, and what came of it in the `watched` time.
    pub(super) fn tell(&self, dialler: &mut Dialler, watched: Duration) -> Result<()> {
        let heard = self.heard()?;
        let said = dialler.said();
        let Some(start) = heard.first().map(|first| first.at) else {
            return say(format_args!("   Nobody said anything."));
        };

        let mut lines: Vec<(SystemTime, String)> = Vec::new();
        for Heard {
            at,
            lns,
            from_lac,
            message,
        } in &heard
        {
            let time = since(start, *at).as_secs_f64();
            let arrow = if *from_lac { "-->" } else { "<--" };
            let (kind, content) = (words::kind(message), words::content(message));
            let line = format!("{time:7.3} s  LAC {arrow} {lns:<12} {kind:<8} {content}");
            lines.push((*at, line));
        }
        for Said { at, words, .. } in &said {
            lines.push((*at + LAG, format!("{:11}\"{words}\"", "")));
        }
        lines.sort_by_key(|(at, _)| *at);
        for (_, line) in lines {
            say(format_args!("   {line}"))?;
        }
        say(format_args!("   => {}", outcome(&heard, &said, watched)))
    }

    fn heard(&self) -> Result<Vec<Heard>> {
        let mut all = Vec::new();
        while let Some(one) = self
            .port
            .receive_if(Duration::ZERO, |frame| self.hear(frame))?
        {
            all.push(one);
        }
        Ok(all)
    }

    /// Makes sense of a frame, if it is L2TP of our LAC.
    fn hear(&self, frame: RawFrame) -> Option<Heard> {
        let datagram = Datagram::parse(&frame.bytes).ok()?;
        let (source, destination) = (datagram.source.ip(), datagram.destination.ip());
        let from_lac = source == self.lac;
        if !from_lac && destination != self.lac {
            return None;
        }
        Some(Heard {
            at: frame.at,
            lns: if from_lac { destination } else { source },
            from_lac,
            message: ControlMessage::parse(&datagram.payload).ok()?,
        })
    }
}

/// What came of it, in a line.
fn outcome(heard: &[Heard], said: &[Said], watched: Duration) -> String {
    let is = |one: &Heard, kind| one.message.message_type() == Some(kind);
    let Some(answer) = heard.iter().position(|one| is(one, message_type::STOPCCN)) else {
        return "Nobody answered.".to_owned();
    };
    let (asked, then) = heard.split_at(answer);
    let mut words = String::new();
    if let Some(request) = asked.last() {
        let delay = since(request.at, heard[answer].at).as_micros();
        words += &format!("Answered after {delay} us. ");
    }

    let is_ack = |one: &Heard| one.from_lac && one.message.message_type().is_none();
    words += match then.iter().any(is_ack) {
        true => "The LAC acknowledged it",
        false => "The LAC did not acknowledge it",
    };
    let ignored = |one: &Said| matches!(one.event, Event::NoResultCode | Event::NoTunnelId);
    let ignored = said.iter().any(ignored);
    if ignored {
        words += ", then ignored it";
    } else if said
        .iter()
        .any(|one| matches!(one.event, Event::Closed { .. }))
    {
        words += " and closed the connection";
    }
    match then.iter().find(|one| is(one, message_type::SCCRQ)) {
        Some(again) => {
            let delay = since(heard[answer].at, again.at).as_secs_f64();
            let repeated = asked.iter().any(|one| one.message == again.message);
            let how = if repeated {
                "repeated its request"
            } else {
                "dialled again"
            };
            words += &format!("; it {how} after {delay:.1} s.");
        }
        None if ignored => {
            let watched = watched.as_secs();
            words +=
                &format!(": in the {watched} s since then it neither gave up nor asked again.");
        }
        None => words += ".",
    }
    words
}

/// The time from `start` to `end`, none where the clock was set back in between.
fn since(start: SystemTime, end: SystemTime) -> Duration {
    end.duration_since(start).unwrap_or_default()
}
