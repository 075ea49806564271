//! The bpf system call by hand, for the commands that aya does not have.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
const BPF_MAP_UPDATE_BATCH: libc::c_long = 26;

/// The part of `union bpf_attr` for the BPF_MAP_*_BATCH commands.
#[repr(C)]
#[derive(Default)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: RawFd,
    elem_flags: u64,
    flags: u64,
}

/// Makes one bpf system call.
///
/// # Safety
///
/// `attributes` has to begin like the part of `union bpf_attr` that the command
/// takes, and every address in it has to be good for what the kernel does there.
pub(crate) unsafe fn bpf<T>(command: libc::c_long, attributes: &mut T) -> io::Result<RawFd> {
    let len = size_of::<T>() as libc::c_long;
    // SAFETY: the attributes are as long as said, and the caller answers for what they hold.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, len) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    RawFd::try_from(result).map_err(io::Error::other)
}

/// Reads entries of an array that follow each other, the first one of the number `first`: as many
/// as there are `keys`, which become their numbers, with `stride` values each.
///
/// # Errors
///
/// Those of the kernel; kernels before 5.13 know no batches of per-CPU arrays.
///
/// # Safety
///
/// The map has to be an array whose values are read as `stride` of V: one for each CPU that is
/// possible, if the array is per CPU and V has 8 octets. Every bit pattern has to be a V.
pub(crate) unsafe fn lookup_batch<V>(
    map: BorrowedFd<'_>,
    first: u32,
    keys: &mut [u32],
    values: &mut [V],
    stride: usize,
) -> io::Result<()> {
    if keys.len().checked_mul(stride) != Some(values.len()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // An array goes on behind the number that it is given, and without one it begins.
    let before = first.checked_sub(1);
    let mut last = 0_u32;
    let mut attributes = Batch {
        in_batch: before
            .as_ref()
            .map_or(0, |before| (&raw const *before) as u64),
        out_batch: (&raw mut last) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: u32::try_from(keys.len()).map_err(io::Error::other)?,
        map: map.as_raw_fd(),
        ..Batch::default()
    };
    // SAFETY: the kernel reads a key at `in_batch`, writes one at `out_batch`, and at most `count`
    // keys and values, for which there is room as long as the caller is right about the stride.
    unsafe { bpf(BPF_MAP_LOOKUP_BATCH, &mut attributes)? };
    match attributes.count as usize == keys.len() {
        true => Ok(()),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Writes values to these entries of an array. Where it fails, some may be written.
///
/// # Errors
///
/// Those of the kernel; kernels before 5.6 know no batches.
///
/// # Safety
///
/// The map has to be an array with values of the size of V, which must have no padding.
pub(crate) unsafe fn update_batch<V>(
    map: BorrowedFd<'_>,
    keys: &[u32],
    values: &[V],
) -> io::Result<()> {
    if keys.len() != values.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut attributes = Batch {
        keys: keys.as_ptr() as u64,
        values: values.as_ptr() as u64,
        count: u32::try_from(keys.len()).map_err(io::Error::other)?,
        map: map.as_raw_fd(),
        ..Batch::default()
    };
    // SAFETY: the kernel reads `count` keys and values, which is what the slices have.
    unsafe { bpf(BPF_MAP_UPDATE_BATCH, &mut attributes)? };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structure_is_as_long_as_the_kernels() {
        assert_eq!(size_of::<Batch>(), 56);
        assert_eq!(std::mem::offset_of!(Batch, count), 32);
        assert_eq!(std::mem::offset_of!(Batch, elem_flags), 40);
    }
}
