//! How durations are distributed, in bounded memory.

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// Bits of a duration that tell its bucket, below the highest one that is set.
const SUB_BITS: u32 = 5;
/// Buckets from one power of two to the next.
const SUB_BUCKETS: u64 = 1 << SUB_BITS;

/// Durations in nanoseconds, counted in buckets that are 3 % wide.
///
/// A quantile is at most 1.6 % off; the least and the greatest duration are exact.
/// Only buckets with something in them take memory, of which there are 1,920 at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Buckets by their number, in order, none of them empty.
    buckets: Vec<(u16, u32)>,
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Distribution {
    /// Counts a duration.
    pub fn add(&mut self, nanoseconds: u64) {
        self.min = match self.count {
            0 => nanoseconds,
            _ => self.min.min(nanoseconds),
        };
        self.max = self.max.max(nanoseconds);
        self.count += 1;
        self.sum = self.sum.saturating_add(nanoseconds);
        let number = number(nanoseconds);
        match self.buckets.binary_search_by_key(&number, |(at, _)| *at) {
            Ok(at) => {
                if let Some((_, count)) = self.buckets.get_mut(at) {
                    *count = count.saturating_add(1);
                }
            }
            Err(at) => self.buckets.insert(at, (number, 1)),
        }
    }

    /// Takes back a duration that was counted. The least and the greatest duration are those of
    /// the buckets that are left, then.
    pub fn remove(&mut self, nanoseconds: u64) {
        let number = number(nanoseconds);
        let Ok(at) = self.buckets.binary_search_by_key(&number, |(at, _)| *at) else {
            return;
        };
        if let Some((_, count)) = self.buckets.get_mut(at) {
            *count -= 1;
            if *count == 0 {
                self.buckets.remove(at);
            }
        }
        self.count -= 1;
        self.sum = self.sum.saturating_sub(nanoseconds);
        let bounds = self.buckets.first().zip(self.buckets.last());
        let (least, most) = bounds.map_or((0, 0), |((least, _), (most, _))| {
            (first(*least), first(*most) + (width(*most) - 1))
        });
        if nanoseconds <= self.min {
            self.min = least.max(self.min);
        }
        if nanoseconds >= self.max {
            self.max = most.min(self.max);
        }
        if self.count == 0 {
            *self = Self::default();
        }
    }

    /// Counts all the durations of another one.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.min = match self.count {
            0 => other.min,
            _ => self.min.min(other.min),
        };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum = self.sum.saturating_add(other.sum);
        for &(number, more) in &other.buckets {
            match self.buckets.binary_search_by_key(&number, |(at, _)| *at) {
                Ok(at) => {
                    if let Some((_, count)) = self.buckets.get_mut(at) {
                        *count = count.saturating_add(more);
                    }
                }
                Err(at) => self.buckets.insert(at, (number, more)),
            }
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The sum of all durations.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The least duration.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0).then_some(self.min)
    }

    /// The greatest duration.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The median.
    pub fn median(&self) -> Option<u64> {
        self.quantile(0.5)
    }

    /// The duration that 99 of 100 do not exceed.
    pub fn p99(&self) -> Option<u64> {
        self.quantile(0.99)
    }

    /// The duration that the share `share` of all does not exceed, from 0 to 1.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = ((self.count as f64 * share).ceil() as u64).clamp(1, self.count.max(1));
        let mut below = 0;
        for &(number, count) in &self.buckets {
            below += u64::from(count);
            if below >= rank {
                let middle = first(number) + width(number) / 2;
                return Some(middle.clamp(self.min, self.max));
            }
        }
        self.max()
    }

    /// The buckets that are not empty, each by the greatest duration in it and its count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets
            .iter()
            .map(|&(number, count)| (first(number) + (width(number) - 1), u64::from(count)))
    }

    /// Octets on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<(u16, u32)>()
    }
}

impl Serialize for Distribution {
    /// What one wants to read of it, in nanoseconds.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Distribution", 5)?;
        fields.serialize_field("count", &self.count)?;
        fields.serialize_field("min_ns", &self.min())?;
        fields.serialize_field("median_ns", &self.median())?;
        fields.serialize_field("p99_ns", &self.p99())?;
        fields.serialize_field("max_ns", &self.max())?;
        fields.end()
    }
}

/// The number of the bucket that a duration belongs into.
///
/// The durations below 32 have a bucket each; above, every power of two is followed by 32.
fn number(nanoseconds: u64) -> u16 {
    let shift = (u64::BITS - nanoseconds.leading_zeros()).saturating_sub(SUB_BITS + 1);
    (u64::from(shift) * SUB_BUCKETS + (nanoseconds >> shift)) as u16
}

/// The least duration of a bucket.
fn first(number: u16) -> u64 {
    let shift = shift(number);
    (u64::from(number) - u64::from(shift) * SUB_BUCKETS) << shift
}

/// How many durations belong into a bucket.
fn width(number: u16) -> u64 {
    1 << shift(number)
}

fn shift(number: u16) -> u32 {
    (u32::from(number) >> SUB_BITS).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_distribution_has_no_values() {
        let empty = Distribution::default();
        assert_eq!((empty.count(), empty.sum()), (0, 0));
        assert_eq!(
            (empty.min(), empty.median(), empty.p99()),
            (None, None, None)
        );
        assert_eq!(empty.buckets().count(), 0);
    }

    #[test]
    fn quantiles_of_a_thousand_milliseconds() {
        let mut distribution = Distribution::default();
        for millisecond in 1..=1000 {
            distribution.add(millisecond * 1_000_000);
        }
        let near = |value: Option<u64>, expected: f64| {
            let value = value.expect("not empty") as f64;
            assert!(
                (value / expected - 1.0).abs() <= 0.016,
                "{value} {expected}"
            );
        };
        assert_eq!(distribution.count(), 1000);
        assert_eq!(distribution.min(), Some(1_000_000));
        assert_eq!(distribution.max(), Some(1_000_000_000));
        near(distribution.median(), 500e6);
        near(distribution.p99(), 990e6);
        near(distribution.quantile(0.0), 1e6);
        assert_eq!(
            serde_json::to_value(&distribution).expect("plain")["count"],
            1000
        );
    }

    proptest! {
        #[test]
        fn a_duration_is_in_its_bucket(nanoseconds: u64) {
            let number = number(nanoseconds);
            prop_assert!(number < 1920);
            prop_assert!(first(number) <= nanoseconds);
            prop_assert!(nanoseconds - first(number) < width(number));
            prop_assert!(width(number) == 1 || first(number) / width(number) >= SUB_BUCKETS);
        }

        #[test]
        fn two_halves_make_the_whole(
            one in prop::collection::vec(0u64..1 << 40, 0..50),
            other in prop::collection::vec(0u64..1 << 40, 0..50),
        ) {
            let of = |durations: &[u64]| {
                let mut distribution = Distribution::default();
                durations.iter().for_each(|duration| distribution.add(*duration));
                distribution
            };
            let mut merged = of(&one);
            merged.merge(&of(&other));
            prop_assert_eq!(merged, of(&[one, other].concat()));
        }
    }
}
