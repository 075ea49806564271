//! Which file is written to: one after the other where they have a limit.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::sys::stat::makedev;

use super::section::{Section, begins_capture};
use super::{CaptureOptions, Frame};
use crate::output_file::{Identity, Opened, OutputFile, remove_own};

/// Files of a capture with a limit that are kept: the newest.
pub const KEPT: usize = 10;

/// The files of a capture.
pub(super) struct Files {
    options: CaptureOptions,
    /// The number of the file that has the next frames, which is open or not.
    number: u64,
    /// The octets of that file that are whole blocks.
    len: u64,
    /// Those with frames in them, the oldest first.
    kept: VecDeque<(PathBuf, Identity)>,
    open: Option<Open>,
}

/// The file that is written to.
struct Open {
    file: File,
    section: Section,
    /// The frames that are in the section, and in no file yet.
    waiting: u64,
}

impl Files {
    /// Sees that the first file can be opened, and leaves it as it is.
    pub(super) fn prepare(options: CaptureOptions) -> io::Result<Self> {
        let files = Self {
            options,
            number: 0,
            len: 0,
            kept: VecDeque::new(),
            open: None,
        };
        let Opened { file, is_new } = files.open_file()?;
        if is_new {
            remove_own(&files.path(), identity(&file)?)?;
        }
        Ok(files)
    }

    /// Opens the file that has room for the next frame: the one there was unless that is full, so
    /// that a failure never brings about another file, for which an old one would have to go.
    pub(super) fn open_next(&mut self) -> io::Result<()> {
        if self.is_full() {
            self.number += 1;
            self.len = 0;
        }
        self.open = None;
        let Opened { file, .. } = self.open_file()?;
        if file.metadata()?.len() < self.len {
            // Somebody else has taken away what it had.
            self.len = 0;
        }
        cut(&file, self.len)?;
        let CaptureOptions {
            interfaces, clock, ..
        } = &self.options;
        let mut section = Section::new(interfaces, *clock).map_err(io::Error::other)?;
        if self.len > 0 {
            // The file has the begin of the section.
            section.taken();
        }
        self.open = Some(Open {
            file,
            section,
            waiting: 0,
        });
        self.flush().map_err(|(_, error)| error)?;
        Ok(())
    }

    /// Opens the file that has the next frames, to write at its end, or makes it.
    fn open_file(&self) -> io::Result<Opened> {
        let path = self.path();
        // Looked at before, since whoever opens a pipe waits for its reader.
        if let Ok(found) = std::fs::metadata(&path)
            && !takes_whole_blocks(&found)
        {
            return Err(io::Error::other(
                "it is neither a regular file nor /dev/null",
            ));
        }
        let file = OutputFile {
            path: &path,
            mode: self.options.mode,
            is_ours: begins_capture,
        };
        file.open()
    }

    /// Whether there is a file to write to.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The file that has the next frames.
    pub(super) fn path(&self) -> PathBuf {
        numbered(&self.options.file, self.number)
    }

    /// Adds a frame to what is going to be written.
    pub(super) fn add(&mut self, frame: &Frame) -> io::Result<()> {
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        open.section.add(frame).map_err(io::Error::other)?;
        open.waiting += 1;
        Ok(())
    }

    /// Whether so much waits that it should be written, or enough for this file.
    pub(super) fn is_enough(&self) -> bool {
        /// Octets that are written at a time.
        const BLOCK: usize = 64 << 10;
        self.open
            .as_ref()
            .is_some_and(|open| open.section.octets().len() >= BLOCK)
            || self.is_full()
    }

    /// Whether the next frame is for the next file.
    pub(super) fn is_full(&self) -> bool {
        let Some((open, limit)) = self.open.as_ref().zip(self.options.limit) else {
            return false;
        };
        self.len + open.section.octets().len() as u64 >= limit.octets()
    }

    /// Writes what waits, and returns how many frames that are. After an error the file ends with
    /// the last frame that was written before, and is closed; how many were lost is in it.
    pub(super) fn flush(&mut self) -> Result<u64, (u64, io::Error)> {
        let Some(open) = &mut self.open else {
            return Ok(0);
        };
        let frames = std::mem::take(&mut open.waiting);
        let octets = open.section.octets();
        if let Err(error) = open.file.write_all(octets) {
            // Whoever reads it meanwhile finds whole blocks; if not, so does whoever goes on.
            let _ = cut(&open.file, self.len);
            self.open = None;
            return Err((frames, error));
        }
        self.len += octets.len() as u64;
        open.section.taken();
        if frames > 0 {
            self.keep();
        }
        Ok(frames)
    }

    /// Keeps the file that has frames now, and removes the oldest where that is one too many.
    fn keep(&mut self) {
        let Some(Ok(identity)) = self.open.as_ref().map(|open| identity(&open.file)) else {
            return;
        };
        let kept = (self.path(), identity);
        if self.kept.back() == Some(&kept) {
            return;
        }
        self.kept.push_back(kept);
        if self.kept.len() > KEPT
            && let Some((oldest, identity)) = self.kept.pop_front()
        {
            // One that somebody else has removed is as good.
            let _ = remove_own(&oldest, identity);
        }
    }
}

