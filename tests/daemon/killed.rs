//! Any process of the daemon killed at any time: the others go on, no process and no place is lost, and no mail. Rows 30, 32 and 33 of the security checklist.

use crate::keeper::wait_until;
use crate::privilege::{Site, login};
use crate::signals::forking;
use crate::support::{
    Daemon, PATIENCE, PamService, Talk, User, certificate, children_of, directory, is_root, tcp, tls,
};
use nix::sys::signal::{SIGKILL, SIGTERM, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The processes that were started with this in their arguments, and what they have forked. Those that have ended have none.
fn tree(mark: &str) -> BTreeSet<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let marked = |pid: &i32| {
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        memchr::memmem::find(&arguments, mark.as_bytes()).is_some()
    };
    numbers.filter(|&pid| pid != std::process::id() as i32).filter(marked).collect()
}

fn is_in_empty(pid: i32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/root")).is_ok_and(|root| root == Path::new("/run/imapd-empty"))
}

fn end(pid: i32) {
    let _ = kill(Pid::from_raw(pid), SIGKILL);
}

/// Listener and keeper, and nothing else, not even remains.
#[track_caller]
fn wait_for_quiet(daemon: &Daemon, mark: &str) -> i32 {
    let is_quiet = || {
        let children = daemon.children();
        children.len() == 1 && is_in_empty(children[0]) && tree(mark) == BTreeSet::from([daemon.pid(), children[0]])
    };
    let deadline = Instant::now() + PATIENCE;
    while !is_quiet() {
        assert!(Instant::now() < deadline, "{:?} of which {:?} are children", tree(mark), daemon.children());
        std::thread::sleep(Duration::from_millis(10));
    }
    daemon.children()[0]
}

/// Nothing more comes, in whatever way it ends.
#[track_caller]
fn assert_cut_off(mut stream: TcpStream) {
    let mut rest = Vec::new();
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "still open");
    }
    let rest = String::from_utf8_lossy(&rest);
    assert!(!rest.contains(" OK"), "{rest}");
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Moment {
    Greeted,
    /// Some octets of the ClientHello are there.
    Handshake,
    Encrypted,
    /// A password is being checked.
    Checking,
}

/// A daemon where the password of one user takes its time.
struct Slow {
    homes: tempfile::TempDir,
    pam: PamService,
    user: User,
    slow: User,
}

impl Slow {
    fn new() -> Self {
        let homes = directory();
        let (user, slow) = (User::new(homes.path()), User::new(homes.path()));
        let script = homes.path().join("script");
        std::fs::write(&script, format!("#!/bin/sh\ncase $PAM_USER in {}) sleep 1;; esac\n", slow.name)).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let rules = "auth required pam_unix.so\naccount required pam_unix.so\n";
        let pam = PamService::new(&format!("auth required pam_exec.so quiet {}\n{rules}", script.display()));
        Self { homes, pam, user, slow }
    }

    fn daemon(&self, more: &[&str]) -> Daemon {
        let (crt, key) = certificate(self.homes.path(), "served");
        let arguments = ["--fork", "-s", "maildir", "--pam-service", &self.pam.name, "--cert", &crt, "--key", &key];
        Daemon::start(&[&arguments[..], &["--tls-port", "0"], more].concat())
    }

    /// A client at this moment, its child, its gate, and who checks its password.
    fn enter(&self, daemon: &Daemon, moment: Moment, known: &[i32]) -> (TcpStream, i32, i32, Option<i32>) {
        let stream = match moment {
            Moment::Greeted => {
                let mut client = daemon.connect();
                assert!(client.line().unwrap().starts_with("* OK"));
                client.stream
            }
            Moment::Handshake => {
                let mut stream = tcp(daemon.port("imaps"));
                stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).unwrap();
                stream
            }
            Moment::Encrypted => {
                let mut client = daemon.connect_tls();
                assert!(client.line().unwrap().starts_with("* OK"));
                client.stream.sock
            }
            Moment::Checking => {
                let mut client = daemon.connect();
                assert!(client.line().unwrap().starts_with("* OK"));
                client.send(&format!("x {}\r\n", self.slow.login()));
                client.stream
            }
        };
        let child = || daemon.children().into_iter().find(|pid| !known.contains(pid));
        let has = usize::from(moment == Moment::Checking) + 1;
        let gate = |child| children_of(child).into_iter().find(|&pid| is_in_empty(pid));
        wait_until(|| child().is_some_and(|child| children_of(child).len() == has && gate(child).is_some()));
        let child = child().unwrap();
        let gate = gate(child).unwrap();
        (stream, child, gate, children_of(child).into_iter().find(|&pid| pid != gate))
    }
}

