//! The entry of a ring buffer, as user space reads it.

/// The octets of an entry. Numbers in it are in the byte order of the machine.
#[derive(Clone, Copy)]
pub(crate) struct Entry<'o>(pub(crate) &'o [u8]);

impl Entry<'_> {
    /// The octet in that place, if there is one; so are the others.
    pub(crate) fn u8(self, at: usize) -> Option<u8> {
        self.0.get(at).copied()
    }

    pub(crate) fn u16(self, at: usize) -> Option<u16> {
        Some(u16::from_ne_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    pub(crate) fn u32(self, at: usize) -> Option<u32> {
        Some(u32::from_ne_bytes(*self.0.get(at..)?.first_chunk()?))
    }

    pub(crate) fn u64(self, at: usize) -> Option<u64> {
        Some(u64::from_ne_bytes(*self.0.get(at..)?.first_chunk()?))
    }
}
