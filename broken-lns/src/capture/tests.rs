use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use broken_lns_ebpf::verdict::Verdict;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use pcap_file::pcapng::{Block, PcapNgReader};
use xtask::lab::Scratch;

use super::rules::Rules;
use super::*;
use crate::clock;

/// In nanoseconds.
const HOUR: u64 = 3_600_000_000_000;

/// A source that never has no room.
struct Feed(Receiver<(Captured, Vec<u8>)>);

impl Source for Feed {
    fn take(&mut self, limit: usize, take: &mut dyn FnMut(&Captured, &[u8])) -> bool {
        let mut count = 0;
        for (captured, octets) in self.0.try_iter().take(limit) {
            take(&captured, &octets);
            count += 1;
        }
        count < limit
    }

    fn lost(&self) -> u64 {
        7
    }
}

/// A capture of `eth1`, and where frames of it go.
fn start(options: CaptureOptions) -> Result<Running, CaptureError> {
    pausing(options, PAUSE)
}

fn pausing(options: CaptureOptions, pause: Duration) -> Result<Running, CaptureError> {
    let mut prepared = Prepared::new(options)?;
    let sender = hear(&mut prepared, 0);
    let capture = prepared.start_pausing(pause)?;
    Ok(Running { capture, sender })
}

/// Where more frames go.
fn hear(prepared: &mut Prepared, interface: u32) -> Sender<(Captured, Vec<u8>)> {
    let (sender, feed) = channel();
    prepared.hear(interface, Box::new(Feed(feed)));
    sender
}

#[derive(Debug)]
struct Running {
    capture: Capture,
    sender: Sender<(Captured, Vec<u8>)>,
}

/// What is known of a frame with that number, which is its time, too.
fn captured(number: u32) -> Captured {
    Captured {
        time: u64::from(number),
        scenario: 0,
        rule: 0,
        len: 1000,
        snap_len: 1000,
        verdict: Verdict::Zlb as u32,
        direction: Direction::Request as u32,
    }
}

/// A frame with that number in it.
fn octets(number: u32) -> Vec<u8> {
    let mut octets = vec![0; 1000];
    octets[..4].copy_from_slice(&number.to_be_bytes());
    octets
}

fn options(file: &Path, limit: Option<u64>) -> CaptureOptions {
    CaptureOptions {
        file: file.to_owned(),
        mode: OutputMode::default(),
        limit: limit.map(|octets| FileLimit::new(octets).expect("enough")),
        interfaces: vec!["eth1".to_owned()],
        clock: WallClock::at_zero(Duration::from_secs(1_700_000_000)),
    }
}

impl Running {
    fn hand_in(&self, numbers: impl IntoIterator<Item = u32>) {
        for number in numbers {
            let frame = (captured(number), octets(number));
            self.sender.send(frame).expect("the writer lives");
        }
    }

