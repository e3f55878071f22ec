//! Who a session is, what it can still do, and who gets none. Rows 16, 27 to 29 and 39 of the security checklist, over PAM.

use crate::support::{Daemon, PamService, User, certificate, directory, is_root, tcp, tls};
use crate::support::{Talk, TlsStream};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub struct Site {
    pub homes: TempDir,
    pub pam: PamService,
}

impl Site {
    pub fn new() -> Self {
        Self { homes: directory(), pam: PamService::unix() }
    }

    pub fn user(&self) -> User {
        User::new(self.homes.path())
    }

    pub fn daemon(&self, more: &[&str]) -> Daemon {
        Daemon::start(&[&["--fork", "-s", "maildir", "--pam-service", &self.pam.name], more].concat())
    }
}

pub fn login(daemon: &Daemon, user: &User) -> Talk<TcpStream> {
    let mut client = daemon.connect();
    client.line();
    client.ok(&user.login());
    client
}

pub fn status(pid: i32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Row 27.
#[test]
fn a_session_is_its_user_and_nobody_else() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let daemon = site.daemon(&[]);
    let _client = login(&daemon, &user);
    let pid = daemon.children()[0];
    assert_eq!(status(pid, "Uid"), [user.uid.to_string().as_str(); 4].join(" "));
    assert_eq!(status(pid, "Gid"), [user.gid.to_string().as_str(); 4].join(" "));
    let mail = nix::unistd::Group::from_name("mail").unwrap().unwrap().gid.as_raw();
    let groups: BTreeSet<u32> = status(pid, "Groups").split(' ').map(|group| group.parse().unwrap()).collect();
    assert_eq!(groups, BTreeSet::from([user.gid, mail]));
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!(status(pid, "NoNewPrivs"), "1");
}

/// Rows 28 and 29.
#[test]
fn a_session_has_only_what_it_needs() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let (crt, key) = certificate(site.homes.path(), "served");
    let daemon = site.daemon(&["--cert", &crt, "--key", &key, "--tls-port", "0"]);
    let _other = daemon.connect().line();
    let _client = login(&daemon, &user);
    let pid = *daemon.children().iter().find(|&&pid| status(pid, "Uid").starts_with(&user.uid.to_string())).unwrap();

    let mut sockets = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let path = entry.unwrap().path();
        let number: u32 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let target = std::fs::read_link(&path).unwrap();
        let target = target.to_str().unwrap();
        match number {
            0 | 1 => assert_eq!(target, "/dev/null"),
            2 => assert!(target.starts_with("pipe:"), "{target}"),
            _ if target.starts_with("socket:") => sockets += 1,
            _ => assert!(target.starts_with(user.home.to_str().unwrap()) || target.contains("inotify"), "{target}"),
        }
    }
    // The client's; the two ends by which a signal wakes the session, and the latter's copies for each signal.
    assert!(sockets <= 6, "{sockets} sockets");

    let cwd = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd.to_str(), Some("/"));
    assert_eq!(status(pid, "Umask"), "0077");
    assert_eq!(
        std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().rsplit(") ").next().unwrap().split(' ').nth(4),
        Some("0")
    );
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for (name, most) in [("Max core file size", "0"), ("Max processes", "0"), ("Max open files", "256")] {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(most), "{name}");
    }
}

#[test]
fn a_session_over_tls_is_small_and_its_users() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let (crt, key) = certificate(site.homes.path(), "served");
    let daemon = site.daemon(&["--tls", "--cert", &crt, "--key", &key]);
    let stream = tls(tcp(daemon.port("imaps")), &[], rustls::DEFAULT_VERSIONS).unwrap();
    let mut client: Talk<TlsStream> = Talk::new(stream);
    client.line();
    client.ok(&user.login());
    client.ok("SELECT INBOX");
    client.send("i IDLE\r\n");
    assert!(client.line().unwrap().starts_with('+'));
    let pid = daemon.children()[0];
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = smaps.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
    eprintln!("an idle session over TLS: {kib} KiB Private_Dirty");
    assert!(kib < 3 * 1024, "{kib} KiB");
}

