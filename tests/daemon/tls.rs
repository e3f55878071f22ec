//! Implicit TLS, STARTTLS, what may be negotiated, reload, injection, stalls. Rows 10, 17 to 22 and 24 of the security checklist.

use crate::support::{Daemon, PATIENCE, Talk, certificate, directory, read, tcp, tls};
use nix::sys::signal::SIGHUP;
use rustls::version::{TLS12, TLS13};
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;
use tempfile::TempDir;

/// A daemon that serves the demonstration with STARTTLS and implicit TLS, and the directory with its certificate `served`.
fn daemon() -> (Daemon, TempDir) {
    let here = directory();
    let (crt, key) = certificate(here.path(), "served");
    (Daemon::start(&["--demo", "--cert", &crt, "--key", &key, "--tls-port", "0"]), here)
}

#[test]
fn tls_1_2_and_1_3_are_spoken() {
    let (mut daemon, _here) = daemon();
    for (version, name) in [(&TLS12, "tls=TLSv1.2"), (&TLS13, "tls=TLSv1.3")] {
        let mut client = Talk::new(tls(tcp(daemon.port("imaps")), &[b"imap"], &[version]).unwrap());
        assert!(client.line().unwrap().starts_with("* OK"));
        client.ok("LOGIN test test");
        daemon.wait_for_log(name);
    }
}

#[test]
fn a_protocol_that_is_not_imap_is_refused_and_none_is_accepted() {
    let (daemon, _here) = daemon();
    assert!(tls(tcp(daemon.port("imaps")), &[b"h2", b"http/1.1"], rustls::DEFAULT_VERSIONS).is_err());
    for offered in [&[][..], &[b"imap".as_slice()], &[b"h2", b"imap"]] {
        let stream = tls(tcp(daemon.port("imaps")), offered, rustls::DEFAULT_VERSIONS).unwrap();
        let wanted = if offered.is_empty() { None } else { Some(b"imap".as_slice()) };
        assert_eq!(stream.conn.alpn_protocol(), wanted);
    }
}

#[test]
fn no_session_can_be_resumed() {
    let (daemon, _here) = daemon();
    for version in [&TLS12, &TLS13] {
        let mut client = Talk::new(tls(tcp(daemon.port("imaps")), &[], &[version]).unwrap());
        client.ok("NOOP");
        assert_eq!(client.stream.conn.tls13_tickets_received(), 0);
    }
}

/// Row 17.
#[test]
fn what_is_sent_behind_starttls_is_never_executed() {
    let (daemon, _here) = daemon();
    let mut client = daemon.connect();
    client.line();
    client.send("a STARTTLS\r\nb LOGIN test test\r\nc CREATE injected\r\n");
    assert!(client.line().unwrap().starts_with("a "));
    // The connection ends, or goes on without those commands; either way they have no effect.
    if let Ok(stream) = tls(client.stream, &[], rustls::DEFAULT_VERSIONS) {
        let mut client = Talk::new(stream);
        let lines = client.run("LIST \"\" *");
        assert!(lines.iter().all(|line| !line.starts_with("b ") && !line.starts_with("c ")), "{lines:#?}");
        assert!(lines.last().unwrap().starts_with("x BAD"), "{lines:#?}");
    }
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
    assert_eq!(client.run("LIST \"\" injected").len(), 1);
}

/// Rows 18 and 20.
#[test]
fn starttls_works_once() {
    let (daemon, _here) = daemon();
    let mut client = daemon.connect();
    assert!(client.line().unwrap().contains("STARTTLS"));
    client.ok("STARTTLS");
    let mut client = Talk::new(tls(client.stream, &[b"imap"], rustls::DEFAULT_VERSIONS).unwrap());
    let lines = client.run("CAPABILITY");
    assert!(lines[0].contains("AUTH=PLAIN") && !lines[0].contains("STARTTLS"), "{lines:#?}");
    assert!(client.answer("STARTTLS").starts_with("x BAD"));
    client.ok("LOGIN test test");
    assert!(client.answer("STARTTLS").starts_with("x BAD"));
    client.ok("NOOP");
}

#[test]
fn starttls_is_not_offered_without_a_certificate_or_inside_tls() {
    let (with, _here) = daemon();
    assert!(!with.connect_tls().line().unwrap().contains("STARTTLS"));
    let without = Daemon::start(&["--demo"]);
    let mut client = without.connect();
    assert!(!client.line().unwrap().contains("STARTTLS"));
    assert!(!client.answer("STARTTLS").starts_with("x OK"));
}