    /// Waits until so many frames came to an end.
    fn wait_for(&self, frames: u64) -> CaptureCounts {
        for _ in 0..1000 {
            let counts = self.capture.counts();
            if counts.written + counts.failed >= frames {
                return counts;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("only {:?} of {frames}", self.capture.counts());
    }

    fn said(&self) -> Vec<String> {
        self.capture.said().collect()
    }

    fn finish(self) -> CaptureCounts {
        self.capture.finish().0
    }
}

/// The numbers of the frames in a file.
fn numbers(path: &Path) -> Vec<u32> {
    let frames = frames(path).into_iter();
    frames.map(|(number, _)| number).collect()
}

/// The times of the frames in a file, since 1970.
fn times(path: &Path) -> Vec<Duration> {
    frames(path).into_iter().map(|(_, time)| time).collect()
}

/// Number and time of the frames in a file, of which every block can be read.
fn frames(path: &Path) -> Vec<(u32, Duration)> {
    let file = File::open(path).expect("it is there");
    let mut reader = PcapNgReader::new(file).expect("it begins with a section");
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.expect("it is whole").0 {
            Block::EnhancedPacket(packet) => {
                let number = packet.data.first_chunk().expect("a thousand octets");
                frames.push((u32::from_be_bytes(*number), packet.timestamp));
            }
            Block::InterfaceDescription(_) => {}
            other => panic!("{other:?}"),
        }
    }
    frames
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
fn all_that_is_captured_is_written_in_order() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let running = start(options(&file, None)).expect("it can be written");
    running.hand_in(0..10_000);
    let expected = CaptureCounts {
        written: 10_000,
        lost: 7,
        failed: 0,
    };
    assert_eq!(running.finish(), expected);
    assert!(numbers(&file).into_iter().eq(0..10_000));
}

#[test]
fn frames_of_several_sources_are_in_the_order_of_time() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let mut prepared = Prepared::new(options(&file, None)).expect("it can be written");
    let [one, other] = [0, 0].map(|interface| hear(&mut prepared, interface));
    let capture = prepared.start().expect("it can be written");
    // Nothing of a later time is written before the end.
    let later = clock::monotonic() + HOUR;
    let send = |sender: &Sender<_>, numbers: &[u32]| {
        for number in numbers {
            // Two of them have the same time.
            let time = later + u64::from(number / 2 * 2);
            let captured = Captured {
                time,
                ..captured(*number)
            };
            sender
                .send((captured, octets(*number)))
                .expect("the writer lives");
        }
    };
    send(&one, &[4, 5, 2, 3]);
    send(&other, &[0, 1, 6]);
    let (counts, _) = capture.finish();
    assert_eq!((counts.written, counts.lost), (7, 14));
    assert_eq!(numbers(&file), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn frames_that_waited_for_long_are_in_the_order_of_time() {
    const FRAMES: u32 = 10_000;
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let mut prepared = Prepared::new(options(&file, None)).expect("it can be written");
    // One of them has ten times as many frames in a second as the other.
    for step in [1_000_000, 10_000_000] {
        let sender = hear(&mut prepared, 0);
        for number in 0..FRAMES {
            let time = u64::from(number) * step;
            let captured = Captured {
                time,
                ..captured(number)
            };
            sender.send((captured, octets(number))).expect("it is kept");
        }
    }
    let (counts, _) = prepared.start().expect("it can be written").finish();
    assert_eq!(counts.written, 20_000);
    let times = times(&file);
    assert_eq!(times.len(), 20_000);
    assert!(times.is_sorted());
}

#[test]
fn an_earlier_capture_stays_until_this_one_is_started() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    drop(Prepared::new(options(&file, None)).expect("it can be written"));
    assert_eq!(names(&scratch.file("")), [""; 0]);
    let earlier = start(options(&file, None)).expect("it can be written");
    earlier.hand_in(1..=3);
    earlier.finish();
    let prepared = Prepared::new(options(&file, None)).expect("it can be written");
    assert!(numbers(&file).into_iter().eq(1..=3));
    let capture = prepared.start().expect("it can be written");
    assert_eq!(numbers(&file), [0; 0]);
    drop(capture);
}

#[test]
fn a_file_that_no_capture_made_stays_as_it_is() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    // Another program's capture begins with a section header, too.
    let mut foreign = Vec::new();
    foreign.extend([
        0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
    ]);
    foreign.extend([0xff; 8]);
    foreign.extend([28, 0, 0, 0]);
    foreign.extend(b"broken-lns is named behind the header");
    fs::write(&file, &foreign).expect("it can be written");
    let error = Prepared::new(options(&file, None)).err().expect("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write the capture file {}: it is there already and was not made by broken-lns; \
             only its removal makes room; choose another place with --capture FILE",
            file.display()
        )
    );
    assert_eq!(fs::read(&file).expect("it is there"), foreign);
}

