//! Treatments in the flat form in which they are decided on.
//!
//! Everything is in a few lists and refers to the rest by index. A node refers to
//! nodes before it only, so that every way through them ends.

use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Duration;

use broken_lns_ebpf::chance::Draw;

use crate::attempts::Bound;
use crate::scenario::modifiers::Phase;
use crate::scenario::{Fault, Modifiers, Treatment};

/// The treatments of a scenario.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    treatments: Vec<Phases>,
    /// When each phase ends, and what acts in it.
    bounds: Vec<Bound>,
    roots: Vec<NodeId>,
    nodes: Vec<Node>,
    members: Vec<NodeId>,
    leaves: Vec<Leaf>,
    faults: Vec<Fault>,
}

/// A treatment of a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreatmentId(u32);

/// A node of a [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(u32);

/// A leaf of a [`Plan`]: a fault that is no list of faults, with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeafId(u32);

impl LeafId {
    /// Its place among the leaves of its plan, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What decides on an attempt within one phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// Nothing any more: this is met.
    Leaf(LeafId),
    /// Chance, by the hash of the attempt with this salt.
    Choice {
        /// The bound, up to 2^32, below which the hash is for `fault`.
        threshold: u64,
        /// The salt. It is counted within the treatment, so that other rules do not change it.
        salt: u32,
        /// What is met with the probability.
        fault: NodeId,
        /// What is met else.
        otherwise: NodeId,
    },
    /// The number of the attempt in its phase.
    Cycle(Members),
}

/// The nodes of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Members {
    start: u32,
    len: u32,
}

/// How the reply of a leaf is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The shortest delay, in nanoseconds.
    pub delay: u64,
    /// How much longer the longest one is, in nanoseconds.
    pub jitter: u64,
    /// Copies of the reply.
    pub copies: u8,
    /// Whether it is sent again until it is acknowledged.
    pub retransmit: bool,
    /// The bound, up to 2^32, below which the hash of a frame is for losing it.
    pub loss: u64,
}

impl Leaf {
    /// One copy, at once, and that is all.
    pub const AT_ONCE: Self = Self {
        delay: 0,
        jitter: 0,
        copies: 1,
        retransmit: false,
        loss: 0,
    };
}

/// The phases of one treatment.
#[derive(Clone, Debug)]
pub(super) struct Phases {
    /// Where they are among those of the plan.
    range: Range<usize>,
    /// Whether attempts have to be counted.
    counts: bool,
    /// Whether the last of several phases leaves everything to the host.
    heals: bool,
}

/// Why a treatment cannot be decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Attempts are only counted for a rule.
    #[error("`first` and `for` stand within `otherwise` or a `cycle`, where nothing counts them")]
    NestedPhase,

    /// A cycle has no member.
    #[error("a `cycle` without a fault")]
    EmptyCycle,

    /// Indices have 32 bits.
    #[error("the scenario has more than {} faults", u32::MAX)]
    TooLarge,
}

impl Plan {
    /// A plan without treatments, whose decisions by chance begin with `seed`.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            treatments: Vec::new(),
            bounds: Vec::new(),
            roots: Vec::new(),
            nodes: Vec::new(),
            members: Vec::new(),
            leaves: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Adds a treatment.
    ///
    /// # Errors
    ///
    /// [`PlanError`]; for a treatment that was read from a file only
    /// [`PlanError::TooLarge`]. The plan is of no use then.
    pub fn add(&mut self, treatment: &Treatment) -> Result<TreatmentId, PlanError> {
        let start = self.roots.len();
        let nodes = self.nodes.len();
        let mut choices = 0;
        let mut rest = treatment;
        loop {
            let root = self.add_node(rest, &mut choices)?;
            self.roots.push(root);
            let phase = rest.modifiers.phase.as_ref();
            self.bounds.push(phase.map_or(Bound::default(), bound));
            match phase {
                Some(phase) => rest = &phase.then,
                None => break,
            }
        }
        let range = start..self.roots.len();
        let several = range.len() > 1;
        let new = self.nodes.get(nodes..).unwrap_or_default();
        let counts = several || new.iter().any(|node| matches!(node, Node::Cycle(_)));
        let passes = rest.fault == Fault::Pass && rest.modifiers.chance.is_none();
        let id = TreatmentId(index(&self.treatments)?);
        self.treatments.push(Phases {
            range,
            counts,
            heals: several && passes,
        });
        Ok(id)
    }

    /// What decisions by chance begin with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The nodes with which each phase of a treatment begins; one where it has no phases.
    pub fn roots(&self, treatment: TreatmentId) -> &[NodeId] {
        let range = self.phases(treatment).map(|phases| phases.range.clone());
        let roots = range.and_then(|range| self.roots.get(range));
        roots.unwrap_or_default()
    }

    /// A node; `None` where it is of another plan.
    pub fn node(&self, id: NodeId) -> Option<Node> {
        self.nodes.get(id.0 as usize).copied()
    }

