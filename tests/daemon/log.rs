//! What is in the log, and what is not.

use crate::support::{Daemon, directory};

#[test]
fn a_failed_login_is_the_line_that_fail2ban_knows() {
    let mut daemon = Daemon::start(&["--demo"]);
    let mut client = daemon.connect();
    client.line();
    assert!(client.answer("LOGIN alice hunter2").starts_with("x NO [AUTHENTICATIONFAILED]"));
    let line = daemon.wait_for_log("Login failed");
    assert!(line.ends_with(": Login failed user=alice auth=alice host=[127.0.0.1]"), "{line}");
}

/// Rows 15 and 65.
#[test]
fn a_user_name_cannot_forge_a_line() {
    let mut daemon = Daemon::start(&["--demo"]);
    let mut client = daemon.connect();
    client.line();
    client.send("x LOGIN {44+}\r\nx host=[192.0.2.9] Login failed user=root\x1b[31m\n hunter2\r\n");
    while !client.line().unwrap().starts_with("x ") {}
    client.send("y LOGIN \"a host=[192.0.2.9]\" hunter2\r\n");
    while client.line().is_some_and(|line| !line.starts_with("y ")) {}
    drop(client);
    daemon.wait_for_log("No login");
    for line in &daemon.log {
        assert!(!line.contains("[192.0.2.9]") && !line.contains('\x1b'), "{line}");
    }
}

#[test]
fn no_password_and_no_command_line_is_logged() {
    let mut daemon = Daemon::start(&["--demo"]);
    let mut client = daemon.connect();
    client.line();
    client.answer("LOGIN test hunter2");
    client.answer("LOGIN test hunter2 hunter2");
    client.answer("AUTHENTICATE PLAIN AHRlc3QAaHVudGVyMg==");
    client.ok("LOGIN test test");
    client.answer("SELECT secret-mailbox");
    client.ok("LOGOUT");
    daemon.wait_for_log("Logout");
    for line in &daemon.log {
        for secret in ["hunter2", "AHRlc3QA", "SELECT", "secret-mailbox"] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn the_end_of_a_session_is_logged_with_what_was_done() {
    let mut daemon = Daemon::start(&["--demo"]);
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
    client.ok("SELECT INBOX");
    client.ok("LOGOUT");
    assert!(daemon.wait_for_log("Login ").contains("Login user=test host=[127.0.0.1]"));
    let line = daemon.wait_for_log("Logout ");
    assert!(line.contains("user=test") && line.contains("commands=2"), "{line}");
}

#[test]
fn mail_that_cannot_be_opened_is_logged_once() {
    let here = directory();
    let users = here.path().join("users");
    std::fs::write(&users, "test:{PLAIN}test\n").unwrap();
    // Where the user's Maildir should be.
    std::fs::write(here.path().join("test"), "").unwrap();
    let paths = [here.path(), &users].map(|path| path.to_str().unwrap());
    let mut daemon = Daemon::start(&["-s", "maildir", "--maildir-path", paths[0], "--passwd-file", paths[1]]);
    let mut client = daemon.connect();
    client.line();
    assert!(client.answer("LOGIN test test").starts_with("x NO [UNAVAILABLE]"));
    assert!(client.rest().last().unwrap().starts_with("* BYE"));
    // What comes of the next login stands behind whatever is logged of this one.
    let mut client = daemon.connect();
    client.line();
    client.answer("LOGIN nobody test");
    daemon.wait_for_log("Login failed");
    let told: Vec<&String> = daemon.log.iter().filter(|line| line.contains("is not a directory")).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
}
