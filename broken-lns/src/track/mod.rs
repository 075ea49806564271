//! What LACs do about the faults they meet, inferred from events.
//!
//! An attempt is one SCCRQ with all its retransmissions. The next attempt of the same chain at the
//! same LNS is a retry, the next one at another LNS a failover. A chain is what one LAC address
//! does with one Host Name at the LNSs of one group. Where the traffic does not show which attempt
//! follows which, the reaction is unknown, with the reason. `docs/reactions.md` has the rules.
//!
//! `tracker` takes events in their order and leads each to the history of its `lac`: its attempts
//! and chains, how many attempts in a row it makes (`runs`), how long it waits between them
//! (`delays`) and in which order it asks LNSs (`rounds`). `lac/certainty` decides what may be said
//! of an attempt. What adds up over all LACs is in `fault` and `ledger`, and `findings` is what
//! comes out. None of them knows a clock: the time is an argument.

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
