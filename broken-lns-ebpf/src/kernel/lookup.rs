//! From the addresses of a frame to the rule for it, and from the rule to what is done.

use aya_ebpf::bindings::xdp_md;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, LruHashMap, PerCpuArray};
use aya_ebpf::programs::XdpContext;
use broken_lns_ebpf::chance::{self, Draw};
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::layers::IpVersion;
use broken_lns_ebpf::maps;
use broken_lns_ebpf::parties::Parties;
use broken_lns_ebpf::ranges::{INDEX_LEN, KeyV4, KeyV6, MAX_RANGES, NO_RULE, Range, Slice};
use broken_lns_ebpf::rules::{Active, Bank, Course, MAX_CHOICES, Mark, Rule, Scenario, Step};
use broken_lns_ebpf::sccrq::{self, Sccrq};
use broken_lns_ebpf::verifier::blur;

use super::frame;

#[map]
static ACTIVE: Array<u32> = Array::with_max_entries(1, 0);
#[map]
static SCENARIOS: Array<Scenario> = Array::with_max_entries(2, 0);
#[map]
static RULES: Array<Rule> = Array::with_max_entries(2 * maps::MAX_RULE_ENTRIES, 0);
#[map]
static STEPS: Array<Step> = Array::with_max_entries(2 * maps::MAX_STEPS, 0);
#[map]
static INDEX: Array<Slice> = Array::with_max_entries(2 * INDEX_LEN, 0);
#[map]
static RANGES_V4: Array<Range<KeyV4>> = Array::with_max_entries(2 * MAX_RANGES, 0);
#[map]
static RANGES_V6: Array<Range<KeyV6>> = Array::with_max_entries(2 * MAX_RANGES, 0);
#[map]
static MARKS: LruHashMap<Mark, u32> = LruHashMap::with_max_entries(maps::MAX_MARKS, 0);
#[map]
static HITS: PerCpuArray<u64> = PerCpuArray::with_max_entries(2 * maps::MAX_RULES, 0);

/// What is active while this frame is looked at.
#[inline(always)]
pub(super) fn active() -> Active {
    let word = ACTIVE.get_ptr(0).map_or(0, |word| {
        // SAFETY: the pointer is that of an entry of the map. Volatile, because
        // user space may change it, and a frame must not see both.
        unsafe { word.read_volatile() }
    });
    Active::from_word(word)
}

/// Where a rule is: its bank in the lowest bit, then whether it was looked for and whether it is
/// plain, then its entry.
#[derive(Clone, Copy)]
pub(super) struct Place(u32);

impl Place {
    const FOUND: u32 = 2;
    const PLAIN: u32 = 4;
    const ENTRY_AT: u32 = 3;

    /// The place of the default, for which nobody looked.
    #[inline(always)]
    pub(super) fn of_default(active: Active) -> Self {
        let plain = Self::PLAIN * u32::from(active.is_plain());
        Self(active.bank().to_bit() | plain)
    }

    #[inline(always)]
    fn found(bank: Bank, entry: u32) -> Self {
        Self(entry << Self::ENTRY_AT | Self::FOUND | bank.to_bit())
    }

    /// The same place, of which the verifier does not know any more how it was found: it
    /// walks what follows once, and not for every way that leads here.
    #[inline(always)]
    pub(super) fn blurred(self, active: Active) -> Self {
        Self(blur(self.0, active.to_word()))
    }

    /// The place as a number.
    #[inline(always)]
    pub(super) fn to_word(self) -> u32 {
        self.0
    }

    /// The place of which that is the number.
    #[inline(always)]
    pub(super) fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The bank that it is in.
    #[inline(always)]
    pub(super) fn bank(self) -> Bank {
        Bank::of_bit(self.0)
    }

    /// Whether it was looked for.
    #[inline(always)]
    pub(super) fn is_found(self) -> bool {
        self.0 & Self::FOUND != 0
    }

    /// Whether it is a default with the first template as the reply to everything.
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        self.0 & Self::PLAIN != 0
    }

    /// The rule.
    #[inline(always)]
    pub(super) fn rule(self) -> Option<&'static Rule> {
        rule_at(self.bank(), self.0 >> Self::ENTRY_AT)
    }
}

/// The place of the rule for these two.
#[inline(always)]
pub(super) fn find(bank: Bank, version: IpVersion, parties: &Parties) -> Option<Place> {
    let scenario = scenario(bank)?;
    let entry = match version {
        IpVersion::V4 if scenario.has_v4 != 0 => {
            let key = KeyV4::of(parties.lns);
            find_v4(bank, *INDEX.get(bank.entry(key.index(), INDEX_LEN))?, key)
        }
        IpVersion::V4 => None,
        IpVersion::V6 => find_v6(bank, scenario.lns_v6, KeyV6::of(parties.lns)),
    };
    let entry = entry.unwrap_or(0);
    let rule = rule_at(bank, entry)?;
    let of_lac = match version {
        IpVersion::V4 => find_v4(bank, rule.lacs_v4, KeyV4::of(parties.lac)),
        IpVersion::V6 => find_v6(bank, rule.lacs_v6, KeyV6::of(parties.lac)),
    };
    Some(Place::found(bank, of_lac.unwrap_or(entry)))
}

