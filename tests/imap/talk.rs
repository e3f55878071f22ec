//! A session in a thread, spoken to in lines as they stand on the wire. What the grammar allows is the business of `support::client`;
//! here it is the very words that count, and what a client sends that is no IMAP.

use crate::support::credulous::Credulous;
use imapd::testing::auth::{Account, Authenticator, Credentials, Peer, Refusal};
use imapd::testing::session::capabilities::Withheld;
use imapd::testing::session::channel::{Channel, Patience};
use imapd::testing::session::login::{LoginOutcome, LoginPolicy, login};
use imapd::testing::session::{Greeting, Session, SessionOptions};
use imapd::testing::storage::MailStore;
use imapd::testing::storage::maildir::{self, MaildirOptions};
use imapd::testing::storage::memory::MemoryServer;
use imapd::testing::transport::Stream;
use imapd::testing::transport::handover::Frozen;
use imapd::testing::transport::tls::TlsConfig;
use imapd::testing::transport::wait::Stop;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::cell::Cell;
use std::fs::Permissions;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longer than any answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

enum Mail {
    Memory(MemoryServer),
    Maildir(tempfile::TempDir),
}

/// One user's mail, and the sessions on it. Dropped, it waits for them and fails if one panicked.
pub struct World {
    mail: Mail,
    stopper: UnixStream,
    stop: Stop,
    sessions: Mutex<Vec<JoinHandle<()>>>,
    /// That of the sessions which begin from now on.
    patience: Cell<Patience>,
}

/// Runs a test on each kind of store.
pub fn each_store(test: fn(&World)) {
    test(&World::new(Mail::Memory(MemoryServer::new())));
    test(&World::new(Mail::Maildir(tempfile::tempdir().unwrap())));
}

/// For tests that have nothing to do with the store.
pub fn on_memory(test: fn(&World)) {
    test(&World::new(Mail::Memory(MemoryServer::new())));
}

/// For tests of what lies on disk.
pub fn on_maildir(test: impl Fn(&World)) {
    test(&World::new(Mail::Maildir(tempfile::tempdir().unwrap())));
}

impl World {
    fn new(mail: Mail) -> Self {
        let (stopper, stop) = UnixStream::pair().unwrap();
        let stop = Stop(Some(Arc::new(OwnedFd::from(stop))));
        Self { mail, stopper, stop, sessions: Mutex::default(), patience: Cell::default() }
    }

    fn store(&self) -> Box<dyn MailStore> {
        match &self.mail {
            Mail::Memory(server) => server.store("alice"),
            Mail::Maildir(directory) => {
                let root = directory.path().join("Maildir");
                maildir::open(MaildirOptions { root, create: true, index: maildir::IndexPlace::InRoot }).unwrap()
            }
        }
    }

    /// The directory in which `Maildir` lies, if the mail is on disk.
    pub fn directory(&self) -> Option<&std::path::Path> {
        match &self.mail {
            Mail::Memory(_) => None,
            Mail::Maildir(directory) => Some(directory.path()),
        }
    }

    /// How many files lie in `tmp` of INBOX; none on a store without files.
    pub fn unfinished(&self) -> usize {
        match &self.mail {
            Mail::Memory(_) => 0,
            Mail::Maildir(directory) => std::fs::read_dir(directory.path().join("Maildir/tmp")).unwrap().count(),
        }
    }

    /// The sessions that begin from now on wait so long.
    pub fn be_patient(&self, patience: Patience) {
        self.patience.set(patience);
    }

    /// Asks all sessions to end.
    pub fn stop(&self) {
        (&self.stopper).write_all(b"x").unwrap();
    }

    /// A preauthenticated session and its greeting.
    pub fn greeted(&self) -> (Client, String) {
        let (client, channel) = self.pair();
        let store = self.store();
        self.run(move || Session::new(channel, store, options(Greeting::PreAuth)).run());
        let mut client = client;
        let greeting = client.line();
        (client, greeting)
    }

    /// A preauthenticated session.
    pub fn client(&self) -> Client {
        self.greeted().0
    }

    /// A connection before login, its greeting not read. Alice's password is `secret`.
    pub fn stranger(&self, cleartext_allowed: bool) -> Client {
        self.before_login(cleartext_allowed, None)
    }

    /// The same with STARTTLS offered, and no password taken before it. The session goes on with the connection as another process
    /// would.
    pub fn stranger_with_tls(&self) -> Client {
        self.before_login(false, Some(certificate()))
    }

