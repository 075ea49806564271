//! Waiting, never without a limit.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::interrupt;

/// How long a wait sleeps before it looks again.
pub(super) const STEP: Duration = Duration::from_millis(10);

/// How long a wait on a socket lasts before it looks for an interrupt.
pub(super) const GLANCE: Duration = Duration::from_millis(50);

/// Calls `probe` until it returns a value. Fails when it does, after `limit`, saying `what` did
/// not come, or when we are interrupted.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        interrupt::check()?;
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain for {what}");
        }
        thread::sleep(STEP);
    }
}

/// Sleeps for `duration`, unless we are interrupted.
pub fn pause(duration: Duration) -> Result<()> {
    let deadline = Instant::now() + duration;
    loop {
        interrupt::check()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(STEP));
    }
}
