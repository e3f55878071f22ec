//! Processes that somebody else starts, one for each connection: what they are given, and the limits that they keep
//! together. Row 68 of the security checklist.

use crate::support::{BINARY, PATIENCE, PamService, Talk, User, certificate, directory, is_root};
use nix::unistd::geteuid;
use std::io::IsTerminal;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What inetd does.
pub struct Inetd {
    listener: TcpListener,
    arguments: Vec<String>,
}

/// A connection and its process, which is killed when this is dropped.
pub struct Served {
    pub client: Talk<TcpStream>,
    pub process: Child,
}

impl Inetd {
    pub fn new(run_dir: &Path, arguments: &[&str]) -> Self {
        let all = ["--inetd", "--log", "stderr", "--run-dir", run_dir.to_str().unwrap()];
        Self {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            arguments: all.iter().chain(arguments).map(|&argument| argument.to_owned()).collect(),
        }
    }

    /// A connection from 127.0.0.1 in a process of its own.
    pub fn connect(&self) -> Served {
        self.connect_with(|socket| Stdio::from(socket.try_clone().unwrap()))
    }

    fn connect_with(&self, stdout: impl FnOnce(&OwnedFd) -> Stdio) -> Served {
        let port = self.listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let socket = OwnedFd::from(self.listener.accept().unwrap().0);
        let process = Command::new(BINARY)
            .args(&self.arguments)
            .stdout(stdout(&socket))
            .stdin(Stdio::from(socket))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Served { client: Talk::new(client), process }
    }

    /// One that is served.
    #[track_caller]
    fn greeted(&self) -> Served {
        let mut served = self.connect();
        let line = served.client.line();
        assert!(line.as_ref().is_some_and(|line| line.starts_with("* OK [CAPABILITY ")), "{line:?}");
        served
    }

    /// One that hears just this, and leaves this line in the log.
    #[track_caller]
    fn refused(&self, heard: &[&str], logged: &str) {
        let mut served = self.connect();
        assert_eq!(served.client.rest(), heard);
        let log = served.log();
        assert!(log.contains(&format!("connection refused: {logged}: host=[127.0.0.1]\n")), "{log}");
    }
}

impl Served {
    /// Waits for the process to end well, and gives what it has logged.
    #[track_caller]
    fn log(&mut self) -> String {
        let log = std::io::read_to_string(self.process.stderr.take().unwrap()).unwrap();
        assert!(self.process.wait().unwrap().success(), "{log}");
        log
    }

    #[track_caller]
    fn log_out(&mut self) -> String {
        self.client.ok("LOGOUT");
        self.log()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const TOO_MANY: &str = "too many connections without login from this address";

#[test]
fn processes_of_inetd_keep_the_limit_before_login_together() {
    let here = directory();
    let run = here.path().join("run");
    let inetd = Inetd::new(&run, &["--demo", "--max-before-login", "2"]);
    let bye = ["* BYE [LIMIT] Too many connections without login from this address"];

    let (mut one, two) = (inetd.greeted(), inetd.greeted());
    inetd.refused(&bye, TOO_MANY);
    one.client.ok("LOGIN test test");
    let three = inetd.greeted();
    inetd.refused(&bye, TOO_MANY);
    // Dropping kills: nothing is left behind that would have to be cleaned up.
    drop(two);
    let mut four = inetd.greeted();
    inetd.refused(&bye, TOO_MANY);
    four.log_out();
    let _five = inetd.greeted();

    // Before a handshake there is nothing to be said that a client would understand.
    let (crt, key) = certificate(here.path(), "served");
    let tls = ["--demo", "--max-before-login", "2", "--tls", "--cert", &crt, "--key", &key];
    Inetd::new(&run, &tls).refused(&[], TOO_MANY);

    one.log_out();
    drop(three);
    assert_eq!(std::fs::metadata(run.join("before-login")).unwrap().len(), 0);
}

#[test]
fn processes_of_inetd_keep_the_limit_of_all_before_login_together() {
    let here = directory();
    let inetd = Inetd::new(&here.path().join("run"), &["--demo", "--max-connections", "1"]);
    let mut one = inetd.greeted();
    inetd.refused(&["* BYE [LIMIT] Too many connections"], "too many connections");
    one.client.ok("LOGIN test test");
    inetd.greeted();
}

#[test]
fn a_run_directory_that_others_have_prepared_is_not_used_and_mail_is_served() {
    let here = directory();
    let made = |name: &str, mode| {
        let path = here.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    };
    let mut hostile = vec![made("open", 0o777), here.path().join("link"), here.path().join("no/where")];
    let aim = made("aim", 0o700);
    symlink(&aim, here.path().join("link")).unwrap();
    let within = made("within", 0o700);
    symlink(here.path().join("made"), within.join("before-login")).unwrap();
    hostile.push(within);
    if geteuid().is_root() {
        let anothers = made("anothers", 0o700);
        std::os::unix::fs::chown(&anothers, Some(54321), None).unwrap();
        hostile.push(anothers);
    }
    for path in hostile {
        let inetd = Inetd::new(&path, &["--demo", "--max-before-login", "1"]);
        let _one = inetd.greeted();
        let log = inetd.greeted().log_out();
        let notice = format!("connections are not counted in {}: ", path.display());
        assert_eq!(log.matches(&notice).count(), 1, "{log}");
        let file = path.join("before-login");
        assert!(file.is_symlink() || !file.exists(), "{}", path.display());
    }
    assert!(!here.path().join("made").exists());
    assert_eq!(std::fs::read_dir(aim).unwrap().count(), 0);
}

#[test]
fn a_session_of_inetd_is_its_users_and_keeps_nothing_of_roots() {
    if !is_root() {
        return;
    }
    let here = directory();
    let (user, pam) = (User::new(here.path()), PamService::unix());
    let arguments = ["-s", "maildir", "--pam-service", &pam.name, "--max-before-login", "1"];
    let inetd = Inetd::new(&here.path().join("run"), &arguments);
    let mut one = inetd.greeted();
    let holds = |served: &Served| {
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", served.process.id())).unwrap();
        descriptors
            .flatten()
            .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|path| path.ends_with("run/before-login")))
    };
    assert!(holds(&one));
    one.client.ok(&user.login());
    assert!(!holds(&one));
    let status = std::fs::read_to_string(format!("/proc/{}/status", one.process.id())).unwrap();
    assert!(status.contains(&format!("\nUid:\t{0}\t{0}\t{0}\t{0}\n", user.uid)), "{status}");
    one.client.ok("SELECT INBOX");
    // A password that is being checked, and found wrong, does not end the count.
    let mut two = inetd.greeted();
    assert!(two.client.answer(&format!("LOGIN {} wrong", user.name)).starts_with("x NO"));
    inetd.refused(&["* BYE [LIMIT] Too many connections without login from this address"], TOO_MANY);
}

