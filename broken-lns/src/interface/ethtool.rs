//! The ethtool requests: driver name, features, channels and statistics.
//!
//! They are ioctls, because that is where drivers report statistics of their
//! own; the netlink form of ethtool knows only the standard ones. Names are
//! looked up in the network namespace of the calling thread.

use std::{
    ffi::{c_char, c_void},
    io,
    os::fd::{AsRawFd as _, OwnedFd, RawFd},
};

use nix::sys::socket::{AddressFamily, SockFlag, SockType};

const ETHTOOL_GDRVINFO: u32 = 0x03;
const ETHTOOL_GTXCSUM: u32 = 0x16;
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSTATS: u32 = 0x1d;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_GCHANNELS: u32 = 0x3c;

/// The string set of the names of the statistics.
const ETH_SS_STATS: u32 = 1;

/// The longest string of a string set.
const ETH_GSTRING_LEN: usize = 32;

/// The flag that says that the NIC makes one large frame of several.
const ETH_FLAG_LRO: u32 = 1 << 15;

/// The flag that says that the interface takes VLAN tags out of received frames.
const ETH_FLAG_RXVLAN: u32 = 1 << 8;

nix::ioctl_readwrite_bad!(
    /// Hands one ethtool structure to the kernel.
    siocethtool,
    libc::SIOCETHTOOL,
    libc::ifreq
);

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware_version: [u8; 32],
    bus_info: [u8; 32],
    expansion_rom_version: [u8; 32],
    reserved: [u8; 12],
    private_flags: u32,
    statistics: u32,
    self_test: u32,
    eeprom: u32,
    registers: u32,
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ethtool_channels`.
#[repr(C)]
#[derive(Default)]
struct Channels {
    command: u32,
    rx_max: u32,
    tx_max: u32,
    other_max: u32,
    combined_max: u32,
    rx: u32,
    tx: u32,
    other: u32,
    combined: u32,
}

/// The name of the driver.
pub(super) fn driver(interface: &str) -> io::Result<String> {
    driver_info(&socket()?, interface).map(|info| text(&info.driver))
}

/// What a NIC does to received frames before anybody sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offloads {
    /// It takes VLAN tags out of them.
    pub(super) strips_vlan_tags: bool,
    /// It makes one large frame of several.
    pub(super) merges_frames: bool,
}

/// What the interface does to received frames.
pub(super) fn offloads(interface: &str) -> io::Result<Offloads> {
    let flags = value(interface, ETHTOOL_GFLAGS)?;
    Ok(Offloads {
        strips_vlan_tags: flags & ETH_FLAG_RXVLAN != 0,
        merges_frames: flags & ETH_FLAG_LRO != 0,
    })
}

/// Whether the interface takes it over from the system to finish checksums of what it sends.
pub(super) fn takes_checksums(interface: &str) -> io::Result<bool> {
    Ok(value(interface, ETHTOOL_GTXCSUM)? != 0)
}

/// The number of receive queues in use.
pub(super) fn rx_queues(interface: &str) -> io::Result<u32> {
    let channels = channels(interface)?;
    Ok(channels.rx + channels.combined)
}

/// The number of transmit queues in use, and the most there can be.
pub(super) fn tx_queues(interface: &str) -> io::Result<(u32, u32)> {
    let channels = channels(interface)?;
    let most = channels.tx_max.max(channels.combined_max);
    Ok((channels.tx + channels.combined, most))
}

fn channels(interface: &str) -> io::Result<Channels> {
    let mut channels = Channels {
        command: ETHTOOL_GCHANNELS,
        ..Channels::default()
    };
    // SAFETY: ETHTOOL_GCHANNELS takes a `struct ethtool_channels`, and this is one.
    unsafe { request(interface, (&raw mut channels).cast())? };
    Ok(channels)
}

/// The statistics of the driver, under its own names; none if it has none.
pub(super) fn statistics(socket: &OwnedFd, interface: &str) -> io::Result<Vec<(String, u64)>> {
    let count = driver_info(socket, interface)?.statistics;
    if count == 0 {
        return Ok(Vec::new());
    }
    let names = strings_by(socket, interface, ETH_SS_STATS, count)?;
    let values = [ETHTOOL_GSTATS, count];
    let values = list(socket, interface, values, count, size_of::<u64>())?;
    Ok(names
        .into_iter()
        .zip(values.iter().map(|value| number(value)))
        .collect())
}

/// The strings of a set that has so many of them.
pub(super) fn strings(interface: &str, set: u32, count: u32) -> io::Result<Vec<String>> {
    strings_by(&socket()?, interface, set, count)
}

/// The same, by that socket.
fn strings_by(socket: &OwnedFd, interface: &str, set: u32, count: u32) -> io::Result<Vec<String>> {
    let head = [ETHTOOL_GSTRINGS, set, count];
    let strings = list(socket, interface, head, count, ETH_GSTRING_LEN)?;
    Ok(strings.iter().map(|string| text(string)).collect())
}

/// Makes a request of words, the first of which is its command. The answer is in their place.
pub(super) fn ask(interface: &str, words: &mut [u32]) -> io::Result<()> {
    // SAFETY: the callers give as many words as their command reads and writes.
    unsafe { request(interface, words.as_mut_ptr().cast()) }
}

/// A request of words that is made later, without a look at the heap or at names.
pub(super) struct Request {
    interface: [c_char; libc::IFNAMSIZ],
    words: Vec<u32>,
}

impl Request {
    /// That of these words, as many as its command reads and writes.
    pub(super) fn new(interface: &str, words: Vec<u32>) -> Self {
        Self {
            interface: name(interface),
            words,
        }
    }

    /// The words.
    #[cfg(test)]
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }
}

/// A socket through which requests are made, in the network namespace of whoever opened it.
pub(super) struct Asker(OwnedFd);

impl Asker {
    pub(super) fn new() -> io::Result<Self> {
        socket().map(Self)
    }

    /// The descriptor of the socket.
    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Makes a request. The answer is in the place of its words.
    pub(super) fn ask(&self, request: &mut Request) -> io::Result<()> {
        let words = request.words.as_mut_ptr().cast();
        // SAFETY: whoever made the request gave it the words of its command.
        unsafe { request_named(&self.0, request.interface, words) }
    }
}

/// Asks for a list of entries of one length, after a head that ends in their count.
fn list<const HEAD: usize>(
    socket: &OwnedFd,
    interface: &str,
    head: [u32; HEAD],
    count: u32,
    entry_len: usize,
) -> io::Result<Vec<Vec<u8>>> {
    /// Room for entries that appear between the requests, when somebody adds
    /// queues: the kernel writes as many as there are, not as many as fit.
    const ROOM: usize = 8192;

    let capacity = count as usize + ROOM;
    let mut data: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let entries = data.len();
    data.resize(entries + capacity * entry_len, 0);
    // SAFETY: the callers give the head that their command takes, and behind it is room for more
    // entries than a driver has.
    unsafe { request_by(socket, interface, data.as_mut_ptr().cast())? };
    let count = number(&data[entries - size_of::<u32>()..entries]);
    Ok(data[entries..]
        .chunks_exact(entry_len)
        .take(usize::try_from(count).unwrap_or(capacity))
        .map(<[u8]>::to_vec)
        .collect())
}

/// What the driver says about itself.
fn driver_info(socket: &OwnedFd, interface: &str) -> io::Result<DriverInfo> {
    let mut info = DriverInfo {
        command: ETHTOOL_GDRVINFO,
        driver: [0; 32],
        version: [0; 32],
        firmware_version: [0; 32],
        bus_info: [0; 32],
        expansion_rom_version: [0; 32],
        reserved: [0; 12],
        private_flags: 0,
        statistics: 0,
        self_test: 0,
        eeprom: 0,
        registers: 0,
    };
    // SAFETY: ETHTOOL_GDRVINFO takes a `struct ethtool_drvinfo`, and this is one.
    unsafe { request_by(socket, interface, (&raw mut info).cast())? };
    Ok(info)
}

/// The answer to a command of one number.
fn value(interface: &str, command: u32) -> io::Result<u32> {
    let mut value = Value { command, data: 0 };
    // SAFETY: the commands above take a `struct ethtool_value`, and this is one.
    unsafe { request(interface, (&raw mut value).cast())? };
    Ok(value.data)
}

/// Makes one ethtool request.
///
/// # Safety
///
/// `data` has to point to the structure that its command takes, with room for
/// all that the kernel writes there.
unsafe fn request(interface: &str, data: *mut c_void) -> io::Result<()> {
    // SAFETY: the caller answers for it.
    unsafe { request_by(&socket()?, interface, data) }
}

/// A socket for requests, which go to the network namespace of the thread that opened it.
pub(super) fn socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::Unix, SockType::Datagram);
    Ok(nix::sys::socket::socket(
        family,
        kind,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

/// Makes one ethtool request by that socket.
///
/// # Safety
///
/// As for [`request`].
unsafe fn request_by(socket: &OwnedFd, interface: &str, data: *mut c_void) -> io::Result<()> {
    // SAFETY: the caller answers for it.
    unsafe { request_named(socket, name(interface), data) }
}

/// The same, where the name was brought into form before.
///
/// # Safety
///
/// As for [`request`].
unsafe fn request_named(
    socket: &OwnedFd,
    interface: [c_char; libc::IFNAMSIZ],
    data: *mut c_void,
) -> io::Result<()> {
    let mut request = libc::ifreq {
        ifr_name: interface,
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: data.cast(),
        },
    };
    // SAFETY: the request is complete and lives through the call, and the caller answers for the
    // structure that it points to.
    unsafe { siocethtool(socket.as_raw_fd(), &raw mut request)? };
    Ok(())
}

/// The name of an interface as the kernel reads it.
fn name(interface: &str) -> [c_char; libc::IFNAMSIZ] {
    let mut name = [0; libc::IFNAMSIZ];
    // The last octet stays zero and ends the name.
    for (to, from) in name[..libc::IFNAMSIZ - 1].iter_mut().zip(interface.bytes()) {
        *to = from as c_char;
    }
    name
}

/// A string that ends at its first zero, or where its field ends.
fn text(field: &[u8]) -> String {
    let end = field.iter().position(|octet| *octet == 0);
    String::from_utf8_lossy(&field[..end.unwrap_or(field.len())]).into_owned()
}

/// A number of four or eight octets in the machine's own order.
fn number(octets: &[u8]) -> u64 {
    if let Ok(octets) = octets.try_into() {
        u64::from_ne_bytes(octets)
    } else if let Ok(octets) = octets.try_into() {
        u64::from(u32::from_ne_bytes(octets))
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_are_as_long_as_the_kernels() {
        assert_eq!(size_of::<DriverInfo>(), 196);
        assert_eq!(size_of::<Channels>(), 36);
        assert_eq!(size_of::<Value>(), 8);
    }

    #[test]
    fn a_string_ends_at_its_first_zero() {
        assert_eq!(text(b"veth\0junk"), "veth");
        assert_eq!(text(b"veth"), "veth");
        assert_eq!(text(b""), "");
    }

    #[test]
    fn a_number_has_four_or_eight_octets() {
        assert_eq!(number(&7_u32.to_ne_bytes()), 7);
        assert_eq!(number(&u64::MAX.to_ne_bytes()), u64::MAX);
    }

    #[test]
    fn an_unknown_interface_is_an_error() {
        let error =
            statistics(&socket().expect("a socket"), "no-such-thing").expect_err("nobody has it");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
