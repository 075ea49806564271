//! Which path and which attach mode an interface gets.
//!
//! Native XDP_TX is the fastest way out, but not on every interface a way out:
//! on a veth it reaches the peer only while a native XDP program is attached
//! there, too, and is lost without a word otherwise. A reply that is sent by
//! generic XDP or from an AF_XDP socket always gets out.
//!
//! Generic XDP sends the request's own buffer back, with all that the system
//! knows of it beside the frame. Where that is a UDP checksum still to be
//! filled in, it is filled in over that of the reply, at the next interface
//! that does so. A program cannot tell, nor change it. A reply from an AF_XDP
//! socket or by native XDP_TX is in a buffer of its own. So generic mode does
//! not go with the rewrite path where requests may come like that.
//!
//! On a bond native XDP runs at the ports, and a worker, whose socket is bound to the bond, gets
//! nothing of them. Generic XDP runs at the bond itself.
//!
//! On a veth both of the first two hold, and what is left is the redirect path. A worker takes as
//! many frames in either mode there. Native mode comes first, since it gets
//! the frames as they are on a wire: while a native program is attached the
//! other end of a veth sends no frames that are still to be cut to datagrams.

use broken_lns_ebpf::maps;

use crate::interface::{AttachMode, Checksums, NativeTransmit};
use crate::mode::{Path, XdpMode};

/// What is tried on an interface, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The best way to attach.
    pub first: Attempt,
    /// The way to attach where the driver cannot do the first.
    pub fallback: Option<Attempt>,
}

/// One way to attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The attach mode.
    pub mode: AttachMode,
    /// The path of SCCRQs.
    pub path: maps::Path,
}

impl Attempt {
    /// Whether there are workers, who send replies from AF_XDP sockets.
    pub fn has_workers(self) -> bool {
        self.path != maps::Path::Rewrite
    }

    /// Whether workers must have the kernel copy frames to and from their memory.
    ///
    /// Generic XDP knows nothing else. With zero-copy sockets every frame of a queue lies in the
    /// memory of its worker, those too that the program sends back; the kernel has to copy those
    /// to other memory, without room in front, which virtio_net refuses and other drivers are
    /// slowed by. So what shares a queue with XDP_TX takes copies.
    pub fn needs_copies(self) -> bool {
        self.mode == AttachMode::Generic || self.path != maps::Path::Redirect
    }
}

/// What an interface does to replies that are not sent by a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hazards {
    /// What becomes of what native XDP_TX sends.
    pub native_transmit: NativeTransmit,
    /// What the checksums are of what generic XDP gets.
    pub checksums: Checksums,
    /// Whether what native mode hands to a worker is lost.
    pub starves_workers: bool,
}

/// The path and the mode that were asked for do not go together here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "--path redirect answers nothing in native mode on a bond, since its frames have the queues of \
     its ports and a worker gets none of them: leave out --xdp-mode"
)]
pub struct Impossible;

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
/// Why it did not take it in generic mode.
pub const REDIRECT_IN_GENERIC: &str = "redirect path, since requests may come here with an \
    unfinished UDP checksum, and generic mode cannot rewrite those";
/// What the rewrite path comes to in generic mode where requests may be unfinished.
pub const SPOILED_CHECKSUMS: &str = "the UDP checksum of a reply may be overwritten: requests may \
    come here with an unfinished one, and generic mode sends the reply in the buffer of its \
    request, where the system finishes that; leave out --path";

/// Why `auto` did not attach to a bond in native mode.
pub const GENERIC_ON_BOND: &str =
    "generic mode, since in native mode a worker gets no frames of a bond";
/// Why it hands nothing to a worker there.
pub const REWRITE_ON_BOND: &str = "rewrite path alone, since in native mode a worker gets no \
    frames of a bond; leave out --xdp-mode to have both";

/// Plans for an interface.
///
/// # Errors
///
/// [`Impossible`], where nothing would be answered.
pub fn plan(path: Path, mode: XdpMode, hazards: Hazards) -> Result<Plan, Impossible> {
    if hazards.starves_workers {
        return plan_without_native_workers(path, mode, hazards);
    }
    let may_lose = hazards.native_transmit != NativeTransmit::Works;
    let native = way(path, AttachMode::Native, !may_lose);
    let generic = generic(path, hazards);
    let (first, fallback) = match mode {
        XdpMode::Generic => (generic, None),
        XdpMode::Native => (native, None),
        // Only some replies are spoiled there, where others would be lost.
        XdpMode::Auto if may_lose && path == Path::Rewrite => (generic, None),
        XdpMode::Auto => (native, Some(generic)),
    };
    Ok(Plan { first, fallback })
}

