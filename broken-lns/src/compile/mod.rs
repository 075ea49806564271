//! From a scenario to what is played: rules by address, decisions, and a prepared
//! reply for each fault.
//!
//! A compiled scenario never changes, and is shared by all that play it.

mod names;
mod ranges;
pub(crate) mod rules;

use std::collections::HashMap;

use broken_lns_ebpf::code_in_address::Codes;
use broken_lns_ebpf::layers::IpVersion;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::wire::ipv6::{self, Address};
use broken_lns_ebpf::wire::{l2tp, udp};

pub use names::Found;

use crate::decide::{LeafId, Plan, PlanError, TreatmentId};
use crate::garble::garble;
use crate::refusal::{Refusal, RefusalError};
use crate::scenario::{AnyRule, Fault, Place, Scenario, Treatment};
use crate::unreachable::Unreachable;
use names::{Choice, Link};
use ranges::Table;
use rules::KernelRules;

/// A scenario that is ready to be played.
#[derive(Clone, Debug)]
pub struct Compiled {
    plan: Plan,
    /// The index of an entry for each LNS address with a rule.
    lns: Table,
    entries: Vec<Entry>,
    rules: Vec<Rule>,
    /// What decides by the name of a LAC.
    links: Vec<Link>,
    /// The reply of each leaf of the plan.
    replies: Vec<Reply>,
    templates: Vec<Template>,
    /// The rule in which each template comes first.
    origins: Vec<RuleId>,
    /// All of it but the templates as the kernel half has it.
    kernel_rules: KernelRules,
}

/// A rule, or the default.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Where it begins in its file, which the default has not.
    pub place: Option<Place>,
    /// The treatment that the plan has for it.
    pub treatment: TreatmentId,
    /// What in it takes time or memory, or a look at the name of the LAC, so that only a worker
    /// can do it.
    pub needs_redirect: Option<&'static str>,
    /// Whether it may be met only once a worker looked at the name of the LAC.
    pub is_by_name: bool,
}

/// The number of a rule: 0 for the default, then in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(u32);

impl RuleId {
    /// What holds where there is no rule.
    pub const DEFAULT: Self = Self(0);

    /// Its place among all rules.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The prepared reply of a leaf.
#[derive(Clone, Copy, Debug)]
pub enum Reply {
    /// A message.
    Template {
        /// Which of the templates it is.
        template: u32,
        /// The tunnel id that it claims to have assigned; 0 where it names none.
        assigned: u16,
    },
    /// Nothing.
    Silent,
    /// The frame is left to the host.
    Pass,
    /// The StopCCN whose codes are in the address.
    CodeInAddress {
        /// The template for a reply with an error code.
        with_error: u32,
        /// The template for one without.
        without: u32,
        /// The tunnel id that it claims to have assigned.
        assigned: u16,
    },
    /// An ICMP or ICMPv6 message.
    Unreachable(Unreachable),
}

/// Why a scenario cannot be played.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// It cannot be decided on.
    #[error(transparent)]
    Plan(#[from] PlanError),

    /// It is too large.
    #[error("the scenario has too many {what}: there is room for 65,536 LNSs and as many LACs")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
    },

    /// A reply cannot be written.
    #[error("{}: {cause}", rule_name(*.place))]
    Reply {
        /// The rule; `None` stands for the default.
        place: Option<Place>,
        /// Why.
        cause: RefusalError,
    },

    /// A reply does not fit one frame.
    #[error(
        "{}: the reply takes {len} octets over IPv6, but interface {interface} has an MTU of \
         {mtu}: shorten the message or raise the MTU",
        rule_name(*.place)
    )]
    ReplyTooLong {
        /// The rule; `None` stands for the default.
        place: Option<Place>,
        /// Octets of the IPv6 packet.
        len: usize,
        /// The interface that the reply would leave by.
        interface: String,
        /// The MTU of that interface.
        mtu: u32,
    },
}

/// What is said of a rule: where it stands.
pub fn rule_name(place: Option<Place>) -> String {
    match place {
        Some(place) => format!("the rule at {place}"),
        None => "the default".to_owned(),
    }
}

