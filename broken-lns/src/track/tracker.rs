//! From events to findings.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU32;

use broken_lns_ebpf::event::{Event, Kind};
use broken_lns_ebpf::sample::Sample;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::ipv6::Address;
use broken_lns_ebpf::wire::l2tp;

use super::attempt::Request;
use super::fault::{FaultId, Rule};
use super::findings::{
    Doubt, Durations, FaultKey, Findings, LacFindings, LacName, News, Selection, Selections,
};
use super::lac::{Lac, Message};
use super::ledger::Ledger;
use super::message;
use crate::lac_identity::{self, Identity};
use crate::lru::Lru;
use crate::scenario::Groups;

/// How a [`Tracker`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Octets that may be in use.
    pub memory: usize,
    /// Which LACs are followed.
    pub sample: Sample,
    /// Nanoseconds of quiet after which a LAC has given up. It has to be more than any LAC
    /// locks an LNS out, or a LAC that waits is taken for one that gave up, until it comes back.
    pub patience: u64,
    /// Nanoseconds by which a busy machine, or the network, delays what a LAC does. Times that
    /// differ by less are the same.
    pub jitter: u64,
}

impl Settings {
    /// Octets that may be in use where nobody says otherwise.
    pub const MEMORY: usize = 256 << 20;
    /// The jitter where time runs as fast as it does.
    pub const JITTER: u64 = 200_000_000;
    /// The least that makes sense: with less, hardly any LAC can be followed.
    pub const LEAST_MEMORY: usize = 32 << 20;

    /// Octets that events may take beside that, as long as their turn has not come.
    pub const fn waiting_memory(&self) -> usize {
        self.memory / 4
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            memory: Self::MEMORY,
            sample: Sample::ALL,
            patience: 600_000_000_000,
            jitter: Self::JITTER,
        }
    }
}

/// Octets of a LAC beside its heap: its place in the slab, in the table with its index, and
/// two alarms, each in a heap that may be half empty.
const LAC_BYTES: usize = size_of::<Lac>() + 32 + 16 + 32 + 4 * size_of::<Alarm>();
/// Octets of a LAC that made one attempt, at the least.
const LEAST_LAC_BYTES: usize = LAC_BYTES + 256;

/// When a LAC in the slab is to be looked at.
type Alarm = Reverse<(u64, u32)>;

/// Follows what LACs do, in bounded memory. It knows no clock: the time is an argument, in
/// nanoseconds of the monotonic clock that the events have.
#[derive(Debug)]
pub struct Tracker {
    settings: Settings,
    table: Lru<IpAddr, u32>,
    lacs: Vec<Option<Lac>>,
    free: Vec<u32>,
    alarms: BinaryHeap<Alarm>,
    ledger: Ledger,
    /// Octets of all LACs.
    lac_bytes: usize,
    /// The time up to which everything was looked at.
    seen: u64,
    span: Option<(u64, u64)>,
}

impl Tracker {
    /// A tracker that has seen nothing.
    pub fn new(settings: Settings) -> Self {
        let lacs = (settings.memory / LEAST_LAC_BYTES).clamp(1, 1 << 24) as u32;
        let lacs = NonZeroU32::new(lacs).unwrap_or(NonZeroU32::MIN);
        Self {
            table: Lru::new(lacs),
            // The system provides the memory as it is used.
            lacs: Vec::with_capacity(lacs.get() as usize),
            free: Vec::new(),
            alarms: BinaryHeap::new(),
            ledger: Ledger::new(settings.patience, settings.jitter),
            lac_bytes: 0,
            seen: 0,
            span: None,
            settings,
        }
    }

    /// A scenario came into force, with its rules in order, the default one first, and its groups.
    pub fn enter(&mut self, scenario: u32, rules: Vec<Rule>, groups: Groups) {
        self.ledger.enter(scenario, rules, groups);
    }

    /// Whether a LAC is followed. The address is in memory order, as in an event.
    pub fn tracks(&self, lac: Address) -> bool {
        self.settings.sample.has(lac)
    }

