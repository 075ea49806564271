//! Reads a fault and its modifiers from a table of the file.

use std::net::IpAddr;
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32};
use std::time::Duration;

use super::error::Reason;
use super::fault::{CYCLE_MAX, FaultName, Knob, Sends, UnreachableCode};
use super::garble::GarbleKind;
use super::modifiers::{
    Chance, DELAY_MAX, Delay, LASTING_MAX, MODIFIERS, Modifiers, Phase, REPEAT_MAX,
};
use super::reader::{Entry, Reader, Table};
use super::{Fault, NESTING_MAX, Prefix, Treatment};
use crate::codes::{ErrorCode, ResultCode};
use crate::refusal::{DEFAULT_ERROR_MESSAGE, Refusal};

/// What a treatment is read for.
#[derive(Clone, Copy)]
pub(super) struct Scope<'s> {
    /// The tunnel id of a refusal that names none.
    pub(super) assigned_tunnel_id: NonZeroU16,
    /// The LNS addresses it is for; none where it is for any.
    pub(super) lns: &'s [Prefix],
    /// The treatments around it.
    pub(super) depth: usize,
    /// What it stands in.
    pub(super) within: Within,
}

/// What a treatment stands in, which decides whether attempts are counted for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Within {
    /// A rule, or a `then` of one: attempts are counted for each LAC and LNS.
    Rule,
    /// An alternative of such a one.
    Otherwise,
    /// A fault of a cycle.
    Cycle,
}

impl Scope<'_> {
    fn inside(self, within: Within) -> Self {
        Self {
            depth: self.depth + 1,
            within: match (self.within, within) {
                (Within::Cycle, _) => Within::Cycle,
                (around, Within::Rule) => around,
                (_, within) => within,
            },
            ..self
        }
    }
}

/// What a key of a treatment takes, where a fault has to stand.
pub(super) const FAULT: &str = "the name of a fault, or a table with a `fault`";

impl Reader {
    /// The treatment in a table that may have other keys, too.
    pub(super) fn treatment(
        &mut self,
        table: &Table<'_>,
        others: &[&'static str],
        scope: Scope<'_>,
    ) -> Option<Treatment> {
        let name = match table.get("fault") {
            Some(entry) => self.name(entry, "fault", FaultName::ALL, FaultName::name),
            None => {
                let expected = "a fault of `broken-lns faults`, such as \"refuse\"";
                self.missing(table, "fault", expected);
                None
            }
        };
        self.check_keys(table, others, name);
        let fault = name.and_then(|name| self.fault(name, table, scope));
        let modifiers = self.modifiers(name, table, scope);
        Some(Treatment {
            fault: fault?,
            modifiers,
        })
    }

    /// The treatment in a value: a table, or just the name of a fault.
    pub(super) fn nested(&mut self, entry: Entry<'_>, scope: Scope<'_>) -> Option<Treatment> {
        if scope.depth > NESTING_MAX {
            self.complain(entry.span(), Reason::TooDeep { limit: NESTING_MAX });
            return None;
        }
        if entry.as_text().is_some() {
            let name = self.name(entry, "fault", FaultName::ALL, FaultName::name)?;
            let fault = self.fault(name, &Table::empty(entry.span()), scope)?;
            return Some(fault.into());
        }
        let table = self.table(entry, FAULT)?;
        self.treatment(&table, &[], scope)
    }

    /// Complains about every key that has no business here.
    fn check_keys(&mut self, table: &Table<'_>, others: &[&'static str], fault: Option<FaultName>) {
        let keys = |knobs: &'static [Knob]| knobs.iter().map(|knob| knob.key);
        let owners = |key: &str| {
            let all = FaultName::ALL.iter().copied();
            let owners = all.filter(|fault| keys(fault.knobs()).any(|knob| knob == key));
            owners.map(|fault| format!("`{fault}`")).collect::<Vec<_>>()
        };
        let known = || {
            let own = fault.map_or(&[][..], FaultName::knobs);
            let known = others.iter().copied().chain(["fault"]);
            known.chain(keys(own)).chain(keys(MODIFIERS))
        };
        for (key, span) in table.keys() {
            if known().any(|known| known == key) {
                continue;
            }
            match (fault, owners(key).as_slice()) {
                (_, []) => self.unknown_key(key, span, known()),
                // The fault itself is wrong: nobody knows which keys it should have.
                (None, _) => {}
                (Some(fault), owners) => {
                    let reason = Reason::ForeignKey {
                        key: key.to_owned(),
                        fault,
                        owners: owners.join(" or "),
                    };
                    self.complain(span, reason);
                }
            }
        }
    }

