//! The route netlink messages about interfaces: ask for one or all, detach XDP.
//!
//! A [`Connection`] speaks to the network namespace of the thread that opened it, and every
//! function opens its own. All errors are the system's, and the callers say what they were about.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
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

/// The longest interface name, in octets.
const NAME_LEN_MAX: usize = libc::IFNAMSIZ - 1;

/// The interface of this name, or none.
pub(super) fn by_name(name: &str) -> io::Result<Option<LinkMessage>> {
    if name.is_empty() || name.len() > NAME_LEN_MAX || name.contains('\0') {
        return Ok(None);
    }
    let mut message = LinkMessage::default();
    message
        .attributes
        .push(LinkAttribute::IfName(name.to_owned()));
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

    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes.push(LinkAttribute::Xdp(vec![
        LinkXdp::Fd(NO_PROGRAM),
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
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a request and collects the interfaces in the answer.
    fn exchange(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<LinkMessage>> {
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
fn read_answer(datagram: &[u8], flags: u16, links: &mut Vec<LinkMessage>) -> io::Result<bool> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let padded_len = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(padded_len..).unwrap_or_default();
        match message.payload {
            NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
            NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)) => links.push(link),
            _ => {}
        }
    }
    // Neither a dump nor an acknowledged request ends without a word.
    Ok(flags & (NLM_F_DUMP | NLM_F_ACK) == 0)
}
