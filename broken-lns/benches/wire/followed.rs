//! What it costs to follow LACs.

use std::slice;

use anyhow::Result;
use broken_lns::mode::Path;

use crate::Effort;
use crate::bed::Bed;
use crate::contender::Contender;
use crate::cost::in_rounds;
use crate::flood::OFFER;
use crate::report::{Row, SUMMARY, Table, Unit};
use crate::rounds::{Pair, Rounds};
use crate::traffic::Traffic;
use crate::window::Window;

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
    let rounds = Rounds::run(
        "followed, flood",
        slice::from_mut(&mut bed),
        contenders.map(Into::into).to_vec(),
        effort,
        OFFER,
        effort.length,
    )?;
    let answered = |window: &Window| window.returned;
    let mut rows = rounds.rows(Unit::PerSecond, answered);
    let pairs = [Pair(1, 0, None), Pair(2, 0, None), Pair(4, 3, None)];
    rows.extend(pairs.map(|pair| rounds.ratio(pair, answered)));
    let flood = Table {
        title: format!(
            "Answers at flood by LACs that are followed, {}",
            Traffic::DEFAULT.name()
        ),
        columns: SUMMARY.to_vec(),
        rows,
        thrown_away: rounds.voids.0,
    };
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