    /// Looks at an event, and at the beginning of the message where it came with one.
    ///
    /// Events come in the order of what caused what. A loss that was noticed before must be told
    /// before.
    pub fn observe(&mut self, event: &Event, message: &[u8]) {
        if !self.tracks(event.lac) {
            return;
        }
        self.ledger.totals.events += 1;
        self.ring(event.time);
        self.span = match self.span {
            None => Some((event.time, event.time)),
            Some((first, last)) => Some((first.min(event.time), last.max(event.time))),
        };
        let fits = match event.kind() {
            Some(Kind::Heard) if event.message_type == l2tp::SCCRQ => self.request(event, message),
            Some(Kind::Heard) => self.message(event, message),
            // What a worker did about a message of another type adds nothing to it.
            Some(Kind::Decided) if event.message_type != l2tp::SCCRQ => true,
            Some(Kind::Decided | Kind::Sent) => self.request(event, &[]),
            None => false,
        };
        self.ledger.totals.events_unmatched += u64::from(!fits);
        self.ledger
            .remember(self.memory() < self.settings.memory / 2);
        while self.memory() > self.settings.memory && self.table.len() > 1 {
            self.close_oldest();
        }
    }

    /// Events were lost, at `now` or before.
    pub fn lost(&mut self, count: u64, now: u64) {
        if count > 0 {
            self.ledger.totals.events_lost += count;
            self.ledger.lost_until = self.ledger.lost_until.max(Some(now));
        }
    }

    /// The next event comes at `now`, though others may still come that belong before it. What
    /// they would tell is not known meanwhile, as if they were lost.
    pub fn forced(&mut self, now: u64) {
        self.ledger.totals.events_forced += 1;
        self.ledger.lost_until = self.ledger.lost_until.max(Some(now));
    }

    /// Every event of a time before `now` was looked at. It has to be called now and then.
    pub fn advance(&mut self, now: u64) {
        self.ring(now);
    }

    /// Concludes what can be concluded. What is open stays unknown.
    ///
    /// Far more attempts may come to their end here than there is room for until they are asked
    /// for, so that each is told at once, and those that waited to be asked for before them.
    pub fn finish(&mut self, now: u64, mut hear: impl FnMut(News)) {
        self.ring(now);
        self.ledger.take_news().into_iter().for_each(&mut hear);
        for lac in self.lacs.iter_mut().flatten() {
            lac.close(Doubt::StillOpen, now, &mut self.ledger);
            lac.alarm = None;
            self.ledger.take_news().into_iter().for_each(&mut hear);
        }
        self.alarms.clear();
    }

    /// What became known of attempts since this was last asked. Of each attempt that is over
    /// one conclusion more is told than is withdrawn.
    pub fn take_news(&mut self) -> Vec<News> {
        self.ledger.take_news()
    }

    /// What is known so far.
    pub fn findings(&self) -> Findings {
        let mut totals = self.ledger.totals;
        totals.lacs_open = self.table.len() as u64;
        totals.memory = self.memory() as u64;
        totals.memory_limit = self.settings.memory as u64;
        let mut selections = Selections::default();
        for lac in self.lacs.iter().flatten() {
            *match lac.selection() {
                Selection::Unknown => &mut selections.unknown,
                Selection::Single => &mut selections.single,
                Selection::Preference => &mut selections.preference,
                Selection::RoundRobin => &mut selections.round_robin,
            } += 1;
        }
        Findings {
            span: self.span,
            totals,
            faults: self.ledger.faults.findings(),
            attempts_over_time: self.ledger.over_time.clone(),
            selections,
        }
    }

    /// How long LACs took, over all faults.
    pub fn durations(&self) -> Durations {
        self.ledger.durations.clone()
    }

    /// What is known of one LAC.
    #[cfg(test)]
    pub fn lac(&self, lac: IpAddr) -> Option<LacFindings> {
        let mut lacs = self.lacs.iter().flatten();
        let lac = lacs.find(|known| known.address == lac)?;
        Some(lac.findings(&self.ledger))
    }

