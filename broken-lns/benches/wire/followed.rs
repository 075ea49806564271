//! What it costs to follow LACs.

use anyhow::Result;
use broken_lns::mode::Path;

use crate::Effort;
use crate::bed::Bed;
use crate::contender::Contender;
use crate::cost::in_rounds;
use crate::flood::{self, Sides};
use crate::report::{Row, SUMMARY, Table, Unit};
use crate::rounds::Pair;
use crate::traffic::Traffic;

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let contenders = [
        Contender::REWRITE,
        Contender::Followed(Path::Rewrite, 100),
        Contender::Followed(Path::Rewrite, 1),
        Contender::REDIRECT,
        Contender::Followed(Path::Redirect, 1),
    ];
    let mut bed = Bed::new(Traffic::DEFAULT)?;
    let title = format!(
        "Answers at flood by LACs that are followed, {}",
        Traffic::DEFAULT.name()
    );
    let [rewrite, some, all, redirect, all_redirected] = [0, 1, 2, 3, 4];
    let sides = Sides {
        contenders: &contenders,
        pairs: &[
            Pair(some, rewrite, None),
            Pair(all, rewrite, None),
            Pair(all_redirected, redirect, None),
        ],
    };
    let flood = flood::table("followed, flood", title, &mut bed, sides, effort)?;
    let costs = in_rounds("followed, cost", &mut bed, contenders, effort)?;
    let rows = contenders.iter().zip(&costs);
    let rows = rows.map(|(it, costs)| Row::summary(it.name(), Unit::Nanoseconds, costs));
    let cost = Table {
        title: "The XDP program by LACs that are followed, a frame, statistics included".to_owned(),
        columns: SUMMARY.to_vec(),
        rows: rows.collect(),
        thrown_away: Vec::new(),
    };
    Ok(vec![flood, cost])
}
