//! What adds up for one fault, over all LACs.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use broken_lns_ebpf::wire::l2tp;

use super::distribution::Distribution;
use super::findings::{
    Acknowledged, Acknowledgement, Conclusion, FaultFindings, FaultKey, LacMessage, MessageCount,
    Outcome, Reaction, Reactions,
};

/// Addresses that LACs failed over to, each counted apart.
const TARGETS: usize = 32;
/// Different messages, each counted apart.
const MESSAGES: usize = 32;
/// Octets that a fault takes beside what it holds: its place in the index, half empty.
const INDEX_BYTES: usize = 2 * size_of::<(FaultKey, u32)>();

/// The place of a fault in the table of [`Faults`].
pub(super) type FaultId = u32;

/// The rule of a scenario, as the tracker must know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// What the fault is called in reports.
    pub fault: String,
    /// Whether it answers with a StopCCN, which a LAC has to acknowledge.
    pub refuses: bool,
    /// Whether it may answer with an acknowledgement and nothing more, after which a LAC waits.
    pub keeps_waiting: bool,
    /// Whether it treats attempts differently, by chance, by their number or in turn.
    pub varies: bool,
    /// Where else its answers come from, to which a LAC acknowledges them then.
    pub source: Source,
}

/// Where answers come from, beside port 1701 of the LNS that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The UDP port of some of them; 1701 where they all come from there.
    pub port: u16,
    /// The bits of the last octet of the address that are inverted in some of them; 0 where all
    /// come from the LNS that was asked.
    pub address_invert: u8,
}

impl Default for Source {
    fn default() -> Self {
        Self::RIGHT
    }
}

impl Source {
    /// The LNS that was asked.
    pub const RIGHT: Self = Self {
        port: l2tp::PORT,
        address_invert: 0,
    };

    /// The address that some answers of `lns` come from, and of that address the LNS.
    pub fn other_address(self, lns: IpAddr) -> IpAddr {
        match lns {
            IpAddr::V4(lns) => {
                Ipv4Addr::from_bits(lns.to_bits() ^ u32::from(self.address_invert)).into()
            }
            IpAddr::V6(lns) => {
                Ipv6Addr::from_bits(lns.to_bits() ^ u128::from(self.address_invert)).into()
            }
        }
    }
}

/// What a scenario that was entered tells of a fault.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    /// Its rule, where that is known.
    pub(super) rule: Option<Arc<Rule>>,
    /// The number of the group that its LNS is in.
    pub(super) group: Option<u16>,
    /// How often groups had changed before.
    pub(super) edition: u16,
}

/// All faults that were met.
#[derive(Debug, Default)]
pub(super) struct Faults {
    entries: Vec<Fault>,
    index: HashMap<FaultKey, FaultId>,
    bytes: usize,
}

/// What LACs did about one fault.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) key: FaultKey,
    pub(super) origin: Origin,
    pub(super) lacs: u64,
    pub(super) attempts: u64,
    pub(super) answered: u64,
    pub(super) open: u64,
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) acknowledged: Acknowledged,
    pub(super) reactions: Reactions,
    pub(super) failover_after: Distribution,
    pub(super) retry_after: Distribution,
    pub(super) lockout: Distribution,
    pub(super) came_back: Distribution,
    pub(super) tunnel_ids_reused: u64,
    targets: Vec<(IpAddr, u64)>,
    other_targets: u64,
    messages: Vec<MessageCount>,
    messages_left_out: u64,
}

impl Faults {
    /// The fault with that key, new if need be, and then of that origin; `None` where it is new
    /// and there are `limit` octets in use already.
    pub(super) fn meet(
        &mut self,
        key: FaultKey,
        limit: usize,
        origin: impl FnOnce() -> Option<Origin>,
    ) -> Option<FaultId> {
        if let Some(id) = self.index.get(&key) {
            return Some(*id);
        }
        if self.bytes >= limit {
            return None;
        }
        let id = FaultId::try_from(self.entries.len()).ok()?;
        let fault = Fault::new(key, origin().unwrap_or_default());
        // A table that grew may be half empty.
        self.bytes += 2 * size_of::<Fault>() + INDEX_BYTES + fault.heap_bytes();
        self.entries.push(fault);
        self.index.insert(key, id);
        Some(id)
    }

