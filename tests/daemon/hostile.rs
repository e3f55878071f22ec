//! What is sent to break the log or the handshake, and sessions that crash. Rows 10, 14, 16, 18, 21, 30 and 65 of the security checklist.

use crate::support::{Daemon, PATIENCE, PamService, Talk, User, certificate, directory, is_root, tcp, tls};
use nix::sys::signal::{SIGABRT, SIGSEGV, kill};
use nix::unistd::Pid;
use std::io::{Read, Write};
use std::time::Instant;

fn is_plain(line: &str) -> bool {
    line.len() < 1024 && line.bytes().all(|b| (0x20..0x7f).contains(&b))
}

#[test]
fn nothing_that_a_client_sends_makes_a_line_in_the_log_its_own() {
    let mut daemon = Daemon::start(&["--demo"]);
    let evil = "x\r\n\nimapd[1]: Login failed user=root auth=root host=[192.0.2.9]\x1b[2J\x07\u{7f}\u{e4}%n%s{}\t";
    let literal = format!("{{{}+}}\r\n{evil}", evil.len());
    let long = "y".repeat(4000);
    for command in [
        format!("LOGIN {literal} x"),
        format!("LOGIN {long} x"),
        format!("ID (\"name\" {literal} {literal} \"v\")"),
        format!("AUTHENTICATE {evil}"),
        format!("{evil} NOOP"),
        format!("NOOP {evil}"),
    ] {
        let mut client = daemon.connect();
        client.line();
        client.ok("NOOP");
        client.send(&format!("x {command}\r\nz LOGOUT\r\n"));
        client.rest();
        daemon.wait_for_log("No login");
    }
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
    for command in ["SELECT", "CREATE", "SUBSCRIBE", "DELETE", "LIST \"\"", "STATUS", "ENABLE", "SEARCH TEXT"] {
        client.send(&format!("x {command} {literal}\r\nx {command} {long}\r\ny NOOP\r\n"));
        while !client.line().unwrap().starts_with("y ") {}
    }
    client.ok("LOGOUT");
    daemon.wait_for_log("Logout");
    for line in &daemon.log {
        assert!(is_plain(line), "{line:?}");
        assert!(!line.contains("192.0.2.9]"), "{line:?}");
        assert!(line.starts_with(&format!("imapd[{}]: ", daemon.pid())), "{line:?}");
    }
    // One line for each connection's end, one for each login, failed or not, and nothing for what went wrong in between.
    let of = |what: &str| daemon.log.iter().filter(|line| line.contains(what)).count();
    assert_eq!((of("No login"), of("Login failed"), of("Login user"), of("Logout")), (6, 2, 1, 1), "{:#?}", daemon.log);
}

#[test]
fn each_connection_without_login_is_one_line_that_says_why() {
    let mut daemon = Daemon::start(&["--demo"]);
    for (octets, why) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "This is an IMAP server"),
        (b"SSH-2.0-x\r\n", "This is an IMAP server"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "This is an IMAP server"),
        (b"a NOOP\r\nb X\r\nc X\r\nd X\r\n", "Too many wrong commands"),
        (b"a NOOP\r\nb LOGIN {2147483647+}\r\n", "Command too long"),
        (b"a LOGOUT\r\n", "logout"),
        (b"", "disconnected"),
    ] {
        let mut client = daemon.connect();
        client.line();
        client.stream.write_all(octets).unwrap();
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        client.rest();
        let line = daemon.wait_for_log("host=[");
        assert!(line.contains("No login host=[127.0.0.1]") && line.ends_with(why), "{line}");
    }
}

/// A ClientHello with these extensions, in records of at most so many octets.
fn client_hello(version: [u8; 2], extensions: &[u8], record: usize) -> Vec<u8> {
    let mut hello = [&version[..], &[7; 32], &[0], &[0, 2, 0xc0, 0x2b], &[1, 0]].concat();
    hello.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    hello.extend_from_slice(extensions);
    let size = (hello.len() as u32).to_be_bytes();
    let message = [&[1, size[1], size[2], size[3]], &hello[..]].concat();
    let records = message.chunks(record);
    records.flat_map(|piece| [&[0x16, 3, 1][..], &(piece.len() as u16).to_be_bytes(), piece].concat()).collect()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(content.len() as u16).to_be_bytes(), content].concat()
}

fn server_name(name: &[u8]) -> Vec<u8> {
    let size = name.len() as u16;
    extension(0, &[&(size + 3).to_be_bytes()[..], &[0], &size.to_be_bytes(), name].concat())
}

#[test]
fn handshakes_of_every_wrong_kind_end_and_others_are_served() {
    let here = directory();
    let (crt, key) = certificate(here.path(), "served");
    let mut daemon = Daemon::start(&["--demo", "--cert", &crt, "--key", &key, "--tls-port", "0"]);
    let hellos = [
        // No version or cipher in common.
        client_hello([3, 0], &[], 16384),
        client_hello([3, 1], &[], 16384),
        client_hello([9, 9], &[], 16384),
        client_hello([3, 3], &extension(43, &[2, 3, 2]), 16384),
        // As large as a ClientHello can be, in one record too large and in 60,000 records of one octet.
        client_hello([3, 3], &extension(21, &vec![0; 65000]), 16384),
        client_hello([3, 3], &extension(21, &vec![0; 65000]), 65535),
        client_hello([3, 3], &extension(21, &vec![0; 60000]), 1),
        // Names of servers: as long as can be, none, no name at all.
        client_hello([3, 3], &server_name(&[b'a'; 65000]), 16384),
        client_hello([3, 3], &server_name(b""), 16384),
        client_hello([3, 3], &server_name(b"\x1b[2J\r\nhost=[192.0.2.9]"), 16384),
        // Early data that nobody offered, and extensions that end in the middle.
        client_hello([3, 3], &extension(42, &[]), 16384),
        client_hello([3, 3], &[0, 0, 0xff, 0xff, 1], 16384),
    ];
    for hello in hellos {
        let mut stream = tcp(daemon.port("imaps"));
        let _ = stream.write_all(&hello);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // An alert or a ServerHello, but never a word of IMAP.
        assert!(!answer.windows(4).any(|octets| octets == b"* OK"), "{answer:?}");
        let line = daemon.wait_for_log("No login");
        assert!(line.contains("reason=TLS handshake") && is_plain(&line) && !line.contains("192.0.2.9]"), "{line}");
    }
    daemon.connect_tls().ok("NOOP");
}

