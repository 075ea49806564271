//! The headers between the wire and an L2TP message, one file a protocol.
//!
//! A header is a view over a [`Window`](crate::frame::Window): its getters and
//! setters know the field offsets, and nothing in them can fail, since the
//! window was checked to be there. Lengths that a header *claims* are checked
//! by whoever uses them.

pub mod checksum;
pub mod ethernet;
pub mod ipv4;
pub mod ipv6;
pub mod l2tp;
pub mod udp;