/// The same where a worker gets nothing in native mode.
fn plan_without_native_workers(
    path: Path,
    mode: XdpMode,
    hazards: Hazards,
) -> Result<Plan, Impossible> {
    let first = match (mode, path) {
        (XdpMode::Native, Path::Redirect) => return Err(Impossible),
        (XdpMode::Native, Path::Auto | Path::Rewrite) => Attempt {
            mode: AttachMode::Native,
            path: maps::Path::Rewrite,
        },
        (XdpMode::Auto | XdpMode::Generic, _) => generic(path, hazards),
    };
    Ok(Plan {
        first,
        fallback: None,
    })
}

fn generic(path: Path, hazards: Hazards) -> Attempt {
    let may_spoil = hazards.checksums == Checksums::MayBeUnfinished;
    way(path, AttachMode::Generic, !may_spoil)
}

fn way(path: Path, mode: AttachMode, is_rewriting_safe: bool) -> Attempt {
    Attempt {
        mode,
        path: match path {
            Path::Auto if is_rewriting_safe => maps::Path::RewriteElseRedirect,
            Path::Auto | Path::Redirect => maps::Path::Redirect,
            Path::Rewrite => maps::Path::Rewrite,
        },
    }
}

/// What the user should know of the attempt that was made for that path and mode.
pub fn remarks(
    path: Path,
    mode: XdpMode,
    hazards: Hazards,
    attempt: Attempt,
) -> impl Iterator<Item = &'static str> {
    use NativeTransmit::{Lost, Unsure, Works};
    let Hazards {
        native_transmit,
        checksums,
        starves_workers,
    } = hazards;
    let native = attempt.mode == AttachMode::Native;
    let redirects = attempt.path == maps::Path::Redirect;
    let chosen = redirects && path == Path::Auto;
    let may_spoil = !redirects && checksums == Checksums::MayBeUnfinished;
    let gives_way = !redirects && mode == XdpMode::Auto && native_transmit != Works;
    [
        (
            native && !redirects && native_transmit == Lost,
            LOST_REPLIES,
        ),
        (
            native && !redirects && native_transmit == Unsure,
            UNSURE_REPLIES,
        ),
        (native && chosen, REDIRECT_ON_VETH),
        (!native && gives_way, GENERIC_ON_VETH),
        (
            !native && mode == XdpMode::Auto && starves_workers,
            GENERIC_ON_BOND,
        ),
        (
            native && path == Path::Auto && starves_workers,
            REWRITE_ON_BOND,
        ),
        (!native && chosen, REDIRECT_IN_GENERIC),
        (!native && may_spoil, SPOILED_CHECKSUMS),
    ]
    .into_iter()
    .filter_map(|(holds, remark)| holds.then_some(remark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use AttachMode::{Generic, Native};
    use Checksums::{Finished, MayBeUnfinished};
    use NativeTransmit::{Lost, Unsure, Works};
    use maps::Path::{Redirect, Rewrite, RewriteElseRedirect};

    /// A way to attach, with what is said of it.
    type Said = (AttachMode, maps::Path, Vec<&'static str>);

    /// Each attempt that may be made, with what is said of it.
    fn attempts(
        path: Path,
        mode: XdpMode,
        native_transmit: NativeTransmit,
        checksums: Checksums,
    ) -> Vec<Said> {
        let hazards = Hazards {
            native_transmit,
            checksums,
            starves_workers: false,
        };
        said(path, mode, hazards).expect("there is always a way without a bond")
    }

    fn said(path: Path, mode: XdpMode, hazards: Hazards) -> Result<Vec<Said>, Impossible> {
        let plan = plan(path, mode, hazards)?;
        let attempts = [Some(plan.first), plan.fallback].into_iter().flatten();
        let said = attempts.map(|attempt| {
            let remarks = remarks(path, mode, hazards, attempt).collect();
            (attempt.mode, attempt.path, remarks)
        });
        Ok(said.collect())
    }

    #[test]
    fn on_a_bond_no_worker_is_fed_by_native_mode() {
        let on_bond = |path, mode, checksums| {
            let hazards = Hazards {
                native_transmit: Works,
                checksums,
                starves_workers: true,
            };
            said(path, mode, hazards)
        };
        for (path, mode, checksums, expected) in [
            (
                Path::Auto,
                XdpMode::Auto,
                MayBeUnfinished,
                (
                    Generic,
                    Redirect,
                    vec![GENERIC_ON_BOND, REDIRECT_IN_GENERIC],
                ),
            ),
            (
                Path::Auto,
                XdpMode::Auto,
                Finished,
                (Generic, RewriteElseRedirect, vec![GENERIC_ON_BOND]),
            ),
            (
                Path::Redirect,
                XdpMode::Auto,
                MayBeUnfinished,
                (Generic, Redirect, vec![GENERIC_ON_BOND]),
            ),
            (
                Path::Redirect,
                XdpMode::Generic,
                MayBeUnfinished,
                (Generic, Redirect, vec![]),
            ),
            (
                Path::Rewrite,
                XdpMode::Native,
                MayBeUnfinished,
                (Native, Rewrite, vec![]),
            ),
            (
                Path::Auto,
                XdpMode::Native,
                MayBeUnfinished,
                (Native, Rewrite, vec![REWRITE_ON_BOND]),
            ),
        ] {
            let attempts = on_bond(path, mode, checksums);
            assert_eq!(attempts, Ok(vec![expected]), "{path:?} {mode:?}");
        }
        let redirect = on_bond(Path::Redirect, XdpMode::Native, Finished);
        assert_eq!(redirect, Err(Impossible));
    }

    #[test]
    fn native_mode_is_best_where_it_transmits() {
        for (path, kernel_path) in [
            (Path::Auto, RewriteElseRedirect),
            (Path::Rewrite, Rewrite),
            (Path::Redirect, Redirect),
        ] {
            let (native, generic) = (
                (Native, kernel_path, vec![]),
                (Generic, kernel_path, vec![]),
            );
            for (mode, expected) in [
                (XdpMode::Auto, vec![native.clone(), generic.clone()]),
                (XdpMode::Native, vec![native.clone()]),
                (XdpMode::Generic, vec![generic.clone()]),
            ] {
                let attempts = attempts(path, mode, Works, Finished);
                assert_eq!(attempts, expected, "{path:?} {mode:?}");
            }
        }
    }

    #[test]
    fn a_worker_shares_its_memory_with_a_driver_that_sends_nothing_else_from_it() {
        for (mode, path, needs_copies) in [
            (Native, Redirect, false),
            (Native, RewriteElseRedirect, true),
            (Generic, Redirect, true),
            (Generic, RewriteElseRedirect, true),
        ] {
            let attempt = Attempt { mode, path };
            assert_eq!(attempt.needs_copies(), needs_copies, "{mode:?} {path:?}");
        }
    }

    #[test]
    fn generic_mode_does_not_rewrite_what_may_be_unfinished() {
        for (path, generic_path, remarks) in [
            (Path::Auto, Redirect, vec![REDIRECT_IN_GENERIC]),
            (Path::Rewrite, Rewrite, vec![SPOILED_CHECKSUMS]),
            (Path::Redirect, Redirect, vec![]),
        ] {
            let generic = (Generic, generic_path, remarks);
            let of = |mode| attempts(path, mode, Works, MayBeUnfinished);
            assert_eq!(of(XdpMode::Generic), std::slice::from_ref(&generic));
            let [native, fallback] = of(XdpMode::Auto).try_into().expect("two attempts");
            assert_eq!((native.0, native.2), (Native, vec![]), "{path:?}");
            assert_eq!(fallback, generic, "{path:?}");
        }
    }

    #[test]
    fn a_reply_gets_out_of_a_veth_as_it_is_unless_that_is_forbidden() {
        for (path, mode, native, expected) in [
            (
                Path::Auto,
                XdpMode::Auto,
                Lost,
                vec![
                    (Native, Redirect, vec![REDIRECT_ON_VETH]),
                    (Generic, Redirect, vec![REDIRECT_IN_GENERIC]),
                ],
            ),
            (
                Path::Auto,
                XdpMode::Native,
                Unsure,
                vec![(Native, Redirect, vec![REDIRECT_ON_VETH])],
            ),
            (
                Path::Auto,
                XdpMode::Generic,
                Lost,
                vec![(Generic, Redirect, vec![REDIRECT_IN_GENERIC])],
            ),
            (
                Path::Rewrite,
                XdpMode::Auto,
                Unsure,
                vec![(Generic, Rewrite, vec![GENERIC_ON_VETH, SPOILED_CHECKSUMS])],
            ),
            (
                Path::Rewrite,
                XdpMode::Native,
                Lost,
                vec![(Native, Rewrite, vec![LOST_REPLIES])],
            ),
            (
                Path::Rewrite,
                XdpMode::Native,
                Unsure,
                vec![(Native, Rewrite, vec![UNSURE_REPLIES])],
            ),
            (
                Path::Rewrite,
                XdpMode::Generic,
                Lost,
                vec![(Generic, Rewrite, vec![SPOILED_CHECKSUMS])],
            ),
            (
                Path::Redirect,
                XdpMode::Auto,
                Lost,
                vec![(Native, Redirect, vec![]), (Generic, Redirect, vec![])],
            ),
            (
                Path::Redirect,
                XdpMode::Native,
                Lost,
                vec![(Native, Redirect, vec![])],
            ),
            (
                Path::Redirect,
                XdpMode::Generic,
                Unsure,
                vec![(Generic, Redirect, vec![])],
            ),
        ] {
            let attempts = attempts(path, mode, native, MayBeUnfinished);
            assert_eq!(attempts, expected, "{path:?} {mode:?} {native:?}");
        }
    }
}
