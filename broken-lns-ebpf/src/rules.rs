//! What the kernel half does for a LAC at an LNS.
//!
//! All rules are there twice, in two banks of which one is active; a change is
//! written to the other one, and becomes visible when [`Active`] changes.
//!
//! A rule is found by the address of the LNS, and in it by that of the LAC, as
//! `ranges` describes. It says what is done by a [`Step`], from which chance
//! may lead to others; the last one is what is done.

use crate::ranges::Slice;

/// Most choices on the way from a rule to what is done.
pub const MAX_CHOICES: u32 = 16;

/// One of the two banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bank(u32);

impl Bank {
    /// Both banks.
    pub const ALL: [Self; 2] = [Self(0), Self(1)];

    /// The bank of which the lowest bit is the number.
    #[inline(always)]
    pub const fn of_bit(bit: u32) -> Self {
        Self(bit & 1)
    }

    /// The number of the bank: 0 or 1.
    #[inline(always)]
    pub const fn to_bit(self) -> u32 {
        self.0
    }

    /// The other one.
    #[must_use]
    #[inline(always)]
    pub const fn other(self) -> Self {
        Self(self.0 ^ 1)
    }

    /// Where the `number`th thing of the bank lies in an array with `room` for each bank. The
    /// second bank begins behind the room of the first.
    #[inline(always)]
    pub const fn entry(self, number: u32, room: u32) -> u32 {
        self.0 * room + number
    }
}

/// What need not be looked for in a bank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Whether it has rules besides its default.
    pub has_rules: bool,
    /// Whether a rule, or the default, leaves anything to the host.
    pub leaves: bool,
    /// Whether the first template is the reply to every request.
    pub is_plain: bool,
    /// Whether a worker may wait for an acknowledgement, of this or a former scenario.
    pub awaits: bool,
    /// Whether a reply comes from the other port.
    pub other_port: bool,
}

/// Which bank is active, and what need not be looked for in it: one octet.
///
/// However the word around it is copied while it is read, the other octets are
/// zeros before and after, so that nobody sees half of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active(u32);

impl Active {
    const RULES: u32 = 2;
    const LEAVES: u32 = 4;
    const PLAIN: u32 = 8;
    const AWAITS: u32 = 16;
    const OTHER_PORT: u32 = 32;
    const FORMER_OTHER_PORT: u32 = 64;

    /// That bank, with what there is in it.
    pub const fn new(bank: Bank, extent: Extent) -> Self {
        Self(
            bank.0
                | (Self::RULES * extent.has_rules as u32)
                | (Self::LEAVES * extent.leaves as u32)
                | (Self::PLAIN * extent.is_plain as u32)
                | (Self::AWAITS * extent.awaits as u32)
                | (Self::OTHER_PORT * extent.other_port as u32),
        )
    }

    /// The same, where a reply by the rules in the other bank, which were in force before, may
    /// have come from the other port.
    #[must_use]
    pub const fn after_other_port(self) -> Self {
        Self(self.0 | Self::FORMER_OTHER_PORT)
    }

    /// The value in a map.
    pub const fn to_word(self) -> u32 {
        self.0
    }

    /// The value that lies in a map.
    #[inline(always)]
    pub const fn from_word(word: u32) -> Self {
        Self(word)
    }

    /// The bank.
    #[inline(always)]
    pub const fn bank(self) -> Bank {
        Bank::of_bit(self.0)
    }

    /// Whether there is more than the default.
    #[inline(always)]
    pub const fn has_rules(self) -> bool {
        self.0 & Self::RULES != 0
    }

    /// Whether anything is left to the host.
    #[inline(always)]
    pub const fn leaves(self) -> bool {
        self.0 & Self::LEAVES != 0
    }

    /// Whether replies come from the other port, or did by the rules that were in force before.
    #[inline(always)]
    pub const fn other_port(self) -> bool {
        self.0 & (Self::OTHER_PORT | Self::FORMER_OTHER_PORT) != 0
    }

    /// The banks of the rules by which replies come, or came, from the other port.
    #[inline(always)]
    pub fn banks_of_other_port(self) -> [Option<Bank>; 2] {
        let is_set = |bit: u32| self.0 & bit != 0;
        [
            is_set(Self::OTHER_PORT).then_some(self.bank()),
            is_set(Self::FORMER_OTHER_PORT).then_some(self.bank().other()),
        ]
    }

