//! Frames that nobody would send: fixtures with something broken.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::fixtures::Fixture;

/// The environment variable that repeats a run.
const SEED: &str = "BROKEN_LNS_SEED";

/// The seed of this run: a new one each time, unless one is to be repeated.
pub(crate) fn seed() -> u64 {
    if let Some(seed) = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()) {
        return seed;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| now.as_nanos() as u64)
}

/// `count` frames, each a fixture with one to four changes.
pub(crate) fn mutants(
    seed: u64,
    count: usize,
    fixtures: &[Fixture],
) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut random = Random::new(seed);
    (0..count).map(move |_| {
        let mut frame = fixtures[random.below(fixtures.len())].frame.clone();
        for _ in 0..=random.below(4) {
            mutate(&mut frame, &mut random);
        }
        // The kernel takes no run of less than an Ethernet header.
        frame.resize(frame.len().clamp(14, 2_000), 0);
        frame
    })
}

fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    if frame.len() < 14 {
        return;
    }
    let at = random.below(frame.len());
    match random.below(8) {
        0 => frame[at] ^= 1 << random.below(8),
        1 => frame[at] = random.next() as u8,
        // Most of what is decided is decided in the first hundred octets.
        2 => {
            let at = random.below(frame.len().min(100));
            frame[at] ^= 1 << random.below(8);
        }
        // Lengths are where it hurts: small steps up and down.
        3 => {
            frame[at] = frame[at]
                .wrapping_add(random.below(5) as u8)
                .wrapping_sub(2);
        }
        4 => frame.truncate(at.max(14)),
        5 => frame.extend((0..random.below(40)).map(|_| 0)),
        6 => frame.insert(at, random.next() as u8),
        _ => {
            let from = random.below(frame.len());
            let length = random.below(12).min(frame.len() - from);
            let piece = frame[from..from + length].to_vec();
            let at = at.min(frame.len() - length);
            frame[at..at + length].copy_from_slice(&piece);
        }
    }
}

/// Xorshift, which is random enough here and repeats exactly.
pub(crate) struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below the bound.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}
