//! The panels: their columns, and the rows that are in them.

use std::cmp::Reverse;
use std::time::Duration;

use broken_lns_ebpf::verdict::Verdict;

use super::flow::Flow;
use super::model::{Model, Queue};
use crate::control::protocol::{LacLine, Reacted, RuleLine};
use crate::output::{lacs, prefixes, rate, thousands, time};
use crate::report::duration;

/// A part of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Panel {
    /// Frames by verdict.
    #[default]
    Verdicts,
    /// Answers by queue.
    Queues,
    /// Rules with their hits.
    Rules,
    /// The slowest and noisiest LACs.
    Lacs,
    /// What LACs did last.
    Reactions,
}

/// A column of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Cells of the terminal; `None` for all that are left.
    pub(super) width: Option<u16>,
    pub(super) is_number: bool,
}

const fn text(title: &'static str, width: u16) -> Column {
    Column {
        title,
        width: Some(width),
        is_number: false,
    }
}

const fn number(title: &'static str, width: u16) -> Column {
    Column {
        title,
        width: Some(width),
        is_number: true,
    }
}

const fn rest(title: &'static str) -> Column {
    Column {
        title,
        width: None,
        is_number: false,
    }
}

/// One row of a panel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Row<'m> {
    Verdict(Verdict, &'m Flow),
    Queue(&'m Queue),
    Rule(&'m RuleLine, f64),
    Lac(&'m LacLine),
    Reaction(&'m Reacted),
}

/// What is in one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Text(String),
    /// Rates, the latest first.
    Rates(Vec<u64>),
}

impl Panel {
    /// All of them, from top to bottom.
    pub(super) const ALL: [Self; 5] = [
        Self::Verdicts,
        Self::Queues,
        Self::Rules,
        Self::Lacs,
        Self::Reactions,
    ];

    /// Its columns.
    pub(super) const fn columns(self) -> &'static [Column] {
        match self {
            Self::Verdicts => {
                const {
                    &[
                        text("verdict", 20),
                        number("frames", 15),
                        number("a second", 13),
                        rest("rate so far"),
                    ]
                }
            }
            Self::Queues => {
                const {
                    &[
                        text("queue", 20),
                        number("answers", 15),
                        number("a second", 13),
                        number("dropped", 11),
                        rest("rate so far"),
                    ]
                }
            }
            Self::Rules => {
                const {
                    &[
                        text("rule", 9),
                        number("hits", 12),
                        number("a second", 11),
                        text("lns", 24),
                        rest("treatment"),
                    ]
                }
            }
            Self::Lacs => {
                const {
                    &[
                        text("lac", 39),
                        number("messages", 14),
                        number("slowest", 12),
                        rest("host name"),
                    ]
                }
            }
            Self::Reactions => {
                const {
                    &[
                        number("after", 9),
                        text("lac", 22),
                        text("lns", 22),
                        rest("what it did"),
                    ]
                }
            }
        }
    }

    /// The columns by which it can be sorted: by the first one unless asked for another. A number
    /// sorts the largest first.
    pub(super) const fn sorts(self) -> &'static [usize] {
        match self {
            Self::Verdicts | Self::Queues => &[0, 2, 1],
            Self::Rules => &[0, 2, 1],
            Self::Lacs => &[1, 2],
            Self::Reactions => &[0, 1, 2],
        }
    }

    /// Its rows that contain `filter` in any case of letters, sorted by that column.
    pub(super) fn rows<'m>(self, model: &'m Model, filter: &str, column: usize) -> Vec<Row<'m>> {
        let mut rows: Vec<_> = match self {
            Self::Verdicts => {
                let verdicts = model.verdicts();
                verdicts
                    .map(|(verdict, flow)| Row::Verdict(verdict, flow))
                    .collect()
            }
            Self::Queues => model.queues().iter().map(Row::Queue).collect(),
            Self::Rules => model
                .rules()
                .map(|(rule, rate)| Row::Rule(rule, rate))
                .collect(),
            Self::Lacs => model.lacs().map(Row::Lac).collect(),
            Self::Reactions => model.reactions().map(Row::Reaction).collect(),
        };
        let filter = filter.to_lowercase();
        if !filter.is_empty() {
            rows.retain(|row| row.contains(&filter));
        }
        // What is equal stays in its order, which is that of the first column mostly.
        match (self, column) {
            (Self::Verdicts | Self::Queues | Self::Rules | Self::Reactions, 0) => {}
            (Self::Reactions, 1) => rows.sort_by_key(|row| row.addresses()),
            (Self::Reactions, _) => rows.sort_by_key(|row| row.addresses().map(|(_, lns)| lns)),
            (Self::Lacs, 2) => rows.sort_by_key(|row| Reverse(row.slowest())),
            (Self::Verdicts | Self::Queues | Self::Rules, 2) => {
                rows.sort_by(|row, other| other.per_second().total_cmp(&row.per_second()));
            }
            _ => rows.sort_by_key(|row| Reverse(row.count())),
        }
        rows
    }
}

