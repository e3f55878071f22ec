//! The homes of users: when they are looked at and by whom, and which are not served. Rows 40 and 42 of the security checklist, over PAM.

use crate::privilege::{Site, login, status};
use crate::support::{BINARY, Daemon, User, is_root};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// Row 40.
#[test]
fn a_home_is_not_looked_into_before_its_user_is_logged_in() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let (user, other) = (site.user(), site.user());
    let daemon = site.daemon(&[]);
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).unwrap();
    for part in ["", "Maildir", "Maildir/cur", "Maildir/new", "Maildir/tmp"] {
        watch.add_watch(&user.home.join(part), AddWatchFlags::IN_ALL_EVENTS).unwrap();
    }
    let mut client = daemon.connect();
    client.line();
    assert_eq!(
        client.answer(&format!("LOGIN {} wrong", user.name)),
        "x NO [AUTHENTICATIONFAILED] Authentication failed"
    );
    login(&daemon, &other).ok("SELECT INBOX");
    assert_eq!(watch.read_events().unwrap_err(), Errno::EAGAIN);
    client.ok(&user.login());
    client.ok("SELECT INBOX");
    assert!(!watch.read_events().unwrap().is_empty());
}

/// Row 40, as on a disk of another machine that takes root for nobody: not even the home's own directory can be seen by root.
#[test]
fn a_home_that_root_may_not_enter_is_served() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let above = site.homes.path().join("above");
    std::fs::create_dir(&above).unwrap();
    let user = User::new(&above);
    for directory in [&above, &user.home] {
        chown(directory, Some(user.uid), Some(user.gid)).unwrap();
        std::fs::set_permissions(directory, Permissions::from_mode(0o700)).unwrap();
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set=-dac_override,-dac_read_search", BINARY, "--log", "stderr", "--port", "0"])
        .args(["--fork", "-s", "maildir", "--pam-service", &site.pam.name])
        .stdin(Stdio::null());
    let daemon = Daemon::spawn(command, 1);
    let capabilities = u64::from_str_radix(&status(daemon.pid(), "CapEff"), 16).unwrap();
    assert_eq!(capabilities & 0b110, 0, "CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH are 1 and 2");
    let mut client = login(&daemon, &user);
    for command in ["SELECT INBOX", "STORE 1 +FLAGS (\\Flagged)", "CREATE one", "COPY 1 one", "LOGOUT"] {
        client.ok(command);
    }
}

#[track_caller]
fn refused(daemon: &mut Daemon, user: &User) {
    let mut client = daemon.connect();
    client.line();
    let lines = client.run(&user.login());
    assert!(lines.last().unwrap().starts_with("x NO ["), "{lines:#?}");
    assert!(client.rest().last().unwrap().starts_with("* BYE"));
    daemon.wait_for_log("cannot open the mail");
    daemon.wait_for_children(0);
}

/// Row 42.
#[test]
fn homes_that_are_no_users_are_refused_and_nothing_is_made_in_them() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let mut daemon = site.daemon(&[]);
    for home in ["/", "/nonexistent", "/dev/null"] {
        user.change("usermod", &["-d", home]);
        let before = std::fs::symlink_metadata(home).map(|metadata| metadata.permissions()).ok();
        refused(&mut daemon, &user);
        assert!(!Path::new(home).join("Maildir").exists(), "{home}");
        assert_eq!(std::fs::symlink_metadata(home).map(|metadata| metadata.permissions()).ok(), before, "{home}");
    }
    user.change("usermod", &["-d", user.home.to_str().unwrap()]);
    login(&daemon, &user);
}

/// Row 42. Users who have a group of their own often have homes that it may write.
#[test]
fn a_home_that_its_group_may_write_is_served_and_one_that_all_may_write_is_not() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    std::fs::remove_dir_all(user.home.join("Maildir")).unwrap();
    let mut daemon = site.daemon(&[]);
    for (mode, served) in [(0o777, false), (0o702, false), (0o1777, false), (0o775, true), (0o2770, true)] {
        std::fs::set_permissions(&user.home, Permissions::from_mode(mode)).unwrap();
        if served {
            login(&daemon, &user).ok("SELECT INBOX");
        } else {
            refused(&mut daemon, &user);
            assert!(!user.home.join("Maildir").exists(), "{mode:o}");
        }
    }
}

/// Row 42.
#[test]
fn nothing_is_made_in_a_home_that_is_missing_or_anothers() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let mut daemon = site.daemon(&[]);
    let away = site.homes.path().join("away");
    std::fs::rename(&user.home, &away).unwrap();
    refused(&mut daemon, &user);
    assert!(!user.home.exists());
    std::fs::create_dir(&user.home).unwrap();
    refused(&mut daemon, &user);
    assert_eq!(std::fs::read_dir(&user.home).unwrap().count(), 0);
    std::fs::remove_dir(&user.home).unwrap();
    std::fs::rename(&away, &user.home).unwrap();
    login(&daemon, &user);
}

#[test]
fn a_maildir_is_made_in_a_home_that_has_none() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    std::fs::remove_dir_all(user.home.join("Maildir")).unwrap();
    let daemon = site.daemon(&[]);
    login(&daemon, &user).ok("SELECT INBOX");
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(user.home.join("Maildir/cur")).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (user.uid, user.gid, 0o700));
}