/// Row 16, and 38: the same text, and no answer before the time of a failure.
#[test]
fn root_system_accounts_unknown_users_and_wrong_passwords_are_refused_alike() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let locked = site.user();
    locked.change("usermod", &["-L"]);
    let empty = site.user();
    empty.change("passwd", &["-d"]);
    let low = site.user();
    let daemon = site.daemon(&["--min-uid", &(low.uid + 1).to_string()]);
    let high = User::new(site.homes.path());
    let attempts = [
        format!("LOGIN {} wrong", high.name),
        "LOGIN root wrong".to_owned(),
        "LOGIN daemon x".to_owned(),
        "LOGIN no-such-user x".to_owned(),
        format!("LOGIN {} \"x\"", empty.name),
        low.login(),
        locked.login(),
        "LOGIN ../etc/passwd x".to_owned(),
    ];
    std::thread::scope(|scope| {
        for attempt in &attempts {
            let mut client = daemon.connect();
            scope.spawn(move || {
                client.line();
                let began = Instant::now();
                assert_eq!(client.answer(attempt), "x NO [AUTHENTICATIONFAILED] Authentication failed", "{attempt}");
                assert!(began.elapsed() >= Duration::from_secs(2), "{attempt}: {:?}", began.elapsed());
            });
        }
    });
    login(&daemon, &high);
    drop(user);
}

#[test]
fn an_account_that_has_expired_is_told_so() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    user.change("chage", &["-E", "1"]);
    let daemon = site.daemon(&[]);
    let mut client = daemon.connect();
    client.line();
    assert!(client.answer(&user.login()).starts_with("x NO [EXPIRED]"));
}

/// Builds a PAM module whose `pam_sm_authenticate` does this in C, and gives its path.
fn module(directory: &std::path::Path, number: usize, body: &str) -> String {
    let (source, object) = (directory.join(format!("m{number}.c")), directory.join(format!("m{number}.so")));
    let text = format!(
        "void exit(int); void abort(void); int close(int); int puts(const char *); long write(int, const void *, unsigned long);
         int pam_set_item(void *, int, const void *); void openlog(const char *, int, int); void syslog(int, const char *, ...);
         int pam_sm_authenticate(void *pam, int flags, int argc, const char **argv) {{ {body} }}
         int pam_sm_setcred(void *pam, int flags, int argc, const char **argv) {{ return 0; }}\n"
    );
    std::fs::write(&source, text).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&object).arg(&source).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    object.to_str().unwrap().to_owned()
}

/// Row 39.
#[test]
fn a_pam_module_that_misbehaves_costs_one_login() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let user = User::new(homes.path());
    let bodies = [
        ("exit(0);", false),
        ("abort();", false),
        ("pam_set_item(pam, 2, \"root\"); return 0;", false),
        ("for (int i = 0; i < 3; i++) close(i); return 0;", true),
        // To the system's log and standard error under another name, from now on (LOG_PID, LOG_CONS and LOG_PERROR).
        ("openlog(\"evil\", 1 | 2 | 32, 0); syslog(3, \"x\"); close(0); close(1); close(2); return 0;", true),
        ("puts(\"* OK printed\"); write(1, \"* OK written\", 12); write(2, \"* OK x\", 6); return 0;", true),
    ];
    let mut services: Vec<(String, bool)> = bodies
        .iter()
        .enumerate()
        .map(|(number, (body, allowed))| (format!("auth required {}\n", module(homes.path(), number, body)), *allowed))
        .collect();
    services.push(("auth required pam_no_such_module.so\n".to_owned(), false));
    services.push(("auth required pam_exec.so quiet /bin/false\n".to_owned(), false));
    services.push(("account required pam_deny.so\n".to_owned(), false));
    // Asks for the password twice, of which the second is none.
    services.push(("auth required pam_unix.so\nauth required pam_unix.so\n".to_owned(), true));
    for (lines, allowed) in services {
        let pam = PamService::new(&format!("{lines}auth required pam_unix.so\naccount required pam_unix.so\n"));
        let mut daemon = Daemon::start(&["--fork", "-s", "maildir", "--pam-service", &pam.name]);
        let mut client = daemon.connect();
        client.line();
        let answers = client.run(&user.login());
        assert_eq!(answers.len(), 1, "{lines}: {answers:#?}");
        assert!(answers[0].starts_with(if allowed { "x OK" } else { "x NO" }), "{lines}: {answers:#?}");
        // The log goes on under our name, and holds nothing of the module's.
        client.ok("LOGOUT");
        daemon.wait_for_log(if allowed { "Logout user=" } else { "No login" });
        assert!(daemon.log.iter().all(|line| line.starts_with("imapd[")), "{lines}: {:#?}", daemon.log);
        daemon.connect().ok("NOOP");
    }
}

