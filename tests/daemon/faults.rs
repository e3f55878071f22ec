//! Disks that are full or read-only and permissions that are missing, as a user meets them (rows 40, 42, 46 and 47): each refusal has its code, the
//! session goes on, old mail is served, and nothing is left behind.

use crate::support::{BINARY, PATIENCE, Talk, directory, is_root};
use imapd::testing::storage::maildir::interop::dovecot_uidlist::strictly_valid;
use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// nobody, on every system.
const NOBODY: u32 = 65534;

/// A Maildir of nobody on a disk of its own, with three messages in INBOX, the third of them marked deleted, and a mailbox `other`.
struct Site {
    place: tempfile::TempDir,
    binary: PathBuf,
    mail: PathBuf,
    mounted: bool,
}

impl Site {
    /// `None`, and why on standard error, where tests cannot do this. Without `options` it lies on the disk that all else is on.
    fn new(options: Option<&str>) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let place = directory();
        // The binary may lie where only root can look.
        let binary = place.path().join("imapd");
        // By another process: no child that a test next to us forks holds it open for writing.
        assert!(Command::new("cp").arg(BINARY).arg(&binary).status().unwrap().success());
        let base = place.path().join("mail");
        fs::create_dir(&base).unwrap();
        if let Some(options) = options
            && !mount(&["-t", "tmpfs", "-o", options, "tmpfs"], &base)
        {
            eprintln!("skipped: this machine lets nobody mount a tmpfs");
            return None;
        }
        let account = nix::unistd::User::from_uid(NOBODY.into()).unwrap().unwrap();
        let site = Self { binary, mail: base.join(account.name), mounted: options.is_some(), place };
        for part in ["", "cur", "new", "tmp"] {
            fs::create_dir_all(site.path(part)).unwrap();
            chown(site.path(part), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        for number in 1..=3 {
            site.deliver(&format!("170000000{number}.M1P1.test"));
        }
        let mut client = site.session();
        client.ok("CREATE other");
        client.ok("SELECT INBOX");
        client.ok("STORE 3 +FLAGS (\\Deleted)");
        client.ok("STATUS other (MESSAGES)");
        client.ok("LOGOUT");
        Some(site)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.mail.join(path)
    }

    fn deliver(&self, name: &str) {
        let path = self.path(&format!("new/{name}"));
        fs::write(&path, format!("Subject: {name}\n\nold mail\n")).unwrap();
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }

    fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), Permissions::from_mode(mode)).unwrap();
    }

    fn session(&self) -> Session {
        self.session_with(1024)
    }

    /// A session that can have so many descriptors.
    fn session_with(&self, descriptors: u32) -> Session {
        self.started(descriptors, &[], Stdio::null())
    }

    fn started(&self, descriptors: u32, arguments: &[&str], log: Stdio) -> Session {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let output = theirs.try_clone().unwrap();
        let child = Command::new("sh")
            .args(["-c", &format!("ulimit -n {descriptors}; exec \"$@\""), "sh"])
            .arg(&self.binary)
            .args(["--preauth", "-s", "maildir", "--maildir-path"])
            .arg(self.place.path().join("mail"))
            .args(arguments)
            .uid(NOBODY)
            .gid(NOBODY)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::from(OwnedFd::from(output)))
            .stderr(log)
            .spawn()
            .unwrap();
        let mut session = Session { child, talk: Talk::new(ours) };
        let greeting = session.talk.line().unwrap();
        assert!(greeting.starts_with("* PREAUTH "), "{greeting}");
        session
    }

    fn uid_list(&self) -> String {
        fs::read_to_string(self.path("dovecot-uidlist")).unwrap()
    }

    /// No lock, no half file, and nothing in `tmp`.
    #[track_caller]
    fn assert_tidy(&self) {
        for folder in ["", ".other"] {
            let names = |part: &str| -> Vec<String> {
                let entries = fs::read_dir(self.path(folder).join(part)).unwrap();
                entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
            };
            assert_eq!(names("tmp"), [""; 0]);
            let left: Vec<String> =
                names("").into_iter().filter(|name| name.ends_with(".lock") || name.ends_with(".tmp")).collect();
            assert_eq!(left, [""; 0]);
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg("-l").arg(self.place.path().join("mail")).status();
        }
    }
}

