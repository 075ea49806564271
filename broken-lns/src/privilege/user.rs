//! Another user than root to run as.

use std::ffi::CString;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};

use caps::errors::CapsError;
use caps::securebits::set_keepcaps;
use caps::{CapSet, Capability};
use nix::errno::Errno;
use nix::unistd::{Gid, Uid, geteuid, getgrouplist, setgroups, setresgid, setresuid};

/// A user with all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: String,
    uid: Uid,
    gid: Gid,
    groups: Vec<Gid>,
}

/// Why the process does not run as that user.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is none of that name.
    #[error(
        "there is no user `{0}`; make one with `useradd --system --shell /usr/sbin/nologin {0}`, \
         or choose another one with --user NAME"
    )]
    Unknown(String),
    /// The system does not tell.
    #[error("cannot look up the user `{name}`: {cause}")]
    LookUp {
        /// The name.
        name: String,
        /// What the system said.
        cause: io::Error,
    },
    /// Only root may become another user.
    #[error("cannot run as the user `{0}`: only root can; run with sudo, or leave out --user")]
    NotRoot(String),
    /// The kernel refuses.
    #[error("cannot become the user `{name}`: {cause}")]
    Refused {
        /// The name.
        name: String,
        /// What the kernel said.
        cause: io::Error,
    },
    /// The directory for control sockets is in use by another user.
    #[error(
        "the directory {} belongs to user {owner}, and sockets are in it; stop the responders \
         there, or choose another place with --control PATH",
        path.display()
    )]
    Occupied {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The directory for control sockets cannot be made.
    #[error(
        "cannot make the directory {} for user `{name}`: {cause}; choose another place with \
         --control PATH",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The user.
        name: String,
        /// What the kernel said.
        cause: io::Error,
    },
}

impl User {
    /// The user of this name, or of this number where no name is like it.
    ///
    /// # Errors
    ///
    /// [`UserError`].
    pub fn find(name: &str) -> Result<Self, UserError> {
        let failed = |cause: Errno| UserError::LookUp {
            name: name.to_owned(),
            cause: cause.into(),
        };
        let mut found = nix::unistd::User::from_name(name).map_err(failed)?;
        if let (None, Ok(number)) = (&found, name.parse()) {
            found = nix::unistd::User::from_uid(Uid::from_raw(number)).map_err(failed)?;
        }
        let found = found.ok_or_else(|| UserError::Unknown(name.to_owned()))?;
        let c_name = CString::new(found.name.as_str()).map_err(|_| failed(Errno::EINVAL))?;
        Ok(Self {
            groups: getgrouplist(&c_name, found.gid).map_err(failed)?,
            name: found.name,
            uid: found.uid,
            gid: found.gid,
        })
    }

    /// Makes a directory theirs, which nobody else can use. One that is there and root's is handed
    /// over if nothing is in it.
    ///
    /// # Errors
    ///
    /// [`UserError::Occupied`], or where the system refuses.
    pub fn own(&self, directory: &Path) -> Result<(), UserError> {
        let failed = |cause| UserError::Directory {
            path: directory.to_owned(),
            name: self.name.clone(),
            cause,
        };
        if let Err(error) = DirBuilder::new().mode(0o700).create(directory)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(failed(error));
        }
        let there = fs::symlink_metadata(directory).map_err(failed)?;
        if !there.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        if there.uid() == self.uid.as_raw() {
            return Ok(());
        }
        let mut entries = fs::read_dir(directory).map_err(failed)?;
        if there.uid() != 0 || entries.next().is_some() {
            return Err(UserError::Occupied {
                path: directory.to_owned(),
                owner: there.uid(),
            });
        }
        let private = Permissions::from_mode(0o700);
        fs::set_permissions(directory, private).map_err(failed)?;
        let (uid, gid) = (self.uid.as_raw(), self.gid.as_raw());
        lchown(directory, Some(uid), Some(gid)).map_err(failed)
    }

    /// Whether the process is this user already.
    pub fn is_current(&self) -> bool {
        geteuid() == self.uid
    }

    /// Becomes this user with all groups, in every thread, and keeps the capabilities that are
    /// permitted; none of them is effective then.
    ///
    /// # Errors
    ///
    /// [`UserError::NotRoot`], or what the kernel says.
    pub fn become_it(&self) -> Result<(), UserError> {
        let refused = |cause| UserError::Refused {
            name: self.name.clone(),
            cause,
        };
        let unreadable = |cause: CapsError| refused(io::Error::other(cause));
        for needed in [Capability::CAP_SETUID, Capability::CAP_SETGID] {
            if !caps::has_cap(None, CapSet::Effective, needed).map_err(unreadable)? {
                return Err(UserError::NotRoot(self.name.clone()));
            }
        }
        set_keepcaps(true).map_err(unreadable)?;
        // The groups first: they take a right that goes with the user.
        let changed = setgroups(&self.groups)
            .and_then(|()| setresgid(self.gid, self.gid, self.gid))
            .and_then(|()| setresuid(self.uid, self.uid, self.uid));
        changed.map_err(|cause| refused(cause.into()))?;
        set_keepcaps(false).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests {
    use xtask::lab::Scratch;

    use super::*;

    /// A user that every Debian and every Fedora has.
    fn nobody() -> User {
        User::find("nobody").expect("every system has it")
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number() {
        let root = User::find("root").expect("every system has it");
        assert_eq!((root.uid.as_raw(), root.gid.as_raw()), (0, 0));
        assert!(root.groups.contains(&Gid::from_raw(0)));
        assert_eq!(User::find("0").expect("the same"), root);
        let number = nobody().uid.to_string();
        assert_eq!(User::find(&number).expect("the same"), nobody());
    }

    #[test]
    fn an_unknown_user_is_an_error_with_the_way_out() {
        let error = User::find("no-such-user").expect_err("nobody has it");
        assert_eq!(
            error.to_string(),
            "there is no user `no-such-user`; make one with `useradd --system --shell \
             /usr/sbin/nologin no-such-user`, or choose another one with --user NAME"
        );
    }

    #[test]
    fn a_directory_becomes_theirs_unless_somebody_uses_it() {
        if !geteuid().is_root() {
            return;
        }
        let scratch = Scratch::new("user").expect("a directory");
        let facts = |path: &Path| {
            let there = fs::metadata(path).expect("it is there");
            (there.uid(), there.mode() & 0o7777)
        };
        let theirs = (nobody().uid.as_raw(), 0o700);
        let (new, empty) = (scratch.file("new"), scratch.file("empty"));
        fs::create_dir(&empty).expect("ours");
        for directory in [&new, &empty, &new] {
            nobody().own(directory).expect("nobody uses it");
            assert_eq!(facts(directory), theirs);
        }
        let used = scratch.file("used");
        fs::create_dir(&used).expect("ours");
        fs::write(used.join("eth1.sock"), "").expect("ours");
        let before = facts(&used);
        let error = nobody().own(&used).expect_err("somebody uses it");
        assert!(
            matches!(error, UserError::Occupied { owner: 0, .. }),
            "{error}"
        );
        let link = scratch.file("link");
        std::os::unix::fs::symlink(&used, &link).expect("the name is free");
        let error = nobody().own(&link).expect_err("a link");
        assert!(matches!(error, UserError::Directory { .. }), "{error}");
        assert_eq!(facts(&used), before);
    }
}
