//! The user half of broken-lns: what sets the kernel half up, answers what it
//! hands over, and shows what both of them count.
//!
//! The way of a setting is `cli` and `scenario` to `compile`, and from there to the
//! globals of `program` and to the workers; the way of a frame that was handed over
//! is `queue` to `play`. `banks` puts rules in force in the kernel half. `responder` holds
//! one interface together, `run` all of them; `control` lets others ask it and change it
//! while it runs, as `remote` does, and `metrics` lets Prometheus read what is counted.
//! `follow` brings what is heard of LACs to those who want to know what they do. `top` shows
//! all of it to people, from the other end of the control socket. `capture` writes frames to
//! files.
//!
//! `play` looks up the rule and has `decide` decide, which asks `attempts`
//! how far a LAC came. What is due later waits in `pending`, and in
//! `retransmission` for its acknowledgement. `garble` and `unreachable` make what
//! is sent. `lac_identity` reads what a LAC says of itself. `track` infers from events what LACs did about it, `judge` holds that against what
//! the scenario expects, and `report` turns both into documents. None of them knows a clock: the
//! time is an argument.

pub mod af_xdp;
pub mod attempts;
mod avps;
mod banks;
pub mod capture;
pub mod check;
pub mod cli;
pub mod clock;
pub mod codes;
pub mod compile;
pub mod control;
pub mod decide;
pub mod follow;
pub mod garble;
pub mod interface;
pub mod judge;
pub mod kernel_log;
pub mod lac_identity;
pub mod lru;
pub mod metrics;
pub mod mode;
pub mod output;
pub mod output_file;
pub mod pending;
pub mod plan;
pub mod play;
pub mod privilege;
pub mod program;
pub mod queue;
pub mod refusal;
pub mod remote;
pub mod report;
pub mod respond;
pub mod responder;
pub mod retransmission;
pub mod run;
pub mod scenario;
pub mod service;
pub mod snapshot;
pub mod socket_option;
mod suggestion;
pub mod tally;
pub mod top;
pub mod track;
pub mod unreachable;