    /// The nodes of a cycle, in their order.
    pub fn members(&self, members: Members) -> &[NodeId] {
        let Members { start, len } = members;
        let rest = self.members.get(start as usize..);
        let members = rest.and_then(|rest| rest.get(..len as usize));
        members.unwrap_or_default()
    }

    /// How the reply of a leaf is sent; `None` where it is of another plan.
    pub fn leaf(&self, id: LeafId) -> Option<Leaf> {
        self.leaves.get(id.index()).copied()
    }

    /// How the replies of all leaves are sent, by the index of the leaf.
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// Whether attempts are counted for a treatment.
    pub fn counts_attempts(&self, treatment: TreatmentId) -> bool {
        self.phases(treatment).is_some_and(Phases::counts)
    }

    /// Whether the last of several phases of a treatment leaves everything to the host.
    pub fn heals(&self, treatment: TreatmentId) -> bool {
        self.phases(treatment).is_some_and(|phases| phases.heals)
    }

    /// The fault of a leaf; `None` where it is of another plan.
    pub fn fault(&self, id: LeafId) -> Option<&Fault> {
        self.faults.get(id.index())
    }

    /// The faults of all leaves, by the index of the leaf.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The phases of a treatment; `None` where it is of another plan.
    pub(super) fn phases(&self, id: TreatmentId) -> Option<&Phases> {
        self.treatments.get(id.0 as usize)
    }

    /// When the phases of a treatment end.
    pub(super) fn bounds(&self, phases: &Phases) -> &[Bound] {
        self.bounds.get(phases.range.clone()).unwrap_or_default()
    }

    /// Adds what decides within the first phase of a treatment.
    fn add_node(&mut self, treatment: &Treatment, choices: &mut u32) -> Result<NodeId, PlanError> {
        let Treatment { fault, modifiers } = treatment;
        // Numbered before the choices within it, as they are read.
        let number = *choices;
        *choices += u32::from(modifiers.chance.is_some());
        let node = match fault {
            Fault::Cycle(members) => Node::Cycle(self.add_members(members, choices)?),
            _ => Node::Leaf(self.add_leaf(fault, modifiers)?),
        };
        let own = self.push(node)?;
        let Some(chance) = &modifiers.chance else {
            return Ok(own);
        };
        let otherwise = self.add_nested(&chance.otherwise, choices)?;
        self.push(Node::Choice {
            threshold: chance.probability.threshold(),
            salt: Draw::Choice.salt(number),
            fault: own,
            otherwise,
        })
    }

    /// The same for a treatment for which attempts are not counted.
    fn add_nested(
        &mut self,
        treatment: &Treatment,
        choices: &mut u32,
    ) -> Result<NodeId, PlanError> {
        if treatment.modifiers.phase.is_some() {
            return Err(PlanError::NestedPhase);
        }
        self.add_node(treatment, choices)
    }

    fn add_members(
        &mut self,
        treatments: &[Treatment],
        choices: &mut u32,
    ) -> Result<Members, PlanError> {
        if treatments.is_empty() {
            return Err(PlanError::EmptyCycle);
        }
        let nodes = treatments
            .iter()
            .map(|treatment| self.add_nested(treatment, choices))
            .collect::<Result<Vec<_>, _>>()?;
        let members = Members {
            start: index(&self.members)?,
            len: index(&nodes)?,
        };
        self.members.extend(nodes);
        Ok(members)
    }

    fn add_leaf(&mut self, fault: &Fault, modifiers: &Modifiers) -> Result<LeafId, PlanError> {
        let id = LeafId(index(&self.leaves)?);
        let (shortest, longest) = modifiers
            .delay
            .map_or((Duration::ZERO, Duration::ZERO), |delay| {
                delay.range().into_inner()
            });
        self.leaves.push(Leaf {
            delay: nanoseconds(shortest),
            jitter: nanoseconds(longest.saturating_sub(shortest)),
            copies: modifiers.repeat.get(),
            retransmit: modifiers.retransmit,
            loss: modifiers.loss.threshold(),
        });
        self.faults.push(fault.clone());
        Ok(id)
    }

    fn push(&mut self, node: Node) -> Result<NodeId, PlanError> {
        let id = NodeId(index(&self.nodes)?);
        self.nodes.push(node);
        Ok(id)
    }
}

impl Phases {
    /// Whether attempts have to be counted.
    pub(super) fn counts(&self) -> bool {
        self.counts
    }

    /// Whether a LAC in that phase is healed.
    pub(super) fn heals_in(&self, phase: usize) -> bool {
        self.heals && phase + 1 >= self.range.len()
    }
}

/// The index of what is added to a list next.
fn index<T>(list: &[T]) -> Result<u32, PlanError> {
    u32::try_from(list.len()).map_err(|_| PlanError::TooLarge)
}

fn bound(phase: &Phase) -> Bound {
    Bound {
        first: phase.first,
        lasting: phase.lasting.map(nanoseconds).and_then(NonZeroU64::new),
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
