//! BNGs: one address, several groups of LNSs, many tunnels at once. Nothing untrue may be said of
//! them, and what can be known has to be.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use broken_lns_ebpf::event::Event;
use broken_lns_ebpf::verdict::Verdict;

use super::population::Numbers;
use super::wire::{MICROSECOND, MILLISECOND, SECOND, Talk, Way, lns_address};
use super::*;
use crate::scenario::Group;
use crate::track::findings::Reaction;

/// Until when new attempts begin, and when the test ends.
const LAST: u64 = 120 * SECOND;
const END: u64 = 1_200 * SECOND;
/// BNGs that live one after the other.
const BNGS: u32 = 24;
/// LNSs of a group.
const LNSS: u8 = 3;

/// Where a tunnel sends from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    /// Port 1701, all of them.
    Fixed,
    /// A port of its own each.
    OwnEach,
    /// Another one for every attempt.
    Random,
}

/// How a tunnel chooses its LNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// One after the other, beginning with the first one each time.
    Preference,
    /// Any, and then any other one, whereupon the subscriber gives up for good.
    Pool,
    /// The same again and again.
    Same,
}

/// What a BNG is like.
#[derive(Clone, Copy, Debug)]
struct Bng {
    groups: u8,
    /// Whether the scenario tells the groups.
    tells_groups: bool,
    /// Tunnels at once of each group.
    tunnels: u32,
    ports: Ports,
    choice: Choice,
    /// Whether every attempt assigns the same tunnel id; only from ports that differ.
    constant_id: bool,
    /// How long it takes to acknowledge.
    acknowledges_after: (u64, u64),
    /// The Tunnel ID of acknowledgements.
    acknowledged_id: u16,
    /// From the acknowledgement to the next attempt.
    turns_after: u64,
    /// From the last LNS to the first one again.
    pause: u64,
    /// Whether that is the same each time.
    is_regular: bool,
    way: Way,
}

/// What became of one attempt in truth.
#[derive(Clone, Copy, Debug)]
struct Truth {
    reaction: Reaction,
    next: Option<IpAddr>,
}

/// A tunnel that a subscriber wants.
#[derive(Clone, Copy, Debug)]
struct Tunnel {
    group: u8,
    /// The number of its attempt within the round, and the LNS of that.
    number: u8,
    lns: u8,
    port: u16,
    /// The attempt before.
    last: Option<(IpAddr, u16, u16, u64)>,
}

/// What is seen of a BNG, in the order of time, and the truth about each attempt.
struct Seen {
    events: Vec<Event>,
    truths: HashMap<(IpAddr, u16, u16, u64), Truth>,
}

impl Bng {
    /// A BNG of any kind.
    fn any(numbers: &mut Numbers) -> Self {
        let mut pick = |count: u64| numbers.below(count);
        let ports = [Ports::Fixed, Ports::OwnEach, Ports::Random][pick(3) as usize];
        let late = pick(2) == 0;
        Self {
            groups: 1 + pick(8) as u8,
            tells_groups: pick(2) == 0,
            tunnels: [1, 2, 5, 20, 60][pick(5) as usize],
            ports,
            choice: [Choice::Preference, Choice::Pool, Choice::Same][pick(3) as usize],
            constant_id: ports != Ports::Fixed && pick(2) == 0,
            acknowledges_after: match late {
                true => (100 * MILLISECOND, SECOND),
                false => (100 * MICROSECOND, MILLISECOND),
            },
            acknowledged_id: [12345, 0][pick(2) as usize],
            turns_after: [5 * MILLISECOND, 100 * MILLISECOND, SECOND][pick(3) as usize],
            pause: [2, 5, 10][pick(3) as usize] * SECOND,
            is_regular: false,
            way: [Way::Kernel, Way::Worker][pick(2) as usize],
        }
    }

    /// The groups as the scenario tells them.
    fn groups(&self) -> Groups {
        let groups = (0..self.groups).map(|group| Group {
            name: format!("group-{group}"),
            lns: (1..=LNSS).map(|lns| lns_of(group, lns).into()).collect(),
        });
        match self.tells_groups {
            true => Groups::new(groups.collect()).expect("they are disjoint"),
            false => Groups::default(),
        }
    }

    fn live(&self, numbers: &mut Numbers) -> Seen {
        let mut seen = Seen {
            events: Vec::new(),
            truths: HashMap::new(),
        };
        let (mut alarms, mut tunnels) = (BinaryHeap::new(), Vec::new());
        for group in 0..self.groups {
            for _ in 0..self.tunnels {
                alarms.push(Reverse((SECOND + numbers.below(self.pause), tunnels.len())));
                tunnels.push(Tunnel {
                    group,
                    number: 0,
                    lns: 1,
                    port: 10_000 + tunnels.len() as u16,
                    last: None,
                });
            }
        }
        let (mut id, mut port) = (0, 12_000);
        while let Some(Reverse((time, at))) = alarms.pop() {
            if time >= LAST {
                continue;
            }
            let mut tunnel = tunnels[at];
            self.choose(&mut tunnel, &mut port, numbers);
            id = match self.constant_id {
                true => 64_773,
                false => id % 65_000 + 1,
            };
            let ended = self.attempt(&mut seen, &mut tunnel, time, id, numbers);
            tunnel.number += 1;
            let rounds = match self.choice {
                Choice::Preference => LNSS,
                Choice::Pool => 2,
                Choice::Same => 1,
            };
            let next = match tunnel.number < rounds {
                true => ended + self.turns_after + numbers.below(MILLISECOND),
                false => {
                    tunnel.number = 0;
                    let jitter = numbers.below(self.pause);
                    ended
                        + if self.is_regular {
                            self.pause
                        } else {
                            self.pause / 2 + jitter
                        }
                }
            };
            if self.choice == Choice::Pool && tunnel.number == 0 && self.tunnels > 1 {
                // The next one is another subscriber, with a socket of its own.
                tunnel.last = None;
                tunnel.port = self.new_port(&mut port);
            }
            tunnels[at] = tunnel;
            alarms.push(Reverse((next, at)));
        }
        seen.events.sort_by_key(|event| event.time);
        seen
    }

