//! How long a capture file may become.

/// A file should hold more than a handful of frames.
const LEAST: u64 = 64 << 10;

/// The octets after which a capture file is closed and the next begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileLimit(u64);

/// It is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("has to be at least 64KiB, or a file would hold a few frames only")]
pub struct TooSmall;

impl FileLimit {
    /// A limit of so many octets.
    ///
    /// # Errors
    ///
    /// Where that is under 65,536.
    pub fn new(octets: u64) -> Result<Self, TooSmall> {
        match octets {
            LEAST.. => Ok(Self(octets)),
            _ => Err(TooSmall),
        }
    }

    /// The octets.
    pub fn octets(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_more_than_a_few_frames() {
        assert_eq!(FileLimit::new(65_535), Err(TooSmall));
        let limit = FileLimit::new(65_536).expect("it is the least");
        assert_eq!(limit.octets(), 65_536);
    }
}
