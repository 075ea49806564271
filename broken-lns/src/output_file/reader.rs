//! What has a reader in place of contents: a pipe, a terminal. Nobody waits for one that is not
//! there or does not read.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::place::Place;
use super::stream;

/// How long a reader may take to make room for more.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes all of it to what is there already.
///
/// # Errors
///
/// Those of the file system, and where a pipe has no reader, or one that does not read.
pub(super) fn write(place: &Place, contents: &[u8]) -> io::Result<()> {
    match stream::open_at_once(place) {
        Ok(file) => write_to(file, contents, PATIENCE),
        Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
            Err(io::Error::other("nobody reads from it"))
        }
        Err(error) => Err(error),
    }
}

fn write_to(mut file: File, mut contents: &[u8], patience: Duration) -> io::Result<()> {
    while !contents.is_empty() {
        match file.write(contents) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => contents = contents.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                wait_for_room(&file, patience)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn wait_for_room(file: &File, patience: Duration) -> io::Result<()> {
    let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    match poll(
        &mut [PollFd::new(file.as_fd(), PollFlags::POLLOUT)],
        timeout,
    ) {
        Ok(0) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "its reader took nothing for {}",
                humantime::format_duration(patience)
            ),
        )),
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::thread;

    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;
    use xtask::lab::Scratch;

    use super::super::{OutputFile, OutputMode};
    use super::*;

    #[test]
    fn a_pipe_without_a_reader_is_an_error() {
        let scratch = Scratch::new("stream").expect("a directory");
        let pipe = scratch.file("report.txt");
        mkfifo(&pipe, Mode::S_IRWXU).expect("the name is free");
        let file = OutputFile {
            path: &pipe,
            mode: OutputMode::default(),
            is_ours: |_| true,
        };
        let error = file.replace(b"a report").expect_err("nobody is there");
        assert_eq!(error.to_string(), "nobody reads from it");
    }

    #[test]
    fn a_reader_that_reads_has_all_of_it_and_another_one_is_left() {
        let contents = vec![b'x'; 1 << 20];
        for patience in [Duration::from_secs(60), Duration::from_millis(10)] {
            let (mut reader, writer) = io::pipe().expect("a pipe");
            fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a pipe");
            let file = File::from(OwnedFd::from(writer));
            if patience < Duration::from_secs(1) {
                let error = write_to(file, &contents, patience).expect_err("nobody reads");
                assert_eq!(error.to_string(), "its reader took nothing for 10ms");
                continue;
            }
            let read = thread::spawn(move || {
                let mut octets = Vec::new();
                reader.read_to_end(&mut octets).map(|_| octets)
            });
            write_to(file, &contents, patience).expect("it is read");
            let octets = read.join().expect("no panic").expect("a pipe");
            assert!(octets == contents, "{} octets", octets.len());
        }
    }
}
