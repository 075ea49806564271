//! The user half of broken-lns: what sets the kernel half up, answers what it
//! hands over, and shows what both of them count.
//!
//! The way of a setting is `cli` to `refusal` to a template and the globals of
//! `program`; the way of a frame that was handed over is `queue` to `respond`.
//! `responder` holds one interface together, `run` all of them; `control` lets
//! others ask it and change it while it runs, as `remote` does.

pub mod check;
pub mod cli;
pub mod codes;
pub mod control;
pub mod interface;
pub mod kernel_log;
pub mod mode;
pub mod output;
pub mod plan;
pub mod privilege;
pub mod program;
pub mod queue;
pub mod refusal;
pub mod remote;
pub mod respond;
pub mod responder;
pub mod run;
pub mod scenario;
pub mod snapshot;
mod socket_option;
mod suggestion;
pub mod tally;
