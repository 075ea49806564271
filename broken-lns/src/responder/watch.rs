//! What is looked at each second: the interface, the place of the program on it, the workers, and
//! whether frames get to either.

use std::io;
use std::thread::JoinHandle;

use super::delivery::Counts;
use super::{Responder, ResponderError};
use crate::interface::{AttachedProgram, Condition, mac_text};
use crate::program::KernelCounts;
use crate::queue::{RING_LEN_MAX, Socket};

/// Frames that an interface has to receive in a row unseen by the program before that is said.
const UNSEEN: u64 = 16;
/// How often in a row the program has to have seen none of them.
const UNSEEN_LOOKS: u32 = 3;

/// What is known from the last time.
#[derive(Debug)]
pub(super) struct Watch {
    /// What the interface was like.
    pub(super) condition: Condition,
    sight: Sight,
}

impl Watch {
    pub(super) fn new(condition: Condition) -> Self {
        Self {
            condition,
            sight: Sight::default(),
        }
    }
}

impl Responder {
    /// Looks whether everything is as it was. What changed is followed where it can be, and told,
    /// each in a sentence.
    ///
    /// # Errors
    ///
    /// [`ResponderError::Gone`], [`ResponderError::Detached`] and [`ResponderError::WorkerEnded`],
    /// where nothing is answered any more; and those of asking.
    pub fn check(&mut self) -> Result<Vec<String>, ResponderError> {
        let Some(now) = self.interface.condition()? else {
            return Err(ResponderError::Gone(self.interface.name.clone()));
        };
        self.check_workers()?;
        let mut said = Vec::new();
        said.extend(self.check_attached(&now)?);
        for change in changes(&self.watch.condition, &now) {
            said.push(self.follow(change, &now)?);
        }
        let counts = self.kernel_counts()?;
        if self.watch.sight.look(now.received, seen(&counts)) {
            said.push(
                "frames arrive, but the XDP program sees none of them, though the kernel says \
                 that it is attached: the driver does not run it any more; start again, or set \
                 the interface down and up"
                    .to_owned(),
            );
        }
        if self.look_at_delivery()? {
            said.push(format!(
                "{} requests that the XDP program handed to a worker did not arrive there, and \
                 are not answered: the kernel dropped them on the way; --path rewrite or \
                 --xdp-mode generic may help",
                self.delivery.undelivered()
            ));
        }
        self.watch.condition = now;
        Ok(said)
    }

    /// What keeps requests from being answered now, each in a sentence.
    pub fn troubles(&self) -> Vec<String> {
        let condition = &self.watch.condition;
        let troubles = [
            (!condition.up, "it is down"),
            (condition.up && !condition.carrier, "it has no carrier"),
            (
                self.watch.sight.is_blind(),
                "the XDP program sees none of the frames that arrive",
            ),
            (
                self.delivery.is_failing(),
                "requests do not arrive at the worker that they are handed to",
            ),
        ];
        let troubles = troubles.into_iter().filter(|(holds, _)| *holds);
        let mut troubles: Vec<_> = troubles.map(|(_, trouble)| trouble.to_owned()).collect();
        troubles.extend(self.ended.clone());
        troubles
    }

    fn check_workers(&mut self) -> Result<(), ResponderError> {
        let workers = &mut self.workers;
        let Some(ended) = workers.threads.iter().position(JoinHandle::is_finished) else {
            return Ok(());
        };
        let cause = match workers.threads.swap_remove(ended).join() {
            Ok(Ok(())) => io::Error::other("it was told to"),
            Ok(Err(error)) => error,
            Err(_) => io::Error::other("it panicked"),
        };
        Err(ResponderError::WorkerEnded {
            interface: self.interface.name.clone(),
            queue: workers.sockets.get(ended).map_or(0, Socket::queue),
            cause,
        })
    }

