//! What a client can make the server keep: memory and processor time of the real binary, measured from outside. Rows 1, 2, 4, 11, 49 to 52 and 60 of the
//! security checklist.

use crate::support::{Daemon, Talk, directory};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// What a connection may cost at most while it does nothing that is worth it: buffers for a command, its literals, an answer, and the allocator's slack.
const CONNECTION: u64 = 4 * MIB;

/// A line of /proc/PID/status, in octets.
fn status(daemon: &Daemon, name: &str) -> u64 {
    status_of(daemon.pid(), name)
}

fn status_of(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', '\t', ' ', 'k', 'B']).parse::<u64>().unwrap() * 1024
}

/// By how much the most memory that the server held while `work` ran is more than what it held before.
fn grows_by(daemon: &mut Daemon, work: impl FnOnce(&mut Daemon)) -> u64 {
    // What any first connection needs is there from then on.
    let mut first = daemon.connect();
    first.line();
    first.ok("LOGIN test test");
    first.ok("LOGOUT");
    daemon.wait_for_log("Logout");
    std::fs::write(format!("/proc/{}/clear_refs", daemon.pid()), "5").unwrap();
    let before = status(daemon, "VmRSS");
    work(daemon);
    let grown = status(daemon, "VmHWM").saturating_sub(before);
    eprintln!("memory grew by {} KiB", grown / 1024);
    grown
}

/// Processor time so far, in ticks of 10 ms.
fn ticks(daemon: &Daemon) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn memory() -> Daemon {
    Daemon::start(&["--demo"])
}

/// User `test` with a Maildir, which is at `Maildir/test` in the directory.
fn maildir() -> (Daemon, TempDir) {
    let here = directory();
    std::fs::write(here.path().join("users"), "test:{PLAIN}test\n").unwrap();
    let mail = here.path().join("mail");
    for directory in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(mail.join("test").join(directory)).unwrap();
    }
    let (users, mail) = (here.path().join("users"), mail.to_str().unwrap().to_owned());
    let daemon = Daemon::start(&["-s", "maildir", "--maildir-path", &mail, "--passwd-file", users.to_str().unwrap()]);
    (daemon, here)
}

fn logged_in(daemon: &Daemon) -> Talk<TcpStream> {
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
    client
}

/// Sends as much of this again and again until the server closes, at most 64 MiB; then reads what it had said.
fn flood(client: &mut Talk<TcpStream>, octets: &[u8]) -> Vec<String> {
    let mut sent = 0;
    while sent < 64 << 20 && client.stream.write_all(octets).is_ok() {
        sent += octets.len();
    }
    let mut answer = Vec::new();
    let _ = client.stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn octets_without_a_line_end_are_not_kept() {
    let mut daemon = memory();
    let grown = grows_by(&mut daemon, |daemon| {
        for begin in ["", "a LOGIN test ", "a LOGIN \"", "a AUTHENTICATE PLAIN "] {
            let mut client = daemon.connect();
            client.line();
            client.ok("NOOP");
            client.send(begin);
            flood(&mut client, &[b'A'; 65536]);
            let line = daemon.wait_for_log("No login");
            assert!(line.contains("Command too long"), "{line}");
        }
        let mut client = daemon.connect();
        client.line();
        client.send("a AUTHENTICATE PLAIN\r\n");
        client.line();
        flood(&mut client, &[b'A'; 65536]);
        assert!(daemon.wait_for_log("No login").contains("too long"));
        let mut client = logged_in(daemon);
        flood(&mut client, &[b'A'; 65536]);
        assert!(daemon.wait_for_log("Logout").contains("Command too long"));
    });
    assert!(grown < CONNECTION, "{grown}");
}

#[test]
fn announced_literals_take_no_memory_before_they_come() {
    let mut daemon = memory();
    let grown = grows_by(&mut daemon, |daemon| {
        for size in ["4294967295", "2147483647+", "18446744073709551616", "9223372036854775807+", "999999999999"] {
            for command in ["LOGIN", "LOGIN a"] {
                let mut client = daemon.connect();
                client.line();
                client.ok("NOOP");
                client.send(&format!("a {command} {{{size}}}\r\n"));
                let line = client.line().unwrap();
                assert!(line.starts_with("a BAD") || line.starts_with("* BYE"), "{line}");
            }
            for command in ["SELECT", "APPEND INBOX", "SEARCH TEXT"] {
                let mut client = logged_in(daemon);
                client.send(&format!("a {command} {{{size}}}\r\n"));
                let line = client.line().unwrap();
                assert!(["a BAD", "a NO", "* BYE"].iter().any(|start| line.starts_with(start)), "{line}");
                drop(client);
                daemon.wait_for_log("Logout");
            }
        }
        // Within the limit, and asked for: what is announced is still not there.
        let mut client = logged_in(daemon);
        client.send("a APPEND INBOX {52428800}\r\n");
        assert!(client.line().unwrap().starts_with("+ "));
    });
    assert!(grown < CONNECTION, "{grown}");
}

#[test]
fn a_hundred_thousand_literals_are_not_kept() {
    let mut daemon = memory();
    let grown = grows_by(&mut daemon, |daemon| {
        let mut client = daemon.connect();
        client.line();
        client.ok("NOOP");
        client.send("a LOGIN ");
        flood(&mut client, "{1+}\r\nx ".repeat(1000).as_bytes());
        daemon.wait_for_log("No login");
        let mut client = logged_in(daemon);
        client.send("a SEARCH ");
        flood(&mut client, "TEXT {1+}\r\nx ".repeat(1000).as_bytes());
        daemon.wait_for_log("Logout");
    });
    assert!(grown < CONNECTION, "{grown}");
}

/// The server has stopped working for a client that does not read: next to no processor time goes by, and others are served.
fn waits_for_its_client(daemon: &Daemon) {
    let deadline = Instant::now() + crate::support::PATIENCE;
    loop {
        let before = ticks(daemon);
        std::thread::sleep(Duration::from_millis(300));
        if ticks(daemon) <= before + 2 {
            break;
        }
        assert!(Instant::now() < deadline, "it never stops working");
    }
    logged_in(daemon).ok("NOOP");
}

#[test]
fn ten_thousand_commands_before_login_whose_answers_are_not_read_wait_in_the_socket() {
    let mut daemon = memory();
    let grown = grows_by(&mut daemon, |daemon| {
        let mut client = daemon.connect();
        client.line();
        let mut sender = client.stream.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            sender
                .write_all("c CAPABILITY\r\nn NOOP\r\n".repeat(50_000).as_bytes())
                .and_then(|()| sender.write_all(b"o LOGOUT\r\n"))
        });
        waits_for_its_client(daemon);
        // All of them are answered when they are read, in their order.
        let answers = client.rest();
        assert_eq!(answers.iter().filter(|line| line.starts_with("c OK")).count(), 50_000);
        assert!(answers.last().unwrap().starts_with("o OK"));
        sending.join().unwrap().unwrap();
    });
    assert!(grown < CONNECTION, "{grown}");
}

