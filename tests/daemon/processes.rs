//! Every process of a connection as the kernel sees it, before login and after: who it is, what it may do, what it has open. Rows 23, 27 to 29, 36 and 66 of the
//! security checklist.

use crate::inetd::Inetd;
use crate::keeper::wait_until;
use crate::privilege::{Site, status};
use crate::support::{BINARY, Daemon, Talk, certificate, children_of, is_root, tcp, tls};
use nix::sys::signal::{SIGTERM, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

const EMPTY: &str = "/run/imapd-empty";

/// The account of what needs no rights.
fn nobody() -> (u32, u32) {
    let account = |name| nix::unistd::User::from_name(name).unwrap();
    let account = account("_imapd").or_else(|| account("nobody")).unwrap();
    (account.uid.as_raw(), account.gid.as_raw())
}

/// What each socket of this machine is, by its inode. Sockets of this program have no other addresses than these.
fn sockets() -> BTreeMap<String, String> {
    let unix = std::fs::read_to_string("/proc/net/unix").unwrap();
    let unix = unix.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let listens = u32::from_str_radix(fields[3], 16).unwrap() & 0x1_0000 != 0;
        let kind = match fields[4] {
            _ if listens => "listening unix",
            "0001" => "stream",
            "0002" => "datagram",
            "0005" => "packets",
            _ => "other unix",
        };
        (fields[6].to_owned(), kind.to_owned())
    });
    let tcp = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let tcp = tcp.lines().skip(1).map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap(), 16).unwrap();
        let kind = match fields[3] {
            "0A" => format!("listening {}", port(fields[1])),
            _ => format!("client {}", port(fields[2])),
        };
        (fields[9].to_owned(), kind)
    });
    unix.chain(tcp).collect()
}

/// How many descriptors of each kind a process has.
fn descriptors(pid: i32) -> BTreeMap<String, usize> {
    let sockets = sockets();
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
        let path = entry.unwrap().path();
        let number: u32 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        let target = std::fs::read_link(&path).unwrap();
        // Whoever runs the tests may have left something open to all.
        if number > 2 && std::fs::read_link(format!("/proc/self/fd/{number}")).is_ok_and(|ours| ours == target) {
            continue;
        }
        let target = target.to_str().unwrap().to_owned();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        let kind = match inode {
            Some(inode) => sockets.get(inode).cloned().unwrap_or_else(|| format!("an unknown socket {inode}")),
            None if target.starts_with("pipe:") => "log".to_owned(),
            None => target,
        };
        *found.entry(kind).or_default() += 1;
    }
    found
}

fn of(kinds: &[(&str, usize)]) -> BTreeMap<String, usize> {
    kinds.iter().map(|&(kind, count)| (kind.to_owned(), count)).collect()
}

/// By which SIGTERM and SIGINT wake a process: one end to read from, one to write to for each signal.
const WOKEN: (&str, usize) = ("stream", 3);

/// No process of the user, nor the user, looks into it; it leaves no core and has nothing of our environment.
#[track_caller]
fn assert_hidden(pid: i32, curious: (u32, u32)) {
    assert_eq!(std::fs::metadata(format!("/proc/{pid}/maps")).unwrap().uid(), 0, "it can be dumped");
    for file in ["maps", "mem", "environ"] {
        let path = format!("/proc/{pid}/{file}");
        let mut look = Command::new("/bin/cat");
        look.arg(&path).uid(curious.0).gid(curious.1).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(!look.status().unwrap().success(), "{path}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    for line in limits.lines().filter(|line| line.starts_with("Max core file size")) {
        assert_eq!(line.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    }
}

/// It is this account in every respect, can win no rights, and is shut in.
#[track_caller]
fn assert_powerless(pid: i32, (uid, gid): (u32, u32), groups: &[u32], seccomp: &str) {
    assert_eq!(status(pid, "Uid"), [uid.to_string().as_str(); 4].join(" "));
    assert_eq!(status(pid, "Gid"), [gid.to_string().as_str(); 4].join(" "));
    let mut now: Vec<u32> = status(pid, "Groups").split_whitespace().map(|group| group.parse().unwrap()).collect();
    now.sort_unstable();
    assert_eq!(now, groups);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status(pid, set), "0000000000000000", "{set}");
    }
    assert_eq!((status(pid, "NoNewPrivs").as_str(), status(pid, "Seccomp").as_str()), ("1", seccomp));
    assert_hidden(pid, (uid, gid));
    // What it was started with is wiped; the time zone may stay.
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let words = environment.split(|&octet| octet == 0).filter(|word| !word.is_empty() && !word.starts_with(b"TZ="));
    assert_eq!(words.map(String::from_utf8_lossy).collect::<Vec<_>>(), [""; 0]);
}