/// There is one place, which is free again each time.
#[test]
fn whoever_is_killed_before_login_the_place_is_free_again() {
    if !is_root() {
        return;
    }
    let site = Slow::new();
    let mark = &site.pam.name;
    let mut daemon = site.daemon(&["--max-before-login", "1", "--max-connections", "1"]);
    let keeper = wait_for_quiet(&daemon, mark);
    for moment in [Moment::Greeted, Moment::Handshake, Moment::Encrypted, Moment::Checking] {
        for victim in ["gate", "child"] {
            let (stream, child, gate, _) = site.enter(&daemon, moment, &[keeper]);
            end(if victim == "gate" { gate } else { child });
            assert_cut_off(stream);
            let line = daemon.wait_for_log("was killed by signal 9");
            let said = if victim == "gate" {
                "gate process was killed by signal 9 host=[127.0.0.1]".to_owned()
            } else {
                format!("session process {child} was killed by signal 9 after ")
            };
            assert!(line.contains(&said), "{moment:?} {victim}: {line}");
            assert_eq!(wait_for_quiet(&daemon, mark), keeper, "{moment:?} {victim}");
            let mut client = login(&daemon, &site.user);
            client.ok("LOGOUT");
            wait_for_quiet(&daemon, mark);
        }
    }
    // A check that is cut off is none; the client may try again.
    let (stream, _, _, helper) = site.enter(&daemon, Moment::Checking, &[keeper]);
    end(helper.unwrap());
    let mut client = Talk::new(stream);
    assert!(client.line().unwrap().starts_with("x NO [UNAVAILABLE]"));
    client.ok(&site.user.login());
    client.ok("LOGOUT");
    wait_for_quiet(&daemon, mark);
    assert!(!daemon.log.iter().any(|line| line.contains("internal error")), "{:#?}", daemon.log);
}

/// Row 32: who was connected goes on, be it to log in, and all is gone once they are.
#[test]
fn without_their_listener_clients_log_in_and_leave_nothing_behind() {
    if !is_root() {
        return;
    }
    let site = Slow::new();
    let mark = &site.pam.name;
    let mut daemon = site.daemon(&["--max-per-user", "1"]);
    let mut known = daemon.children();
    let mut session = login(&daemon, &site.user);
    known.extend(daemon.children());
    let mut streams = Vec::new();
    for moment in [Moment::Greeted, Moment::Checking] {
        let (stream, child, ..) = site.enter(&daemon, moment, &known);
        known.push(child);
        streams.push(Talk::new(stream));
    }
    daemon.signal(SIGKILL);
    daemon.ended();
    session.ok("NOOP");
    let [greeted, checked] = &mut streams[..] else { unreachable!() };
    assert!(checked.line().is_some_and(|line| line.starts_with("x OK") || line.starts_with("* ")));
    // Its way to the keeper is as it was; nobody counts any more.
    greeted.ok("STARTTLS");
    let mut encrypted = Talk::new(tls(streams.remove(0).stream, &[], rustls::DEFAULT_VERSIONS).unwrap());
    encrypted.ok(&site.user.login());
    encrypted.ok("SELECT INBOX");
    assert!(!tree(mark).is_empty());
    drop((session, encrypted, streams));
    wait_until(|| tree(mark).is_empty());
}

/// What is in a folder, by directory.
fn files(root: &Path, directory: &str) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Row 30.
#[test]
fn a_session_killed_in_append_or_fetch_loses_no_mail_and_keeps_no_half_of_one() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let root = user.home.join("Maildir");
    let large = format!("Subject: large\r\n\r\n{}", "0123456789abcdef0123456789abcdef\r\n".repeat(300_000));
    let (crt, key) = certificate(site.homes.path(), "served");
    let daemon = site.daemon(&["--max-per-user", "2", "--cert", &crt, "--key", &key, "--tls-port", "0"]);
    let keeper = wait_for_quiet(&daemon, &site.pam.name);
    let mut other = login(&daemon, &user);
    let known = [keeper, *daemon.children().iter().find(|&&pid| pid != keeper).unwrap()];
    let session = || {
        wait_until(|| daemon.children().len() == 3);
        *daemon.children().iter().find(|pid| !known.contains(pid)).unwrap()
    };
    let mut client = login(&daemon, &user);
    // Stored, answered, killed.
    client.send(&format!("x APPEND INBOX {{{}+}}\r\n{large}\r\n", large.len()));
    assert!(client.line().unwrap().starts_with("x OK"));
    end(session());
    assert_cut_off(client.stream);
    wait_until(|| daemon.children().len() == 2);

    // Half of it is there.
    let mut client = login(&daemon, &user);
    client.send(&format!("x APPEND INBOX {{{}+}}\r\n{}", large.len(), &large[..large.len() / 2]));
    std::thread::sleep(Duration::from_millis(100));
    end(session());
    assert_cut_off(client.stream);
    wait_until(|| daemon.children().len() == 2);

    // Half of it is sent.
    let mut client = login(&daemon, &user);
    client.ok("SELECT INBOX");
    client.send("x FETCH 2 BODY[]\r\n");
    let mut some = vec![0; 100_000];
    client.stream.read_exact(&mut some).unwrap();
    end(session());
    assert_cut_off(client.stream);
    wait_until(|| daemon.children().len() == 2);

    // Whoever is killed cleans nothing up; what is left is no mail, and goes when it is old.
    assert!(files(&root, "tmp").len() <= 1);
    let mail: Vec<_> = ["new", "cur"].iter().flat_map(|directory| files(&root, directory)).collect();
    assert_eq!(mail.len(), 2);
    assert!(mail.iter().any(|path| std::fs::read(path).unwrap().len() > large.len() - 300_010));
    other.ok("NOOP");
    let mut client = login(&daemon, &user);
    let lines = client.run("SELECT INBOX");
    assert!(lines.contains(&"* 2 EXISTS".to_owned()), "{lines:#?}");
    client.send("x FETCH 2 BODY[]\r\n");
    let first = client.line().unwrap();
    assert!(first.ends_with(&format!("BODY[] {{{}}}", large.len())), "{first}");
    let mut text = vec![0; large.len()];
    client.stream.read_exact(&mut text).unwrap();
    assert!(text == large.as_bytes());
}

