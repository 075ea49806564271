//! The host's firewall. Frames that are answered never come to it; those that a `pass` rule
//! leaves to the host do.

use serde_json::Value;

use super::finding::Finding;

/// What can be read of the firewall.
#[derive(Clone, Debug)]
pub(super) struct Firewall {
    /// What `nft -j list ruleset` printed, or why it did not.
    pub(super) nftables: Result<String, String>,
    /// Whether the legacy iptables have a `filter` table.
    pub(super) iptables: bool,
}

/// A chain of nftables that can drop what comes in for the host.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chain {
    family: String,
    table: String,
    name: String,
}

const CHECK: &str = "firewall";
/// Whom it concerns.
const CONCERNS: &str = "what a `pass` rule leaves to this host";

/// What there is to say of it.
pub(super) fn check(firewall: &Firewall) -> Vec<Finding> {
    let chains = match &firewall.nftables {
        Ok(ruleset) => dropping(ruleset),
        Err(reason) => Err(reason.as_str()),
    };
    let mut findings = match chains {
        Ok(chains) => chains.into_iter().map(may_drop).collect(),
        Err(reason) => vec![Finding::note(
            CHECK,
            format!("rules of nftables cannot be read ({reason}); they may drop {CONCERNS}"),
        )],
    };
    if firewall.iptables {
        findings.push(
            Finding::note(
                CHECK,
                format!("iptables has rules, which may drop {CONCERNS}"),
            )
            .typing("iptables -S INPUT"),
        );
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, format!("nothing drops {CONCERNS}")));
    }
    findings
}

/// What there is to say of a chain that may drop something.
fn may_drop(chain: Chain) -> Finding {
    let Chain {
        family,
        table,
        name,
    } = chain;
    Finding::note(
        CHECK,
        format!("nftables chain {family} {table} {name} may drop {CONCERNS}"),
    )
    .typing(format!(
        "nft insert rule {family} {table} {name} udp dport 1701 accept"
    ))
}

/// The chains that see what comes in and may drop it: by their policy, or by any rule of their
/// table, since they may jump to the chain that has it.
///
/// # Errors
///
/// Why the ruleset cannot be understood.
fn dropping(ruleset: &str) -> Result<Vec<Chain>, &'static str> {
    let ruleset = serde_json::from_str::<Value>(ruleset).ok();
    let objects = ruleset.as_ref().and_then(|it| it["nftables"].as_array());
    let objects = objects.ok_or("nft prints another JSON than is known here")?;
    let (mut chains, mut droppers) = (Vec::new(), Vec::new());
    for object in objects {
        if let Some(chain) = object.get("chain") {
            chains.push(chain);
        }
        if let Some(rule) = object.get("rule").filter(|rule| drops(rule)) {
            droppers.push((text(rule, "family"), text(rule, "table")));
        }
    }
    let base = chains.into_iter().filter(|chain| {
        let hook = text(chain, "hook");
        ["input", "prerouting", "ingress"].contains(&hook.as_str())
    });
    let may_drop = base.filter(|chain| {
        let of_table = (text(chain, "family"), text(chain, "table"));
        text(chain, "policy") == "drop" || droppers.contains(&of_table)
    });
    Ok(may_drop
        .map(|chain| Chain {
            family: text(chain, "family"),
            table: text(chain, "table"),
            name: text(chain, "name"),
        })
        .collect())
}

/// Whether a rule has a statement that drops or rejects.
fn drops(rule: &Value) -> bool {
    let statements = rule["expr"].as_array().into_iter().flatten();
    statements
        .filter_map(Value::as_object)
        .any(|statement| statement.contains_key("drop") || statement.contains_key("reject"))
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    /// What `nft -j list ruleset` printed for `chain input { type filter hook input priority 0;
    /// policy POLICY; }` with that rule in it.
    fn ruleset(policy: &str, rule: &str) -> Result<String, String> {
        Ok(format!(
            r#"{{"nftables": [{{"metainfo": {{"version": "1.0.6", "json_schema_version": 1}}}},
            {{"table": {{"family": "inet", "name": "filter", "handle": 1}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "input", "handle": 1,
              "type": "filter", "hook": "input", "prio": 0, "policy": "{policy}"}}}},
            {{"chain": {{"family": "inet", "table": "filter", "name": "output", "handle": 2,
              "type": "filter", "hook": "output", "prio": 0, "policy": "drop"}}}},
            {{"rule": {{"family": "inet", "table": "filter", "chain": "input", "handle": 3,
              "expr": [{rule}]}}}}]}}"#
        ))
    }

    #[test]
    fn a_chain_that_drops_what_comes_in_is_noted() {
        const COUNTS: &str = r#"{"counter": {"packets": 0, "bytes": 0}}"#;
        const DROPS: &str = r#"{"counter": {"packets": 0, "bytes": 0}}, {"drop": null}"#;
        const REJECTS: &str = r#"{"reject": {"type": "icmp", "expr": "port-unreachable"}}"#;
        for (policy, rule, state) in [
            ("accept", COUNTS, State::Ok),
            ("accept", DROPS, State::Note),
            ("accept", REJECTS, State::Note),
            ("drop", COUNTS, State::Note),
        ] {
            let findings = check(&Firewall {
                nftables: ruleset(policy, rule),
                iptables: false,
            });
            assert_eq!(findings.len(), 1);
            assert_eq!(findings[0].state, state, "{policy} {rule}");
            if state == State::Note {
                assert_eq!(
                    findings[0].command.as_deref(),
                    Some("nft insert rule inet filter input udp dport 1701 accept")
                );
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_said_to_be_good() {
        for nftables in [
            Err("nft cannot be run: no such file".to_owned()),
            Ok("{\"tables\": []}".to_owned()),
            Ok(String::new()),
        ] {
            let unknown = Firewall {
                nftables,
                iptables: true,
            };
            let findings = check(&unknown);
            let states: Vec<_> = findings.iter().map(|finding| finding.state).collect();
            assert_eq!(states, [State::Note, State::Note], "{unknown:?}");
        }
    }
}