fn mount(arguments: &[&str], at: &Path) -> bool {
    Command::new("mount").args(arguments).arg(at).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

struct Session {
    child: Child,
    talk: Talk<UnixStream>,
}

impl Session {
    #[track_caller]
    fn ok(&mut self, command: &str) {
        self.talk.ok(command);
    }

    #[track_caller]
    fn no(&mut self, command: &str, code: &str) {
        let answer = self.talk.answer(command);
        assert!(answer.starts_with(&format!("x NO [{code}]")), "{command}: {answer}");
    }

    #[track_caller]
    fn append(&mut self, mailbox: &str, octets: usize) -> String {
        let text = "line\r\n".repeat(octets / 6 + 1);
        self.talk.answer(&format!("APPEND {mailbox} {{{}+}}\r\n{text}", text.len()))
    }

    #[track_caller]
    fn append_no(&mut self, mailbox: &str, code: &str) {
        for octets in [10, 300_000] {
            let answer = self.append(mailbox, octets);
            assert!(answer.starts_with(&format!("x NO [{code}]")), "{answer}");
        }
    }

    /// Old mail is there and can be read, here and in a further session.
    #[track_caller]
    fn assert_serves(&mut self, site: &Site) {
        for lines in [self.talk.run("FETCH 1 BODY.PEEK[]"), {
            let mut another = site.session();
            another.ok("SELECT INBOX");
            another.talk.run("FETCH 1 BODY.PEEK[]")
        }] {
            assert!(lines.iter().any(|line| line.contains("old mail")), "{lines:#?}");
            assert!(lines.last().unwrap().starts_with("x OK"), "{lines:#?}");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every command that writes.
#[track_caller]
fn all_refused(client: &mut Session, code: &str) {
    client.append_no("INBOX", code);
    client.append_no("other", code);
    for command in [
        "COPY 1 other",
        "COPY 1:2 INBOX",
        "MOVE 1 other",
        "STORE 1 +FLAGS (\\Flagged)",
        "STORE 1 FLAGS (new-keyword)",
        "CREATE third",
        "CREATE third (USE (\\Archive))",
        "SUBSCRIBE other",
    ] {
        client.no(command, code);
    }
}

#[test]
fn a_read_only_disk_can_be_read() {
    let Some(site) = Site::new(Some("size=4m,mode=755")) else { return };
    // A disk on which somebody has a file open for writing cannot be made read-only: this session has its index elsewhere.
    let indexes = site.place.path().join("indexes");
    fs::create_dir(&indexes).unwrap();
    fs::set_permissions(&indexes, Permissions::from_mode(0o1777)).unwrap();
    let mut client = site.started(1024, &["--index-path", indexes.to_str().unwrap()], Stdio::null());
    client.ok("SELECT INBOX");
    let list = site.uid_list();
    site.deliver("1700000009.M1P1.test");
    assert!(mount(&["-o", "remount,ro"], &site.place.path().join("mail")));
    all_refused(&mut client, "NOPERM");
    for command in ["EXPUNGE", "DELETE other", "RENAME other third", "RENAME INBOX third"] {
        client.no(command, "NOPERM");
    }
    client.ok("NOOP");
    client.ok("STATUS other (MESSAGES UNSEEN SIZE)");
    client.ok("EXAMINE other");
    client.ok("SELECT INBOX");
    client.assert_serves(&site);
    assert_eq!(site.uid_list(), list);
    site.assert_tidy();
    // Writable again, all is as if nothing had been.
    assert!(mount(&["-o", "remount,rw"], &site.place.path().join("mail")));
    let lines = client.talk.run("NOOP");
    assert!(lines.contains(&"* 4 EXISTS".to_owned()), "{lines:#?}");
    client.ok("STORE 1 +FLAGS (new-keyword)");
    assert!(client.append("other", 10).starts_with("x OK [APPENDUID "));
    strictly_valid(site.uid_list().as_bytes()).unwrap();
}

#[test]
fn a_read_only_maildir_has_its_index_elsewhere() {
    let Some(site) = Site::new(Some("size=4m,mode=755")) else { return };
    let indexes = site.place.path().join("indexes");
    fs::create_dir(&indexes).unwrap();
    fs::set_permissions(&indexes, Permissions::from_mode(0o1777)).unwrap();
    for file in ["imapd-index", "imapd-index-lock", "imapd-index-state"] {
        fs::remove_file(site.path(file)).unwrap();
    }
    assert!(mount(&["-o", "remount,ro"], &site.place.path().join("mail")));
    let own = indexes.join(site.mail.file_name().unwrap());
    let log = || fs::File::create(site.place.path().join("log")).unwrap();
    let arguments = ["--log", "stderr", "--index-path", indexes.to_str().unwrap()];
    let start = || site.started(1024, &arguments, Stdio::from(log()));
    let logged = || fs::read_to_string(site.place.path().join("log")).unwrap();
    let modseq = |client: &mut Session| {
        let lines = client.talk.run("SELECT INBOX");
        assert!(lines.contains(&"* 3 EXISTS".to_owned()), "{lines:#?}");
        lines.into_iter().find(|line| line.contains("HIGHESTMODSEQ")).unwrap()
    };
    let mut client = start();
    let first = modseq(&mut client);
    client.ok("FETCH 1:* (FLAGS ENVELOPE)");
    client.no("STORE 1 +FLAGS (\\Flagged)", "NOPERM");
    client.ok("LOGOUT");
    assert!(!logged().contains("index"), "{}", logged());
    let stat = fs::metadata(&own).unwrap();
    assert_eq!((stat.permissions().mode() & 0o7777, std::os::unix::fs::MetadataExt::uid(&stat)), (0o700, NOBODY));
    assert!(own.join("imapd-index").exists() && !site.path("imapd-index").exists());
    // The next session finds there what this one left.
    assert_eq!(modseq(&mut start()), first);
    // One that is somebody else's is not used, and the mail is served.
    chown(&own, Some(0), Some(0)).unwrap();
    let mut client = start();
    assert_ne!(modseq(&mut client), first);
    client.ok("FETCH 1 BODY.PEEK[]");
    assert!(
        logged().contains("no index, this session goes without: ") && logged().contains("does not belong"),
        "{}",
        logged()
    );
}

/// Takes every free octet, or every free inode.
fn fill(site: &Site, with: &str) -> PathBuf {
    let path = site.place.path().join("mail/filler");
    fs::create_dir(&path).unwrap();
    for number in 0.. {
        let file = path.join(number.to_string());
        match with {
            "octets" if fs::write(&file, vec![b'x'; 1 << 20]).is_err() => break,
            "inodes" if fs::File::create(&file).is_err() => break,
            _ => {}
        }
    }
    path
}

#[test]
fn on_a_full_disk_nothing_is_half_written() {
    let Some(site) = Site::new(Some("size=2m,mode=755")) else { return };
    let mut client = site.session();
    client.ok("SELECT INBOX");
    client.ok("SUBSCRIBE INBOX");
    client.ok("STORE 1 +FLAGS (old-keyword)");
    let filler = fill(&site, "octets");
    let list = site.uid_list();
    client.append_no("INBOX", "OVERQUOTA");
    client.append_no("other", "OVERQUOTA");
    for command in ["STORE 1 +FLAGS (new-keyword)", "SUBSCRIBE other", "CREATE third (USE (\\Archive))"] {
        client.no(command, "OVERQUOTA");
    }
    site.assert_tidy();
    client.assert_serves(&site);
    // What needs no room is done.
    client.ok("STORE 2 +FLAGS (\\Flagged old-keyword)");
    assert_eq!(site.uid_list(), list);
    let lines = client.talk.run("EXPUNGE");
    assert!(lines.contains(&"* 3 EXPUNGE".to_owned()), "{lines:#?}");
    client.ok("LSUB \"\" *");
    fs::remove_dir_all(filler).unwrap();
    assert!(client.append("INBOX", 10).starts_with("x OK [APPENDUID "));
    client.ok("SUBSCRIBE other");
    strictly_valid(site.uid_list().as_bytes()).unwrap();
    site.assert_tidy();
}

#[test]
fn a_line_of_the_uid_list_that_is_cut_off_costs_no_message() {
    let Some(site) = Site::new(Some("size=2m,mode=755")) else { return };
    // The last page of the list has room for half a line.
    let list = site.uid_list();
    let (header, rest) = list.split_once('\n').unwrap();
    let padded = format!("{header} X{}\n{rest}", "x".repeat(4096 - 20 - list.len() - 2));
    fs::write(site.path("dovecot-uidlist"), &padded).unwrap();
    let mut client = site.session();
    client.ok("SELECT INBOX");
    site.deliver("1700000009.M1P1.test");
    let filler = fill(&site, "octets");
    client.no("COPY 1 INBOX", "OVERQUOTA");
    client.ok("NOOP");
    client.assert_serves(&site);
    assert!(site.uid_list().starts_with(&padded));
    fs::remove_dir_all(filler).unwrap();
    let lines = client.talk.run("NOOP");
    assert!(lines.contains(&"* 4 EXISTS".to_owned()), "{lines:#?}");
    assert!(client.append("INBOX", 10).starts_with("x OK [APPENDUID "));
    let lines = client.talk.run("FETCH 1:* UID");
    assert_eq!(lines.len(), 6, "{lines:#?}");
    strictly_valid(site.uid_list().as_bytes()).unwrap();
    site.assert_tidy();
}

#[test]
fn without_inodes_there_is_still_a_way_to_make_room() {
    let Some(site) = Site::new(Some("size=4m,nr_inodes=200,mode=755")) else { return };
    let mut client = site.session();
    client.ok("SELECT INBOX");
    let list = site.uid_list();
    let filler = fill(&site, "inodes");
    all_refused(&mut client, "OVERQUOTA");
    client.ok("NOOP");
    client.ok("EXAMINE INBOX");
    client.ok("SELECT INBOX");
    client.assert_serves(&site);
    assert_eq!(site.uid_list(), list);
    site.assert_tidy();
    let lines = client.talk.run("EXPUNGE");
    assert!(lines.contains(&"* 3 EXPUNGE".to_owned()), "{lines:#?}");
    client.ok("STORE 1 +FLAGS (\\Flagged)");
    fs::remove_dir_all(filler).unwrap();
    client.ok("COPY 1 other");
    site.assert_tidy();
}

#[test]
fn a_size_that_cannot_be_put_right_costs_no_uid() {
    let Some(site) = Site::new(Some("size=2m,mode=755")) else { return };
    site.deliver("1700000009.M1P1.test,S=9,W=9");
    let mut client = site.session();
    client.ok("SELECT INBOX");
    let filler = fill(&site, "octets");
    let name = "cur/1700000009.M1P1.test,S=9,W=9:2,";
    for _ in 0..2 {
        client.assert_serves(&site);
        let lines = client.talk.run("FETCH 4 (UID BODY.PEEK[])");
        assert!(lines.iter().any(|line| line.contains("old mail")), "{lines:#?}");
        let lines = client.talk.run("NOOP");
        assert_eq!(lines.len(), 1, "{lines:#?}");
        assert!(site.path(name).exists());
    }
    fs::remove_dir_all(filler).unwrap();
    client.ok("FETCH 4 (UID BODY.PEEK[])");
    client.ok("NOOP");
    assert!(!site.path(name).exists());
    let mut another = site.session();
    another.ok("SELECT INBOX");
    let lines = another.talk.run("FETCH 4 (UID RFC822.SIZE)");
    assert!(lines[0].contains("UID 4 ") && !lines[0].contains("RFC822.SIZE 9)"), "{lines:#?}");
    site.assert_tidy();
}

#[test]
fn without_descriptors_nothing_is_left_locked() {
    let Some(site) = Site::new(None) else { return };
    let old = site.uid_list();
    let mut worked = false;
    for descriptors in 14..28 {
        let mut client = site.session_with(descriptors);
        let selected = client.talk.answer("SELECT INBOX").starts_with("x OK");
        let appended = client.append("other", 10).starts_with("x OK");
        for command in ["STATUS other (MESSAGES)", "SUBSCRIBE other", "NOOP", "LIST \"\" *"] {
            let answer = client.talk.answer(command);
            assert!(answer.starts_with("x OK") || answer.starts_with("x NO [UNAVAILABLE]"), "{command}: {answer}");
        }
        if selected {
            for command in ["STORE 1 +FLAGS (keyword)", "COPY 1 other", "FETCH 1 BODY.PEEK[]"] {
                let answer = client.talk.answer(command);
                assert!(answer.starts_with("x OK") || answer.starts_with("x NO [UNAVAILABLE]"), "{command}: {answer}");
            }
        }
        client.ok("LOGOUT");
        worked |= selected && appended;
        site.assert_tidy();
        assert!(site.uid_list().starts_with(&old));
    }
    assert!(worked);
    let mut client = site.session();
    client.ok("SELECT INBOX");
    client.assert_serves(&site);
}

#[test]
fn directories_without_permission_are_refused_and_left_alone() {
    let Some(site) = Site::new(None) else { return };
    let mut client = site.session();
    client.ok("SELECT INBOX");
    let list = site.uid_list();

    site.chmod("tmp", 0o500);
    client.append_no("INBOX", "NOPERM");
    client.ok("STORE 1 +FLAGS (\\Flagged)");
    site.chmod("tmp", 0o700);

    site.chmod("cur", 0o500);
    client.no("STORE 1 +FLAGS (\\Answered)", "NOPERM");
    client.no("MOVE 1 other", "NOPERM");
    client.no("EXPUNGE", "NOPERM");
    client.assert_serves(&site);
    // New mail that cannot be moved is served from where it lies.
    site.deliver("1700000009.M1P1.test");
    let lines = client.talk.run("NOOP");
    assert!(lines.contains(&"* 4 EXISTS".to_owned()), "{lines:#?}");
    let lines = client.talk.run("FETCH 4 BODY.PEEK[]");
    assert!(lines.iter().any(|line| line.contains("old mail")), "{lines:#?}");
    assert!(site.path("new/1700000009.M1P1.test").exists());
    site.chmod("cur", 0o700);
    client.ok("NOOP");
    client.ok("STORE 4 +FLAGS (\\Seen)");

    site.chmod("", 0o500);
    client.append_no("INBOX", "NOPERM");
    for command in ["STORE 1 +FLAGS (\\Answered)", "EXPUNGE", "CREATE third", "DELETE other", "SUBSCRIBE other"] {
        client.no(command, "NOPERM");
    }
    client.ok("EXAMINE other");
    client.ok("SELECT INBOX");
    client.assert_serves(&site);
    site.chmod("", 0o700);

    site.chmod("cur", 0o000);
    client.no("SELECT INBOX", "NOPERM");
    client.no("STATUS INBOX (MESSAGES)", "NOPERM");
    site.chmod("cur", 0o700);
    client.ok("SELECT INBOX");
    // Under an open mailbox: it stays as it was last seen.
    site.chmod("cur", 0o000);
    client.ok("NOOP");
    client.no("STORE 1 +FLAGS (\\Answered)", "NOPERM");
    site.chmod("cur", 0o700);
    client.assert_serves(&site);

    site.chmod(".other", 0o000);
    client.no("STATUS other (MESSAGES)", "NOPERM");
    client.no("COPY 1 other", "NOPERM");
    client.no("EXAMINE other", "NOPERM");
    client.append_no("other", "NOPERM");
    let lines = client.talk.run("LIST \"\" *");
    assert!(lines.iter().any(|line| line.ends_with(" other")), "{lines:#?}");
    site.chmod(".other", 0o700);
    client.ok("EXAMINE other");

    assert!(site.uid_list().starts_with(&list));
    strictly_valid(site.uid_list().as_bytes()).unwrap();
    site.assert_tidy();
}

#[test]
fn files_without_permission_are_refused_and_left_alone() {
    let Some(site) = Site::new(None) else { return };
    let mut client = site.session();
    client.ok("SELECT INBOX");
    site.chmod("cur/1700000002.M1P1.test:2,", 0o000);
    // The others are served.
    let lines = client.talk.run("FETCH 1:3 BODY.PEEK[]");
    assert!(lines.last().unwrap().starts_with("x NO"), "{lines:#?}");
    assert_eq!(lines.iter().filter(|line| line.contains("old mail")).count(), 2, "{lines:#?}");
    client.ok("NOOP");
    client.ok("STORE 2 +FLAGS (\\Flagged)");

    client.ok("CLOSE");
    let before = site.uid_list();
    site.chmod("dovecot-uidlist", 0o000);
    client.no("SELECT INBOX", "NOPERM");
    client.no("STATUS INBOX (MESSAGES)", "NOPERM");
    client.append_no("INBOX", "NOPERM");
    assert_eq!(site.uid_list(), before);
    site.chmod("dovecot-uidlist", 0o600);
    client.ok("SELECT INBOX");
    client.ok("STORE 1 +FLAGS (one)");

    site.chmod("dovecot-keywords", 0o000);
    // Whoever has read it goes on; whoever has not must not show messages without their keywords.
    client.ok("FETCH 1 BODY.PEEK[]");
    site.session().no("SELECT INBOX", "NOPERM");
    client.no("COPY 1 INBOX", "NOPERM");
    site.chmod("dovecot-keywords", 0o600);
    client.ok("STORE 1 +FLAGS (two)");
    let lines = client.talk.run("FETCH 1 FLAGS");
    assert!(lines[0].contains("one") && lines[0].contains("two"), "{lines:#?}");
    site.assert_tidy();
}

#[test]
fn a_maildir_removed_under_a_session_ends_the_selection_and_is_not_made_again() {
    let Some(site) = Site::new(None) else { return };
    let mut client = site.session();
    client.ok("SELECT INBOX");
    fs::remove_dir_all(&site.mail).unwrap();
    client.talk.send("x FETCH 1 BODY.PEEK[]\r\n");
    let lines = client.talk.rest();
    assert!(lines.len() == 1 && lines[0].starts_with("* BYE "), "{lines:#?}");
    assert!(client.child.wait().unwrap().success());
    assert!(!site.mail.exists());
}
