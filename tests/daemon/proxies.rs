//! Connections that come through a proxy. Row 26 of the security checklist.

use crate::support::{Daemon, PamService, Talk, User, certificate, directory, is_root, tcp, tls};
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

/// A client that begins with these octets.
fn begun(daemon: &Daemon, address: &str, octets: &[u8]) -> Talk<TcpStream> {
    let mut client = daemon.connect_from(address);
    client.stream.write_all(octets).unwrap();
    client
}

fn v1(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 10.0.0.1 56324 143\r\n").into_bytes()
}

fn v2(command: u8, client: [u8; 4]) -> Vec<u8> {
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, 0x11, 0, 15], &client, &[10, 0, 0, 1, 0xdc, 4, 0, 143, 4, 0, 0]].concat()
}

#[test]
fn the_client_of_a_proxy_is_who_its_header_says() {
    let mut daemon = Daemon::start(&["--demo", "--allow-cleartext", "--proxy", "127.0.0.3", "--proxy", "10.0.0.0/8"]);
    let v6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 143\r\n".to_vec();
    for (header, host) in [
        (v1("192.0.2.7"), "192.0.2.7"),
        (v2(0x21, [192, 0, 2, 8]), "192.0.2.8"),
        (v6, "2001:db8::7"),
        // The proxy speaks for itself.
        (v2(0x20, [192, 0, 2, 9]), "127.0.0.3"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.3"),
    ] {
        // Whole, and with what the client has sent meanwhile behind it.
        let mut client = begun(&daemon, "127.0.0.3", &[&header[..], b"a NOOP\r\n"].concat());
        assert!(client.line().unwrap().starts_with("* OK"));
        assert!(client.line().unwrap().starts_with("a OK"));
        client.ok("LOGIN test test");
        client.ok("LOGOUT");
        let line = daemon.wait_for_log("Login user=test");
        assert!(line.contains(&format!(" host=[{host}] ")), "{line}");
        daemon.wait_for_log("Logout");
    }
    // By the octet.
    let mut client = daemon.connect_from("127.0.0.3");
    for octet in v2(0x21, [192, 0, 2, 8]) {
        client.stream.write_all(&[octet]).unwrap();
    }
    assert!(client.line().unwrap().starts_with("* OK"));
}

#[test]
fn a_proxy_without_a_header_and_a_header_of_anybody_else_are_refused() {
    let mut daemon = Daemon::start(&["--demo", "--proxy", "127.0.0.3"]);
    let twice = [v1("192.0.2.7"), v1("192.0.2.8")].concat();
    for (address, octets, host, reason) in [
        ("127.0.0.3", b"a NOOP\r\n".to_vec(), "127.0.0.3", "PROXY header: not valid"),
        (
            "127.0.0.3",
            b"PROXY TCP4 192.0.2.7 10.0.0.1 56324 65536\r\n".to_vec(),
            "127.0.0.3",
            "PROXY header: not valid",
        ),
        ("127.0.0.3", b"PROXY TCP4 192.0".to_vec(), "127.0.0.3", "PROXY header: unexpected end of file"),
        ("127.0.0.3", twice, "192.0.2.7", "This is an IMAP server"),
        ("127.0.0.4", v1("192.0.2.7"), "127.0.0.4", "This is an IMAP server"),
        ("127.0.0.4", v2(0x21, [192, 0, 2, 7]), "127.0.0.4", ""),
    ] {
        let mut client = begun(&daemon, address, &octets);
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        client.rest();
        let line = daemon.wait_for_log("No login");
        assert!(line.contains(&format!(" host=[{host}] ")) && line.ends_with(reason), "{line}");
    }
}

#[test]
fn limits_and_penalties_are_those_of_the_client_and_not_of_its_proxy() {
    let arguments = ["--demo", "--allow-cleartext", "--proxy", "127.0.0.3", "--max-before-login", "7"];
    let mut daemon = Daemon::start(&arguments);
    let greeted = |daemon: &Daemon, client: &str| {
        let mut client = begun(daemon, "127.0.0.3", &v1(client));
        (client.line().unwrap(), client)
    };
    let mut clients: Vec<_> = (0..7).map(|_| greeted(&daemon, "192.0.2.7").1).collect();
    let (line, mut refused) = greeted(&daemon, "192.0.2.7");
    assert_eq!(line, "* BYE [LIMIT] Too many connections without login from this address");
    assert_eq!(refused.line(), None);
    let line = daemon.wait_for_log("No login");
    assert!(line.contains(" host=[192.0.2.7] ") && line.ends_with("without login from this address"), "{line}");
    for client in &mut clients {
        client.send("x LOGIN test wrong\r\n");
    }
    assert!(daemon.wait_for_log("Source refused").contains("host=[192.0.2.7]"));
    assert_eq!(greeted(&daemon, "192.0.2.7").0, "* BYE [LIMIT] Too many failures from this address");
    assert!(greeted(&daemon, "192.0.2.8").0.starts_with("* OK"));
}

#[test]
fn a_header_comes_before_tls_and_who_is_near_to_a_proxy_is_not_near_to_us() {
    let here = directory();
    let (crt, key) = certificate(here.path(), "served");
    let mut daemon =
        Daemon::start(&["--demo", "--proxy", "127.0.0.1", "--cert", &crt, "--key", &key, "--tls-port", "0"]);
    let mut stream = tcp(daemon.port("imaps"));
    stream.write_all(&v1("192.0.2.7")).unwrap();
    let mut client = Talk::new(tls(stream, &[], rustls::DEFAULT_VERSIONS).unwrap());
    client.line();
    client.ok("LOGIN test test");
    assert!(daemon.wait_for_log("Login user=test").contains(" host=[192.0.2.7] service=imaps tls=TLS"));
    let greeting = |header: &[u8]| begun(&daemon, "127.0.0.1", header).line().unwrap();
    assert!(greeting(&v1("192.0.2.7")).contains("LOGINDISABLED"));
    assert!(!greeting(&v1("127.0.0.1")).contains("LOGINDISABLED"));
}

#[test]
fn the_process_of_a_client_behind_a_proxy_serves_it_as_its_user() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let (user, pam) = (User::new(homes.path()), PamService::unix());
    let arguments = ["--fork", "-s", "maildir", "--pam-service", &pam.name, "--allow-cleartext"];
    let mut daemon = Daemon::start(&[&arguments[..], &["--proxy", "127.0.0.3"]].concat());
    let mut client = begun(&daemon, "127.0.0.3", &v2(0x21, [192, 0, 2, 7]));
    client.line();
    client.ok(&user.login());
    client.ok("SELECT INBOX");
    assert!(daemon.wait_for_log("Login user=").contains(" host=[192.0.2.7] "));
    // Seven failed logins from one address of those behind it.
    let mut clients: Vec<_> = (0..7).map(|_| begun(&daemon, "127.0.0.3", &v1("192.0.2.9"))).collect();
    for client in &mut clients {
        client.line();
        client.send("x LOGIN nobody-here wrong\r\n");
    }
    assert!(daemon.wait_for_log("Source refused").contains("host=[192.0.2.9]"));
    let refused = begun(&daemon, "127.0.0.3", &v1("192.0.2.9")).rest();
    assert_eq!(refused, ["* BYE [LIMIT] Too many failures from this address"]);
    client.ok("NOOP");
}

/// Another program's idea of a header.
#[test]
fn curl_is_a_proxy() {
    let mut daemon = Daemon::start(&["--demo", "--proxy", "127.0.0.3"]);
    let url = format!("imap://test:test@127.0.0.1:{}/INBOX;UID=1", daemon.port("imap"));
    let fetched = Command::new("curl").args(["-s", "--interface", "127.0.0.3", "--haproxy-protocol", &url]).output();
    let fetched = fetched.expect("curl is one of the tools of the tests");
    assert!(fetched.status.success() && !fetched.stdout.is_empty(), "{fetched:?}");
    assert!(daemon.wait_for_log("Login user=test").contains(" host=[127.0.0.3] "));
}
