//! News of a mailbox in IDLE when there is no end of them, or nobody tells of any. Row 58 of the security checklist.

use crate::privilege::{Site, login, status};
use crate::support::{Talk, is_root};
use nix::errno::Errno;
use nix::sys::inotify::{InitFlags, Inotify};
use std::net::TcpStream;
use std::path::Path;

/// All notices that the system grants this user.
fn take_all_notices(uid: u32) -> Vec<Inotify> {
    let thread = std::thread::spawn(move || {
        // SAFETY: of this thread alone, which ends soon. The C library would change all threads.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, -1, uid, -1) };
        assert_eq!(changed, 0);
        let mut taken = Vec::new();
        loop {
            match Inotify::init(InitFlags::IN_CLOEXEC) {
                Ok(notices) => taken.push(notices),
                Err(error) => {
                    assert_eq!(error, Errno::EMFILE);
                    return taken;
                }
            }
        }
    });
    thread.join().unwrap()
}

fn deliver(root: &Path, number: usize) {
    let name = format!("1700000001.M{number}P1.test");
    std::fs::write(root.join("tmp").join(&name), "Subject: one of many\n\n").unwrap();
    std::fs::rename(root.join("tmp").join(&name), root.join("new").join(&name)).unwrap();
}

fn idle(client: &mut Talk<TcpStream>) {
    client.ok("SELECT INBOX");
    client.send("i IDLE\r\n");
    while !client.line().unwrap().starts_with('+') {}
}

#[test]
fn where_the_system_tells_of_no_change_a_session_in_idle_looks_itself() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let taken = take_all_notices(user.uid);
    assert!(taken.len() > 10);
    let mut daemon = site.daemon(&[]);
    let mut client = login(&daemon, &user);
    idle(&mut client);
    let line = daemon.wait_for_log("no notice of new mail, polling instead");
    assert!(line.contains("os error 24") || line.contains("EMFILE"), "{line}");
    deliver(&user.home.join("Maildir"), 0);
    while client.line().unwrap() != "* 2 EXISTS" {}
    client.send("DONE\r\n");
    client.ok("LOGOUT");
}

/// A client that does not read for a while: what it is told after that is all there is to tell, and was not kept in memory.
#[test]
fn ten_thousand_changes_in_idle_are_told_and_not_piled_up() {
    const MANY: usize = 10_000;
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let root = user.home.join("Maildir");
    let daemon = site.daemon(&[]);
    let mut client = login(&daemon, &user);
    idle(&mut client);
    let session = daemon.children()[0];
    (0..MANY).for_each(|number| deliver(&root, number));
    while client.line().unwrap() != format!("* {} EXISTS", MANY + 1) {}
    // Each is marked, and then each is gone: every one of these is a line.
    for entry in std::fs::read_dir(root.join("cur")).unwrap() {
        let path = entry.unwrap().path();
        let base = path.to_str().unwrap().rsplit_once(':').map_or(path.to_str().unwrap(), |(base, _)| base);
        std::fs::rename(&path, format!("{base}:2,S")).unwrap();
    }
    let mut marked = 0;
    while marked <= MANY {
        let line = client.line().unwrap();
        marked += usize::from(line.contains(" FETCH (") && line.contains("\\Seen"));
    }
    for directory in ["cur", "new"] {
        for entry in std::fs::read_dir(root.join(directory)).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    let mut gone = 0;
    while gone <= MANY {
        gone += usize::from(client.line().unwrap().ends_with(" EXPUNGE"));
    }
    let most: u64 = status(session, "VmHWM").strip_suffix(" kB").unwrap().parse().unwrap();
    eprintln!("at most {most} KiB");
    assert!(most < 64 * 1024, "{most} KiB");
    client.send("DONE\r\n");
    client.ok("NOOP");
}
