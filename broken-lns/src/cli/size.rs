//! Sizes in octets.

/// The least ring buffer that can be asked for: a page where pages are the smallest.
const LEAST_RING: u32 = 4096;

/// Reads a size in octets.
pub(super) fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kib" => Some(10),
        "m" | "mib" => Some(20),
        "g" | "gib" => Some(30),
        _ => None,
    };
    let size = shift.and_then(|shift| number.parse::<u64>().ok()?.checked_mul(1 << shift));
    size.ok_or_else(|| "not a size; give a number and a unit, such as 256MiB or 1GiB".to_owned())
}

/// Reads the size of a ring buffer.
pub(super) fn parse_ring(text: &str) -> Result<u32, String> {
    let size = u32::try_from(parse_size(text)?).ok();
    let size = size.filter(|size| size.is_power_of_two() && (LEAST_RING..=1 << 30).contains(size));
    size.ok_or_else(|| "takes a power of two from 4KiB to 1GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_none() {
        for (text, octets) in [
            ("4096", 4096),
            ("64K", 65_536),
            ("64 kib", 65_536),
            ("100M", 104_857_600),
            ("2GiB", 2_147_483_648),
            ("7b", 7),
        ] {
            assert_eq!(parse_size(text), Ok(octets), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_an_error() {
        for text in ["", "M", "-1", "+5M", "1.5M", "5MB", "5T", "20000000000G"] {
            let error = parse_size(text).expect_err(text);
            assert!(error.starts_with("not a size"), "{text}: {error}");
        }
    }

    #[test]
    fn a_ring_has_a_power_of_two() {
        assert_eq!(parse_ring("4K"), Ok(4096));
        assert_eq!(parse_ring("1GiB"), Ok(1 << 30));
        for text in ["2K", "5000", "2GiB", "8GiB"] {
            let error = parse_ring(text).expect_err(text);
            assert!(error.starts_with("takes a power of two"), "{text}: {error}");
        }
    }
}
