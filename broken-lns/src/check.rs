//! `broken-lns check`: looks a scenario over without running it.

use anyhow::Result;

use crate::cli::Check;
use crate::printable;
use crate::refusal::Refusal;
use crate::scenario::{Prefix, Scenario};

/// LNSs in no group that are named.
const NAMED: usize = 20;

/// What there is in the scenario, in one line, and in another one what is in no group.
///
/// # Errors
///
/// Every mistake in the file.
pub fn check(flags: &Check) -> Result<String> {
    let scenario = Scenario::load(&flags.file, &Refusal::default())?;
    let summary = scenario.summary();
    let ungrouped = in_no_group(&scenario.ungrouped()).unwrap_or_default();
    let file = printable::line(&flags.file.display().to_string());
    Ok(format!("{file}: {summary}\n{ungrouped}"))
}

/// A line that names LNSs which are in no group; `None` where there are none.
fn in_no_group(lns: &[Prefix]) -> Option<String> {
    let named: Vec<_> = lns.iter().take(NAMED).map(Prefix::to_string).collect();
    let named = named.join(", ");
    match lns {
        [] => None,
        [_] => Some(format!("{named} is in no group\n")),
        _ if lns.len() <= NAMED => Some(format!("{named} are in no group\n")),
        _ => Some(format!(
            "{named} and {} more are in no group\n",
            lns.len() - NAMED
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn what_is_in_no_group_is_named() {
        let lns = |count: u8| (0..count).map(|at| Prefix::from(IpAddr::from([192, 0, 2, at])));
        let line = |count| in_no_group(&lns(count).collect::<Vec<_>>());
        assert_eq!(line(0), None);
        assert_eq!(line(1).as_deref(), Some("192.0.2.0 is in no group\n"));
        let two = "192.0.2.0, 192.0.2.1 are in no group\n";
        assert_eq!(line(2).as_deref(), Some(two));
        let many = line(23).expect("there are many");
        let end = ", 192.0.2.19 and 3 more are in no group\n";
        assert!(many.ends_with(end), "{many}");
    }
}
