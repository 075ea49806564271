//! Which file is written to: one after the other where they have a limit.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::section::Section;
use super::{CaptureOptions, Frame};

/// Files of a capture with a limit that are kept: the newest.
pub const KEPT: usize = 10;

/// The files of a capture.
pub(super) struct Files {
    options: CaptureOptions,
    /// The number of the file that has the next frames, which is open or not.
    number: u64,
    /// Those with frames in them, the oldest first.
    kept: VecDeque<PathBuf>,
    open: Option<Open>,
}

/// The file that is written to.
struct Open {
    file: File,
    section: Section,
    /// The octets of it that are whole blocks.
    len: u64,
    /// Whether it has frames.
    has_frames: bool,
    /// The frames that are in the section, and in no file yet.
    waiting: u64,
}

impl Files {
    /// Begins the first file.
    pub(super) fn begin(options: CaptureOptions) -> io::Result<Self> {
        let mut files = Self {
            options,
            number: 0,
            kept: VecDeque::new(),
            open: None,
        };
        files.begin_next()?;
        Ok(files)
    }

    /// Begins the next file. One without frames is begun anew: no file has to go for it.
    pub(super) fn begin_next(&mut self) -> io::Result<()> {
        if self.open.take().is_some_and(|open| open.has_frames) {
            self.number += 1;
        }
        let CaptureOptions {
            interfaces, clock, ..
        } = &self.options;
        let mut open = Open {
            file: create(&self.path())?,
            section: Section::new(interfaces, *clock).map_err(io::Error::other)?,
            len: 0,
            has_frames: false,
            waiting: 0,
        };
        open.flush()?;
        self.open = Some(open);
        Ok(())
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
        open.len + open.section.octets().len() as u64 >= limit.octets()
    }

    /// Writes what waits, and returns how many frames that are. After an error the file ends with
    /// the last frame that was written before, and is closed; how many were lost is in it.
    pub(super) fn flush(&mut self) -> Result<u64, (u64, io::Error)> {
        let Some(open) = &mut self.open else {
            return Ok(0);
        };
        let frames = std::mem::take(&mut open.waiting);
        if let Err(error) = open.flush() {
            // What it has is kept, and the next one comes in another file.
            self.number += u64::from(open.has_frames);
            self.open = None;
            return Err((frames, error));
        }
        if frames > 0 && !std::mem::replace(&mut open.has_frames, true) {
            self.keep(self.path());
        }
        Ok(frames)
    }

    /// Keeps a file, and removes the oldest where that is one too many.
    fn keep(&mut self, path: PathBuf) {
        self.kept.push_back(path);
        if self.kept.len() > KEPT
            && let Some(oldest) = self.kept.pop_front()
        {
            // One that somebody else has removed is as good.
            let _ = fs::remove_file(oldest);
        }
    }
}

impl Open {
    fn flush(&mut self) -> io::Result<()> {
        let octets = self.section.octets();
        if let Err(error) = self.file.write_all(octets) {
            // A device or a pipe has no end to cut off.
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        self.len += octets.len() as u64;
        self.section.taken();
        Ok(())
    }
}

/// Makes a file, or empties it.
fn create(path: &Path) -> io::Result<File> {
    // A pipe is an error where nobody reads it, instead of something to wait for.
    let flags = OFlag::O_NONBLOCK.bits();
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    options.custom_flags(flags).open(path)
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
    use super::*;

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
