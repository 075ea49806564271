//! The report as one page of HTML that needs nothing else: no script, no other file, no
//! network.

use super::escape::html as escaped;
use super::sentence::Sentence;
use super::table::Table;
use super::{Expected, Report, caveats, chart, expectation, expectations, lac, sentences, table};
use crate::output::thousands;
use crate::track::findings::{Distribution, FaultFindings};

/// The looks of the page, in the dark as well.
const STYLE: &str = include_str!("html.css");

/// The report as a page.
pub fn html(report: &Report) -> String {
    let findings = &report.findings;
    let (faults, sentences) = (&findings.faults, sentences(findings));
    let mut body = "<h1>broken-lns report</h1>\n".to_owned();
    body.push_str(&rows(&table::facts(report), "facts"));
    if !report.judgements.is_empty() {
        let tally = expectation::tally(&report.judgements);
        let all = expectations(&report.judgements);
        let all: String = all.iter().map(judged).collect();
        body.push_str(&format!(
            "<h2>What was expected</h2>\n<p>{}</p>\n<ul class=\"expected\">\n{all}</ul>\n",
            escaped(&tally)
        ));
    }
    if !faults.is_empty() {
        body.push_str("<h2>What LACs did</h2>\n");
        body.push_str(&list(sentences.iter().map(ToString::to_string)));
        body.push_str(&rows(&table::reactions(faults), "counts"));
    }
    if !findings.attempts_over_time.counts.is_empty() {
        body.push_str("<h2>Attempts over time</h2>\n");
        let attempts = chart::attempts(&findings.attempts_over_time);
        let step = thousands(findings.attempts_over_time.step_seconds);
        let caption = format!("Attempts in steps of {step} s, from the first attempt on");
        body.push_str(&figure(attempts, &caption, &[]));
    }
    for (title, of) in [
        (
            "Failover within",
            (|fault| &fault.failover_after) as Measure,
        ),
        ("Lockout within", |fault| &fault.lockout),
    ] {
        body.push_str(&durations(title, of, faults, &sentences));
    }
    let messages = table::messages(faults, &sentences);
    if !messages.rows.is_empty() {
        body.push_str("<h2>What LACs sent beside SCCRQs</h2>\n");
        body.push_str(&rows(&messages, "messages"));
    }
    let lacs = lac::sentences(report);
    if !lacs.is_empty() {
        body.push_str(&format!("<h2>{}</h2>\n", escaped(&lac::title(report))));
        body.push_str(&list(lacs.iter().map(ToString::to_string)));
    }
    let caveats = caveats(report);
    if !caveats.is_empty() {
        body.push_str("<h2>What the numbers do not have</h2>\n");
        body.push_str(&list(caveats));
    }
    page(&body)
}

/// Which durations of a fault.
type Measure = fn(&FaultFindings) -> &Distribution;

fn page(body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>broken-lns report</title>\n\
         <style>\n{STYLE}</style>\n\
         </head>\n\
         <body>\n{body}</body>\n\
         </html>\n"
    )
}

/// The share of durations that are no longer than one, for the faults with the most of them.
fn durations(title: &str, of: Measure, faults: &[FaultFindings], sentences: &[Sentence]) -> String {
    let mut measured: Vec<_> = faults.iter().map(of).zip(sentences).collect();
    measured.retain(|(durations, _)| !durations.is_empty());
    measured.sort_by_key(|(durations, _)| std::cmp::Reverse(durations.count()));
    let all = measured.len();
    if all == 0 {
        return String::new();
    }
    measured.truncate(chart::COLOURS.len());
    let (distributions, sentences): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
    let mut caption = "The share that took no longer".to_owned();
    if all > sentences.len() {
        let (shown, all) = (sentences.len(), thousands(all as u64));
        caption.push_str(&format!(", of the {shown} most frequent of {all} faults"));
    }
    let subjects: Vec<_> = sentences
        .iter()
        .map(|sentence| &*sentence.subject)
        .collect();
    let figure = figure(chart::within(&distributions), &caption, &subjects);
    format!("<h2>{}</h2>\n{figure}", escaped(title))
}

/// A picture with what it shows, and the names of its lines in their colours.
fn figure(picture: Result<String, String>, caption: &str, lines: &[&str]) -> String {
    let picture =
        picture.unwrap_or_else(|error| format!("<p>cannot be drawn: {}</p>\n", escaped(&error)));
    let keys = lines.iter().zip(chart::COLOURS);
    let keys = keys.map(|(line, (red, green, blue))| {
        format!(
            "<br><span style=\"color: rgb({red}, {green}, {blue})\">\u{25a0}</span> {}",
            escaped(line)
        )
    });
    let keys: String = keys.collect();
    format!(
        "<figure>\n{picture}<figcaption>{}{keys}</figcaption>\n</figure>\n",
        escaped(caption)
    )
}

fn rows(table: &Table, class: &str) -> String {
    let line = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let cells: String = cells
            .map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell)))
            .collect();
        format!("<tr>{cells}</tr>\n")
    };
    let mut text = format!("<table class=\"{class}\">\n");
    if table.titles.iter().any(|title| !title.is_empty()) {
        text.push_str(&line("th", &mut table.titles.iter().copied()));
    }
    for cells in &table.rows {
        text.push_str(&line("td", &mut cells.iter().map(String::as_str)));
    }
    text + "</table>\n"
}

/// An item for an expectation, and in it one for each that broke it.
fn judged(expected: &Expected) -> String {
    let (class, verdict) = (expected.verdict.name(), expectation::said(expected.verdict));
    let (name, clauses) = (
        escaped(&expected.name),
        escaped(&expected.clauses.join(", ")),
    );
    let breakers = match expected.breakers.is_empty() {
        true => String::new(),
        false => list(expected.breakers.iter().cloned()),
    };
    format!("<li class=\"{class}\"><b>{verdict}</b> {name}: {clauses}{breakers}</li>\n")
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    let items = items.into_iter();
    let items: String = items
        .map(|item| format!("<li>{}</li>\n", escaped(&item)))
        .collect();
    format!("<ul>\n{items}</ul>\n")
}
