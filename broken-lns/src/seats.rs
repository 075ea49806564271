//! Seats for a limited number of clients, none of which can keep the others away: a newcomer takes
//! that of the client of which nothing was heard the longest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// All seats of a server.
#[derive(Clone, Debug)]
pub(crate) struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    table: Mutex<Table>,
    /// A seat has become free, or its client idle.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    taken: HashMap<u64, Taken>,
    /// Grows whenever something is heard of a client, whose seat bears the last number.
    clock: u64,
    /// The number of the next seat.
    next: u64,
}

#[derive(Debug)]
struct Taken {
    heard: u64,
    /// Whether the client waits for us, and not we for the client.
    is_served: bool,
    lost: Arc<Notify>,
}

/// The seat of a client, free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    number: u64,
    seats: Seats,
    lost: Arc<Notify>,
}

/// A client that is served, until this is dropped. Nobody takes its seat.
#[derive(Debug)]
pub(crate) struct Served<'s>(&'s Seat);

impl Seats {
    /// So many of them.
    pub(crate) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit,
            table: Mutex::default(),
            changed: Notify::new(),
        }))
    }

    /// How many there are.
    pub(crate) fn limit(&self) -> usize {
        self.0.limit
    }

    /// A seat for a newcomer: a free one, or that of another client. Only where every client is
    /// being served, this waits.
    pub(crate) async fn take(&self) -> Seat {
        loop {
            let changed = self.0.changed.notified();
            if let Some(seat) = self.try_take() {
                return seat;
            }
            changed.await;
        }
    }

    fn try_take(&self) -> Option<Seat> {
        let mut table = self.lock();
        if table.taken.len() >= self.0.limit {
            let idle = table.taken.iter().filter(|(_, taken)| !taken.is_served);
            let (number, _) = idle.min_by_key(|(_, taken)| taken.heard)?;
            let number = *number;
            table.taken.remove(&number)?.lost.notify_one();
        }
        let number = table.next;
        table.next += 1;
        let lost = Arc::new(Notify::new());
        let taken = Taken {
            heard: table.tick(),
            is_served: false,
            lost: Arc::clone(&lost),
        };
        table.taken.insert(number, taken);
        Some(Seat {
            number,
            seats: self.clone(),
            lost,
        })
    }

    /// Nothing panics with half of a change made.
    fn lock(&self) -> MutexGuard<'_, Table> {
        let table = &self.0.table;
        table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Seat {
    /// Its client did something: it sent octets, or took some.
    pub(crate) fn heard(&self) {
        self.change(|_| {});
    }

    /// Its client is served from now on.
    pub(crate) fn serve(&self) -> Served<'_> {
        self.change(|taken| taken.is_served = true);
        Served(self)
    }

    /// Waits until somebody else has it.
    pub(crate) async fn lost(&self) {
        self.lost.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut Taken)) {
        let mut table = self.seats.lock();
        let now = table.tick();
        // One that is lost already has nothing to change.
        if let Some(taken) = table.taken.get_mut(&self.number) {
            taken.heard = now;
            change(taken);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().taken.remove(&self.number);
        self.seats.0.changed.notify_one();
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        self.0.change(|taken| taken.is_served = false);
        self.0.seats.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn take(seats: &Seats) -> Seat {
        seats.try_take().expect("somebody is idle")
    }

    fn is_lost(seat: &Seat) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(seat.lost()).poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn a_newcomer_takes_the_seat_of_the_longest_idle() {
        let seats = Seats::new(3);
        let [first, second, third] = [(); 3].map(|()| take(&seats));
        first.heard();
        let served = second.serve();
        let fourth = take(&seats);
        assert_eq!(
            [&first, &second, &third, &fourth].map(is_lost),
            [false, false, true, false]
        );
        // One that was served was heard of when that was over.
        drop(served);
        let fifth = take(&seats);
        let sixth = take(&seats);
        assert_eq!(
            [&first, &second, &fourth, &fifth, &sixth].map(is_lost),
            [true, false, true, false, false]
        );
    }

    #[test]
    fn who_has_lost_a_seat_takes_none_away() {
        let seats = Seats::new(1);
        let first = take(&seats);
        let second = take(&seats);
        first.heard();
        drop(first.serve());
        drop(first);
        assert_eq!(seats.lock().taken.len(), 1);
        assert!(!is_lost(&second));
        drop(second);
        assert_eq!(seats.lock().taken.len(), 0);
    }

    #[tokio::test]
    async fn a_newcomer_waits_where_all_are_served() {
        let seats = Seats::new(2);
        let [first, second] = [(); 2].map(|()| take(&seats));
        let served = [first.serve(), second.serve()];
        assert!(seats.try_take().is_none());
        let waiting = tokio::spawn({
            let seats = seats.clone();
            async move { seats.take().await }
        });
        tokio::task::yield_now().await;
        drop(served);
        let third = waiting.await.expect("no panic");
        assert!(is_lost(&first) && !is_lost(&third));
    }
}
