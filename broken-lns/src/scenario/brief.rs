//! A treatment in a few words, as reports call it.

use std::fmt::Write as _;

use super::garble::GarbleKind;
use super::modifiers::Probability;
use super::{Fault, Modifiers, Treatment};

impl Treatment {
    /// The fault with what tells it from others in a report: `refuse 2/4`, or
    /// `silent for the first 3, then pass`. All of it is what its `Display` has.
    pub fn brief(&self) -> String {
        let mut text = self.fault.brief();
        let Modifiers {
            delay,
            repeat,
            retransmit: _,
            loss: _,
            chance,
            phase,
        } = &self.modifiers;
        // A text takes whatever is written to it.
        if let Some(delay) = delay {
            let _ = write!(text, " after {}", humantime::format_duration(delay.mean));
        }
        if repeat.get() > 1 {
            let _ = write!(text, " {repeat} times");
        }
        if let Some(chance) = chance {
            let otherwise = chance.otherwise.brief();
            let _ = write!(
                text,
                " with probability {}, otherwise {otherwise}",
                chance.probability
            );
        }
        if let Some(phase) = phase {
            if let Some(first) = phase.first {
                let _ = write!(text, " for the first {first}");
            }
            if let Some(lasting) = phase.lasting {
                let _ = write!(text, " for {}", humantime::format_duration(lasting));
            }
            let _ = write!(text, ", then {}", phase.then.brief());
        }
        text
    }

    /// Whether it can come to a StopCCN, which a LAC has to acknowledge.
    pub fn refuses(&self) -> bool {
        let fault = match self.fault {
            Fault::Refuse(_) | Fault::CodeInAddress | Fault::Garble { .. } => true,
            Fault::Silent
            | Fault::Pass
            | Fault::Unreachable { .. }
            | Fault::Acknowledge
            | Fault::Cycle(_) => false,
        };
        fault || self.nested().any(Self::refuses)
    }

    /// Whether it can come to an acknowledgement and nothing more, after which a LAC waits.
    pub fn keeps_waiting(&self) -> bool {
        matches!(self.fault, Fault::Acknowledge) || self.nested().any(Self::keeps_waiting)
    }

    /// Whether it treats attempts differently: by chance, by their number or time, or in turn.
    pub fn varies(&self) -> bool {
        self.nested().next().is_some() || self.modifiers.loss != Probability::NEVER
    }

    /// The ways in which its answers may be wrong.
    pub fn garbles(&self) -> Vec<GarbleKind> {
        let own = match self.fault {
            Fault::Garble { kind, .. } => Some(kind),
            _ => None,
        };
        let nested = self.nested().flat_map(Self::garbles);
        own.into_iter().chain(nested).collect()
    }
}

impl Fault {
    fn brief(&self) -> String {
        let name = self.name();
        match self {
            Self::Silent | Self::Pass | Self::CodeInAddress | Self::Acknowledge => name.to_string(),
            Self::Refuse(refusal) => match refusal.error() {
                Some(error) => format!("{name} {}/{}", refusal.result().0, error.0),
                None => format!("{name} {}", refusal.result().0),
            },
            Self::Garble { kind, .. } => format!("{name} {kind}"),
            Self::Unreachable { code, .. } => format!("{name} {code}"),
            Self::Cycle(members) => {
                let members: Vec<_> = members.iter().map(Treatment::brief).collect();
                match members.as_slice() {
                    [first, second] => format!("{name} of {first} and {second}"),
                    members => format!("{name} of {} faults", members.len()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::refusal::Refusal;
    use crate::scenario::Scenario;

    #[test]
    fn a_treatment_is_told_in_a_few_words() {
        for (text, brief, refuses) in [
            ("fault = \"silent\"", "silent", false),
            ("fault = \"pass\"", "pass", false),
            ("fault = \"refuse\"", "refuse 0/4", true),
            (
                "fault = \"refuse\"\nresult = 2\nerror = \"none\"\ndelay = \"4s\"",
                "refuse 2 after 4s",
                true,
            ),
            (
                "fault = \"unreachable\"\ncode = \"port\"",
                "unreachable port",
                false,
            ),
            (
                "fault = \"garble\"\nkind = \"wrong-nr\"",
                "garble wrong-nr",
                true,
            ),
            (
                "fault = \"cycle\"\nfaults = [\"silent\", \"refuse\"]",
                "cycle of silent and refuse 0/4",
                true,
            ),
            (
                "fault = \"cycle\"\nfaults = [\"silent\", \"silent\", \"pass\"]",
                "cycle of 3 faults",
                false,
            ),
            (
                "fault = \"silent\"\nfirst = 3\nthen = \"pass\"",
                "silent for the first 3, then pass",
                false,
            ),
            (
                "fault = \"silent\"\nprobability = 0.25\notherwise = \"code-in-address\"",
                "silent with probability 0.25, otherwise code-in-address",
                true,
            ),
        ] {
            let text = format!("[default]\n{text}\n");
            let scenario = Scenario::parse("test.toml", &text, &Refusal::default()).expect(&text);
            assert_eq!(scenario.default.brief(), brief);
            assert_eq!(scenario.default.refuses(), refuses, "{brief}");
        }
    }
}