    /// Sees whether the program is the one that is attached, and attaches it again where that is
    /// wanted.
    fn check_attached(&mut self, now: &Condition) -> Result<Option<String>, ResponderError> {
        let place = (self.program.id(), self.attempt.mode);
        if now.programs.contains(&place) {
            return Ok(None);
        }
        let others = now.programs.iter().copied().map(AttachedProgram::of);
        let others: Vec<_> = others.collect();
        let detached = |interface: &str| ResponderError::Detached {
            interface: interface.to_owned(),
            by: others.first().cloned(),
        };
        let interface = &self.interface;
        if !self.keep_attached || !(others.is_empty() || self.replace) {
            return Err(detached(&interface.name));
        }
        for other in &others {
            interface.detach(other)?;
        }
        let attached = self.program.attach(interface, self.attempt.mode);
        attached.map_err(|cause| ResponderError::attach(interface, self.attempt.mode, cause))?;
        let found = match others.first() {
            Some(other) => format!("XDP {other} had taken the place of ours"),
            None => "the XDP program had been detached".to_owned(),
        };
        Ok(Some(format!("{found}, and ours is attached again")))
    }

    /// Goes with a change, and says what it means.
    fn follow(&mut self, change: Change, now: &Condition) -> Result<String, ResponderError> {
        let name = &now.name;
        Ok(match change {
            Change::Name => {
                self.driver.rename(name);
                format!("its name is {name} now")
            }
            Change::Mac(mac) => {
                let set = self.program.set_mac(mac);
                set.map_err(|error| self.uncounted(io::Error::other(error)))?;
                for player in &self.workers.players {
                    player.set_mac(mac);
                }
                let mac = mac_text(mac);
                match self.any_mac {
                    true => format!("its MAC address is {mac} now"),
                    false => format!("its MAC address is {mac} now, and that is answered for"),
                }
            }
            Change::Mtu(before) => {
                self.set_mtu(now.mtu)?;
                let too_long = self.scenarios.first().and_then(|compiled| {
                    let fits = compiled.check_mtu(&self.interface.name, now.mtu);
                    fits.err()
                });
                let changed = format!("its MTU is {} now, and was {before}", now.mtu);
                match too_long {
                    Some(error) => format!(
                        "{changed}; {error}: what is longer may be lost, and is counted as over-mtu"
                    ),
                    None => changed,
                }
            }
            Change::Down => format!("it is down now: ip link set {name} up"),
            Change::Up if now.carrier => "it is up again".to_owned(),
            Change::Up => "it is up again, and has no carrier".to_owned(),
            Change::CarrierLost => "it has no carrier any more".to_owned(),
            Change::CarrierFound => "it has a carrier now".to_owned(),
            Change::Queues(before) => {
                self.interface.rx_queues = now.rx_queues;
                let changed = format!("it has {} receive queues now, and had {before}", {
                    now.rx_queues
                });
                match self.left_queues(name, now.rx_queues) {
                    Some(left) => format!("{changed}; {left}"),
                    None => changed,
                }
            }
            Change::StripsVlanTags(true) => format!(
                "the NIC takes VLAN tags out of received frames now: ethtool -K {name} rxvlan off"
            ),
            Change::StripsVlanTags(false) => "the NIC leaves VLAN tags in frames now".to_owned(),
            Change::MergesFrames(true) => {
                format!("the NIC merges received frames now: ethtool -K {name} lro off")
            }
            Change::MergesFrames(false) => "the NIC merges no frames any more".to_owned(),
            Change::Controller(true) => {
                "it is a port of another interface now, which may take its frames".to_owned()
            }
            Change::Controller(false) => "it is a port of no other interface any more".to_owned(),
        })
    }

    /// Has what is longer than that counted from now on.
    pub(super) fn set_mtu(&mut self, mtu: u32) -> Result<(), ResponderError> {
        self.interface.mtu = mtu;
        let set = self.program.set_mtu(mtu);
        set.map_err(|error| self.uncounted(io::Error::other(error)))?;
        for player in &self.workers.players {
            player.set_mtu(mtu);
        }
        Ok(())
    }

    /// Which queues have no worker, where requests need one, and the way out.
    pub(super) fn left_queues(&self, name: &str, rx_queues: u32) -> Option<String> {
        let workers = self.workers.sockets.len() as u32;
        (workers > 0).then(|| left_queues(name, workers, rx_queues))?
    }

