//! The refusal itself, read as strictly as the most careful LAC might.

use anyhow::{Context as _, Result, bail, ensure};

use super::{Avp, ControlMessage, attribute, message_type};

/// A refusal (§6.4), with everything that may differ from one to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopCcn {
    /// The LAC's tunnel id, from the header.
    pub tunnel_id: u16,
    /// What it acknowledges.
    pub nr: u16,
    /// The result code.
    pub result: u16,
    /// The error code, where there is one.
    pub error: Option<u16>,
    /// The error message, where there is one.
    pub message: Option<String>,
    /// The sender's own tunnel id.
    pub assigned_tunnel_id: u16,
}

impl StopCcn {
    /// Reads the payload of a UDP datagram. Anything but the first message of a connection, with
    /// exactly Message Type, Result Code and Assigned Tunnel ID in this order, is an error.
    pub fn parse(payload: &[u8]) -> Result<Self> {
        let message = ControlMessage::parse(payload)?;
        ensure!(
            message.session_id == 0,
            "Session ID is {}",
            message.session_id
        );
        ensure!(message.ns == 0, "Ns is {}", message.ns);
        for avp in &message.avps {
            let plain = avp.mandatory && !avp.hidden && avp.vendor == 0;
            ensure!(plain, "not a plain mandatory AVP: {avp:?}");
        }
        let [kind, result, assigned] = message.avps.as_slice() else {
            bail!("{} AVPs instead of three", message.avps.len());
        };
        ensure!(
            message.message_type() == Some(message_type::STOPCCN),
            "not a StopCCN: {kind:?}"
        );
        ensure!(
            result.attribute == attribute::RESULT_CODE,
            "no Result Code: {result:?}"
        );
        ensure!(
            assigned.attribute == attribute::ASSIGNED_TUNNEL_ID,
            "no Assigned Tunnel ID: {assigned:?}"
        );
        let (code, after) = split_number(&result.value).context("Result Code is cut short")?;
        let (error, text) = match after {
            [] => (None, None),
            _ => {
                let (error, text) = split_number(after).context("Error Code is cut short")?;
                (Some(error), (!text.is_empty()).then_some(text))
            }
        };
        Ok(Self {
            tunnel_id: message.tunnel_id,
            nr: message.nr,
            result: code,
            error,
            message: text
                .map(|text| String::from_utf8(text.to_vec()))
                .transpose()
                .context("the error message is not UTF-8")?,
            assigned_tunnel_id: assigned
                .number()
                .context("Assigned Tunnel ID has a wrong size")?,
        })
    }

    /// The whole message, which [`parse`](Self::parse) reads.
    pub fn message(&self) -> ControlMessage {
        let mut codes = self.result.to_be_bytes().to_vec();
        if let Some(error) = self.error {
            codes.extend(error.to_be_bytes());
            codes.extend(self.message.iter().flat_map(|text| text.bytes()));
        }
        ControlMessage {
            tunnel_id: self.tunnel_id,
            session_id: 0,
            ns: 0,
            nr: self.nr,
            avps: vec![
                Avp::new(attribute::MESSAGE_TYPE, message_type::STOPCCN.to_be_bytes()),
                Avp::new(attribute::RESULT_CODE, codes),
                Avp::new(
                    attribute::ASSIGNED_TUNNEL_ID,
                    self.assigned_tunnel_id.to_be_bytes(),
                ),
            ],
        }
    }
}

fn split_number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Result 2, error 4, "Internal error", to tunnel 0xCAFE, written by hand from the RFC.
    const REFUSAL: &[u8] = b"\xC8\x02\x00\x34\xCA\xFE\x00\x00\x00\x00\x00\x01\
        \x80\x08\x00\x00\x00\x00\x00\x04\
        \x80\x18\x00\x00\x00\x01\x00\x02\x00\x04Internal error\
        \x80\x08\x00\x00\x00\x09\x30\x39";

    fn with(index: usize, value: u8) -> Vec<u8> {
        let mut bytes = REFUSAL.to_vec();
        bytes[index] = value;
        bytes
    }

    #[test]
    fn reads_and_writes_a_refusal() {
        let expected = StopCcn {
            tunnel_id: 0xCAFE,
            nr: 1,
            result: 2,
            error: Some(4),
            message: Some("Internal error".to_owned()),
            assigned_tunnel_id: 12345,
        };
        assert_eq!(StopCcn::parse(REFUSAL).unwrap(), expected);
        assert_eq!(expected.message().bytes(), REFUSAL);
    }

    #[test]
    fn reads_a_refusal_without_error_code() {
        let bytes = b"\xC8\x02\x00\x24\xCA\xFE\x00\x00\x00\x00\x00\x01\
            \x80\x08\x00\x00\x00\x00\x00\x04\
            \x80\x08\x00\x00\x00\x01\x00\x07\
            \x80\x08\x00\x00\x00\x09\x00\x01";
        let stop = StopCcn::parse(bytes).unwrap();
        assert_eq!((stop.result, stop.error, stop.message), (7, None, None));
    }

    #[test]
    fn refuses_what_a_careful_lac_refuses() {
        for (bytes, complaint) in [
            (with(0, 0x88), "flags and version"),
            (with(1, 0x03), "flags and version"),
            (with(3, 0x33), "Length says"),
            (with(7, 1), "Session ID"),
            (with(9, 1), "Ns is 1"),
            (with(12, 0x00), "not a plain mandatory AVP"),
            (with(12, 0x84), "reserved bits"),
            (with(13, 0x05), "its length is 5"),
            (with(19, 0x02), "not a StopCCN"),
            (with(21, 0x19), "reserved bits"),
            (with(25, 0x02), "no Result Code"),
            (with(49, 0x0A), "no Assigned Tunnel ID"),
            (REFUSAL[..11].to_vec(), "hold no header"),
            (with(45, 0x09), "its length is 9, 8 are left"),
        ] {
            let error = format!("{:#}", StopCcn::parse(&bytes).unwrap_err());
            assert!(error.contains(complaint), "{complaint}: {error}");
        }
    }
}
