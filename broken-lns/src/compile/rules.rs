//! A compiled scenario in the form in which the kernel half has it.
//!
//! Nothing here knows of maps: `banks` puts it there.

use broken_lns_ebpf::maps;
use broken_lns_ebpf::ranges::{INDEX_LEN, KeyV4, KeyV6, MAX_RANGES, NO_RULE, Range, Slice};
use broken_lns_ebpf::rules::{Course, Extent, Leaves, Rule, Scenario, Step};
use broken_lns_ebpf::twist::OTHER_PORT;

use super::{CompileError, Compiled, Reply, RuleId};
use crate::decide::{Leaf, LeafId, Node, NodeId};

/// What the arrays of a bank hold beside the templates.
#[derive(Clone, Debug, Default)]
pub(crate) struct KernelRules {
    /// What all rules have in common, without its number.
    pub(crate) scenario: Scenario,
    /// The default, then the rules by their numbers, then what is decided by the name of a LAC,
    /// then the rules of LNSs that have rules for LACs.
    pub(crate) rules: Vec<Rule>,
    pub(crate) steps: Vec<Step>,
    /// Where the ranges are by the first bits of an LNS; empty where no LNS has an IPv4 address.
    pub(crate) index: Vec<Slice>,
    pub(crate) ranges_v4: Vec<Range<KeyV4>>,
    pub(crate) ranges_v6: Vec<Range<KeyV6>>,
    /// What need not be looked for.
    pub(crate) extent: Extent,
}

impl KernelRules {
    /// The rules of a scenario.
    ///
    /// # Errors
    ///
    /// [`CompileError::TooMany`].
    pub(super) fn new(compiled: &Compiled) -> Result<Self, CompileError> {
        let mut this = Self {
            scenario: Scenario {
                seed: compiled.plan.seed(),
                ..Scenario::default()
            },
            rules: Vec::with_capacity(compiled.rules.len()),
            ..Self::default()
        };
        for (id, _) in compiled.rules() {
            let rule = this.rule(compiled, id);
            this.rules.push(rule);
        }
        this.add_links(compiled);
        this.add_lns(compiled)?;
        for (what, len, limit) in [
            ("rules", this.rules.len(), maps::MAX_RULE_ENTRIES),
            ("choices", this.steps.len(), maps::MAX_STEPS),
            ("IPv4 prefixes", this.ranges_v4.len(), MAX_RANGES),
            ("IPv6 prefixes", this.ranges_v6.len(), MAX_RANGES),
        ] {
            if len > limit as usize {
                return Err(CompileError::TooMany { what });
            }
        }
        this.extent = this.extent(compiled);
        Ok(this)
    }

    fn extent(&self, compiled: &Compiled) -> Extent {
        let plain = Step::new(Course::Template(0), 0);
        Extent {
            has_rules: self.scenario.has_v4 != 0 || self.scenario.lns_v6.count != 0,
            leaves: self.rules.iter().any(|rule| rule.leaves.is_any()),
            is_plain: matches!(self.rules.as_slice(), [default] if default.step == plain),
            awaits: compiled.retransmits(),
            other_port: self.rules.iter().any(|rule| rule.other_port != 0),
        }
    }

    /// Hands the requests to a worker on which the name of the LAC decides.
    ///
    /// Other messages do not tell the name, so that none of the rules that are among the choice
    /// decides on them alone: where one of them can pass, all these messages are left to the host.
    fn add_links(&mut self, compiled: &Compiled) {
        for link in &compiled.links {
            // What it leads to was there before.
            let otherwise = self.rules.get(link.otherwise.0 as usize);
            let (number, otherwise, other_port) = otherwise
                .map_or((0, Leaves::NOTHING, false), |rule| {
                    (rule.number, rule.leaves, rule.other_port != 0)
                });
            let named = || link.rules().filter_map(|id| compiled.rule(id));
            let can_pass = otherwise.is_any() || named().any(|rule| rule_can_pass(compiled, rule));
            let other_port =
                other_port || named().any(|rule| rule_comes_to(compiled, rule, from_other_port));
            self.rules.push(Rule {
                step: Step::new(Course::Redirect, 0),
                lacs_v4: Slice::default(),
                lacs_v6: Slice::default(),
                number,
                leaves: match can_pass {
                    true => Leaves::OTHERS.and(Leaves::MARKED),
                    false => Leaves::NOTHING,
                },
                other_port: other_port.into(),
            });
        }
    }

