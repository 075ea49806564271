//! `broken-lns doctor`: checks a machine and its interfaces without attaching anything.
//!
//! Each check is a function from facts to [`Finding`]s, so that tests can ask it about machines
//! that are not there; `facts` reads the facts of this one.

mod facts;
mod finding;
mod firewall;
mod interface;
mod lns;
mod machine;
mod show;

use anyhow::{Context as _, Result};

pub use finding::{Finding, Findings, State};

use crate::cli::Doctor;
use crate::interface::Interface;
use crate::output::{Palette, print};

/// Something stands in the way; what it is has been printed.
#[derive(Debug, thiserror::Error)]
#[error("{} in the way: see above", match .0 { 1 => "1 problem is".to_owned(), many => format!("{many} problems are") })]
pub struct InTheWay(usize);

/// Checks what the flags name, and prints a line for each finding.
///
/// # Errors
///
/// [`InTheWay`], where a run would fail or lose requests; and where standard output is closed.
pub fn doctor(flags: &Doctor) -> Result<()> {
    let findings = examine(flags);
    let text = if flags.json {
        show::json(&findings)?
    } else {
        show::text(&findings, &Palette::of(&std::io::stdout()))
    };
    print(&text).context("cannot write to standard output")?;
    match findings.problems() {
        0 => Ok(()),
        problems => Err(InTheWay(problems).into()),
    }
}

/// Everything that is found.
fn examine(flags: &Doctor) -> Findings {
    let mut findings = Findings::default();
    let machine = facts::Machine::read();
    findings.about("machine", machine::check(&machine));
    findings.about("machine", firewall::check(&facts::firewall()));
    let hosts_own = facts::addresses();
    for name in &flags.interfaces {
        let interface = match Interface::by_name(name) {
            Ok(interface) => interface,
            Err(error) => {
                findings.about(name, [interface::unusable(&error)]);
                continue;
            }
        };
        let occupants = interface.attached_programs();
        // A run is native or has workers unless its flags say otherwise.
        let tags = interface.vlan_tags_now(true);
        findings.about(
            name,
            interface::check(&interface, occupants, &tags, &machine),
        );
        for prefix in &flags.lns {
            findings.about(name, lns::check(*prefix, &interface, &hosts_own));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_problems_is_in_the_error() {
        for (problems, message) in [
            (1, "1 problem is in the way: see above"),
            (3, "3 problems are in the way: see above"),
        ] {
            assert_eq!(InTheWay(problems).to_string(), message);
        }
    }
}
