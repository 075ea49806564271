//! How many replies one source address gets, at the most: a token bucket for each, in memory of a
//! fixed size that both halves have in common.
//!
//! A bucket is kept as the generic cell rate algorithm keeps it (ITU-T I.371): by the time at
//! which it is full again. That lies ahead by [`INTERVAL_SUM`] where nothing is left in it, and
//! who has asked for little has a full one, which need not be remembered. A source has one of two
//! buckets, by a hash of its address, and takes the one of which less is missing where others
//! have both: so the memory has no list to keep in order, an address costs two looks at it, and
//! who would be forgotten first is whoever has had the least.
//!
//! That memory is too large for the caches next to a CPU. So each CPU, and each worker, first looks
//! at a small sketch of its own: few times at which buckets of many sources each are full again.
//! As long as all of these together have asked for no more than one of them may, none has asked for
//! too much, and nothing else is looked at. The bucket of a source counts from where that ends.
//!
//! Neither half locks anything. Where two CPUs answer one source at the same moment, one of them
//! may not see what the other has just taken.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::chance::absorb;
use crate::wire::ipv6::Address;

/// Buckets of an interface: a power of two.
pub const BUCKETS: u32 = 1 << 18;

/// Nanoseconds in which a bucket fills: it holds as many replies as a source may have in a second.
pub const INTERVAL_SUM: u64 = 1_000_000_000;

/// Places in a sketch: a power of two, and as many as a value of a per-CPU map has room for.
pub const SKETCH: u32 = 1 << 12;

/// A sketch: for each place when what it stands for is full again.
pub type Sketch = [u64; SKETCH as usize];

/// From where on the sources in a place of a sketch have their buckets looked at: this much is
/// missing in that of all of them.
const SUSPICION: u64 = INTERVAL_SUM / 8;

/// What is ahead by more is of another clock, or nothing. The clock of the kernel half may be
/// behind that of a worker by a tick.
const MOST_AHEAD: u64 = 2 * INTERVAL_SUM;

/// The limit of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Nanoseconds from one reply to the next, or 0 where there is no limit.
    pub interval: u64,
    /// What nobody who chooses addresses can know.
    pub seed: u64,
}

impl Limit {
    /// No limit.
    pub const OFF: Self = Self {
        interval: 0,
        seed: 0,
    };

    /// The source with an address in memory order; an IPv4 address is the first word.
    #[inline(always)]
    pub const fn source(self, address: Address) -> Source {
        // An empty bucket is that of 0.
        Source(absorb(absorb(self.seed, address[0]), address[1]) | 1)
    }

    /// Takes a reply out of what a place in a sketch stands for, which is full again at `full_at`.
    /// When it is full from then on, and whether the source's own bucket has to be looked at.
    #[inline(always)]
    pub const fn sketch(self, full_at: u64, now: u64) -> (u64, bool) {
        let missing = missing(full_at, now) + self.interval;
        // All of it may be asked for again and again.
        let missing = if missing > INTERVAL_SUM {
            INTERVAL_SUM
        } else {
            missing
        };
        (now.wrapping_add(missing), missing > SUSPICION)
    }

    /// Takes a reply out of the one of two buckets that is the source's; `None` where it is empty.
    /// Otherwise that is how the bucket is from then on, and whether it is the second one.
    #[inline(always)]
    pub const fn take(
        self,
        source: Source,
        first: Bucket,
        second: Bucket,
        now: u64,
    ) -> Option<(Bucket, bool)> {
        let (of_first, of_second) = (missing(first.full_at, now), missing(second.full_at, now));
        let (missing, is_second) = if first.source == source.0 {
            (of_first, false)
        } else if second.source == source.0 {
            (of_second, true)
        } else {
            (0, of_second < of_first)
        };
        let taken = missing + self.interval;
        if taken > INTERVAL_SUM {
            return None;
        }
        let bucket = Bucket {
            source: source.0,
            full_at: now.wrapping_add(taken),
        };
        Some((bucket, is_second))
    }
}

/// A source by a hash of its address, by which alone it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source(u64);

impl Source {
    /// The number of its place in a sketch.
    #[inline(always)]
    pub const fn place(self) -> u32 {
        (self.0 >> 52) as u32
    }

