//! Reports: as files, at the end and now and then, and of a running responder.

use std::{fs, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use xtask::lab::{self, Lab, Sccrq, Scratch, Stream};

use crate::{
    followed::read,
    loaded::attached,
    request::ask,
    responder::{LIMIT, Responder, command, text},
    scenarios::to_lns,
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "files_have_a_report_now_and_then_and_at_the_end",
            &[],
            files_have_a_report_now_and_then_and_at_the_end,
        ),
        trial(
            "a_file_that_cannot_be_written_keeps_it_from_starting",
            &[],
            a_file_that_cannot_be_written_keeps_it_from_starting,
        ),
        trial(
            "a_file_that_cannot_be_written_any_more_is_told",
            &[],
            a_file_that_cannot_be_written_any_more_is_told,
        ),
        trial(
            "a_running_responder_reports_in_every_form",
            &[],
            a_running_responder_reports_in_every_form,
        ),
        trial(
            "people_read_what_lacs_did_below_the_summary",
            &[],
            people_read_what_lacs_did_below_the_summary,
        ),
        trial(
            "who_follows_nobody_has_no_report",
            &[],
            who_follows_nobody_has_no_report,
        ),
    ]
}

/// Has a LAC be refused once.
fn refuse_one(lab: &Lab, tunnel_id: u16) -> Result<()> {
    let port = lab.raw_port()?;
    let request = to_lns("192.0.2.1", &Sccrq::new(tunnel_id))?.frame();
    ask(&port, &request, LIMIT)?.context("no answer")?;
    Ok(())
}

fn files_have_a_report_now_and_then_and_at_the_end() -> Result<()> {
    let files = Scratch::new("reports")?;
    let lab = Lab::static_arp().build()?;
    let (first, second) = (files.file("a.json"), files.file("b.HTML"));
    let flags = [
        "--report",
        text(&first)?,
        "--report",
        text(&second)?,
        "--report-interval",
        "300ms",
    ];
    let responder = Responder::start(&lab, &flags)?;
    refuse_one(&lab, 7)?;
    // Whenever one looks, the report is whole.
    let seen = lab::until("the first attempt in the report", LIMIT, || {
        let report = match first.exists() {
            true => read(&first)?,
            false => return Ok(None),
        };
        Ok(Some(report).filter(|report| report["attempts"]["seen"] == 1))
    })?;
    assert_eq!(seen["attempts"]["open"], 1);
    assert_eq!(seen["faults"][0]["fault"], "refuse 0/4");
    let page = || fs::read_to_string(&second);
    lab::until("the same in the other form", LIMIT, || {
        Ok(page()?.contains("192.0.2.1").then_some(()))
    })?;
    refuse_one(&lab, 8)?;
    responder.finish()?;
    let last = read(&first)?;
    assert_eq!(last["attempts"]["seen"], 2);
    assert_eq!(last["attempts"]["open"], 0);
    ensure!(last["duration_s"].as_f64() > seen["duration_s"].as_f64());
    ensure!(page()?.trim_end().ends_with("</html>"), "{}", page()?);
    // Nothing else is left.
    let mut left: Vec<_> = fs::read_dir(files.file(""))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    left.sort();
    assert_eq!(left, ["a.json", "b.HTML"]);
    Ok(())
}

fn a_file_that_cannot_be_written_keeps_it_from_starting() -> Result<()> {
    let files = Scratch::new("reports")?;
    let lab = Lab::static_arp().build()?;
    let directory = files.file("a.json");
    fs::create_dir(&directory)?;
    let missing = files.file("missing/a.json");
    for (file, why) in [
        (directory, "is a directory"),
        (missing, "No such file or directory (os error 2)"),
    ] {
        let file = text(&file)?;
        let responder = Responder::spawn(&lab, &["--report", file])?.end()?;
        assert_eq!(responder.status.code(), Some(1));
        assert_eq!(
            responder.said,
            [format!(
                "broken-lns: cannot write the report \"{file}\": {why}; choose another place with \
                 --report FILE"
            )]
        );
        assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
    }
    Ok(())
}

