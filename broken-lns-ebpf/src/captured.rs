//! A frame as the kernel half captured it, for those who write it to a file.

use crate::entry::Entry;
use crate::verdict::Verdict;

/// Octets of a frame that are captured at the most: all of one with the MTU of Ethernet and two
/// VLAN tags.
pub const SNAP_LEN: usize = 1536;

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Direction {
    /// A LAC sent it.
    Request = 0,
    /// We did.
    Reply = 1,
}

/// What stands before the octets of a captured frame in an entry of a ring buffer.
///
/// All numbers are in the byte order of the machine. It has no padding, so that
/// it can lie in a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Captured {
    /// Nanoseconds of the monotonic clock.
    pub time: u64,
    /// The number of the scenario that was in force, from 0.
    pub scenario: u32,
    /// The number of the rule in its scenario; 0 is the default.
    pub rule: u32,
    /// Octets of the frame.
    pub len: u32,
    /// The octets of it that follow.
    pub snap_len: u32,
    /// The verdict as a number, that of the request for a reply.
    pub verdict: u32,
    /// The [`Direction`] as a number.
    pub direction: u32,
}

impl Captured {
    /// Octets of the value in a map.
    pub const LEN: usize = size_of::<Self>();

    /// How the frame ended, or the one that it answers; `None` for a number that is no verdict.
    pub fn verdict(&self) -> Option<Verdict> {
        Verdict::ALL
            .get(usize::try_from(self.verdict).ok()?)
            .copied()
    }

    /// Which way it went; `None` for a number that none of ours wrote.
    pub fn direction(&self) -> Option<Direction> {
        [Direction::Request, Direction::Reply]
            .into_iter()
            .find(|direction| *direction as u32 == self.direction)
    }

    /// The octets in front of those of the frame.
    pub fn to_octets(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        let (time, rest) = octets.split_at_mut(8);
        time.copy_from_slice(&self.time.to_ne_bytes());
        let numbers = [
            self.scenario,
            self.rule,
            self.len,
            self.snap_len,
            self.verdict,
            self.direction,
        ];
        for (place, number) in rest.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        octets
    }

    /// What is in a ring buffer's entry: this, and the captured octets of the frame. What follows
    /// those was reserved for a longer one. `None` where the entry is shorter than it says.
    pub fn from_octets(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (captured, rest) = Self::read(octets)?;
        let frame = rest.get(..usize::try_from(captured.snap_len).ok()?)?;
        Some((captured, frame))
    }

    /// The same before the octets of the frame are there, and what is.
    pub fn read(octets: &[u8]) -> Option<(Self, &[u8])> {
        let (captured, rest) = octets.split_at_checked(Self::LEN)?;
        let entry = Entry(captured);
        let captured = Self {
            time: entry.u64(0)?,
            scenario: entry.u32(8)?,
            rule: entry.u32(12)?,
            len: entry.u32(16)?,
            snap_len: entry.u32(20)?,
            verdict: entry.u32(24)?,
            direction: entry.u32(28)?,
        };
        Some((captured, rest))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// The octets 0 to 31 with another length, and three more.
    fn entry(snap_len: u32) -> Vec<u8> {
        let mut octets: Vec<u8> = (0..32).collect();
        octets[20..24].copy_from_slice(&snap_len.to_ne_bytes());
        octets.extend([0xc8, 0x02, 0x00]);
        octets
    }

    #[test]
    fn a_frame_survives_the_way_through_a_map() {
        let octets = entry(2);
        let (captured, frame) = Captured::from_octets(&octets).unwrap();
        assert_eq!(frame, [0xc8, 0x02]);
        assert_eq!(captured.to_octets(), octets[..32]);
        assert_eq!(captured.time.to_ne_bytes(), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(captured.scenario.to_ne_bytes(), [8, 9, 10, 11]);
        assert_eq!(captured.rule.to_ne_bytes(), [12, 13, 14, 15]);
        assert_eq!(captured.len.to_ne_bytes(), [16, 17, 18, 19]);
        assert_eq!(captured.snap_len, 2);
        assert_eq!(captured.verdict.to_ne_bytes(), [24, 25, 26, 27]);
        assert_eq!(captured.direction.to_ne_bytes(), [28, 29, 30, 31]);
        assert_eq!((captured.verdict(), captured.direction()), (None, None));
        assert_eq!(std::mem::offset_of!(Captured, direction), 28);
        assert_eq!(Captured::LEN, 32);
    }

    #[test]
    fn an_entry_that_is_too_short_is_none() {
        assert_eq!(Captured::from_octets(&entry(0)[..31]), None);
        assert_eq!(Captured::from_octets(&entry(4)), None);
        assert_eq!(Captured::from_octets(&entry(u32::MAX)), None);
        let octets = entry(3);
        let (_, frame) = Captured::from_octets(&octets).unwrap();
        assert_eq!(frame, [0xc8, 0x02, 0x00]);
    }

    #[test]
    fn numbers_have_their_meaning() {
        let octets = entry(0);
        let (captured, _) = Captured::from_octets(&octets).unwrap();
        let reply = Captured {
            verdict: Verdict::Silent as u32,
            direction: Direction::Reply as u32,
            ..captured
        };
        assert_eq!(reply.verdict(), Some(Verdict::Silent));
        assert_eq!(reply.direction(), Some(Direction::Reply));
    }
}