impl Row<'_> {
    /// What is in its columns.
    pub(super) fn cells(&self) -> Vec<Cell> {
        let rates = |flow: &Flow| Cell::Rates(flow.rates().collect());
        let mut cells: Vec<_> = self.texts().into_iter().map(Cell::Text).collect();
        match self {
            Self::Verdict(_, flow) => cells.push(rates(flow)),
            Self::Queue(queue) => cells.push(rates(&queue.answered)),
            Self::Rule(..) | Self::Lac(_) | Self::Reaction(_) => {}
        }
        cells
    }

    /// Whether it says that something was lost.
    pub(super) fn is_alarming(&self) -> bool {
        match self {
            Self::Verdict(verdict, _) => matches!(
                verdict,
                Verdict::NoRoom | Verdict::SocketFull | Verdict::NoSocket | Verdict::RateLimited
            ),
            Self::Queue(queue) => queue.dropped > 0,
            Self::Rule(..) | Self::Lac(_) | Self::Reaction(_) => false,
        }
    }

    fn texts(&self) -> Vec<String> {
        match self {
            Self::Verdict(verdict, flow) => vec![
                verdict.label().to_owned(),
                thousands(flow.total()),
                rate(flow.per_second()),
            ],
            Self::Queue(queue) => vec![
                format!("{} queue {}", queue.interface, queue.number),
                thousands(queue.answered.total()),
                rate(queue.answered.per_second()),
                thousands(queue.dropped),
            ],
            Self::Rule(rule, per_second) => vec![
                rule.name(),
                thousands(rule.hits),
                rate(*per_second),
                prefixes(&rule.lns, "any other"),
                if rule.lac.is_empty() && rule.lac_name.is_none() {
                    rule.treatment.clone()
                } else {
                    let lacs = lacs(&rule.lac, rule.lac_name.as_ref(), "any");
                    format!("LAC {lacs}: {}", rule.treatment)
                },
            ],
            Self::Lac(lac) => vec![
                lac.lac.to_string(),
                thousands(lac.messages),
                lac.slowest_ns.map_or("-".to_owned(), duration),
                lac.host_name.clone().unwrap_or_default(),
            ],
            Self::Reaction(reaction) => vec![
                time(Duration::from_nanos(reaction.at_ns)),
                reaction.lac.to_string(),
                reaction.lns.to_string(),
                reaction.to_string(),
            ],
        }
    }

    fn contains(&self, filter: &str) -> bool {
        let mut texts = self.texts().into_iter();
        texts.any(|text| text.to_lowercase().contains(filter))
    }

    fn count(&self) -> u64 {
        match self {
            Self::Verdict(_, flow) => flow.total(),
            Self::Queue(queue) => queue.answered.total(),
            Self::Rule(rule, _) => rule.hits,
            Self::Lac(lac) => lac.messages,
            Self::Reaction(_) => 0,
        }
    }

    fn per_second(&self) -> f64 {
        match self {
            Self::Verdict(_, flow) => flow.per_second(),
            Self::Queue(queue) => queue.answered.per_second(),
            Self::Rule(_, per_second) => *per_second,
            Self::Lac(_) | Self::Reaction(_) => 0.0,
        }
    }

    fn slowest(&self) -> Option<u64> {
        match self {
            Self::Lac(lac) => lac.slowest_ns,
            _ => None,
        }
    }

    fn addresses(&self) -> Option<(std::net::IpAddr, std::net::IpAddr)> {
        match self {
            Self::Reaction(reaction) => Some((reaction.lac, reaction.lns)),
            _ => None,
        }
    }
}
