//! The real binary on a free port, with a certificate and users of its own.

mod credulous;

use credulous::Credulous;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Whatever takes longer than this will not come.
pub const PATIENCE: Duration = Duration::from_secs(40);

pub const BINARY: &str = env!("CARGO_BIN_EXE_imapd");

/// Whether tests that need users of their own can run; says so if not.
pub fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        eprintln!("skipped: this test makes users and needs root");
    }
    root
}

/// Runs the program to its end.
pub fn imapd(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A directory that other users may enter.
pub fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Makes `NAME.crt` and `NAME.key` in a directory.
pub fn certificate(directory: &Path, name: &str) -> (String, String) {
    certificate_for(directory, name, &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "DNS:localhost")
}

/// The same with a key of this kind (as `openssl req -newkey` is told) and these names.
pub fn certificate_for(directory: &Path, name: &str, kind: &[&str], names: &str) -> (String, String) {
    let path = |end: &str| directory.join(format!("{name}.{end}")).to_str().unwrap().to_owned();
    let (certificate, key) = (path("crt"), path("key"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey"])
        .args(kind)
        .args(["-nodes", "-days", "2", "-addext", &format!("subjectAltName={names}")])
        .args(["-subj", &format!("/CN={name}"), "-out", &certificate, "-keyout", &key])
        .output()
        .expect("openssl makes certificates for the tests");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    (certificate, key)
}

/// A running daemon. Killed, with its sessions, when dropped.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    /// All that was logged so far.
    pub log: Vec<String>,
    ports: Vec<(String, u16)>,
}

impl Daemon {
    /// Starts it on a free port of 127.0.0.1, and with `--tls-port 0` on another. Returns when it listens.
    pub fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(BINARY);
        command.args(["--log", "stderr", "--port", "0"]).args(arguments).stdin(Stdio::null());
        Self::spawn(command, 1 + arguments.iter().filter(|argument| **argument == "--tls-port").count())
    }

    /// Starts this command and waits for so many listeners.
    pub fn spawn(mut command: Command, listeners: usize) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut this = Self { child, lines, log: Vec::new(), ports: Vec::new() };
        for _ in 0..listeners {
            let line = this.wait_for_log("listening on ");
            let (address, protocol) = line.split_once("listening on ").unwrap().1.split_once(' ').unwrap();
            let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
            this.ports.push((protocol.trim_matches(['(', ')']).to_owned(), port));
        }
        this
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The port of `imap` or `imaps`.
    pub fn port(&self, protocol: &str) -> u16 {
        self.ports.iter().find(|(name, _)| name == protocol).unwrap().1
    }

    /// The next logged line with this in it.
    #[track_caller]
    pub fn wait_for_log(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("nothing with {part:?} was logged, but {:#?}", self.log);
            };
            self.log.push(line.clone());
            if line.contains(part) {
                return line;
            }
        }
    }

    pub fn connect(&self) -> Talk<TcpStream> {
        Talk::new(tcp(self.port("imap")))
    }

    /// As a client with this address.
    pub fn connect_from(&self, address: &str) -> Talk<TcpStream> {
        Talk::new(tcp_from(address, self.port("imap")))
    }

    pub fn connect_tls(&self) -> Talk<TlsStream> {
        Talk::new(tls(tcp(self.port("imaps")), &[], rustls::DEFAULT_VERSIONS).unwrap())
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None if Instant::now() > deadline => panic!("it does not end: {:#?}", self.log),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// The processes that it has forked.
    pub fn children(&self) -> Vec<i32> {
        children_of(self.pid())
    }

    /// Waits until it has so many.
    #[track_caller]
    pub fn wait_for_children(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.children().len() != count {
            assert!(Instant::now() < deadline, "{:?} instead of {count}", self.children());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The processes that a process has forked and not waited for.
pub fn children_of(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    tasks.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // What the test may have missed.
            self.log.extend(self.lines.try_iter());
            eprintln!("the daemon has logged {:#?} and has the children {:?}", self.log, self.children());
        }
        for pid in self.children() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn tcp(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    patient(stream)
}

/// The same, as a client with this address: any that begins with 127 is this machine's.
pub fn tcp_from(address: &str, port: u16) -> TcpStream {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
    use std::os::fd::AsRawFd;
    let at = |address: &str, port| SockaddrIn::from(std::net::SocketAddrV4::new(address.parse().unwrap(), port));
    let client = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(client.as_raw_fd(), &at(address, 0)).unwrap();
    connect(client.as_raw_fd(), &at("127.0.0.1", port)).unwrap();
    patient(client.into())
}

fn patient(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes next. A process that was halted and goes on finds its reads interrupted where they have a timeout (signal(7)).
pub fn read(stream: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// The client's side of a handshake that trusts every certificate.
pub fn tls(
    stream: TcpStream,
    protocols: &[&[u8]],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<TlsStream> {
    tls_to("localhost", stream, protocols, versions)
}

/// The same with a server of this name.
pub fn tls_to(
    name: &str,
    mut stream: TcpStream,
    protocols: &[&[u8]],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> std::io::Result<TlsStream> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream)?;
    }
    Ok(StreamOwned::new(connection, stream))
}

/// A client that sends and reads lines and understands nothing.
pub struct Talk<S> {
    pub stream: S,
}

impl<S: Read + Write> Talk<S> {
    pub fn new(stream: S) -> Self {
        Self { stream }
    }

    /// The next line, without its end; `None` at the end of the stream, however it came.
    pub fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        let mut octet = [0];
        loop {
            match read(&mut self.stream, &mut octet) {
                Ok(1) => line.extend(octet),
                Ok(_) => break,
                Err(error) => {
                    eprintln!("a client's stream ends: {error}");
                    break;
                }
            }
            if line.ends_with(b"\r\n") {
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
        }
        assert!(line.is_empty(), "half a line: {line:?}");
        None
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends a command and reads all up to its tagged answer, which is the last.
    #[track_caller]
    pub fn run(&mut self, command: &str) -> Vec<String> {
        self.send(&format!("x {command}\r\n"));
        let mut lines = Vec::new();
        loop {
            let line = self.line().unwrap_or_else(|| panic!("no answer to {command}, but {lines:#?}"));
            let last = line.starts_with("x ");
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// The tagged answer alone.
    #[track_caller]
    pub fn answer(&mut self, command: &str) -> String {
        self.run(command).pop().unwrap()
    }

    #[track_caller]
    pub fn ok(&mut self, command: &str) {
        let answer = self.answer(command);
        assert!(answer.starts_with("x OK"), "{command}: {answer}");
    }

    /// All that still comes.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.line()).collect()
    }
}

/// A system's account for one test, with a Maildir that holds one message. Removed when dropped.
pub struct User {
    pub name: String,
    pub password: &'static str,
    pub home: PathBuf,
    pub uid: u32,
    pub gid: u32,
}

/// useradd locks the account files and gives up when they are locked.
static ACCOUNTS: Mutex<()> = Mutex::new(());

fn administer(program: &str, arguments: &[&str], input: &str) {
    let _one_at_a_time = ACCOUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            return;
        }
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        // Another suite makes users too.
        assert!(message.contains("lock") && Instant::now() < deadline, "{program} {arguments:?}: {message}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

impl User {
    pub fn new(homes: &Path) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("imapdt{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        let home = homes.join(&name);
        let password = "correct horse";
        let shell = "/usr/sbin/nologin";
        administer("useradd", &["-m", "-d", home.to_str().unwrap(), "-G", "mail", "-s", shell, &name], "");
        administer("chpasswd", &[], &format!("{name}:{password}\n"));
        let account = nix::unistd::User::from_name(&name).unwrap().unwrap();
        let this = Self { name, password, home, uid: account.uid.as_raw(), gid: account.gid.as_raw() };
        this.make_maildir(&this.home.join("Maildir"));
        this
    }

    /// Makes a Maildir of this user where there is none, and delivers a message to it.
    pub fn make_maildir(&self, root: &Path) {
        for directory in ["", "cur", "new", "tmp"] {
            let path = root.join(directory);
            std::fs::create_dir_all(&path).unwrap();
            std::os::unix::fs::chown(&path, Some(self.uid), Some(self.gid)).unwrap();
        }
        let message = root.join("tmp/1700000000.M1P1.test");
        std::fs::write(&message, format!("Subject: mail of {}\n\nText\n", self.name)).unwrap();
        std::os::unix::fs::chown(&message, Some(self.uid), Some(self.gid)).unwrap();
        std::fs::rename(&message, root.join("new/1700000000.M1P1.test")).unwrap();
    }

    pub fn login(&self) -> String {
        format!("LOGIN {} \"{}\"", self.name, self.password)
    }

    /// Runs usermod or chage on this user.
    pub fn change(&self, program: &str, arguments: &[&str]) {
        administer(program, &[arguments, &[&self.name]].concat(), "");
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let remove = || administer("userdel", &["-f", &self.name], "");
        // Not to hide the panic that may have brought us here.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(remove));
    }
}

/// A PAM service for one test. Removed when dropped.
pub struct PamService {
    pub name: String,
}

impl PamService {
    pub fn new(lines: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("imapd-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
        std::fs::write(format!("/etc/pam.d/{name}"), lines).unwrap();
        Self { name }
    }

    pub fn unix() -> Self {
        Self::new("auth required pam_unix.so\naccount required pam_unix.so\n")
    }
}

impl Drop for PamService {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(format!("/etc/pam.d/{}", self.name));
    }
}