    /// Whether the first template is the reply to every request.
    #[inline(always)]
    pub const fn is_plain(self) -> bool {
        self.0 & Self::PLAIN != 0
    }

    /// Whether a worker may wait for an acknowledgement.
    #[inline(always)]
    pub const fn awaits(self) -> bool {
        self.0 & Self::AWAITS != 0
    }
}

/// What all rules of a bank have in common. It has no padding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Scenario {
    /// What decisions by chance begin with.
    pub seed: u64,
    /// The rules for IPv6 LNSs; those for IPv4 are in the index.
    pub lns_v6: Slice,
    /// The number of the scenario, counted from the start of the responder.
    pub number: u32,
    /// 1 if there are rules for IPv4 LNSs.
    pub has_v4: u32,
}

/// What is done at last, or what decides on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// It leaves the request to the host.
    Pass,
    /// It swallows it.
    Silent,
    /// It answers with the template of that number.
    Template(u32),
    /// It answers with the codes that the address of the LNS spells: the templates for a
    /// reply with an error code, and for one without.
    Codes(u32, u32),
    /// It hands the request to the worker of its queue, for what takes time or memory.
    Redirect,
    /// Chance decides between two other steps, by the hash with that salt.
    Choice {
        /// Decides along with what is asked.
        salt: u32,
        /// The step where it happens.
        then: u32,
        /// The step where it does not.
        otherwise: u32,
    },
}

/// A [`Course`] as it lies in a map. It has no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Step {
    /// The bound, up to 2^32, below which a hash is for what happens: for a choice its first
    /// way, and otherwise that the frame of the reply is lost.
    threshold: u64,
    course: u32,
    first: u32,
    second: u32,
    salt: u32,
}

impl Step {
    const PASS: u32 = 0;
    const SILENT: u32 = 1;
    const TEMPLATE: u32 = 2;
    const CODES: u32 = 3;
    const REDIRECT: u32 = 4;
    const CHOICE: u32 = 5;

    /// The step of a course with its threshold.
    pub const fn new(course: Course, threshold: u64) -> Self {
        let (course, first, second, salt) = match course {
            Course::Pass => (Self::PASS, 0, 0, 0),
            Course::Silent => (Self::SILENT, 0, 0, 0),
            Course::Template(template) => (Self::TEMPLATE, template, 0, 0),
            Course::Codes(with_error, without) => (Self::CODES, with_error, without, 0),
            Course::Redirect => (Self::REDIRECT, 0, 0, 0),
            Course::Choice {
                salt,
                then,
                otherwise,
            } => (Self::CHOICE, then, otherwise, salt),
        };
        Self {
            threshold,
            course,
            first,
            second,
            salt,
        }
    }

    /// What is done. A number that none of ours wrote, like the zeros of an entry
    /// that was never written, leaves everything to the host.
    #[inline(always)]
    pub const fn course(&self) -> Course {
        match self.course {
            Self::SILENT => Course::Silent,
            Self::TEMPLATE => Course::Template(self.first),
            Self::CODES => Course::Codes(self.first, self.second),
            Self::REDIRECT => Course::Redirect,
            Self::CHOICE => Course::Choice {
                salt: self.salt,
                then: self.first,
                otherwise: self.second,
            },
            _ => Course::Pass,
        }
    }

    /// The bound, up to 2^32, below which a hash is for what happens.
    #[inline(always)]
    pub const fn threshold(&self) -> u64 {
        self.threshold
    }
}

/// What a rule leaves to the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct Leaves(u16);

