//! Writes a scenario as the text of a file, from which the same scenario is read.

use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use super::expect::{Lockout, Terms};
use super::{Expectation, Fault, Group, LacRule, LnsRule, Modifiers, Scenario, Treatment};
use crate::refusal::Refusal;

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = Some(self.assigned_tunnel_id);
        writeln!(f, "assigned_tunnel_id = {}", self.assigned_tunnel_id)?;
        writeln!(f, "seed = {}", self.seed)?;
        writeln!(f, "\n[default]\n{}", lines(&fields(&self.default, id)))?;
        write_expectation(f, self.default_expect.as_ref())?;
        for Group { name, lns } in self.groups.all() {
            let (name, lns) = (quoted(name), one_or_more(lns));
            writeln!(f, "\n[[group]]\nname = {name}\nlns = {lns}")?;
        }
        for LnsRule {
            prefixes,
            treatment,
            expect,
            lacs,
            ..
        } in &self.rules
        {
            writeln!(f, "\n[[lns]]\naddress = {}", one_or_more(prefixes))?;
            if let Some(treatment) = treatment {
                writeln!(f, "{}", lines(&fields(treatment, id)))?;
            }
            write_expectation(f, expect.as_ref())?;
            for LacRule {
                prefixes,
                name,
                treatment,
                expect,
                ..
            } in lacs
            {
                writeln!(f, "\n[[lns.lac]]")?;
                if !prefixes.is_empty() {
                    writeln!(f, "address = {}", one_or_more(prefixes))?;
                }
                if let Some(name) = name {
                    writeln!(f, "lac_name = {}", quoted(&name.to_string()))?;
                }
                writeln!(f, "{}", lines(&fields(treatment, id)))?;
                write_expectation(f, expect.as_ref())?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Treatment {
    /// The keys and values of a file in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_a_row(&fields(self, None)))
    }
}

/// A key with its value in TOML.
type Field = (&'static str, String);

/// The fields, each in a line of its own.
fn lines(fields: &[Field]) -> String {
    let lines = fields.iter().map(|(key, value)| format!("{key} = {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The fields in one line.
fn in_a_row(fields: &[Field]) -> String {
    let fields = fields.iter().map(|(key, value)| format!("{key} = {value}"));
    fields.collect::<Vec<_>>().join(", ")
}

/// What there is to say of a treatment; the tunnel id only where it is not `usual_id`.
fn fields(treatment: &Treatment, usual_id: Option<NonZeroU16>) -> Vec<Field> {
    let nested = |treatment: &Treatment| {
        let fields = fields(treatment, usual_id);
        match fields.as_slice() {
            // Where nothing but the name would be there, the name is enough.
            [(_, name)] => name.clone(),
            fields => format!("{{ {} }}", in_a_row(fields)),
        }
    };
    let mut fields = vec![("fault", quoted(treatment.fault.name().name()))];
    match &treatment.fault {
        Fault::Silent | Fault::Pass | Fault::CodeInAddress | Fault::Acknowledge => {}
        Fault::Refuse(refusal) => fields.extend(refusal_fields(refusal, usual_id)),
        Fault::Garble { kind, refusal } => {
            fields.push(("kind", quoted(kind.name())));
            fields.extend(refusal_fields(refusal, usual_id));
        }
        Fault::Unreachable { code, from_address } => {
            fields.push(("code", quoted(code.name())));
            let address = from_address.iter();
            fields.extend(address.map(|address| ("from_address", quoted(&address.to_string()))));
        }
        Fault::Cycle(members) => {
            let members: Vec<_> = members.iter().map(nested).collect();
            fields.push(("faults", format!("[{}]", members.join(", "))));
        }
    }
    let Modifiers {
        delay,
        repeat,
        retransmit,
        loss,
        chance,
        phase,
    } = &treatment.modifiers;
    let default = Modifiers::default();
    if let Some(delay) = delay {
        fields.push(("delay", time(delay.mean)));
        if !delay.jitter.is_zero() {
            fields.push(("jitter", time(delay.jitter)));
        }
    }
    if *repeat != default.repeat {
        fields.push(("repeat", repeat.to_string()));
    }
    if *retransmit != default.retransmit {
        fields.push(("retransmit", retransmit.to_string()));
    }
    if *loss != default.loss {
        fields.push(("loss", loss.to_string()));
    }
    if let Some(chance) = chance {
        fields.push(("probability", chance.probability.to_string()));
        fields.push(("otherwise", nested(&chance.otherwise)));
    }
    if let Some(phase) = phase {
        fields.extend(phase.first.map(|first| ("first", first.to_string())));
        fields.extend(phase.lasting.map(|lasting| ("for", time(lasting))));
        fields.push(("then", nested(&phase.then)));
    }
    fields
}

/// What there is to say of a refusal.
fn refusal_fields(refusal: &Refusal, usual_id: Option<NonZeroU16>) -> Vec<Field> {
    let mut fields = vec![("result", refusal.result().0.to_string())];
    match refusal.error() {
        Some(error) => {
            fields.push(("error", error.0.to_string()));
            fields.push(("message", quoted(refusal.message())));
        }
        None => fields.push(("error", quoted("none"))),
    }
    let id = refusal.assigned_tunnel_id();
    if usual_id != Some(id) {
        fields.push(("assigned_tunnel_id", id.to_string()));
    }
    fields
}

/// What a rule expects, if anything, in a line of its own.
fn write_expectation(f: &mut fmt::Formatter<'_>, expect: Option<&Expectation>) -> fmt::Result {
    match expect {
        Some(expect) => writeln!(f, "expect = {expect}"),
        None => Ok(()),
    }
}

impl fmt::Display for Expectation {
    /// The value of `expect` in a file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile(profile) => f.write_str(&quoted(profile.name())),
            Self::Terms(terms) => write!(f, "{{ {} }}", in_a_row(&terms_fields(terms))),
        }
    }
}

/// What there is to say of the terms of an expectation.
fn terms_fields(terms: &Terms) -> Vec<Field> {
    let Terms {
        reactions,
        to,
        within,
        acknowledge,
        lockout,
    } = terms;
    let mut fields = Vec::new();
    if !reactions.is_empty() {
        let names = reactions.iter().map(|reaction| reaction.name());
        fields.push(("reaction", one_or_more(names)));
    }
    if !to.is_empty() {
        fields.push(("to", one_or_more(to)));
    }
    fields.extend(within.map(|within| ("within", time(within))));
    fields.extend(acknowledge.map(|on| ("acknowledge", on.to_string())));
    if let Some(Lockout { min, max }) = lockout {
        let min = min.map(|min| ("min", time(min)));
        let max = max.map(|max| ("max", time(max)));
        let bounds: Vec<_> = min.into_iter().chain(max).collect();
        fields.push(("lockout", format!("{{ {} }}", in_a_row(&bounds))));
    }
    fields
}

/// Texts, as a list where there are several.
fn one_or_more(values: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let values = values.into_iter().map(|value| quoted(&value.to_string()));
    let values: Vec<_> = values.collect();
    match values.as_slice() {
        [value] => value.clone(),
        values => format!("[{}]", values.join(", ")),
    }
}

/// A time with its unit.
fn time(time: Duration) -> String {
    quoted(&humantime::format_duration(time).to_string())
}

/// A text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        character if character.is_ascii_control() => format!("\\u{:04x}", u32::from(character)),
        character => character.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

#[cfg(test)]
mod tests;