/// The same numbers in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

/// Clients in any state, of which each may lose any of its processes, or be gone.
#[test]
fn after_a_storm_of_kills_there_are_listener_and_keeper_and_logins_at_once() {
    if !is_root() {
        return;
    }
    let here = directory();
    let (crt, key) = certificate(here.path(), "served");
    let most = ["--max-before-login", "1000", "--max-per-user", "1000", "--max-per-address", "1000"];
    let arguments = [&most[..], &["--cert", &crt, "--key", &key, "--tls-port", "0"]].concat();
    let (mut daemon, site) = forking(&arguments);
    let mark = site.path().to_str().unwrap();
    wait_for_quiet(&daemon, mark);
    let said = [
        "",
        "a NOOP\r\n",
        "a NOOP\r\nb LOGIN test",
        "a LOGIN test test\r\n",
        "a LOGIN test test\r\nb SELECT INBOX\r\nc IDLE\r\n",
        "a LOGIN test test\r\nb APPEND INBOX {20000+}\r\nSubject: half\r\n\r\n",
        "a LOGIN test test\r\nb APPEND INBOX {14+}\r\nSubject: x\r\n\r\n\r\nc SELECT INBOX\r\nd STORE 1:* +FLAGS (\\Seen)\r\n",
        "\x16\x03\x01\x02\x00\x01\x00",
    ];
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut clients: Vec<Box<dyn std::any::Any>> = Vec::new();
    let mut kills_of_keeper = 0;
    for _ in 0..200 {
        let words = said[dice.roll(said.len() as u64) as usize];
        if dice.roll(4) == 0 {
            let mut stream = tcp(daemon.port("imaps"));
            if dice.roll(2) == 0 {
                let _ = stream.write_all(words.as_bytes());
                clients.push(Box::new(stream));
            } else if let Ok(mut stream) = tls(stream, &[], rustls::DEFAULT_VERSIONS) {
                let _ = stream.write_all(words.as_bytes()).and_then(|()| stream.flush());
                clients.push(Box::new(stream));
            }
        } else {
            let mut stream = tcp(daemon.port("imap"));
            let _ = stream.write_all(words.as_bytes());
            clients.push(Box::new(stream));
        }
        if dice.roll(2) == 0 {
            std::thread::sleep(Duration::from_millis(dice.roll(20)));
        }
        if dice.roll(2) == 0 {
            let all: Vec<i32> = tree(mark).into_iter().filter(|&pid| pid != daemon.pid()).collect();
            if !all.is_empty() {
                let victim = all[dice.roll(all.len() as u64) as usize];
                let is_keeper = daemon.children().contains(&victim) && is_in_empty(victim);
                kills_of_keeper += u32::from(is_keeper);
                // One that does not last is started again ever more slowly.
                if !is_keeper || kills_of_keeper < 2 {
                    end(victim);
                }
            }
        }
        if clients.len() > 25 || dice.roll(3) == 0 && !clients.is_empty() {
            drop(clients.remove(dice.roll(clients.len() as u64) as usize));
        }
    }
    clients.clear();
    wait_for_quiet(&daemon, mark);
    let began = Instant::now();
    for mut client in [daemon.connect(), daemon.connect()] {
        client.line();
        client.ok("LOGIN test test");
        client.ok("SELECT INBOX");
        client.ok("LOGOUT");
    }
    let mut client = daemon.connect_tls();
    client.line();
    client.ok("LOGIN test test");
    client.ok("LOGOUT");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let root = site.path().join("home/Maildir");
    for path in ["new", "cur"].iter().flat_map(|directory| files(&root, directory)) {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(["Subject: x\n\n", "Subject: x\r\n\r\n"].contains(&text.as_str()), "{text:?}");
    }
    daemon.signal(SIGTERM);
    daemon.wait_for_log("stopped");
    let wrong = |line: &&String| line.contains("internal error") || line.contains("did not cross");
    assert_eq!(daemon.log.iter().filter(wrong).collect::<Vec<_>>(), [""; 0]);
    wait_until(|| tree(mark).is_empty());
}