    /// Octets in use.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn get(&self, id: FaultId) -> Option<&Fault> {
        self.entries.get(id as usize)
    }

    /// Changes a fault, and keeps count of the octets in use.
    pub(super) fn update(&mut self, id: FaultId, change: impl FnOnce(&mut Fault)) {
        if let Some(fault) = self.entries.get_mut(id as usize) {
            let before = fault.heap_bytes();
            change(fault);
            self.bytes = (self.bytes + fault.heap_bytes()).saturating_sub(before);
        }
    }

    /// What is known of them, in the order of their keys.
    pub(super) fn findings(&self) -> Vec<FaultFindings> {
        let mut met: Vec<&Fault> = self
            .entries
            .iter()
            .filter(|fault| fault.attempts > 0)
            .collect();
        met.sort_by_key(|fault| fault.key);
        met.into_iter().map(Fault::findings).collect()
    }
}

impl Fault {
    fn new(key: FaultKey, origin: Origin) -> Self {
        Self {
            key,
            origin,
            lacs: 0,
            attempts: 0,
            answered: 0,
            open: 0,
            before: 0,
            after: 0,
            acknowledged: Acknowledged::default(),
            reactions: Reactions::default(),
            failover_after: Distribution::default(),
            retry_after: Distribution::default(),
            lockout: Distribution::default(),
            came_back: Distribution::default(),
            tunnel_ids_reused: 0,
            targets: Vec::new(),
            other_targets: 0,
            messages: Vec::new(),
            messages_left_out: 0,
        }
    }

    /// Whether it answers with a StopCCN; one of a rule that nobody entered may.
    pub(super) fn refuses(&self) -> bool {
        self.origin.rule.as_ref().is_none_or(|rule| rule.refuses)
    }

    /// Where else its answers come from.
    pub(super) fn source(&self) -> Source {
        let rule = self.origin.rule.as_ref();
        rule.map_or(Source::RIGHT, |rule| rule.source)
    }

    /// Whether its answer may end an attempt at once.
    pub(super) fn ends_at_once(&self) -> bool {
        self.origin
            .rule
            .as_ref()
            .is_none_or(|rule| !rule.keeps_waiting)
    }

    /// Whether it may treat attempts differently.
    pub(super) fn varies(&self) -> bool {
        self.origin.rule.as_ref().is_none_or(|rule| rule.varies)
    }

    /// The number of the group that its LNS was in.
    pub(super) fn group(&self) -> u32 {
        let group = self.origin.group.map_or(0, |group| u32::from(group) + 1);
        u32::from(self.origin.edition) << 16 | group
    }

    /// What it is called.
    fn name(&self) -> String {
        match &self.origin.rule {
            Some(rule) => rule.fault.clone(),
            None => format!("rule {} of scenario {}", self.key.rule, self.key.scenario),
        }
    }

    /// The count of attempts that were acknowledged so.
    pub(super) fn acknowledged_mut(&mut self, how: Acknowledgement) -> &mut u64 {
        match how {
            Acknowledgement::None => &mut self.acknowledged.none,
            Acknowledgement::Unknown(doubt) => &mut self.acknowledged.unknown[doubt as usize],
            Acknowledgement::WrongNr => &mut self.acknowledged.wrong_nr,
            Acknowledgement::ZeroTunnelId => &mut self.acknowledged.zero_tunnel_id,
            Acknowledgement::Piggyback => &mut self.acknowledged.piggyback,
            Acknowledgement::Zlb => &mut self.acknowledged.zlb,
        }
    }

    /// Counts what came of an attempt. `is_first` where the LAC had not reacted so before.
    pub(super) fn count(&mut self, outcome: &Outcome, is_first: bool) {
        let reaction = match outcome.conclusion {
            Conclusion::Unknown(doubt) => {
                *self.reactions.unknown_mut(doubt) += 1;
                return;
            }
            Conclusion::Reaction(reaction) => reaction,
        };
        let share = self.reactions.of_mut(reaction);
        share.attempts += 1;
        share.lacs += u64::from(is_first);
        let Some(next) = outcome.next else {
            return;
        };
        match reaction {
            Reaction::Failover => {
                self.failover_after.add(next.after);
                self.count_target(next.lns);
            }
            Reaction::RetrySame => self.retry_after.add(next.after),
            Reaction::Ignore => {
                *self
                    .reactions
                    .ignored_then_mut(next.lns == outcome.fault.lns) += 1;
            }
            Reaction::GiveUp => {}
        }
    }