    fn before_login(&self, cleartext_allowed: bool, tls: Option<TlsConfig>) -> Client {
        let (ours, theirs) = sockets();
        let second = theirs.try_clone().unwrap();
        let (client, channel) = self.ends(ours, theirs);
        let (stop, patience) = (self.stop.clone(), self.patience.get());
        let store = self.store();
        self.run(move || {
            let peer = Peer { address: Some([192, 0, 2, 7].into()), port: 12345 };
            let policy = LoginPolicy { tls: tls.as_ref(), cleartext_allowed, withheld: &Withheld::default(), peer };
            if let LoginOutcome::LoggedIn { channel, tag, account } = login(channel, &policy, &mut OnlyAlice) {
                assert_eq!(account.name, "alice");
                let channel = if tls.is_some() {
                    let frozen = channel.freeze().unwrap().encode();
                    let frozen = Frozen::decode(&frozen).unwrap();
                    Channel::resume(second.into(), frozen, stop).unwrap().with_patience(patience)
                } else {
                    channel
                };
                Session::new(channel, store, options(Greeting::LoggedIn(tag))).run();
            }
        });
        client
    }

    /// Until all sessions have ended by themselves.
    pub fn wait_for_sessions(&self) {
        for session in self.sessions.lock().unwrap().drain(..) {
            session.join().expect("a session panicked");
        }
    }

    fn pair(&self) -> (Client, Channel) {
        let (ours, theirs) = sockets();
        self.ends(ours, theirs)
    }

    fn ends(&self, ours: UnixStream, theirs: UnixStream) -> (Client, Channel) {
        let stream = Stream::socket(OwnedFd::from(theirs)).unwrap();
        (
            Client { wire: Wire::Plain(ours), read: Vec::new(), tags: 0 },
            Channel::new(stream, self.stop.clone()).with_patience(self.patience.get()),
        )
    }

    fn run(&self, session: impl FnOnce() + Send + 'static) {
        self.sessions.lock().unwrap().push(std::thread::spawn(session));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
        for session in self.sessions.get_mut().unwrap().drain(..) {
            let ended = session.join();
            assert!(ended.is_ok() || std::thread::panicking(), "a session panicked");
        }
    }
}

fn sockets() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(PATIENCE)).unwrap();
    (ours, theirs)
}

fn options(greeting: Greeting) -> SessionOptions {
    SessionOptions {
        user: "alice".into(),
        peer: Peer::default(),
        service: "imap",
        withheld: Withheld::default(),
        greeting,
    }
}

struct OnlyAlice;

impl Authenticator for OnlyAlice {
    fn authenticate(&mut self, credentials: &Credentials, peer: &Peer) -> Result<Account, Refusal> {
        assert!(peer.address.is_some());
        match (credentials.user.as_str(), credentials.password.expose()) {
            ("alice", b"secret") => Ok(Account { name: "alice".into(), unix: None }),
            ("expired", _) => Err(Refusal::Expired),
            ("broken", _) => Err(Refusal::Unavailable),
            _ => Err(Refusal::Failed),
        }
    }
}

fn certificate() -> TlsConfig {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (directory.path().join("cert.pem"), directory.path().join("key.pem"));
    std::fs::write(&certificate, include_bytes!("../fixtures/tls/cert.pem")).unwrap();
    std::fs::write(&key, include_bytes!("../fixtures/tls/key.pem")).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    TlsConfig::load(&certificate, &key).unwrap()
}

enum Wire {
    Plain(UnixStream),
    Tls(Box<StreamOwned<ClientConnection, UnixStream>>),
}

impl Wire {
    fn socket(&self) -> &UnixStream {
        match self {
            Wire::Plain(socket) => socket,
            Wire::Tls(stream) => &stream.sock,
        }
    }
}

/// The client's end.
pub struct Client {
    wire: Wire,
    read: Vec<u8>,
    tags: u32,
}

impl Client {
    /// Sends octets. That the server has closed is for the reading to find.
    pub fn send(&mut self, octets: &[u8]) {
        let _ = match &mut self.wire {
            Wire::Plain(socket) => socket.write_all(octets),
            Wire::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
        };
    }

    /// The same connection a second time, to read while the first sends.
    pub fn second(&self) -> Client {
        Client { wire: Wire::Plain(self.wire.socket().try_clone().unwrap()), read: Vec::new(), tags: 1_000_000 }
    }

