use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::sync::mpsc::{Receiver, channel};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::*;

/// Octets that the pipe of a test holds.
const PIPE: usize = 4096;

/// Octets that its queue holds.
const QUEUE: usize = 8192;

/// Longer than anything takes that ought to take an instant.
const LONG: Duration = Duration::from_secs(60);

/// An output to a pipe, of which nothing is read yet.
fn queued(told_in: Option<Queued>) -> (Queued, PipeReader) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE as i32)).expect("the least there is");
    let queued = Queued::start("the output", writer.into(), QUEUE, "\r", told_in);
    (queued.expect("a thread"), reader)
}

/// A line of 100 octets.
fn line(number: u64) -> String {
    format!("{number:099}\n")
}

/// The lines that come, read by a thread.
fn lines(reader: PipeReader) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).lines() {
            // Once the test is over nobody wants it.
            let _ = sender.send(line.expect("text"));
        }
    });
    lines
}

/// How many lines a remark says were left out.
fn count(remark: &str) -> u64 {
    let rest = remark.strip_prefix("\rthe output: ").expect(remark);
    let (count, rest) = rest.split_once(' ').expect(remark);
    let end = "left out, since its reader does not keep up";
    assert!(rest.ends_with(end), "{remark}");
    count.replace(',', "").parse().expect(remark)
}

#[test]
fn nobody_waits_for_a_reader_and_no_line_is_lost_without_a_word() {
    let (mut queued, reader) = queued(None);
    let lines = lines(reader);
    let mut next = 0;
    for round in 1..=3_u64 {
        // Five times as many as both hold.
        let all = round * 600;
        for number in next..all {
            queued
                .write_all(line(number).as_bytes())
                .expect("it takes all");
        }
        let mut gaps = 0;
        while next < all {
            let line = lines.recv_timeout(LONG).expect("a line");
            match line.parse::<u64>() {
                Ok(number) => {
                    assert_eq!((line.len(), number), (99, next));
                    next += 1;
                }
                Err(_) => {
                    next += count(&line);
                    gaps += 1;
                }
            }
        }
        assert_eq!(next, all);
        assert!(gaps > 0);
    }
}

#[test]
fn what_has_no_room_in_an_output_for_programs_is_said_elsewhere() {
    let (stderr, said) = queued(None);
    let (mut stdout, reader) = queued(Some(stderr));
    for number in 0..600 {
        stdout
            .write_all(line(number).as_bytes())
            .expect("it takes all");
    }
    stdout.push_last("the end\n");
    let (shown, said) = (lines(reader), lines(said));
    let next = |lines: &Receiver<String>| lines.recv_timeout(LONG).expect("a line");
    let shown = std::iter::from_fn(|| Some(next(&shown)).filter(|line| line != "the end"));
    let shown = shown.map(|line| line.parse::<u64>().expect("a number"));
    let mut missing = 600 - shown.count() as u64;
    assert!(missing > 0);
    while missing > 0 {
        missing -= count(&next(&said));
    }
}

#[test]
fn a_piece_of_any_length_has_room_when_it_is_alone() {
    let (mut queued, mut reader) = queued(None);
    for length in [10 * QUEUE, 20 * QUEUE] {
        let piece = vec![b'x'; length];
        queued.write_all(&piece).expect("it takes all");
        let mut octets = vec![0; length];
        reader.read_exact(&mut octets).expect("all of it comes");
        queued.drain(LONG).expect("it was read");
    }
}

#[test]
fn the_end_waits_for_a_reader_that_reads_and_for_no_other() {
    let (queued, mut reader) = queued(None);
    for number in 0..200 {
        queued.push_last(line(number));
    }
    let error = queued
        .drain(Duration::from_millis(50))
        .expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let said = error.to_string();
    assert!(
        said.starts_with("its reader does not keep up; ") && said.ends_with("lines were left out"),
        "{said}"
    );
    let read = thread::spawn(move || {
        let mut octets = vec![0; 200 * 100];
        reader.read_exact(&mut octets).map(|()| octets)
    });
    queued.drain(LONG).expect("it is read");
    let octets = read.join().expect("no panic").expect("all of it comes");
    assert!(octets.ends_with(line(199).as_bytes()));
}

#[test]
fn a_reader_that_is_gone_is_an_error() {
    let (mut queued, reader) = queued(None);
    drop(reader);
    queued.write_all(b"a line\n").expect("nobody knows yet");
    let error = queued.drain(LONG).expect_err("nobody reads");
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    let error = queued.write_all(b"a line\n").expect_err("nobody reads");
    assert_eq!(error.to_string(), "Broken pipe (os error 32)");
}

#[test]
fn an_output_that_does_not_block_is_waited_for() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe");
    let queued = Queued::start("the output", writer.into(), 1 << 20, "", None);
    let queued = queued.expect("a thread");
    let numbers = 0..5000;
    for number in numbers.clone() {
        queued.push_last(line(number));
    }
    let lines = BufReader::new(reader).lines().take(5000);
    let lines = lines.map(|line| line.expect("text").parse::<u64>().expect("a number"));
    assert!(lines.eq(numbers));
}