    /// Takes that back. `is_last` where the LAC has not reacted so otherwise.
    pub(super) fn uncount(&mut self, outcome: &Outcome, is_last: bool) {
        let less = |count: &mut u64| *count = count.saturating_sub(1);
        let reaction = match outcome.conclusion {
            Conclusion::Unknown(doubt) => return less(self.reactions.unknown_mut(doubt)),
            Conclusion::Reaction(reaction) => reaction,
        };
        let share = self.reactions.of_mut(reaction);
        less(&mut share.attempts);
        share.lacs = share.lacs.saturating_sub(is_last.into());
        let Some(next) = outcome.next else {
            return;
        };
        match reaction {
            Reaction::Failover => {
                self.failover_after.remove(next.after);
                let target = self.targets.iter_mut().find(|(lns, _)| *lns == next.lns);
                less(target.map_or(&mut self.other_targets, |(_, count)| count));
                self.targets.retain(|(_, count)| *count > 0);
            }
            Reaction::RetrySame => self.retry_after.remove(next.after),
            Reaction::Ignore => {
                less(
                    self.reactions
                        .ignored_then_mut(next.lns == outcome.fault.lns),
                );
            }
            Reaction::GiveUp => {}
        }
    }

    /// Counts a failover to an address.
    fn count_target(&mut self, lns: IpAddr) {
        let has_room = self.targets.len() < TARGETS;
        match self.targets.iter_mut().find(|(other, _)| *other == lns) {
            Some((_, count)) => *count += 1,
            None if has_room => self.targets.push((lns, 1)),
            None => self.other_targets += 1,
        }
    }

    /// Counts a message of a LAC.
    pub(super) fn count_message(&mut self, message: LacMessage) {
        let has_room = self.messages.len() < MESSAGES;
        match self
            .messages
            .iter_mut()
            .find(|known| known.message == message)
        {
            Some(known) => known.count += 1,
            None if has_room => {
                self.messages.push(MessageCount { message, count: 1 });
            }
            None => self.messages_left_out += 1,
        }
    }

    fn heap_bytes(&self) -> usize {
        let texts = self.messages.iter().map(|known| &known.message.text);
        let texts: usize = texts.flatten().map(String::capacity).sum();
        // It may be the last one that holds the rule.
        let rule = self.origin.rule.as_ref();
        let rule = rule.map_or(0, |rule| size_of::<Rule>() + rule.fault.capacity() + 32);
        rule + self.acknowledged.round_trip.heap_bytes()
            + self.failover_after.heap_bytes()
            + self.retry_after.heap_bytes()
            + self.lockout.heap_bytes()
            + self.came_back.heap_bytes()
            + self.targets.capacity() * size_of::<(IpAddr, u64)>()
            + self.messages.capacity() * size_of::<MessageCount>()
            + texts
    }

    fn findings(&self) -> FaultFindings {
        let mut failover_to = self.targets.clone();
        failover_to.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
        let mut messages = self.messages.clone();
        messages.sort_by(|one, other| {
            let by_count = other.count.cmp(&one.count);
            by_count.then_with(|| one.message.cmp(&other.message))
        });
        FaultFindings {
            key: self.key,
            fault: self.name(),
            lacs: self.lacs,
            attempts: self.attempts,
            answered: self.answered,
            open: self.open,
            retransmissions_before: self.before,
            retransmissions_after: self.after,
            acknowledged: self.acknowledged.clone(),
            reactions: self.reactions,
            failover_after: self.failover_after.clone(),
            failover_to,
            failover_to_others: self.other_targets,
            retry_after: self.retry_after.clone(),
            lockout: self.lockout.clone(),
            came_back: self.came_back.clone(),
            tunnel_ids_reused: self.tunnel_ids_reused,
            messages,
            messages_left_out: self.messages_left_out,
        }
    }
}
