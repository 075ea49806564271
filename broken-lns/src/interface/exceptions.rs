//! What native XDP_TX loses, by the kernel's tracepoint `xdp:xdp_exception`.
//!
//! A driver that has no room for a frame that a program sends back tells this tracepoint, and not
//! every driver counts it, too. A perf event on each CPU counts what is told of our program: no
//! program of our own takes part, and while nothing is lost it costs nothing.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

use aya::util::online_cpus;

/// Under which name the lost replies stand among the counters of the driver.
pub const TRANSMIT_EXCEPTIONS: &str = "xdp_exception_tx";

/// The file that says by which number a perf event names the tracepoint, in tracefs.
const ID: &str = "events/xdp/xdp_exception/id";

/// Where tracefs may be mounted.
const TRACEFS: &str = "/sys/kernel/tracing";

/// `XDP_TX` of `enum xdp_action`.
const XDP_TX: u32 = 3;

/// `PERF_TYPE_TRACEPOINT` of `linux/perf_event.h`.
const PERF_TYPE_TRACEPOINT: u32 = 2;
/// `PERF_FLAG_FD_CLOEXEC` of `linux/perf_event.h`.
const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 8;
/// `FSCONFIG_CMD_CREATE` of `linux/mount.h`.
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
/// `FSOPEN_CLOEXEC` and `FSMOUNT_CLOEXEC` of `linux/mount.h`.
const CLOEXEC: libc::c_uint = 1;

nix::ioctl_write_ptr!(
    /// `PERF_EVENT_IOC_SET_FILTER`: its argument is a string, and its size that of a pointer.
    set_filter, b'$', 6, *mut libc::c_char
);

/// The first version of `struct perf_event_attr`, which every kernel takes.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    breakpoint_address: u64,
}

/// Counts the frames of one program that XDP_TX lost, from when it was made.
#[derive(Debug)]
pub struct Exceptions {
    /// An event for each CPU.
    events: Vec<File>,
}

impl Exceptions {
    /// Counts for the program of this id from now on, on all CPUs that are online.
    ///
    /// # Errors
    ///
    /// Where the kernel has no such tracepoint or the process may not see it: that takes root, or
    /// a tracefs that it may read, and `CAP_PERFMON`.
    pub fn of_program(id: u32) -> io::Result<Self> {
        let tracepoint = tracepoint()?;
        let filter = CString::new(format!("prog_id == {id} && act == {XDP_TX}"))?;
        let cpus = online_cpus().map_err(|(_, error)| error)?;
        let events = cpus.into_iter().map(|cpu| {
            let event = open(tracepoint, cpu)?;
            // SAFETY: the descriptor is open and the kernel reads the string up to its end.
            unsafe { set_filter(event.as_raw_fd(), filter.as_ptr().cast()) }?;
            Ok(event)
        });
        Ok(Self {
            events: events.collect::<io::Result<_>>()?,
        })
    }

    /// How many frames were lost.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn count(&self) -> io::Result<u64> {
        self.events.iter().try_fold(0, |sum, mut event| {
            let mut count = [0; 8];
            event.read_exact(&mut count)?;
            Ok(sum + u64::from_ne_bytes(count))
        })
    }
}

/// The number of the tracepoint.
fn tracepoint() -> io::Result<u64> {
    let id = match fs::read_to_string(format!("{TRACEFS}/{ID}")) {
        Ok(id) => id,
        // It may be mounted nowhere, as in containers and namespaces.
        Err(_) => read_unmounted()?,
    };
    id.trim().parse().map_err(io::Error::other)
}

/// The same from a tracefs of our own, which is mounted at no place that anybody sees.
fn read_unmounted() -> io::Result<String> {
    let name = c"tracefs";
    // SAFETY: the kernel reads the name up to its end.
    let context = descriptor(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), CLOEXEC) })?;
    let nothing = ptr::null::<libc::c_char>();
    // SAFETY: this command takes no strings.
    let created = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            nothing,
            nothing,
            0,
        )
    };
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call takes numbers only.
    let mount =
        descriptor(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), CLOEXEC, 0) })?;
    let path = CString::new(ID)?;
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the kernel reads the path up to its end.
    let file = unsafe { libc::openat(mount.as_raw_fd(), path.as_ptr(), flags) };
    let mut text = String::new();
    File::from(descriptor(file.into())?).read_to_string(&mut text)?;
    Ok(text)
}

/// An event that counts what the tracepoint of that number tells on a CPU, whoever runs there.
fn open(tracepoint: u64, cpu: u32) -> io::Result<File> {
    let attributes = Attributes {
        kind: PERF_TYPE_TRACEPOINT,
        size: size_of::<Attributes>() as u32,
        config: tracepoint,
        ..Attributes::default()
    };
    // SAFETY: the attributes are plain data of the size that they say.
    let event = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            ptr::from_ref(&attributes),
            -1,
            cpu,
            -1,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    descriptor(event).map(File::from)
}

/// The descriptor that a system call made.
fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(result) {
        // SAFETY: the kernel has just made it, and it is nobody else's.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attributes_are_those_of_the_first_version() {
        // PERF_ATTR_SIZE_VER0.
        assert_eq!(size_of::<Attributes>(), 64);
    }

    #[test]
    fn a_program_that_loses_nothing_has_no_exceptions() {
        // SAFETY: the call takes nothing.
        if unsafe { libc::geteuid() } != 0 {
            return;
        }
        let exceptions = Exceptions::of_program(u32::MAX).expect("a kernel with tracepoints");
        assert_eq!(exceptions.count().expect("events that can be read"), 0);
    }
}
