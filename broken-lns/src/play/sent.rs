//! What became of frames beside the one answer that a request gets at once.

use std::sync::atomic::{AtomicU64, Ordering};

/// Declares [`Sent`] from one table of variant, label and meaning.
macro_rules! sent {
    ($($variant:ident, $label:literal, $meaning:literal;)*) => {
        /// One thing that a worker did beside answering a request at once.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Sent {
            $(#[doc = $meaning] $variant,)*
        }

        impl Sent {
            /// All of them, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name under which it is counted and shown.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }

            /// What it is, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }
        }
    };
}

sent! {
    Later, "sent-later", "deferred answers that were sent";
    Again, "sent-again", "StopCCNs that were sent again, for want of an acknowledgement";
    Copies, "copies", "further copies of answers";
    Lost, "lost-frames", "frames that a rule lost";
    HeldBack, "held-back", "frames that were not sent, since their address got as many as --max-reply-rate allows";
    Dropped, "dropped", "deferred answers that were dropped, since there were too many";
    NotAgain, "not-again", "StopCCNs that were given up before they were acknowledged, since too many were waiting";
    Forgotten, "forgotten", "pairs of LAC and LNS whose attempts begin anew, since there were too many";
    NoFrame, "no-frame", "copies that were not sent, for want of a free frame";
    NotWritten, "not-written", "deferred answers that could not be written";
    PassesNext, "passes-next", "requests dropped because a worker had them, and left to the host when they come again";
    NotPassed, "not-passed", "requests dropped because a worker had them, though a rule leaves them to the host";
    OverMtu, "over-mtu", "replies of either path that are longer than the MTU of the interface, and may be lost";
}

/// One counter for each, indexed by it.
pub type SentCounts = [u64; Sent::COUNT];

/// What one worker counts, and others read; only that worker adds to it.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct SentTally([AtomicU64; Sent::COUNT]);

impl SentTally {
    /// Adds some of a kind.
    #[inline]
    pub fn add(&self, sent: Sent, count: u64) {
        if let Some(total) = self.0.get(sent as usize) {
            increase(total, count);
        }
    }

    /// The counts so far.
    pub fn counts(&self) -> SentCounts {
        std::array::from_fn(|sent| self.0[sent].load(Ordering::Relaxed))
    }
}

/// The requests that met each rule, counted by one worker for one scenario.
#[derive(Debug)]
pub struct Hits(Box<[AtomicU64]>);

impl Hits {
    /// No hits of so many rules.
    pub fn new(rules: usize) -> Self {
        Self((0..rules).map(|_| AtomicU64::new(0)).collect())
    }

    /// Adds to the rule with that index.
    #[inline]
    pub fn add(&self, rule: usize, count: u64) {
        if let Some(total) = self.0.get(rule) {
            increase(total, count);
        }
    }

    /// The hits of every rule so far, in the order of the rules.
    pub fn counts(&self) -> impl Iterator<Item = u64> {
        self.0.iter().map(|total| total.load(Ordering::Relaxed))
    }
}

/// Adds to a counter with one writer, so that nothing is lost between the two steps.
#[inline]
fn increase(total: &AtomicU64, count: u64) {
    let sum = total.load(Ordering::Relaxed).wrapping_add(count);
    total.store(sum, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let sent = SentTally::default();
        sent.add(Sent::Again, 2);
        sent.add(Sent::Again, 3);
        assert_eq!(sent.counts()[Sent::Again as usize], 5);
        assert_eq!(sent.counts().iter().sum::<u64>(), 5);

        let hits = Hits::new(2);
        hits.add(1, 4);
        hits.add(2, 1);
        assert_eq!(hits.counts().collect::<Vec<_>>(), [0, 4]);
    }
}
