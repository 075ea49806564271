//! Other programs: where they are, and what became of them.

use std::{
    convert::Infallible,
    env,
    ffi::OsString,
    fmt,
    io::Read as _,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

/// Where programs are that only root needs: often not on the PATH of anyone else.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Finds `program` on the PATH or among the programs of the system's administrator.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(SYSTEM_DIRECTORIES.map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| is_executable(candidate))
}

/// Whether `path` is a file that may be executed.
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

/// Whether this process may do what only root may.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A command that runs `program` as root: through sudo where we are someone else.
pub fn as_root(program: &Path) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// Replaces this process by `command`, so that every signal reaches it.
pub fn become_it(command: &mut Command) -> Result<Infallible> {
    Err(command.exec()).with_context(|| cannot_start(command))
}

/// Runs `command` with our own standard streams; anything but success is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| cannot_start(command))?;
    succeeded(command, status, &[])
}

/// Runs `command` quietly; if it fails, the error ends in what it wrote to standard error.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    read(command).map(drop)
}

/// Runs `command` as [`run_quietly`] does, and returns what it wrote to standard output.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| cannot_start(command))?;
    succeeded(command, output.status, &output.stderr)?;
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` did not print UTF-8", Shown(command)))
}

/// Runs `command` as [`run_quietly`] does, and ends it when it takes longer than `limit`.
pub fn run_within(limit: Duration, command: &mut Command) -> Result<()> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let mut stderr = child.stderr.take().context("standard error is not piped")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut said = Vec::new();
        // A read error ends what is known of the complaint, not the command.
        let _ = stderr.read_to_end(&mut said);
        let _ = sender.send(said);
    });
    // Standard error closes when the command ends.
    match receiver.recv_timeout(limit) {
        Ok(said) => succeeded(command, child.wait()?, &said),
        Err(_) => {
            child.kill()?;
            child.wait()?;
            bail!("`{}` took more than {} s", Shown(command), limit.as_secs())
        }
    }
}

fn succeeded(command: &Command, status: ExitStatus, stderr: &[u8]) -> Result<()> {
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(stderr);
    let separator = if said.trim().is_empty() { "" } else { ": " };
    bail!(
        "`{}` failed ({status}){separator}{}",
        Shown(command),
        said.trim()
    )
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`", Shown(command))
}

/// A command as a person would type it.
struct Shown<'a>(&'a Command);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<OsString> = [self.0.get_program()]
            .into_iter()
            .chain(self.0.get_args())
            .map(Into::into)
            .collect();
        write!(f, "{}", words.join(" ".as_ref()).display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_a_command_prints_is_read() {
        assert_eq!(read(&mut shell("echo one; echo two >&2")).unwrap(), "one\n");
    }

    #[test]
    fn a_failure_names_the_command_its_status_and_its_complaint() {
        let error = read(&mut shell("echo no luck >&2; exit 3")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`sh -c echo no luck >&2; exit 3` failed (exit status: 3): no luck"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program`");
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let error = run_within(Duration::from_millis(50), &mut shell("exec sleep 60")).unwrap_err();
        assert!(error.to_string().contains("took more than"), "{error}");
    }

    #[test]
    fn a_command_within_its_time_succeeds() {
        run_within(Duration::from_secs(60), &mut shell("true")).unwrap();
    }

    #[test]
    fn programs_are_found_by_name_only_if_they_can_be_run() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program"), None);
        assert!(!is_executable(Path::new("/etc/passwd")));
        assert!(!is_executable(Path::new("/etc")));
    }
}
