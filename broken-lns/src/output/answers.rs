//! A line for every answered SCCRQ, and for what has no answer because of its Length or of what it
//! is encapsulated in, as long as a person can read along.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use broken_lns_ebpf::{
    answer::Answer,
    unanswered::Unanswered,
    wire::{ethernet, l2tp},
};

use super::thousands;
use crate::follow::Names;

/// Turns answers, or what has none, into lines, and counts those it leaves out.
#[derive(Clone, Debug, Default)]
pub struct AnswerLog {
    /// The second that the last line was shown in.
    second: u64,
    /// The lines shown in that second.
    shown_in_second: u32,
    /// The lines shown ever.
    shown: u64,
    /// Those reported as left out.
    left_out: u64,
}

impl AnswerLog {
    /// The lines that a second may have.
    pub const LINES_PER_SECOND: u32 = 100;

    /// The line about an answer, or none if this second has enough of them.
    ///
    /// `at` is the time since the start; `names` are the Host Names of LACs that are known.
    pub fn line(
        &mut self,
        at: Duration,
        interface: &str,
        answer: &Answer,
        names: Option<&Names>,
    ) -> Option<String> {
        if !self.has_room(at) {
            return None;
        }
        let lac = SocketAddr::new(address(answer.lac, answer.ip_version), answer.lac_port);
        let lns = address(answer.lns, answer.ip_version);
        let name = names.and_then(|names| names.of(lac.ip()));
        let name = name.map_or(String::new(), |name| format!(" \"{name}\""));
        Some(format!(
            "{:9.3} s  {interface}  SCCRQ from {lac}{name} to {lns}, tunnel id {}, Ns {}: answered",
            at.as_secs_f64(),
            answer.tunnel_id,
            answer.ns,
        ))
    }

    /// The line about a control message with a wrong Length, or within another layer, likewise.
    pub fn unanswered(
        &mut self,
        at: Duration,
        interface: &str,
        unanswered: &Unanswered,
    ) -> Option<String> {
        if !self.has_room(at) {
            return None;
        }
        let Unanswered {
            ip_version, length, ..
        } = *unanswered;
        let lac = SocketAddr::new(address(unanswered.lac, ip_version), unanswered.lac_port);
        let lns = address(unanswered.lns, ip_version);
        if unanswered.within != 0 {
            let layer = layer(unanswered.within);
            return Some(format!(
                "{:9.3} s  {interface}  control message from {lac} to {lns} {layer}: \
                 left to the host",
                at.as_secs_f64(),
            ));
        }
        let what = match usize::from(length) < l2tp::HEADER_LEN {
            true => format!("its header alone has {} octets", l2tp::HEADER_LEN),
            false => format!("the datagram holds {} octets", unanswered.held),
        };
        Some(format!(
            "{:9.3} s  {interface}  control message from {lac} to {lns}, Length {length}, \
             but {what}: not answered",
            at.as_secs_f64(),
        ))
    }

    /// Whether that second has room for one more line, which is shown then.
    fn has_room(&mut self, at: Duration) -> bool {
        if at.as_secs() != self.second {
            self.second = at.as_secs();
            self.shown_in_second = 0;
        }
        let has_room = self.shown_in_second < Self::LINES_PER_SECOND;
        if has_room {
            self.shown_in_second += 1;
            self.shown += 1;
        }
        has_room
    }

    /// The line that says how many had none since it was asked last.
    ///
    /// They are told from the count of all so far, so that those which
    /// never came here, because they came too fast, are in it.
    pub fn left_out(&mut self, counted: u64) -> Option<String> {
        let more = counted.saturating_sub(self.shown + self.left_out);
        if more == 0 {
            return None;
        }
        self.left_out += more;
        Some(format!("{:11}  {} more not shown", "", thousands(more)))
    }
}

/// Where a message is that is encapsulated in the layer with that EtherType.
fn layer(ethertype: u64) -> String {
    match u16::try_from(ethertype) {
        Ok(ethernet::PPPOE_SESSION) => "within PPPoE".to_owned(),
        Ok(ethernet::MPLS | ethernet::MPLS_MULTICAST) => "within MPLS".to_owned(),
        Ok(tag) if ethernet::is_tag(tag) => "behind more than two VLAN tags".to_owned(),
        _ => format!("behind a tag of unknown EtherType {ethertype:#06x}"),
    }
}