#[track_caller]
fn assert_nobody(pid: i32) {
    assert_powerless(pid, nobody(), &[], "2");
    for place in ["root", "cwd"] {
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/{place}")).unwrap().to_str(), Some(EMPTY), "{place}");
    }
}

#[track_caller]
fn assert_root(pid: i32) {
    assert_eq!((status(pid, "Uid").as_str(), status(pid, "Gid").as_str()), ("0 0 0 0", "0 0 0 0"));
    assert_hidden(pid, nobody());
    for place in ["root", "cwd"] {
        assert_eq!(std::fs::read_link(format!("/proc/{pid}/{place}")).unwrap().to_str(), Some("/"), "{place}");
    }
}

#[track_caller]
fn assert_session(pid: i32, user: &crate::support::User) {
    let mail = nix::unistd::Group::from_name("mail").unwrap().unwrap().gid.as_raw();
    let mut groups = [user.gid, mail];
    groups.sort_unstable();
    assert_powerless(pid, (user.uid, user.gid), &groups, "2");
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    assert_eq!(children_of(pid), [0; 0], "a gate, or what is left of one");
}

/// What a session has open besides its socket and log: files of the mailbox, and notices of what changes there.
fn without_mail(pid: i32, user: &crate::support::User) -> BTreeMap<String, usize> {
    let home = user.home.to_str().unwrap();
    let mut found = descriptors(pid);
    found.retain(|kind, _| !kind.starts_with(home) && kind != "anon_inode:inotify");
    found
}

/// With a variable in its environment that nobody needs.
fn daemon(site: &Site, more: &[&str]) -> Daemon {
    let mut command = Command::new(BINARY);
    command.args(["--log", "stderr", "--port", "0", "--tls-port", "0", "--fork", "-s", "maildir"]);
    command.args(["--pam-service", &site.pam.name]).args(more);
    command.env("TOKEN_OF_THE_ADMINISTRATOR", "x").stdin(Stdio::null());
    command.current_dir("/");
    Daemon::spawn(command, 2)
}

/// Rows 27 to 29 and 66: no process has a socket that somebody could connect to, but for the two of the listener.
#[test]
fn each_process_of_a_connection_has_what_it_needs_and_nothing_else() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let (crt, key) = certificate(site.homes.path(), "served");
    let daemon = daemon(&site, &["--cert", &crt, "--key", &key]);
    let listener = daemon.pid();
    let keeper = daemon.children()[0];
    let listening = ["imap", "imaps"].map(|protocol| format!("listening {}", daemon.port(protocol)));
    // The stream is the one for four signals; the packets are the way to the keeper and, before login, to each child.
    let of_listener = |children: usize| {
        let packets = ("packets", 1 + children);
        of(&[("/dev/null", 2), ("log", 1), ("stream", 5), packets, (&listening[0], 1), (&listening[1], 1)])
    };
    let of_keeper = |asking: usize| of(&[("/dev/null", 2), ("log", 1), ("packets", 1 + asking)]);
    assert_eq!(descriptors(listener), of_listener(0));
    assert_eq!(descriptors(keeper), of_keeper(0));

    let child_of = |known: &[i32]| {
        wait_until(|| daemon.children().len() == known.len() + 1);
        *daemon.children().iter().find(|pid| !known.contains(pid)).unwrap()
    };
    // In clear text, where the handshake could still come; and over TLS, where it has been.
    let mut plain = daemon.connect();
    assert!(plain.line().unwrap().contains("STARTTLS"));
    let one = child_of(&[keeper]);
    let stream = tcp(daemon.port("imaps"));
    let port_of_two = stream.local_addr().unwrap().port();
    let mut encrypted = Talk::new(tls(stream, &[], rustls::DEFAULT_VERSIONS).unwrap());
    encrypted.line();
    let two = child_of(&[keeper, one]);
    let gates = [one, two].map(|child| children_of(child)[0]);
    let ports = [plain.stream.local_addr().unwrap().port(), port_of_two].map(|port| format!("client {port}"));

    assert_root(listener);
    assert_nobody(keeper);
    assert_eq!(descriptors(listener), of_listener(2));
    assert_eq!(descriptors(keeper), of_keeper(1));
    for (at, child) in [one, two].into_iter().enumerate() {
        assert_root(child);
        // To the listener and to the gate.
        let expected = of(&[("/dev/null", 2), ("log", 1), WOKEN, ("packets", 2), (&ports[at], 1)]);
        assert_eq!(descriptors(child), expected, "child");
        assert_eq!(children_of(child), [gates[at]]);
        assert_nobody(gates[at]);
        // To the child and, until it has been asked, to the keeper. No log.
        let expected = of(&[("/dev/null", 3), WOKEN, ("packets", 2 - at), (&ports[at], 1)]);
        assert_eq!(descriptors(gates[at]), expected, "gate");
    }

    plain.ok(&user.login());
    encrypted.ok(&user.login());
    assert_eq!(daemon.children().len(), 3);
    for (at, session) in [one, two].into_iter().enumerate() {
        assert_session(session, &user);
        let expected = of(&[("/dev/null", 2), ("log", 1), WOKEN, (&ports[at], 1)]);
        assert_eq!(without_mail(session, &user), expected, "session");
    }
    plain.ok("SELECT INBOX");
    assert_eq!(without_mail(one, &user), of(&[("/dev/null", 2), ("log", 1), WOKEN, (&ports[0], 1)]));
    assert_eq!(descriptors(listener), of_listener(0));
    assert_eq!(descriptors(keeper), of_keeper(0));
    assert_eq!(std::fs::read_dir(EMPTY).unwrap().count(), 0);
    plain.ok("LOGOUT");
    encrypted.ok("LOGOUT");
    wait_until(|| daemon.children() == [keeper]);
}

