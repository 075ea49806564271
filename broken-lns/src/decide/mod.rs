//! What becomes of one SCCRQ: which fault it meets, when, and how often the reply is sent.
//!
//! `plan` holds the treatments in the form that is decided on. A decision takes no
//! memory, and depends on nothing but the plan, the request, and what is
//! remembered of its LAC and LNS.

mod plan;

use broken_lns_ebpf::chance::{self, Draw};
use broken_lns_ebpf::wire::ipv6::Address;

pub use plan::{Leaf, LeafId, Members, Node, NodeId, Plan, PlanError, TreatmentId};

use crate::attempts::{Attempt, Attempts, Identity, Pair};

/// Numbers of the copies of one frame: a power of two beyond the most copies of a reply.
const COPIES: u32 = 128;

/// Who asks whom, and by what its SCCRQ is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The LAC's address in memory order; an IPv4 address is the first word.
    pub lac: Address,
    /// The address of the virtual LNS, likewise.
    pub lns: Address,
    /// The tunnel id that the LAC assigned.
    pub tunnel_id: u16,
    /// The sequence number of the SCCRQ.
    pub ns: u16,
    /// A hash of the LAC's name, where its rule is for that; otherwise 0.
    pub name: u64,
}

/// How one SCCRQ is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The fault to answer with. It can be one that sends nothing, or `pass`.
    pub leaf: LeafId,
    /// Nanoseconds until the reply is due.
    pub delay: u64,
    /// Copies of the reply that are sent.
    pub copies: u8,
    /// Copies of the reply that are lost instead.
    pub lost: u8,
    /// Whether the reply is sent again until it is acknowledged. That holds for
    /// a lost one, too.
    pub retransmit: bool,
    /// Whether `then` led to `pass`, for good: from now on everything between
    /// this LAC and this LNS is left to the host.
    pub healed: bool,
}

impl Plan {
    /// Decides on a request that arrived at `now`, a monotonic time in nanoseconds.
    ///
    /// `frame` is another number for each request, by which frames are lost one
    /// by one; 23 bits of it count. `None` only where the treatment is of another plan.
    pub fn decide(
        &self,
        treatment: TreatmentId,
        request: &Request,
        now: u64,
        frame: u32,
        attempts: &mut Attempts,
    ) -> Option<Decision> {
        let phases = self.phases(treatment)?;
        let attempt = if phases.counts() {
            attempts.meet(request.pair(), request.identity(), now, self.bounds(phases))
        } else {
            Attempt::default()
        };
        let phase = usize::from(attempt.phase);
        let roots = self.roots(treatment);
        // An attempt of a plan with more phases than this one is in the last one.
        let root = roots.get(phase).or(roots.last())?;
        let leaf = self.walk(*root, request, attempt.number)?;
        let Leaf {
            delay,
            jitter,
            copies,
            retransmit,
            ..
        } = self.leaf(leaf)?;
        let lost = self.lost(leaf, request, frame, copies);
        Some(Decision {
            leaf,
            delay: delay.saturating_add(self.share(jitter, request)),
            copies: copies.saturating_sub(lost),
            lost,
            retransmit,
            healed: phases.heals_in(phase),
        })
    }

    /// How many of `copies` frames of that leaf are lost, of those that go out for `frame`.
    ///
    /// [`decide`](Self::decide) has seen to the reply. This is for sending it again.
    pub fn lost(&self, leaf: LeafId, request: &Request, frame: u32, copies: u8) -> u8 {
        let loss = self.leaf(leaf).map_or(0, |leaf| leaf.loss);
        if loss == 0 {
            return 0;
        }
        let first = frame.wrapping_mul(COPIES);
        let is_lost = |copy: &u8| {
            let number = first.wrapping_add(u32::from(*copy));
            chance::happens(self.hash(request, Draw::Loss.salt(number)), loss)
        };
        (0..copies).filter(is_lost).fold(0, |lost, _| lost + 1)
    }

    /// The leaf to which a node leads.
    fn walk(&self, root: NodeId, request: &Request, number: u32) -> Option<LeafId> {
        let mut id = root;
        loop {
            id = match self.node(id)? {
                Node::Leaf(leaf) => return Some(leaf),
                Node::Choice {
                    threshold,
                    salt,
                    fault,
                    otherwise,
                } => {
                    if chance::happens(self.hash(request, salt), threshold) {
                        fault
                    } else {
                        otherwise
                    }
                }
                Node::Cycle(members) => {
                    let members = self.members(members);
                    let turn = (number as usize).checked_rem(members.len())?;
                    *members.get(turn)?
                }
            };
        }
    }

    /// A share of `whole` nanoseconds, from none to all of them.
    fn share(&self, whole: u64, request: &Request) -> u64 {
        if whole == 0 {
            return 0;
        }
        let hash = self.hash(request, Draw::Jitter.salt(0));
        let product = u128::from(hash) * (u128::from(whole) + 1);
        (product >> 32) as u64
    }

    fn hash(&self, request: &Request, salt: u32) -> u32 {
        let Request {
            lac,
            lns,
            tunnel_id,
            ..
        } = *request;
        chance::hash(self.seed(), lac, lns, tunnel_id, salt)
    }
}

impl Request {
    fn pair(&self) -> Pair {
        Pair {
            lac: self.lac,
            lns: self.lns,
            name: self.name,
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            tunnel_id: self.tunnel_id,
            ns: self.ns,
        }
    }
}

#[cfg(test)]
mod tests;
