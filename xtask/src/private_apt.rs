//! An apt of our own: its suites, lists and downloads are in one folder, and the system's stay as
//! they are.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{apt, process};

/// The keys that sign Debian's suites, past ones and those to come.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The two things that a suite has of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// What would be installed.
    Binary,
    /// What its authors wrote.
    Source,
}

/// An apt that knows some suites of Debian, and nothing of what is installed here.
#[derive(Debug)]
pub struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    /// Makes one in `folder`, anew, with the lists of the `suites` fetched from the system's mirror.
    pub fn new(folder: &Path, content: Content, suites: &[&str]) -> Result<Self> {
        if !apt::is_available() {
            bail!("there is no apt-get to fetch it with");
        }
        let mirror = mirror()?;
        ignore_missing(fs::remove_dir_all(folder))?;
        for part in ["state/lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))?;
        }
        // What is installed here is of no concern to what is only unpacked.
        fs::write(folder.join("status"), "")?;
        let lines: String = suites
            .iter()
            .map(|suite| sources(content, &mirror, suite))
            .collect();
        fs::write(folder.join("sources.list"), lines)?;
        fs::write(folder.join("apt.conf"), options(folder)?)?;
        let apt = Self {
            folder: folder.to_owned(),
        };
        process::run_quietly(apt.command("apt-get").arg("update"))?;
        Ok(apt)
    }

    /// A command that runs `program` of apt's with this configuration, in its folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .env("APT_CONFIG", self.folder.join("apt.conf"));
        command
    }

    /// The names of packages that begin with `prefix`.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let names = process::read(self.command("apt-cache").args(["pkgnames", prefix]))?;
        Ok(names.lines().map(str::to_owned).collect())
    }

    /// Downloads the package `name` and unpacks it into `folder`.
    pub fn unpack(&self, name: &str, folder: &Path) -> Result<()> {
        process::run_quietly(self.command("apt-get").args(["download", name]))?;
        unpack_all(&self.folder, &format!("{name}_"), folder)
    }

    /// Downloads the package `name` of `suite` with all that it depends on, down to the C library,
    /// and unpacks that into `folder`.
    pub fn unpack_whole(&self, name: &str, suite: &str, folder: &Path) -> Result<()> {
        process::run_quietly(
            self.command("apt-get")
                .args(["install", "--download-only", "--yes"])
                .args(["--no-install-recommends", "--target-release", suite, name]),
        )?;
        unpack_all(&self.folder.join("cache/archives"), "", folder)
    }
}

/// Unpacks the packages in `from` whose file begins with `prefix`.
fn unpack_all(from: &Path, prefix: &str, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_wanted = name
            .to_str()
            .is_some_and(|name| name.starts_with(prefix) && name.ends_with(".deb"));
        if is_wanted {
            let mut unpack = Command::new("dpkg-deb");
            process::run_quietly(unpack.arg("-x").arg(entry.path()).arg(folder))?;
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A suite's line of a sources.list.
fn sources(content: Content, mirror: &str, suite: &str) -> String {
    let kind = match content {
        Content::Binary => "deb",
        Content::Source => "deb-src",
    };
    let signed_by = match Path::new(KEYRING).exists() {
        true => format!("[signed-by={KEYRING}] "),
        false => String::new(),
    };
    format!("{kind} {signed_by}{mirror} {suite} main\n")
}

fn options(folder: &Path) -> Result<String> {
    let mut options = String::new();
    for (key, file) in [
        ("Dir::State", "state"),
        ("Dir::State::status", "status"),
        ("Dir::Cache", "cache"),
        ("Dir::Etc::sourcelist", "sources.list"),
    ] {
        writeln!(options, "{key} \"{}\";", folder.join(file).display())?;
    }
    for (key, value) in [
        ("Dir::Etc::sourceparts", "-"),
        ("Acquire::Languages", "none"),
        (
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled",
            "false",
        ),
        ("Acquire::Retries", "2"),
        // Without a list there is nothing to download, so say what became of it.
        ("APT::Update::Error-Mode", "any"),
        // Root's folder is not one in which apt's own user may write.
        ("APT::Sandbox::User", "root"),
        // A machine may be set to throw away what was downloaded.
        ("APT::Keep-Downloaded-Packages", "true"),
    ] {
        writeln!(options, "{key} \"{value}\";")?;
    }
    Ok(options)
}

/// The mirror of Debian that the system's own packages come from.
fn mirror() -> Result<String> {
    let ask = || -> Result<Option<String>> {
        let mut command = Command::new("apt-get");
        command.args(["indextargets", "--format", "$(REPO_URI)"]);
        command.args(["Created-By: Packages", "Label: Debian"]);
        let mirrors = process::read(&mut command)?;
        Ok(mirrors.lines().next().map(str::to_owned))
    };
    if let Some(mirror) = ask()? {
        return Ok(mirror);
    }
    // It tells only of what it has a list of.
    apt::refresh();
    ask()?.context("the system's apt sources name no mirror of Debian")
}

/// That something is not there any more is as good as its removal.
pub(crate) fn ignore_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_has_a_line_for_each_kind_of_content() {
        let line = |content| sources(content, "http://mirror.example/debian/", "sid");
        assert!(line(Content::Binary).starts_with("deb "));
        assert!(line(Content::Source).starts_with("deb-src "));
        assert!(line(Content::Binary).ends_with("http://mirror.example/debian/ sid main\n"));
    }
}