#[test]
fn each_process_of_inetd_has_what_it_needs_and_nothing_else() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let (crt, key) = certificate(site.homes.path(), "served");
    let run = site.homes.path().join("run");
    let arguments = ["-s", "maildir", "--pam-service", &site.pam.name, "--cert", &crt, "--key", &key];
    let before_login = run.join("before-login");

    let mut served = Inetd::new(&run, &arguments).connect();
    served.client.line();
    let child = served.process.id() as i32;
    let client = format!("client {}", served.client.stream.local_addr().unwrap().port());
    let others = children_of(child);
    assert_eq!(others.len(), 2);
    let (keeper, gate) = (others[0], others[1]);
    assert_root(child);
    let place = (before_login.to_str().unwrap(), 1);
    let log = [("/dev/null", 2), ("log", 1)];
    assert_eq!(descriptors(child), of(&[&log[..], &[WOKEN, ("packets", 1), (&client, 1), place]].concat()), "child");
    assert_nobody(keeper);
    assert_eq!(descriptors(keeper), of(&[&log[..], &[("packets", 1)]].concat()), "keeper");
    assert_nobody(gate);
    assert_eq!(descriptors(gate), of(&[("/dev/null", 3), WOKEN, ("packets", 2), (&client, 1)]), "gate");

    served.client.ok(&user.login());
    assert_session(child, &user);
    assert_eq!(without_mail(child, &user), of(&[&log[..], &[WOKEN, (&client, 1)]].concat()), "session");

    // Over TLS from the first octet.
    let served = Inetd::new(&run, &[&arguments[..], &["--tls"]].concat()).connect();
    let child = served.process.id() as i32;
    let stream = served.client.stream.try_clone().unwrap();
    let client = format!("client {}", stream.local_addr().unwrap().port());
    let mut encrypted = Talk::new(tls(stream, &[], rustls::DEFAULT_VERSIONS).unwrap());
    encrypted.line();
    // The keeper has signed and is gone; that it was is not known before it is waited for.
    let gate = *children_of(child).last().unwrap();
    assert_nobody(gate);
    assert_eq!(descriptors(gate), of(&[("/dev/null", 3), WOKEN, ("packets", 1), (&client, 1)]), "gate");
    encrypted.ok(&user.login());
    assert_session(child, &user);
    assert_eq!(without_mail(child, &user), of(&[&log[..], &[WOKEN, (&client, 1)]].concat()), "session");
    encrypted.ok("LOGOUT");
}

