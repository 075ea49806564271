//! Memory that is mapped as long as it is held.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::ptr::{self, NonNull};

/// Mapped memory; unmapped when dropped.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to the process and not to a thread, and nothing
// but what holds the mapping knows where it is.
unsafe impl Send for Mapping {}

impl Mapping {
    /// `len` octets of fresh memory, all 0.
    pub(crate) fn anonymous(len: usize) -> io::Result<Self> {
        Self::new(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// `len` octets of what `file` has at `offset`, shared with the kernel.
    pub(crate) fn of(file: BorrowedFd<'_>, len: usize, offset: i64) -> io::Result<Self> {
        let flags = libc::MAP_SHARED | libc::MAP_POPULATE;
        Self::new(len, flags, file.as_raw_fd(), offset)
    }

    fn new(len: usize, flags: i32, fd: i32, offset: i64) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: the kernel chooses a place where nothing is, and checks the rest.
        let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, fd, offset) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // A process that is made of this one has nothing to do with it, and a copy of frames would
        // be made for it at once. Where the kernel does not leave it out, all is as well.
        // SAFETY: the memory was mapped with this length.
        unsafe { libc::madvise(start, len, libc::MADV_DONTFORK) };
        let start = NonNull::new(start.cast());
        let start = start.ok_or_else(|| io::Error::other("the memory begins at address 0"))?;
        Ok(Self { start, len })
    }

    /// Where the memory begins: on a page.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Octets of the memory.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with this length, and whatever points
        // into it is gone with what held the mapping.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_mapped_is_an_error() {
        assert!(Mapping::anonymous(4096).is_ok());
        let error = Mapping::anonymous(0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
