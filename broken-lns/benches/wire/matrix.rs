//! The same at flood, but for other numbers of LACs, other headers, and in generic mode.

use anyhow::Result;
use broken_lns::mode::{Wait, XdpMode};

use crate::Effort;
use crate::bed::Bed;
use crate::contender::Contender;
use crate::flood::OFFER;
use crate::reply::Reply;
use crate::report::{SUMMARY, Table, Unit};
use crate::rounds::{Entry, Pair, Rounds};
use crate::traffic::{Traffic, Wrapping};
use crate::window::Window;

/// Numbers of LACs besides the usual one.
const LACS: [u32; 4] = [1, 256, 65_536, 1_000_000];

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let others = LACS.map(|lacs| Traffic {
        lacs,
        ..Traffic::DEFAULT
    });
    let wrapped = [Wrapping::Ipv6, Wrapping::QinQ].map(|wrapping| Traffic {
        wrapping,
        ..Traffic::DEFAULT
    });
    let traffics = [&[Traffic::DEFAULT], &others[..], &wrapped[..]].concat();
    let beds: Result<Vec<Bed>> = traffics.into_iter().map(Bed::new).collect();
    let mut beds = beds?;

    let native = [Contender::REWRITE, Contender::REDIRECT];
    let generic = [
        Contender::Rewrite(Reply::Default, XdpMode::Generic),
        Contender::Redirect(Reply::Default, XdpMode::Generic, Wait::Sleep),
    ];
    let mut tables = Vec::new();
    for (native, generic) in native.into_iter().zip(generic) {
        let mut entries: Vec<Entry> = (0..)
            .zip(&beds)
            .map(|(bed, on)| Entry {
                name: on.traffic.name(),
                bed,
                contender: native,
            })
            .collect();
        entries.push(Entry {
            name: format!("{}, generic mode", Traffic::DEFAULT.name()),
            bed: 0,
            contender: generic,
        });
        let pairs: Vec<Pair> = (1..entries.len())
            .map(|other| Pair(other, 0, None))
            .collect();
        let what = native.name();
        let rounds = Rounds::run(&what, &mut beds, entries, effort, OFFER, effort.length)?;
        let answered = |window: &Window| window.returned;
        let mut rows = rounds.rows(Unit::PerSecond, answered);
        rows.extend(pairs.iter().map(|pair| rounds.ratio(*pair, answered)));
        tables.push(Table {
            title: format!("Answers at flood, {what}"),
            columns: SUMMARY.to_vec(),
            rows,
            thrown_away: rounds.voids.0,
        });
    }
    Ok(tables)
}