    /// Where the rules for LNSs are.
    fn add_lns(&mut self, compiled: &Compiled) -> Result<(), CompileError> {
        let mut entries = Vec::with_capacity(compiled.entries.len());
        for entry in &compiled.entries {
            let own = entry.own.index() as u32;
            let Some(lacs) = &entry.lacs else {
                entries.push(own);
                continue;
            };
            let rule = self.rules.get(own as usize).copied();
            let rule = rule.ok_or(CompileError::TooMany { what: "rules" })?;
            entries.push(self.rules.len() as u32);
            let lacs_v4 = append(&mut self.ranges_v4, lacs.v4(), Some);
            let lacs_v6 = append(&mut self.ranges_v6, lacs.v6(), Some);
            self.rules.push(Rule {
                lacs_v4,
                lacs_v6,
                ..rule
            });
        }
        let entry = |number: u32| entries.get(number as usize).copied();
        let v4 = append(&mut self.ranges_v4, compiled.lns.v4(), entry);
        self.scenario.lns_v6 = append(&mut self.ranges_v6, compiled.lns.v6(), entry);
        if v4.count > 0 {
            self.scenario.has_v4 = 1;
            self.index = index(v4, compiled.lns.v4());
        }
        Ok(())
    }

    /// The rule with that number.
    fn rule(&mut self, compiled: &Compiled, id: RuleId) -> Rule {
        let treatment = compiled.rule(id).map(|rule| rule.treatment);
        let roots = treatment.map_or(&[][..], |treatment| compiled.plan.roots(treatment));
        let step = match roots {
            [root] => self.step(compiled, *root),
            // Which of several phases it is takes memory.
            _ => Step::new(Course::Redirect, 0),
        };
        let heals = treatment.is_some_and(|treatment| compiled.plan.heals(treatment));
        // The last phase of a rule that heals is nothing but that.
        let partly = match roots {
            [before @ .., _] if heals => before,
            roots => roots,
        };
        let mut leaves = Leaves::NOTHING;
        if step.course() == Course::Pass {
            leaves = Leaves::ALL;
        } else if partly
            .iter()
            .any(|root| is_reached(compiled, *root, &passes))
        {
            leaves = Leaves::OTHERS.and(Leaves::MARKED);
        }
        Rule {
            step,
            lacs_v4: Slice::default(),
            lacs_v6: Slice::default(),
            number: id.index() as u32,
            leaves: if heals {
                leaves.and(Leaves::HEALED)
            } else {
                leaves
            },
            other_port: roots
                .iter()
                .any(|root| is_reached(compiled, *root, &from_other_port))
                .into(),
        }
    }

    /// What is done at a node of the plan. The steps that follow it are added to the others.
    fn step(&mut self, compiled: &Compiled, node: NodeId) -> Step {
        match compiled.plan.node(node) {
            Some(Node::Leaf(leaf)) => step_of_leaf(compiled, leaf),
            Some(Node::Choice {
                threshold,
                salt,
                fault,
                otherwise,
            }) => {
                let course = Course::Choice {
                    salt,
                    then: self.add_step(compiled, fault),
                    otherwise: self.add_step(compiled, otherwise),
                };
                Step::new(course, threshold)
            }
            // Whose turn it is takes memory.
            Some(Node::Cycle(_)) | None => Step::new(Course::Redirect, 0),
        }
    }

    fn add_step(&mut self, compiled: &Compiled, node: NodeId) -> u32 {
        let step = self.step(compiled, node);
        self.steps.push(step);
        self.steps.len() as u32 - 1
    }
}

