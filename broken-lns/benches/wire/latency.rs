//! Round trips from the LAC's interface and back, at a load that is far from any limit.

use std::slice;

use anyhow::Result;
use broken_lns::mode::{Wait, XdpMode};

use crate::Effort;
use crate::bed::{Bed, Offer};
use crate::contender::Contender;
use crate::meter::quantile;
use crate::reply::Reply;
use crate::report::{Row, SUMMARY, Summary, Table, Target, Unit};
use crate::rounds::{Pair, Rounds};
use crate::traffic::Traffic;
use crate::window::{Length, Window};

/// 10,000 requests a second, each on its way as soon as it is made.
pub(crate) const OFFER: Offer = Offer {
    pace: 100_000,
    batch: 1,
};

/// The quantiles that are shown.
const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
const P50: usize = 0;
const P99: usize = 1;

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    use Wait::{Adaptive, Sleep, Spin};
    let redirect = |wait| Contender::Redirect(Reply::Default, XdpMode::Native, wait);
    let contenders = [
        Contender::Bounce,
        Contender::REWRITE,
        Contender::Echo(Spin),
        redirect(Spin),
        redirect(Adaptive),
        Contender::Echo(Sleep),
        redirect(Sleep),
        Contender::Udp(Spin),
        Contender::Udp(Sleep),
    ];
    let [
        bounce,
        rewrite,
        busy_echo,
        busy,
        adaptive,
        _,
        redirect,
        _,
        udp,
    ] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
    let pairs = [
        (P50, Pair(rewrite, bounce, Some(Target::AtMost(1.05)))),
        (P99, Pair(rewrite, bounce, Some(Target::AtMost(1.2)))),
        (P50, Pair(busy, busy_echo, Some(Target::AtMost(1.1)))),
        (P50, Pair(adaptive, busy, Some(Target::AtMost(1.3)))),
        (P50, Pair(redirect, udp, Some(Target::AtMost(0.9)))),
    ];
    let mut bed = Bed::new(Traffic {
        // So few that each has its answer before it is its turn again.
        lacs: 4096,
        timed: true,
        ..Traffic::DEFAULT
    })?;
    let length = Length {
        window: effort.length.window * 2,
        ..effort.length
    };
    let rounds = Rounds::run(
        "round trips",
        slice::from_mut(&mut bed),
        contenders.map(Into::into).to_vec(),
        effort,
        OFFER,
        length,
    )?;

    // A window without a round trip has none that could be judged.
    let at = |share: f64| {
        move |window: &Window| quantile(&window.round_trips, share).unwrap_or(f64::NAN)
    };
    let median = |values: Vec<f64>| Summary::of(&values).map(|summary| summary.median);
    let rows = (0..contenders.len()).map(|index| Row {
        name: rounds.name(index).to_owned(),
        unit: Unit::Nanoseconds,
        values: QUANTILES
            .iter()
            .map(|(_, share)| median(rounds.values(index, at(*share))))
            .collect(),
        target: None,
    });
    let ratios = pairs.map(|(index, pair)| {
        let (name, share) = QUANTILES[index];
        let row = rounds.ratio(pair, at(share));
        Row {
            name: format!("{name} of {}", row.name),
            ..row
        }
    });
    Ok(vec![
        Table {
            title: "Round trips at 10,000/s, medians".to_owned(),
            columns: QUANTILES.map(|(name, _)| name).to_vec(),
            rows: rows.collect(),
            thrown_away: rounds.voids.0,
        },
        Table {
            title: "Ratios of round trips".to_owned(),
            columns: SUMMARY.to_vec(),
            rows: ratios.to_vec(),
            thrown_away: Vec::new(),
        },
    ])
}
