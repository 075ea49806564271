//! How often a source address is replied to, as a worker keeps to it: with the buckets of the
//! kernel half, so that one limit holds for both.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::os::fd::BorrowedFd;
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use broken_lns_ebpf::layers::IpVersion;
use broken_lns_ebpf::rate_limit::{BUCKETS, Bucket, INTERVAL_SUM, Limit, Limited, SKETCH};
use broken_lns_ebpf::wire::ipv6::Address;

use crate::af_xdp::Mapping;

/// The limit of so many replies a second, with a seed of its own; none without a number.
pub fn limit(rate: Option<NonZeroU32>) -> Limit {
    rate.map_or(Limit::OFF, |rate| Limit {
        interval: INTERVAL_SUM / u64::from(rate.get()),
        // Keys that the system drew make it a number nobody can know.
        seed: RandomState::new().build_hasher().finish(),
    })
}

/// A limit with the buckets of one interface, and whom the workers did not reply to first. Each
/// worker has a clone of it, with a sketch of its own.
#[derive(Clone, Debug)]
pub struct RateLimit {
    limit: Limit,
    buckets: Arc<Buckets>,
    sketch: Box<[u64]>,
    first: Arc<OnceLock<Limited>>,
}

impl RateLimit {
    /// The limit with buckets that nobody else has; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Where there is no memory.
    pub fn alone(limit: Limit) -> io::Result<Option<Self>> {
        Self::new(limit, || Mapping::anonymous(Buckets::LEN))
    }

    /// The limit with the buckets of the kernel half.
    ///
    /// # Errors
    ///
    /// Where they cannot be mapped.
    pub(crate) fn shared(limit: Limit, map: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        Self::new(limit, || Mapping::of(map, Buckets::LEN, 0))
    }

    fn new(limit: Limit, map: impl FnOnce() -> io::Result<Mapping>) -> io::Result<Option<Self>> {
        if limit == Limit::OFF {
            return Ok(None);
        }
        Ok(Some(Self {
            limit,
            buckets: Arc::new(Buckets(map()?)),
            sketch: vec![0; SKETCH as usize].into(),
            first: Arc::default(),
        }))
    }

    /// Whom a worker did not reply to first.
    pub fn first(&self) -> Option<IpAddr> {
        self.first.get()?.ip_address()
    }

    /// Whether a source may have a reply at `now`, which counts as sent then.
    #[inline]
    pub(crate) fn may_reply(&mut self, version: IpVersion, address: Address, now: u64) -> bool {
        let source = self.limit.source(address);
        let Some(place) = self.sketch.get_mut(source.place() as usize) else {
            return false;
        };
        let (full_at, is_suspect) = self.limit.sketch(*place, now);
        *place = full_at;
        if !is_suspect {
            return true;
        }
        let [first, second] = source.buckets().map(|number| self.buckets.get(number));
        let (Some(first), Some(second)) = (first, second) else {
            return false;
        };
        match self.limit.take(source, read(first), read(second), now) {
            Some((bucket, is_second)) => {
                write(if is_second { second } else { first }, bucket);
                true
            }
            None => {
                if self.first.get().is_none() {
                    let _ = self.first.set(Limited {
                        address,
                        ip_version: version.number().into(),
                    });
                }
                false
            }
        }
    }
}

/// The words of a bucket.
type Words = [AtomicU64; 2];

fn read([source, full_at]: &Words) -> Bucket {
    Bucket {
        source: source.load(Ordering::Relaxed),
        full_at: full_at.load(Ordering::Relaxed),
    }
}

fn write([source, full_at]: &Words, bucket: Bucket) {
    source.store(bucket.source, Ordering::Relaxed);
    full_at.store(bucket.full_at, Ordering::Relaxed);
}

/// The memory of the buckets.
#[derive(Debug)]
struct Buckets(Mapping);

// SAFETY: the memory is reached as atomic words only.
unsafe impl Sync for Buckets {}

impl Buckets {
    /// Octets of it: whole pages.
    const LEN: usize = BUCKETS as usize * size_of::<Bucket>();

    fn get(&self, number: u32) -> Option<&Words> {
        let start = self.0.start().cast::<Words>();
        // SAFETY: the mapping begins on a page, has room for that many buckets of two words, and
        // lives as long as `self`. All of this process reach it through here, as atomic words, of
        // which every value is one; the kernel half writes whole words.
        let all = unsafe { slice::from_raw_parts(start.as_ptr(), BUCKETS as usize) };
        all.get(number as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_has_an_interval_and_a_seed_of_its_own() {
        assert_eq!(limit(None), Limit::OFF);
        let rate = NonZeroU32::new(10_000);
        let (one, other) = (limit(rate), limit(rate));
        assert_eq!((one.interval, other.interval), (100_000, 100_000));
        assert_ne!(one.seed, other.seed);
    }

    #[test]
    fn workers_have_one_limit_in_common() {
        let limit = limit(NonZeroU32::new(3));
        let mut worker = RateLimit::alone(limit).expect("4 MiB").expect("a limit");
        let mut other = worker.clone();
        let [lac, neighbour] = [[10, 0, 0, 1], [10, 0, 0, 2]]
            .map(|address| [u64::from(u32::from_ne_bytes(address)), 0]);
        let replies = |worker: &mut RateLimit, address| worker.may_reply(IpVersion::V4, address, 7);
        let replied = [0; 3].map(|_| [replies(&mut worker, lac), replies(&mut other, lac)]);
        assert_eq!(replied, [[true, true], [true, false], [false, false]]);
        assert!(replies(&mut other, neighbour));
        assert_eq!(worker.first(), Some([10, 0, 0, 1].into()));
        assert!(
            RateLimit::alone(Limit::OFF)
                .expect("nothing to map")
                .is_none()
        );
    }
}