/// The rule in that entry.
#[inline(always)]
fn rule_at(bank: Bank, entry: u32) -> Option<&'static Rule> {
    RULES.get(bank.entry(entry, maps::MAX_RULE_ENTRIES))
}

/// What all rules have in common.
#[inline(always)]
pub(super) fn scenario(bank: Bank) -> Option<&'static Scenario> {
    SCENARIOS.get(bank.entry(0, 1))
}

/// Whether the frame, which is to the other port, holds a control message for an LNS that may
/// have replied from there.
#[inline(always)]
pub(super) fn is_other_port_open(context: &XdpContext, active: Active) -> bool {
    is_to_other_port(context.ctx, active.to_word()) != 0
}

/// The same, with the number of `active`: 1 or 0.
///
/// The verifier walks it on its own, once, and not on every way that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn is_to_other_port(context: *mut xdp_md, active: u32) -> u32 {
    let context = XdpContext::new(context);
    let frame = frame(&context);
    let Some(layers) = sccrq::to_other_port(frame) else {
        return 0;
    };
    let Some(parties) = Parties::of(frame, layers.network, layers.version) else {
        return 0;
    };
    for bank in Active::from_word(active).banks_of_other_port() {
        let found = bank.and_then(|bank| find(bank, layers.version, &parties));
        if found
            .and_then(Place::rule)
            .is_some_and(|rule| rule.other_port != 0)
        {
            return 1;
        }
    }
    0
}

/// The number of the rule by which a worker marked the request, or with the tunnel id 0 all that
/// the LAC sends.
#[inline(always)]
pub(super) fn marked(bank: Bank, parties: &Parties, tunnel_id: u16) -> Option<u32> {
    let mark = Mark {
        lac: parties.lac,
        lns: parties.lns,
        scenario: scenario(bank)?.number,
        tunnel_id: tunnel_id.into(),
    };
    let rule = MARKS.get_ptr(mark)?;
    // SAFETY: the pointer is that of an entry of the map, and a number is read as a whole.
    Some(unsafe { rule.read_volatile() })
}

/// What a decision depends on. Who asks whom is read when it is needed, which is rare.
pub(super) struct Asked<'m> {
    pub(super) frame: Frame<'m>,
    pub(super) sccrq: Sccrq,
}

impl Asked<'_> {
    /// Who asks whom.
    #[inline(always)]
    pub(super) fn parties(&self) -> Option<Parties> {
        Parties::of(self.frame, self.sccrq.network, self.sccrq.version)
    }
}

/// Where the rule leads, by chance or not; `None` only for a scenario that none of ours wrote.
#[inline(always)]
pub(super) fn decide(bank: Bank, rule: &Rule, asked: &Asked<'_>) -> Option<Step> {
    let mut step = rule.step;
    for _ in 0..MAX_CHOICES {
        let Course::Choice {
            salt,
            then,
            otherwise,
        } = step.course()
        else {
            return Some(step);
        };
        let happens = chance::happens(hash(bank, asked, salt)?, step.threshold());
        step = *STEPS.get(bank.entry(if happens { then } else { otherwise }, maps::MAX_STEPS))?;
    }
    None
}

/// Whether the reply is lost that would be the rule's next one on this CPU.
#[inline(always)]
pub(super) fn is_lost(bank: Bank, rule: &Rule, asked: &Asked<'_>, loss: u64) -> bool {
    if loss == 0 {
        return false;
    }
    let frame = HITS
        .get(bank.entry(rule.number, maps::MAX_RULES))
        .map_or(0, |hits| *hits);
    let hash = hash(bank, asked, Draw::Loss.salt(frame as u32));
    hash.is_some_and(|hash| chance::happens(hash, loss))
}

#[inline(always)]
fn hash(bank: Bank, asked: &Asked<'_>, salt: u32) -> Option<u32> {
    let seed = scenario(bank)?.seed;
    let Parties { lac, lns } = asked.parties()?;
    Some(chance::hash(seed, lac, lns, asked.sccrq.tunnel_id, salt))
}

/// Counts that a request met the rule with that number.
#[inline(always)]
pub(super) fn count(bank: Bank, number: u32) {
    if let Some(hits) = HITS.get_ptr_mut(bank.entry(number, maps::MAX_RULES)) {
        // SAFETY: the value belongs to this CPU, and the program is not preempted
        // by itself; user space only reads.
        unsafe { *hits += 1 };
    }
}

/// The entry of the rule for an IPv4 address, among the ranges of a table.
#[inline(always)]
fn find_v4(bank: Bank, table: Slice, key: KeyV4) -> Option<u32> {
    let range_at = |place: u32| RANGES_V4.get(bank.entry(place, MAX_RANGES));
    let place = table.find(key, |place| Some(range_at(place)?.start))?;
    Some(range_at(place)?.rule).filter(|rule| *rule != NO_RULE)
}

/// The same for IPv6.
#[inline(always)]
fn find_v6(bank: Bank, table: Slice, key: KeyV6) -> Option<u32> {
    let range_at = |place: u32| RANGES_V6.get(bank.entry(place, MAX_RANGES));
    let place = table.find(key, |place| Some(range_at(place)?.start))?;
    Some(range_at(place)?.rule).filter(|rule| *rule != NO_RULE)
}
