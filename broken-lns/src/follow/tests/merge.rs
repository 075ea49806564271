//! Whatever the sources do meanwhile, and however long they take.

use proptest::prelude::*;

use super::*;

const NO_LIMIT: usize = usize::MAX;

/// An event that is known by a number.
fn told(kind: Kind, time: u64, number: usize) -> Told {
    let mut octets = [0; Event::LEN];
    octets[..8].copy_from_slice(&time.to_ne_bytes());
    let (mut event, _) = Event::from_octets(&octets).expect("it is long enough");
    event.kind = kind as u8;
    event.scenario = number as u32;
    let message = Box::default();
    Told { event, message }
}

fn heard(time: u64, number: usize) -> Told {
    told(Kind::Heard, time, number)
}

fn number(told: &Told) -> usize {
    told.event.scenario as usize
}

/// The numbers of the events that are handed on, and the time before which all were.
fn handed_on(merge: &mut Merge) -> (Vec<usize>, u64) {
    let mut numbers = Vec::new();
    let settled = merge.hand_on(|told| numbers.push(number(&told)));
    (numbers, settled)
}

#[test]
fn the_earliest_event_comes_first() {
    let mut merge = Merge::new(NO_LIMIT);
    let [one, other] = [(); 2].map(|()| merge.add_source());
    for time in [10, 30, 50] {
        merge.push(one, heard(time, time as usize));
    }
    for time in [20, 40] {
        merge.push(other, heard(time, time as usize));
    }
    // What comes after 40 is not known before the other source has told.
    assert_eq!(handed_on(&mut merge), (vec![10, 20, 30, 40], 40));
    merge.complete(other, 50);
    assert_eq!(handed_on(&mut merge), (vec![], 50));
    merge.complete(other, 51);
    assert_eq!(handed_on(&mut merge), (vec![50], 50));
    merge.complete(one, 90);
    assert_eq!(handed_on(&mut merge), (vec![], 51));
}

#[test]
fn without_sources_nothing_is_waited_for() {
    assert_eq!(handed_on(&mut Merge::new(NO_LIMIT)), (vec![], u64::MAX));
}

#[test]
fn what_follows_comes_after_what_it_follows_from() {
    let mut merge = Merge::new(NO_LIMIT);
    let [worker, kernel] = [(); 2].map(|()| merge.add_source());
    merge.push(worker, told(Kind::Decided, 7, 1));
    merge.push(kernel, heard(7, 0));
    for source in [worker, kernel] {
        merge.complete(source, 8);
    }
    assert_eq!(handed_on(&mut merge), (vec![0, 1], 8));
}

#[test]
fn an_earlier_time_changes_no_order_within_a_source() {
    let mut merge = Merge::new(NO_LIMIT);
    let [one, other] = [(); 2].map(|()| merge.add_source());
    merge.push(one, heard(20, 0));
    merge.push(one, heard(10, 1));
    merge.push(other, heard(15, 2));
    merge.push(other, heard(21, 3));
    merge.complete(one, 30);
    assert_eq!(handed_on(&mut merge), (vec![2, 0, 1, 3], 21));
    merge.complete(other, 30);
    // Nor the order of what was handed on: it comes next, with its own time.
    merge.push(one, heard(5, 4));
    merge.complete(one, 31);
    assert_eq!(handed_on(&mut merge), (vec![], 30));
    merge.complete(other, 31);
    let mut times = Vec::new();
    merge.hand_on(|told| times.push(told.event.time));
    assert_eq!(times, [5]);
}

#[test]
fn where_too_many_wait_the_first_ones_do_not() {
    let size = octets(&heard(0, 0));
    let mut merge = Merge::new(2 * size);
    let [one, silent] = [(); 2].map(|()| merge.add_source());
    for time in [10, 20, 30, 40] {
        merge.push(one, heard(time, time as usize));
    }
    assert_eq!(handed_on(&mut merge), (vec![], 0));
    let mut excess = || merge.hand_on_excess().map(|told| number(&told));
    assert_eq!([excess(), excess(), excess()], [Some(10), Some(20), None]);
    // It comes at last, and takes the place that is left.
    merge.push(silent, heard(5, 5));
    merge.complete(silent, 40);
    assert_eq!(handed_on(&mut merge), (vec![5, 30], 40));
    let mut next = || merge.hand_on_next().map(|told| number(&told));
    assert_eq!([next(), next()], [Some(40), None]);
    assert_eq!(merge.octets, 0);
}