#[test]
fn pam_sees_the_clients_address_and_our_terminal() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let user = User::new(homes.path());
    let seen = homes.path().join("seen");
    let script = homes.path().join("script");
    std::fs::write(
        &script,
        format!("#!/bin/sh\necho \"$PAM_USER $PAM_RHOST $PAM_TTY $PAM_SERVICE\" >{}\n", seen.display()),
    )
    .unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let lines = format!(
        "auth required pam_exec.so quiet {}\nauth required pam_unix.so\naccount required pam_unix.so\n",
        script.display()
    );
    let pam = PamService::new(&lines);
    let daemon = Daemon::start(&["--fork", "-s", "maildir", "--pam-service", &pam.name]);
    login(&daemon, &user);
    let text = std::fs::read_to_string(&seen).unwrap();
    assert_eq!(text.trim(), format!("{} 127.0.0.1 imapd {}", user.name, pam.name));
}

#[test]
fn a_user_reads_its_own_mail_and_no_other() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let (one, two) = (site.user(), site.user());
    let base = site.homes.path().join("shared");
    std::fs::create_dir(&base).unwrap();
    for user in [&one, &two] {
        user.make_maildir(&base.join(&user.name));
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(base.join(&user.name), private).unwrap();
    }
    for more in [&[][..], &["--maildir-path", base.to_str().unwrap()]] {
        let daemon = site.daemon(more);
        for user in [&one, &two] {
            let mut client = login(&daemon, user);
            client.ok("SELECT INBOX");
            let lines = client.run("FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]");
            assert!(lines.iter().any(|line| *line == format!("Subject: mail of {}", user.name)), "{lines:#?}");
        }
    }
    // Another's mail under one's own name, as a mistake of the administrator would have it.
    std::fs::rename(base.join(&one.name), base.join("kept")).unwrap();
    std::os::unix::fs::symlink(base.join(&two.name), base.join(&one.name)).unwrap();
    let daemon = site.daemon(&["--maildir-path", base.to_str().unwrap()]);
    let mut client = daemon.connect();
    client.line();
    assert!(client.answer(&one.login()).starts_with("x NO ["));
}

#[test]
fn a_session_can_do_all_its_work_as_the_user() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let mut daemon = site.daemon(&[]);
    let mut client = login(&daemon, &user);
    for command in [
        "CREATE one",
        "SUBSCRIBE one",
        "SELECT INBOX",
        "STORE 1 +FLAGS (\\Flagged $Label1)",
        "COPY 1 one",
        "RENAME one two",
        "MOVE 1 two",
        "SELECT two",
        "SEARCH TEXT mail",
        "STORE 1 +FLAGS (\\Deleted)",
        "EXPUNGE",
        "STATUS two (MESSAGES SIZE)",
    ] {
        client.ok(command);
    }
    client.send("a APPEND two {14+}\r\nSubject: x\r\n\r\n\r\n");
    while !client.line().unwrap().starts_with("a OK") {}
    client.ok("SELECT INBOX");
    client.send("i IDLE\r\n");
    while !client.line().unwrap().starts_with('+') {}
    user.make_maildir(&user.home.join("Maildir"));
    while !client.line().unwrap().ends_with(" EXISTS") {}
    client.send("DONE\r\n");
    client.ok("LOGOUT");
    daemon.wait_for_log("Logout");
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir(user.home.join("Maildir")).unwrap() {
        let metadata = entry.unwrap().metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o002), (user.uid, 0));
    }
}

#[test]
fn virtual_users_of_a_password_file_become_their_uid() {
    if !is_root() {
        return;
    }
    let homes = directory();
    let home = homes.path().join("virtual");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(54321), Some(54322)).unwrap();
    let file = homes.path().join("users");
    std::fs::write(&file, format!("vera:{{PLAIN}}secret:54321:54322::{}\n", home.display())).unwrap();
    let daemon = Daemon::start(&["--fork", "-s", "maildir", "--passwd-file", file.to_str().unwrap()]);
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN vera secret");
    let pid = daemon.children()[0];
    assert_eq!(status(pid, "Uid"), "54321 54321 54321 54321");
    assert_eq!(status(pid, "Groups"), "54322");
}