/// Asks for far more than any socket holds, and reads none of it.
fn fetch_unread(client: &mut Talk<TcpStream>) {
    client.ok("SELECT big");
    client.stream.set_nonblocking(true).unwrap();
    let commands = "f FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT] BINARY.PEEK[1])\r\nu UNSELECT\r\ns SELECT big\r\nc CLOSE\r\ns SELECT big\r\n".repeat(2000);
    let mut rest = commands.as_bytes();
    while !rest.is_empty() {
        match client.stream.write(rest) {
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    client.stream.set_nonblocking(false).unwrap();
}

#[test]
fn a_huge_fetch_that_is_never_read_is_not_kept_in_memory() {
    let (maildir, _here) = maildir();
    for mut daemon in [memory(), maildir] {
        let mut client = logged_in(&daemon);
        client.ok("CREATE big");
        let message = format!("Subject: big\r\n\r\n{}", "0123456789abcdef\r\n".repeat(1 << 20));
        client.send(&format!("a APPEND big {{{}+}}\r\n{message}\r\n", message.len()));
        assert!(client.line().unwrap().starts_with("a OK"));
        client.ok("LOGOUT");
        daemon.wait_for_log("Logout");
        let grown = grows_by(&mut daemon, |daemon| {
            let mut clients: Vec<_> = (0..5).map(|_| logged_in(daemon)).collect();
            clients.iter_mut().for_each(fetch_unread);
            waits_for_its_client(daemon);
        });
        assert!(grown < 5 * CONNECTION, "{grown}");
    }
}

fn deliver(mail: &Path, name: &str, message: &str) {
    std::fs::write(mail.join("new").join(name), message).unwrap();
}

#[test]
fn messages_made_as_weapons_cost_bounded_memory() {
    let part = "Content-Type: multipart/mixed; boundary=b\n\n";
    let mut nested = String::new();
    for level in 0..10_000 {
        nested += &format!("Content-Type: multipart/mixed; boundary={level}\n\n--{level}\n");
    }
    let weapons = [
        ("a line", format!("Subject: s\n\n{}", "x".repeat(64 << 20))),
        ("a header line", format!("Subject: {}", "x".repeat(32 << 20))),
        ("a header field", format!("To: {}\n\ny", "a@b,\n ".repeat(3 << 20))),
        ("header lines", format!("{}\ny", "X: y\n".repeat(3 << 20))),
        ("parts", format!("{part}{}", "--b\n\n\n".repeat(1_000_000))),
        (
            "parts with fields",
            format!("{part}{}", "--b\nContent-Type: a/b; c=d; e=f\nContent-Disposition: g; h=i\n\ny\n".repeat(200_000)),
        ),
        (
            "messages",
            format!(
                "{part}{}",
                "--b\nContent-Type: message/rfc822\n\nTo: a@b, c@d, e@f\nFrom: g@h\n\ny\n".repeat(200_000)
            ),
        ),
        ("depth", nested),
        ("parameters", format!("Content-Type: text/plain{}\n\ny", ";a*99*=b".repeat(1_000_000))),
        ("encoded words", format!("Subject: {}\n\ny", "=?utf-8?b?4pyT?=\n ".repeat(1_000_000))),
    ];
    for (what, message) in weapons {
        let (mut daemon, here) = maildir();
        let mail = here.path().join("mail/test");
        deliver(&mail, "1.M1P1.host", &message);
        drop(message);
        let grown = grows_by(&mut daemon, |daemon| {
            let mut client = logged_in(daemon);
            client.ok("SELECT INBOX");
            client.ok("FETCH 1 (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[1] BODY.PEEK[HEADER.FIELDS (TO)]<0.100>)");
            client.ok("SEARCH OR SUBJECT none OR FROM none OR TO none TEXT \"none at all\"");
        });
        eprintln!("{what}: {} KiB", grown / 1024);
        assert!(grown < 64 * MIB, "{what}: {grown}");
    }
}

#[test]
fn state_files_of_a_gibibyte_are_not_read_into_memory() {
    for name in ["dovecot-keywords", "subscriptions", "dovecot-uidlist", "dovecot-uidvalidity"] {
        let (mut daemon, here) = maildir();
        let grown = grows_by(&mut daemon, |daemon| {
            let mail = here.path().join("mail/test");
            deliver(&mail, "1.M1P1.host", "Subject: s\n\ny\n");
            std::fs::File::create(mail.join(name)).unwrap().set_len(1 << 30).unwrap();
            let mut client = logged_in(daemon);
            for command in
                ["LSUB \"\" *", "SUBSCRIBE INBOX", "SELECT INBOX", "STORE 1 +FLAGS (keyword)", "CREATE x", "NOOP"]
            {
                let answer = client.answer(command);
                assert!(
                    answer.starts_with("x OK") || answer.starts_with("x NO") || answer.starts_with("x BAD No"),
                    "{name} {command}: {answer}"
                );
            }
        });
        eprintln!("{name}: {} KiB", grown / 1024);
        // A few times what is read of a state file at most.
        assert!(grown < 96 * MIB, "{name}: {grown}");
    }
}

/// The most memory of its own that the server held while `work` ran beyond what it held before; pages of files are the system's to take back.
fn own_grows_by(daemon: &Daemon, work: impl FnOnce()) -> u64 {
    let (pid, before) = (daemon.pid(), status(daemon, "RssAnon"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let done = &done;
        let watcher = scope.spawn(move || {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(status_of(pid, "RssAnon"));
                std::thread::sleep(Duration::from_millis(1));
            }
            most
        });
        work();
        done.store(true, Ordering::Relaxed);
        watcher.join().unwrap().saturating_sub(before)
    })
}

/// Neither where nobody has looked before nor where the index alone was lost, as in a Maildir that comes from Dovecot, are the names kept in memory.
#[test]
fn the_first_look_at_very_many_messages_costs_little_memory_for_each() {
    const FEW: u64 = 40_000;
    const MANY: u64 = 100_000;
    /// Octets for a message: what the session shows of it, its place in a listing and in the list, and tables of them.
    const EACH: u64 = 110;
    let [few, many] = [FEW, MANY].map(|count| {
        let (daemon, here) = maildir();
        let place = here.path().join("mail/test");
        for n in 0..count {
            // Names alone are as long as all that may be kept for each.
            let name = format!(
                "{}.M{}P12345.a-host-of-a-long-name.example.org,S=1234,W=1260,X={:020}:2,S",
                1_700_000_000 + n / 7,
                n * 7919 % 1_000_000,
                n
            );
            std::fs::File::create(place.join("cur").join(name)).unwrap();
        }
        let mut client = logged_in(&daemon);
        client.ok("NOOP");
        let first = own_grows_by(&daemon, || client.ok("EXAMINE INBOX"));
        client.ok("LOGOUT");
        for file in ["imapd-index", "imapd-index-lock", "imapd-index-state"] {
            std::fs::remove_file(place.join(file)).unwrap();
        }
        let mut client = logged_in(&daemon);
        let again = own_grows_by(&daemon, || client.ok("SELECT INBOX"));
        let next = format!("UID SEARCH UID {}:*", count);
        assert_eq!(client.run(&next)[0], format!("* SEARCH {count}"));
        assert_eq!(std::fs::read_dir(place.join("tmp")).unwrap().count(), 0);
        [first, again]
    });
    for (few, many) in few.into_iter().zip(many) {
        let each = many.saturating_sub(few) / (MANY - FEW);
        eprintln!("{few} octets for {FEW} messages, {many} for {MANY}: {each} for each");
        assert!(each < EACH, "{each}");
    }
}
