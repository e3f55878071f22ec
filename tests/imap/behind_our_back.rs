//! A Maildir that others remove, move and damage while a session has it open: the session says so or ends; it never shows what is not there, and never another's.

use crate::talk::{Client, World, has, message, on_maildir};
use std::fs::{self, File, FileTimes};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A session on a folder `box` with three messages, and where that folder is.
fn opened(world: &World) -> (Client, PathBuf) {
    let mut client = world.client();
    client.ok("CREATE box");
    for subject in ["one", "two", "three"] {
        client.append("box", "(\\Seen)", &message(subject));
    }
    client.ok("SELECT box");
    (client, world.directory().unwrap().join("Maildir/.box"))
}

/// Sends a command; what comes is its answer or BYE and the end, and no message is shown but one of ours.
fn answered_or_ended(client: &mut Client, command: &str) {
    client.send(format!("x {command}\r\n").as_bytes());
    loop {
        let line = client.line();
        assert!(!line.contains("BODY[] ") || line.contains("Text of"), "{line}");
        if line.starts_with("x ") {
            return;
        }
        if line.starts_with("* BYE ") {
            return client.ended();
        }
    }
}

/// Another session can still be opened, and delivers and reads.
fn others_go_on(world: &World) {
    let mut client = world.client();
    client.append("INBOX", "()", &message("later"));
    client.ok("SELECT INBOX");
    assert!(client.ok("FETCH * BODY.PEEK[TEXT]")[0].contains("Text of later"));
}

const COMMANDS: &[&str] = &[
    "NOOP",
    "FETCH 1:* (UID FLAGS BODY.PEEK[])",
    "UID FETCH 1:* (RFC822.SIZE INTERNALDATE ENVELOPE)",
    "STORE 1:* +FLAGS (\\Flagged)",
    "UID STORE 1:* +FLAGS (new-keyword)",
    "SEARCH TEXT Text",
    "COPY 1:* INBOX",
    "COPY 1 box",
    "MOVE 2 INBOX",
    "EXPUNGE",
    "STATUS box (MESSAGES UNSEEN SIZE)",
    "APPEND box {5+}\r\nA: b\n",
    "CLOSE",
];

#[test]
fn a_folder_that_is_removed_moved_or_replaced_ends_what_needs_it_and_nothing_else() {
    let removed = |folder: &PathBuf| fs::remove_dir_all(folder).unwrap();
    let moved = |folder: &PathBuf| fs::rename(folder, folder.with_file_name(".elsewhere")).unwrap();
    let file = |folder: &PathBuf| {
        fs::remove_dir_all(folder).unwrap();
        fs::write(folder, "no directory").unwrap();
    };
    let no_cur = |folder: &PathBuf| fs::remove_dir_all(folder.join("cur")).unwrap();
    let no_tmp = |folder: &PathBuf| fs::remove_dir_all(folder.join("tmp")).unwrap();
    let no_list = |folder: &PathBuf| fs::remove_file(folder.join("dovecot-uidlist")).unwrap();
    let list_is_directory = |folder: &PathBuf| {
        fs::remove_file(folder.join("dovecot-uidlist")).unwrap();
        fs::create_dir(folder.join("dovecot-uidlist")).unwrap();
    };
    let all_is_gone = |folder: &PathBuf| fs::remove_dir_all(folder.parent().unwrap()).unwrap();
    let ways: [&dyn Fn(&PathBuf); 8] =
        [&removed, &moved, &file, &no_cur, &no_tmp, &no_list, &list_is_directory, &all_is_gone];
    for damage in ways {
        for command in COMMANDS {
            on_maildir(|world| {
                let (mut client, folder) = opened(world);
                damage(&folder);
                answered_or_ended(&mut client, command);
                // The next session finds INBOX as if nothing had been, or made anew.
                others_go_on(world);
            });
        }
    }
}

#[test]
fn a_message_that_is_gone_or_no_file_is_left_out_and_the_others_are_shown() {
    let gone = |file: &PathBuf| fs::remove_file(file).unwrap();
    let directory = |file: &PathBuf| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
    };
    let link = |file: &PathBuf| {
        fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", file).unwrap();
    };
    let fifo = |file: &PathBuf| {
        fs::remove_file(file).unwrap();
        nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    let ways: [&dyn Fn(&PathBuf); 4] = [&gone, &directory, &link, &fifo];
    for damage in ways {
        on_maildir(|world| {
            let (mut client, folder) = opened(world);
            let mut files: Vec<_> =
                fs::read_dir(folder.join("cur")).unwrap().map(|entry| entry.unwrap().path()).collect();
            files.sort();
            damage(&files[1]);
            for command in ["FETCH 1:3 (BODY.PEEK[TEXT])", "UID FETCH 1:* (BODY.PEEK[TEXT])"] {
                let (said, _) = client.run(command);
                assert!(!said.iter().any(|line| line.contains("root:")), "{said:?}");
                let shown = said.iter().filter(|line| line.contains("Text of ")).count();
                assert_eq!(shown, 2, "{command}: {said:?}");
            }
            client.run("COPY 1:* INBOX");
            client.run("SEARCH TEXT root");
            client.run("STORE 1:* +FLAGS (\\Deleted)");
            client.run("EXPUNGE");
            others_go_on(world);
        });
    }
}

#[test]
fn a_clock_that_jumps_loses_no_message_and_no_uid() {
    on_maildir(|world| {
        let (mut client, folder) = opened(world);
        let year = Duration::from_secs(365 * 86_400);
        for (subject, time) in [
            ("future", SystemTime::now() + 20 * year),
            ("past", SystemTime::now() - 20 * year),
            ("epoch", SystemTime::UNIX_EPOCH),
        ] {
            // Delivered by a machine whose clock is wrong, with the directories stamped as it would.
            let unique = time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
            fs::write(folder.join(format!("new/{unique}.M1P1.other")), message(subject)).unwrap();
            for directory in ["new", "cur", "."] {
                File::open(folder.join(directory)).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
            }
            let list = folder.join("dovecot-uidlist");
            File::options().append(true).open(list).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
            client.ok("NOOP");
            assert!(client.ok("FETCH * (UID BODY.PEEK[TEXT])")[0].contains(&format!("Text of {subject}")));
            client.ok("STORE * +FLAGS (\\Seen)");
        }
        let uids: Vec<String> = client.ok("FETCH 1:* UID");
        let expected: Vec<String> = (1..=6).map(|n| format!("* {n} FETCH (UID {n})")).collect();
        assert_eq!(uids, expected);
        let mut other = world.client();
        other.ok("SELECT box");
        assert_eq!(other.ok("FETCH 1:* UID"), expected);
    });
}

#[test]
fn uids_dealt_anew_end_the_session_that_knew_the_old_ones() {
    on_maildir(|world| {
        let (mut client, folder) = opened(world);
        fs::write(folder.join("dovecot-uidlist"), "3 V1234567 N100 G0123456789abcdef0123456789abcdef\n").unwrap();
        client.send(b"f UID FETCH 1:* (BODY.PEEK[])\r\nn NOOP\r\nm UID FETCH 1:* (UID)\r\n");
        loop {
            let line = client.line();
            if line.starts_with("* BYE ") {
                break;
            }
            assert!(!line.contains("UID 10") && !line.starts_with("m "), "{line}");
        }
        client.at_end();
        let mut other = world.client();
        assert!(has(&other.ok("SELECT box"), "* OK [UIDVALIDITY 1234567]"));
    });
}
