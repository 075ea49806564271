//! What LACs sent, as tshark decodes it.

use std::{collections::BTreeMap, net::Ipv4Addr};

use anyhow::{Result, bail, ensure};
use broken_lns::scenario::reaction::{Acknowledgement, Tunnel};
use xtask::lab::{Lab, Recording};

/// The tunnel id that every StopCCN here assigns.
const ASSIGNED: u16 = 12345;

/// What a LAC sent to an LNS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// How many SCCRQs.
    pub(super) sccrqs: usize,
    /// The Nr and Tunnel ID of each ZLB.
    pub(super) zlbs: Vec<(u16, u16)>,
    /// Result and error code of each StopCCN.
    pub(super) stop_ccns: Vec<(u16, u16)>,
}

/// What was sent to each LNS, or to its neighbour, which answers in place of it now and then.
pub(super) fn sent(recording: &Recording) -> Result<BTreeMap<Ipv4Addr, Sent>> {
    let fields = [
        "ip.dst",
        "l2tp.avp.message_type",
        "l2tp.Nr",
        "l2tp.tunnel",
        "l2tp.result_code",
        "l2tp.avp.error_code",
    ];
    // An ICMP message quotes what somebody else sent.
    let of_lacs = format!("eth.src == {} && l2tp && !icmp", Lab::PEER_MAC);
    let mut sent: BTreeMap<Ipv4Addr, Sent> = BTreeMap::new();
    for row in recording.decode(&fields, &of_lacs)? {
        let [lns, kind, nr, tunnel, result, error] = row.as_slice() else {
            bail!("not six columns: {row:?}");
        };
        let lns = Ipv4Addr::from_bits(lns.parse::<Ipv4Addr>()?.to_bits() & !1);
        let sent = sent.entry(lns).or_default();
        match kind.as_str() {
            "1" => sent.sccrqs += 1,
            "" => sent.zlbs.push((nr.parse()?, tunnel.parse()?)),
            "4" => sent.stop_ccns.push((result.parse()?, error.parse()?)),
            _ => bail!("no LAC ought to send this: {row:?}"),
        }
    }
    Ok(sent)
}

impl Sent {
    /// Which of the answers were acknowledged, of one to each SCCRQ.
    pub(super) fn acknowledges(&self) -> Result<Acknowledgement> {
        let Some(first @ (nr, tunnel)) = self.zlbs.first() else {
            return Ok(Acknowledgement::Never);
        };
        ensure!(
            self.zlbs.iter().all(|zlb| zlb == first),
            "its ZLBs differ: {:?}",
            self.zlbs
        );
        let tunnel = match *tunnel {
            ASSIGNED => Tunnel::Assigned,
            id => Tunnel::Id(id),
        };
        match (*nr, self.zlbs.len()) {
            (0, 1) => Ok(Acknowledgement::Nothing(tunnel)),
            (1, count) if count == self.sccrqs => Ok(Acknowledgement::Each(tunnel)),
            (1, 1) => Ok(Acknowledgement::First(tunnel)),
            (1, count) if count + 1 == self.sccrqs => Ok(Acknowledgement::Repeated(tunnel)),
            _ => bail!("its ZLBs are none of what the catalogue knows: {self:?}"),
        }
    }
}
