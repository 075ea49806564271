//! The Internet checksum (RFC 1071), as partial sums of words in memory order.
//!
//! The ones' complement sum does not care for byte order, as long as the result
//! is stored the way the words were loaded (RFC 1071 §2(B)): so nothing is
//! swapped here, and a sum of 32-bit words folds to the same 16 bits as a sum
//! of 16-bit ones (§2(C)).

use crate::frame::Frame;

/// A partial sum: any number of 16- and 32-bit words in memory order.
///
/// It holds the sum of 2^32 words before it could overflow; a frame has a few thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Sum(u64);

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self(0);

    /// The sum with one more word of 16 bits.
    #[inline(always)]
    #[must_use]
    pub const fn plus16(self, word: u16) -> Self {
        Self(self.0 + word as u64)
    }

    /// The sum with one more word of 32 bits.
    #[inline(always)]
    #[must_use]
    pub const fn plus32(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// The sum with one more word of 64 bits.
    #[inline(always)]
    #[must_use]
    pub const fn plus64(self, word: u64) -> Self {
        Self(self.0 + (word >> 32) + (word & 0xffff_ffff))
    }

    /// The two sums as one.
    #[inline(always)]
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The sum in 16 bits, in memory order: 0xffff over data whose checksum is right.
    #[inline(always)]
    pub const fn fold(self) -> u16 {
        let sum = (self.0 >> 32) + (self.0 & 0xffff_ffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        let sum = (sum >> 16) + (sum & 0xffff);
        sum as u16
    }

    /// The checksum field that goes with the sum, in memory order.
    #[inline(always)]
    pub const fn checksum(self) -> u16 {
        !self.fold()
    }

    /// The same for UDP, where a computed 0 is sent as 0xffff (RFC 768, RFC 8200 §8.1).
    #[inline(always)]
    pub const fn udp_checksum(self) -> u16 {
        match self.checksum() {
            0 => 0xffff,
            checksum => checksum,
        }
    }

    /// The sum over `bytes`, padded with a zero octet to a whole word.
    pub fn of(bytes: &[u8]) -> Self {
        bytes.chunks(2).fold(Self::ZERO, |sum, pair| {
            let word = [pair[0], pair.get(1).copied().unwrap_or(0)];
            sum.plus16(u16::from_ne_bytes(word))
        })
    }

    /// The sum over `len` octets of `frame` from `start` on, or `None` where
    /// the frame does not hold them.
    #[inline(always)]
    pub fn over(frame: Frame<'_>, start: usize, len: usize) -> Option<Self> {
        let mut sum = Self::ZERO;
        for stride in 0..len / STRIDE {
            let words = frame.window::<STRIDE>(start + stride * STRIDE)?;
            sum = sum
                .plus64(words.get64::<0>())
                .plus64(words.get64::<8>())
                .plus64(words.get64::<16>())
                .plus64(words.get64::<24>());
        }
        // Derived from the length rather than from the loop, so that the
        // verifier goes on from every turn of it in one and the same state.
        let mut offset = start + len / STRIDE * STRIDE;
        if len & 16 != 0 {
            let words = frame.window::<16>(offset)?;
            sum = sum.plus64(words.get64::<0>()).plus64(words.get64::<8>());
            offset += 16;
        }
        if len & 8 != 0 {
            sum = sum.plus64(frame.window::<8>(offset)?.get64::<0>());
            offset += 8;
        }
        if len & 4 != 0 {
            sum = sum.plus32(frame.window::<4>(offset)?.get32::<0>());
            offset += 4;
        }
        if len & 2 != 0 {
            sum = sum.plus16(frame.window::<2>(offset)?.get16::<0>());
            offset += 2;
        }
        if len & 1 != 0 {
            let last = frame.window::<1>(offset)?.octet::<0>();
            sum = sum.plus16(u16::from_ne_bytes([last, 0]));
        }
        Some(sum)
    }
}

/// How many octets [`Sum::over`] takes at a time.
const STRIDE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The checksum as RFC 1071 §4.1 writes it down, word by word in network order.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            let high = u32::from(pair[0]) << 8;
            let low = u32::from(*pair.get(1).unwrap_or(&0));
            sum += high | low;
            if sum > 0xffff {
                sum -= 0xffff;
            }
        }
        !(sum as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).fold().to_be(), 0xddf2);
        assert_eq!(Sum::of(&bytes).checksum().to_be(), 0x220d);
    }

    #[test]
    fn a_udp_checksum_is_never_zero() {
        assert_eq!(Sum::of(&[0xff, 0xff]).checksum(), 0);
        assert_eq!(Sum::of(&[0xff, 0xff]).udp_checksum(), 0xffff);
        assert_eq!(Sum::ZERO.udp_checksum(), 0xffff);
    }

    #[test]
    fn the_largest_sums_fold() {
        assert_eq!(Sum(u64::MAX).fold(), 0xffff);
        assert_eq!(Sum(0x1_0000_0000).fold(), 1);
        assert_eq!(Sum(0xffff_0000_ffff).fold(), 0xffff);
    }

    #[test]
    fn a_sum_ends_within_the_frame() {
        let mut bytes = [1; 8];
        let frame = Frame::new(&mut bytes);
        assert!(Sum::over(frame, 0, 8).is_some());
        assert!(Sum::over(frame, 0, 9).is_none());
        assert!(Sum::over(frame, 7, 2).is_none());
        assert!(Sum::over(frame, 0, 0xffff).is_none());
    }

    proptest! {
        #[test]
        fn every_way_to_sum_agrees_with_the_reference(
            mut bytes in prop::collection::vec(any::<u8>(), 0..2000),
            start in 0usize..64,
        ) {
            let start = start.min(bytes.len());
            let expected = reference(&bytes[start..]);
            prop_assert_eq!(Sum::of(&bytes[start..]).checksum().to_be(), expected);
            let len = bytes.len() - start;
            let sum = Sum::over(Frame::new(&mut bytes), start, len).unwrap();
            prop_assert_eq!(sum.checksum().to_be(), expected);
        }

        #[test]
        fn words_of_any_width_add_up_alike(bytes in prop::array::uniform8(any::<u8>())) {
            let whole = Sum::ZERO.plus64(u64::from_ne_bytes(bytes));
            let mut halves = Sum::ZERO;
            for half in bytes.chunks_exact(4) {
                halves = halves.plus32(u32::from_ne_bytes(half.try_into().unwrap()));
            }
            prop_assert_eq!(whole.fold(), Sum::of(&bytes).fold());
            prop_assert_eq!(halves.plus(Sum::ZERO).fold(), Sum::of(&bytes).fold());
        }
    }
}
