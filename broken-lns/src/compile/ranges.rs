//! From prefixes to ranges of addresses, each with the value of its longest prefix.

use broken_lns_ebpf::layers::IpVersion;
use broken_lns_ebpf::ranges::{KeyV4, KeyV6, NO_RULE, Range, Slice};
use broken_lns_ebpf::wire::ipv6::Address;

use crate::scenario::Prefix;
use crate::scenario::prefix::bits;

/// Values by IPv4 and by IPv6 address.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    v4: Vec<Range<KeyV4>>,
    v6: Vec<Range<KeyV6>>,
}

impl Table {
    /// The table of these prefixes, none of which may be there twice.
    pub(super) fn new(prefixes: impl IntoIterator<Item = (Prefix, u32)>) -> Self {
        let (v4, v6): (Vec<_>, Vec<_>) = prefixes
            .into_iter()
            .partition(|(prefix, _)| prefix.address().is_ipv4());
        // An IPv4 address is the lower word of its number.
        let v4 = cut(v4, u32::MAX.into())
            .into_iter()
            .map(|(start, rule)| Range {
                start: KeyV4::from_bits(start as u32),
                rule,
            });
        let v6 = cut(v6, u128::MAX).into_iter().map(|(start, rule)| Range {
            start: KeyV6::from_bits(start),
            rule,
        });
        Self {
            v4: v4.collect(),
            v6: v6.collect(),
        }
    }

    /// The value of the longest prefix that the address is in. It is in memory order; an IPv4
    /// address is the first word.
    #[inline]
    pub(super) fn find(&self, version: IpVersion, address: Address) -> Option<u32> {
        let range = match version {
            IpVersion::V4 => {
                let range_at = |place: u32| Some(self.v4.get(place as usize)?.start);
                let place = whole(&self.v4).find(KeyV4::of(address), range_at)?;
                self.v4.get(place as usize)?.rule
            }
            IpVersion::V6 => {
                let range_at = |place: u32| Some(self.v6.get(place as usize)?.start);
                let place = whole(&self.v6).find(KeyV6::of(address), range_at)?;
                self.v6.get(place as usize)?.rule
            }
        };
        Some(range).filter(|rule| *rule != NO_RULE)
    }

    /// The ranges of IPv4 addresses; none where no prefix is one.
    pub(super) fn v4(&self) -> &[Range<KeyV4>] {
        &self.v4
    }

    /// The same for IPv6.
    pub(super) fn v6(&self) -> &[Range<KeyV6>] {
        &self.v6
    }
}

/// The whole of a list.
fn whole<K>(ranges: &[Range<K>]) -> Slice {
    Slice {
        first: 0,
        count: ranges.len() as u32,
    }
}

/// Cuts all addresses of a family, which are numbers up to `highest` here, into ranges: where
/// each begins, in order and the first one at 0, and the value in it. No prefix, no range.
fn cut(mut prefixes: Vec<(Prefix, u32)>, highest: u128) -> Vec<(u128, u32)> {
    if prefixes.is_empty() {
        return Vec::new();
    }
    // A prefix comes before those that lie in it.
    prefixes.sort_unstable_by_key(|(prefix, _)| (bits(prefix.address()), prefix.length()));
    let mut ranges = vec![(0, NO_RULE)];
    // The prefixes around the place that was reached, each with its end.
    let mut around: Vec<(u128, u32)> = Vec::new();
    for (prefix, value) in prefixes {
        let start = bits(prefix.address());
        leave(&mut ranges, &mut around, start);
        begin(&mut ranges, start, value);
        around.push((bits(prefix.last()), value));
    }
    // A prefix that ends at the highest address has nothing behind it.
    leave(&mut ranges, &mut around, highest);
    ranges
}

/// Ends the prefixes that end before `start`.
fn leave(ranges: &mut Vec<(u128, u32)>, around: &mut Vec<(u128, u32)>, start: u128) {
    while let Some((last, _)) = around.pop_if(|(last, _)| *last < start) {
        let outer = around.last().map_or(NO_RULE, |(_, value)| *value);
        begin(ranges, last.saturating_add(1), outer);
    }
}

/// Has a value hold from `start` on, in place of one that began there, too.
fn begin(ranges: &mut Vec<(u128, u32)>, start: u128, value: u32) {
    ranges.pop_if(|(same, _)| *same == start);
    ranges.push((start, value));
}
