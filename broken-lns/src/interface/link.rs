//! The route netlink messages about interfaces: ask for one or all, attach and detach XDP.
//!
//! A [`Connection`] speaks to the network namespace of the thread that opened it, and every
//! function opens its own. All errors are the system's, and the callers say what they were about.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use netlink_packet_core::{
    DefaultNla, ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NlasIterator,
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage, LinkXdp},
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The flags of `IFLA_XDP_FLAGS` that say which attachment is meant.
pub(super) const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
pub(super) const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
pub(super) const XDP_FLAGS_HW_MODE: u32 = 1 << 3;

/// The flag that makes an attachment fail where there is a program already.
const XDP_FLAGS_UPDATE_IF_NOEXIST: u32 = 1;

/// The longest interface name, in octets.
const NAME_LEN_MAX: usize = libc::IFNAMSIZ - 1;
/// The longest alternative name: `ALTIFNAMSIZ` without the zero behind it.
const ALT_NAME_LEN_MAX: usize = 127;
/// The attribute that asks for an interface by an alternative name.
const IFLA_ALT_IFNAME: u16 = 53;

/// The attribute of an error with its reason in words.
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Why the system refused something.
#[derive(Debug)]
pub(super) struct Refused {
    /// The error.
    pub(super) error: io::Error,
    /// The words of the kernel or of a driver, where there are any.
    pub(super) words: Option<String>,
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self { error, words: None }
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

/// The interface of this name or alternative name, or none.
pub(super) fn by_name(name: &str) -> io::Result<Option<LinkMessage>> {
    if name.is_empty() || name.len() > ALT_NAME_LEN_MAX || name.contains('\0') {
        return Ok(None);
    }
    let mut message = LinkMessage::default();
    message.attributes.push(match name.len() {
        // The kernel looks for alternative names here, too.
        ..=NAME_LEN_MAX => LinkAttribute::IfName(name.to_owned()),
        _ => {
            let value = [name.as_bytes(), &[0]].concat();
            LinkAttribute::Other(DefaultNla::new(IFLA_ALT_IFNAME, value))
        }
    });
    Connection::open()?.get(message)
}

/// The interface of this index, or none.
pub(super) fn by_index(index: u32) -> io::Result<Option<LinkMessage>> {
    Connection::open()?.by_index(index)
}

/// The names of all interfaces.
pub(super) fn names() -> io::Result<Vec<String>> {
    let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
    let links = Connection::open()?.exchange(request, NLM_F_REQUEST | NLM_F_DUMP)?;
    Ok(links.iter().filter_map(name_of).collect())
}

/// The name that the kernel gave in its answer.
pub(super) fn name_of(link: &LinkMessage) -> Option<String> {
    link.attributes
        .iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name.clone()),
            _ => None,
        })
}

/// The index of the other end of a veth, if that is in the namespace of the calling thread.
pub(super) fn peer_of(link: &LinkMessage) -> Option<u32> {
    let mut peer = None;
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::Link(index) => peer = Some(*index),
            LinkAttribute::LinkNetNsId(_) => return None,
            _ => {}
        }
    }
    peer
}

/// Detaches the XDP program that was attached by netlink in the mode of `flags`.
///
/// The kernel refuses this with EBUSY for a program that a BPF link holds.
pub(super) fn detach_xdp(index: u32, flags: u32) -> io::Result<()> {
    /// The file descriptor that stands for "no program".
    const NO_PROGRAM: i32 = -1;

    Ok(set_xdp(index, NO_PROGRAM, flags)?)
}

/// The words in which the kernel or the driver refuses to attach a program in the mode of `flags`.
/// A BPF link tells only a number. Nothing is attached afterwards.
pub(super) fn refusal_to_attach(index: u32, program: BorrowedFd<'_>, flags: u32) -> Option<String> {
    let program = program.as_raw_fd();
    match set_xdp(index, program, flags | XDP_FLAGS_UPDATE_IF_NOEXIST) {
        Err(refused) => refused.words,
        Ok(()) => {
            // What was in the way is gone, and this attachment would outlive the process.
            let _ = detach_xdp(index, flags);
            None
        }
    }
}

fn set_xdp(index: u32, program: i32, flags: u32) -> Result<(), Refused> {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::Xdp(vec![
        LinkXdp::Fd(program),
        LinkXdp::Flags(flags),
    ]));
    let request = RouteNetlinkMessage::SetLink(message);
    Connection::open()?.exchange(request, NLM_F_REQUEST | NLM_F_ACK)?;
    Ok(())
}

/// A socket for questions to the kernel. After an error there may be an answer in it that nobody
/// read, so that it is of no use any more.
pub(super) struct Connection(Socket);

impl Connection {
    /// One to the network namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        // For an error's words, and without the request repeated before them.
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self(socket))
    }

    /// The interface of this index, or none.
    pub(super) fn by_index(&mut self, index: u32) -> io::Result<Option<LinkMessage>> {
        let mut message = LinkMessage::default();
        message.header.index = index;
        self.get(message)
    }

    /// Asks for one interface.
    fn get(&mut self, message: LinkMessage) -> io::Result<Option<LinkMessage>> {
        match self.exchange(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST) {
            Ok(links) => Ok(links.into_iter().next()),
            Err(refused) if refused.error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(refused) => Err(refused.error),
        }
    }

    /// Sends a request and collects the interfaces in the answer.
    fn exchange(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<LinkMessage>, Refused> {
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        self.0.send(&octets, 0)?;

        let mut links = Vec::new();
        loop {
            let (datagram, _) = self.0.recv_from_full()?;
            if read_answer(&datagram, flags, &mut links)? {
                return Ok(links);
            }
        }
    }
}

/// Reads one datagram of an answer, and says whether it was the last.
fn read_answer(datagram: &[u8], flags: u16, links: &mut Vec<LinkMessage>) -> Result<bool, Refused> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let padded_len = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(padded_len..).unwrap_or_default();
        match message.payload {
            NetlinkPayload::Error(error) if error.code.is_some() => {
                return Err(Refused {
                    words: words(&error),
                    error: error.to_io(),
                });
            }
            NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => links.push(link),
            _ => {}
        }
    }
    // Neither a dump nor an acknowledged request ends without a word.
    Ok(flags & (NLM_F_DUMP | NLM_F_ACK) == 0)
}

/// The reason in words that comes with an error.
fn words(error: &ErrorMessage) -> Option<String> {
    /// Octets of the header of the request, which stands before the attributes.
    const HEADER_LEN: usize = 16;

    let attributes = error.header.get(HEADER_LEN..)?;
    let mut attributes = NlasIterator::new(attributes).filter_map(Result::ok);
    let words = attributes.find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)?;
    let words = String::from_utf8_lossy(words.value());
    let words = words.trim_end_matches('\0').trim();
    (!words.is_empty()).then(|| words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_reason_in_words() {
        let header = [0; 16];
        // An attribute of another type, of 8 octets, and then the words with their zero.
        let other = [8, 0, 2, 0, 9, 9, 9, 9];
        let reason = *b"\x0b\0\x01\0MTU 9k\0\0";
        for (attributes, expected) in [
            (vec![], None),
            (other.to_vec(), None),
            ([&other[..], &reason].concat(), Some("MTU 9k")),
        ] {
            let mut error = ErrorMessage::default();
            error.header = [&header[..], &attributes].concat();
            assert_eq!(words(&error).as_deref(), expected, "{attributes:?}");
        }
        assert_eq!(words(&ErrorMessage::default()), None);
    }
}