/// An address as the data path keeps it: in memory order, an IPv4 address in the first word.
fn address(words: [u64; 2], ip_version: u16) -> IpAddr {
    let mut octets = [0; 16];
    for (octets, word) in octets.chunks_exact_mut(8).zip(words) {
        octets.copy_from_slice(&word.to_ne_bytes());
    }
    match ip_version {
        4 => IpAddr::V4(Ipv4Addr::from((words[0] as u32).to_ne_bytes())),
        _ => IpAddr::V6(Ipv6Addr::from(octets)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_ipv4() -> Answer {
        let word = |octets| u64::from(u32::from_ne_bytes(octets));
        Answer {
            lac: [word([192, 0, 2, 1]), 0],
            lns: [word([198, 51, 100, 7]), 0],
            ip_version: 4,
            lac_port: 1701,
            tunnel_id: 4242,
            ns: 0,
        }
    }

    fn over_ipv6() -> Answer {
        let words = |address: &str| {
            let octets = address.parse::<Ipv6Addr>().expect("valid").octets();
            let (front, back) = octets.split_at(8);
            [front, back].map(|half| u64::from_ne_bytes(half.try_into().expect("8 octets")))
        };
        Answer {
            lac: words("2001:db8::1"),
            lns: words("2001:db8:1::7"),
            ip_version: 6,
            ..over_ipv4()
        }
    }

    #[test]
    fn a_line_says_who_asked_whom() {
        let mut log = AnswerLog::default();
        let at = Duration::from_millis(1234);
        assert_eq!(
            log.line(at, "eth1", &over_ipv4(), None).as_deref(),
            Some(
                "    1.234 s  eth1  SCCRQ from 192.0.2.1:1701 to 198.51.100.7, \
                 tunnel id 4242, Ns 0: answered"
            )
        );
        assert_eq!(
            log.line(at, "eth1", &over_ipv6(), None).as_deref(),
            Some(
                "    1.234 s  eth1  SCCRQ from [2001:db8::1]:1701 to 2001:db8:1::7, \
                 tunnel id 4242, Ns 0: answered"
            )
        );
    }

    #[test]
    fn a_line_says_what_is_wrong_with_a_length() {
        let Answer {
            lac,
            lns,
            ip_version,
            lac_port,
            ..
        } = over_ipv4();
        let mut log = AnswerLog::default();
        for (length, says) in [
            (101, "Length 101, but the datagram holds 100 octets"),
            (11, "Length 11, but its header alone has 12 octets"),
        ] {
            let unanswered = Unanswered {
                lac,
                lns,
                ip_version,
                lac_port,
                length,
                held: 100,
                within: 0,
            };
            assert_eq!(
                log.unanswered(Duration::ZERO, "eth1", &unanswered),
                Some(format!(
                    "    0.000 s  eth1  control message from 192.0.2.1:1701 to 198.51.100.7, \
                     {says}: not answered"
                ))
            );
        }
        assert_eq!(log.left_out(2), None);
    }

    #[test]
    fn a_line_says_what_a_message_is_encapsulated_in() {
        let Answer {
            lac,
            lns,
            ip_version,
            lac_port,
            ..
        } = over_ipv6();
        let mut log = AnswerLog::default();
        for (within, says) in [
            (0x8864, "within PPPoE"),
            (0x8847, "within MPLS"),
            (0x8848, "within MPLS"),
            (0x88a8, "behind more than two VLAN tags"),
            (0x9300, "behind a tag of unknown EtherType 0x9300"),
        ] {
            let unanswered = Unanswered {
                lac,
                lns,
                ip_version,
                lac_port,
                length: 12,
                held: 12,
                within,
            };
            assert_eq!(
                log.unanswered(Duration::ZERO, "eth1", &unanswered),
                Some(format!(
                    "    0.000 s  eth1  control message from [2001:db8::1]:1701 to \
                     2001:db8:1::7 {says}: left to the host"
                ))
            );
        }
    }

    #[test]
    fn a_second_has_a_hundred_lines_and_a_count_of_the_rest() {
        let mut log = AnswerLog::default();
        let mut lines_at = |milliseconds, answers| {
            let at = Duration::from_millis(milliseconds);
            let lines = (0..answers).filter_map(|_| log.line(at, "eth1", &over_ipv4(), None));
            lines.count()
        };
        assert_eq!(lines_at(0, 60), 60);
        assert_eq!(lines_at(999, 60), 40);
        assert_eq!(lines_at(1000, 60), 60);
        assert_eq!(
            log.left_out(1_180).as_deref(),
            Some("             1,020 more not shown")
        );
        assert_eq!(log.left_out(1_180), None);
        assert_eq!(
            log.left_out(1_181).as_deref(),
            Some("             1 more not shown")
        );
    }

    #[test]
    fn nothing_is_left_out_while_every_answer_has_its_line() {
        let mut log = AnswerLog::default();
        assert!(
            log.line(Duration::ZERO, "eth1", &over_ipv4(), None)
                .is_some()
        );
        assert_eq!(log.left_out(1), None);
    }
}
