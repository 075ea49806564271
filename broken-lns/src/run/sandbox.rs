//! What a run gives up, by its flags.

use std::fs::File;
use std::path::Path;

use anyhow::Result;

use crate::cli::{ControlChoice, Run};
use crate::control::DIRECTORY;
use crate::privilege::{Remark, Sandbox, User};
use crate::report;

/// Becomes the user that the flags name, and gives up what the start does not need. No other
/// thread may exist. The remarks are about what is kept beyond the start.
///
/// # Errors
///
/// Where there is no such user, or the kernel refuses.
pub(super) fn begin(flags: &Run) -> Result<(Sandbox, Vec<Remark>)> {
    let user = flags.privilege.user.as_deref();
    let user = user.map(User::find).transpose()?;
    if let (Some(user), None) = (&user, &flags.control)
        && !user.is_current()
    {
        user.own(Path::new(DIRECTORY))?;
    }
    let is_on = !flags.privilege.no_sandbox;
    let mut sandbox = Sandbox::begin(is_on, user.as_ref(), flags.replace)?;
    let remarks = keep_for_files(&mut sandbox, flags);
    Ok((sandbox, remarks))
}

/// Keeps what files take that are opened later, and returns what to say of that.
fn keep_for_files(sandbox: &mut Sandbox, flags: &Run) -> Vec<Remark> {
    let mode = flags.files.output_mode;
    let mut remarks = Vec::new();
    for path in &flags.track.reports {
        remarks.extend(sandbox.keep_for_writing(path, || report::attempt(path, mode)));
    }
    if let Some(path) = &flags.capture.capture {
        remarks.extend(sandbox.keep_for_writing(path, || crate::capture::attempt(path, mode)));
    }
    if let Some(ControlChoice::At(path)) = &flags.control {
        // It is removed at the end.
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        remarks.extend(sandbox.keep_for_writing(directory, || writable(directory)));
    }
    if let Some(path) = &flags.scenario {
        // It is read again at SIGHUP.
        remarks.extend(sandbox.keep_for_reading(path, || File::open(path).map(drop)));
    }
    remarks
}

/// Whether files can be removed from a directory.
fn writable(directory: &Path) -> std::io::Result<()> {
    use nix::unistd::{AccessFlags, access};
    Ok(access(directory, AccessFlags::W_OK | AccessFlags::X_OK)?)
}
