//! Whether what the program hands over to workers arrives there.
//!
//! The program counts what it hands over, and the kernel may drop that afterwards without counting
//! it anywhere. What is on its way is no loss: a frame is missed only once every worker has looked
//! for packets after it was handed over, and found none left. Workers that never come to an end,
//! under a flood, are allowed as many as they can have before them.

/// What the program and the workers counted at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// How often each worker found nothing to take; read before `arrived`.
    pub(super) idle: Vec<u64>,
    /// The frames that workers got, or that the kernel counted as dropped at their sockets.
    pub(super) arrived: u64,
    /// The frames that the program handed over.
    pub(super) handed_over: u64,
    /// How often each worker had found nothing to take; read after `handed_over`.
    pub(super) idle_after: Vec<u64>,
}

/// What became of frames that were handed over.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    before: Counts,
    undelivered: u64,
    is_failing: bool,
}

impl Delivery {
    /// Compares with what was counted at the last time, and returns whether frames began to be
    /// missed. A worker has no more than `most` packets before it.
    pub(super) fn look(&mut self, now: Counts, most: u64) -> bool {
        let mut looked = self.before.idle_after.iter().zip(&now.idle);
        let on_the_way = match looked.all(|(before, now)| now != before) {
            true => 0,
            false => most * now.idle.len() as u64,
        };
        // What has arrived since then counts for what was handed over then, so that this is never
        // too much.
        let missed = self.before.handed_over;
        let missed = missed.saturating_sub(now.arrived + on_the_way);
        let was_failing = self.is_failing;
        if missed > self.undelivered {
            self.undelivered = missed;
            self.is_failing = true;
        } else if now.arrived > self.before.arrived {
            self.is_failing = false;
        }
        self.before = now;
        self.is_failing && !was_failing
    }

    /// The same when nothing is on its way any more.
    pub(super) fn end(&mut self, handed_over: u64, arrived: u64) {
        let missed = handed_over.saturating_sub(arrived);
        self.undelivered = self.undelivered.max(missed);
    }

    /// The frames that are missed.
    pub(super) fn undelivered(&self) -> u64 {
        self.undelivered
    }

    /// Whether frames were missed, and none has arrived since.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 100;

    /// Counts of one worker that looked in vain so often.
    fn counts(idle: u64, arrived: u64, handed_over: u64) -> Counts {
        Counts {
            idle: vec![idle],
            arrived,
            handed_over,
            idle_after: vec![idle],
        }
    }

    /// What is missed after each of these, and whether that is going on.
    fn looks<const N: usize>(counts: [Counts; N]) -> [(u64, bool); N] {
        let mut delivery = Delivery::default();
        counts.map(|counts| {
            delivery.look(counts, MOST);
            (delivery.undelivered(), delivery.is_failing())
        })
    }

    #[test]
    fn what_is_on_its_way_is_not_missed() {
        let looks = looks([counts(1, 0, 50), counts(1, 20, 70), counts(2, 70, 70)]);
        assert_eq!(looks, [(0, false); 3]);
    }

    #[test]
    fn what_never_arrives_is_missed_once_the_worker_has_looked() {
        let looks = looks([
            counts(1, 0, 50),
            // It has not looked since, and may have all of them before it.
            counts(1, 0, 50),
            counts(2, 0, 60),
            counts(3, 0, 60),
            counts(4, 0, 60),
        ]);
        let expected = [(0, false), (0, false), (50, true), (60, true), (60, true)];
        assert_eq!(looks, expected);
    }

    #[test]
    fn it_is_well_again_once_frames_arrive() {
        let looks = looks([
            counts(1, 0, 50),
            counts(2, 0, 50),
            counts(3, 10, 60),
            counts(4, 20, 70),
        ]);
        assert_eq!(looks, [(0, false), (50, true), (50, false), (50, false)]);
    }

    #[test]
    fn half_of_a_flood_is_missed_though_the_worker_never_rests() {
        // A thousand are handed over each time, and every other arrives.
        let looks = looks([1, 2, 3, 4].map(|time| counts(1, 500 * time, 1000 * time)));
        let expected = [(0, false), (0, false), (400, true), (900, true)];
        assert_eq!(looks, expected);
    }

    #[test]
    fn one_of_several_workers_that_has_not_looked_may_have_the_rest() {
        let two = |idle: [u64; 2], arrived, handed_over| Counts {
            idle: idle.to_vec(),
            arrived,
            handed_over,
            idle_after: idle.to_vec(),
        };
        let looks = looks([two([1, 1], 0, 50), two([2, 1], 30, 50), two([3, 2], 30, 50)]);
        assert_eq!(looks, [(0, false), (0, false), (20, true)]);
    }

    #[test]
    fn it_is_told_once_for_each_time_that_it_begins() {
        let mut delivery = Delivery::default();
        let told = [
            counts(1, 0, 50),
            counts(2, 0, 50),
            counts(3, 0, 60),
            counts(4, 0, 60),
            counts(5, 10, 70),
            counts(6, 10, 80),
            counts(7, 10, 80),
        ]
        .map(|counts| delivery.look(counts, MOST));
        assert_eq!(told, [false, true, false, false, false, false, true]);
    }

    #[test]
    fn at_the_end_all_that_did_not_arrive_is_missed() {
        let mut delivery = Delivery::default();
        delivery.end(70, 70);
        assert_eq!(delivery.undelivered(), 0);
        delivery.end(70, 60);
        assert_eq!(delivery.undelivered(), 10);
    }
}