    fn look_at_delivery(&mut self) -> Result<bool, ResponderError> {
        let sockets = &self.workers.sockets;
        let idle = || sockets.iter().map(|socket| socket.tally().idle()).collect();
        let idle_before = idle();
        let arrived = self.arrived()?;
        let handed_over = self.kernel_counts()?.handed_over;
        let counts = Counts {
            idle: idle_before,
            arrived,
            handed_over,
            idle_after: idle(),
        };
        // As many in its ring and in its hands.
        Ok(self.delivery.look(counts, 2 * u64::from(RING_LEN_MAX)))
    }

    /// The frames that got to the sockets of the workers, those that were dropped there included.
    pub(super) fn arrived(&self) -> Result<u64, ResponderError> {
        let mut arrived = 0;
        for socket in &self.workers.sockets {
            let statistics = socket.statistics().map_err(|cause| self.uncounted(cause))?;
            arrived += statistics.rx_dropped + statistics.rx_ring_full;
            arrived += socket.tally().counts().iter().sum::<u64>();
        }
        Ok(arrived)
    }
}

/// All frames that the program has seen.
fn seen(counts: &KernelCounts) -> u64 {
    counts.verdicts.iter().sum::<u64>() + counts.handed_over
}

/// The queues beyond those with a worker.
fn left_queues(name: &str, workers: u32, rx_queues: u32) -> Option<String> {
    let left = match rx_queues.checked_sub(workers)? {
        0 => return None,
        1 => format!("queue {workers} has"),
        _ => format!("queues {workers} to {} have", rx_queues - 1),
    };
    Some(format!(
        "{left} no worker, and requests for one that come there go to the host: start without \
         --queues, or let the NIC use those with one only: ethtool -L {name} combined {workers}"
    ))
}

/// Something about an interface that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// Its name.
    Name,
    /// The MAC address, which is this now.
    Mac([u8; 6]),
    /// The MTU, which was this.
    Mtu(u32),
    Down,
    Up,
    CarrierLost,
    CarrierFound,
    /// The receive queues, of which there were so many.
    Queues(u32),
    /// Whether the NIC takes VLAN tags out of frames.
    StripsVlanTags(bool),
    /// Whether it makes one frame of several.
    MergesFrames(bool),
    /// Whether it is a port of another one, where that is not as it was.
    Controller(bool),
}

/// What is different now. A carrier says nothing of its own where the interface went down or up.
fn changes(before: &Condition, now: &Condition) -> Vec<Change> {
    let toggled = before.up != now.up;
    let changes = [
        (before.name != now.name).then_some(Change::Name),
        now.mac.filter(|_| before.mac != now.mac).map(Change::Mac),
        (before.mtu != now.mtu).then_some(Change::Mtu(before.mtu)),
        toggled.then_some(match now.up {
            true => Change::Up,
            false => Change::Down,
        }),
        (before.carrier != now.carrier && now.up && !(toggled && now.carrier)).then_some(match now
            .carrier
        {
            true => Change::CarrierFound,
            false => Change::CarrierLost,
        }),
        (before.rx_queues != now.rx_queues).then_some(Change::Queues(before.rx_queues)),
        (before.strips_vlan_tags != now.strips_vlan_tags)
            .then_some(Change::StripsVlanTags(now.strips_vlan_tags)),
        (before.merges_frames != now.merges_frames)
            .then_some(Change::MergesFrames(now.merges_frames)),
        (before.controller != now.controller)
            .then_some(Change::Controller(now.controller.is_some())),
    ];
    changes.into_iter().flatten().collect()
}

/// Whether the program sees the frames that arrive. A driver may have ceased to run it.
#[derive(Debug, Default)]
struct Sight {
    /// The frames received and those seen, at the last time; none before the first one.
    before: Option<(u64, u64)>,
    /// The frames that arrived since it saw one, and how often in a row.
    unseen: u64,
    looks: u32,
}

impl Sight {
    /// Compares with the last time, and returns whether the program came to be blind.
    ///
    /// The system may count a frame before or after the program sees it, so that a few say nothing.
    fn look(&mut self, received: u64, seen: u64) -> bool {
        let was_blind = self.is_blind();
        let (received_before, seen_before) = self
            .before
            .replace((received, seen))
            .unwrap_or((received, seen));
        let arrived = received.saturating_sub(received_before);
        if seen != seen_before {
            (self.unseen, self.looks) = (0, 0);
        } else if arrived > 0 {
            self.unseen += arrived;
            self.looks += 1;
        }
        self.is_blind() && !was_blind
    }