    /// What is known of each LAC that is followed now, in no order.
    #[cfg(test)]
    pub fn lacs(&self) -> impl Iterator<Item = LacFindings> + '_ {
        let lacs = self.lacs.iter().flatten();
        lacs.map(|lac| lac.findings(&self.ledger))
    }

    /// The LACs with the most messages, the noisiest one first.
    pub fn noisiest(&self, count: usize) -> Vec<LacFindings> {
        self.greatest(count, Lac::messages)
    }

    /// The LACs that took the longest for their next attempt, the slowest one first.
    pub fn slowest(&self, count: usize) -> Vec<LacFindings> {
        let mut slowest = self.greatest(count, |lac| lac.slowest().unwrap_or(0));
        slowest.retain(|lac| lac.slowest.is_some());
        slowest
    }

    fn greatest(&self, count: usize, of: impl Fn(&Lac) -> u64) -> Vec<LacFindings> {
        let mut least_first = BinaryHeap::new();
        for (at, lac) in self.lacs.iter().enumerate() {
            if let Some(lac) = lac {
                least_first.push(Reverse((of(lac), Reverse(at))));
                if least_first.len() > count {
                    least_first.pop();
                }
            }
        }
        let places = least_first.into_sorted_vec().into_iter();
        places
            .filter_map(|Reverse((_, Reverse(at)))| self.lacs.get(at)?.as_ref())
            .map(|lac| lac.findings(&self.ledger))
            .collect()
    }

    /// Octets in use.
    fn memory(&self) -> usize {
        self.lac_bytes + self.ledger.faults.bytes() + Ledger::BYTES
    }

    /// An SCCRQ came, or something was done about one. Whether it fits.
    fn request(&mut self, event: &Event, message: &[u8]) -> bool {
        if event.assigned_tunnel_id == 0 {
            // No LAC has such a tunnel: the message is malformed, which its verdict counts, and
            // there is no attempt that it might belong to.
            return event.kind() == Some(Kind::Heard);
        }
        let lac = address(event.lac, event.ip_version);
        let kind = event.kind();
        let slot = match self.table.get(&lac) {
            Some(slot) => slot,
            None if kind == Some(Kind::Sent) => return false,
            None => self.open(lac, event.time),
        };
        let Some(fault) = self.fault(event) else {
            self.ledger.totals.faults_left_out += 1;
            self.change(slot, |lac, _| lac.leave_out(event.time));
            return true;
        };
        let identity = (!message.is_empty()).then(|| lac_identity::read(message));
        let request = request(event, fault, identity.as_ref());
        if let Some(identity) = &identity {
            let name = LacName::of(identity);
            self.change(slot, |lac, _| lac.set_name(name));
        }
        self.change(slot, |lac, ledger| match (kind, event.verdict()) {
            (Some(Kind::Sent), _) => lac.sent(&request, ledger),
            (Some(Kind::Decided), Some(verdict)) => {
                lac.decided(&request, verdict, ledger);
                true
            }
            (_, verdict) => {
                lac.request(&request, verdict, ledger);
                true
            }
        })
        .unwrap_or(false)
    }

    /// A message of another type came. Whether it fits.
    fn message(&mut self, event: &Event, message: &[u8]) -> bool {
        let is_whole = matches!(
            event.verdict(),
            None | Some(
                Verdict::Zlb
                    | Verdict::StopCcn
                    | Verdict::Sccrp
                    | Verdict::OtherMessage
                    | Verdict::Passed
            )
        );
        let lac = address(event.lac, event.ip_version);
        let (true, Some(slot)) = (is_whole, self.table.get(&lac)) else {
            return false;
        };
        let said = (!is_zlb(event)).then(|| message::read(event.message_type, message));
        let (said, assigned_tunnel_id) = match said {
            Some(said) => (Some(said.message), said.assigned_tunnel_id),
            None => (None, None),
        };
        let message = Message {
            time: event.time,
            lns: address(event.lns, event.ip_version),
            lns_port: event.lns_port,
            port: event.lac_port,
            tunnel_id: event.tunnel_id,
            ns: event.ns,
            nr: event.nr,
            said,
            assigned_tunnel_id,
        };
        self.change(slot, |lac, ledger| lac.message(message, ledger))
            .unwrap_or(false)
    }

    /// The fault that an event is about; `None` where it found no room.
    fn fault(&mut self, event: &Event) -> Option<FaultId> {
        let key = FaultKey {
            scenario: event.scenario,
            rule: event.rule,
            lns: address(event.lns, event.ip_version),
        };
        // LACs get the greater part.
        self.ledger.meet(key, self.settings.memory / 4)
    }

    /// Begins to follow a LAC.
    fn open(&mut self, address: IpAddr, time: u64) -> u32 {
        if self.table.len() >= self.table.capacity() {
            self.close_oldest();
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                // The table has 24 bits, and so has every slot.
                let slot = self.lacs.len() as u32;
                self.lacs.push(None);
                slot
            }
        };
        let lac = Lac::new(address, time);
        self.lac_bytes += LAC_BYTES + lac.heap_bytes();
        if let Some(place) = self.lacs.get_mut(slot as usize) {
            *place = Some(lac);
        }
        self.table.put(address, slot);
        self.ledger.totals.lacs += 1;
        slot
    }

    /// Changes a LAC; keeps count of its memory and of when to look at it again.
    fn change<T>(
        &mut self,
        slot: u32,
        change: impl FnOnce(&mut Lac, &mut Ledger) -> T,
    ) -> Option<T> {
        let lac = self.lacs.get_mut(slot as usize)?.as_mut()?;
        let before = lac.heap_bytes();
        let result = change(lac, &mut self.ledger);
        self.lac_bytes = (self.lac_bytes + lac.heap_bytes()).saturating_sub(before);
        // Nothing is due earlier than that because of something that happens now.
        let earliest = self.seen.saturating_add(Lac::LEAST_DELAY);
        if lac.alarm.is_none_or(|alarm| alarm > earliest)
            && let Some(deadline) = lac.deadline(self.settings.patience)
            && lac.alarm.is_none_or(|alarm| deadline < alarm)
        {
            lac.alarm = Some(deadline);
            self.alarms.push(Reverse((deadline, slot)));
        }
        Some(result)
    }

    /// Looks at the LACs whose time has come at `now`.
    fn ring(&mut self, now: u64) {
        self.seen = self.seen.max(now);
        while let Some(&Reverse((time, slot))) = self.alarms.peek() {
            if time > now {
                break;
            }
            self.alarms.pop();
            let lac = self.lacs.get_mut(slot as usize).and_then(Option::as_mut);
            // An alarm that was moved forward leaves the old one behind.
            if let Some(lac) = lac.filter(|lac| lac.alarm == Some(time)) {
                lac.alarm = None;
                self.change(slot, |lac, ledger| lac.review(time, ledger));
            }
        }
    }

    /// Closes the LAC that was heard of the longest ago.
    fn close_oldest(&mut self) {
        let Some((_, slot)) = self.table.pop_oldest() else {
            return;
        };
        let Some(mut lac) = self.lacs.get_mut(slot as usize).and_then(Option::take) else {
            return;
        };
        lac.close(Doubt::OutOfMemory, self.seen, &mut self.ledger);
        self.lac_bytes = self.lac_bytes.saturating_sub(LAC_BYTES + lac.heap_bytes());
        self.free.push(slot);
        self.ledger.totals.lacs_closed += 1;
    }
}

