use std::error::Error as _;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use nix::sys::stat::{SFlag, makedev, mknod, umask};
use nix::unistd::mkfifo;
use xtask::lab::Scratch;

use super::*;

/// A user that nobody here is.
const OTHER: u32 = 65_534;

fn scratch() -> Scratch {
    Scratch::new("output").expect("a directory")
}

fn file(path: &Path) -> OutputFile<'_> {
    OutputFile {
        path,
        mode: OutputMode::default(),
        is_ours: |begin| begin.starts_with(b"ours"),
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").mode() & 0o7777
}

/// Every way of writing to a place refuses it for that reason.
fn refused(path: &Path, why: &Unsafe) {
    let file = file(path);
    for (how, result) in [
        ("check", file.check()),
        ("replace", file.replace(b"ours, new")),
        ("open", file.open().map(drop)),
    ] {
        let error = result.expect_err(how);
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        assert_eq!(inner, Some(why), "{how} {}: {error:?}", path.display());
    }
}

/// Whether these tests may make files of other users and devices.
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn a_new_file_has_the_mode_that_was_asked_for_whatever_the_umask() {
    let scratch = scratch();
    let before = umask(Mode::from_bits_truncate(0o027));
    for (bits, name) in [("600", "a"), ("664", "b"), ("640", "c")] {
        let (replaced, opened) = (scratch.file(name), scratch.file(&format!("{name}-open")));
        let with_mode = |path| OutputFile {
            mode: bits.parse().expect("a mode"),
            ..file(path)
        };
        with_mode(&replaced).check().expect("our directory");
        with_mode(&replaced)
            .replace(b"ours")
            .expect("our directory");
        assert!(with_mode(&opened).open().expect("our directory").is_new);
        for path in [&replaced, &opened] {
            assert_eq!(format!("{:o}", mode(path)), bits, "{}", path.display());
        }
    }
    umask(before);
}

#[test]
fn what_an_earlier_run_made_is_written_over_and_gets_the_mode_of_this_one() {
    let scratch = scratch();
    let path = scratch.file("a");
    for contents in ["ours, an earlier and longer one", ""] {
        fs::write(&path, contents).expect("ours");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("ours");
        file(&path).check().expect("it is ours");
        let opened = file(&path).open().expect("it is ours");
        assert!(!opened.is_new);
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_to_string(&path).expect("there"), contents);
        file(&path).replace(b"ours, new").expect("it is ours");
        assert_eq!(fs::read(&path).expect("there"), b"ours, new");
    }
}

#[test]
fn a_file_that_no_run_made_stays_as_it_is() {
    let scratch = scratch();
    let (path, other_name) = (scratch.file("a"), scratch.file("b"));
    fs::write(&path, "precious").expect("ours");
    refused(&path, &Unsafe::Contents);
    fs::write(&path, "ours").expect("ours");
    fs::hard_link(&path, &other_name).expect("the name is free");
    refused(&path, &Unsafe::HardLinks(2));
    fs::remove_file(&other_name).expect("there");
    if is_root() {
        chown(&path, Some(OTHER), None).expect("root may");
        refused(&path, &Unsafe::Owner(OTHER));
        assert_eq!(fs::read(&path).expect("there"), b"ours");
    }
    let error = Unsafe::Contents.to_string();
    assert_eq!(
        error,
        "it is there already and was not made by broken-lns; only its removal makes room"
    );
}

#[test]
fn a_link_is_followed_only_where_nobody_else_can_have_made_it() {
    let scratch = scratch();
    let (real, link) = (scratch.file("real"), scratch.file("link"));
    fs::create_dir(&real).expect("ours");
    symlink(&real, &link).expect("the name is free");
    symlink("link/a", scratch.file("chain")).expect("the name is free");
    // All of these directories are ours alone.
    for path in [scratch.file("link/a"), scratch.file("chain")] {
        file(&path).replace(b"ours").expect("a link of our own");
        assert_eq!(fs::read(real.join("a")).expect("there"), b"ours");
        fs::remove_file(real.join("a")).expect("there");
    }
    assert!(scratch.file("chain").is_symlink());
    // In a directory like /tmp anybody may have made it.
    let shared = scratch.file("");
    for open_to_others in [0o1777, 0o775] {
        fs::set_permissions(&shared, Permissions::from_mode(open_to_others)).expect("ours");
        let found = |path: PathBuf| Unsafe::Link(path);
        refused(&scratch.file("link/a"), &found(scratch.file("link")));
        refused(&scratch.file("chain"), &found(scratch.file("chain")));
        // A dangling one would make a file wherever it leads.
        let dangling = scratch.file("dangling");
        let _ = fs::remove_file(&dangling);
        symlink(real.join("victim"), &dangling).expect("the name is free");
        refused(&dangling, &found(dangling.clone()));
        file(&scratch.file("b")).replace(b"ours").expect("no link");
        fs::remove_file(scratch.file("b")).expect("there");
    }
    assert_eq!(fs::read_dir(&real).expect("there").count(), 0);
    let message = Unsafe::Link("/tmp/x".into()).to_string();
    assert_eq!(
        message,
        "/tmp/x is a symbolic link in a directory that other users can change; give the path that \
         it leads to"
    );
}