    /// The next response without its CRLF, literals in it.
    pub fn line(&mut self) -> String {
        let mut response = Vec::new();
        loop {
            let line = self.up_to_line_end();
            let literal = line.strip_suffix(b"}").and_then(|rest| {
                let digits = &rest[rest.iter().rposition(|&b| b == b'{')? + 1..];
                std::str::from_utf8(digits).ok()?.parse::<usize>().ok()
            });
            response.extend_from_slice(&line);
            let Some(size) = literal else { return String::from_utf8(response).expect("8-bit only where it is UTF-8") };
            while self.read.len() < size {
                assert!(self.fill(), "closed in a literal");
            }
            response.extend_from_slice(b"\r\n");
            response.extend(self.read.drain(..size));
        }
    }

    fn up_to_line_end(&mut self) -> Vec<u8> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.read[searched..].iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.read.drain(..=searched + at).collect();
                line.pop();
                assert_eq!(line.pop(), Some(b'\r'), "a line that ends in a bare LF");
                return line;
            }
            searched = self.read.len();
            assert!(self.fill(), "closed; before that {:?}", String::from_utf8_lossy(&self.read));
        }
    }

    fn fill(&mut self) -> bool {
        let mut buffer = [0; 16384];
        let read = match &mut self.wire {
            Wire::Plain(socket) => socket.read(&mut buffer),
            Wire::Tls(stream) => stream.read(&mut buffer),
        };
        match read {
            // Halted, and gone on.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.fill(),
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// The server has closed, and nothing was left to be read.
    pub fn at_end(&mut self) {
        assert!(!self.fill(), "{:?}", String::from_utf8_lossy(&self.read));
    }

    /// The server closes, whatever it says before.
    pub fn ended(&mut self) {
        while self.fill() {}
    }

    /// Closes the sending side.
    pub fn hang_up(&mut self) {
        self.wire.socket().shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// The handshake, when the server has said OK to STARTTLS. What it sent behind that would be found here as no TLS.
    pub fn start_tls(self) -> Client {
        assert!(self.read.is_empty(), "clear text behind the OK: {:?}", String::from_utf8_lossy(&self.read));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Credulous))
            .with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let Wire::Plain(socket) = self.wire else { panic!("TLS in TLS") };
        let wire = Wire::Tls(Box::new(StreamOwned::new(connection, socket)));
        Client { wire, read: Vec::new(), tags: self.tags }
    }

    /// Untagged responses up to the tagged one, and that without its tag.
    pub fn answer(&mut self, tag: &str) -> (Vec<String>, String) {
        let mut untagged = Vec::new();
        loop {
            let line = self.line();
            match line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) {
                Some(tagged) => return (untagged, tagged.to_owned()),
                None => untagged.push(line),
            }
        }
    }

    /// Sends a command and says what [`Client::answer`] says.
    pub fn run(&mut self, command: &str) -> (Vec<String>, String) {
        self.tags += 1;
        let tag = format!("t{}", self.tags);
        self.send(format!("{tag} {command}\r\n").as_bytes());
        self.answer(&tag)
    }

    /// The untagged responses of a command that must be done.
    pub fn ok(&mut self, command: &str) -> Vec<String> {
        let (untagged, tagged) = self.run(command);
        assert!(tagged.starts_with("OK "), "{command}: {untagged:?} {tagged}");
        untagged
    }

    /// The tagged response of a command that must be refused.
    pub fn no(&mut self, command: &str) -> String {
        let (_, tagged) = self.run(command);
        assert!(tagged.starts_with("NO "), "{command}: {tagged}");
        tagged
    }

    /// The tagged response of a command that must be no command.
    pub fn bad(&mut self, command: &str) -> String {
        let (_, tagged) = self.run(command);
        assert!(tagged.starts_with("BAD "), "{command}: {tagged}");
        tagged
    }

    /// Appends one message; says the tagged response.
    pub fn append(&mut self, mailbox: &str, flags: &str, message: &str) -> String {
        self.send(format!("ap APPEND {mailbox} {flags} {{{}+}}\r\n{message}\r\n", message.len()).as_bytes());
        let (_, tagged) = self.answer("ap");
        assert!(tagged.starts_with("OK [APPENDUID "), "{tagged}");
        tagged
    }
}

/// A small message with this subject.
pub fn message(subject: &str) -> String {
    format!("From: a@example.org\r\nSubject: {subject}\r\n\r\nText of {subject}.\r\n")
}

/// Whether one of these begins so.
pub fn has(said: &[String], start: &str) -> bool {
    said.iter().any(|line| line.starts_with(start))
}
