//! Dovecot itself, where it is installed, takes what came from Courier and what was mended, with every UID, flag and keyword, and gives it back.

use crate::privilege::{Site, login};
use crate::support::{User, imapd, is_root};
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// What one run of doveadm as the user prints; `None` where there is none.
fn doveadm(user: &User, arguments: &[&str]) -> Option<String> {
    let Ok(version) = Command::new("dovecot").arg("--version").output() else {
        eprintln!("skipped: this test needs Dovecot");
        return None;
    };
    let maildir = user.home.join("Maildir");
    let location = match version.stdout.starts_with(b"2.3") {
        true => format!("mail_location = maildir:{}", maildir.display()),
        false => format!(
            "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nmail_driver = maildir\nmail_path = {}",
            maildir.display()
        ),
    };
    let (config, log, run) = (user.home.join("dovecot.conf"), user.home.join("log"), user.home.join("run"));
    // The first line, since from 2.4 on nothing may stand before the version.
    let text = format!(
        "{location}\nlog_path = {}\nbase_dir = {}\nfirst_valid_uid = 1\nssl = no\nnamespace inbox {{\n inbox = yes\n}}\n",
        log.display(),
        run.display()
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("doveadm");
    command.args(["-c", config.to_str().unwrap(), "-o", "stats_writer_socket_path="]).args(arguments);
    command.env("USER", &user.name).env("HOME", &user.home).uid(user.uid).gid(user.gid).current_dir("/");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // It has nothing to complain of.
    assert_eq!(fs::read_to_string(&log).unwrap_or_default(), "");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// UID and flags of all messages in INBOX.
fn by_dovecot(user: &User) -> Option<Vec<String>> {
    let fetched = doveadm(user, &["-f", "tab", "fetch", "uid flags", "mailbox", "INBOX"])?;
    Some(fetched.lines().skip(1).map(|line| line.replace('\t', " ").replace(" \\Recent", "")).collect())
}

fn give(user: &User, path: &Path) {
    chown(path, Some(user.uid), Some(user.gid)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give(user, &entry.unwrap().path()));
    }
}

#[test]
fn what_comes_from_courier_and_is_mended_goes_to_dovecot_and_back() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let maildir = user.home.join("Maildir");
    fs::create_dir(maildir.join("courierimapkeywords")).unwrap();
    for (number, letters) in [(1, "S"), (2, "FS"), (3, "")] {
        let name = format!("171{number}.M1P1V08I0{number}.mx,S=18:2,{letters}");
        fs::write(maildir.join("cur").join(name), format!("Subject: m{number}\n\nbody\n")).unwrap();
    }
    let uids = "1 719000001 42\n40 1711.M1P1V08I01.mx,S=18\n7 1712.M1P1V08I02.mx,S=18\n41 1713.M1P1V08I03.mx,S=18\n";
    fs::write(maildir.join("courierimapuiddb"), uids).unwrap();
    let keywords = "$Junk\nwork\n\n1711.M1P1V08I01.mx,S=18:0 1\n";
    fs::write(maildir.join("courierimapkeywords/:list"), keywords).unwrap();
    give(&user, &maildir);

    let daemon = site.daemon(&[]);
    let by_us = || {
        let mut client = login(&daemon, &user);
        let selected = client.run("SELECT INBOX");
        assert!(selected.iter().any(|line| line.contains("[UIDVALIDITY 719000001]")), "{selected:#?}");
        let mut fetched = client.run("UID FETCH 1:* (FLAGS)");
        fetched.pop();
        let shown = |line: &String| {
            let (_, rest) = line.split_once("(UID ").unwrap();
            let (uid, flags) = rest.split_once(" FLAGS (").unwrap();
            format!("{uid} {}", flags.trim_end_matches(')').replace(" \\Recent", "").replace("\\Recent", ""))
        };
        fetched.iter().map(shown).collect::<Vec<_>>()
    };
    let expected = ["7 \\Flagged \\Seen", "40 \\Seen $Junk work", "41 ", "42 "];
    assert_eq!(by_us(), expected);

    // A wrong size, flags out of order, and faults at which Dovecot would throw the list away.
    let cur = maildir.join("cur");
    fs::rename(cur.join("1711.M1P1V08I01.mx,S=18:2,Sab"), cur.join("1711.M1P1V08I01.mx,S=5:2,bSa")).unwrap();
    let list = fs::read_to_string(maildir.join("dovecot-uidlist")).unwrap();
    let list = list.replace("1711.M1P1V08I01.mx,S=18", "1711.M1P1V08I01.mx,S=5") + "3 :x\n0 :y\nz\n";
    fs::write(maildir.join("dovecot-uidlist"), list).unwrap();
    let output = imapd(&["--fsck", maildir.to_str().unwrap(), "--repair"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let Some(seen) = by_dovecot(&user) else { return };
    let sorted = |lines: Vec<String>| -> Vec<Vec<String>> {
        let words = |line: &String| {
            let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            words.sort_unstable();
            words
        };
        lines.iter().map(words).collect()
    };
    let expected = sorted(expected.map(str::to_owned).to_vec());
    assert_eq!(sorted(seen), expected);
    let status = doveadm(&user, &["-f", "flow", "mailbox", "status", "uidvalidity uidnext", "INBOX"]).unwrap();
    assert!(status.contains("uidvalidity=719000001") && status.contains("uidnext=43"), "{status}");
    assert_eq!(sorted(by_us()), expected);
    assert!(imapd(&["--fsck", maildir.to_str().unwrap()]).status.success());
}
