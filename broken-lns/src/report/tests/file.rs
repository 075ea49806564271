use std::error::Error as _;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::{env, fs, process};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::fixture::report;
use crate::report::{Format, WriteError, check, json};

/// An empty directory that goes away again.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("broken-lns-report-{}-{name}", process::id()));
        fs::create_dir(&path).expect("a new directory");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of what is in it.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("it is there");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries
            .map(|entry| name(entry.expect("an entry")))
            .collect();
        names.sort();
        names
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_name_of_the_file_says_what_is_in_it() {
    let scratch = Scratch::new("names");
    for (name, format) in [
        ("a.html", Format::Html),
        ("a.json", Format::Json),
        ("a.md", Format::Markdown),
        ("a.txt", Format::Text),
        ("a.xml", Format::Junit),
    ] {
        let path = scratch.file(name);
        report().write(&path).expect("a directory of our own");
        let text = fs::read_to_string(&path).expect("it was written");
        assert_eq!(text, report().render(format));
    }
    assert_eq!(
        scratch.names(),
        ["a.html", "a.json", "a.md", "a.txt", "a.xml"]
    );
}

#[test]
fn a_report_replaces_an_older_one_even_beside_what_a_killed_process_left() {
    let scratch = Scratch::new("replaces");
    let path = scratch.file("a.json");
    fs::write(&path, "an older and longer one".repeat(1_000)).expect("ours");
    let left = format!(".broken-lns-{}-0.new", process::id());
    fs::write(scratch.file(&left), "left").expect("ours");
    report().write(&path).expect("a directory of our own");
    assert_eq!(
        fs::read_to_string(&path).expect("it was written"),
        json(&report())
    );
    assert_eq!(scratch.names(), [left.as_str(), "a.json"]);
    assert_eq!(
        fs::read_to_string(scratch.file(&left)).expect("it is there"),
        "left"
    );
}

#[test]
fn a_directory_that_is_missing_is_an_error_that_names_the_file() {
    let scratch = Scratch::new("missing");
    let path = scratch.file("missing/a.json");
    let error = report().write(&path).expect_err("no such directory");
    assert_eq!(
        error.to_string(),
        format!("cannot write the report \"{}\"", path.display())
    );
    let cause = error.source().expect("a cause").to_string();
    assert_eq!(cause, "No such file or directory (os error 2)");
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn what_cannot_be_replaced_stays_and_nothing_is_left_beside_it() {
    let scratch = Scratch::new("stays");
    let path = scratch.file("a.json");
    fs::create_dir(&path).expect("ours");
    fs::write(path.join("kept"), "kept").expect("ours");
    let error = report().write(&path).expect_err("a directory");
    assert!(matches!(error, WriteError::File { .. }), "{error:?}");
    assert_eq!(scratch.names(), ["a.json"]);
    assert!(path.join("kept").exists());
}

#[test]
fn an_unknown_form_is_an_error_before_anything_is_written() {
    let error = report()
        .write(Path::new("report.pdf"))
        .expect_err("no form");
    assert!(matches!(error, WriteError::Format(_)), "{error:?}");
    assert!(error.to_string().contains("\"report.pdf\""), "{error}");
}

#[test]
fn a_pipe_is_written_to_and_stays_a_pipe() {
    let scratch = Scratch::new("pipe");
    let (pipe, link) = (scratch.file("pipe.txt"), scratch.file("link.txt"));
    mkfifo(&pipe, Mode::S_IRWXU).expect("a directory of our own");
    symlink(&pipe, &link).expect("a directory of our own");
    // Without waiting, so that what is not written fails the test.
    let mut reader = OpenOptions::new();
    let reader = reader.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let mut reader = reader.open(&pipe).expect("a pipe of our own");
    let expected = report().render(Format::Text);
    for path in [&pipe, &link] {
        check(path).expect("a pipe can be written to");
        report().write(path).expect("somebody reads");
        let mut text = vec![0; expected.len()];
        reader.read_exact(&mut text).expect("it was written");
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
    let kind = fs::metadata(&pipe).expect("it is there").file_type();
    assert!(kind.is_fifo(), "{kind:?}");
    assert_eq!(scratch.names(), ["link.txt", "pipe.txt"]);
}