    /// The fault of that name with its parameters.
    fn fault(&mut self, name: FaultName, table: &Table<'_>, scope: Scope<'_>) -> Option<Fault> {
        let default = Refusal::default();
        Some(match name {
            FaultName::Refuse => Fault::Refuse(self.refusal(table, default.result(), scope)?),
            FaultName::Silent => Fault::Silent,
            FaultName::Pass => Fault::Pass,
            FaultName::CodeInAddress => Fault::CodeInAddress,
            FaultName::Unreachable => Fault::Unreachable {
                code: match table.get("code") {
                    Some(entry) => {
                        let (all, name) = (UnreachableCode::ALL, UnreachableCode::name);
                        self.name(entry, "unreachable code", all, name)?
                    }
                    None => UnreachableCode::default(),
                },
                from_address: match table.get("from_address") {
                    Some(entry) => Some(self.sender(entry, scope)?),
                    None => None,
                },
            },
            FaultName::Acknowledge => Fault::Acknowledge,
            FaultName::Cycle => Fault::Cycle(self.cycle(table, scope)?),
            FaultName::Garble => self.garble(table, scope)?,
        })
    }

    /// The refusal in a table.
    fn refusal(
        &mut self,
        table: &Table<'_>,
        default: ResultCode,
        scope: Scope<'_>,
    ) -> Option<Refusal> {
        let result = match table.get("result") {
            Some(entry) => self.code(entry, "a number from 0 to 65535 or the name of a code"),
            None => Some(default),
        };
        let error = match table.get("error") {
            Some(entry) if entry.as_text() == Some("none") => Some(None),
            Some(entry) => {
                let expected = "a number from 0 to 65535, the name of a code, or \"none\"";
                self.code::<ErrorCode>(entry, expected).map(Some)
            }
            None => Some(Refusal::default().error()),
        };
        let message = match table.get("message") {
            Some(entry) => self.text(entry),
            None if error == Some(None) => Some(""),
            None => Some(DEFAULT_ERROR_MESSAGE),
        };
        let assigned_tunnel_id = match table.get("assigned_tunnel_id") {
            Some(entry) => self.tunnel_id(entry),
            None => Some(scope.assigned_tunnel_id),
        };
        let span = table
            .get("message")
            .map_or(table.span.clone(), |entry| entry.span());
        Refusal::new(result?, error?, message?, assigned_tunnel_id?)
            .map_err(|error| self.complain(span, error))
            .ok()
    }

    /// A tunnel id.
    pub(super) fn tunnel_id(&mut self, entry: Entry<'_>) -> Option<NonZeroU16> {
        let number = self.number(entry, 1..=u64::from(u16::MAX))?;
        NonZeroU16::new(u16::try_from(number).ok()?)
    }