    fn is_blind(&self) -> bool {
        self.unseen >= UNSEEN && self.looks >= UNSEEN_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interface::AttachMode;

    fn condition() -> Condition {
        Condition {
            name: "eth1".to_owned(),
            mac: Some([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            up: true,
            carrier: true,
            rx_queues: 4,
            strips_vlan_tags: false,
            merges_frames: false,
            controller: None,
            programs: vec![(7, AttachMode::Native)],
            received: 100,
        }
    }

    #[test]
    fn every_change_is_seen_once() {
        let mac = [2, 0, 0, 0, 0, 2];
        type Alter = fn(&mut Condition);
        let cases: [(Alter, Vec<Change>); 12] = [
            (|_| {}, vec![]),
            (|now| now.received += 1, vec![]),
            (|now| now.name = "eth9".to_owned(), vec![Change::Name]),
            (
                |now| now.mac = Some([2, 0, 0, 0, 0, 2]),
                vec![Change::Mac(mac)],
            ),
            (|now| now.mtu = 600, vec![Change::Mtu(1500)]),
            (
                |now| (now.up, now.carrier) = (false, false),
                vec![Change::Down],
            ),
            (|now| now.carrier = false, vec![Change::CarrierLost]),
            (|now| now.rx_queues = 2, vec![Change::Queues(4)]),
            (
                |now| now.strips_vlan_tags = true,
                vec![Change::StripsVlanTags(true)],
            ),
            (
                |now| now.merges_frames = true,
                vec![Change::MergesFrames(true)],
            ),
            (
                |now| now.controller = Some(9),
                vec![Change::Controller(true)],
            ),
            (
                |now| (now.mtu, now.rx_queues) = (9000, 1),
                vec![Change::Mtu(1500), Change::Queues(4)],
            ),
        ];
        for (alter, expected) in cases {
            let mut now = condition();
            alter(&mut now);
            assert_eq!(changes(&condition(), &now), expected);
            assert_eq!(changes(&now, &now), []);
        }
    }

    #[test]
    fn coming_up_with_or_without_a_carrier_is_one_change() {
        let state = |up, carrier| Condition {
            up,
            carrier,
            ..condition()
        };
        for (before, now, expected) in [
            (state(false, false), state(true, true), vec![Change::Up]),
            (state(false, false), state(true, false), vec![Change::Up]),
            (
                state(true, false),
                state(true, true),
                vec![Change::CarrierFound],
            ),
        ] {
            assert_eq!(changes(&before, &now), expected);
        }
    }

    #[test]
    fn queues_without_a_worker_are_named() {
        assert_eq!(left_queues("eth1", 4, 4), None);
        assert_eq!(left_queues("eth1", 4, 2), None);
        for (workers, rx_queues, begin) in [
            (1, 2, "queue 1 has no worker"),
            (1, 4, "queues 1 to 3 have no worker"),
            (256, 300, "queues 256 to 299 have no worker"),
        ] {
            let left = left_queues("eth1", workers, rx_queues).expect("some are left");
            assert!(left.starts_with(begin), "{left}");
            let way_out = format!("ethtool -L eth1 combined {workers}");
            assert!(left.ends_with(&way_out), "{left}");
        }
    }

    #[test]
    fn a_program_that_sees_nothing_of_what_arrives_is_blind() {
        for (looks, expected) in [
            // Seen, or nothing to see.
            (vec![(0, 0), (10, 10), (20, 20), (30, 30)], false),
            (vec![(10, 10), (10, 10), (10, 10), (10, 10)], false),
            // Too few, and too seldom.
            (vec![(0, 5), (1, 5), (2, 5), (3, 5), (4, 5)], false),
            (vec![(0, 5), (100, 5), (200, 5)], false),
            (vec![(0, 5), (10, 5), (20, 5), (30, 5)], true),
            // It sees again.
            (vec![(0, 5), (10, 5), (20, 5), (30, 5), (40, 6)], false),
        ] {
            let mut sight = Sight::default();
            for (received, seen) in &looks {
                sight.look(*received, *seen);
            }
            assert_eq!(sight.is_blind(), expected, "{looks:?}");
        }
    }
}