/// Row 19.
#[test]
fn from_other_machines_no_password_is_taken_in_clear_text() {
    // The address that this machine would use to reach others; nothing is sent.
    let probe = UdpSocket::bind("0.0.0.0:0").unwrap();
    let address = match probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()) {
        Ok(address) if !address.ip().is_loopback() && !address.ip().is_unspecified() => address.ip(),
        _ => return eprintln!("skipped: this machine has no address but loopback"),
    };
    let here = directory();
    let (crt, key) = certificate(here.path(), "far");
    let host = address.to_string();
    for (more, allowed) in [(&[][..], false), (&["--allow-cleartext"], true)] {
        let daemon = Daemon::start(&[&["--demo", "--cert", &crt, "--key", &key, "-h", &host], more].concat());
        let mut client = Talk::new(TcpStream::connect((address, daemon.port("imap"))).unwrap());
        let greeting = client.line().unwrap();
        assert_eq!(greeting.contains("LOGINDISABLED"), !allowed, "{greeting}");
        assert_eq!(greeting.contains("AUTH=PLAIN"), allowed, "{greeting}");
        assert_eq!(client.answer("LOGIN test test").starts_with("x OK"), allowed);
        if !allowed {
            assert!(client.answer("AUTHENTICATE PLAIN AHRlc3QAdGVzdA==").starts_with("x NO"));
            client.ok("STARTTLS");
            let mut client = Talk::new(tls(client.stream, &[], rustls::DEFAULT_VERSIONS).unwrap());
            client.ok("LOGIN test test");
        }
    }
}

/// Rows 10 and 21.
#[test]
fn what_is_no_handshake_ends_the_connection() {
    let (mut daemon, _here) = daemon();
    for garbage in
        [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"a NOOP\r\n", &[0x16, 3, 1, 0xff, 0xff, 1, 2, 3], &[0; 4096]]
    {
        let mut stream = tcp(daemon.port("imaps"));
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // An alert at most, and the end.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 64 && !answer.starts_with(b"*"), "{answer:?}");
        daemon.wait_for_log("TLS handshake");
    }
    daemon.connect_tls().ok("NOOP");
}

/// Row 10: a ClientHello where IMAP is spoken.
#[test]
fn tls_on_the_plain_port_ends_the_connection() {
    let (daemon, _here) = daemon();
    assert!(tls(tcp(daemon.port("imap")), &[], rustls::DEFAULT_VERSIONS).is_err());
    daemon.connect().ok("NOOP");
}

/// Row 21.
#[test]
fn a_handshake_that_stalls_is_given_up() {
    let (daemon, _here) = daemon();
    let silent = tcp(daemon.port("imaps"));
    let mut slow = tcp(daemon.port("imaps"));
    slow.write_all(&[0x16, 3, 1, 2, 0, 1]).unwrap();
    for mut stream in [silent, slow] {
        let answer = read(&mut stream, &mut [0; 16]);
        assert!(!matches!(answer, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock));
    }
}

/// Row 22.
#[test]
fn a_message_cut_off_without_close_notify_is_not_stored() {
    let (mut daemon, _here) = daemon();
    let mut client = daemon.connect_tls();
    client.line();
    client.ok("LOGIN test test");
    client.ok("CREATE cut");
    client.send("a APPEND cut {100}\r\n");
    while !client.line().unwrap().starts_with('+') {}
    client.send("Subject: half");
    drop(client);
    daemon.wait_for_log("Logout");
    let mut client = daemon.connect_tls();
    client.line();
    client.ok("LOGIN test test");
    let lines = client.run("STATUS cut (MESSAGES)");
    assert!(lines[0].contains("MESSAGES 0"), "{lines:#?}");
}

fn served_by(daemon: &Daemon) -> Vec<u8> {
    let stream = tls(tcp(daemon.port("imaps")), &[], rustls::DEFAULT_VERSIONS).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// Row 24.
#[test]
fn a_new_certificate_is_taken_and_a_bad_one_changes_nothing() {
    let (mut daemon, here) = daemon();
    let old = served_by(&daemon);
    let path = |name: &str| here.path().join(name);
    let mut established = daemon.connect_tls();

    std::fs::write(path("served.crt"), "half-written").unwrap();
    daemon.signal(SIGHUP);
    daemon.wait_for_log("stays in use");
    assert_eq!(served_by(&daemon), old);

    certificate(here.path(), "other");
    std::fs::rename(path("other.crt"), path("served.crt")).unwrap();
    daemon.signal(SIGHUP);
    daemon.wait_for_log("does not belong");
    assert_eq!(served_by(&daemon), old);

    std::fs::rename(path("other.key"), path("served.key")).unwrap();
    daemon.signal(SIGHUP);
    daemon.wait_for_log("certificate loaded");
    assert_ne!(served_by(&daemon), old);
    established.ok("NOOP");
}

#[test]
fn changed_certificate_files_are_noticed_without_a_signal() {
    let (mut daemon, here) = daemon();
    let old = served_by(&daemon);
    certificate(here.path(), "other");
    std::fs::rename(here.path().join("other.key"), here.path().join("served.key")).unwrap();
    std::fs::rename(here.path().join("other.crt"), here.path().join("served.crt")).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while served_by(&daemon) == old {
        assert!(Instant::now() < deadline);
    }
    daemon.wait_for_log("certificate loaded");
}

#[test]
fn a_key_whose_permissions_are_mended_later_is_taken() {
    let (mut daemon, here) = daemon();
    let old = served_by(&daemon);
    certificate(here.path(), "other");
    let key = here.path().join("served.key");
    std::fs::rename(here.path().join("other.key"), &key).unwrap();
    std::fs::rename(here.path().join("other.crt"), here.path().join("served.crt")).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    daemon.signal(SIGHUP);
    daemon.wait_for_log("must not be readable by others");
    assert_eq!(served_by(&daemon), old);

    std::fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    let deadline = Instant::now() + PATIENCE;
    while served_by(&daemon) == old {
        assert!(Instant::now() < deadline);
    }
}
