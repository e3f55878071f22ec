//! Single process, inetd, preauth, sockets from systemd, the configuration file.

use crate::support::{BINARY, Daemon, PATIENCE, Talk, certificate, directory, is_root, tls};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

#[test]
fn a_single_process_serves_the_demonstration() {
    let daemon = Daemon::start(&["--demo"]);
    let mut client = daemon.connect();
    assert!(client.line().unwrap().starts_with("* OK [CAPABILITY IMAP4rev2 IMAP4rev1 "));
    client.ok("LOGIN test test");
    let lines = client.run("SELECT INBOX");
    assert!(lines.iter().any(|line| line.ends_with(" EXISTS")), "{lines:#?}");
}

#[test]
fn clients_of_a_single_process_see_the_same_mail() {
    let daemon = Daemon::start(&["--demo"]);
    let (mut one, mut two) = (daemon.connect(), daemon.connect());
    for client in [&mut one, &mut two] {
        client.line();
        client.ok("LOGIN test test");
    }
    one.ok("CREATE shared");
    two.ok("SELECT shared");
}

#[test]
fn ipv6_and_several_hosts_are_served() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("skipped: this machine has no IPv6");
        return;
    }
    let mut command = Command::new(BINARY);
    command.args(["--demo", "--log", "stderr", "-p", "0", "-h", "::1", "-h", "127.0.0.1"]).stdin(Stdio::null());
    let daemon = Daemon::spawn(command, 2);
    let mut client = Talk::new(TcpStream::connect(("::1", daemon.port("imap"))).unwrap());
    assert!(client.line().unwrap().starts_with("* OK"));
}

fn started_on(stream: OwnedFd, arguments: &[&str]) -> Child {
    let output = stream.try_clone().unwrap();
    Command::new(BINARY).args(arguments).stdin(Stdio::from(stream)).stdout(Stdio::from(output)).spawn().unwrap()
}

#[test]
fn inetd_serves_its_standard_input() {
    for arguments in [&["--inetd", "--demo"][..], &["--demo"]] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut child = started_on(theirs.into(), arguments);
        let mut client = Talk::new(ours);
        assert!(client.line().unwrap().starts_with("* OK"), "{arguments:?}");
        client.ok("LOGIN test test");
        client.ok("LOGOUT");
        assert_eq!(client.line(), None);
        drop(client);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn inetd_speaks_tls_and_starttls() {
    let here = directory();
    let (crt, key) = certificate(here.path(), "inetd");
    let files = ["--cert", &crt, "--key", &key];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pair = || {
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        (client, listener.accept().unwrap().0)
    };

    let (client, server) = pair();
    let mut child = started_on(server.into(), &[&["--inetd", "--demo", "--tls"], &files[..]].concat());
    let mut client = Talk::new(tls(client, &[b"imap"], rustls::DEFAULT_VERSIONS).unwrap());
    assert!(client.line().unwrap().starts_with("* OK"));
    client.ok("LOGIN test test");
    client.ok("LOGOUT");
    drop(client);
    assert!(child.wait().unwrap().success());

    let (client, server) = pair();
    let mut child = started_on(server.into(), &[&["--inetd", "--demo"], &files[..]].concat());
    let mut client = Talk::new(client);
    client.line();
    client.ok("STARTTLS");
    let mut client = Talk::new(tls(client.stream, &[], rustls::DEFAULT_VERSIONS).unwrap());
    client.ok("LOGIN test test");
    client.ok("LOGOUT");
    drop(client);
    assert!(child.wait().unwrap().success());
}

#[test]
fn relative_paths_begin_where_it_was_started() {
    let here = directory();
    let (crt, key) = certificate(here.path(), "here");
    let relative = |path: &str| std::path::Path::new(path).file_name().unwrap().to_str().unwrap().to_owned();
    let write_users = |password: &str| {
        // Another file under the same name, as an editor makes it: its inode, if not its time, shows that it is new.
        let line = format!("vera:{{PLAIN}}{password}:54321:54321::/nonexistent\n");
        std::fs::write(here.path().join("users.new"), line).unwrap();
        std::fs::rename(here.path().join("users.new"), here.path().join("users")).unwrap();
    };
    write_users("before");
    for (directory, mode) in [("mail", 0o755), ("mail/vera", 0o700), ("index", 0o1777)] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::create_dir(here.path().join(directory)).unwrap();
        std::fs::set_permissions(here.path().join(directory), PermissionsExt::from_mode(mode)).unwrap();
    }
    let files = ["--cert", &relative(&crt), "--key", &relative(&key), "--passwd-file", "users"];
    let mail = ["-s", "maildir", "--maildir-path", "mail", "--index-path", "index"];
    let start = || {
        let mut command = Command::new(BINARY);
        command.current_dir(here.path()).args(["--log", "stderr"]).args(files).args(mail);
        command
    };
    if is_root() {
        std::os::unix::fs::chown(here.path().join("mail/vera"), Some(54321), Some(54321)).unwrap();
        let mut command = start();
        command.args(["--fork", "--port", "0", "--pidfile", "pid"]).stdin(Stdio::null());
        let daemon = Daemon::spawn(command, 1);
        assert!(here.path().join("pid").exists());
        let mut client = daemon.connect();
        client.line();
        // The process of this connection was made before, and looks for the file now.
        write_users("after");
        client.ok("LOGIN vera after");
        client.ok("SELECT INBOX");
        assert!(here.path().join("mail/vera/cur").exists() && here.path().join("index/vera/imapd-index").exists());
    }
    // Processes of inetd too.
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let output = theirs.try_clone().unwrap();
    let mut command = start();
    command.args(["--inetd", "--run-dir", "run"]).stdin(OwnedFd::from(theirs)).stdout(OwnedFd::from(output));
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let mut client = Talk::new(ours);
    assert!(client.line().unwrap().starts_with("* OK"));
    assert!(here.path().join("run").exists());
    write_users("at last");
    client.ok("LOGIN vera \"at last\"");
    client.ok("LOGOUT");
    drop(client);
    assert!(child.wait().unwrap().success());
}

