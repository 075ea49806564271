//! Which path and which attach mode an interface gets.
//!
//! Native XDP_TX is the fastest way out, but not on every interface a way out:
//! on a veth it reaches the peer only while a native XDP program is attached
//! there, too, and is lost without a word otherwise. A reply that is sent by
//! generic XDP or from an AF_XDP socket always gets out.

use broken_lns_ebpf::maps;

use crate::interface::{AttachMode, NativeTransmit};
use crate::mode::{Path, XdpMode};

/// What is tried on an interface, best first, and what its user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The best way to attach.
    pub first: Attempt,
    /// The way to attach where the driver cannot do the first.
    pub fallback: Option<Attempt>,
    /// A warning that goes with the plan.
    pub warning: Option<&'static str>,
}

/// One way to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The attach mode.
    pub mode: AttachMode,
    /// The path of SCCRQs.
    pub path: maps::Path,
}

/// What `--path rewrite --xdp-mode native` comes to on a veth whose peer does not poll.
pub const LOST_REPLIES: &str = "every reply will be lost: native XDP_TX on a veth reaches the peer \
    only while a native XDP program is attached there; leave out --path or --xdp-mode";
/// What it comes to on a veth whose peer may poll.
pub const UNSURE_REPLIES: &str = "replies may be lost: native XDP_TX on a veth reaches the peer \
    only while a native XDP program is attached there; leave out --path or --xdp-mode to be sure";
/// Why `auto` did not attach in native mode.
pub const GENERIC_ON_VETH: &str = "generic mode, since native XDP_TX on a veth may lose replies";
/// Why `auto` did not take the rewrite path.
pub const REDIRECT_ON_VETH: &str = "redirect path, since native XDP_TX on a veth may lose replies";

/// Plans for an interface on which native XDP_TX reaches the wire, or may not.
pub fn plan(path: Path, mode: XdpMode, native_transmit: NativeTransmit) -> Plan {
    let may_lose = native_transmit != NativeTransmit::Works && path != Path::Redirect;
    let kernel_path = match path {
        Path::Auto => maps::Path::RewriteElseRedirect,
        Path::Rewrite => maps::Path::Rewrite,
        Path::Redirect => maps::Path::Redirect,
    };
    let native = Attempt {
        mode: AttachMode::Native,
        path: kernel_path,
    };
    let generic = Attempt {
        mode: AttachMode::Generic,
        path: kernel_path,
    };
    let (first, fallback, warning) = match mode {
        XdpMode::Generic => (generic, None, None),
        XdpMode::Auto if may_lose => (generic, None, Some(GENERIC_ON_VETH)),
        XdpMode::Auto => (native, Some(generic), None),
        XdpMode::Native if may_lose && path == Path::Auto => {
            let redirect = Attempt {
                path: maps::Path::Redirect,
                ..native
            };
            (redirect, None, Some(REDIRECT_ON_VETH))
        }
        XdpMode::Native if may_lose => {
            let warning = match native_transmit {
                NativeTransmit::Lost => LOST_REPLIES,
                _ => UNSURE_REPLIES,
            };
            (native, None, Some(warning))
        }
        XdpMode::Native => (native, None, None),
    };
    Plan {
        first,
        fallback,
        warning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttachMode::{Generic, Native};
    use maps::Path::{Redirect, Rewrite, RewriteElseRedirect};

    use NativeTransmit::{Lost, Unsure, Works};

    fn attempts(plan: &Plan) -> Vec<(AttachMode, maps::Path)> {
        let attempts = [Some(plan.first), plan.fallback].into_iter().flatten();
        attempts
            .map(|attempt| (attempt.mode, attempt.path))
            .collect()
    }

    #[test]
    fn native_mode_is_best_where_it_transmits() {
        for (path, kernel_path) in [
            (Path::Auto, RewriteElseRedirect),
            (Path::Rewrite, Rewrite),
            (Path::Redirect, Redirect),
        ] {
            for (mode, expected) in [
                (
                    XdpMode::Auto,
                    &[(Native, kernel_path), (Generic, kernel_path)][..],
                ),
                (XdpMode::Native, &[(Native, kernel_path)]),
                (XdpMode::Generic, &[(Generic, kernel_path)]),
            ] {
                let plan = plan(path, mode, Works);
                assert_eq!(attempts(&plan), expected, "{path:?} {mode:?}");
                assert_eq!(plan.warning, None);
            }
        }
    }

    #[test]
    fn a_reply_gets_out_of_a_veth_unless_it_is_forbidden() {
        for (path, mode, native, expected, warning) in [
            (
                Path::Auto,
                XdpMode::Auto,
                Lost,
                &[(Generic, RewriteElseRedirect)][..],
                Some(GENERIC_ON_VETH),
            ),
            (
                Path::Auto,
                XdpMode::Auto,
                Unsure,
                &[(Generic, RewriteElseRedirect)],
                Some(GENERIC_ON_VETH),
            ),
            (
                Path::Auto,
                XdpMode::Native,
                Unsure,
                &[(Native, Redirect)],
                Some(REDIRECT_ON_VETH),
            ),
            (
                Path::Auto,
                XdpMode::Generic,
                Lost,
                &[(Generic, RewriteElseRedirect)],
                None,
            ),
            (
                Path::Rewrite,
                XdpMode::Auto,
                Unsure,
                &[(Generic, Rewrite)],
                Some(GENERIC_ON_VETH),
            ),
            (
                Path::Rewrite,
                XdpMode::Native,
                Lost,
                &[(Native, Rewrite)],
                Some(LOST_REPLIES),
            ),
            (
                Path::Rewrite,
                XdpMode::Native,
                Unsure,
                &[(Native, Rewrite)],
                Some(UNSURE_REPLIES),
            ),
            (
                Path::Rewrite,
                XdpMode::Generic,
                Lost,
                &[(Generic, Rewrite)],
                None,
            ),
            (
                Path::Redirect,
                XdpMode::Auto,
                Lost,
                &[(Native, Redirect), (Generic, Redirect)],
                None,
            ),
            (
                Path::Redirect,
                XdpMode::Native,
                Lost,
                &[(Native, Redirect)],
                None,
            ),
            (
                Path::Redirect,
                XdpMode::Generic,
                Unsure,
                &[(Generic, Redirect)],
                None,
            ),
        ] {
            let plan = plan(path, mode, native);
            assert_eq!(attempts(&plan), expected, "{path:?} {mode:?} {native:?}");
            assert_eq!(plan.warning, warning, "{path:?} {mode:?} {native:?}");
        }
    }
}
