//! Every way a frame can end: its verdict, what becomes of the frame, its label.
//!
//! A frame has exactly one verdict and is counted exactly once under it, by
//! the kernel half or, when the frame was handed over, by the worker.

/// What becomes of a frame that has a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It was turned into the reply and is transmitted where it came from.
    Transmit,
    /// It ends here without a word, as it would in a real LNS.
    Consume,
    /// It goes to the host, untouched.
    Pass,
}

/// Declares [`Verdict`] from one table of variant, label, disposition and meaning.
macro_rules! verdicts {
    ($($variant:ident, $label:literal, $disposition:ident, $meaning:literal;)*) => {
        /// How one frame ended.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Verdict {
            $(#[doc = $meaning] $variant,)*
        }

        impl Verdict {
            /// Every verdict, in the order of the counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// How many verdicts there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name under which it is counted and shown.
            pub const fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }

            /// One sentence on what was seen.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)*
                }
            }

            /// What becomes of the frame.
            pub const fn disposition(self) -> Disposition {
                match self {
                    $(Self::$variant => Disposition::$disposition,)*
                }
            }
        }
    };
}

verdicts! {
    Answered, "answered", Transmit, "SCCRQ answered";

    Silent, "silent", Consume, "SCCRQ that a rule leaves without an answer";
    Passed, "passed", Pass, "L2TP that a rule leaves to the host";
    Deferred, "deferred", Consume, "SCCRQ whose answer is not due yet";
    Lost, "lost", Consume, "SCCRQ whose answer a rule loses";
    RateLimited, "rate-limited", Consume, "SCCRQ from an address that got as many replies as --max-reply-rate allows";

    TooManyAvps, "too-many-avps", Consume, "SCCRQ with more AVPs than the kernel half walks";
    NoRoom, "no-room", Consume, "SCCRQ in a buffer that cannot hold the reply";
    SocketFull, "socket-full", Consume, "SCCRQ dropped because the AF_XDP socket had no room for it";
    NoSocket, "no-socket", Pass, "SCCRQ on a queue without an AF_XDP socket";

    Sccrp, "sccrp", Consume, "SCCRP, as an LNS sends it";
    StopCcn, "stopccn", Consume, "StopCCN from the LAC";
    Zlb, "zlb", Consume, "ZLB acknowledgement";
    OtherMessage, "other-message", Consume, "control message of another type";

    BadHeader, "bad-header", Consume, "control message without L or S bit, or with the O bit";
    ShortHeader, "short-header", Consume, "control message in a datagram that holds less than its header";
    LengthTooShort, "length-too-short", Consume, "control message whose Length is under 12";
    LengthTooLong, "length-too-long", Consume, "control message whose Length is beyond its datagram";
    TruncatedAvp, "truncated-avp", Consume, "AVP that runs past the end of its message";
    ShortAvp, "short-avp", Consume, "AVP with a length under 6";
    NoMessageType, "no-message-type", Consume, "first AVP is not a readable Message Type";
    NoTunnelId, "no-tunnel-id", Consume, "SCCRQ without an Assigned Tunnel ID";
    BadTunnelId, "bad-tunnel-id", Consume, "SCCRQ whose Assigned Tunnel ID AVP is not 8 octets long";
    ZeroTunnelId, "zero-tunnel-id", Consume, "SCCRQ whose Assigned Tunnel ID is 0";
    HiddenTunnelId, "hidden-tunnel-id", Consume, "SCCRQ whose Assigned Tunnel ID is hidden";
    BadChecksum, "bad-checksum", Consume, "control message with a wrong UDP or IPv4 header checksum";
    BadSource, "bad-source", Consume, "SCCRQ from a MAC address, IP address or port that no reply may go to";
    BadDestination, "bad-destination", Consume, "SCCRQ to an IP address that no reply may come from";
    ZeroTtl, "zero-ttl", Consume, "SCCRQ whose TTL or hop limit is 0";

    Data, "data", Pass, "L2TP data message";
    Version3, "version-3", Pass, "L2TPv3 message";
    OtherVersion, "other-version", Pass, "message to port 1701 of neither version 2 nor 3";
    OtherMac, "other-mac", Pass, "L2TP to another MAC address than the interface's";
    Fragment, "fragment", Pass, "fragment of a UDP datagram";
    MultiBuffer, "multi-buffer", Pass, "L2TP frame spread over several buffers";
    Encapsulated, "encapsulated", Pass, "L2TP within PPPoE, MPLS, or behind tags that are not looked through";
    Truncated, "truncated", Pass, "datagram to port 1701 that is shorter than its headers say";
    OtherTraffic, "other-traffic", Pass, "everything else";
}

impl Verdict {
    /// Whether a frame that ends so is told of one by one, where a person reads along: it asks for
    /// something, and what keeps it from an answer is seen in it.
    #[inline(always)]
    pub const fn is_announced(self) -> bool {
        self.is_of_length() || matches!(self, Self::Encapsulated)
    }

    /// Whether it is about the Length of a control message.
    #[inline(always)]
    pub const fn is_of_length(self) -> bool {
        matches!(self, Self::LengthTooShort | Self::LengthTooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_the_index_of_its_counter() {
        for (index, verdict) in Verdict::ALL.iter().enumerate() {
            assert_eq!(*verdict as usize, index);
        }
    }

    #[test]
    fn labels_are_unique() {
        for (index, verdict) in Verdict::ALL.iter().enumerate() {
            for other in &Verdict::ALL[index + 1..] {
                assert_ne!(verdict.label(), other.label());
            }
        }
    }
}
