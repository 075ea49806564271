//! Kernels of Debian for the guests: the newest package of a series, unpacked in the cache.
//!
//! Packages of kernels vanish from the archive when newer ones come, so none is named here by its
//! whole version, and what was fetched once is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::private_apt::{Content, PrivateApt, ignore_missing};

/// The suites that kernels are looked for in.
const SUITES: [&str; 5] = [
    "bookworm",
    "bookworm-backports",
    "trixie",
    "trixie-backports",
    "sid",
];

/// How many packages of a series are tried, the newest first: a list may name what is gone.
const TRIES: usize = 4;

/// The parts that a kernel comes in: all in the first, or also in the others.
const PARTS: [&str; 4] = ["linux-image", "linux-base", "linux-binary", "linux-modules"];

/// A series of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    /// All with these first two numbers.
    Of(u32, u32),
    /// Whatever is the newest.
    Newest,
}

impl Series {
    /// All that are tried: the one of Debian 12, that of Debian 13, the next with long support,
    /// and the newest.
    pub const ALL: [Self; 4] = [
        Self::Of(6, 1),
        Self::Of(6, 12),
        Self::Of(6, 18),
        Self::Newest,
    ];

    fn contains(self, version: &[u32]) -> bool {
        match self {
            Self::Of(major, minor) => version.starts_with(&[major, minor]),
            // A package of a release says at least three numbers, where others are only names.
            Self::Newest => version.len() >= 3,
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(major, minor) => f.pad(&format!("{major}.{minor}")),
            Self::Newest => f.pad("newest"),
        }
    }
}

/// What a kernel of this series is called in the cache.
pub(super) fn name(series: Series) -> String {
    format!("linux-{series}")
}

/// A kernel that was fetched.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Where it is unpacked.
    folder: PathBuf,
    /// What it calls itself.
    pub release: String,
}

impl Kernel {
    /// The kernel of `series` in the folder `cache`, if it was fetched.
    pub fn find(cache: &Path, series: Series) -> Option<Self> {
        let folder = cache.join(name(series));
        let release = fs::read_to_string(folder.join("release")).ok()?;
        Some(Self { folder, release })
    }

    /// Fetches the newest of `series`, unless one is there.
    pub fn fetch(cache: &Path, series: Series) -> Result<Self> {
        if let Some(kernel) = Self::find(cache, series) {
            return Ok(kernel);
        }
        eprintln!("fetching Linux {series} of Debian into {}", cache.display());
        let work = cache.join(format!("{}.part", name(series)));
        let outcome = try_fetch(series, &work).and_then(|unpacked| {
            fs::rename(&unpacked, cache.join(name(series)))?;
            Self::find(cache, series).context("the kernel is not where it was put")
        });
        ignore_missing(fs::remove_dir_all(&work))?;
        outcome
    }

    /// The image to boot.
    pub fn image(&self) -> Result<PathBuf> {
        let Self { folder, release } = self;
        [
            folder.join(format!("boot/vmlinuz-{release}")),
            folder.join(format!("usr/lib/modules/{release}/vmlinuz")),
        ]
        .into_iter()
        .find(|path| path.exists())
        .with_context(|| {
            format!(
                "there is no image of Linux {release} in {}",
                folder.display()
            )
        })
    }

    /// The modules of these names and those that they need, in the order in which they load. What
    /// is built into the kernel is left out.
    pub fn modules(&self, names: &[&str]) -> Result<Vec<Module>> {
        let mut files = BTreeMap::new();
        for root in ["lib/modules", "usr/lib/modules"] {
            let root = self.folder.join(root).join(&self.release).join("kernel");
            list(&root, &mut files)?;
        }
        let mut modules = Vec::new();
        let mut known = BTreeSet::new();
        for name in names {
            self.load(name, &files, &mut known, &mut modules)?;
        }
        Ok(modules)
    }

    fn load(
        &self,
        name: &str,
        files: &BTreeMap<String, PathBuf>,
        known: &mut BTreeSet<String>,
        modules: &mut Vec<Module>,
    ) -> Result<()> {
        let name = name.replace('-', "_");
        if !known.insert(name.clone()) {
            return Ok(());
        }
        let Some(path) = files.get(&name) else {
            if self.has_built_in(&name)? {
                return Ok(());
            }
            bail!("Linux {} has no module {name}", self.release);
        };
        let content = read_module(path)?;
        for dependency in dependencies(&content) {
            self.load(&dependency, files, known, modules)?;
        }
        modules.push(Module { name, content });
        Ok(())
    }

    fn has_built_in(&self, name: &str) -> Result<bool> {
        for root in ["lib/modules", "usr/lib/modules"] {
            let list = self.folder.join(root).join(&self.release);
            let Ok(list) = fs::read_to_string(list.join("modules.builtin")) else {
                continue;
            };
            return Ok(list
                .lines()
                .any(|line| module_name(Path::new(line)).as_deref() == Some(name)));
        }
        Ok(false)
    }
}

/// A module of a kernel, ready to be loaded.
#[derive(Debug)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// The file, not compressed.
    pub content: Vec<u8>,
}

