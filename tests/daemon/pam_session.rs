//! `--pam-session`: a PAM session is open while somebody is served, and closed whatever happens. Rows 27 and 30 of the security checklist, over PAM.

use crate::privilege::{login, status};
use crate::support::{BINARY, Daemon, PATIENCE, PamService, Talk, User, certificate, directory, is_root};
use crate::support::{TlsStream, children_of};
use nix::sys::signal::{SIGABRT, SIGKILL, SIGTERM, Signal, kill};
use nix::unistd::Pid;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A user, and a PAM service whose sessions leave lines in a file.
struct Site {
    homes: TempDir,
    user: User,
    pam: PamService,
    seen: PathBuf,
}

impl Site {
    /// These lines of the service follow those that leave something to see.
    fn new(more: &str) -> Self {
        let homes = directory();
        let user = User::new(homes.path());
        let (seen, script) = (homes.path().join("seen"), homes.path().join("script"));
        std::fs::write(&seen, "").unwrap();
        std::fs::set_permissions(&seen, PermissionsExt::from_mode(0o666)).unwrap();
        let text = format!(
            "#!/bin/sh\n\
             echo \"$PAM_TYPE $PAM_USER $PAM_RHOST $PAM_TTY $(id -u) $(id -g)\" >>{}\n",
            seen.display()
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
        let pam = PamService::new(&format!(
            "auth required pam_unix.so\naccount required pam_unix.so\nsession required pam_exec.so quiet {}\n{more}",
            script.display()
        ));
        Self { homes, user, pam, seen }
    }

    fn daemon(&self, more: &[&str]) -> Daemon {
        Daemon::start(&[&["--fork", "-s", "maildir", "--pam-service", &self.pam.name], more].concat())
    }

    fn line(&self, what: &str) -> String {
        format!("{what} {} 127.0.0.1 imapd 0 {}\n", self.user.name, self.user.gid)
    }

    fn seen(&self) -> String {
        std::fs::read_to_string(&self.seen).unwrap()
    }

    /// One session is open, opened as root, and none is closed yet.
    #[track_caller]
    fn opened(&self) {
        assert_eq!(self.seen(), self.line("open_session"));
    }

    /// The one session is closed, as root, once, or will be.
    #[track_caller]
    fn closed(&self) {
        let all = self.line("open_session") + &self.line("close_session");
        let deadline = Instant::now() + PATIENCE;
        while self.seen() != all {
            assert!(Instant::now() < deadline, "{}", self.seen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Of the one connection: the process that keeps the PAM session, and the user's.
#[track_caller]
fn processes(daemon: &Daemon) -> (i32, i32) {
    let [keeper] = daemon.children()[..] else { panic!("{:?}", daemon.children()) };
    let [session] = children_of(keeper)[..] else { panic!("{:?}", children_of(keeper)) };
    (keeper, session)
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// Waits until a process is gone, or a zombie.
#[track_caller]
fn wait_until_gone(pid: i32) {
    let deadline = Instant::now() + PATIENCE;
    while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_pam_session_is_opened_before_the_answer_and_closed_after_logout() {
    if !is_root() {
        return;
    }
    let site = Site::new("");
    let mut daemon = site.daemon(&["--pam-session"]);
    let mut client = login(&daemon, &site.user);
    site.opened();
    client.ok("SELECT INBOX");
    site.opened();
    client.ok("LOGOUT");
    site.closed();
    daemon.wait_for_children(0);
    site.closed();
    daemon.signal(SIGTERM);
    assert!(daemon.ended().success());
    daemon.wait_for_log("stopping");
    assert!(daemon.log.iter().all(|line| line.starts_with("imapd[")), "{:#?}", daemon.log);
    assert!(!daemon.log.iter().any(|line| line.contains(" process ")), "{:#?}", daemon.log);
}

#[test]
fn a_pam_session_is_around_a_session_over_tls() {
    if !is_root() {
        return;
    }
    let site = Site::new("");
    let (crt, key) = certificate(site.homes.path(), "served");
    let daemon = site.daemon(&["--pam-session", "--cert", &crt, "--key", &key, "--tls-port", "0"]);
    let mut client: Talk<TlsStream> = daemon.connect_tls();
    client.line();
    client.ok(&site.user.login());
    site.opened();
    client.ok("SELECT INBOX");
    drop(client);
    site.closed();
}

#[test]
fn without_the_option_and_without_a_login_there_is_no_pam_session() {
    if !is_root() {
        return;
    }
    let site = Site::new("");
    let daemon = site.daemon(&[]);
    login(&daemon, &site.user).ok("LOGOUT");
    let daemon = site.daemon(&["--pam-session", "--max-per-user", "1"]);
    let mut client = daemon.connect();
    client.line();
    assert!(client.answer(&format!("LOGIN {} wrong", site.user.name)).starts_with("x NO [AUTHENTICATIONFAILED]"));
    client.ok("LOGOUT");
    daemon.wait_for_children(0);
    assert_eq!(site.seen(), "");
    // Nor for one session too many, and the one that there is counts once.
    let mut one = login(&daemon, &site.user);
    let mut two = daemon.connect();
    two.line();
    assert!(two.answer(&site.user.login()).starts_with("x NO [LIMIT]"));
    assert!(two.line().unwrap().starts_with("* BYE"));
    daemon.wait_for_children(1);
    site.opened();
    one.ok("LOGOUT");
    daemon.wait_for_children(0);
    login(&daemon, &site.user);
}

#[test]
fn a_pam_session_is_closed_when_the_client_vanishes() {
    if !is_root() {
        return;
    }
    let site = Site::new("");
    let daemon = site.daemon(&["--pam-session"]);
    let client = login(&daemon, &site.user);
    site.opened();
    drop(client);
    site.closed();
    daemon.wait_for_children(0);
}

/// Row 30.
#[test]
fn a_pam_session_is_closed_however_the_users_process_ends() {
    if !is_root() {
        return;
    }
    for signal in [SIGKILL, SIGABRT] {
        let site = Site::new("");
        let mut daemon = site.daemon(&["--pam-session", "--max-per-address", "1"]);
        let mut client = login(&daemon, &site.user);
        let (keeper, session) = processes(&daemon);
        site.opened();
        send(session, signal);
        assert_eq!(client.rest(), [""; 0]);
        site.closed();
        // The listener is told, and the place is free.
        daemon.wait_for_log(&format!("session process {keeper} was killed by signal {}", signal as i32));
        daemon.wait_for_children(0);
        login(&daemon, &site.user);
    }
}

#[test]
fn a_pam_session_is_closed_when_the_daemon_is_stopped() {
    if !is_root() {
        return;
    }
    let site = Site::new("");
    let mut daemon = site.daemon(&["--pam-session"]);
    let mut client = login(&daemon, &site.user);
    client.ok("SELECT INBOX");
    daemon.signal(SIGTERM);
    daemon.wait_for_log("stopping");
    client.ok("NOOP");
    site.opened();
    daemon.signal(SIGTERM);
    assert!(client.rest().last().unwrap().starts_with("* BYE"));
    assert!(daemon.ended().success());
    site.closed();
}

#[test]
fn sigterm_to_either_process_ends_the_session_with_bye() {
    if !is_root() {
        return;
    }
    for to_keeper in [true, false] {
        let site = Site::new("");
        let daemon = site.daemon(&["--pam-session"]);
        let mut client = login(&daemon, &site.user);
        let (keeper, session) = processes(&daemon);
        send(if to_keeper { keeper } else { session }, SIGTERM);
        assert!(client.rest().last().unwrap().starts_with("* BYE"));
        site.closed();
    }
}

#[test]
fn nobody_is_served_behind_a_keeper_of_a_pam_session_that_was_killed() {
    if !is_root() {
        return;
    }
    let site = Site::new("");
    let mut daemon = site.daemon(&["--pam-session"]);
    let mut client = login(&daemon, &site.user);
    let (keeper, session) = processes(&daemon);
    send(keeper, SIGKILL);
    daemon.wait_for_log("was killed by signal 9");
    assert_eq!(client.rest(), [""; 0]);
    wait_until_gone(session);
    site.opened();
}

/// A file of pam_limits. Removed when dropped.
struct Limits(String);

impl Drop for Limits {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Row 27.
#[test]
fn a_session_within_a_pam_session_is_its_users_and_the_keeper_has_no_client() {
    if !is_root() {
        return;
    }
    let site = Site::new("session required pam_limits.so\n");
    let limits = Limits(format!("/etc/security/limits.d/{}.conf", site.user.name));
    std::fs::write(&limits.0, format!("{0} hard nofile 200\n{0} hard data 1000000\n", site.user.name)).unwrap();
    let daemon = site.daemon(&["--pam-session"]);
    let mut client = login(&daemon, &site.user);
    drop(limits);
    client.ok("SELECT INBOX");
    let (keeper, session) = processes(&daemon);

    assert_eq!(status(session, "Uid"), [site.user.uid.to_string().as_str(); 4].join(" "));
    assert_eq!(status(session, "Gid"), [site.user.gid.to_string().as_str(); 4].join(" "));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(session, set), "0000000000000000", "{set}");
    }
    assert_eq!((status(session, "NoNewPrivs"), status(session, "Seccomp")), ("1".to_owned(), "2".to_owned()));
    assert_eq!(status(session, "Umask"), "0077");
    let limits = std::fs::read_to_string(format!("/proc/{session}/limits")).unwrap();
    for (name, most) in [("Max open files", "200"), ("Max data size", "1024000000"), ("Max processes", "0")] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(most), "{name}");
    }

    assert_eq!(status(keeper, "Uid"), "0 0 0 0");
    let clients = socket_inode(&client.stream);
    assert!(open(session).contains(&clients));
    assert!(!open(keeper).contains(&clients), "{:?}", open(keeper));
    client.ok("LOGOUT");
    site.closed();
}

/// What a process has open.
fn open(pid: i32) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok()).collect()
}

/// What `/proc` calls the server's end of this connection.
fn socket_inode(stream: &TcpStream) -> PathBuf {
    let (server, client) = (stream.peer_addr().unwrap().port(), stream.local_addr().unwrap().port());
    let ports = [format!(":{server:04X}"), format!(":{client:04X}")];
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row[1].ends_with(&ports[0]) && row[2].ends_with(&ports[1])).unwrap();
    format!("socket:[{}]", row[9]).into()
}

/// Builds a PAM module that takes every password, and does these things when a session is opened and closed, and with credentials.
fn module(homes: &TempDir, session: &str, credentials: &str) -> String {
    let (source, object) = (homes.path().join("module.c"), homes.path().join("module.so"));
    let text = format!(
        "#include <fcntl.h>\n#include <sys/stat.h>\n#include <unistd.h>\n\
         #define MODULE(name, body) int pam_sm_##name(void *pam, int flags, int argc, const char **argv) {{ body }}\n\
         MODULE(authenticate, return 0;)\nMODULE(setcred, {credentials})\n\
         MODULE(open_session, {session})\nMODULE(close_session, {session})\n"
    );
    std::fs::write(&source, text).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&object).arg(&source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    object.to_str().unwrap().to_owned()
}

#[test]
fn nobody_is_served_where_the_pam_session_cannot_be_opened() {
    if !is_root() {
        return;
    }
    let (here, there) = (directory(), directory());
    // Also what fails once the session is open already.
    let (deny, credentials, late) = (
        "session required pam_deny.so\n".to_owned(),
        // PAM_CRED_ERR
        format!("auth required {}\n", module(&here, "return 0;", "return 17;")),
        // PAM_REINITIALIZE_CRED
        format!("auth required {}\n", module(&there, "return 0;", "return flags & 8 ? 17 : 0;")),
    );
    for (more, seen) in [(deny, &["open_session"][..]), (credentials, &[]), (late, &["open_session", "close_session"])]
    {
        let site = Site::new(&more);
        let mut daemon = site.daemon(&["--pam-session"]);
        let mut client = daemon.connect();
        client.line();
        assert!(client.answer(&site.user.login()).starts_with("x NO [UNAVAILABLE]"), "{more}");
        assert!(client.line().unwrap().starts_with("* BYE"));
        assert_eq!(client.line(), None);
        let line = daemon.wait_for_log("cannot open a PAM session");
        assert!(line.contains(&format!("user={}: ", site.user.name)), "{line}");
        daemon.wait_for_children(0);
        assert!(!daemon.log.iter().any(|line| line.contains("Login user=")), "{:#?}", daemon.log);
        assert_eq!(site.seen(), seen.iter().map(|what| site.line(what)).collect::<String>(), "{more}");
    }
}

#[test]
fn a_pam_session_that_cannot_be_closed_is_not_closed_twice() {
    if !is_root() {
        return;
    }
    let homes = directory();
    // PAM_SESSION_ERR from the second of the two functions.
    let failing = module(&homes, "return __func__[7] == 'c' ? 14 : 0;", "return 0;");
    let site = Site::new(&format!("session required {failing}\n"));
    let mut daemon = site.daemon(&["--pam-session"]);
    login(&daemon, &site.user).ok("LOGOUT");
    let line = daemon.wait_for_log("cannot close the PAM session");
    assert!(line.contains(&format!("user={}: ", site.user.name)), "{line}");
    daemon.wait_for_children(0);
    site.closed();
}

/// Takes as long as the modules may take.
#[test]
fn a_module_that_hangs_when_a_session_is_opened_is_given_up() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let site = Site::new(&format!("session required {}\n", module(&homes, "for (;;) pause();", "return 0;")));
    let mut daemon = site.daemon(&["--pam-session"]);
    let mut client = daemon.connect();
    client.stream.set_read_timeout(Some(3 * PATIENCE)).unwrap();
    client.line();
    client.send(&format!("x {}\r\n", site.user.login()));
    assert_eq!(client.line(), None);
    daemon.wait_for_log("was killed by signal 14");
    daemon.wait_for_children(0);
}

