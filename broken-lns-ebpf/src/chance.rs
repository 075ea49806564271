//! Decisions by chance that both halves make alike, and make alike again.
//!
//! Nothing is drawn: a decision is a hash of who asks whom, so that a
//! retransmitted SCCRQ meets the decision of the first one, and a run with the
//! same seed the decisions of the last one.

use crate::wire::ipv6::Address;

/// What is decided. Decisions on one thing say nothing about another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Draw {
    /// Which of two faults an attempt meets; numbered by the choices within a rule.
    Choice,
    /// How far a delay is off its mean.
    Jitter,
    /// Whether a frame is lost; numbered by the frames, which are lost one by one.
    Loss,
}

impl Draw {
    /// The salt of the decision with that number, of which 30 bits count.
    #[inline(always)]
    pub const fn salt(self, number: u32) -> u32 {
        number << 2 | self as u32
    }
}

/// A number that is uniform over all 32 bits, and the same for the same arguments.
///
/// The addresses are in memory order; an IPv4 address is the first word, as in
/// [`Answer`](crate::answer::Answer). The numbers are those of a little-endian
/// machine, which both halves run on.
#[inline(always)]
pub const fn hash(seed: u64, lac: Address, lns: Address, tunnel_id: u16, salt: u32) -> u32 {
    // The seed is absorbed like the rest: were it only the state to begin with,
    // another seed would be the same decisions for neighbouring addresses.
    let state = absorb(0, seed ^ GOLDEN_RATIO);
    let state = absorb(absorb(state, lac[0]), lac[1]);
    let state = absorb(absorb(state, lns[0]), lns[1]);
    let state = absorb(state, (salt as u64) << 16 | tunnel_id as u64);
    // The finish of SplitMix64, without its last step: the high bits of a
    // product are mixed already.
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state >> 32) as u32
}

/// 2^64 over the golden ratio, an odd number without a pattern in its bits.
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// The state with one more word in it.
///
/// A product carries upwards only, so its high half is brought down for the next one.
#[inline(always)]
pub(crate) const fn absorb(state: u64, word: u64) -> u64 {
    let state = (state ^ word).wrapping_mul(GOLDEN_RATIO);
    state ^ state >> 32
}

