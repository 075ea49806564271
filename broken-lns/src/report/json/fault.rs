//! A fault in the report.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::report::Sentence;
use crate::track::findings::{
    Acknowledged, Distribution, Doubt, FaultFindings, FaultKey, LacMessage, MessageCount, Reaction,
    Share,
};

#[derive(Serialize)]
pub(super) struct Fault<'r> {
    scenario: u32,
    rule: u32,
    lns: IpAddr,
    fault: &'r str,
    sentence: String,
    lacs: u64,
    attempts: u64,
    answered: u64,
    open: u64,
    retransmissions_before: u64,
    retransmissions_after: u64,
    acknowledged: Acknowledgements,
    reactions: BTreeMap<&'static str, Reacted>,
    ignored_then: BTreeMap<&'static str, u64>,
    unknown: BTreeMap<&'static str, u64>,
    failover_after: Durations,
    failover_to: Vec<Target>,
    failover_to_others: u64,
    retry_after: Durations,
    lockout: Durations,
    came_back: Durations,
    tunnel_ids_reused: u64,
    messages: Vec<Message<'r>>,
    messages_left_out: u64,
}

#[derive(Serialize)]
struct Acknowledgements {
    zlb: u64,
    piggyback: u64,
    zero_tunnel_id: u64,
    wrong_nr: u64,
    none: u64,
    unknown: u64,
    unknown_because: BTreeMap<&'static str, u64>,
    lacs: u64,
    round_trip: Durations,
}

#[derive(Serialize)]
struct Reacted {
    attempts: u64,
    lacs: u64,
}

#[derive(Serialize)]
struct Target {
    lns: IpAddr,
    attempts: u64,
}

#[derive(Serialize)]
struct Durations {
    count: u64,
    min_ns: Option<u64>,
    median_ns: Option<u64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
}

#[derive(Serialize)]
struct Message<'r> {
    message_type: u16,
    result: Option<u16>,
    error: Option<u16>,
    text: Option<&'r str>,
    count: u64,
}

impl<'r> Fault<'r> {
    pub(super) fn of(findings: &'r FaultFindings, sentence: &Sentence) -> Self {
        let FaultFindings {
            key:
                FaultKey {
                    scenario,
                    rule,
                    lns,
                },
            ref fault,
            lacs,
            attempts,
            answered,
            open,
            retransmissions_before,
            retransmissions_after,
            ref acknowledged,
            reactions,
            ref failover_after,
            ref failover_to,
            failover_to_others,
            ref retry_after,
            ref lockout,
            ref came_back,
            tunnel_ids_reused,
            ref messages,
            messages_left_out,
        } = *findings;
        let reacted = Reaction::ALL.map(|reaction| {
            let Share { attempts, lacs } = reactions.of(reaction);
            (reaction.name(), Reacted { attempts, lacs })
        });
        let failover_to = failover_to.iter();
        Self {
            scenario,
            rule,
            lns,
            fault,
            sentence: sentence.to_string(),
            lacs,
            attempts,
            answered,
            open,
            retransmissions_before,
            retransmissions_after,
            acknowledged: Acknowledgements::of(acknowledged),
            reactions: reacted.into(),
            ignored_then: BTreeMap::from([
                (Reaction::Failover.name(), reactions.ignored_then_failover),
                (
                    Reaction::RetrySame.name(),
                    reactions.ignored_then_retry_same,
                ),
            ]),
            unknown: Doubt::ALL
                .map(|doubt| (doubt.name(), reactions.unknown(doubt)))
                .into(),
            failover_after: Durations::of(failover_after),
            failover_to: failover_to
                .map(|&(lns, attempts)| Target { lns, attempts })
                .collect(),
            failover_to_others,
            retry_after: Durations::of(retry_after),
            lockout: Durations::of(lockout),
            came_back: Durations::of(came_back),
            tunnel_ids_reused,
            messages: messages.iter().map(Message::of).collect(),
            messages_left_out,
        }
    }
}

impl Acknowledgements {
    fn of(acknowledged: &Acknowledged) -> Self {
        let Acknowledged {
            zlb,
            piggyback,
            zero_tunnel_id,
            wrong_nr,
            none,
            unknown,
            lacs,
            ref round_trip,
        } = *acknowledged;
        Self {
            zlb,
            piggyback,
            zero_tunnel_id,
            wrong_nr,
            none,
            unknown: unknown.iter().sum(),
            unknown_because: Doubt::ALL
                .map(|doubt| (doubt.name(), acknowledged.unknown(doubt)))
                .into(),
            lacs,
            round_trip: Durations::of(round_trip),
        }
    }
}

impl Durations {
    fn of(distribution: &Distribution) -> Self {
        Self {
            count: distribution.count(),
            min_ns: distribution.min(),
            median_ns: distribution.median(),
            p99_ns: distribution.p99(),
            max_ns: distribution.max(),
        }
    }
}

impl<'r> Message<'r> {
    fn of(counted: &'r MessageCount) -> Self {
        let LacMessage {
            message_type,
            result,
            error,
            ref text,
        } = counted.message;
        Self {
            message_type,
            result,
            error,
            text: text.as_deref(),
            count: counted.count,
        }
    }
}