#[test]
fn a_later_file_goes_over_nothing_that_no_capture_made() {
    let scratch = Scratch::new("capture").expect("a directory");
    let (file, second) = (scratch.file("x.pcapng"), scratch.file("x.1.pcapng"));
    fs::write(&second, "precious").expect("it can be written");
    let running = start(options(&file, Some(65_536))).expect("it can be written");
    running.hand_in(0..100);
    let counts = running.wait_for(100);
    assert_eq!((counts.written, counts.failed), (62, 38));
    let said = running.said();
    let why = "it is there already and was not made by broken-lns; only its removal makes room";
    assert!(said[0].contains(why), "{said:?}");
    running.finish();
    assert_eq!(fs::read(&second).expect("it is there"), b"precious");
}

#[test]
fn nobody_but_the_owner_reads_a_capture_unless_asked() {
    let scratch = Scratch::new("capture").expect("a directory");
    for (mode, bits) in [("600", 0o600), ("644", 0o644)] {
        let file = scratch.file(mode);
        let options = CaptureOptions {
            mode: mode.parse().expect("a mode"),
            ..options(&file, None)
        };
        start(options).expect("it can be written").finish();
        let found = fs::metadata(&file).expect("it is there").permissions();
        assert_eq!(found.mode() & 0o7777, bits);
    }
}

#[test]
fn a_file_can_be_read_while_it_is_written() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let running = start(options(&file, None)).expect("it can be written");
    assert!(numbers(&file).is_empty());
    for number in 1..=2 {
        running.hand_in([number]);
        running.wait_for(number.into());
        assert!(numbers(&file).into_iter().eq(1..=number));
    }
}

#[test]
fn the_newest_files_are_kept() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let running = start(options(&file, Some(65_536))).expect("it can be written");
    // A block has 1,064 octets, so that a file has 62 frames: a few octets go to its begin.
    running.hand_in(0..62 * 12 + 5);
    assert_eq!(running.finish().written, 62 * 12 + 5);
    let mut expected: Vec<_> = (3..=12)
        .map(|number| format!("x.{number}.pcapng"))
        .collect();
    expected.sort();
    assert_eq!(names(&scratch.file("")), expected);
    let of = |number: u32| numbers(&scratch.file(&format!("x.{number}.pcapng")));
    assert!(of(3).into_iter().eq(62 * 3..62 * 4));
    assert!(of(12).into_iter().eq(62 * 12..62 * 12 + 5));
    let len = fs::metadata(scratch.file("x.3.pcapng"))
        .expect("it is there")
        .len();
    assert!((65_536..67_000).contains(&len), "{len}");
}

#[test]
fn a_full_disk_is_said_once_and_stops_nobody() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let full = scratch.file("x.1.pcapng");
    symlink("/dev/full", &full).expect("the name is free");
    let pause = Duration::from_millis(300);
    let options = options(&file, Some(65_536));
    let running = pausing(options, pause).expect("it can be written");
    running.hand_in(0..100);
    let counts = running.wait_for(100);
    assert_eq!((counts.written, counts.failed), (62, 38));
    let line = format!(
        "cannot capture to {}: No space left on device (os error 28); \
         frames are counted as failed until that is over",
        full.display()
    );
    assert_eq!(running.said(), [line]);
    // While it stays so it is said no more.
    thread::sleep(pause + Duration::from_millis(100));
    running.hand_in(200..210);
    assert_eq!(running.wait_for(110).failed, 48);
    assert_eq!(running.said(), [""; 0]);
    // Then there is room again.
    fs::remove_file(&full).expect("it is there");
    thread::sleep(pause + Duration::from_millis(100));
    running.hand_in(300..310);
    running.wait_for(120);
    let line = format!("captures again, to {}", full.display());
    assert_eq!(running.said(), [line]);
    let counts = running.finish();
    assert_eq!((counts.written, counts.failed), (72, 48));
    assert!(numbers(&file).into_iter().eq(0..62));
    assert!(numbers(&full).into_iter().eq(300..310));
}

