//! Which LACs are followed: all, none, or a share of them, as both halves see it alike.
//!
//! It depends on the LAC's address only. What is known of a LAC in the sample is complete.

use crate::chance::absorb;
use crate::wire::ipv6::Address;

/// The share of the LACs that are followed, of 2^32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Sample(u64);

/// What keeps the sample apart from the decisions by chance.
const SALT: u64 = 0x5a3d_1e0f_7b46_92c5;

impl Sample {
    /// Every LAC.
    pub const ALL: Self = Self(1 << 32);
    /// No LAC.
    pub const NONE: Self = Self(0);

    /// One LAC of `number`, and every one for 0 and 1.
    pub const fn one_of(number: u32) -> Self {
        match number {
            0 | 1 => Self::ALL,
            // Rounded up, so that the greatest number does not stand for none.
            _ => Self((1_u64 << 32).div_ceil(number as u64)),
        }
    }

    /// The sample with that word, as a global of the kernel half holds it.
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word for a global of the kernel half.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Whether it has the LAC with that address in memory order; an IPv4 address is the
    /// first word.
    #[inline(always)]
    pub const fn has(self, lac: Address) -> bool {
        let state = absorb(absorb(SALT, lac[0]), lac[1]);
        // Once more, so that every bit of the second word reaches the high half.
        (absorb(state, SALT) >> 32) < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `number`th LAC of 10.0.0.0/8.
    fn lac(number: u32) -> Address {
        [u64::from(u32::to_be(10 << 24 | number)), 0]
    }

    #[test]
    fn all_and_none() {
        for number in 0..10_000 {
            assert!(Sample::ALL.has(lac(number)) && Sample::one_of(1).has(lac(number)));
            assert!(Sample::one_of(0).has(lac(number)) && !Sample::NONE.has(lac(number)));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "so many hashes take an interpreter too long")]
    fn one_of_a_number_is_that_share_over_both_families() {
        for number in [2, 3, 10, 100] {
            let expected: u32 = 100_000 / number;
            // Five standard deviations, and a bit for the rounding.
            let bound = 5 * expected.isqrt() + 5;
            let sample = Sample::one_of(number);
            let v6 = |n: u32| [0xb80d_0120, u64::from(n).to_be()];
            let prefixes = |n: u32| [u64::from(n).to_be(), 0x0100_0000_0000_0000];
            let families: [&dyn Fn(u32) -> Address; 3] = [&lac, &v6, &prefixes];
            for addresses in families {
                let has = (0..100_000).filter(|n| sample.has(addresses(*n))).count() as u32;
                assert!(has.abs_diff(expected) <= bound, "1/{number}: {has}");
            }
        }
    }

    #[test]
    fn a_smaller_share_is_a_part_of_a_greater_one() {
        for number in 0..10_000 {
            let lac = lac(number);
            assert!(!Sample::one_of(100).has(lac) || Sample::one_of(10).has(lac));
        }
        assert_eq!(Sample::one_of(u32::MAX), Sample::from_word(2));
        assert_eq!(Sample::one_of(4).word(), 1 << 30);
    }
}
