//! Which rule holds for an address: that of the range which the address is in.
//!
//! Prefixes lie within each other or apart, so that they cut all addresses into
//! ranges with one rule each. The ranges of a table lie one behind the other,
//! sorted by where they begin, and a search by halves finds the right one,
//! however many lengths the prefixes have. For the IPv4 addresses of LNSs an
//! index says besides where the ranges are for the first 16 bits of an address.
//!
//! The ranges cover all addresses: the first one of a table begins at address 0,
//! and the first one of an entry of the index with its first address or before.

use crate::wire::ipv6;

/// Most ranges in a list.
pub const MAX_RANGES: u32 = 1 << MAX_TURNS;
/// How often a list of that length can be halved.
const MAX_TURNS: u32 = 19;

/// Entries of the index: one for each value of the first 16 bits of an address.
pub const INDEX_LEN: u32 = 1 << 16;

/// What stands in place of a rule's number where no prefix reaches.
pub const NO_RULE: u32 = u32::MAX;

/// A part of a list of ranges: a table, or an entry of the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Slice {
    /// The first range.
    pub first: u32,
    /// How many there are; 0 stands for a table without rules.
    pub count: u32,
}

impl Slice {
    /// The place of the range that `key` is in, where `range_at` tells where the range in a place
    /// begins. `None` for a table without rules, and where `range_at` does not know a place.
    #[inline(always)]
    pub fn find<K: Key>(self, key: K, range_at: impl Fn(u32) -> Option<K>) -> Option<u32> {
        if self.count == 0 {
            return None;
        }
        // The range in the place `at` begins at the key or before it, always.
        let (mut at, mut left) = (self.first, self.count);
        for _ in 0..MAX_TURNS {
            if left <= 1 {
                break;
            }
            let half = left >> 1;
            let begins_after = key.is_below(range_at(at.wrapping_add(half))?);
            // All bits where the range does not begin after the key.
            at = at.wrapping_add(half & begins_after.wrapping_sub(1));
            left -= half;
        }
        Some(at)
    }
}

/// An address as a number by which ranges are sorted.
pub trait Key: Copy + Ord {
    /// 1 if the number is below the other one, and 0 if not.
    ///
    /// It takes no branch, which the verifier would follow anew in every turn of a search.
    fn is_below(self, other: Self) -> u32;
}

/// An IPv4 address as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct KeyV4(u32);

impl KeyV4 {
    /// That of an address in memory order, of which the first four octets count.
    #[inline(always)]
    pub const fn of(address: ipv6::Address) -> Self {
        Self(u32::from_be(address[0] as u32))
    }

    /// That of an address that is a number already.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The entry of the index.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        self.0 >> 16
    }
}

impl Key for KeyV4 {
    #[inline(always)]
    fn is_below(self, other: Self) -> u32 {
        borrow(u64::from(self.0), u64::from(other.0))
    }
}

/// An IPv6 address as a number: its words, the uppermost first.
///
/// Of 32 bits, so that a range has no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(transparent)]
pub struct KeyV6([u32; 4]);

impl KeyV6 {
    /// That of an address in memory order.
    #[inline(always)]
    pub const fn of(address: ipv6::Address) -> Self {
        let [high, low] = address;
        let (high, low) = (u64::from_be(high), u64::from_be(low));
        Self([
            (high >> 32) as u32,
            high as u32,
            (low >> 32) as u32,
            low as u32,
        ])
    }

    /// That of an address that is a number already.
    pub const fn from_bits(bits: u128) -> Self {
        Self([
            (bits >> 96) as u32,
            (bits >> 64) as u32,
            (bits >> 32) as u32,
            bits as u32,
        ])
    }

    /// The two halves, the upper one first.
    #[inline(always)]
    const fn halves(self) -> (u64, u64) {
        let [first, second, third, fourth] = self.0;
        (
            (first as u64) << 32 | second as u64,
            (third as u64) << 32 | fourth as u64,
        )
    }
}

impl Key for KeyV6 {
    #[inline(always)]
    fn is_below(self, other: Self) -> u32 {
        let ((high, low), (other_high, other_low)) = (self.halves(), other.halves());
        let is_same = 1 ^ (borrow(high, other_high) | borrow(other_high, high));
        borrow(high, other_high) | is_same & borrow(low, other_low)
    }
}

/// What subtracting the second number from the first one borrows: 1 if it is the larger one.
#[inline(always)]
const fn borrow(from: u64, number: u64) -> u32 {
    let difference = from.wrapping_sub(number);
    ((!from & number | (!from | number) & difference) >> 63) as u32
}

/// Addresses from one on, up to where the next range begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Range<K> {
    /// The first address.
    pub start: K,
    /// The number of their rule, or [`NO_RULE`].
    pub rule: u32,
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_range_has_padding() {
        assert_eq!(size_of::<Range<KeyV4>>(), 8);
        assert_eq!(size_of::<Range<KeyV6>>(), 20);
    }

    #[test]
    fn a_key_is_the_number_of_its_address() {
        let octets = [
            0x20, 1, 0x0d, 0xb8, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        ];
        let word = |at: usize| u64::from_ne_bytes(*octets[at..].first_chunk().unwrap());
        let key = KeyV6::of([word(0), word(8)]);
        assert_eq!(key, KeyV6::from_bits(u128::from_be_bytes(octets)));
        let key = KeyV4::of([u64::from(u32::from_ne_bytes([192, 0, 2, 1])), 0]);
        assert_eq!(key, KeyV4::from_bits(0xc000_0201));
        assert_eq!(key.index(), 0xc000);
    }

    #[test]
    fn a_table_without_rules_has_no_range() {
        let nowhere = |_| -> Option<KeyV4> { unreachable!() };
        let key = KeyV4::from_bits(7);
        assert_eq!(Slice::default().find(key, nowhere), None);
    }

    proptest! {
        #[test]
        fn below_is_what_it_is_for_numbers(one: u128, other: u128, same in 0..3) {
            // Numbers by chance hardly ever have a half in common.
            let half = u128::from(u64::MAX);
            let other = match same {
                0 => other,
                1 => one & !half | other & half,
                _ => one & half | other & !half,
            };
            let below = KeyV6::from_bits(one).is_below(KeyV6::from_bits(other));
            prop_assert_eq!(below, u32::from(one < other));
            let (one, other) = (one as u32, other as u32);
            let below = KeyV4::from_bits(one).is_below(KeyV4::from_bits(other));
            prop_assert_eq!(below, u32::from(one < other));
        }

        #[test]
        fn a_search_finds_the_last_range_that_begins_before_the_key(
            starts in prop::collection::btree_set(1..200_u32, 0..100),
            before in 0..5_u32,
            key in 0..220_u32,
        ) {
            let starts: Vec<u32> = [0].into_iter().chain(starts).collect();
            let slice = Slice { first: before, count: starts.len() as u32 };
            let expected = starts.iter().rposition(|start| *start <= key).unwrap() as u32;
            let range_at = |place: u32| {
                starts.get((place - before) as usize).map(|start| KeyV4::from_bits(*start))
            };
            prop_assert_eq!(slice.find(KeyV4::from_bits(key), range_at), Some(before + expected));
        }
    }

    #[test]
    fn the_longest_list_can_be_searched() {
        let slice = Slice {
            first: 0,
            count: MAX_RANGES,
        };
        for key in [0, 1, MAX_RANGES / 2, MAX_RANGES - 1] {
            let place = slice.find(KeyV4::from_bits(key), |place| Some(KeyV4::from_bits(place)));
            assert_eq!(place, Some(key));
        }
    }
}
