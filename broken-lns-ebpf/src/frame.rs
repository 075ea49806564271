//! A frame in memory, and the one bounds check through which all of it is reached.
//!
//! A [`Frame`] stands for the bytes between two addresses: a slice in user
//! space, the packet of an XDP context in the kernel half. Nothing is read or
//! written except through a [`Window`], which [`Frame::window`] hands out when
//! the frame really holds its bytes. Both halves run this code, so that both
//! parse and write alike; this is the only module of the library with raw
//! pointers in it.
//!
//! Why not a slice: the verifier follows the two pointers of an XDP context and
//! the comparison between them, but it does not believe the length of a slice.

use core::marker::PhantomData;

use crate::verifier::pin_register;

/// No window begins beyond this offset.
///
/// A jumbo frame has 9,216 octets. The verifier forgets what it knows of a
/// packet pointer once the offset may exceed 65,535, window included, and it
/// follows every loop over a frame to this end.
pub const MAX_OFFSET: usize = 0x3fff;

/// The bytes of one frame.
///
/// A copy stands for the same bytes. A frame is neither `Send` nor `Sync`, so
/// copies of it never meet in two threads.
#[derive(Clone, Copy)]
pub struct Frame<'m> {
    start: *mut u8,
    end: *mut u8,
    memory: PhantomData<&'m mut [u8]>,
}

impl<'m> Frame<'m> {
    /// The frame in `bytes`.
    pub fn new(bytes: &'m mut [u8]) -> Self {
        let range = bytes.as_mut_ptr_range();
        Self {
            start: range.start,
            end: range.end,
            memory: PhantomData,
        }
    }

    /// The frame between two addresses, as an XDP context gives them.
    ///
    /// # Safety
    ///
    /// From `start` to `end` lies memory that may be read and written as long
    /// as the frame is used, and that nothing else uses meanwhile.
    pub const unsafe fn from_range(start: *mut u8, end: *mut u8) -> Self {
        Self {
            start,
            end,
            memory: PhantomData,
        }
    }

    /// The `N` bytes from `offset` on, where the frame holds them all.
    #[inline(always)]
    pub fn window<const N: usize>(self, offset: usize) -> Option<Window<'m, N>> {
        if offset > MAX_OFFSET {
            return None;
        }
        self.place(offset as u16).window()
    }

    /// Has the processor fetch the first three cache lines, which hold a usual
    /// request, while the first of them is looked at.
    #[inline(always)]
    pub fn fetch(self) {
        if let Some(lines) = self.window::<{ 2 * 64 + 1 }>(0) {
            lines.touch::<64>();
            lines.touch::<128>();
        }
    }

    /// The place `offset` octets behind the beginning of the frame.
    #[inline(always)]
    pub fn place(self, offset: u16) -> Place<'m> {
        Place {
            address: self.start.wrapping_add(usize::from(offset)),
            end: self.end,
            memory: PhantomData,
        }
    }

    /// Whether the frame is at least `length` octets long.
    #[inline(always)]
    pub fn holds(self, length: usize) -> bool {
        length <= MAX_OFFSET && self.start.wrapping_add(length) <= self.end
    }

    /// Whether the frame is exactly `length` octets long.
    #[inline(always)]
    pub fn is_long(self, length: usize) -> bool {
        length <= MAX_OFFSET && self.start.wrapping_add(length) == self.end
    }
}

/// A place in a frame, or not much more than 64 KiB behind its end.
///
/// What is read one after the other is read faster from place to place than at
/// offsets, each of which has to be checked and added to the start of the frame.
/// A place comes from a frame or from a window within one, never from another
/// place: so it cannot get far enough to go round the end of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'m> {
    address: *mut u8,
    /// Where the frame ends.
    end: *mut u8,
    memory: PhantomData<&'m mut [u8]>,
}

impl<'m> Place<'m> {
    /// The `N` bytes from here on, where the frame holds them all.
    #[inline(always)]
    pub fn window<const N: usize>(self) -> Option<Window<'m, N>> {
        let start = pin_register(self.address);
        if start.wrapping_add(N) > self.end {
            return None;
        }
        Some(Window {
            start,
            end: self.end,
            memory: PhantomData,
        })
    }

    /// Whether the frame has all octets before this place.
    #[inline(always)]
    pub fn is_reached(self) -> bool {
        self.address <= self.end
    }

    /// Whether it is the place of the octet before `other`.
    #[inline(always)]
    pub fn is_just_before(self, other: Self) -> bool {
        self.address.wrapping_add(1) == other.address
    }
}

