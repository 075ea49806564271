//! L2TPv2 control messages (RFC 2661), read strictly: what a careful LAC would not accept is an
//! error here.

use anyhow::{Context as _, Result, ensure};

/// Message types (§3.2) that the lab meets.
pub mod message_type {
    /// Start-Control-Connection-Request.
    pub const SCCRQ: u16 = 1;
    /// Start-Control-Connection-Reply.
    pub const SCCRP: u16 = 2;
    /// Start-Control-Connection-Connected.
    pub const SCCCN: u16 = 3;
    /// Stop-Control-Connection-Notification.
    pub const STOPCCN: u16 = 4;
}

/// Attribute types (§4.4) that the lab uses.
pub mod attribute {
    /// What kind of message this is; always the first AVP.
    pub const MESSAGE_TYPE: u16 = 0;
    /// Why a connection ends.
    pub const RESULT_CODE: u16 = 1;
    /// The sender's version of the protocol.
    pub const PROTOCOL_VERSION: u16 = 2;
    /// The framings that the sender can do.
    pub const FRAMING_CAPABILITIES: u16 = 3;
    /// The sender's name.
    pub const HOST_NAME: u16 = 7;
    /// Who made the sender.
    pub const VENDOR_NAME: u16 = 8;
    /// The id that the sender wants to be addressed by.
    pub const ASSIGNED_TUNNEL_ID: u16 = 9;
    /// How many messages may be under way to the sender.
    pub const RECEIVE_WINDOW_SIZE: u16 = 10;
    /// What the receiver has to answer to prove itself.
    pub const CHALLENGE: u16 = 11;
}

/// The flags and version of every control message: T, L and S set, nothing else, version 2.
const FLAGS: u16 = 0xC802;
const HEADER: usize = 12;
const AVP_HEADER: usize = 6;

/// A whole control message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlMessage {
    /// The id that the receiver assigned.
    pub tunnel_id: u16,
    /// The session it belongs to, or 0.
    pub session_id: u16,
    /// Its own number.
    pub ns: u16,
    /// The number that is expected next from the receiver.
    pub nr: u16,
    /// Its content; none makes it a ZLB acknowledgement.
    pub avps: Vec<Avp>,
}

/// An attribute value pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avp {
    /// The M bit: a receiver that does not know it must give up.
    pub mandatory: bool,
    /// The H bit: the value is hidden.
    pub hidden: bool,
    /// Whose attribute this is; 0 is the IETF.
    pub vendor: u16,
    /// The attribute type.
    pub attribute: u16,
    /// The value as it is sent.
    pub value: Vec<u8>,
}

impl Avp {
    /// A mandatory IETF attribute.
    pub fn new(attribute: u16, value: impl Into<Vec<u8>>) -> Self {
        Self {
            mandatory: true,
            hidden: false,
            vendor: 0,
            attribute,
            value: value.into(),
        }
    }

    /// The value where it is a number of two octets.
    pub fn number(&self) -> Option<u16> {
        self.value
            .as_slice()
            .try_into()
            .ok()
            .map(u16::from_be_bytes)
    }
}

impl ControlMessage {
    /// Reads the payload of a UDP datagram, all of it.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        ensure!(
            payload.len() >= HEADER,
            "{} octets hold no header",
            payload.len()
        );
        let field = |index: usize| u16::from_be_bytes([payload[index], payload[index + 1]]);
        ensure!(field(0) == FLAGS, "flags and version are {:#06x}", field(0));
        ensure!(
            usize::from(field(2)) == payload.len(),
            "Length says {}, the datagram has {}",
            field(2),
            payload.len()
        );
        let mut avps = Vec::new();
        let mut rest = &payload[HEADER..];
        while !rest.is_empty() {
            let (avp, after) =
                Avp::parse(rest).with_context(|| format!("AVP number {}", avps.len()))?;
            avps.push(avp);
            rest = after;
        }
        Ok(Self {
            tunnel_id: field(4),
            session_id: field(6),
            ns: field(8),
            nr: field(10),
            avps,
        })
    }

    /// The bytes to send. Panics where they would not fit a Length field.
    pub fn bytes(&self) -> Vec<u8> {
        let content: Vec<u8> = self.avps.iter().flat_map(Avp::bytes).collect();
        let length = u16::try_from(HEADER + content.len()).expect("a message of at most 65,535");
        let header = [
            FLAGS,
            length,
            self.tunnel_id,
            self.session_id,
            self.ns,
            self.nr,
        ];
        let mut bytes: Vec<u8> = header
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect();
        bytes.extend(content);
        bytes
    }

    /// The acknowledgement that carries nothing else.
    pub fn zlb(tunnel_id: u16, ns: u16, nr: u16) -> Self {
        Self {
            tunnel_id,
            session_id: 0,
            ns,
            nr,
            avps: Vec::new(),
        }
    }

    /// Its type; none for a ZLB, or where the first AVP is something else.
    pub fn message_type(&self) -> Option<u16> {
        let first = self.avps.first()?;
        let is_type = first.vendor == 0 && first.attribute == attribute::MESSAGE_TYPE;
        first.number().filter(|_| is_type && !first.hidden)
    }

    /// The first IETF attribute of this type.
    pub fn attribute(&self, attribute: u16) -> Option<&Avp> {
        self.avps
            .iter()
            .find(|avp| avp.vendor == 0 && avp.attribute == attribute)
    }
}