#[test]
fn a_message_takes_room() {
    let mut merge = Merge::new(NO_LIMIT);
    let source = merge.add_source();
    let message = [7; 100].into();
    merge.push(
        source,
        Told {
            message,
            ..heard(1, 1)
        },
    );
    assert_eq!(merge.octets, octets(&heard(1, 1)) + 100);
    assert_eq!(
        merge.hand_on_next().map(|told| told.message.len()),
        Some(100)
    );
    assert_eq!(merge.octets, 0);
}

/// A CPU that runs the program.
#[derive(Clone, Copy, Default)]
enum Cpu {
    #[default]
    Idle,
    /// It read the clock.
    Began { time: u64 },
    /// It has room in the ring for its event, by the number.
    Reserved { number: usize },
}

/// A worker.
#[derive(Clone, Copy, Default)]
enum Turn {
    #[default]
    Idle,
    Begun,
    /// It read the clock.
    Read {
        time: u64,
    },
    /// It has said so.
    Telling {
        time: u64,
    },
}

const CPUS: usize = 3;

/// The ring of a program, with the CPUs that run it.
#[derive(Default)]
struct Ring {
    cpus: [Cpu; CPUS],
    /// With what is not written yet.
    entries: VecDeque<usize>,
}

#[derive(Default)]
struct Queue {
    turn: Turn,
    progress: u64,
    entries: VecDeque<usize>,
}

/// What is known of an event.
struct Known {
    kind: Kind,
    time: u64,
    /// When it was told; never, as long as the CPU does not get to it.
    told: Option<u64>,
}

/// All that goes on while events are read, a step at a time.
struct World<'c> {
    choices: std::slice::Iter<'c, u8>,
    clock: u64,
    rings: Vec<Ring>,
    queues: Vec<Queue>,
    events: Vec<Known>,
}

const IDLE: u64 = u64::MAX;

impl<'c> World<'c> {
    fn new(choices: &'c [u8], rings: usize, queues: usize) -> Self {
        let queue = || Queue {
            progress: IDLE,
            ..Queue::default()
        };
        Self {
            choices: choices.iter(),
            clock: 1,
            rings: std::iter::repeat_with(Ring::default).take(rings).collect(),
            queues: std::iter::repeat_with(queue).take(queues).collect(),
            events: Vec::new(),
        }
    }

    fn choose(&mut self, of: usize) -> usize {
        usize::from(self.choices.next().copied().unwrap_or(0)) % of
    }

    fn tell(&mut self, kind: Kind, time: u64, told: Option<u64>) -> usize {
        self.events.push(Known { kind, time, told });
        self.events.len() - 1
    }

    /// Some of them do something.
    fn go_on(&mut self) {
        for _ in 0..self.choose(6) {
            self.clock += self.choose(2) as u64;
            let who = self.choose(self.rings.len() * CPUS + self.queues.len());
            match who.checked_sub(self.rings.len() * CPUS) {
                None => self.run_program(who / CPUS, who % CPUS),
                Some(queue) => self.work(queue),
            }
        }
    }

    fn run_program(&mut self, ring: usize, cpu: usize) {
        let next = match self.rings[ring].cpus[cpu] {
            Cpu::Idle => Cpu::Began { time: self.clock },
            Cpu::Began { time } => {
                let number = self.tell(Kind::Heard, time, None);
                self.rings[ring].entries.push_back(number);
                Cpu::Reserved { number }
            }
            Cpu::Reserved { number } => {
                self.events[number].told = Some(self.clock);
                Cpu::Idle
            }
        };
        self.rings[ring].cpus[cpu] = next;
    }

