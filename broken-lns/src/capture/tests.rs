use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use pcap_file::pcapng::{Block, PcapNgReader};
use xtask::lab::Scratch;

use super::*;

/// A frame with that number in it, and in its comment.
fn frame(number: u32) -> Frame {
    let mut octets = vec![0; 1000];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    Frame {
        time: u64::from(number),
        interface: 0,
        direction: Direction::Request,
        len: 1000,
        octets,
        comment: format!("frame {number}"),
    }
}

fn options(file: &Path, limit: Option<u64>) -> CaptureOptions {
    CaptureOptions {
        file: file.to_owned(),
        limit: limit.map(|octets| FileLimit::new(octets).expect("enough")),
        interfaces: vec!["eth1".to_owned()],
        clock: WallClock::at_zero(Duration::from_secs(1_700_000_000)),
    }
}

/// Hands in frames no faster than they are taken.
fn hand_in(capture: &Capture, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        capture
            .orders
            .send(Order::Write(frame(number)))
            .expect("the writer lives");
    }
}

/// Waits until so many frames came to an end.
fn wait_for(capture: &Capture, frames: u64) -> CaptureCounts {
    for _ in 0..1000 {
        let counts = capture.counts();
        if counts.written + counts.failed >= frames {
            return counts;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("only {:?} of {frames}", capture.counts());
}

/// The numbers of the frames in a file, of which every block can be read.
fn numbers(path: &Path) -> Vec<u32> {
    let file = File::open(path).expect("it is there");
    let mut reader = PcapNgReader::new(file).expect("it begins with a section");
    let mut numbers = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.expect("it is whole").0 {
            Block::EnhancedPacket(packet) => {
                let number = packet.data.first_chunk().expect("a thousand octets");
                numbers.push(u32::from_be_bytes(*number));
            }
            Block::InterfaceDescription(_) => {}
            other => panic!("{other:?}"),
        }
    }
    numbers
}

/// The names in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is there");
    let names = entries.map(|entry| entry.expect("it can be read").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.into_string().expect("text"))
        .collect();
    names.sort();
    names
}

#[test]
fn all_that_is_handed_in_is_written_in_order() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let capture = Capture::start(options(&file, None)).expect("it can be written");
    hand_in(&capture, 0..10_000);
    let counts = capture.finish();
    assert_eq!(
        counts,
        CaptureCounts {
            written: 10_000,
            ..CaptureCounts::default()
        }
    );
    assert!(numbers(&file).into_iter().eq(0..10_000));
}

#[test]
fn a_file_can_be_read_while_it_is_written() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let capture = Capture::start(options(&file, None)).expect("it can be written");
    assert!(numbers(&file).is_empty());
    assert!(capture.offer(frame(1)));
    wait_for(&capture, 1);
    assert_eq!(numbers(&file), [1]);
    assert!(capture.sink().offer(frame(2)));
    wait_for(&capture, 2);
    assert_eq!(numbers(&file), [1, 2]);
}

#[test]
fn the_newest_files_are_kept() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let capture = Capture::start(options(&file, Some(64_000))).expect("it can be written");
    // A block has 1,064 octets, so that a file has 61 frames: a few octets go to its begin.
    hand_in(&capture, 0..61 * 12 + 5);
    assert_eq!(capture.finish().written, 61 * 12 + 5);
    let mut expected: Vec<_> = (3..=12)
        .map(|number| format!("x.{number}.pcapng"))
        .collect();
    expected.sort();
    assert_eq!(names(&scratch.file("")), expected);
    assert!(
        numbers(&scratch.file("x.3.pcapng"))
            .into_iter()
            .eq(61 * 3..61 * 4)
    );
    assert!(
        numbers(&scratch.file("x.12.pcapng"))
            .into_iter()
            .eq(61 * 12..61 * 12 + 5)
    );
    let len = fs::metadata(scratch.file("x.3.pcapng"))
        .expect("it is there")
        .len();
    assert!((64_000..66_000).contains(&len), "{len}");
}

#[test]
fn what_does_not_fit_is_counted() {
    let scratch = Scratch::new("capture").expect("a directory");
    let (orders, receiver) = sync_channel(WAITING);
    let counts = Arc::new(Counts::default());
    // The writer has not begun.
    let sink = Sink {
        orders,
        counts: Arc::clone(&counts),
    };
    let taken = (0..5000)
        .filter(|number| sink.offer(frame(*number)))
        .count();
    assert_eq!(
        (taken, counts.read().no_room),
        (WAITING, 5000 - WAITING as u64)
    );
    drop(sink);
    let file = scratch.file("x.pcapng");
    let files = Files::begin(options(&file, None)).expect("it can be written");
    let (sayer, _said) = channel();
    Writer::new(files, Arc::clone(&counts), sayer, PAUSE).run(&receiver);
    assert_eq!(counts.read().written, WAITING as u64);
    assert!(numbers(&file).into_iter().eq(0..WAITING as u32));
}

