//! What is wrong before the start: one clear line on standard error, exit status 1, nothing started.

use crate::support::{self, BINARY, certificate, directory, imapd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};

#[track_caller]
fn assert_refused(output: &Output, part: &str) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("imapd: ") && error.contains(part), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(output.stdout.is_empty());
}

#[track_caller]
fn refused(arguments: &[&str], part: &str) {
    assert_refused(&imapd(arguments), part);
}

#[test]
fn tls_without_certificate_or_key() {
    refused(&["--tls"], "--tls needs --cert and --key");
    refused(&["--tls", "--cert", "c"], "--cert needs --key");
    refused(&["--key", "k"], "--key needs --cert");
    refused(&["--tls-port", "9993"], "--tls-port needs --cert and --key");
}

#[test]
fn fork_with_mail_in_memory() {
    refused(&["--fork"], "--fork needs --storage maildir");
    refused(&["--fork", "-s", "memory"], "--fork needs --storage maildir");
}

#[test]
fn fork_without_root() {
    let mut command = Command::new(BINARY);
    command.args(["--fork", "-s", "maildir", "-p", "0"]).stdin(Stdio::null());
    if nix::unistd::geteuid().is_root() {
        // The binary lies where only root may look. It is copied by another process: a file that this one has open for writing is
        // inherited by whatever another test starts meanwhile, and what is open for writing cannot be executed.
        let binary = support::directory();
        let path = binary.path().join("imapd");
        assert!(Command::new("cp").arg(BINARY).arg(&path).status().unwrap().success());
        command = Command::new(&path);
        command.args(["--fork", "-s", "maildir", "-p", "0"]).stdin(Stdio::null()).uid(65534);
        assert_refused(&command.output().unwrap(), "--fork needs root");
    } else {
        assert_refused(&command.output().unwrap(), "--fork needs root");
    }
}

#[test]
fn unknown_words() {
    refused(&["-s", "mbox"], "--storage is memory or maildir, not mbox");
    refused(&["--frok"], "frok");
    refused(&["start"], "start");
    refused(&["-p", "http"], "--port: http");
    refused(&["--log", "file"], "--log is stderr or syslog");
    refused(&["--inetd", "--fork"], "only one of");
}

#[test]
fn a_key_of_another_certificate() {
    let here = directory();
    let (certificate_of_a, _) = certificate(here.path(), "a");
    let (_, key_of_b) = certificate(here.path(), "b");
    refused(&["--cert", &certificate_of_a, "--key", &key_of_b, "-p", "0"], "does not belong to the certificate");
}

#[test]
fn certificate_and_key_files_that_cannot_be_used() {
    let here = directory();
    let (crt, key) = certificate(here.path(), "a");
    refused(&["--cert", "/nonexistent", "--key", &key], "cannot read the certificate /nonexistent");
    refused(&["--cert", &crt, "--key", "/nonexistent"], "cannot read the key /nonexistent");
    refused(&["--cert", &crt, "--key", &crt], "key");
    refused(&["--cert", "/dev/null", "--key", &key], "there is no certificate in /dev/null");
    let torn = here.path().join("torn");
    std::fs::write(&torn, &std::fs::read(&crt).unwrap()[..200]).unwrap();
    refused(&["--cert", torn.to_str().unwrap(), "--key", &key], "torn");
}

/// Row 67.
#[test]
fn a_key_that_everybody_may_read() {
    let here = directory();
    let (crt, key) = certificate(here.path(), "a");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    refused(&["--cert", &crt, "--key", &key, "-p", "0"], "must not be readable by others");
}

/// Row 67.
#[test]
fn unknown_names_in_the_configuration_file() {
    let here = directory();
    let path = here.path().join("imapd.conf");
    let path = path.to_str().unwrap();
    std::fs::write(path, "# comment\nport = 0\n\nprot = 1\n").unwrap();
    refused(&["--config", path], "line 4: there is no option prot");
    std::fs::write(path, "tls = yes\n").unwrap();
    refused(&["--config", path], "--tls needs --cert and --key");
    refused(&["--config", "/nonexistent"], "cannot read the configuration /nonexistent");
}

#[test]
fn a_password_file_that_makes_no_sense() {
    let here = directory();
    let path = here.path().join("users");
    std::fs::write(&path, "al:{MD5}hunter2\n").unwrap();
    refused(&["--passwd-file", path.to_str().unwrap(), "-p", "0"], "line 1: the scheme is none of");
}

#[test]
fn an_address_that_is_taken_or_unknown() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(&["-p", &port], "cannot listen at 127.0.0.1");
    refused(&["-h", "192.0.2.77", "-p", "0"], "cannot listen at 192.0.2.77");
    refused(&["-h", "no.such.host.invalid", "-p", "0"], "cannot find host no.such.host.invalid");
}

/// Row 68.
#[test]
fn inetd_without_a_socket() {
    refused(&["--inetd"], "standard input is not a socket");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stdin = Stdio::from(std::os::fd::OwnedFd::from(listener));
    let output = Command::new(BINARY).arg("--inetd").stdin(stdin).output().unwrap();
    assert_refused(&output, "listening socket");
}

#[test]
fn check_says_what_is_wrong_and_what_would_be_served() {
    refused(&["--check", "--tls"], "--tls needs --cert and --key");
    refused(&["--check", "-s", "maildir", "--maildir-path", "/nonexistent"], "/nonexistent is not a directory");
    refused(&["--check", "--index-path", "/var/cache"], "--index-path needs --storage maildir");
    refused(
        &["--check", "-s", "maildir", "--maildir-path", "/", "--index-path", "/none"],
        "--index-path /none is not a directory",
    );
    let here = directory();
    let (crt, key) = certificate(here.path(), "a");
    let output = imapd(&["--check", "--cert", &crt, "--key", &key, "--tls-port", "9993", "-h", "::1", "--demo"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["mode: single process", "listen: [::1]:143 (imap)", "listen: [::1]:9993 (imaps)", "mail: in memory"] {
        assert!(text.lines().any(|said| said == line), "{line}: {text}");
    }
}

#[test]
fn a_check_of_a_maildir_takes_no_other_options() {
    refused(&["--repair"], "--repair needs --fsck");
    refused(&["--fsck", "/", "--fork"], "--fork makes no sense with --fsck");
    refused(&["--fsck"], "fsck");
}