/// Whether something happens whose probability is `threshold` of 2^32.
#[inline(always)]
pub const fn happens(hash: u32, threshold: u64) -> bool {
    (hash as u64) < threshold
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 1;
    const LNS: Address = [0xc000_0201, 0];

    /// The `number`th LAC of 10.0.0.0/8.
    fn lac(number: u32) -> Address {
        [u64::from(u32::to_be(10 << 24 | number)), 0]
    }

    /// The sum of the squared deviations from what uniform numbers would be, in
    /// units of what is expected: about as much as there are cells, with a
    /// standard deviation of the square root of twice that.
    fn chi_square(counts: &[u32]) -> f64 {
        let total: u32 = counts.iter().sum();
        let expected = f64::from(total) / counts.len() as f64;
        let squares = counts
            .iter()
            .map(|count| (f64::from(*count) - expected).powi(2));
        squares.sum::<f64>() / expected
    }

    /// Six standard deviations more than 256 cells have on average.
    const BOUND_OF_256: f64 = 256.0 + 6.0 * 22.7;

    #[test]
    fn known_values() {
        let v6 = |address: std::net::Ipv6Addr| {
            let octets = address.octets();
            let word = |at: usize| u64::from_ne_bytes(*octets[at..].first_chunk().unwrap());
            [word(0), word(8)]
        };
        let v4 = |octets: [u8; 4]| [u64::from(u32::from_ne_bytes(octets)), 0];
        let (lac4, lns4) = (v4([10, 0, 0, 1]), v4([192, 0, 2, 1]));
        let lac6 = v6("2001:db8::1".parse().unwrap());
        let lns6 = v6("2001:db8:ffff::2".parse().unwrap());
        for (seed, lac, lns, tunnel_id, salt, expected) in [
            (1, lac4, lns4, 7, 0, 0x0954_8914),
            (1, lac4, lns4, 7, 1, 0x0303_48f8),
            (1, lac4, lns4, 8, 0, 0xad7b_2f53),
            (2, lac4, lns4, 7, 0, 0xaa3b_8162),
            (1, lns4, lac4, 7, 0, 0x9178_cd6f),
            (u64::MAX, lac6, lns6, 0xffff, u32::MAX, 0x287c_0bb2),
            (0, [0; 2], [0; 2], 0, 0, 0xf414_901a),
        ] {
            assert_eq!(hash(seed, lac, lns, tunnel_id, salt), expected);
        }
    }

    #[test]
    fn decisions_have_salts_of_their_own() {
        assert_eq!(Draw::Choice.salt(0), 0);
        assert_eq!(Draw::Jitter.salt(0), 1);
        assert_eq!(Draw::Loss.salt(5), 22);
        assert_eq!(Draw::Loss.salt(1 << 30), Draw::Loss.salt(0));
    }

    #[test]
    fn a_probability_is_the_share_of_what_happens() {
        assert!(!happens(0, 0) && happens(0, 1) && !happens(1, 1));
        assert!(happens(u32::MAX, 1 << 32) && !happens(u32::MAX, (1 << 32) - 1));

        let tenth = 429_496_730;
        let drawn = 100_000;
        let happened = (0..drawn)
            .filter(|number| happens(hash(SEED, lac(*number), LNS, 7, 0), tenth))
            .count();
        // Three standard deviations are 285.
        assert!((9_700..10_300).contains(&happened), "{happened}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million hashes take an interpreter too long")]
    fn every_octet_is_uniform_whatever_counts_up() {
        type Count = fn(u32) -> u32;
        let counting: [(&str, Count); 7] = [
            ("LAC", |n| hash(SEED, lac(n), LNS, 7, 0)),
            ("LNS", |n| hash(SEED, LNS, lac(n), 7, 0)),
            ("LAC of IPv6", |n| {
                hash(SEED, [0xb80d_0120, u64::from(n).to_be()], LNS, 7, 0)
            }),
            ("LNS of IPv6", |n| {
                hash(SEED, LNS, [0xb80d_0120, u64::from(n).to_be()], 7, 0)
            }),
            ("tunnel id", |n| hash(SEED, lac(1), LNS, n as u16, n >> 16)),
            ("frame", |n| hash(SEED, lac(1), LNS, 7, Draw::Loss.salt(n))),
            ("seed", |n| hash(u64::from(n), lac(1), LNS, 7, 0)),
        ];
        for (what, count) in counting {
            for shift in [0, 8, 16, 24] {
                let mut cells = [0; 256];
                for number in 0..65_536 {
                    cells[(count(number) >> shift & 0xff) as usize] += 1;
                }
                let chi_square = chi_square(&cells);
                assert!(chi_square < BOUND_OF_256, "{what}, {shift}: {chi_square}");
            }
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million hashes take an interpreter too long")]
    fn one_decision_says_nothing_about_another() {
        type Pair = fn(u32) -> (u32, u32);
        let pairs: [(&str, Pair); 5] = [
            ("choices of a rule", |n| {
                let choice = |number| hash(SEED, lac(n), LNS, 7, Draw::Choice.salt(number));
                (choice(0), choice(1))
            }),
            ("choice and jitter", |n| {
                let draw = |draw: Draw| hash(SEED, lac(n), LNS, 7, draw.salt(0));
                (draw(Draw::Choice), draw(Draw::Jitter))
            }),
            ("frames", |n| {
                let loss = |frame| hash(SEED, lac(1), LNS, 7, Draw::Loss.salt(frame));
                (loss(n), loss(n + 1))
            }),
            ("attempts", |n| {
                let attempt = |tunnel_id| hash(SEED, lac(n), LNS, tunnel_id, 0);
                (attempt(7), attempt(8))
            }),
            ("seeds", |n| {
                let run = |seed| hash(seed, lac(n), LNS, 7, 0);
                (run(1), run(2))
            }),
        ];
        for (what, pair) in pairs {
            let mut cells = [0; 256];
            for number in 0..65_536 {
                let (one, other) = pair(number);
                cells[(one >> 28 << 4 | other >> 28) as usize] += 1;
            }
            let chi_square = chi_square(&cells);
            assert!(chi_square < BOUND_OF_256, "{what}: {chi_square}");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million hashes take an interpreter too long")]
    fn every_bit_of_the_arguments_changes_every_bit_of_the_hash_half_the_time() {
        const TURNS: u32 = 2048;
        // Six standard deviations of what is 1,024 on average.
        const USUAL: std::ops::RangeInclusive<u32> = 888..=1160;
        let at = |words: [u64; 6]| {
            let [seed, lac0, lac1, lns0, lns1, rest] = words;
            hash(
                seed,
                [lac0, lac1],
                [lns0, lns1],
                rest as u16,
                (rest >> 16) as u32,
            )
        };
        for bit in 0..5 * 64 + 48 {
            let mut changes = [0; 32];
            for turn in 0..TURNS {
                let words = [1, lac(turn)[0], 0, 0x0102_00c0, 0, 7];
                let mut other = words;
                other[bit / 64] ^= 1 << (bit % 64);
                let difference = at(words) ^ at(other);
                for (output, changes) in changes.iter_mut().enumerate() {
                    *changes += difference >> output & 1;
                }
            }
            for (output, changes) in changes.iter().enumerate() {
                assert!(USUAL.contains(changes), "{bit} to {output}: {changes}");
            }
        }
    }
}