/// What holds at an LNS address.
#[derive(Clone, Debug)]
struct Entry {
    own: RuleId,
    /// The [`Choice`] for each LAC that has one of its own there.
    lacs: Option<Table>,
}

impl Compiled {
    /// Compiles a scenario.
    ///
    /// # Errors
    ///
    /// [`CompileError`]; for a scenario that was read from a file only where it is
    /// too large.
    pub fn new(scenario: &Scenario) -> Result<Self, CompileError> {
        if scenario.treatments().count() > maps::MAX_RULES as usize {
            return Err(CompileError::TooMany { what: "rules" });
        }
        let mut compiled = Self {
            plan: Plan::new(scenario.seed),
            lns: Table::default(),
            entries: Vec::with_capacity(scenario.rules.len()),
            rules: Vec::new(),
            links: Vec::new(),
            replies: Vec::new(),
            templates: Vec::new(),
            origins: Vec::new(),
            kernel_rules: KernelRules::default(),
        };
        let mut known = HashMap::new();
        for rule in scenario.in_order() {
            compiled.add_rule(rule, scenario, &mut known)?;
        }
        compiled.add_entries(scenario);
        compiled.kernel_rules = KernelRules::new(&compiled)?;
        Ok(compiled)
    }

    /// Answers every request with this.
    ///
    /// # Errors
    ///
    /// None that could come.
    pub fn of_template(template: Template) -> Result<Self, CompileError> {
        let mut compiled = Self::new(&Refusal::default().into())?;
        compiled.templates = vec![template];
        Ok(compiled)
    }