    fn new_port(&self, last: &mut u16) -> u16 {
        *last = if *last < 60_000 { *last + 1 } else { 12_000 };
        *last
    }

    fn choose(&self, tunnel: &mut Tunnel, port: &mut u16, numbers: &mut Numbers) {
        tunnel.lns = match (self.choice, tunnel.number) {
            (Choice::Preference, number) => number + 1,
            (Choice::Same, _) => 1,
            (Choice::Pool, 0) => 1 + numbers.below(LNSS.into()) as u8,
            (Choice::Pool, _) => 1 + (tunnel.lns + numbers.below(2) as u8) % LNSS,
        };
        tunnel.port = match self.ports {
            Ports::Fixed => 1701,
            Ports::OwnEach => tunnel.port,
            Ports::Random => self.new_port(port),
        };
    }

    /// Makes an attempt; returns when it is over.
    fn attempt(
        &self,
        seen: &mut Seen,
        tunnel: &mut Tunnel,
        time: u64,
        id: u16,
        numbers: &mut Numbers,
    ) -> u64 {
        let lns = lns_of(tunnel.group, tunnel.lns);
        let talk = Talk {
            lac: 1,
            lns: number_of(tunnel.group, tunnel.lns),
            rule: 1,
            way: self.way,
            port: tunnel.port,
        };
        let answered = talk.request(&mut seen.events, time, id, Verdict::Answered);
        let (least, most) = self.acknowledges_after;
        let ended = answered + least + numbers.below(most - least);
        talk.zlb_for(&mut seen.events, ended, 1, self.acknowledged_id);
        if let Some(last) = tunnel.last
            && let Some(truth) = seen.truths.get_mut(&last)
        {
            truth.next = Some(lns);
            truth.reaction = match last.0 == lns {
                true => Reaction::RetrySame,
                false => Reaction::Failover,
            };
        }
        let key = (lns, tunnel.port, id, time);
        tunnel.last = Some(key);
        let quiet = Truth {
            reaction: Reaction::GiveUp,
            next: None,
        };
        seen.truths.insert(key, quiet);
        ended
    }
}

fn number_of(group: u8, lns: u8) -> u8 {
    group * LNSS + lns
}

fn lns_of(group: u8, lns: u8) -> IpAddr {
    lns_address(number_of(group, lns))
}

/// How much was said of a BNG.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    attempts: u64,
    untrue: u64,
    unknown: u64,
}

fn say(bng: &Bng, numbers: &mut Numbers) -> Said {
    let seen = bng.live(numbers);
    let mut tracker = Tracker::new(Settings::default());
    tracker.enter(0, rules(), bng.groups());
    let mut news = Vec::new();
    for event in &seen.events {
        tracker.observe(event, &[]);
        tracker.advance(event.time);
        news.extend(tracker.take_news());
    }
    tracker.finish(END, |told| news.push(told));
    let mut said = Said::default();
    for outcome in settled(news) {
        let key = (
            outcome.fault.lns,
            outcome.port,
            outcome.tunnel_id,
            outcome.began,
        );
        let truth = seen.truths[&key];
        said.attempts += 1;
        match outcome.conclusion {
            Conclusion::Unknown(_) => said.unknown += 1,
            Conclusion::Reaction(reaction) => {
                let next = outcome.next.map(|next| next.lns);
                let is_true = reaction == truth.reaction && next == truth.next;
                said.untrue += u64::from(!is_true);
            }
        }
    }
    assert_eq!(said.attempts, seen.truths.len() as u64, "{bng:?}");
    said
}

#[test]
fn nothing_untrue_is_said_of_any_bng() {
    let mut numbers = Numbers(0x2661);
    let (mut attempts, mut unknown) = (0, 0);
    for _ in 0..BNGS {
        let bng = Bng::any(&mut numbers);
        let said = say(&bng, &mut numbers);
        assert_eq!(said.untrue, 0, "{said:?} {bng:?}");
        attempts += said.attempts;
        unknown += said.unknown;
    }
    println!("{unknown} of {attempts} attempts are unknown");
    assert!(unknown < attempts);
}

#[test]
fn all_is_known_of_one_tunnel_at_a_time_in_each_group() {
    let mut numbers = Numbers(0x2662);
    let (mut attempts, mut unknown) = (0, 0);
    for number in 0..BNGS {
        let bng = Bng {
            tells_groups: true,
            tunnels: 1,
            is_regular: true,
            choice: match number % 2 {
                0 => Choice::Preference,
                _ => Choice::Same,
            },
            ..Bng::any(&mut numbers)
        };
        let said = say(&bng, &mut numbers);
        assert_eq!(said.untrue, 0, "{said:?} {bng:?}");
        attempts += said.attempts;
        unknown += said.unknown;
    }
    assert_eq!((unknown, attempts > 1_000), (0, true));
}

#[test]
fn tunnels_that_keep_a_port_of_their_own_are_followed_by_it() {
    let mut numbers = Numbers(0x2663);
    let bng = Bng {
        groups: 1,
        tunnels: 20,
        ports: Ports::OwnEach,
        choice: Choice::Preference,
        ..Bng::any(&mut numbers)
    };
    let said = say(&bng, &mut numbers);
    assert_eq!(said.untrue, 0, "{said:?} {bng:?}");
    assert!(said.unknown * 2 < said.attempts, "{said:?} {bng:?}");
}