impl Avp {
    fn parse(bytes: &[u8]) -> Result<(Self, &[u8])> {
        ensure!(
            bytes.len() >= AVP_HEADER,
            "{} octets hold no AVP",
            bytes.len()
        );
        let field = |index: usize| u16::from_be_bytes([bytes[index], bytes[index + 1]]);
        let length = usize::from(field(0) & 0x03FF);
        ensure!(
            field(0) & 0x3C00 == 0,
            "reserved bits are set: {:#06x}",
            field(0)
        );
        ensure!(length >= AVP_HEADER, "its length is {length}");
        ensure!(
            length <= bytes.len(),
            "its length is {length}, {} are left",
            bytes.len()
        );
        let avp = Self {
            mandatory: field(0) & 0x8000 != 0,
            hidden: field(0) & 0x4000 != 0,
            vendor: field(2),
            attribute: field(4),
            value: bytes[AVP_HEADER..length].to_vec(),
        };
        Ok((avp, &bytes[length..]))
    }

    fn bytes(&self) -> Vec<u8> {
        let length = AVP_HEADER + self.value.len();
        assert!(length <= 0x03FF, "an AVP holds at most 1,017 octets");
        let flags = u16::from(self.mandatory) << 15 | u16::from(self.hidden) << 14;
        let header = [flags | length as u16, self.vendor, self.attribute];
        let mut bytes: Vec<u8> = header
            .iter()
            .flat_map(|field| field.to_be_bytes())
            .collect();
        bytes.extend(&self.value);
        bytes
    }
}

/// A LAC's request for a control connection (§6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sccrq {
    /// The id that the answer must be addressed to.
    pub tunnel_id: u16,
    /// The number of the message: 0 from any LAC that starts at the beginning.
    pub ns: u16,
    /// The name of the LAC.
    pub host_name: String,
    /// AVPs that follow the usual ones.
    pub extra: Vec<Avp>,
}

impl Sccrq {
    /// The request of a LAC that assigned `tunnel_id`.
    pub fn new(tunnel_id: u16) -> Self {
        Self {
            tunnel_id,
            ns: 0,
            host_name: "lac".to_owned(),
            extra: Vec::new(),
        }
    }

    /// The whole message.
    pub fn message(&self) -> ControlMessage {
        let mut avps = vec![
            Avp::new(attribute::MESSAGE_TYPE, message_type::SCCRQ.to_be_bytes()),
            Avp::new(attribute::PROTOCOL_VERSION, [1, 0]),
            Avp::new(attribute::HOST_NAME, self.host_name.as_bytes()),
            Avp::new(attribute::FRAMING_CAPABILITIES, [0, 0, 0, 3]),
            Avp::new(attribute::ASSIGNED_TUNNEL_ID, self.tunnel_id.to_be_bytes()),
            Avp::new(attribute::RECEIVE_WINDOW_SIZE, [0, 4]),
        ];
        avps.extend(self.extra.iter().cloned());
        ControlMessage {
            tunnel_id: 0,
            session_id: 0,
            ns: self.ns,
            nr: 0,
            avps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_written_as_it_is_read() {
        let mut request = Sccrq::new(7);
        request.ns = 3;
        request.extra.push(Avp {
            mandatory: false,
            hidden: false,
            vendor: 9,
            attribute: 40_000,
            value: vec![1, 2, 3],
        });
        let message = request.message();
        let read = ControlMessage::parse(&message.bytes()).unwrap();
        assert_eq!(read, message);
        assert_eq!(read.message_type(), Some(message_type::SCCRQ));
        assert_eq!(
            read.attribute(attribute::ASSIGNED_TUNNEL_ID)
                .unwrap()
                .number(),
            Some(7)
        );
        assert_eq!(ControlMessage::zlb(1, 2, 3).bytes().len(), HEADER);
        assert_eq!(ControlMessage::zlb(1, 2, 3).message_type(), None);
    }
}
