//! Drain, reload, reap. Rows 30, 32 and 33 of the security checklist.

use crate::support::{BINARY, Daemon, directory, is_root};
use nix::sys::signal::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGTERM, kill};
use nix::unistd::Pid;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A single process, and where there are users a process for each connection: both end alike.
fn daemons() -> Vec<(Daemon, TempDir)> {
    let mut daemons = vec![(Daemon::start(&["--demo"]), directory())];
    if is_root() {
        daemons.push(forking(&[]));
    }
    daemons
}

/// A daemon that forks, with one user `test` of a password file.
pub fn forking(more: &[&str]) -> (Daemon, TempDir) {
    let here = directory();
    let home = here.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(54321), Some(54322)).unwrap();
    let file = here.path().join("users");
    std::fs::write(&file, format!("test:{{PLAIN}}test:54321:54322::{}\n", home.display())).unwrap();
    let arguments = ["--fork", "-s", "maildir", "--passwd-file", file.to_str().unwrap()];
    (Daemon::start(&[&arguments, more].concat()), here)
}

#[test]
fn sigterm_stops_listening_and_lets_sessions_finish() {
    for (mut daemon, _here) in daemons() {
        let mut client = daemon.connect();
        client.line();
        client.ok("LOGIN test test");
        daemon.signal(SIGTERM);
        daemon.wait_for_log("stopping");
        assert!(std::net::TcpStream::connect(("127.0.0.1", daemon.port("imap"))).is_err());
        client.ok("NOOP");
        client.ok("LOGOUT");
        drop(client);
        assert!(daemon.ended().success());
    }
}

#[test]
fn a_second_sigterm_ends_sessions_with_bye() {
    for (mut daemon, _here) in daemons() {
        let mut idle = daemon.connect();
        idle.line();
        idle.ok("LOGIN test test");
        idle.ok("SELECT INBOX");
        idle.send("i IDLE\r\n");
        while !idle.line().unwrap().starts_with('+') {}
        let mut new = daemon.connect();
        new.line();
        daemon.signal(SIGTERM);
        daemon.wait_for_log("stopping");
        daemon.signal(SIGINT);
        assert!(idle.rest().last().unwrap().starts_with("* BYE"));
        assert!(new.rest().last().unwrap().starts_with("* BYE"));
        assert!(daemon.ended().success());
    }
}

#[test]
fn sigterm_to_a_session_ends_that_session() {
    if !is_root() {
        return;
    }
    let (daemon, _here) = forking(&[]);
    let mut one = daemon.connect();
    one.line();
    one.ok("LOGIN test test");
    let pid = daemon.children()[0];
    let mut two = daemon.connect();
    two.line();
    two.ok("LOGIN test test");
    kill(Pid::from_raw(pid), SIGTERM).unwrap();
    assert!(one.rest().last().unwrap().starts_with("* BYE"));
    two.ok("NOOP");
}

/// Row 30.
#[test]
fn a_session_that_is_killed_leaves_nothing_behind() {
    if !is_root() {
        return;
    }
    let (mut daemon, _here) = forking(&["--max-per-address", "1"]);
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
    kill(Pid::from_raw(daemon.children()[0]), SIGKILL).unwrap();
    daemon.wait_for_log("was killed by signal 9");
    daemon.wait_for_children(0);
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
}

#[test]
fn ended_sessions_do_not_stay_as_zombies() {
    if !is_root() {
        return;
    }
    let (daemon, _here) = forking(&[]);
    for _ in 0..20 {
        daemon.connect().ok("LOGOUT");
    }
    daemon.wait_for_children(0);
}

/// Row 32.
#[test]
fn sessions_outlive_a_killed_listener_and_its_port_is_free() {
    if !is_root() {
        return;
    }
    let (mut daemon, _here) = forking(&[]);
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
    let session = daemon.children()[0];
    daemon.signal(SIGKILL);
    daemon.ended();
    client.ok("NOOP");
    let port = daemon.port("imap").to_string();
    let mut command = Command::new(BINARY);
    command.args(["--demo", "--log", "stderr", "-p", &port]).stdin(Stdio::null());
    let again = Daemon::spawn(command, 1);
    again.connect().ok("NOOP");
    client.ok("LOGOUT");
    drop(client);
    let _ = kill(Pid::from_raw(session), SIGKILL);
}

/// Row 33.
#[test]
fn a_storm_of_signals_changes_nothing() {
    for (daemon, _here) in daemons() {
        let mut client = daemon.connect();
        client.line();
        for _ in 0..300 {
            for signal in [SIGHUP, SIGCHLD, SIGPIPE] {
                daemon.signal(signal);
                for child in daemon.children() {
                    let _ = kill(Pid::from_raw(child), signal);
                }
            }
        }
        client.ok("LOGIN test test");
        client.ok("NOOP");
        daemon.connect().ok("NOOP");
    }
}