#[test]
fn preauth_greets_without_login_on_pipes() {
    let mut child = Command::new(BINARY)
        .args(["--preauth", "-s", "memory", "--demo"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"a SELECT INBOX\r\nb LOGIN x y\r\nc LOGOUT\r\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.starts_with("* PREAUTH "), "{text}");
    assert!(text.contains("\r\na OK ") && text.contains("\r\nb BAD ") && text.ends_with("\r\n"), "{text}");
    assert!(!text.contains("STARTTLS"), "{text}");
}

#[test]
fn dates_of_a_maildir_are_shown_in_the_zone_of_the_machine() {
    let base = directory();
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    let mail = base.path().join(String::from_utf8(name).unwrap().trim());
    let message = base.path().join("message");
    std::fs::write(&message, "Subject: x\n\nx\n").unwrap();
    let delivered = std::time::UNIX_EPOCH + std::time::Duration::from_secs(837_596_665);
    for part in ["new", "cur", "tmp"] {
        std::fs::create_dir_all(mail.join(part)).unwrap();
    }
    std::fs::File::options().write(true).open(&message).unwrap().set_modified(delivered).unwrap();
    std::fs::rename(&message, mail.join("new/1.2.3")).unwrap();
    let mut child = Command::new(BINARY)
        .args(["--preauth", "-s", "maildir", "--maildir-path"])
        .arg(base.path())
        .env("TZ", "XYZ-5:30")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    child.stdin.take().unwrap().write_all(b"a EXAMINE INBOX\r\nb FETCH 1 INTERNALDATE\r\nc LOGOUT\r\n").unwrap();
    let text = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert!(text.contains("INTERNALDATE \"17-Jul-1996 15:14:25 +0530\""), "{text}");
}

#[test]
fn a_socket_handed_over_by_systemd_is_listened_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh", BINARY])
        .args(["--demo", "--log", "stderr", "-p", "1"])
        .stdin(Stdio::from(OwnedFd::from(listener)));
    let daemon = Daemon::spawn(command, 1);
    assert_eq!(daemon.port("imap"), port);
    assert!(daemon.connect().line().unwrap().starts_with("* OK"));
}

#[test]
fn a_connection_handed_over_by_systemd_is_served() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", "sh", BINARY, "--demo"])
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    let mut client = Talk::new(ours);
    assert!(client.line().unwrap().starts_with("* OK"));
    client.ok("LOGOUT");
    drop(client);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_file_stands_for_options_and_the_command_line_wins() {
    let here = directory();
    let path = here.path().join("imapd.conf");
    std::fs::write(&path, "demo = yes\nport = 1\nlog = syslog\n").unwrap();
    let daemon = Daemon::start(&["--config", path.to_str().unwrap()]);
    let mut client = daemon.connect();
    client.line();
    client.ok("LOGIN test test");
}

#[test]
fn the_pid_file_is_there_while_it_serves() {
    let here = directory();
    let path = here.path().join("pid");
    let mut daemon = Daemon::start(&["--demo", "--pidfile", path.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", daemon.pid()));
    daemon.signal(nix::sys::signal::SIGTERM);
    assert!(daemon.ended().success());
    assert!(!path.exists());
}

#[test]
fn systemd_is_told() {
    let here = directory();
    let path = here.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = |wanted: &str| loop {
        let mut buffer = [0; 200];
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{wanted}: {error}"));
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if text.starts_with(wanted) {
            return text;
        }
    };
    let mut command = Command::new(BINARY);
    command.args(["--demo", "--log", "stderr", "-p", "0"]).stdin(Stdio::null()).env("NOTIFY_SOCKET", &path);
    let daemon = Daemon::spawn(command, 1);
    heard("READY=1");
    daemon.signal(nix::sys::signal::SIGHUP);
    assert!(heard("RELOADING=1").contains("\nMONOTONIC_USEC="));
    heard("READY=1");
    daemon.signal(nix::sys::signal::SIGTERM);
    heard("STOPPING=1");
}
