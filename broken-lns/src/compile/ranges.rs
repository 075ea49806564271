//! Which value holds for an address: that of the longest prefix, found by one search.
//!
//! Prefixes lie within each other or apart, so that they cut all addresses into
//! ranges with one value each. A search among the sorted beginnings of the ranges
//! takes the same time however many lengths the prefixes have.

use std::net::IpAddr;

use crate::scenario::Prefix;

/// Values by IPv4 and by IPv6 address.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    v4: Ranges,
    v6: Ranges,
}

/// Values by the addresses of one family, which are numbers here.
#[derive(Clone, Debug, Default)]
struct Ranges {
    /// Where each range begins, in order.
    starts: Vec<u128>,
    /// What holds in it; `None` where no prefix reaches.
    values: Vec<Option<u32>>,
}

impl Table {
    /// The table of these prefixes, none of which may be there twice.
    pub(super) fn new(prefixes: impl IntoIterator<Item = (Prefix, u32)>) -> Self {
        let (v4, v6): (Vec<_>, Vec<_>) = prefixes
            .into_iter()
            .partition(|(prefix, _)| prefix.address().is_ipv4());
        Self {
            v4: Ranges::new(v4),
            v6: Ranges::new(v6),
        }
    }

    /// The value of the longest prefix that the IPv4 address is in.
    #[inline]
    pub(super) fn v4(&self, address: u32) -> Option<u32> {
        self.v4.get(address.into())
    }

    /// The same for an IPv6 address.
    #[inline]
    pub(super) fn v6(&self, address: u128) -> Option<u32> {
        self.v6.get(address)
    }
}

impl Ranges {
    fn new(mut prefixes: Vec<(Prefix, u32)>) -> Self {
        // A prefix comes before those that lie in it.
        prefixes.sort_unstable_by_key(|(prefix, _)| (first(*prefix), prefix.length()));
        let mut ranges = Self::default();
        // The prefixes around the place that was reached, each with its end.
        let mut around: Vec<(u128, u32)> = Vec::new();
        for (prefix, value) in prefixes {
            let start = first(prefix);
            ranges.leave(&mut around, start);
            ranges.begin(start, Some(value));
            around.push((last(prefix), value));
        }
        ranges.leave(&mut around, u128::MAX);
        ranges
    }

    /// Ends the prefixes that end before `start`.
    fn leave(&mut self, around: &mut Vec<(u128, u32)>, start: u128) {
        while let Some((last, _)) = around.pop_if(|(last, _)| *last < start) {
            let outer = around.last().map(|(_, value)| *value);
            self.begin(last.saturating_add(1), outer);
        }
    }

    /// Has a value hold from `start` on, in place of one that began there, too.
    fn begin(&mut self, start: u128, value: Option<u32>) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        self.starts.push(start);
        self.values.push(value);
    }

    #[inline]
    fn get(&self, address: u128) -> Option<u32> {
        let after = self.starts.partition_point(|start| *start <= address);
        *self.values.get(after.checked_sub(1)?)?
    }
}

/// The first address of a prefix as a number.
fn first(prefix: Prefix) -> u128 {
    match prefix.address() {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The last one.
fn last(prefix: Prefix) -> u128 {
    let bits: u32 = match prefix.address() {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let hosts = bits.saturating_sub(prefix.length().into());
    let hosts = 1_u128.checked_shl(hosts).map_or(u128::MAX, |size| size - 1);
    first(prefix) | hosts
}
