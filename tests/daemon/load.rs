//! Many clients, and more than there may be. Rows 31 and 34 of the security checklist.

use crate::support::{BINARY, Daemon, PATIENCE, read, tcp};
use std::process::{Command, Stdio};

#[test]
fn a_client_too_many_is_told_and_others_go_on() {
    let mut daemon = Daemon::start(&["--demo", "--max-before-login", "2"]);
    let mut clients = [daemon.connect(), daemon.connect()];
    for client in &mut clients {
        client.line();
    }
    let refused = daemon.connect().rest();
    assert_eq!(refused, ["* BYE [LIMIT] Too many connections without login from this address"]);
    assert!(daemon.wait_for_log("connection refused").contains("host=[127.0.0.1]"));
    clients[0].ok("LOGIN test test");
    let mut next = daemon.connect();
    assert!(next.line().unwrap().starts_with("* OK"));
}

#[test]
fn a_user_has_so_many_sessions_and_may_come_back() {
    let mut daemon = Daemon::start(&["--demo", "--max-per-user", "1"]);
    let mut one = daemon.connect();
    one.line();
    one.ok("LOGIN test test");
    let mut two = daemon.connect();
    two.line();
    assert!(two.answer("LOGIN test test").starts_with("x NO [LIMIT]"));
    one.ok("LOGOUT");
    daemon.wait_for_log("Logout");
    drop(one);
    // The place is free once the first connection has ended, which the client cannot see.
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let mut three = daemon.connect();
        three.line();
        if three.answer("LOGIN test test").starts_with("x OK") {
            break;
        }
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test]
fn all_connections_together_have_a_limit() {
    let daemon = Daemon::start(&["--demo", "--max-connections", "1"]);
    let mut one = daemon.connect();
    one.line();
    assert_eq!(daemon.connect().rest(), ["* BYE [LIMIT] Too many connections"]);
}

/// Row 31.
#[test]
fn running_out_of_descriptors_is_survived_and_logged_once() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 24; exec \"$@\"", "sh", BINARY, "--demo", "--log", "stderr", "-p", "0"])
        .args(["--max-before-login", "1000"])
        .stdin(Stdio::null());
    let mut daemon = Daemon::spawn(command, 1);
    let clients: Vec<_> = (0..40).map(|_| tcp(daemon.port("imap"))).collect();
    daemon.wait_for_log("Too many open files");
    drop(clients);
    // The places become free one by one.
    let deadline = std::time::Instant::now() + PATIENCE;
    let mut client = loop {
        let mut client = daemon.connect();
        if client.line().is_some_and(|line| line.starts_with("* OK")) {
            break client;
        }
        assert!(std::time::Instant::now() < deadline);
    };
    client.ok("LOGIN test test");
    client.ok("LOGOUT");
    daemon.wait_for_log("Logout");
    let faults = daemon.log.iter().filter(|line| line.contains("Too many open files")).count();
    assert!(faults <= 2, "{:#?}", daemon.log);
}

#[test]
fn a_hundred_clients_at_once_are_served() {
    let daemon = Daemon::start(&["--demo", "--max-before-login", "200", "--max-per-user", "200"]);
    let mut clients: Vec<_> = (0..100).map(|_| daemon.connect()).collect();
    for client in &mut clients {
        client.line();
        client.ok("LOGIN test test");
    }
    for client in &mut clients {
        client.ok("LOGOUT");
    }
    for client in &mut clients {
        assert!(matches!(read(&mut client.stream, &mut [0]), Ok(0)));
    }
}