/// What a client sees of a process that is not shut in is the same.
#[test]
fn without_the_sandbox_the_processes_are_nobody_and_the_user_all_the_same() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let (crt, key) = certificate(site.homes.path(), "served");
    let mut daemon = daemon(&site, &["--cert", &crt, "--key", &key, "--sandbox", "off"]);
    let mut client = daemon.connect_tls();
    client.line();
    let child = *daemon.children().last().unwrap();
    let gate = children_of(child)[0];
    assert_powerless(gate, nobody(), &[], "0");
    assert_eq!(std::fs::read_link(format!("/proc/{gate}/root")).unwrap().to_str(), Some(EMPTY));
    client.ok(&user.login());
    assert_eq!((status(child, "Seccomp"), status(child, "NoNewPrivs")), ("0".to_owned(), "1".to_owned()));
    client.ok("SELECT INBOX");
    client.ok("LOGOUT");
    daemon.wait_for_log("Logout user=");
    let told = daemon.log.iter().filter(|line| line.contains("are not shut in, as --sandbox says")).count();
    assert_eq!(told, 1, "{:#?}", daemon.log);
}

#[test]
fn a_sandbox_that_is_required_is_there_or_nothing_is_served() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let user = site.user();
    let (crt, key) = certificate(site.homes.path(), "served");
    let lacking = crate::support::imapd(&["--demo", "--sandbox", "maybe"]);
    assert_eq!(lacking.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&lacking.stderr).contains("--sandbox is on, require or off, not maybe"));
    let probe = daemon(&site, &["--cert", &crt, "--key", &key]);
    let lacks = probe.log.iter().any(|line| line.contains("this kernel lacks"));
    drop(probe);
    if lacks {
        eprintln!("skipped: this kernel cannot shut processes in as they could be");
        return;
    }
    let daemon = daemon(&site, &["--cert", &crt, "--key", &key, "--sandbox", "require"]);
    let mut client = daemon.connect_tls();
    client.line();
    client.ok(&user.login());
    assert_eq!(status(*daemon.children().last().unwrap(), "Seccomp"), "2");
}

/// A daemon whose system has an account of its own, but for those that are missing.
fn with_accounts(site: &Site, missing: &[&str]) -> Command {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let mut lines: Vec<&str> = passwd.lines().filter(|line| !line.starts_with("_imapd:")).collect();
    lines.push("_imapd:x:59998:59998::/nonexistent:/usr/sbin/nologin");
    lines.retain(|line| !missing.contains(&line.split(':').next().unwrap()));
    // A whole directory: a file in the place of another is seen no more when other tests replace that.
    let etc = site.homes.path().join("etc");
    std::fs::create_dir_all(&etc).unwrap();
    std::fs::write(etc.join("passwd"), lines.join("\n") + "\n").unwrap();
    std::fs::write(etc.join("nsswitch.conf"), "passwd: files\n").unwrap();
    let (crt, key) = certificate(site.homes.path(), "served");
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "-k", "1", "30"])
        .args(["unshare", "--mount", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\""])
        .arg(&etc)
        .args([BINARY, "--log", "stderr", "--port", "0", "--tls-port", "0", "--fork", "-s", "maildir"])
        .args(["--pam-service", &site.pam.name, "--cert", &crt, "--key", &key])
        .stdin(Stdio::null());
    command
}

#[test]
fn the_account_of_its_own_is_used_or_nobody_with_a_warning_or_nothing_starts() {
    if !is_root() {
        return;
    }
    let site = Site::new();
    let possible = Command::new("unshare").args(["--mount", "true"]).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: this system gives no namespace for mounts");
        return;
    }
    let shared = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid.as_raw();
    for (missing, uid, warnings) in [(&[][..], 59998, 0), (&["_imapd"], shared, 1)] {
        let mut daemon = Daemon::spawn(with_accounts(&site, missing), 2);
        let mut client = daemon.connect_tls();
        client.line();
        let listener = daemon.children()[0];
        let [keeper, child] = children_of(listener)[..] else { panic!("{:?}", children_of(listener)) };
        for process in [keeper, children_of(child)[0]] {
            assert_eq!(status(process, "Uid"), [uid.to_string().as_str(); 4].join(" "));
        }
        client.ok("LOGOUT");
        daemon.wait_for_log("No login");
        kill(Pid::from_raw(listener), SIGTERM).unwrap();
        let told = daemon.log.iter().filter(|line| line.contains("there is no account _imapd; nobody is used")).count();
        assert_eq!(told, warnings, "{:#?}", daemon.log);
    }
    let mut none = with_accounts(&site, &["_imapd", "nobody"]);
    let mut started = none.stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    started.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(started.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("there is no account _imapd"), "{said}");
}
