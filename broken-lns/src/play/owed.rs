//! A reply that is sent later: what has to be kept of its request.

use broken_lns_ebpf::acknowledgement::Peers;
use broken_lns_ebpf::answer::Answer;
use broken_lns_ebpf::code_in_address::Codes;
use broken_lns_ebpf::frame::Frame;
use broken_lns_ebpf::parties::Parties;
use broken_lns_ebpf::reply;
use broken_lns_ebpf::sccrq::Sccrq;
use broken_lns_ebpf::template::Template;
use broken_lns_ebpf::verdict::Verdict;
use broken_lns_ebpf::wire::{l2tp, udp};

use crate::compile::{Compiled, Reply, RuleId};
use crate::decide::{LeafId, Request};
use crate::retransmission::Tunnel;
use crate::unreachable::UnreachableError;

/// The longest headers, Ethernet with two tags and IPv4 with all options among them, and the
/// first AVP behind them.
const BEGINNING: usize = 22 + 60 + udp::HEADER_LEN + l2tp::HEADER_LEN + l2tp::NUMBER_AVP_LEN;

/// A reply that is owed, with the headers of its request. It is decided on, and so
/// independent of all that changes meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    pub(super) beginning: [u8; BEGINNING],
    pub(super) len: u8,
    /// Octets of the whole frame.
    pub(super) frame_len: u16,
    pub(super) sccrq: Sccrq,
    /// The number of the act that decided.
    pub(super) act: u32,
    pub(super) rule: RuleId,
    pub(super) leaf: LeafId,
    pub(super) copies: u8,
    pub(super) retransmit: bool,
    /// The verdict on the request.
    pub(super) verdict: Verdict,
}

impl Owed {
    pub(super) fn new(frame: &[u8], sccrq: Sccrq, act: u32, rule: RuleId, leaf: LeafId) -> Self {
        let mut beginning = [0; BEGINNING];
        let kept = frame.get(..BEGINNING).unwrap_or(frame);
        for (to, from) in beginning.iter_mut().zip(kept) {
            *to = *from;
        }
        Self {
            beginning,
            len: kept.len() as u8,
            frame_len: frame.len() as u16,
            sccrq,
            act,
            rule,
            leaf,
            copies: 1,
            retransmit: false,
            verdict: Verdict::Deferred,
        }
    }

    /// The headers of the request.
    pub(super) fn beginning(&self) -> &[u8] {
        let len = usize::from(self.len);
        self.beginning.get(..len).unwrap_or(&self.beginning)
    }

    /// Who asked whom.
    pub(super) fn request(&self) -> Option<Request> {
        let mut copy = self.beginning;
        request(Frame::new(&mut copy), &self.sccrq)
    }
}

/// Who asks whom in a frame. The name, which only a decision needs, is left out.
#[inline]
pub(super) fn request(frame: Frame<'_>, sccrq: &Sccrq) -> Option<Request> {
    let Parties { lac, lns } = Parties::of(frame, sccrq.network, sccrq.version)?;
    Some(Request {
        lac,
        lns,
        tunnel_id: sccrq.tunnel_id,
        ns: sccrq.ns,
        name: 0,
    })
}

/// The tunnel that a request begins and a reply refuses.
pub(super) fn tunnel(request: &Request, sccrq: &Sccrq, reply: Reply) -> Tunnel {
    Tunnel {
        peers: Peers {
            lac: request.lac,
            lns: request.lns,
            lac_port: sccrq.lac_port.into(),
        },
        tunnel_id: request.tunnel_id,
        assigned: match reply {
            Reply::Template { assigned, .. } | Reply::CodeInAddress { assigned, .. } => assigned,
            Reply::Silent | Reply::Pass | Reply::Unreachable(_) => 0,
        },
    }
}

/// The answer as it is told of.
pub(super) fn answer(request: &Request, sccrq: &Sccrq) -> Answer {
    Answer {
        lac: request.lac,
        lns: request.lns,
        ip_version: sccrq.version.number(),
        lac_port: sccrq.lac_port,
        tunnel_id: sccrq.tunnel_id,
        ns: sccrq.ns,
    }
}

/// What there is of the request that a reply is written for.
pub(super) enum Source<'f> {
    /// The whole frame of this length, where the reply goes, and room for a copy of it.
    InPlace(usize, &'f mut [u8]),
    /// Only its headers.
    Kept(&'f [u8]),
}

/// Writes a reply into `room`, and returns its length.
///
/// # Errors
///
/// The verdict on a request for which nothing is sent.
pub(super) fn write(
    compiled: &Compiled,
    reply: Reply,
    request: &Request,
    sccrq: &Sccrq,
    source: Source<'_>,
    room: &mut [u8],
) -> Result<usize, Verdict> {
    let (template, codes) = match reply {
        Reply::Template { template, .. } => (template, None),
        Reply::CodeInAddress {
            with_error,
            without,
            ..
        } => {
            let codes = Codes::of(sccrq.version, request.lns);
            let template = match codes.error {
                Some(_) => with_error,
                None => without,
            };
            (template, Some(codes))
        }
        Reply::Unreachable(unreachable) => {
            let written = match source {
                Source::InPlace(len, copy) => {
                    let copy = copy.get_mut(..len).ok_or(Verdict::NoRoom)?;
                    copy.copy_from_slice(room.get(..len).ok_or(Verdict::NoRoom)?);
                    unreachable.write(copy, sccrq, room)
                }
                Source::Kept(beginning) => unreachable.write_for_beginning(beginning, sccrq, room),
            };
            return written.map_err(|error| match error {
                UnreachableError::Truncated => Verdict::Truncated,
                UnreachableError::NoRoom => Verdict::NoRoom,
                // Whom no ICMP error may reach gets none.
                UnreachableError::NotUnicast => Verdict::Silent,
            });
        }
        Reply::Silent | Reply::Pass => return Err(Verdict::Silent),
    };
    let template = compiled.template(template).ok_or(Verdict::NoRoom)?;
    if let Source::Kept(beginning) = source {
        let place = room.get_mut(..beginning.len()).ok_or(Verdict::NoRoom)?;
        place.copy_from_slice(beginning);
    }
    let len = write_template(template, sccrq, room)?;
    if let Some(codes) = codes {
        let frame = Frame::new(room.get_mut(..len).ok_or(Verdict::NoRoom)?);
        codes.write(frame, sccrq).ok_or(Verdict::NoRoom)?;
    }
    Ok(len)
}

/// Writes a template over the headers of a request at the beginning of `room`.
#[inline]
pub(super) fn write_template(
    template: &Template,
    sccrq: &Sccrq,
    room: &mut [u8],
) -> Result<usize, Verdict> {
    let len = reply::frame_len(sccrq, template);
    let frame = Frame::new(room.get_mut(..len).ok_or(Verdict::NoRoom)?);
    reply::write(frame, sccrq, template).ok_or(Verdict::NoRoom)?;
    Ok(len)
}
