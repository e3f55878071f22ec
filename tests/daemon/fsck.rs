//! `--fsck` and `--repair`: as the owner whoever starts it, beside sessions, with an exit status that says how it went.

use crate::privilege::{Site, login};
use crate::support::{User, directory, imapd, is_root};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Output;

/// Its exit status, and what it said.
#[track_caller]
fn fsck(directory: &Path, more: &[&str]) -> (i32, String) {
    let directory = directory.to_str().unwrap();
    let Output { status, stdout, stderr } = imapd(&[&["--fsck", directory], more].concat());
    assert!(stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    (status.code().unwrap(), String::from_utf8(stdout).unwrap())
}

#[track_caller]
fn refused(directory: &Path, part: &str) {
    let output = imapd(&["--fsck", directory.to_str().unwrap(), "--repair"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{error}");
    assert!(error.starts_with("imapd: ") && error.contains(part) && error.lines().count() == 1, "{error}");
}

fn owner(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().uid()
}

#[test]
fn a_maildir_is_checked_and_mended_under_a_session() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let maildir = user.home.join("Maildir");
    let daemon = site.daemon(&[]);
    let mut client = login(&daemon, &user);
    client.ok("CREATE Work");
    client.ok("SELECT INBOX");
    client.ok("STORE 1 +FLAGS (\\Flagged $Work)");
    assert_eq!(
        fsck(&maildir, &[]),
        (
            0,
            "2 mailboxes, 1 messages (0 without a UID yet), 0 lines of messages that are gone; 0 findings, 0 mended\n"
                .into()
        )
    );
    fs::remove_file(maildir.join(".Work/maildirfolder")).unwrap();
    fs::remove_file(maildir.join("dovecot-keywords")).unwrap();
    let list = maildir.join("dovecot-uidlist");
    fs::write(&list, fs::read_to_string(&list).unwrap() + "77 nonsense\n").unwrap();
    let (status, said) = fsck(&maildir, &[]);
    let root = maildir.display();
    let expected = [
        format!("{root}/.Work/maildirfolder: is missing: other programs take this folder for a Maildir of its own"),
        format!("{root}/dovecot-keywords: has no keyword for the letter a, which some message has"),
        format!("{root}/dovecot-uidlist: line 3: unknown field"),
    ];
    let mut lines: Vec<&str> = said.lines().collect();
    assert!(lines.pop().unwrap().ends_with("; 3 findings, 0 mended"), "{said}");
    lines.sort_unstable();
    assert_eq!((status, lines), (1, expected.iter().map(String::as_str).collect()));

    let (status, said) = fsck(&maildir, &["--repair"]);
    assert_eq!((status, said.matches("; mended: ").count()), (0, 3), "{said}");
    assert!(said.ends_with("; 3 findings, 3 mended\n"), "{said}");
    assert_eq!(fsck(&maildir, &["--repair"]).0, 0);
    for made in [".Work/maildirfolder", "dovecot-keywords", "dovecot-uidlist"] {
        assert_eq!(owner(&maildir.join(made)), user.uid, "{made}");
    }
    // The session has noticed nothing but the keyword's new name.
    client.ok("NOOP");
    let fetched = client.run("UID FETCH 1 (FLAGS BODY.PEEK[TEXT])");
    assert!(fetched[0].contains("UID 1") && fetched[0].contains("unknown-0"), "{fetched:#?}");
    client.ok("COPY 1 Work");
    client.ok("LOGOUT");
    assert_eq!(fsck(&maildir, &[]).0, 0);
}

/// Root opens nothing that a user chose, and a user who has made links to what is root's has won nothing.
#[test]
fn root_follows_no_link_of_a_user() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let user = User::new(homes.path());
    let maildir = user.home.join("Maildir");
    let secret = homes.path().join("secret");
    fs::create_dir(&secret).unwrap();
    for part in ["cur", "new", "tmp"] {
        fs::create_dir(secret.join(part)).unwrap();
    }
    fs::write(secret.join("cur/1.secret.h,S=7:2,SS"), "secret").unwrap();
    fs::write(secret.join("maildirsize"), "secret").unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o700)).unwrap();
    symlink(&secret, maildir.join(".Secret")).unwrap();
    symlink(secret.join("maildirsize"), maildir.join("maildirsize")).unwrap();
    symlink(secret.join("cur"), maildir.join("cur/1.link.h:2,")).unwrap();
    let (status, said) = fsck(&maildir, &["--repair"]);
    assert_eq!(status, 1);
    assert!(said.contains(".Secret: cannot be checked: permission denied"), "{said}");
    assert!(!said.contains("1.secret"), "{said}");
    assert!(secret.join("cur/1.secret.h,S=7:2,SS").exists());
    assert_eq!(fs::read_to_string(secret.join("maildirsize")).unwrap(), "secret");
    assert!(!secret.join("maildirfolder").exists());
    // Nor the directory itself.
    let link = user.home.join("link");
    symlink(&secret, &link).unwrap();
    refused(&link, "is a symbolic link");
    refused(&secret, "belongs to root");
}

#[test]
fn whose_maildir_it_is_decides() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let user = User::new(homes.path());
    let maildir = user.home.join("Maildir");
    chown(&maildir, Some(4_000_000_000), None).unwrap();
    refused(&maildir, "belongs to uid 4000000000, which is no account");
    chown(&maildir, Some(user.uid), None).unwrap();
    assert_eq!(fsck(&maildir, &[]).0, 0);
    refused(&user.home, "is no Maildir");
    refused(&user.home.join("missing"), "No such file");
    refused(&maildir.join("new/1700000000.M1P1.test"), "is no directory");
}

#[test]
fn an_owner_needs_no_root() {
    if is_root() {
        return;
    }
    let place = directory();
    let maildir = place.path().join("Maildir");
    for part in ["", "cur", "new"] {
        fs::create_dir(maildir.join(part)).unwrap();
    }
    assert_eq!(fsck(&maildir, &[]).0, 1);
    assert_eq!(fsck(&maildir, &["--repair"]).0, 0);
    assert_eq!(fsck(&maildir, &[]).0, 0);
    refused(Path::new("/"), "belongs to somebody else");
}
