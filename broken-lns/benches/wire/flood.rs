//! Answers a second when requests come without a pause.

use std::slice;

use anyhow::Result;
use broken_lns::mode::{Wait, XdpMode};

use crate::Effort;
use crate::bed::{Bed, Offer};
use crate::contender::Contender;
use crate::contract::FLOOD;
use crate::reply::Reply;
use crate::report::{SUMMARY, Table, Target, Unit};
use crate::rounds::{Pair, Rounds};
use crate::traffic::Traffic;
use crate::window::Window;

/// Requests without a pause, in batches as large as the kernel's own.
pub(crate) const OFFER: Offer = Offer {
    pace: FLOOD,
    batch: 64,
};

/// Measures it.
pub(crate) fn run(effort: Effort) -> Result<Vec<Table>> {
    let rewrite = |reply| Contender::Rewrite(reply, XdpMode::Native);
    let contenders = [
        Contender::Bounce,
        Contender::REWRITE,
        rewrite(Reply::LongestMessage),
        rewrite(Reply::LongestTemplate),
        Contender::Echo(Wait::Adaptive),
        Contender::CrateEcho,
        Contender::REDIRECT,
        Contender::Udp(Wait::Sleep),
        Contender::Scapy,
    ];
    let [
        bounce,
        rewrite,
        message,
        template,
        echo,
        on_crate,
        redirect,
        udp,
    ] = [0, 1, 2, 3, 4, 5, 6, 7];
    let pairs = [
        Pair(rewrite, bounce, Some(Target::AtLeast(0.88))),
        Pair(message, rewrite, None),
        Pair(template, rewrite, Some(Target::AtLeast(0.8))),
        Pair(echo, on_crate, None),
        Pair(redirect, echo, Some(Target::AtLeast(0.97))),
        Pair(rewrite, udp, Some(Target::AtLeast(15.0))),
        Pair(redirect, udp, Some(Target::AtLeast(3.3))),
    ];
    let mut bed = Bed::new(Traffic::DEFAULT)?;
    let title = format!("Answers at flood, {}", Traffic::DEFAULT.name());
    let sides = Sides {
        contenders: &contenders,
        pairs: &pairs,
    };
    Ok(vec![table("flood", title, &mut bed, sides, effort)?])
}

/// Contenders side by side, and what of them is compared.
#[derive(Clone, Copy)]
pub(crate) struct Sides<'s> {
    pub(crate) contenders: &'s [Contender],
    pub(crate) pairs: &'s [Pair],
}

/// What these contenders answer a second at flood, and the ratios between them.
pub(crate) fn table(
    what: &str,
    title: String,
    bed: &mut Bed,
    sides: Sides<'_>,
    effort: Effort,
) -> Result<Table> {
    let entries = sides.contenders.iter().map(|contender| (*contender).into());
    let rounds = Rounds::run(
        what,
        slice::from_mut(bed),
        entries.collect(),
        effort,
        OFFER,
        effort.length,
    )?;
    let answered = |window: &Window| window.returned;
    let mut rows = rounds.rows(Unit::PerSecond, answered);
    rows.extend(sides.pairs.iter().map(|pair| rounds.ratio(*pair, answered)));
    Ok(Table {
        title,
        columns: SUMMARY.to_vec(),
        rows,
        thrown_away: rounds.voids.0,
    })
}
