//! What LACs do about the faults they meet, inferred from events.
//!
//! An attempt is one SCCRQ with all its retransmissions: a LAC, an LNS, the tunnel id that
//! the LAC assigned and its Ns. The next attempt at the same LNS is a retry, the next one at
//! another LNS a failover. It follows the one before it only if that was over: answered, or
//! never repeated any more. What two tunnels do side by side is not taken for a reaction.
//!
//! `tracker` takes events in their order and leads each to the history of its `lac`, with its
//! attempts and its `rounds` of LNSs; what adds up over all LACs is in `fault` and `ledger`.
//! `findings` is what comes out. None of them knows a clock: the time is an argument.

mod attempt;
mod delays;
mod distribution;
mod fault;
pub mod findings;
mod lac;
mod ledger;
mod message;
mod rounds;
mod runs;
mod tracker;

pub use distribution::Distribution;
pub use fault::{Rule, Source};
pub(crate) use tracker::address;
pub use tracker::{Settings, Tracker};
