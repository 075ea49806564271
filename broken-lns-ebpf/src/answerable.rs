//! Whether a host may answer a packet at all: its sender and its receiver must be single hosts.
//!
//! Real LNSs leave that to the stack below them, which silently discards what is otherwise
//! (RFC 1122 §3.2.1.3, RFC 4291 §2.5 and §2.7).

use crate::frame::Frame;
use crate::layers::{IpVersion, Layers};
use crate::verdict::Verdict;
use crate::wire::ethernet::{self, MacAddress};
use crate::wire::{ipv4, ipv6};

/// Checks who sent a request, and to whom. `lac_port` is the UDP port that it was sent from.
///
/// # Errors
///
/// The verdict on a request that nobody may answer.
#[inline(always)]
pub fn check(frame: Frame<'_>, layers: Layers, lac_port: u16) -> Result<(), Verdict> {
    let ethernet = ethernet::Header::of(frame).ok_or(Verdict::Truncated)?;
    let place = frame.place(layers.network);
    let (source, destination, is_to_itself, ttl) = match layers.version {
        IpVersion::V4 => {
            let ip = ipv4::Header::at(place).ok_or(Verdict::Truncated)?;
            let (source, destination) = (ip.source(), ip.destination());
            (
                ipv4::is_of_host(source),
                ipv4::is_of_host(destination),
                source == destination,
                ip.ttl(),
            )
        }
        IpVersion::V6 => {
            let ip = ipv6::Header::at(place).ok_or(Verdict::Truncated)?;
            let (source, destination) = (ip.source(), ip.destination());
            (
                ipv6::is_of_host(source),
                ipv6::is_of_host(destination),
                source == destination,
                ip.hop_limit(),
            )
        }
    };
    // A frame from the address that it is to pretends to come from us: we answer from there.
    if !is_of_station(ethernet.source())
        || ethernet.source() == ethernet.destination()
        || !source
        || is_to_itself
        || lac_port == 0
    {
        Err(Verdict::BadSource)
    } else if !destination {
        Err(Verdict::BadDestination)
    } else if ttl == 0 {
        Err(Verdict::ZeroTtl)
    } else {
        Ok(())
    }
}

/// Whether a frame can be sent there, and to nobody else.
#[inline(always)]
fn is_of_station(address: MacAddress) -> bool {
    !address.is_group() && address != MacAddress::new([0; 6])
}