#[test]
fn links_in_a_directory_of_somebody_else_are_theirs() {
    if !is_root() {
        return;
    }
    let scratch = scratch();
    let (theirs, victim) = (scratch.file("theirs"), scratch.file("victim"));
    fs::create_dir(&theirs).expect("ours");
    chown(&theirs, Some(OTHER), None).expect("root may");
    symlink(&victim, theirs.join("a")).expect("the name is free");
    refused(&theirs.join("a"), &Unsafe::Link(theirs.join("a")));
    assert!(!victim.exists());
}

#[test]
fn links_in_a_circle_are_an_error() {
    let scratch = scratch();
    symlink("b", scratch.file("a")).expect("free");
    symlink("a", scratch.file("b")).expect("free");
    let error = file(&scratch.file("a")).check().expect_err("a circle");
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
}

#[test]
fn nothing_is_written_to_a_disk() {
    let scratch = scratch();
    let socket = scratch.file("socket");
    let _listener = UnixListener::bind(&socket).expect("the name is free");
    refused(&socket, &Unsafe::Socket);
    if !is_root() {
        return;
    }
    // A number that no driver has: opening it would fail, and is not what is refused here.
    let (disk, link) = (scratch.file("disk"), scratch.file("link"));
    mknod(&disk, SFlag::S_IFBLK, Mode::S_IRWXU, makedev(240, 250)).expect("root may");
    symlink(&disk, &link).expect("the name is free");
    refused(&disk, &Unsafe::BlockDevice);
    refused(&link, &Unsafe::BlockDevice);
}

#[test]
fn a_pipe_that_anybody_may_have_made_has_to_be_ours() {
    let scratch = scratch();
    let pipe = scratch.file("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("the name is free");
    file(&pipe).check().expect("it is ours");
    if !is_root() {
        return;
    }
    chown(&pipe, Some(OTHER), None).expect("root may");
    file(&pipe).check().expect("only we can have put it here");
    fs::set_permissions(scratch.file(""), Permissions::from_mode(0o1777)).expect("ours");
    refused(&pipe, &Unsafe::Stream(OTHER));
}

#[test]
fn devices_and_descriptors_stay_usable() {
    for path in ["/dev/null", "/dev/full"] {
        let path = Path::new(path);
        file(path).check().expect("a device");
        file(path).open().expect("a device");
        let kind = fs::metadata(path).expect("there").file_type();
        assert!(kind.is_char_device());
    }
    file(Path::new("/dev/null"))
        .replace(b"ours")
        .expect("it takes all");

    // As the shell hands it over for `>(cat)`: by number, with no name that one could open.
    let (mut reader, writer) = io::pipe().expect("a pipe");
    let path = PathBuf::from(format!("/dev/fd/{}", writer.as_raw_fd()));
    file(&path).check().expect("a pipe");
    file(&path).replace(b"ours").expect("a pipe");
    let mut read = [0; 4];
    reader.read_exact(&mut read).expect("it was written");
    assert_eq!(&read, b"ours");
    let closed = Path::new("/dev/fd/1048575");
    let error = file(closed).replace(b"ours").expect_err("it is not open");
    assert_eq!(error.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn a_descriptor_of_a_file_is_written_to_and_nothing_is_put_in_its_place() {
    let scratch = scratch();
    let (path, link) = (scratch.file("out"), scratch.file("link"));
    let out = File::create(&path).expect("ours");
    let number = out.as_raw_fd();
    symlink(format!("/proc/self/fd/{number}"), &link).expect("the name is free");
    file(&link).replace(b"ours").expect("it is open");
    let mut opened = file(&link).open().expect("it is open").file;
    opened.write_all(b" and more").expect("there is room");
    assert_eq!(fs::read(&path).expect("there"), b"ours and more");
    assert!(link.is_symlink());
    assert_eq!(mode(&path) & 0o600, 0o600);
}

#[test]
fn only_the_same_file_is_removed() {
    let scratch = scratch();
    let path = scratch.file("a");
    let identity = |path: &Path| {
        let there = fs::metadata(path).expect("there");
        (there.dev(), there.ino())
    };
    fs::write(&path, "ours").expect("ours");
    let kept = scratch.file("kept");
    let first = identity(&path);
    fs::rename(&path, &kept).expect("there");
    fs::write(&path, "theirs").expect("ours");
    remove_own(&path, first).expect("nothing to do");
    assert!(path.exists());
    remove_own(&kept, first).expect("it is the same");
    assert!(!kept.exists());
}

#[test]
fn the_cause_is_the_error_itself() {
    let error = io::Error::from(Unsafe::BlockDevice);
    assert_eq!(error.to_string(), "it is a block device");
    assert!(error.source().is_none());
}