    /// The numbers of its two buckets.
    #[inline(always)]
    pub const fn buckets(self) -> [u32; 2] {
        const HALF: u32 = BUCKETS / 2;
        [
            (self.0 >> 8) as u32 % HALF,
            HALF + (self.0 >> 40) as u32 % HALF,
        ]
    }
}

/// What a source has left. All of it may be 0: then it is nobody's.
///
/// Both words are in the byte order of the machine. It has no padding, so that it can lie in a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Bucket {
    /// Whose it is: the number of a [`Source`].
    pub source: u64,
    /// When it is full again, in nanoseconds of the monotonic clock.
    pub full_at: u64,
}

/// Nanoseconds until a bucket is full.
#[inline(always)]
const fn missing(full_at: u64, now: u64) -> u64 {
    let ahead = full_at.wrapping_sub(now);
    if ahead > MOST_AHEAD { 0 } else { ahead }
}

const _: () = assert!(
    SKETCH == 1 << (64 - 52),
    "a place is the high bits of a source"
);

/// Whom the kernel half did not reply to first, as it keeps it for each CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Limited {
    /// The address, in memory order; an IPv4 address is the first word.
    pub address: Address,
    /// 4 or 6, or 0 where that is nobody.
    pub ip_version: u64,
}

impl Limited {
    /// The address, if it is there.
    pub fn ip_address(&self) -> Option<IpAddr> {
        let octets = self.address.map(u64::to_ne_bytes);
        match (self.ip_version, octets) {
            (4, [[a, b, c, d, ..], _]) => Some(Ipv4Addr::new(a, b, c, d).into()),
            (6, [high, low]) => {
                let bits = u128::from(u64::from_be_bytes(high)) << 64;
                let bits = bits | u128::from(u64::from_be_bytes(low));
                Some(Ipv6Addr::from_bits(bits).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const SEED: u64 = 0x0123_4567_89ab_cdef;

    /// A memory of buckets.
    struct Memory(Limit, Vec<Bucket>);

    impl Memory {
        fn of_rate(rate: u64) -> Self {
            let limit = Limit {
                interval: SECOND / rate,
                seed: SEED,
            };
            Self(limit, vec![Bucket::default(); BUCKETS as usize])
        }

        fn take(&mut self, number: u64, now: u64) -> bool {
            let source = self.0.source([number, 0]);
            let [first, second] = source.buckets().map(|bucket| bucket as usize);
            let taken = self.0.take(source, self.1[first], self.1[second], now);
            if let Some((bucket, is_second)) = taken {
                self.1[if is_second { second } else { first }] = bucket;
            }
            taken.is_some()
        }

        /// How many replies it gets of so many that it asks for.
        fn taken(&mut self, number: u64, now: u64, asked: u64) -> u64 {
            (0..asked).map(|_| u64::from(self.take(number, now))).sum()
        }
    }

    #[test]
    fn a_source_has_what_a_second_allows_at_once_and_then_as_much_each_second() {
        for start in [0, 7, 5 * SECOND, u64::MAX - SECOND / 2] {
            let mut memory = Memory::of_rate(10);
            let at = |tenths: u64| start.wrapping_add(tenths * SECOND / 10);
            assert_eq!(memory.taken(1, at(0), 100), 10, "{start}");
            assert_eq!(memory.taken(1, at(1), 100), 1);
            assert_eq!(memory.taken(1, at(1) + 99_999_999, 100), 0);
            assert_eq!(memory.taken(1, at(4), 100), 3);
            assert_eq!(memory.taken(1, at(9), 2), 2);
            assert_eq!(memory.taken(1, at(10), 100), 4);
            // It never has more than that.
            assert_eq!(memory.taken(1, at(1000), 100), 10);
        }
    }

    #[test]
    fn a_sketch_suspects_whoever_may_ask_for_too_much() {
        let limit = Memory::of_rate(80).0;
        let mut full_at = 0;
        let mut ask = |now, times: u32| {
            let mut suspected = 0;
            for _ in 0..times {
                let (next, is_suspect) = limit.sketch(full_at, now);
                full_at = next;
                suspected += u32::from(is_suspect);
            }
            suspected
        };
        // An eighth of what a second allows comes without suspicion, and as much as drains.
        assert_eq!(ask(SECOND, 10), 0);
        assert_eq!(ask(SECOND, 1), 1);
        assert_eq!(ask(2 * SECOND, 10), 0);
        assert_eq!(
            (0..100)
                .map(|step| ask(3 * SECOND + step * SECOND / 80, 1))
                .sum::<u32>(),
            0
        );
        // Who asks on and on stays suspect, and as long as it takes to drain.
        assert_eq!(ask(10 * SECOND, 1000), 990);
        assert_eq!(ask(10 * SECOND + SECOND * 7 / 8 - 1, 1), 1);
        assert_eq!(ask(12 * SECOND, 1), 0);
    }

    #[test]
    fn one_reply_a_second_is_the_least() {
        let mut memory = Memory::of_rate(1);
        let taken: Vec<_> = [0, 1, SECOND - 1, SECOND, 2 * SECOND - 1, 2 * SECOND]
            .map(|now| memory.take(1, now))
            .into();
        assert_eq!(taken, [true, false, false, true, false, true]);
    }

    #[test]
    fn a_clock_that_is_a_tick_behind_finds_the_same() {
        let mut memory = Memory::of_rate(1000);
        assert_eq!(memory.taken(1, SECOND, 2000), 1000);
        let tick = 10_000_000;
        assert_eq!(memory.taken(1, SECOND - tick, 2000), 0);
        // A clock that has nothing to do with it does not limit anybody.
        assert_eq!(memory.taken(1, 500 * SECOND, 2000), 1000);
        assert_eq!(memory.taken(1, SECOND, 1), 1);
    }

    #[test]
    fn a_hundred_thousand_sources_have_a_limit_each() {
        let mut memory = Memory::of_rate(10);
        // Each asks for half of what it may have, for ten seconds, while one asks without end.
        let mut refused = 0;
        let mut flooded = 0;
        for step in 0..50 {
            let now = step * SECOND / 5;
            flooded += memory.taken(u64::MAX, now, 1000);
            for number in 0..100_000 {
                refused += u64::from(!memory.take(number, now));
            }
        }
        assert_eq!(refused, 0);
        assert_eq!(flooded, 10 + 98);
    }

    #[test]
    fn the_memory_may_be_full_of_others() {
        let mut memory = Memory::of_rate(10);
        assert_eq!(memory.taken(u64::MAX, 0, 1000), 10);
        // A million others take its place no more than they must: it has had more than they.
        for number in 0..1_000_000 {
            memory.take(number, 1);
        }
        assert_eq!(memory.taken(u64::MAX, 2, 1000), 0);
    }

    #[test]
    fn sources_have_buckets_all_over_the_memory() {
        let limit = Memory::of_rate(1).0;
        let mut counts = vec![0u32; 512];
        for number in 0..100_000u64 {
            let [first, second] = limit.source([number << 24, 0]).buckets();
            assert!(limit.source([number << 24, 0]).place() < SKETCH);
            assert!(first < BUCKETS / 2 && (BUCKETS / 2..BUCKETS).contains(&second));
            for bucket in [first, second] {
                counts[(bucket / (BUCKETS / 512)) as usize] += 1;
            }
        }
        // 391 are expected in each.
        assert!(
            counts.iter().all(|count| (250..550).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn who_was_limited_has_an_address() {
        let words = |octets: [u8; 16]| {
            let word = |at: usize| u64::from_ne_bytes(*octets[at..].first_chunk().unwrap());
            [word(0), word(8)]
        };
        let mut v4 = [0; 16];
        v4[..4].copy_from_slice(&[10, 0, 0, 1]);
        let v6: Ipv6Addr = "2001:db8::1".parse().unwrap();
        for (address, ip_version, expected) in [
            (words(v4), 4, Some(IpAddr::from([10, 0, 0, 1]))),
            (words(v6.octets()), 6, Some(v6.into())),
            ([0; 2], 0, None),
        ] {
            let limited = Limited {
                address,
                ip_version,
            };
            assert_eq!(limited.ip_address(), expected);
        }
        assert_eq!(size_of::<Bucket>(), 16);
        assert_eq!(size_of::<Limited>(), 24);
    }
}