    /// The rule for that LAC at that LNS: by the longest prefix of an LNS, and in it by the
    /// longest prefix of a LAC, where rules with a matching name come before the one without.
    /// Addresses are in memory order; an IPv4 address is the first word. `host_name` is asked for
    /// the name of the LAC where that matters.
    #[inline]
    pub fn rule_for<'m>(
        &self,
        version: IpVersion,
        lns: Address,
        lac: Address,
        host_name: impl FnOnce() -> Option<&'m [u8]>,
    ) -> Found {
        let choice = self.choice_for(version, lns, lac);
        match self.link(choice) {
            Some(link) => self.rule_by_name(link, host_name()),
            None => Found::by_address(RuleId(choice.0)),
        }
    }

    /// The rule for that LAC at that LNS, or the choice among those for its names.
    #[inline]
    fn choice_for(&self, version: IpVersion, lns: Address, lac: Address) -> Choice {
        let entry = self.lns.find(version, lns);
        let Some(entry) = entry.and_then(|entry| self.entries.get(entry as usize)) else {
            return Choice(RuleId::DEFAULT.0);
        };
        let lacs = entry.lacs.as_ref();
        let choice = lacs.and_then(|table| table.find(version, lac));
        Choice(choice.unwrap_or(entry.own.0))
    }

    /// A rule; `None` where it is of another scenario.
    pub fn rule(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(id.index())
    }

    /// All rules in their order, the default first.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (RuleId, &Rule)> {
        let numbered = self.rules.iter().enumerate();
        numbered.map(|(index, rule)| (RuleId(index as u32), rule))
    }

    /// What decides.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The reply of a leaf of the plan.
    pub fn reply(&self, leaf: LeafId) -> Option<Reply> {
        self.replies.get(leaf.index()).copied()
    }

    /// A template of a [`Reply`].
    pub fn template(&self, index: u32) -> Option<&Template> {
        self.templates.get(index as usize)
    }

    /// The one template with which every request is answered at once; `None` where
    /// there is something to look up or to decide.
    pub fn only(&self) -> Option<&Template> {
        self.template(0)
            .filter(|_| self.kernel_rules.extent.is_plain)
    }

    /// Whether a reply comes from [`OTHER_PORT`](broken_lns_ebpf::twist::OTHER_PORT).
    #[inline]
    pub fn has_other_port(&self) -> bool {
        self.kernel_rules.extent.other_port
    }

    /// Whether a reply to that LAC at that LNS comes from there.
    pub fn uses_other_port(&self, version: IpVersion, lns: Address, lac: Address) -> bool {
        let choice = self.choice_for(version, lns, lac);
        let rule = self.kernel_rules.rules.get(choice.0 as usize);
        rule.is_some_and(|rule| rule.other_port != 0)
    }

    /// The rules as the kernel half has them.
    pub(crate) fn kernel_rules(&self) -> &KernelRules {
        &self.kernel_rules
    }

    /// The templates that the kernel half has room for.
    pub(crate) fn kernel_templates(&self) -> &[Template] {
        let room = self.templates.len().min(maps::MAX_TEMPLATES as usize);
        self.templates.get(..room).unwrap_or_default()
    }

    /// The first rule that only a worker can play, with what in it takes that.
    pub fn needs_redirect(&self) -> Option<(&Rule, &'static str)> {
        let mut rules = self.rules.iter();
        let by_fault = rules.find_map(|rule| Some((rule, rule.needs_redirect?)));
        by_fault.or_else(|| {
            let origin = self.origins.get(maps::MAX_TEMPLATES as usize)?;
            Some((self.rule(*origin)?, "reply, which is one of too many"))
        })
    }

    /// The first rule that can come to `pass`, but only by a worker.
    pub fn passes_late(&self) -> Option<&Rule> {
        let mut rules = self.rules.iter();
        rules.find(|rule| {
            let is_late = rule.is_by_name || rule.needs_redirect.is_some();
            is_late && rules::rule_can_pass(self, rule)
        })
    }

    /// Whether the attempts of LACs are counted.
    pub fn counts_attempts(&self) -> bool {
        self.rules
            .iter()
            .any(|rule| self.plan.counts_attempts(rule.treatment))
    }

    /// Whether a reply can be due later.
    pub fn delays(&self) -> bool {
        let mut leaves = self.plan.leaves().iter();
        leaves.any(|leaf| leaf.delay > 0 || leaf.jitter > 0)
    }

    /// Whether a reply can be sent again.
    pub fn retransmits(&self) -> bool {
        self.plan.leaves().iter().any(|leaf| leaf.retransmit)
    }

    /// Checks that every prepared reply fits one frame of an interface, over IPv6 too.
    ///
    /// # Errors
    ///
    /// [`CompileError::ReplyTooLong`], which names the rule.
    pub fn check_mtu(&self, interface: &str, mtu: u32) -> Result<(), CompileError> {
        for (template, origin) in self.templates.iter().zip(&self.origins) {
            let len = ipv6::HEADER_LEN + template.datagram_len();
            if len > mtu as usize {
                return Err(CompileError::ReplyTooLong {
                    place: self.rule(*origin).and_then(|rule| rule.place),
                    len,
                    interface: interface.to_owned(),
                    mtu,
                });
            }
        }
        Ok(())
    }

    fn add_rule(
        &mut self,
        rule: AnyRule<'_>,
        scenario: &Scenario,
        known: &mut HashMap<String, u32>,
    ) -> Result<(), CompileError> {
        let id = RuleId(index(&self.rules)?);
        self.rules.push(Rule {
            place: rule.place,
            treatment: self.plan.add(rule.treatment)?,
            needs_redirect: rule.needs_redirect(),
            is_by_name: false,
        });
        let faults = self.plan.faults().iter().skip(self.replies.len());
        for fault in faults.cloned().collect::<Vec<_>>() {
            let reply = match &fault {
                Fault::Silent => Reply::Silent,
                Fault::Pass => Reply::Pass,
                Fault::CodeInAddress => self.add_codes(scenario, id, known)?,
                Fault::Unreachable { code, from_address } => Reply::Unreachable(Unreachable {
                    code: *code,
                    from_address: *from_address,
                }),
                Fault::Refuse(refusal) | Fault::Garble { refusal, .. } => {
                    let assigned = refusal.assigned_tunnel_id().get();
                    self.add_template(&fault, assigned, id, known)?
                }
                // A cycle is no leaf: its faults are.
                Fault::Acknowledge | Fault::Cycle(_) => self.add_template(&fault, 0, id, known)?,
            };
            self.replies.push(reply);
        }
        Ok(())
    }

    /// The reply with the template of a fault, which is made once for all that are alike.
    fn add_template(
        &mut self,
        fault: &Fault,
        assigned: u16,
        origin: RuleId,
        known: &mut HashMap<String, u32>,
    ) -> Result<Reply, CompileError> {
        let name = Treatment::from(fault.clone()).to_string();
        let template = self.template_named(name, origin, known, || template(fault))?;
        Ok(Reply::Template { template, assigned })
    }

    /// The reply with the codes in the address.
    fn add_codes(
        &mut self,
        scenario: &Scenario,
        origin: RuleId,
        known: &mut HashMap<String, u32>,
    ) -> Result<Reply, CompileError> {
        let assigned = scenario.assigned_tunnel_id.get();
        let templates = Codes::templates(assigned);
        let templates = templates.ok_or(RefusalError::MessageTooLong { len: 0 });
        let mut add = |name: &str, template: fn((Template, Template)) -> Template| {
            let made = || templates.clone().map(template);
            self.template_named(name.to_owned(), origin, known, made)
        };
        Ok(Reply::CodeInAddress {
            with_error: add("codes", |(with_error, _)| with_error)?,
            without: add("codes without error", |(_, without)| without)?,
            assigned,
        })
    }

    /// The number of the template of that name, which is made where there is none yet.
    fn template_named(
        &mut self,
        name: String,
        origin: RuleId,
        known: &mut HashMap<String, u32>,
        make: impl FnOnce() -> Result<Template, RefusalError>,
    ) -> Result<u32, CompileError> {
        if let Some(template) = known.get(&name).copied() {
            return Ok(template);
        }
        let template = make().map_err(|cause| CompileError::Reply {
            place: self.rule(origin).and_then(|rule| rule.place),
            cause,
        })?;
        let number = index(&self.templates)?;
        self.templates.push(template);
        self.origins.push(origin);
        known.insert(name, number);
        Ok(number)
    }

    /// Makes the tables of addresses. Rules are numbered as
    /// [`treatments`](Scenario::treatments) has them.
    fn add_entries(&mut self, scenario: &Scenario) {
        let mut next = 1;
        let mut number = || {
            next += 1;
            next - 1
        };
        for rule in &scenario.rules {
            let own = rule.treatment.as_ref().map_or(0, |_| number());
            let own = RuleId(own);
            let lacs = rule.lacs.iter().map(|lac| (lac, RuleId(number())));
            let (first, links) = (self.rules.len(), &mut self.links);
            let choices = names::choices(lacs, own, first, links);
            self.entries.push(Entry {
                own,
                lacs: (!choices.is_empty()).then(|| Table::new(choices)),
            });
        }
        for link in &self.links {
            // Those of a link that this one leads to are met there.
            let otherwise = Some(RuleId(link.otherwise.0));
            for rule in link.rules().chain(otherwise) {
                if let Some(rule) = self.rules.get_mut(rule.index()) {
                    rule.is_by_name = true;
                }
            }
        }
        let entries = scenario.rules.iter().zip(0..);
        self.lns = Table::new(entries.flat_map(|(rule, entry)| {
            let prefixes = rule.prefixes.iter();
            prefixes.map(move |prefix| (*prefix, entry))
        }));
    }
}

/// The template of a fault that has one.
fn template(fault: &Fault) -> Result<Template, RefusalError> {
    let too_long = |len| RefusalError::MessageTooLong { len };
    match fault {
        Fault::Refuse(refusal) => refusal.template(),
        Fault::Garble { kind, refusal } => {
            let garbled = garble(*kind, refusal)?;
            let template = Template::new(&garbled.message);
            let template = template.ok_or(too_long(garbled.message.len()))?;
            Ok(template.twisted(garbled.twist))
        }
        // A header alone: the ZLB that acknowledges.
        _ => {
            let mut zlb = l2tp::Message::<{ l2tp::HEADER_LEN }>::new();
            let zlb = zlb.finish().and_then(Template::new);
            zlb.ok_or(too_long(udp::HEADER_LEN))
        }
    }
}

/// The index of what is added to a list next.
fn index<T>(list: &[T]) -> Result<u32, CompileError> {
    u32::try_from(list.len()).map_err(|_| PlanError::TooLarge.into())
}

#[cfg(test)]
mod tests;
