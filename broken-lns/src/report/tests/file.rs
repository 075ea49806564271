use std::error::Error as _;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, symlink};
use std::path::Path;
use std::{fs, process};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use xtask::lab::Scratch;

use super::fixture::report;
use crate::output_file::{OutputMode, Unsafe};
use crate::report::{Format, WriteError, check, json};

/// Files that nobody else reads.
const MODE: OutputMode = OutputMode::PRIVATE;

/// The names of what is in a directory.
fn names(directory: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(directory.file("")).expect("it is there");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry.expect("an entry")))
        .collect();
    names.sort();
    names
}

fn scratch(name: &str) -> Scratch {
    Scratch::new(name).expect("a directory")
}

#[test]
fn the_name_of_the_file_says_what_is_in_it() {
    let scratch = scratch("names");
    for (name, format) in [
        ("a.html", Format::Html),
        ("a.json", Format::Json),
        ("a.md", Format::Markdown),
        ("a.txt", Format::Text),
        ("a.xml", Format::Junit),
    ] {
        let path = scratch.file(name);
        report().write(&path, MODE).expect("a directory of our own");
        let text = fs::read_to_string(&path).expect("it was written");
        assert_eq!(text, report().render(format));
    }
    assert_eq!(
        names(&scratch),
        ["a.html", "a.json", "a.md", "a.txt", "a.xml"]
    );
}

#[test]
fn a_report_replaces_an_older_one_even_beside_what_a_killed_process_left() {
    let scratch = scratch("replaces");
    let path = scratch.file("a.json");
    let older = report().render(Format::Markdown);
    fs::write(&path, older.repeat(1_000)).expect("ours");
    let left = format!(".broken-lns-{}-0.new", process::id());
    fs::write(scratch.file(&left), "left").expect("ours");
    report().write(&path, MODE).expect("a directory of our own");
    assert_eq!(
        fs::read_to_string(&path).expect("it was written"),
        json(&report())
    );
    assert_eq!(names(&scratch), [left.as_str(), "a.json"]);
    assert_eq!(
        fs::read_to_string(scratch.file(&left)).expect("it is there"),
        "left"
    );
}

#[test]
fn a_directory_that_is_missing_is_an_error_that_names_the_file() {
    let scratch = scratch("missing");
    let path = scratch.file("missing/a.json");
    let error = report().write(&path, MODE).expect_err("no such directory");
    assert_eq!(
        error.to_string(),
        format!("cannot write the report \"{}\"", path.display())
    );
    let cause = error.source().expect("a cause").to_string();
    assert_eq!(cause, "No such file or directory (os error 2)");
    assert_eq!(names(&scratch), [""; 0]);
}

#[test]
fn what_cannot_be_replaced_stays_and_nothing_is_left_beside_it() {
    let scratch = scratch("stays");
    let path = scratch.file("a.json");
    fs::create_dir(&path).expect("ours");
    fs::write(path.join("kept"), "kept").expect("ours");
    let error = report().write(&path, MODE).expect_err("a directory");
    assert!(matches!(error, WriteError::File { .. }), "{error:?}");
    assert_eq!(names(&scratch), ["a.json"]);
    assert!(path.join("kept").exists());
}

#[test]
fn every_report_is_known_again_and_nothing_else_is() {
    for format in Format::ALL {
        let document = report().render(format);
        let begin = &document.as_bytes()[..document.len().min(1024)];
        assert!(Format::begins_report(begin), "{document}");
    }
    for foreign in [
        "LACs made in 1 attempt",
        "12 monkeys\n",
        "{\n  \"schema\": 2\n}",
        "# A report about broken-lns\n",
        "<!DOCTYPE html>\n<title>Another report</title>",
        "<?xml version=\"1.0\"?>\n<testsuites name=\"another\">",
        "#!/bin/sh\n",
        "\u{0}",
    ] {
        assert!(!Format::begins_report(foreign.as_bytes()), "{foreign}");
    }
    assert!(!Format::begins_report(&[0xff; 1024]));
}

#[test]
fn notes_that_somebody_wrote_are_not_replaced() {
    let scratch = scratch("notes");
    let path = scratch.file("a.txt");
    fs::write(&path, "what I saw with LACs").expect("ours");
    for result in [check(&path, MODE), report().write(&path, MODE)] {
        let Err(WriteError::File { source, .. }) = result else {
            unreachable!("they are nobody's report");
        };
        assert_eq!(source.to_string(), Unsafe::Contents.to_string());
    }
    let notes = fs::read_to_string(&path).expect("it is there");
    assert_eq!(notes, "what I saw with LACs");
    assert_eq!(names(&scratch), ["a.txt"]);
}

#[test]
fn an_unknown_form_is_an_error_before_anything_is_written() {
    let error = report()
        .write(Path::new("report.pdf"), MODE)
        .expect_err("no form");
    assert!(matches!(error, WriteError::Format(_)), "{error:?}");
    assert!(error.to_string().contains("\"report.pdf\""), "{error}");
}

#[test]
fn a_pipe_is_written_to_and_stays_a_pipe() {
    let scratch = scratch("pipe");
    let (pipe, link) = (scratch.file("pipe.txt"), scratch.file("link.txt"));
    mkfifo(&pipe, Mode::S_IRWXU).expect("a directory of our own");
    symlink(&pipe, &link).expect("a directory of our own");
    // Without waiting, so that what is not written fails the test.
    let mut reader = OpenOptions::new();
    let reader = reader.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let mut reader = reader.open(&pipe).expect("a pipe of our own");
    let expected = report().render(Format::Text);
    for path in [&pipe, &link] {
        check(path, MODE).expect("a pipe can be written to");
        report().write(path, MODE).expect("somebody reads");
        let mut text = vec![0; expected.len()];
        reader.read_exact(&mut text).expect("it was written");
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
    let kind = fs::metadata(&pipe).expect("it is there").file_type();
    assert!(kind.is_fifo(), "{kind:?}");
    assert_eq!(names(&scratch), ["link.txt", "pipe.txt"]);
}
