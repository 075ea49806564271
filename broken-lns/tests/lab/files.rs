//! The files that a run creates: who may read them, and what they never take the place of.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use xtask::lab::{Lab, Scratch};

use crate::{
    loaded::attached,
    responder::{Responder, text},
    trial,
};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "nobody_else_reads_what_is_written",
            &[],
            nobody_else_reads_what_is_written,
        ),
        trial(
            "a_link_that_others_may_have_made_keeps_it_from_starting",
            &[],
            a_link_that_others_may_have_made_keeps_it_from_starting,
        ),
        trial(
            "what_somebody_wrote_keeps_it_from_starting",
            &[],
            what_somebody_wrote_keeps_it_from_starting,
        ),
    ]
}

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o7777)
}

fn nobody_else_reads_what_is_written() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    for (flags, expected) in [(&[][..], 0o600), (&["--output-mode", "644"], 0o644)] {
        let files = Scratch::new("files")?;
        let (report, capture) = (files.file("a.json"), files.file("a.pcapng"));
        let written = ["--report", text(&report)?, "--capture", text(&capture)?];
        Responder::start(&lab, &[&written, flags].concat())?.finish()?;
        for path in [report, capture] {
            ensure!(mode(&path)? == expected, "{} {flags:?}", path.display());
        }
    }
    Ok(())
}

fn a_link_that_others_may_have_made_keeps_it_from_starting() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let files = Scratch::new("files")?;
    let shared = files.file("shared");
    fs::create_dir(&shared)?;
    fs::set_permissions(&shared, Permissions::from_mode(0o1777))?;
    let victim = files.file("victim");
    for (flag, name, what) in [
        ("--report", "a.json", "the report"),
        ("--capture", "a.pcapng", "the capture file"),
    ] {
        let link = shared.join(name);
        symlink(&victim, &link)?;
        let link = text(&link)?;
        let named = match flag {
            "--report" => format!("\"{link}\""),
            _ => link.to_owned(),
        };
        let line = format!(
            "broken-lns: cannot write {what} {named}: {link} is a symbolic link in a directory \
             that other users can change; give the path that it leads to; choose another place \
             with {flag} FILE"
        );
        let ended = Responder::spawn(&lab, &[flag, link])?.end()?;
        assert_eq!(ended.status.code(), Some(1));
        ensure!(ended.said.contains(&line), "{:?}", ended.said);
        assert_eq!(attached(&lab.responder, Lab::INTERFACE)?, []);
        ensure!(!victim.exists(), "{flag} went through the link");
    }
    Ok(())
}

fn what_somebody_wrote_keeps_it_from_starting() -> Result<()> {
    let lab = Lab::static_arp().build()?;
    let files = Scratch::new("files")?;
    let notes = files.file("notes.txt");
    fs::write(&notes, "what I saw")?;
    let notes = text(&notes)?;
    let why = "it is there already and was not made by broken-lns; only its removal makes room; \
               choose another place with";
    for (flag, what) in [
        ("--report", format!("the report \"{notes}\"")),
        ("--capture", format!("the capture file {notes}")),
    ] {
        let line = format!("broken-lns: cannot write {what}: {why} {flag} FILE");
        let ended = Responder::spawn(&lab, &[flag, notes])?.end()?;
        assert_eq!(ended.status.code(), Some(1));
        ensure!(ended.said.contains(&line), "{:?}", ended.said);
    }
    assert_eq!(fs::read_to_string(notes)?, "what I saw");
    Ok(())
}
