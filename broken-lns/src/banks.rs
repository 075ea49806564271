//! The rules in the maps of the kernel half: two banks, of which one is active.
//!
//! New rules are written to the idle bank while every frame still finds those of
//! the active one. Then one octet changes, and from there on every frame finds the
//! new ones: none sees some of both, and none waits.

use std::os::fd::AsFd as _;
use std::time::Duration;

use aya::maps::{Array, IterableMap as _, Map, MapData, MapError};
use aya::{Ebpf, Pod};
use broken_lns_ebpf::maps::{self, Path};
use broken_lns_ebpf::ranges::{KeyV4, KeyV6, Range, Slice};
use broken_lns_ebpf::rules::{Active, Bank, Extent, Rule, Scenario, Step};
use broken_lns_ebpf::template::Template;

use crate::bpf::update_batch;
use crate::compile::Compiled;
use crate::program::{CounterArray, LoadError, take};

/// Entries that are written at a time.
const BATCH: usize = 4096;

/// Longer than the program looks at a frame, by some orders of magnitude.
const LONGEST_RUN: Duration = Duration::from_millis(100);

/// Rules could not be installed, for a map could not be written; those before are in force as
/// they were.
#[derive(Debug, thiserror::Error)]
#[error("cannot write a map of the XDP program: {0}")]
pub struct InstallError(#[from] MapError);

/// A type of the contract as the value of a map.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Value<T>(T);

// SAFETY: what is `Plain` has no padding, and every bit pattern of it is a value.
unsafe impl<T: Plain> Pod for Value<T> {}

/// Types that are `repr(C)` and made of integers only, without padding.
trait Plain: Copy + PartialEq + 'static {}

impl Plain for Scenario {}
impl Plain for Rule {}
impl Plain for Step {}
impl Plain for Slice {}
impl Plain for Range<KeyV4> {}
impl Plain for Range<KeyV6> {}
impl Plain for Template {}

/// The maps that hold rules.
pub(crate) struct Banks {
    active: Array<MapData, u32>,
    scenarios: Banked<Scenario>,
    rules: Banked<Rule>,
    steps: Banked<Step>,
    index: Banked<Slice>,
    ranges_v4: Banked<Range<KeyV4>>,
    ranges_v6: Banked<Range<KeyV6>>,
    templates: Banked<Template>,
    hits: CounterArray,
    /// What the counters of the active bank said when it became active.
    zero: Vec<u64>,
    /// The bank that frames find.
    bank: Bank,
    /// What need not be looked for in it.
    extent: Extent,
    /// The path of SCCRQs.
    path: Path,
    /// Whether a frame may have looked at the idle bank before it became idle.
    is_idle_read: bool,
    /// Whether frames look at the active bank.
    is_active_read: bool,
    /// Whether frames look at the idle bank, for what is to the port that replies came from.
    is_former_read: bool,
}

impl Banks {
    /// The maps of a program. Nothing is in them yet.
    pub(crate) fn new(ebpf: &mut Ebpf, path: Path) -> Result<Self, LoadError> {
        let [bank, _] = Bank::ALL;
        let Some(Map::PerCpuArray(hits)) = ebpf.take_map(maps::HITS) else {
            return Err(LoadError::Missing(maps::HITS));
        };
        Ok(Self {
            active: take(ebpf, maps::ACTIVE)?,
            scenarios: Banked::new(ebpf, maps::SCENARIOS)?,
            rules: Banked::new(ebpf, maps::RULES)?,
            steps: Banked::new(ebpf, maps::STEPS)?,
            index: Banked::new(ebpf, maps::INDEX)?,
            ranges_v4: Banked::new(ebpf, maps::RANGES_V4)?,
            ranges_v6: Banked::new(ebpf, maps::RANGES_V6)?,
            templates: Banked::new(ebpf, maps::TEMPLATES)?,
            hits: CounterArray::new(hits)?,
            zero: Vec::new(),
            bank,
            extent: Extent::default(),
            path,
            is_idle_read: false,
            is_active_read: false,
            is_former_read: false,
        })
    }

    /// Puts the rules of a scenario in force, at one instant. `number` is that of the scenario.
    pub(crate) fn install(&mut self, compiled: &Compiled, number: u32) -> Result<(), InstallError> {
        let rules = compiled.kernel_rules();
        let idle = self.bank.other();
        if self.is_former_read {
            self.activate(Active::new(self.bank, self.extent))?;
            self.is_former_read = false;
            self.is_idle_read = true;
        }
        if self.is_idle_read {
            // The program may still be at a frame that came before the last change.
            wait_for_programs();
            self.is_idle_read = false;
        }
        let scenario = Scenario {
            number,
            ..rules.scenario
        };
        self.scenarios.write(idle, &[scenario])?;
        self.rules.write(idle, &rules.rules)?;
        self.steps.write(idle, &rules.steps)?;
        self.index.write(idle, &rules.index)?;
        self.ranges_v4.write(idle, &rules.ranges_v4)?;
        self.ranges_v6.write(idle, &rules.ranges_v6)?;
        self.templates.write(idle, compiled.kernel_templates())?;
        let zero = self.counters(idle, compiled.rules().len())?;

        let extent = Extent {
            // What was sent under a former scenario is acknowledged still.
            awaits: rules.extent.awaits || self.extent.awaits,
            ..rules.extent
        };
        let active = Active::new(idle, extent);
        // Replies are acknowledged that were given before, or that workers still owe.
        self.is_former_read = self.extent.other_port;
        self.activate(match self.is_former_read {
            true => active.after_other_port(),
            false => active,
        })?;
        self.bank = idle;
        self.extent = extent;
        self.zero = zero;
        self.is_idle_read = self.is_active_read;
        // On the redirect path only what is left to the host is looked for, and what is to the
        // other port.
        self.is_active_read = self.path != Path::Redirect || extent.leaves || extent.other_port;
        Ok(())
    }

    /// Has acknowledgements noted from now on, whatever rules are put in force.
    pub(crate) fn await_acknowledgements(&mut self) -> Result<(), InstallError> {
        let extent = Extent {
            awaits: true,
            ..self.extent
        };
        let active = Active::new(self.bank, extent);
        self.activate(match self.is_former_read {
            true => active.after_other_port(),
            false => active,
        })?;
        self.extent = extent;
        Ok(())
    }

    fn activate(&mut self, active: Active) -> Result<(), MapError> {
        self.active.set(0, active.to_word(), 0)
    }

    /// How many requests met each rule since it was installed, in the order of their numbers.
    pub(crate) fn hits(&self) -> Result<Vec<u64>, MapError> {
        let hits = self.counters(self.bank, self.zero.len())?;
        let since = |(now, zero): (u64, &u64)| now.wrapping_sub(*zero);
        Ok(hits.into_iter().zip(&self.zero).map(since).collect())
    }

    fn counters(&self, bank: Bank, rules: usize) -> Result<Vec<u64>, MapError> {
        let rules = u32::try_from(rules).unwrap_or(maps::MAX_RULES);
        let first = bank.entry(0, maps::MAX_RULES);
        self.hits.sums(first, rules.min(maps::MAX_RULES))
    }
}

/// An array of which each bank has one half.
struct Banked<T: Plain> {
    array: Array<MapData, Value<T>>,
    /// Entries of a half.
    room: u32,
    /// What lies in it for each bank, so that only what changes is written.
    written: [Vec<T>; 2],
}

impl<T: Plain> Banked<T> {
    fn new(ebpf: &mut Ebpf, name: &'static str) -> Result<Self, LoadError> {
        let array: Array<_, Value<T>> = take(ebpf, name)?;
        let room = array.len() / 2;
        Ok(Self {
            array,
            room,
            written: [Vec::new(), Vec::new()],
        })
    }

    /// Writes to a bank that no frame finds. What is behind `values` stays, and is never found.
    fn write(&mut self, bank: Bank, values: &[T]) -> Result<(), MapError> {
        let [first, second] = &mut self.written;
        let written = if bank.to_bit() == 0 { first } else { second };
        let mut next = 0;
        while next < values.len() {
            let is_there = |number: &usize| written.get(*number) == values.get(*number);
            if is_there(&next) {
                next += 1;
                continue;
            }
            let most = values.len().min(next + BATCH);
            let end = (next..most).find(is_there).unwrap_or(most);
            let changed = &values[next..end];
            put(&mut self.array, bank.entry(next as u32, self.room), changed)?;
            let known = written.len().saturating_sub(next).min(changed.len());
            let (known, new) = changed.split_at(known);
            written[next..next + known.len()].copy_from_slice(known);
            written.extend_from_slice(new);
            next = end;
        }
        Ok(())
    }
}

/// Writes values to entries that follow each other, the first one of the number `first`.
fn put<T: Plain>(
    array: &mut Array<MapData, Value<T>>,
    first: u32,
    values: &[T],
) -> Result<(), MapError> {
    let keys: Vec<u32> = (first..).take(values.len()).collect();
    let map = array.map().fd().as_fd();
    // SAFETY: aya saw that the map is an array with values of this size, and what is `Plain` has
    // no padding.
    if unsafe { update_batch(map, &keys, values) }.is_err() {
        // The kernel has no memory for so many, or something is wrong with one of them.
        for (key, value) in keys.into_iter().zip(values) {
            array.set(key, Value(*value), 0)?;
        }
    }
    Ok(())
}

/// Waits until no program looks at a frame any more that it got before.
///
/// XDP programs run under RCU, and the call returns after a grace period of it
/// (membarrier(2)). It needs some milliseconds, in which nothing else waits.
fn wait_for_programs() {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: the call takes three numbers, and touches no memory.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        // A kernel that is made without it, or with CPUs that are left alone.
        std::thread::sleep(LONGEST_RUN);
    }
}