/// `N` bytes of a frame that were checked to be there.
///
/// Positions are constants, held against `N` when the program is compiled.
/// `get` and `set` keep the order of the bytes in memory, for words that are
/// only moved or summed; `number` and `set_number` are in network byte order.
#[derive(Clone, Copy)]
pub struct Window<'m, const N: usize> {
    start: *mut u8,
    /// Where the frame ends.
    end: *mut u8,
    memory: PhantomData<&'m mut [u8]>,
}

impl<'m, const N: usize> Window<'m, N> {
    /// The place `octets` behind the beginning of the window.
    #[inline(always)]
    pub fn skip(self, octets: u16) -> Place<'m> {
        Place {
            address: self.start.wrapping_add(usize::from(octets)),
            end: self.end,
            memory: PhantomData,
        }
    }

    /// The octet at `AT`.
    #[inline(always)]
    pub fn octet<const AT: usize>(self) -> u8 {
        self.read::<AT, u8>()
    }

    /// The 16-bit word at `AT`, as it lies in memory.
    #[inline(always)]
    pub fn get16<const AT: usize>(self) -> u16 {
        self.read::<AT, u16>()
    }

    /// The 32-bit word at `AT`, as it lies in memory.
    #[inline(always)]
    pub fn get32<const AT: usize>(self) -> u32 {
        self.read::<AT, u32>()
    }

    /// The 64-bit word at `AT`, as it lies in memory.
    #[inline(always)]
    pub fn get64<const AT: usize>(self) -> u64 {
        self.read::<AT, u64>()
    }

    /// The 16-bit number at `AT`, in network byte order on the wire.
    #[inline(always)]
    pub fn number16<const AT: usize>(self) -> u16 {
        u16::from_be(self.get16::<AT>())
    }

    /// The 32-bit number at `AT`, in network byte order on the wire.
    #[inline(always)]
    pub fn number32<const AT: usize>(self) -> u32 {
        u32::from_be(self.get32::<AT>())
    }

    /// Puts an octet at `AT`.
    #[inline(always)]
    pub fn set_octet<const AT: usize>(self, octet: u8) {
        self.write::<AT, u8>(octet);
    }

    /// Puts a 16-bit word at `AT`, as it shall lie in memory.
    #[inline(always)]
    pub fn set16<const AT: usize>(self, word: u16) {
        self.write::<AT, u16>(word);
    }

    /// Puts a 32-bit word at `AT`, as it shall lie in memory.
    #[inline(always)]
    pub fn set32<const AT: usize>(self, word: u32) {
        self.write::<AT, u32>(word);
    }

    /// Puts a 64-bit word at `AT`, as it shall lie in memory.
    #[inline(always)]
    pub fn set64<const AT: usize>(self, word: u64) {
        self.write::<AT, u64>(word);
    }

    /// Puts a 16-bit number at `AT`, in network byte order.
    #[inline(always)]
    pub fn set_number16<const AT: usize>(self, number: u16) {
        self.set16::<AT>(number.to_be());
    }

    /// Puts a 32-bit number at `AT`, in network byte order.
    #[inline(always)]
    pub fn set_number32<const AT: usize>(self, number: u32) {
        self.set32::<AT>(number.to_be());
    }

    /// Whether the window ends at `place` or before it.
    #[inline(always)]
    pub fn is_before(self, place: Place<'m>) -> bool {
        self.start.wrapping_add(N) <= place.address
    }

    /// The place `low + high` octets behind the beginning of the window.
    ///
    /// The two are added one after the other, so that neither waits for the other.
    #[inline(always)]
    pub fn skip_both(self, low: u8, high: u16) -> Place<'m> {
        let low = self.skip(u16::from(low));
        Place {
            address: low.address.wrapping_add(usize::from(high)),
            ..low
        }
    }

    /// The `M` octets from `AT` on.
    #[inline(always)]
    pub fn part<const AT: usize, const M: usize>(self) -> Window<'m, M> {
        const { assert!(AT + M <= N) };
        Window {
            start: self.start.wrapping_add(AT),
            end: self.end,
            memory: PhantomData,
        }
    }

    /// Reads an octet for the sake of its cache line.
    #[inline(always)]
    fn touch<const AT: usize>(self) {
        const { assert!(AT < N) };
        // SAFETY: as in `read`; volatile, so that the compiler does not leave it out.
        unsafe { self.start.add(AT).read_volatile() };
    }

    #[inline(always)]
    fn read<const AT: usize, T: Copy>(self) -> T {
        const { assert!(AT + size_of::<T>() <= N) };
        // SAFETY: `Frame::window` saw that N bytes lie behind `start`, and the
        // assertion above keeps the word within them. T is one of the unsigned
        // integers, for which every bit pattern is a value.
        unsafe { self.start.add(AT).cast::<T>().read_unaligned() }
    }

    #[inline(always)]
    fn write<const AT: usize, T: Copy>(self, word: T) {
        const { assert!(AT + size_of::<T>() <= N) };
        // SAFETY: as in `read`; the memory is the frame's own, to be written.
        unsafe { self.start.add(AT).cast::<T>().write_unaligned(word) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_where_the_frame_ends() {
        let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7];
        let frame = Frame::new(&mut bytes);
        assert_eq!(
            frame.window::<8>(0).unwrap().get64::<0>(),
            u64::from_ne_bytes([0, 1, 2, 3, 4, 5, 6, 7])
        );
        assert_eq!(frame.window::<2>(6).unwrap().number16::<0>(), 0x0607);
        assert!(frame.window::<2>(7).is_none());
        assert!(frame.window::<9>(0).is_none());
        assert!(frame.window::<1>(8).is_none());
        assert!(frame.window::<0>(8).is_some());
    }

    #[test]
    fn an_offset_cannot_wrap() {
        let mut bytes = [0; 8];
        let frame = Frame::new(&mut bytes);
        assert!(frame.window::<8>(usize::MAX - 3).is_none());
        assert!(frame.window::<8>(MAX_OFFSET + 1).is_none());
        assert!(!frame.holds(usize::MAX));
        assert!(!frame.is_long(usize::MAX));
    }

    #[test]
    fn a_length_is_known() {
        let mut bytes = [0; 8];
        let frame = Frame::new(&mut bytes);
        assert!(frame.holds(0) && frame.holds(8) && !frame.holds(9));
        assert!(frame.is_long(8) && !frame.is_long(7) && !frame.is_long(9));
    }

    #[test]
    fn a_place_may_lie_behind_the_frame_but_no_window() {
        let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7];
        let frame = Frame::new(&mut bytes);
        let window = frame.place(2).window::<2>().unwrap();
        assert_eq!(window.number16::<0>(), 0x0203);
        assert_eq!(
            window.skip(4).window::<2>().unwrap().number16::<0>(),
            0x0607
        );
        assert!(window.skip(6).is_reached() && window.skip(6).window::<1>().is_none());
        for behind in [
            window.skip(7),
            window.skip(0xffff),
            window.skip_both(0xff, 0xffff),
        ] {
            assert!(!behind.is_reached() && behind.window::<0>().is_none());
        }
    }

    #[test]
    fn places_are_in_the_order_of_the_octets() {
        let mut bytes = [0; 8];
        let frame = Frame::new(&mut bytes);
        let window = frame.place(2).window::<4>().unwrap();
        assert!(window.is_before(frame.place(6)) && !window.is_before(frame.place(5)));
        assert!(frame.place(3).is_just_before(frame.place(4)));
        assert!(window.skip_both(1, 2) == frame.place(5));
    }

    #[test]
    fn a_part_is_a_window_of_its_own() {
        let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7];
        let window = Frame::new(&mut bytes).window::<8>(0).unwrap();
        assert_eq!(window.part::<4, 2>().number16::<0>(), 0x0405);
    }

    #[test]
    fn words_are_written_in_place() {
        let mut bytes = [0xa5; 16];
        let window = Frame::new(&mut bytes).window::<16>(0).unwrap();
        window.set_number16::<1>(0x0102);
        window.set_number32::<3>(0x0304_0506);
        window.set64::<8>(u64::from_ne_bytes([9, 10, 11, 12, 13, 14, 15, 16]));
        assert_eq!(
            bytes,
            [0xa5, 1, 2, 3, 4, 5, 6, 0xa5, 9, 10, 11, 12, 13, 14, 15, 16]
        );
    }
}