    fn work(&mut self, queue: usize) {
        let again = self.choose(3);
        let (turn, progress) = match self.queues[queue].turn {
            Turn::Idle => (Turn::Begun, Some(0)),
            Turn::Begun => (Turn::Read { time: self.clock }, None),
            Turn::Read { time } => (Turn::Telling { time }, Some(time)),
            Turn::Telling { time } => {
                let number = self.tell(Kind::Decided, time, Some(self.clock));
                self.queues[queue].entries.push_back(number);
                match again {
                    0 => (Turn::Idle, Some(IDLE)),
                    // It answers what came meanwhile.
                    1 => (Turn::Read { time: self.clock }, None),
                    _ => (Turn::Telling { time }, None),
                }
            }
        };
        let queue = &mut self.queues[queue];
        queue.turn = turn;
        queue.progress = progress.unwrap_or(queue.progress);
    }

    /// Everybody comes to the end of what they do.
    fn end(&mut self) {
        self.choices = [].iter();
        for ring in 0..self.rings.len() {
            for cpu in 0..CPUS {
                while !matches!(self.rings[ring].cpus[cpu], Cpu::Idle) {
                    self.run_program(ring, cpu);
                }
            }
        }
        for queue in 0..self.queues.len() {
            while !matches!(self.queues[queue].turn, Turn::Idle) {
                self.work(queue);
            }
        }
        self.clock += 1;
    }

    /// Reads a batch from each source, as a thread does that is as slow as they are.
    fn read(&mut self, merge: &mut Merge) {
        let now = self.clock;
        for source in 0..self.rings.len() {
            self.go_on();
            let limit = 1 + self.choose(8);
            let mut was_all = false;
            for _ in 0..limit {
                let first = self.rings[source].entries.front().copied();
                let Some(number) = first.filter(|it| self.events[*it].told.is_some()) else {
                    was_all = true;
                    break;
                };
                self.rings[source].entries.pop_front();
                merge.push(source, heard(self.events[number].time, number));
                self.go_on();
            }
            if was_all && self.rings[source].entries.is_empty() {
                merge.complete(source, now);
            }
        }
        for queue in 0..self.queues.len() {
            let source = self.rings.len() + queue;
            self.go_on();
            let until = self.queues[queue].progress.min(now);
            self.go_on();
            let limit = 1 + self.choose(8);
            let mut was_all = false;
            for _ in 0..limit {
                let Some(number) = self.queues[queue].entries.pop_front() else {
                    was_all = true;
                    break;
                };
                let Known { kind, time, .. } = self.events[number];
                merge.push(source, told(kind, time, number));
                self.go_on();
            }
            if was_all {
                merge.complete(source, until);
            }
        }
        self.go_on();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn what_was_told_before_another_one_began_comes_before_it(
        choices in prop::collection::vec(any::<u8>(), 0..2_000),
        rings in 1usize..3,
        queues in 0usize..4,
    ) {
        let mut merge = Merge::new(NO_LIMIT);
        for _ in 0..rings + queues {
            merge.add_source();
        }
        let mut world = World::new(&choices, rings, queues);
        let mut order = Vec::new();
        let mut settled = 0;
        while world.choices.len() > 0 {
            world.go_on();
            world.read(&mut merge);
            let now = merge.hand_on(|told| order.push(number(&told)));
            prop_assert!(now >= settled);
            settled = now;
        }
        world.end();
        while merge.octets > 0 || order.len() < world.events.len() {
            world.read(&mut merge);
            merge.hand_on(|told| order.push(number(&told)));
            world.clock += 1;
        }
        prop_assert_eq!(order.len(), world.events.len());
        for (place, first) in order.iter().enumerate() {
            let first = &world.events[*first];
            for second in &order[place + 1..] {
                let second = &world.events[*second];
                let told = second.told.expect("it was read");
                // Its clock may show the same time still where it follows.
                let follows = first.kind != Kind::Heard && second.kind == Kind::Heard;
                let caused = told < first.time || follows && told == first.time;
                prop_assert!(!caused, "told at {told}, before {} was read", first.time);
                // Workers read the clock first and tell then, each of them in order.
                let are_of_workers = first.kind != Kind::Heard && second.kind != Kind::Heard;
                prop_assert!(!are_of_workers || first.time <= second.time);
            }
        }
    }
}