#[test]
fn a_full_disk_is_said_once_and_stops_nobody() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let full = scratch.file("x.1.pcapng");
    symlink("/dev/full", &full).expect("the name is free");
    let pause = Duration::from_millis(300);
    let options = options(&file, Some(64_000));
    let capture = Capture::pausing(options, pause).expect("it can be written");
    hand_in(&capture, 0..100);
    let counts = wait_for(&capture, 100);
    assert_eq!((counts.written, counts.failed), (61, 39));
    let said: Vec<_> = capture.said().collect();
    let line = format!(
        "cannot capture to {}: No space left on device (os error 28); \
         frames are counted as failed until that is over",
        full.display()
    );
    assert_eq!(said, [line]);
    // While it stays so it is said no more.
    thread::sleep(pause + Duration::from_millis(100));
    hand_in(&capture, 200..210);
    assert_eq!(wait_for(&capture, 110).failed, 49);
    assert_eq!(capture.said().count(), 0);
    // Then there is room again.
    fs::remove_file(&full).expect("it is there");
    thread::sleep(pause + Duration::from_millis(100));
    hand_in(&capture, 300..310);
    wait_for(&capture, 120);
    let line = format!("captures again, to {}", full.display());
    assert_eq!(capture.said().collect::<Vec<_>>(), [line]);
    let counts = capture.finish();
    assert_eq!((counts.written, counts.failed), (71, 49));
    assert!(numbers(&file).into_iter().eq(0..61));
    assert!(numbers(&full).into_iter().eq(300..310));
}

#[test]
fn a_frame_that_cannot_be_written_spoils_no_other() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let capture = Capture::start(options(&file, None)).expect("it can be written");
    let stranger = Frame {
        interface: 7,
        ..frame(1)
    };
    let shorter = Frame { len: 3, ..frame(2) };
    let talkative = Frame {
        comment: "x".repeat(70_000),
        ..frame(3)
    };
    for frame in [frame(0), stranger, shorter, talkative, frame(4)] {
        assert!(capture.offer(frame));
    }
    let counts = capture.finish();
    assert_eq!((counts.written, counts.failed), (3, 2));
    assert_eq!(numbers(&file), [0, 2, 4]);
}

#[test]
fn a_pipe_without_a_reader_holds_nobody_up() {
    let scratch = Scratch::new("capture").expect("a directory");
    let pipe = scratch.file("x.pcapng");
    mkfifo(&pipe, Mode::S_IRWXU).expect("the name is free");
    let error = Capture::start(options(&pipe, None)).expect_err("nobody reads");
    assert!(
        error.to_string().contains("No such device or address"),
        "{error}"
    );

    let reader = fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&pipe);
    let reader = reader.expect("it can be read");
    let capture = Capture::pausing(options(&pipe, None), Duration::ZERO).expect("somebody reads");
    hand_in(&capture, [0]);
    assert_eq!(wait_for(&capture, 1).written, 1);
    drop(reader);
    hand_in(&capture, [1]);
    assert_eq!(wait_for(&capture, 2).failed, 1);
    let said: Vec<_> = capture.said().collect();
    let start = format!("cannot capture to {}: Broken pipe", pipe.display());
    assert!(said.len() == 1 && said[0].starts_with(&start), "{said:?}");
    hand_in(&capture, 2..10);
    assert_eq!(wait_for(&capture, 10).written, 1 + 8);
}

#[test]
fn nothing_is_taken_after_the_end() {
    let scratch = Scratch::new("capture").expect("a directory");
    let capture = Capture::start(options(&scratch.file("x.pcapng"), None));
    let capture = capture.expect("it can be written");
    let sink = capture.sink();
    capture.finish();
    assert!(!sink.offer(frame(0)));
    assert_eq!(sink.counts.read().no_room, 1);
}

#[test]
fn a_place_that_is_none_is_named() {
    let error = Capture::start(options(Path::new("/dev/full"), None)).expect_err("it is full");
    assert_eq!(
        error.to_string(),
        "cannot write the capture file /dev/full: No space left on device (os error 28); \
         choose another place with --capture FILE"
    );
    let error = Capture::start(options(Path::new("/nowhere/x"), None)).expect_err("no directory");
    assert!(
        error.to_string().contains("/nowhere/x: No such file"),
        "{error}"
    );
}