/// What tells a file from another one with its name.
fn identity(file: &File) -> io::Result<Identity> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Whether a block is written as a whole there, or what was written of it can be cut off again.
fn takes_whole_blocks(found: &Metadata) -> bool {
    // Those take all or nothing: /dev/null and /dev/full.
    let devices = [makedev(1, 3), makedev(1, 7)];
    found.is_file() || found.file_type().is_char_device() && devices.contains(&found.rdev())
}

/// Leaves a file that many octets.
fn cut(file: &File, len: u64) -> io::Result<()> {
    // A device has no end to cut off.
    match file.metadata()?.is_file() {
        true => file.set_len(len),
        false => Ok(()),
    }
}

/// `x.pcapng` for number 0, and `x.1.pcapng` and so on after it.
fn numbered(first: &Path, number: u64) -> PathBuf {
    if number == 0 {
        return first.to_owned();
    }
    let mut name = first.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    if let Some(extension) = first.extension() {
        name.push(".");
        name.push(extension);
    }
    first.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::time::Duration;

    use pcap_file::pcapng::{Block, PcapNgReader};
    use xtask::lab::Scratch;

    use super::super::{Direction, FileLimit, OutputMode, WallClock};
    use super::*;

    fn files(file: &Path, limit: Option<FileLimit>) -> Files {
        let files = Files::prepare(CaptureOptions {
            file: file.to_owned(),
            mode: OutputMode::default(),
            limit,
            interfaces: vec!["eth1".to_owned()],
            clock: WallClock::at_zero(Duration::ZERO),
        });
        let mut files = files.expect("it can be written");
        files.open_next().expect("it can be written");
        files
    }

    fn add(files: &mut Files, time: u64) {
        let frame = Frame {
            time,
            interface: 0,
            direction: Direction::Request,
            len: 60,
            octets: vec![0; 60],
            comment: String::new(),
        };
        files.add(&frame).expect("it is open");
    }

    /// Fails to write a frame, of which half a block may stay in the file.
    fn fail(files: &mut Files, is_half_written: bool) {
        let path = files.path();
        add(files, 1_000);
        let open = files.open.as_mut().expect("it is open");
        open.file = File::open(&path).expect("it can be read");
        let (frames, _) = files.flush().expect_err("it cannot be written");
        assert_eq!((frames, files.is_open()), (1, false));
        if is_half_written {
            let mut half = OpenOptions::new().append(true).open(path).expect("there");
            half.write_all(&[6, 0, 0, 0, 99]).expect("there is room");
        }
    }

    /// The times of the frames in a file, and how often it says what it was written by.
    fn times(path: &Path) -> Vec<u64> {
        let file = File::open(path).expect("it is there");
        let mut reader = PcapNgReader::new(file).expect("it begins with a section");
        let mut times = Vec::new();
        let mut interfaces = 0;
        while let Some(block) = reader.next_block() {
            match block.expect("it is whole").0 {
                Block::EnhancedPacket(packet) => times.push(packet.timestamp.as_nanos() as u64),
                Block::InterfaceDescription(_) => interfaces += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(interfaces, 1);
        times
    }

    #[test]
    fn failures_cost_nothing_that_was_written() {
        for limit in [None, FileLimit::new(65_536).ok()] {
            let scratch = Scratch::new("capture").expect("a directory");
            let path = scratch.file("x.pcapng");
            let mut files = files(&path, limit);
            let failures = 2 * KEPT as u64;
            for time in 0..failures {
                add(&mut files, time);
                assert_eq!(files.flush().expect("there is room"), 1);
                fail(&mut files, time % 2 == 0);
                files.open_next().expect("it is there");
            }
            assert!(times(&path).into_iter().eq(0..failures));
            let names = fs::read_dir(scratch.file("")).expect("it is there");
            assert_eq!(names.count(), 1);
        }
    }

    #[test]
    fn a_file_that_went_meanwhile_is_begun_anew() {
        let scratch = Scratch::new("capture").expect("a directory");
        let path = scratch.file("x.pcapng");
        let mut files = files(&path, None);
        add(&mut files, 1);
        files.flush().expect("there is room");
        fail(&mut files, false);
        fs::remove_file(&path).expect("it is there");
        files.open_next().expect("the directory is there");
        add(&mut files, 2);
        files.flush().expect("there is room");
        assert_eq!(times(&path), [2]);
    }

    #[test]
    fn a_number_goes_before_the_extension() {
        for (first, number, expected) in [
            ("/tmp/x.pcapng", 0, "/tmp/x.pcapng"),
            ("/tmp/x.pcapng", 1, "/tmp/x.1.pcapng"),
            ("x.y.pcapng", 12, "x.y.12.pcapng"),
            ("x", 3, "x.3"),
            (".x", 3, ".x.3"),
        ] {
            assert_eq!(numbered(Path::new(first), number), Path::new(expected));
        }
    }
}