#[test]
fn a_frame_that_cannot_be_written_spoils_no_other() {
    let scratch = Scratch::new("capture").expect("a directory");
    let file = scratch.file("x.pcapng");
    let mut prepared = Prepared::new(options(&file, None)).expect("it can be written");
    let talkative = RuleName {
        place: None,
        fault: "x".repeat(70_000).into(),
    };
    prepared.enter(0, vec![talkative]);
    let [sender, other] = [0, 1].map(|interface| hear(&mut prepared, interface));
    let capture = prepared.start().expect("it can be written");
    let running = Running { capture, sender };
    running.hand_in([0]);
    // There is no such interface.
    let stranger = (captured(1), octets(1));
    other.send(stranger).expect("the writer lives");
    let shorter = Captured {
        len: 3,
        ..captured(2)
    };
    let talkative = Captured {
        verdict: Verdict::Answered as u32,
        ..captured(3)
    };
    for (number, captured) in [(2, shorter), (3, talkative)] {
        let frame = (captured, octets(number));
        running.sender.send(frame).expect("the writer lives");
    }
    running.hand_in([4]);
    let counts = running.finish();
    assert_eq!((counts.written, counts.failed), (3, 2));
    assert_eq!(numbers(&file), [0, 2, 4]);
}

#[test]
fn only_a_regular_file_and_dev_null_will_do() {
    let scratch = Scratch::new("capture").expect("a directory");
    let pipe = scratch.file("x.pcapng");
    mkfifo(&pipe, Mode::S_IRWXU).expect("the name is free");
    let refused = |path: &Path| {
        let error = start(options(path, None)).expect_err("it is none");
        assert_eq!(
            error.to_string(),
            format!(
                "cannot write the capture file {}: it is neither a regular file nor /dev/null; \
                 choose another place with --capture FILE",
                path.display()
            )
        );
    };
    // Nobody reads, which holds nobody up.
    refused(&pipe);
    let reader = fs::OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(&pipe);
    let _reader = reader.expect("it can be read");
    for path in [&pipe, &scratch.file(""), Path::new("/dev/zero")] {
        refused(path);
    }

    let running = start(options(Path::new("/dev/null"), None)).expect("it takes all");
    running.hand_in(0..100);
    assert_eq!(running.finish().written, 100);
}

#[test]
fn a_comment_names_the_rule_of_its_scenario() {
    let mut rules = Rules::default();
    let rule = |fault: &str| RuleName {
        place: None,
        fault: fault.into(),
    };
    let comment = |rules: &Rules, scenario, rule, verdict| {
        rules.comment(&Captured {
            scenario,
            rule,
            verdict: verdict as u32,
            ..captured(0)
        })
    };
    rules.enter(0, vec![rule("refuse"), rule("silent")]);
    rules.enter(1, vec![rule("pass")]);
    for (scenario, number, verdict, expected) in [
        (
            0,
            1,
            Verdict::Silent,
            "rule default, fault silent, verdict silent",
        ),
        (
            1,
            0,
            Verdict::Passed,
            "rule default, fault pass, verdict passed",
        ),
        // No rule says what becomes of it.
        (0, 0, Verdict::Zlb, "verdict zlb"),
        (1, 1, Verdict::Answered, "verdict answered"),
        (2, 0, Verdict::Answered, "verdict answered"),
    ] {
        assert_eq!(comment(&rules, scenario, number, verdict), expected);
    }
    // Replies of a former scenario may be owed for a while, but not for ever.
    for scenario in 2..16 {
        rules.enter(scenario, vec![rule("refuse")]);
    }
    let first = "rule default, fault silent, verdict silent";
    assert_eq!(comment(&rules, 0, 1, Verdict::Silent), first);
    rules.enter(16, vec![rule("refuse")]);
    assert_eq!(comment(&rules, 0, 1, Verdict::Silent), "verdict silent");
}

#[test]
fn a_place_that_is_none_is_named() {
    let error = start(options(Path::new("/dev/full"), None)).expect_err("it is full");
    assert_eq!(
        error.to_string(),
        "cannot write the capture file /dev/full: No space left on device (os error 28); \
         choose another place with --capture FILE"
    );
    let error = start(options(Path::new("/nowhere/x"), None)).expect_err("no directory");
    assert!(
        error.to_string().contains("/nowhere/x: No such file"),
        "{error}"
    );
}