fn a_file_that_cannot_be_written_any_more_is_told() -> Result<()> {
    let files = Scratch::new("reports")?;
    let lab = Lab::static_arp().build()?;
    let directory = files.file("here");
    fs::create_dir(&directory)?;
    let (gone, other) = (directory.join("a.md"), files.file("b.json"));
    let flags = [
        "--report",
        text(&gone)?,
        "--report",
        text(&other)?,
        "--report-interval",
        "200ms",
    ];
    let mut responder = Responder::start(&lab, &flags)?;
    lab::until("a report", LIMIT, || Ok(gone.exists().then_some(())))?;
    fs::remove_dir_all(&directory)?;
    let words = format!(
        "cannot write the report \"{}\": No such file or directory",
        gone.display()
    );
    responder.process().wait_for_line(&words, LIMIT)?;
    // It goes on answering, and counts.
    refuse_one(&lab, 7)?;
    responder
        .process()
        .signal(nix::sys::signal::Signal::SIGINT)?;
    let ended = responder.end()?;
    assert_eq!(ended.status.code(), Some(1));
    assert_eq!(ended.count("/answered")?, 1);
    let last = ended.said.last().context("it said nothing")?;
    ensure!(last.starts_with(&format!("broken-lns: {words}")), "{last}");
    assert_eq!(read(&other)?["attempts"]["seen"], 1);
    Ok(())
}

/// What a command printed, which has to succeed.
fn printed(mut command: Command) -> Result<String> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

fn a_running_responder_reports_in_every_form() -> Result<()> {
    let files = Scratch::new("reports")?;
    let lab = Lab::static_arp().build()?;
    let control = files.file("control.sock");
    let control = text(&control)?;
    let responder = Responder::controlled(&lab, control, &[])?;
    refuse_one(&lab, 7)?;
    // Longer than an event waits for those of an earlier time.
    lab::pause(Duration::from_millis(500))?;
    let report = |flags: &[&str]| {
        let arguments = [&["report", "--control", control], flags].concat();
        command(&lab.responder, &arguments)
    };
    let shown = printed(report(&[]))?;
    let lines: Vec<&str> = shown.lines().collect();
    ensure!(
        lines[0].starts_with("1 LAC made 1 attempt and 0 retransmissions in "),
        "{shown}"
    );
    ensure!(
        lines[1].ends_with(" on eth1, scenario of the command line, all LACs followed"),
        "{shown}"
    );
    ensure!(
        lines[3].starts_with("LNS 192.0.2.1, refuse 0/4  "),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_str(&printed(report(&["--format", "json"]))?)?;
    assert_eq!(json["faults"][0]["attempts"], 1);
    assert_eq!(json["interfaces"], json!([Lab::INTERFACE]));
    let markdown = printed(report(&["--format", "md"]))?;
    ensure!(markdown.starts_with("# "), "{markdown}");
    let page = files.file("page.html");
    assert_eq!(printed(report(&["-o", text(&page)?]))?, "");
    let page = fs::read_to_string(page)?;
    ensure!(page.starts_with("<!DOCTYPE html>"), "{page}");

    for (flags, words) in [
        (
            &["-o", "/nowhere/a.md"][..],
            "broken-lns: cannot write the report \"/nowhere/a.md\": No such file or directory (os \
             error 2)\n",
        ),
        (
            &["-o", "a"],
            "broken-lns: cannot tell the form of the report \"a\" from its name, which has to end \
             in .txt, .json, .md, .markdown, .html, .htm or .xml\n",
        ),
    ] {
        let output = report(flags).output()?;
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr)?, words);
    }
    responder.finish()?;
    Ok(())
}

fn people_read_what_lacs_did_below_the_summary() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let arguments = ["run", "--control", "none", "--duration", "1s"];
    let mut process = lab::Process::spawn("broken-lns", command(&lab.responder, &arguments))?;
    process.wait_for_line(": attached, ", LIMIT)?;
    refuse_one(&lab, 7)?;
    ensure!(process.wait(LIMIT)?.success());
    let lines = process.lines();
    let lines = lines.iter().filter(|line| line.stream == Stream::Stdout);
    let lines: Vec<_> = lines.map(|line| line.text.as_str()).collect();
    let at = lines
        .iter()
        .position(|line| line.starts_with("1 LAC made 1 attempt and 0 retransmissions in "));
    let at = at.with_context(|| format!("{lines:#?}"))?;
    ensure!(at > 30, "it comes first: {lines:#?}");
    ensure!(
        lines[at + 2].starts_with("LNS 192.0.2.1, refuse 0/4  "),
        "{lines:#?}"
    );
    Ok(())
}

fn who_follows_nobody_has_no_report() -> Result<()> {
    let files = Scratch::new("reports")?;
    let lab = Lab::static_arp().build()?;
    let control = files.file("control.sock");
    let control = text(&control)?;
    let responder = Responder::controlled(&lab, control, &["--track", "none"])?;
    let arguments = ["report", "--control", control];
    let output = command(&lab.responder, &arguments).output()?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr)?,
        "broken-lns: no LAC is followed: the responder was started with --track none; start it \
         with --track all, or with --track 1/N for one LAC of N\n"
    );
    responder.finish()?;
    Ok(())
}