#[test]
fn what_a_module_leaves_behind_does_not_reach_the_session_the_client_or_the_log() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let session = "open(\"/etc/shadow\", O_RDONLY); umask(0); chdir(\"/tmp\"); \
                   write(0, \"* OK x\\r\\n\", 8); write(1, \"* OK x\\r\\n\", 8); write(2, \"* OK x\\r\\n\", 8); return 0;";
    let site = Site::new(&format!("session required {}\n", module(&homes, session, "return 0;")));
    let mut daemon = site.daemon(&["--pam-session"]);
    let mut client = daemon.connect();
    client.line();
    assert_eq!(client.run(&site.user.login()).len(), 1);
    let (keeper, session) = processes(&daemon);
    let shadow = PathBuf::from("/etc/shadow");
    assert!(open(keeper).contains(&shadow));
    assert!(!open(session).contains(&shadow), "{:?}", open(session));
    assert_eq!(std::fs::read_link(format!("/proc/{session}/cwd")).unwrap(), PathBuf::from("/"));
    assert_eq!(status(session, "Umask"), "0077");
    client.ok("LOGOUT");
    daemon.wait_for_log("Logout user=");
    site.closed();
    daemon.wait_for_children(0);
    daemon.signal(SIGTERM);
    daemon.wait_for_log("stopping");
    assert!(daemon.log.iter().all(|line| line.starts_with("imapd[")), "{:#?}", daemon.log);
}

#[test]
fn inetd_keeps_a_pam_session_and_ends_as_the_session_did() {
    if !is_root() {
        return;
    }
    for killed in [false, true] {
        let site = Site::new("");
        let run = site.homes.path().join("run");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Talk::new(stream);
        let mut process = Command::new(BINARY)
            .args(["--inetd", "-s", "maildir", "--pam-session", "--pam-service", &site.pam.name])
            .args(["--run-dir", run.to_str().unwrap()])
            .stdin(Stdio::from(OwnedFd::from(listener.accept().unwrap().0)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        client.line();
        client.ok(&site.user.login());
        site.opened();
        if killed {
            send(children_of(process.id() as i32)[0], SIGKILL);
        } else {
            client.ok("LOGOUT");
        }
        site.closed();
        assert_eq!(process.wait().unwrap().signal(), killed.then_some(SIGKILL as i32));
    }
}