#[test]
fn an_ipv4_client_of_an_ipv6_socket_is_what_it_is() {
    let Ok(listener) = TcpListener::bind("[::]:0") else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let here = directory();
    let run = here.path().join("run");
    let arguments = ["--demo", "--max-before-login", "1"];
    let plain = Inetd::new(&run, &arguments);
    let mapped = Inetd { listener, ..Inetd::new(&run, &arguments) };

    let mut one = mapped.connect();
    assert!(one.client.stream.peer_addr().unwrap().is_ipv4());
    let greeting = one.client.line().unwrap();
    // It comes from this machine, and may send its password.
    assert!(greeting.contains(" AUTH=PLAIN") && !greeting.contains("LOGINDISABLED"), "{greeting}");
    for inetd in [&plain, &mapped] {
        inetd.refused(&["* BYE [LIMIT] Too many connections without login from this address"], TOO_MANY);
    }
    one.client.ok("LOGIN test test");
    let log = one.log_out();
    assert!(log.contains("Login user=test host=[127.0.0.1] "), "{log}");
}

#[test]
fn standard_output_is_not_used_whatever_it_is() {
    let here = directory();
    let inetd = Inetd::new(&here.path().join("run"), &["--demo"]);
    let terminal = std::fs::File::options().read(true).write(true).open("/dev/ptmx").unwrap();
    assert!(terminal.is_terminal());
    for stdout in [Stdio::from(terminal), Stdio::piped(), Stdio::null()] {
        let mut served = inetd.connect_with(|_| stdout);
        assert!(served.client.line().unwrap().starts_with("* OK"));
        served.client.ok("LOGIN test test");
        served.log_out();
        let written = served.process.stdout.take().map(|pipe| std::io::read_to_string(pipe).unwrap());
        assert!(written.unwrap_or_default().is_empty());
    }
}

/// Row 26.
#[test]
fn processes_of_inetd_count_the_client_of_a_proxy() {
    let here = directory();
    let run = here.path().join("run");
    let inetd = Inetd::new(&run, &["--demo", "--max-before-login", "1", "--proxy", "127.0.0.1", "--allow-cleartext"]);
    let from = |client: &str| {
        let mut served = inetd.connect();
        served.client.send(&format!("PROXY TCP4 {client} 10.0.0.1 56324 143\r\n"));
        let line = served.client.line().unwrap();
        (line, served)
    };
    let (line, mut one) = from("192.0.2.7");
    assert!(line.starts_with("* OK"), "{line}");
    let (line, mut refused) = from("192.0.2.7");
    assert_eq!(line, "* BYE [LIMIT] Too many connections without login from this address");
    let log = refused.log();
    assert!(log.contains(&format!("No login host=[192.0.2.7] service=imap reason={TOO_MANY}\n")), "{log}");
    assert!(from("192.0.2.8").0.starts_with("* OK"));
    one.client.ok("LOGIN test test");
    assert!(from("192.0.2.7").0.starts_with("* OK"));
    assert!(one.log_out().contains("Login user=test host=[192.0.2.7] "));
}
