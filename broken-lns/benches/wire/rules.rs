//! What rules cost the rewrite path. At flood, requests go to 65,536 scattered LNSs, of which so
//! many have a rule of their own: what a rule takes is hardly ever in a cache. The program's own
//! time is taken with one LNS that has a rule.

use anyhow::Result;

use crate::Effort;
use crate::bed::Bed;
use crate::contender::Contender;
use crate::cost::in_rounds;
use crate::flood::{self, Sides};
use crate::report::{Row, SUMMARY, Table, Target, Unit};
use crate::rounds::Pair;
use crate::traffic::Traffic;

/// The LNSs that are asked.
const LNSS: u32 = 65_536;
/// How many of them have a rule.
const RULES: [u32; 4] = [0, 1, 256, LNSS];

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let mut bed = Bed::new(Traffic {
        lnss: LNSS,
        ..Traffic::DEFAULT
    })?;
    let contenders = RULES.map(Contender::Rules);
    let [none, one, some, all] = [0, 1, 2, 3];
    let pairs = [
        Pair(one, none, None),
        Pair(some, one, None),
        Pair(all, one, Some(Target::AtLeast(0.9))),
    ];
    let title = format!("Answers at flood by rules, to {LNSS} LNSs");
    let sides = Sides {
        contenders: &contenders,
        pairs: &pairs,
    };
    let flood = flood::table("rules, flood", title, &mut bed, sides, effort)?;
    drop(bed);
    let mut bed = Bed::new(Traffic::DEFAULT)?;
    Ok(vec![flood, costs(&mut bed, contenders, effort)?])
}

/// Nanoseconds of the program.
fn costs(bed: &mut Bed, contenders: [Contender; 4], effort: Effort) -> Result<Table> {
    let costs = in_rounds("rules, cost", bed, contenders, effort)?;
    let mut rows: Vec<Row> = contenders
        .iter()
        .zip(&costs)
        .map(|(contender, costs)| Row::summary(contender.name(), Unit::Nanoseconds, costs))
        .collect();
    let [_, one, _, all] = &costs;
    let over: Vec<f64> = all.iter().zip(one).map(|(all, one)| all - one).collect();
    let name = format!("{} - {}", contenders[3].name(), contenders[1].name());
    rows.push(Row::summary(name, Unit::Nanoseconds, &over).target(Target::AtMost(15.0)));
    Ok(Table {
        title: "The XDP program by rules, one LNS, a frame, statistics included".to_owned(),
        columns: SUMMARY.to_vec(),
        rows,
        thrown_away: Vec::new(),
    })
}
