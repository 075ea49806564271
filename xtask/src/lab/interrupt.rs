//! Ctrl-C and its like: the signal sets a flag, the waits of the lab see it and fail, and on the
//! way out everything is cleaned up by being dropped.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

static CAUGHT: AtomicBool = AtomicBool::new(false);

/// From now on SIGINT, SIGTERM and SIGHUP no longer end this process, but make every wait of the
/// lab fail. Without this they end it where it is, and the next lab sweeps up what it leaves.
pub fn catch() -> Result<()> {
    extern "C" fn note(_signal: i32) {
        CAUGHT.store(true, Ordering::Relaxed);
    }
    let action = SigAction::new(
        SigHandler::Handler(note),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only stores to an atomic, which is safe at any point of the program.
        unsafe { sigaction(signal, &action) }.with_context(|| format!("cannot handle {signal}"))?;
    }
    Ok(())
}

/// Whether a signal came since [`catch`].
pub fn caught() -> bool {
    CAUGHT.load(Ordering::Relaxed)
}

/// Fails once a signal came.
pub fn check() -> Result<()> {
    if caught() {
        bail!("interrupted");
    }
    Ok(())
}