/// Fetches into `work`, and returns where the kernel is then.
fn try_fetch(series: Series, work: &Path) -> Result<PathBuf> {
    let apt = PrivateApt::new(work, Content::Binary, &SUITES)?;
    let mut packages = Vec::new();
    for part in PARTS {
        packages.extend(apt.names(&format!("{part}-"))?);
    }
    let mut failures = Vec::new();
    for release in releases(&packages, series).into_iter().take(TRIES) {
        let unpacked = work.join("unpacked");
        ignore_missing(fs::remove_dir_all(&unpacked))?;
        let outcome = PARTS
            .iter()
            .map(|part| format!("{part}-{release}"))
            .filter(|name| packages.contains(name))
            .try_for_each(|name| apt.unpack(&name, &unpacked));
        match outcome {
            Ok(()) => {
                fs::write(unpacked.join("release"), &release)?;
                return Ok(unpacked);
            }
            Err(error) => failures.push(format!("{error:#}")),
        }
    }
    match failures.as_slice() {
        [] => bail!("{} have no Linux {series}", SUITES.join(", ")),
        _ => bail!("cannot fetch Linux {series}: {}", failures.join("; ")),
    }
}

/// The releases of `series` among the names of packages, the newest first.
fn releases(packages: &[String], series: Series) -> Vec<String> {
    let mut found: Vec<(Vec<u32>, String)> = packages
        .iter()
        .filter_map(|package| {
            let release = package.strip_prefix("linux-image-")?;
            // Kernels for clouds or for real time end otherwise.
            let version = numbers(release.strip_suffix("-amd64")?)?;
            series
                .contains(&version)
                .then(|| (version, release.to_owned()))
        })
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|(_, release)| release)
        .rev()
        .collect()
}

/// The numbers of a release such as `6.1.0-50` or `6.12.107+deb13`; none of one that is no release,
/// as that of a candidate or of a flavour.
fn numbers(release: &str) -> Option<Vec<u32>> {
    let (version, debian) = match release.split_once('+') {
        Some((version, debian)) => (version, debian.strip_prefix("deb")?),
        None => (release, ""),
    };
    [version, debian]
        .iter()
        .flat_map(|part| part.split(['.', '-']))
        .filter(|number| !number.is_empty())
        .map(|number| number.parse().ok())
        .collect()
}

/// Notes the modules in `folder` and below it by their names.
fn list(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else if let Some(name) = module_name(&entry.path()) {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

/// The name of the module in the file `path`, if it is one.
fn module_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let (name, rest) = file.split_once(".ko")?;
    matches!(rest, "" | ".xz" | ".zst").then(|| name.replace('-', "_"))
}

fn read_module(path: &Path) -> Result<Vec<u8>> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => return fs::read(path).with_context(|| format!("cannot read {}", path.display())),
    };
    let output = Command::new(program)
        .args(["-d", "-c"])
        .arg(path)
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    if !output.status.success() {
        bail!(
            "{program} cannot read {}: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(output.stdout)
}

/// The modules that a module needs, as it says in its section `.modinfo`.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|octet| *octet == 0).next();
    String::from_utf8_lossy(value.unwrap_or_default())
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_of_a_series_comes_first() {
        let packages = [
            "linux-image-6.1.0-47-amd64",
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.12.95+deb12-amd64",
            "linux-image-6.12.117+deb13-amd64",
            "linux-image-6.12.117+deb13-amd64-unsigned",
            "linux-image-6.12.117+deb13-cloud-amd64",
            "linux-image-6.12.118+deb13-rt-amd64",
            "linux-image-7.3-amd64",
            "linux-image-7.3.4+deb13-amd64",
            "linux-image-7.4-rc1-amd64",
            "linux-image-amd64",
        ]
        .map(str::to_owned);
        for (series, expected) in [
            (Series::Of(6, 1), vec!["6.1.0-50-amd64", "6.1.0-47-amd64"]),
            (
                Series::Of(6, 12),
                vec!["6.12.117+deb13-amd64", "6.12.95+deb12-amd64"],
            ),
            (Series::Of(6, 18), vec![]),
        ] {
            assert_eq!(releases(&packages, series), expected, "{series}");
        }
        assert_eq!(
            releases(&packages, Series::Newest)
                .first()
                .map(String::as_str),
            Some("7.3.4+deb13-amd64")
        );
    }

    #[test]
    fn a_module_says_what_it_needs() {
        for (module, needs) in [
            (
                &b"\0license=GPL\0depends=dca,i2c-algo-bit\0"[..],
                &["dca", "i2c-algo-bit"][..],
            ),
            (b"\0license=GPL\0depends=\0retpoline=Y\0", &[]),
            (b"\0license=GPL\0", &[]),
        ] {
            assert_eq!(dependencies(module), needs);
        }
    }

    #[test]
    fn a_module_is_known_by_its_file() {
        for (file, name) in [
            ("kernel/net/8021q/8021q.ko", Some("8021q")),
            ("i2c-algo-bit.ko.xz", Some("i2c_algo_bit")),
            ("modules.order", None),
        ] {
            assert_eq!(module_name(Path::new(file)).as_deref(), name);
        }
    }
}
