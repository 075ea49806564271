//! A LAC in the report.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::track::findings::{
    Conclusion, FaultKey, LacFindings, Reaction, Selection, VisitFindings,
};

#[derive(Serialize)]
pub(super) struct Lac<'r> {
    lac: IpAddr,
    host_name: Option<String>,
    vendor_name: Option<String>,
    firmware: Option<u16>,
    messages: u64,
    attempts: u64,
    retransmissions: u64,
    order: &'r [IpAddr],
    selection: Selection,
    parallel: bool,
    events_lost: bool,
    visits: Vec<Visit>,
}

#[derive(Serialize)]
struct Visit {
    scenario: u32,
    rule: u32,
    lns: IpAddr,
    attempts: u64,
    open: u64,
    retransmissions_before: u64,
    retransmissions_after: u64,
    acknowledged: u64,
    wrong_nr: u64,
    reactions: BTreeMap<&'static str, u64>,
    unknown: u64,
    last: Option<&'static str>,
    next_lns: Option<IpAddr>,
    next_after_ns: Option<u64>,
    lockout_ns: Option<u64>,
}

impl<'r> Lac<'r> {
    pub(super) fn of(lac: &'r LacFindings) -> Self {
        let name = lac.name.unwrap_or_default();
        Self {
            lac: lac.lac,
            host_name: name.host_name.map(|name| name.to_string()),
            vendor_name: name.vendor_name.map(|name| name.to_string()),
            firmware: name.firmware,
            messages: lac.messages,
            attempts: lac.attempts,
            retransmissions: lac.retransmissions,
            order: &lac.order,
            selection: lac.selection,
            parallel: lac.parallel,
            events_lost: lac.events_lost,
            visits: lac.visits.iter().map(Visit::of).collect(),
        }
    }
}

impl Visit {
    fn of(visit: &VisitFindings) -> Self {
        let FaultKey {
            scenario,
            rule,
            lns,
        } = visit.key;
        let reactions = Reaction::ALL.map(|reaction| (reaction.name(), visit.reaction(reaction)));
        let last = visit.last.and_then(Conclusion::reaction);
        Self {
            scenario,
            rule,
            lns,
            attempts: visit.attempts,
            open: visit.open,
            retransmissions_before: visit.retransmissions_before,
            retransmissions_after: visit.retransmissions_after,
            acknowledged: visit.acknowledged,
            wrong_nr: visit.wrong_nr,
            reactions: reactions.into(),
            unknown: visit.unknown,
            last: last.map(Reaction::name),
            next_lns: visit.next.map(|(lns, _)| lns),
            next_after_ns: visit.next.map(|(_, after)| after),
            lockout_ns: visit.lockout,
        }
    }
}