/// What matters of an event that is about an SCCRQ, and of what that says of its LAC.
fn request(event: &Event, fault: FaultId, identity: Option<&Identity>) -> Request {
    // What is not known is 0, and nothing else.
    let fold = |hash: u64| (hash ^ hash >> 32) as u32 | 1;
    let host_name = identity.and_then(|identity| identity.host_name);
    Request {
        time: event.time,
        fault,
        lns: address(event.lns, event.ip_version),
        tunnel_id: event.assigned_tunnel_id,
        ns: event.ns,
        nr: event.nr,
        port: event.lac_port,
        digest: identity.map_or(0, |identity| fold(identity.digest)),
        host_name: host_name.map_or(0, |name| fold(hash_of(&name))),
    }
}

/// A hash that is the same as long as the process lives.
fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Whether a message is a ZLB. One that a worker looks for an acknowledgement in is handed
/// over, as no other message without a type is.
fn is_zlb(event: &Event) -> bool {
    match event.verdict() {
        Some(verdict) => verdict == Verdict::Zlb,
        None => event.message_type == 0,
    }
}

/// An address as an event has it.
pub(crate) fn address(words: Address, ip_version: u8) -> IpAddr {
    let [first, second] = words.map(u64::to_ne_bytes);
    match ip_version {
        4 => {
            let [a, b, c, d, ..] = first;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        _ => {
            let mut octets = [0; 16];
            let (high, low) = octets.split_at_mut(8);
            high.copy_from_slice(&first);
            low.copy_from_slice(&second);
            IpAddr::V6(Ipv6Addr::from(octets))
        }
    }
}

#[cfg(test)]
#[path = "tests/mod.rs"]
mod tests;
