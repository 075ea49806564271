//! What LACs do about the faults they meet, inferred from events.
//!
//! An attempt is one SCCRQ with all its retransmissions: a LAC, an LNS, the tunnel id that
//! the LAC assigned and its Ns. The next attempt at the same LNS is a retry, the next one at
//! another LNS a failover. `findings` is what comes out.

mod distribution;
pub mod findings;

pub use distribution::Distribution;