#[test]
fn what_was_learnt_before_tls_is_forgotten() {
    let here = directory();
    let (crt, key) = certificate(here.path(), "served");
    let daemon = Daemon::start(&["--demo", "--cert", &crt, "--key", &key]);
    let mut client = daemon.connect();
    assert!(client.line().unwrap().contains("STARTTLS"));
    client.ok("ID (\"name\" \"before\")");
    // An exchange that was begun, and a command whose literal is awaited, are not gone on with.
    client.send("a AUTHENTICATE PLAIN\r\n*\r\n");
    while !client.line().unwrap().starts_with("a ") {}
    client.ok("STARTTLS");
    let mut client = Talk::new(tls(client.stream, &[], rustls::DEFAULT_VERSIONS).unwrap());
    let lines = client.run("CAPABILITY");
    assert!(lines[0].contains("AUTH=PLAIN") && !lines[0].contains("STARTTLS") && !lines[0].contains("LOGINDISABLED"));
    client.ok("LOGIN test test");
}

/// With all the ways in which a process can end.
#[test]
fn a_session_that_crashes_costs_no_other_and_its_place_is_free() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let (user, pam) = (User::new(homes.path()), PamService::unix());
    let arguments = ["--fork", "-s", "maildir", "--pam-service", &pam.name, "--max-per-user", "2"];
    let mut daemon = Daemon::start(&arguments);
    let mut other = daemon.connect();
    other.line();
    other.ok(&user.login());
    let survivor = daemon.children()[0];
    for signal in [SIGSEGV, SIGABRT] {
        let mut client = daemon.connect();
        client.line();
        client.ok(&user.login());
        let crashed = daemon.children().into_iter().find(|pid| *pid != survivor).unwrap();
        let deadline = Instant::now() + PATIENCE;
        // The first SIGSEGV only goes to the handler that looks for stack overflows.
        while kill(Pid::from_raw(crashed), signal).is_ok() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let line = daemon.wait_for_log("was killed by signal");
        assert!(line.contains(&crashed.to_string()), "{line}");
        daemon.wait_for_children(1);
    }
    other.ok("NOOP");
    assert!(std::fs::read_dir(user.home.join("Maildir/tmp")).unwrap().next().is_none());
}

/// Whether accounts without a shell may read mail is the PAM service's to say: many systems give mail users none on purpose.
#[test]
fn users_without_a_shell_are_refused_alike_where_the_pam_service_says_so() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let user = User::new(homes.path());
    let pam = PamService::new("auth required pam_shells.so\nauth required pam_unix.so\naccount required pam_unix.so\n");
    let daemon = Daemon::start(&["--fork", "-s", "maildir", "--pam-service", &pam.name]);
    let mut client = daemon.connect();
    client.line();
    assert_eq!(client.answer(&user.login()), "x NO [AUTHENTICATIONFAILED] Authentication failed");
    user.change("usermod", &["-s", "/bin/sh"]);
    client.ok(&user.login());
}

/// What stands in the environment is the caller's choice, not the administrator's.
#[test]
fn the_environment_changes_nothing() {
    let mut command = std::process::Command::new(crate::support::BINARY);
    command.args(["--demo", "--check"]).env_clear();
    let plain = command.output().unwrap();
    assert!(plain.status.success());
    for name in [
        "PORT",
        "HOST",
        "CONFIG",
        "TLS",
        "CERT",
        "KEY",
        "STORAGE",
        "MAILDIR_PATH",
        "FORK",
        "AUTH",
        "PASSWD_FILE",
        "LOG",
    ] {
        command.env(name, "/nowhere").env(format!("IMAPD_{name}"), "/nowhere");
    }
    command
        .env("HOME", "/nowhere")
        .env("MAIL", "/nowhere")
        .env("MAILDIR", "/nowhere")
        .env("USER", "root")
        .env("TMPDIR", "/nowhere");
    let crowded = command.output().unwrap();
    assert_eq!((crowded.status, crowded.stdout, crowded.stderr), (plain.status, plain.stdout, plain.stderr));
}

/// Takes as long as a check may take at most.
#[test]
fn a_pam_module_that_hangs_is_given_up_and_hinders_nobody_else() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let user = User::new(homes.path());
    let hanging = PamService::new("auth required pam_exec.so quiet /bin/sleep 1000\naccount required pam_unix.so\n");
    let mut daemon = Daemon::start(&["--fork", "-s", "maildir", "--pam-service", &hanging.name]);
    let mut client = daemon.connect();
    client.stream.set_read_timeout(Some(3 * PATIENCE)).unwrap();
    client.line();
    client.send(&format!("x {}\r\n", user.login()));
    let mut other = daemon.connect();
    other.line();
    other.ok("NOOP");
    other.ok("LOGOUT");
    assert!(client.line().unwrap().starts_with("x NO [UNAVAILABLE]"));
    daemon.wait_for_log("does not answer");
    drop(client);
    daemon.wait_for_children(0);
}