impl Leaves {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// Everything between the LAC and the LNS.
    pub const ALL: Self = Self(1);
    /// Every message that is no SCCRQ, since some SCCRQs are left to the host, too.
    pub const OTHERS: Self = Self(2);
    /// SCCRQs that a worker decided to leave to the host.
    pub const MARKED: Self = Self(4);
    /// Everything, once a worker decided that for the LAC.
    pub const HEALED: Self = Self(8);

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether that is among it.
    #[inline(always)]
    pub const fn include(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether anything is left to the host.
    pub const fn is_any(self) -> bool {
        self.0 != 0
    }
}

/// A rule as it lies in a map: the default at 0, then those for LNSs, then those for the LACs
/// at them. It has no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Rule {
    /// What is done.
    pub step: Step,
    /// The rules for single LACs that ask over IPv4.
    pub lacs_v4: Slice,
    /// The same over IPv6.
    pub lacs_v6: Slice,
    /// The number by which it is counted and told of: 0 is the default, then come all rules in
    /// the order of their file.
    pub number: u32,
    /// What it leaves to the host.
    pub leaves: Leaves,
    /// 1 if a reply comes from [`OTHER_PORT`](crate::twist::OTHER_PORT), to which a LAC then
    /// acknowledges it.
    pub other_port: u16,
}

/// What a worker decided to leave to the host, as a key. It has no padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Mark {
    /// The LAC's address in memory order; an IPv4 address is the first word.
    pub lac: [u64; 2],
    /// The address of the LNS, likewise.
    pub lns: [u64; 2],
    /// The number of the scenario.
    pub scenario: u32,
    /// The tunnel id that the LAC assigned in the SCCRQ; 0 stands for all that it sends.
    pub tunnel_id: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_survives_its_map() {
        for course in [
            Course::Pass,
            Course::Silent,
            Course::Template(7),
            Course::Codes(8, 9),
            Course::Redirect,
            Course::Choice {
                salt: 1,
                then: 2,
                otherwise: 3,
            },
        ] {
            let step = Step::new(course, 1 << 32);
            assert_eq!((step.course(), step.threshold()), (course, 1 << 32));
        }
    }

    #[test]
    fn an_unknown_number_leaves_all_to_the_host() {
        for course in [0, 6, u32::MAX] {
            let step = Step {
                course,
                ..Step::new(Course::Silent, 0)
            };
            assert_eq!(step.course(), Course::Pass);
        }
    }

    #[test]
    fn what_is_active_is_one_octet() {
        for bank in Bank::ALL {
            for bits in 0..32 {
                let extent = Extent {
                    has_rules: bits & 1 != 0,
                    leaves: bits & 2 != 0,
                    is_plain: bits & 4 != 0,
                    awaits: bits & 8 != 0,
                    other_port: bits & 16 != 0,
                };
                let word = Active::new(bank, extent).to_word();
                let active = Active::from_word(word);
                assert!(word <= 0xff);
                assert_eq!(active.bank(), bank);
                assert_eq!(active.has_rules(), extent.has_rules);
                assert_eq!(active.leaves(), extent.leaves);
                assert_eq!(active.is_plain(), extent.is_plain);
                assert_eq!(active.awaits(), extent.awaits);
                assert_eq!(active.other_port(), extent.other_port);
                let now = extent.other_port.then_some(bank);
                assert_eq!(active.banks_of_other_port(), [now, None]);
                let after = active.after_other_port();
                assert!(after.other_port() && after.to_word() <= 0xff);
                assert_eq!(after.banks_of_other_port(), [now, Some(bank.other())]);
                assert_eq!(after.has_rules(), extent.has_rules);
            }
            assert_ne!(bank.other(), bank);
            assert_eq!(bank.entry(3, 10) + bank.other().entry(3, 10), 16);
        }
    }

    #[test]
    fn what_lies_in_maps_has_no_padding() {
        assert_eq!(size_of::<Scenario>(), 8 + 8 + 4 + 4);
        assert_eq!(size_of::<Step>(), 8 + 4 * 4);
        assert_eq!(size_of::<Rule>(), 24 + 8 + 8 + 4 + 2 + 2);
        assert_eq!(size_of::<Mark>(), 16 + 16 + 4 + 4);
    }

    #[test]
    fn a_rule_can_leave_several_things() {
        let leaves = Leaves::OTHERS.and(Leaves::MARKED);
        assert!(leaves.include(Leaves::OTHERS) && leaves.include(Leaves::MARKED));
        assert!(!leaves.include(Leaves::ALL) && !leaves.include(Leaves::HEALED));
        assert!(leaves.is_any() && !Leaves::NOTHING.is_any());
    }
}