/// What the kernel half does for a leaf all by itself.
fn step_of_leaf(compiled: &Compiled, id: LeafId) -> Step {
    let (Some(leaf), Some(reply)) = (compiled.plan.leaf(id), compiled.reply(id)) else {
        return Step::new(Course::Redirect, 0);
    };
    let loss = leaf.loss;
    let at_once = Leaf {
        loss,
        ..Leaf::AT_ONCE
    };
    let is_there = |template: u32| template < maps::MAX_TEMPLATES;
    let course = match reply {
        _ if leaf != at_once => Course::Redirect,
        Reply::Template { template, .. } if is_there(template) => Course::Template(template),
        Reply::CodeInAddress {
            with_error,
            without,
            ..
        } if is_there(with_error) && is_there(without) => Course::Codes(with_error, without),
        Reply::Silent => Course::Silent,
        Reply::Pass => Course::Pass,
        Reply::Template { .. } | Reply::CodeInAddress { .. } | Reply::Unreachable(_) => {
            Course::Redirect
        }
    };
    Step::new(course, loss)
}

/// Whether a rule can come to `pass`.
pub(super) fn rule_can_pass(compiled: &Compiled, rule: &super::Rule) -> bool {
    rule_comes_to(compiled, rule, passes)
}

/// Whether a rule can come to such a reply.
fn rule_comes_to(
    compiled: &Compiled,
    rule: &super::Rule,
    is_such: impl Fn(&Compiled, Reply) -> bool,
) -> bool {
    let mut roots = compiled.plan.roots(rule.treatment).iter();
    roots.any(|root| is_reached(compiled, *root, &is_such))
}

/// Whether a node can lead to such a reply.
fn is_reached(
    compiled: &Compiled,
    node: NodeId,
    is_such: &impl Fn(&Compiled, Reply) -> bool,
) -> bool {
    let is_reached = |node: &NodeId| is_reached(compiled, *node, is_such);
    match compiled.plan.node(node) {
        Some(Node::Leaf(leaf)) => compiled
            .reply(leaf)
            .is_some_and(|reply| is_such(compiled, reply)),
        Some(Node::Choice {
            fault, otherwise, ..
        }) => is_reached(&fault) || is_reached(&otherwise),
        Some(Node::Cycle(members)) => compiled.plan.members(members).iter().any(is_reached),
        None => false,
    }
}

fn passes(_: &Compiled, reply: Reply) -> bool {
    matches!(reply, Reply::Pass)
}

fn from_other_port(compiled: &Compiled, reply: Reply) -> bool {
    let Reply::Template { template, .. } = reply else {
        return false;
    };
    let template = compiled.template(template);
    template.is_some_and(|template| template.twist().source_port() == OTHER_PORT)
}

/// Adds a table to a list of ranges. `entry` says where the rule of a value is.
fn append<K: Copy>(
    list: &mut Vec<Range<K>>,
    table: &[Range<K>],
    entry: impl Fn(u32) -> Option<u32>,
) -> Slice {
    let first = list.len() as u32;
    list.extend(table.iter().map(|range| Range {
        start: range.start,
        rule: entry(range.rule).unwrap_or(NO_RULE),
    }));
    Slice {
        first,
        count: table.len() as u32,
    }
}

/// The index of a table of IPv4 addresses, for each value of the first 16 bits: from the range
/// of the first address with these bits to that of the last one.
fn index(table: Slice, ranges: &[Range<KeyV4>]) -> Vec<Slice> {
    let begins_by = |address: u32| {
        ranges.partition_point(|range| range.start <= KeyV4::from_bits(address)) as u32
    };
    let entries = (0..INDEX_LEN).map(|bits| {
        let (lowest, highest) = (bits << 16, bits << 16 | 0xffff);
        let first = begins_by(lowest).saturating_sub(1);
        Slice {
            first: table.first + first,
            count: begins_by(highest) - first,
        }
    });
    entries.collect()
}