    /// The sender of an ICMP message.
    fn sender(&mut self, entry: Entry<'_>, scope: Scope<'_>) -> Option<IpAddr> {
        let address = entry.as_text().and_then(|text| text.parse::<IpAddr>().ok());
        let unicast = address.filter(|address| match address {
            IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
            IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast()),
        });
        let Some(from_address) = unicast else {
            self.expected(entry, "the address of one host, such as \"192.0.2.254\"");
            return None;
        };
        let other = |prefix: &&Prefix| prefix.address().is_ipv4() != from_address.is_ipv4();
        if let Some(prefix) = scope.lns.iter().find(other).copied() {
            let reason = Reason::OtherFamily {
                from_address,
                prefix,
            };
            self.complain(entry.span(), reason);
        }
        Some(from_address)
    }

    /// The faults of a cycle.
    fn cycle(&mut self, table: &Table<'_>, scope: Scope<'_>) -> Option<Vec<Treatment>> {
        if scope.within == Within::Cycle {
            let reason = Reason::Misplaced {
                what: "fault `cycle`".to_owned(),
                within: "another `cycle`",
                instead: "write its faults into that one",
            };
            self.complain(table.span.clone(), reason);
            return None;
        }
        let expected = "a list of 1 to 256 faults";
        let Some(entry) = table.get("faults") else {
            self.missing(table, "faults", expected);
            return None;
        };
        let members = self.list(entry, expected)?;
        if !(1..=CYCLE_MAX).contains(&members.len()) {
            self.wrong_length(entry, members.len(), expected);
            return None;
        }
        let scope = scope.inside(Within::Cycle);
        let members = members.filter_map(|member| self.nested(member, scope));
        Some(members.collect())
    }

    /// The garbled refusal in a table.
    fn garble(&mut self, table: &Table<'_>, scope: Scope<'_>) -> Option<Fault> {
        let Some(entry) = table.get("kind") else {
            let expected = "a kind of `broken-lns faults`, such as \"wrong-tunnel-id\"";
            self.missing(table, "kind", expected);
            return None;
        };
        let kind = self.name(entry, "garble kind", GarbleKind::ALL, GarbleKind::name);
        // A reserved result would be a second wrong thing, so it is not what a garble begins with.
        let refusal = self.refusal(table, ResultCode(2), scope);
        let (kind, refusal) = (kind?, refusal?);
        kind.check(&refusal)
            .map_err(|error| self.complain(entry.span(), error))
            .ok()?;
        Some(Fault::Garble { kind, refusal })
    }

    /// The modifiers in a table.
    fn modifiers(
        &mut self,
        fault: Option<FaultName>,
        table: &Table<'_>,
        scope: Scope<'_>,
    ) -> Modifiers {
        if let Some(fault) = fault {
            self.check_fit(fault, table);
        }
        let default = Modifiers::default();
        let repeat = table.get("repeat").and_then(|entry| {
            let number = self.number(entry, 1..=u64::from(REPEAT_MAX))?;
            NonZeroU8::new(u8::try_from(number).ok()?)
        });
        let retransmit = table.get("retransmit").and_then(|entry| self.switch(entry));
        let loss = table.get("loss").and_then(|entry| self.probability(entry));
        Modifiers {
            delay: self.delay(table),
            repeat: repeat.unwrap_or(default.repeat),
            retransmit: retransmit.unwrap_or(default.retransmit),
            loss: loss.unwrap_or(default.loss),
            chance: self.chance(table, scope),
            phase: self.phase(table, scope),
        }
    }

    /// Complains about the modifiers that do nothing to the fault.
    fn check_fit(&mut self, fault: FaultName, table: &Table<'_>) {
        let (keys, why): (&[&'static str], _) = match fault.sends() {
            Sends::StopCcn => return,
            Sends::Other => (&["retransmit"], "sends no StopCCN"),
            Sends::Nothing => (
                &["delay", "jitter", "repeat", "retransmit", "loss"],
                "sends nothing",
            ),
            Sends::Members => (
                &["delay", "jitter", "repeat", "retransmit", "loss"],
                "sends what the faults in its list send; give it to those",
            ),
        };
        for &key in keys {
            if let Some(entry) = table.get(key) {
                let reason = Reason::Pointless { key, fault, why };
                self.complain(entry.span(), reason);
            }
        }
    }

    /// How long the reply is put off.
    fn delay(&mut self, table: &Table<'_>) -> Option<Delay> {
        let mean = table.get("delay").map(|entry| self.time(entry, DELAY_MAX));
        let Some(entry) = table.get("jitter") else {
            return Some(Delay {
                mean: mean??,
                jitter: Duration::ZERO,
            });
        };
        let jitter = self.time(entry, DELAY_MAX);
        let Some(mean) = mean else {
            self.alone(entry, "jitter", "`delay`");
            return None;
        };
        let (mean, jitter) = (mean?, jitter?);
        if jitter > mean {
            self.complain(entry.span(), Reason::JitterTooLong { delay: mean });
        }
        Some(Delay { mean, jitter })
    }

    /// Which attempts meet the fault.
    fn chance(&mut self, table: &Table<'_>, scope: Scope<'_>) -> Option<Chance> {
        let probability = table.get("probability");
        let otherwise = table.get("otherwise");
        match (probability, otherwise) {
            (Some(entry), None) => self.alone(entry, "probability", "`otherwise`"),
            (None, Some(entry)) => self.alone(entry, "otherwise", "`probability`"),
            _ => {}
        }
        let probability = probability.map(|entry| self.probability(entry));
        let scope = scope.inside(Within::Otherwise);
        let otherwise = otherwise.map(|entry| self.nested(entry, scope));
        Some(Chance {
            probability: probability??,
            otherwise: Box::new(otherwise??),
        })
    }

    /// How long the fault acts.
    fn phase(&mut self, table: &Table<'_>, scope: Scope<'_>) -> Option<Phase> {
        let (first, lasting) = (table.get("first"), table.get("for"));
        let then = table.get("then");
        for (key, entry) in [("first", first), ("for", lasting)] {
            let Some(entry) = entry else { continue };
            if then.is_none() {
                self.alone(entry, key, "`then`");
            }
            if scope.within != Within::Rule {
                let (within, instead) = match scope.within {
                    Within::Cycle => ("a `cycle`", "put the cycle into a `then`"),
                    _ => ("`otherwise`", "put it beside `probability`"),
                };
                let reason = Reason::Misplaced {
                    what: format!("`{key}`"),
                    within,
                    instead,
                };
                self.complain(entry.span(), reason);
            }
        }
        if let (None, None, Some(entry)) = (first, lasting, then) {
            self.alone(entry, "then", "`first` or `for`");
        }
        let first = first.map(|entry| {
            let number = self.number(entry, 1..=u64::from(u32::MAX))?;
            NonZeroU32::new(u32::try_from(number).ok()?)
        });
        let lasting = lasting.map(|entry| self.time(entry, LASTING_MAX));
        let then = then.map(|entry| self.nested(entry, scope.inside(Within::Rule)));
        Some(Phase {
            first: first.flatten(),
            lasting: lasting.flatten(),
            then: Box::new(then??),
        })
    }

    /// Notes that a key does nothing without another.
    fn alone(&mut self, entry: Entry<'_>, key: &'static str, needs: &'static str) {
        self.complain(entry.span(), Reason::Alone { key, needs });
    }
}
